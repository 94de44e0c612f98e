/* The XML writer. libxml2's wants NUL-terminated copies and lets characters through that XML does
 * not have, so these few lines are ours. */
#include "codec/text.h"
#include "codec/xml.h"

struct range {
    uint32_t from, to;
};

/* XML 1.0 (fifth edition), NameStartChar without the colon. */
static const struct range starts[] = {
    {'A', 'Z'},       {'_', '_'},       {'a', 'z'},       {0xc0, 0xd6},     {0xd8, 0xf6},
    {0xf8, 0x2ff},    {0x370, 0x37d},   {0x37f, 0x1fff},  {0x200c, 0x200d}, {0x2070, 0x218f},
    {0x2c00, 0x2fef}, {0x3001, 0xd7ff}, {0xf900, 0xfdcf}, {0xfdf0, 0xfffd}, {0x10000, 0xeffff},
};
/* What NameChar has beside them. */
static const struct range more[] = {
    {'-', '.'}, {'0', '9'}, {0xb7, 0xb7}, {0x300, 0x36f}, {0x203f, 0x2040},
};

static bool is_in(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].from && code <= ranges[i].to)
            return true;
    return false;
}

/* Of a valid character of `n` bytes. */
static uint32_t code_of(const char *p, size_t n)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)p[0] & masks[n];

    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char)p[i] & 0x3f);
    return code;
}

bool slu_xml_name_valid(struct slu_str name)
{
    const char *start = name.n ? name.p : "", *at = start, *end = at + name.n;

    while (at < end) {
        size_t n = slu_utf8_next(at, end);
        uint32_t code = n ? code_of(at, n) : 0;

        if (!is_in(code, starts, SLU_COUNT(starts)) &&
            (at == start || !is_in(code, more, SLU_COUNT(more))))
            return false;
        at += n;
    }
    return name.n > 0;
}

/* A carriage return would be read as a newline, so it goes as a reference (XML 1.0 §2.11). */
static struct slu_str replacement(char c)
{
    switch (c) {
    case '&':
        return SLU_STR("&amp;");
    case '<':
        return SLU_STR("&lt;");
    case '>':
        return SLU_STR("&gt;");
    case '"':
        return SLU_STR("&quot;");
    case '\r':
        return SLU_STR("&#13;");
    default:
        return SLU_STR_NONE;
    }
}

/* XML 1.0 §2.2: no control characters but tab and the line ends, nor U+FFFE and U+FFFF. */
static bool can_hold(const char *p, size_t n)
{
    if (n == 1)
        return (unsigned char)*p >= 0x20 || *p == '\t' || *p == '\n' || *p == '\r';
    return n > 0 && (n != 3 || memcmp(p, "\xef\xbf\xbe", 2) != 0 || (unsigned char)p[2] < 0xbe);
}

static bool write_text(struct slu_buf *out, struct slu_str text)
{
    const char *at = text.n ? text.p : "", *end = at + text.n, *run = at;

    while (at < end) {
        size_t n = (unsigned char)*at < 0x80 ? 1 : slu_utf8_next(at, end);
        struct slu_str other = n == 1 ? replacement(*at) : SLU_STR_NONE;

        if (!can_hold(at, n))
            return false;
        if (other.p) {
            slu_buf_add(out, (struct slu_str){run, (size_t)(at - run)});
            slu_buf_add(out, other);
            run = at + 1;
        }
        at += n;
    }
    slu_buf_add(out, (struct slu_str){run, (size_t)(end - run)});
    return true;
}

static bool write_member(struct slu_buf *out, const struct slu_value *value, struct slu_str name,
                         struct slu_str space);

static bool write_content(struct slu_buf *out, const struct slu_value *value)
{
    switch (value->kind) {
    case SLU_NULL:
        return true;
    case SLU_BOOL:
        slu_buf_add(out, value->truth ? SLU_STR("true") : SLU_STR("false"));
        return true;
    case SLU_NUMBER:
    case SLU_STRING:
        return write_text(out, value->text);
    case SLU_OBJECT:
        slu_value_each (child, value)
            if (!write_member(out, child, child->name, SLU_STR_NONE))
                return false;
        return true;
    case SLU_ARRAY:
        break;
    }
    return false;
}

static bool write_element(struct slu_buf *out, const struct slu_value *value, struct slu_str name,
                          struct slu_str space)
{
    size_t start;

    slu_buf_byte(out, '<');
    slu_buf_add(out, name);
    if (space.n) {
        slu_buf_lit(out, " xmlns=\"");
        if (!write_text(out, space))
            return false;
        slu_buf_byte(out, '"');
    }
    slu_buf_byte(out, '>');
    start = out->n;
    if (!write_content(out, value))
        return false;
    if (out->n == start && !out->failed) {
        out->p[start - 1] = '/';
        slu_buf_byte(out, '>');
        return true;
    }
    slu_buf_lit(out, "</");
    slu_buf_add(out, name);
    slu_buf_byte(out, '>');
    return true;
}

static bool write_member(struct slu_buf *out, const struct slu_value *value, struct slu_str name,
                         struct slu_str space)
{
    if (value->kind == SLU_NULL)
        return true;
    if (!slu_xml_name_valid(name))
        return false;
    if (value->kind != SLU_ARRAY)
        return write_element(out, value, name, space);
    slu_value_each (item, value)
        if (!write_element(out, item, name, space))
            return false;
    return true;
}

bool slu_xml_write(struct slu_buf *out, const struct slu_value *value, struct slu_str root,
                   struct slu_str space)
{
    slu_buf_lit(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    return slu_xml_name_valid(root) && value->kind != SLU_ARRAY &&
           write_element(out, value, root, space);
}
