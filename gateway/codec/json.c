/*
 * The strict JSON reader: one pass, by descent, nodes straight into the arena. Text stays where it
 * is unless it has escapes. The way down is a chain of frames on the stack, from which a pointer is
 * made only when a mistake needs one.
 */
#include "codec/json.h"

#include "codec/json_internal.h"
#include "codec/text.h"
#include "codec/value_internal.h"

#include <stdio.h>

enum { USUAL_DEPTH = 32, USUAL_NODES = 20000, DEEPEST = 1000 /* each level takes stack */ };

/* Where the reader is: one container and the child being read. */
struct frame {
    const struct frame *up;
    const struct slu_value *container;
    struct slu_str name; /* of the member; unused in arrays */
};

struct reader {
    struct slu_arena *arena;
    struct slu_mistakes *mistakes;
    const char *start, *at, *end;
    uint32_t depth, nodes; /* still allowed */
    struct slu_json_limits limits;
    const struct frame *frame;
};

/* Bytes that may stand in a string without further question. */
static const bool plain[256] = {
/* clang-format off */
#define PLAIN_8(at) [at] = true, [at + 1] = true, [at + 2] = true, [at + 3] = true, \
                    [at + 4] = true, [at + 5] = true, [at + 6] = true, [at + 7] = true
    [0x20] = true, [0x21] = true, [0x23] = true, [0x24] = true, [0x25] = true, [0x26] = true,
    [0x27] = true, PLAIN_8(0x28), PLAIN_8(0x30), PLAIN_8(0x38), PLAIN_8(0x40), PLAIN_8(0x48),
    PLAIN_8(0x50), [0x58] = true, [0x59] = true, [0x5a] = true, [0x5b] = true, [0x5d] = true,
    [0x5e] = true, [0x5f] = true, PLAIN_8(0x60), PLAIN_8(0x68), PLAIN_8(0x70), PLAIN_8(0x78),
#undef PLAIN_8
    /* clang-format on */
};

static struct slu_str pointer_to(struct slu_arena *arena, const struct frame *frame)
{
    struct slu_str above;

    if (!frame)
        return SLU_STR("");
    above = pointer_to(arena, frame->up);
    if (frame->container->kind == SLU_ARRAY)
        return slu_pointer_item(arena, above, frame->container->count);
    return frame->name.p ? slu_pointer_member(arena, above, frame->name) : above;
}

static struct slu_str here(const struct reader *r)
{
    return pointer_to(r->mistakes->arena, r->frame);
}

/* Lines end with LF; columns are characters, from 1. */
static void line_and_column(const struct reader *r, const char *at, size_t *ret_line,
                            size_t *ret_column)
{
    const char *line = r->start;

    *ret_line = 1;
    for (const char *p = r->start; p < at; p++)
        if (*p == '\n') {
            line = p + 1;
            ++*ret_line;
        }
    *ret_column = 1 + slu_utf8_length((struct slu_str){line, (size_t)(at - line)});
}

static struct slu_value *wrong(const struct reader *r, const char *at, const char *what)
{
    size_t line, column;

    line_and_column(r, at, &line, &column);
    slu_mistake(r->mistakes, SLU_FAULT_BAD_JSON, here(r), "line %zu, column %zu: %s", line, column,
                what);
    return NULL;
}

static struct slu_value *expected(const struct reader *r, const char *what)
{
    unsigned char c = r->at < r->end ? (unsigned char)*r->at : 0;
    char words[160];

    if (r->at == r->end)
        snprintf(words, sizeof(words), "expected %s, but the text ends here", what);
    else if (c > ' ' && c < 0x7f)
        snprintf(words, sizeof(words), "expected %s, found %c", what, c);
    else
        snprintf(words, sizeof(words), "expected %s, found the byte 0x%02X", what, c);
    return wrong(r, r->at, words);
}

static struct slu_value *no_memory(const struct reader *r)
{
    slu_mistake(r->mistakes, SLU_FAULT_MEMORY, SLU_STR(""),
                "the memory that one request may use is spent; send less, or try later");
    return NULL;
}

static void skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

/* True and behind the byte when it is the next one. */
static bool next_is(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static struct slu_value *new_node(struct reader *r, enum slu_kind kind)
{
    struct slu_value *value;
    char words[80];

    if (r->nodes == 0) {
        snprintf(words, sizeof(words), "the document has more than %u values", r->limits.nodes);
        return wrong(r, r->at, words);
    }
    r->nodes--;
    value = slu_arena_get(r->arena, sizeof(*value));
    if (!value)
        return no_memory(r);
    *value = (struct slu_value){.kind = kind};
    return value;
}

static const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= 8 && !slu_json_special(p))
        p += 8;
    while (p < end && plain[(unsigned char)*p])
        p++;
    return p;
}

