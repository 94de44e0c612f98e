/* The JSON writer: compact for machines, indented for people. The tree holds valid UTF-8 and
 * numbers in JSON's grammar only, so nothing is checked here. */
#include "codec/json.h"

#include <stdlib.h>

#include "codec/json_internal.h"

/* What needs an escape (RFC 8259 §7), with the letter of the short form where there is one. */
static char escape_letter(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return c < 0x20 ? 'u' : '\0';
    }
}

static void write_escape(struct slu_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    char code[6] = {'\\', escape_letter(c), '0', '0', digits[c >> 4], digits[c & 15]};

    slu_buf_add(out, (struct slu_str){code, code[1] == 'u' ? 6 : 2});
}

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* How many bytes from p on may be written as they are. */
static size_t plain_run(const char *p, const char *end)
{
    const char *at = p;

    while (end - at >= 8 && !slu_json_special(at))
        at += 8;
    while (at < end && !needs_escape(*at))
        at++;
    return (size_t)(at - p);
}

/* The usual case, in one piece. */
static void write_plain(struct slu_buf *out, struct slu_str text)
{
    if (!slu_buf_reserve(out, text.n + 2))
        return;
    out->p[out->n++] = '"';
    memcpy(out->p + out->n, text.p, text.n);
    out->n += text.n;
    out->p[out->n++] = '"';
}

void slu_json_write_string(struct slu_buf *out, struct slu_str text)
{
    const char *at = text.n ? text.p : "", *end = at + text.n;

    if (plain_run(at, end) == text.n) {
        write_plain(out, (struct slu_str){at, text.n});
        return;
    }
    slu_buf_byte(out, '"');
    while (at < end) {
        size_t run = plain_run(at, end);

        slu_buf_add(out, (struct slu_str){at, run});
        at += run;
        if (at < end)
            write_escape(out, (unsigned char)*at++);
    }
    slu_buf_byte(out, '"');
}

static void write_scalar(struct slu_buf *out, const struct slu_value *value)
{
    switch (value->kind) {
    case SLU_NULL:
        slu_buf_lit(out, "null");
        break;
    case SLU_BOOL:
        slu_buf_add(out, value->truth ? SLU_STR("true") : SLU_STR("false"));
        break;
    case SLU_NUMBER:
        slu_buf_add(out, value->text);
        break;
    case SLU_STRING:
        slu_json_write_string(out, value->text);
        break;
    case SLU_ARRAY:
    case SLU_OBJECT:
        break;
    }
}

static bool container(const struct slu_value *value)
{
    return value->kind == SLU_ARRAY || value->kind == SLU_OBJECT;
}

void slu_json_write(struct slu_buf *out, const struct slu_value *value)
{
    bool object = value->kind == SLU_OBJECT;

    if (!container(value)) {
        write_scalar(out, value);
        return;
    }
    slu_buf_byte(out, object ? '{' : '[');
    slu_value_each (child, value) {
        if (child != value->first)
            slu_buf_byte(out, ',');
        if (object) {
            slu_json_write_string(out, child->name);
            slu_buf_byte(out, ':');
        }
        slu_json_write(out, child);
    }
    slu_buf_byte(out, object ? '}' : ']');
}

static int by_name(const void *a, const void *b)
{
    return slu_str_cmp((*(const struct slu_value *const *)a)->name,
                       (*(const struct slu_value *const *)b)->name);
}

bool slu_json_write_sorted(struct slu_arena *arena, struct slu_buf *out,
                           const struct slu_value *value)
{
    bool object = value->kind == SLU_OBJECT, good = true;
    const struct slu_value **children;
    size_t count = 0;

    if (!container(value)) {
        write_scalar(out, value);
        return true;
    }
    children = slu_arena_get(arena, (value->count + 1) * sizeof(struct slu_value *));
    if (!children)
        return false;
    slu_value_each (child, value)
        children[count++] = child;
    if (object)
        qsort(children, count, sizeof(struct slu_value *), by_name);
    slu_buf_byte(out, object ? '{' : '[');
    for (size_t i = 0; i < count && good; i++) {
        if (i)
            slu_buf_byte(out, ',');
        if (object) {
            slu_json_write_string(out, children[i]->name);
            slu_buf_byte(out, ':');
        }
        good = slu_json_write_sorted(arena, out, children[i]);
    }
    slu_buf_byte(out, object ? '}' : ']');
    return good;
}

/* Few scalars that fit into one line together. */
static bool short_array(const struct slu_value *value)
{
    enum { ONE_LINE = 72 };
    size_t width = 0;

    if (value->kind != SLU_ARRAY)
        return false;
    slu_value_each (child, value) {
        width += child->text.n + 4;
        if (container(child) || width > ONE_LINE)
            return false;
    }
    return true;
}

static void write_row(struct slu_buf *out, const struct slu_value *array)
{
    slu_buf_byte(out, '[');
    slu_value_each (child, array) {
        if (child != array->first)
            slu_buf_lit(out, ", ");
        write_scalar(out, child);
    }
    slu_buf_byte(out, ']');
}

static void new_line(struct slu_buf *out, unsigned level)
{
    slu_buf_byte(out, '\n');
    while (level--)
        slu_buf_lit(out, "  ");
}

static void write_pretty(struct slu_buf *out, const struct slu_value *value, unsigned level)
{
    bool object = value->kind == SLU_OBJECT;

    if (!container(value)) {
        write_scalar(out, value);
        return;
    }
    if (short_array(value)) {
        write_row(out, value);
        return;
    }
    slu_buf_byte(out, object ? '{' : '[');
    slu_value_each (child, value) {
        if (child != value->first)
            slu_buf_byte(out, ',');
        new_line(out, level + 1);
        if (object) {
            slu_json_write_string(out, child->name);
            slu_buf_lit(out, ": ");
        }
        write_pretty(out, child, level + 1);
    }
    if (value->first)
        new_line(out, level);
    slu_buf_byte(out, object ? '}' : ']');
}

void slu_json_write_pretty(struct slu_buf *out, const struct slu_value *value)
{
    write_pretty(out, value, 0);
}