/* From r->at over everything but escapes and the closing quote. False when a byte is wrong. */
static bool skip_text(struct reader *r)
{
    for (;;) {
        size_t bytes;

        r->at = skip_plain(r->at, r->end);
        if (r->at == r->end) {
            expected(r, "\" at the end of the string");
            return false;
        }
        if (*r->at == '"' || *r->at == '\\')
            return true;
        if ((unsigned char)*r->at < 0x20) {
            wrong(r, r->at, "a control character in a string must be written as \\uXXXX");
            return false;
        }
        bytes = slu_utf8_next(r->at, r->end);
        if (bytes == 0) {
            wrong(r, r->at, "the text is not valid UTF-8");
            return false;
        }
        r->at += bytes;
    }
}

/* Four hexadecimal digits behind "\u"; -1 when they are not there. */
static int read_four(const struct reader *r, const char *p)
{
    int code = 0;

    if (r->end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = slu_hex_digit(p[i]);

        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* At "\u": one character, from one code or a pair of surrogates. 0 when it is wrong. */
static uint32_t read_unicode(struct reader *r)
{
    const char *at = r->at;
    int high = read_four(r, at + 2), low;

    if (high <= 0) {
        wrong(r, at, high ? "\\u needs four hexadecimal digits" : "\\u0000 is not allowed");
        return 0;
    }
    r->at += 6;
    if (high < 0xd800 || high > 0xdfff)
        return (uint32_t)high;
    low = r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' ? read_four(r, r->at + 2) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) {
        wrong(r, at, "half of a surrogate pair stands alone");
        return 0;
    }
    r->at += 6;
    return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

/* At a backslash: the character it stands for; 0 when it is wrong. */
static uint32_t read_escape(struct reader *r)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (r->end - r->at < 2 || r->at[1] == '\0') {
        wrong(r, r->at, "an escape is not complete");
        return 0;
    }
    if (r->at[1] == 'u')
        return read_unicode(r);
    found = strchr(letters, r->at[1]);
    if (!found) {
        wrong(r, r->at,
              "this escape is unknown; JSON has \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        return 0;
    }
    r->at += 2;
    return (unsigned char)meant[found - letters];
}

/* The bytes up to the closing quote, which bound what the decoded text needs. */
static size_t raw_length(const struct reader *r, const char *from)
{
    const char *p = from;

    while (p < r->end && *p != '"')
        p += *p == '\\' && r->end - p > 1 ? 2 : 1;
    return (size_t)(p - from);
}

/* The same once more, with escapes resolved into the arena. `from` is behind the opening quote. */
static bool read_escaped(struct reader *r, const char *from, struct slu_str *ret_text)
{
    char *out = slu_arena_get(r->arena, raw_length(r, from));
    size_t n = 0;

    if (!out) {
        no_memory(r);
        return false;
    }
    for (;;) {
        uint32_t code;

        memcpy(out + n, from, (size_t)(r->at - from));
        n += (size_t)(r->at - from);
        if (*r->at == '"')
            break;
        code = read_escape(r);
        if (code == 0)
            return false;
        n += slu_utf8_put(out + n, code);
        from = r->at;
        if (!skip_text(r))
            return false;
    }
    r->at++;
    *ret_text = (struct slu_str){out, n};
    return true;
}

/* Behind the opening quote. */
static bool read_string(struct reader *r, struct slu_str *ret_text)
{
    const char *from = r->at;

    if (!skip_text(r))
        return false;
    if (*r->at != '"')
        return read_escaped(r, from, ret_text);
    *ret_text = (struct slu_str){from, (size_t)(r->at - from)};
    r->at++;
    return true;
}

static struct slu_value *read_value(struct reader *r);

static bool enter(struct reader *r, struct frame *frame)
{
    char words[80];

    if (r->depth == 0) {
        snprintf(words, sizeof(words), "the document is nested more than %u levels deep",
                 r->limits.depth);
        wrong(r, r->at, words);
        return false;
    }
    r->depth--;
    frame->up = r->frame;
    r->frame = frame;
    return true;
}

static void leave(struct reader *r)
{
    r->frame = r->frame->up;
    r->depth++;
}

static bool read_items(struct reader *r, struct slu_value *array)
{
    if (next_is(r, ']'))
        return true;
    for (;;) {
        struct slu_value *item = read_value(r);
        bool more;

        if (!item)
            return false;
        skip_blanks(r);
        more = next_is(r, ',');
        if (!more && !next_is(r, ']'))
            return expected(r, "a comma or ] behind an item");
        slu_value_append(array, item);
        if (!more)
            return true;
        skip_blanks(r);
    }
}

static struct slu_value *read_array(struct reader *r)
{
    struct slu_value *array = new_node(r, SLU_ARRAY);
    struct frame frame = {.container = array};
    bool whole;

    if (!array || !enter(r, &frame))
        return NULL;
    r->at++;
    skip_blanks(r);
    whole = read_items(r, array);
    leave(r);
    return whole ? array : NULL;
}

static bool read_member(struct reader *r, struct slu_value *object, struct frame *frame)
{
    struct slu_value *value;

    frame->name = SLU_STR_NONE;
    if (!next_is(r, '"'))
        return expected(r, object->count ? "a member's name in \"" : "a member's name in \" or }");
    if (!read_string(r, &frame->name))
        return false;
    skip_blanks(r);
    if (!next_is(r, ':'))
        return expected(r, "a colon behind the member's name");
    skip_blanks(r);
    value = read_value(r);
    slu_value_put(object, frame->name, value);
    return value;
}

static bool read_members(struct reader *r, struct slu_value *object, struct frame *frame)
{
    if (next_is(r, '}'))
        return true;
    for (;;) {
        if (!read_member(r, object, frame))
            return false;
        skip_blanks(r);
        if (next_is(r, '}'))
            return true;
        if (!next_is(r, ','))
            return expected(r, "a comma or } behind a member");
        skip_blanks(r);
    }
}

static void doubled(void *context, struct slu_str name)
{
    struct reader *r = context;

    if (r->mistakes->count >=
        SLU_MISTAKES_KEPT) { /* only counted: a pointer would cost its length */
        r->mistakes->count++;
        return;
    }
    slu_mistake(r->mistakes, SLU_FAULT_BAD_JSON,
                slu_pointer_member(r->mistakes->arena, here(r), name),
                "the member \"%.*s\" stands here more than once", SLU_FMT(name));
}

static struct slu_value *read_object(struct reader *r)
{
    struct slu_value *object = new_node(r, SLU_OBJECT);
    struct frame frame = {.container = object};
    bool whole;

    if (!object || !enter(r, &frame))
        return NULL;
    r->at++;
    skip_blanks(r);
    whole = read_members(r, object, &frame);
    frame.name = SLU_STR_NONE;
    if (whole && !slu_value_duplicates(r->arena, object, doubled, r))
        whole = no_memory(r);
    leave(r);
    return whole ? object : NULL;
}

static struct slu_value *read_text_value(struct reader *r)
{
    struct slu_value *value = new_node(r, SLU_STRING);

    if (!value)
        return NULL;
    r->at++;
    return read_string(r, &value->text) ? value : NULL;
}

static struct slu_value *read_number(struct reader *r)
{
    size_t length = slu_number_scan(r->at, r->end);
    struct slu_value *value;

    if (length == 0)
        return wrong(r, r->at, "this is not a number as JSON writes it, e.g. 0, -1.5, 2e10");
    value = new_node(r, SLU_NUMBER);
    if (!value)
        return NULL;
    value->text = (struct slu_str){r->at, length};
    r->at += length;
    return value;
}

static struct slu_value *read_word(struct reader *r, struct slu_str word, enum slu_kind kind)
{
    struct slu_value *value;

    if (!slu_str_starts((struct slu_str){r->at, (size_t)(r->end - r->at)}, word))
        return expected(r, "a value (true, false and null are the only words)");
    value = new_node(r, kind);
    if (!value)
        return NULL;
    value->truth = word.p[0] == 't';
    r->at += word.n;
    return value;
}

static struct slu_value *read_value(struct reader *r)
{
    char c = r->at < r->end ? *r->at : '\0';

    if (c == '"')
        return read_text_value(r);
    if (c == '{')
        return read_object(r);
    if (c == '[')
        return read_array(r);
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(r);
    if (c == 't')
        return read_word(r, SLU_STR("true"), SLU_BOOL);
    if (c == 'f')
        return read_word(r, SLU_STR("false"), SLU_BOOL);
    if (c == 'n')
        return read_word(r, SLU_STR("null"), SLU_NULL);
    return expected(r, "a value");
}

static struct slu_value *read_document(struct reader *r)
{
    struct slu_value *root;

    if (slu_str_starts((struct slu_str){r->at, (size_t)(r->end - r->at)}, SLU_STR("\xef\xbb\xbf")))
        return wrong(r, r->at, "the text begins with a byte order mark, which JSON does not allow");
    skip_blanks(r);
    root = read_value(r);
    if (!root)
        return NULL;
    skip_blanks(r);
    return r->at == r->end ? root : expected(r, "the end of the text behind the value");
}

struct slu_value *slu_json_read(struct slu_arena *arena, struct slu_str text,
                                struct slu_json_limits limits, struct slu_mistakes *mistakes)
{
    struct reader r = {.arena = arena, .mistakes = mistakes};
    struct slu_value *root;
    size_t before = mistakes->count;

    limits.depth = limits.depth ? limits.depth : USUAL_DEPTH;
    limits.nodes = limits.nodes ? limits.nodes : USUAL_NODES;
    limits.depth = limits.depth < DEEPEST ? limits.depth : DEEPEST;
    r.limits = limits;
    r.depth = limits.depth;
    r.nodes = limits.nodes;
    r.start = r.at = text.n ? text.p : "";
    r.end = r.start + text.n;
    root = read_document(&r);
    return mistakes->count == before ? root : NULL;
}
