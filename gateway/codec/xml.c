/*
 * The XML reader: libxml2's SAX2 interface fills our tree, so that no second one is built and
 * nothing of the document type declaration is ever acted upon. libxml2 checks well-formedness; what
 * we do not take, and our limits, are looked after in the callbacks.
 */
#include "codec/xml.h"

#include "codec/json.h"
#include "codec/text.h"

#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <pthread.h>

enum {
    DEPTH = 32,
    NODES = 20000,
    MEMBERS_MOST = 128, /* different names in one element: they are looked up one by one */
    NAMES = 64,
};

struct open_element {
    struct slu_value *node;
    struct slu_str name;
};

struct reader {
    struct slu_arena *arena;
    struct slu_mistakes *mistakes;
    xmlParserCtxt *parser;
    struct open_element *open;
    uint32_t depth, nodes;
    struct slu_xml_limits limits;
    struct slu_buf text; /* of the innermost element since its last child */
    struct slu_value *tree;
    bool stopped;
    /* the parser keeps one copy of each name, so an address is a name while it lives */
    struct {
        const xmlChar *key;
        struct slu_str name;
    } names[NAMES];
};

/* ---- mistakes ---- */

static struct slu_str place(const struct reader *reader)
{
    struct slu_str pointer = SLU_STR("");

    for (uint32_t i = 1; i < reader->depth; i++)
        pointer = slu_pointer_member(reader->arena, pointer, reader->open[i].name);
    return pointer;
}

static void stop(struct reader *reader, int line, struct slu_str words)
{
    if (reader->stopped)
        return;
    reader->stopped = true;
    xmlStopParser(reader->parser);
    slu_mistake(reader->mistakes, SLU_FAULT_INVALID, place(reader), "line %d: %.*s", line,
                SLU_FMT(words));
}

static void refuse(struct reader *reader, const char *words)
{
    stop(reader, xmlSAX2GetLineNumber(reader->parser), slu_str_of(words));
}

static void out_of_memory(struct reader *reader)
{
    if (reader->stopped)
        return;
    reader->stopped = true;
    xmlStopParser(reader->parser);
    slu_mistake(reader->mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
}

/* libxml2's own words end with a newline. Warnings are left alone. */
static void on_error(void *data, xmlError *error)
{
    struct reader *reader = data;
    struct slu_str words;

    if (error->level < XML_ERR_ERROR)
        return;
    words = slu_str_of(error->message ? error->message : "is not well-formed");
    if (error->code == XML_ERR_NO_MEMORY)
        out_of_memory(reader);
    else
        stop(reader, error->line, slu_str_cut(&words, '\n'));
}

/* ---- what libxml2 finds ---- */

static bool is_utf8(const xmlChar *encoding)
{
    return !encoding || slu_str_eq_nocase(slu_str_of((const char *)encoding), SLU_STR("UTF-8"));
}

/* Called behind the XML declaration. */
static void on_start(void *data)
{
    struct reader *reader = data;

    if (!is_utf8(reader->parser->encoding) || !is_utf8(reader->parser->input->encoding))
        refuse(reader, "another encoding than UTF-8 is declared");
}

static void on_doctype(void *data, const xmlChar *name, const xmlChar *public,
                       const xmlChar *system)
{
    (void)name;
    (void)public;
    (void)system;
    refuse(data, "has a document type declaration, which is not read here");
}

static struct slu_str name_of(struct reader *reader, const xmlChar *key)
{
    size_t at = ((uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 58;

    if (reader->names[at].key != key) {
        reader->names[at].key = key;
        reader->names[at].name = slu_arena_str(reader->arena, slu_str_of((const char *)key));
    }
    return reader->names[at].name;
}

static bool is_blank(struct slu_str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\n' && text.p[i] != '\r')
            return false;
    return true;
}

/* The second element of a name: what was there becomes the first item of an array in its place. */
static void repeat(struct slu_arena *arena, struct slu_value *node)
{
    struct slu_value *first = slu_value_new(arena, node->kind);

    if (!first)
        return;
    *first = *node;
    first->name = SLU_STR_NONE;
    first->next = NULL;
    node->kind = SLU_ARRAY;
    node->text = SLU_STR_NONE;
    node->first = node->last = first;
    node->count = 1;
}

static void add_child(struct reader *reader, struct slu_value *parent, struct slu_str name,
                      struct slu_value *child)
{
    struct slu_value *twin;

    if (!is_blank(slu_buf_str(&reader->text))) {
        refuse(reader, "has text beside elements");
        return;
    }
    slu_buf_clear(&reader->text);
    parent->kind = SLU_OBJECT;
    twin = parent->last && slu_str_eq(parent->last->name, name) ? parent->last
                                                                : slu_value_find(parent, name);
    if (twin) {
        if (twin->kind != SLU_ARRAY)
            repeat(reader->arena, twin);
        slu_value_append(twin, child);
    } else if (parent->count == MEMBERS_MOST) {
        refuse(reader, "has too many different elements");
    } else {
        slu_value_put(parent, name, child);
    }
}

static void on_element(void *data, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri,
                       int namespaces, const xmlChar **namespace_list, int attributes,
                       int defaulted, const xmlChar **attribute_list)
{
    struct reader *reader = data;
    struct slu_value *node = NULL;
    struct slu_str name;

    (void)prefix, (void)uri, (void)namespaces, (void)namespace_list;
    (void)attributes, (void)defaulted, (void)attribute_list;
    if (reader->stopped)
        return;
    if (reader->depth == reader->limits.depth) {
        refuse(reader, "is nested too deeply");
        return;
    }
    if (reader->nodes++ == reader->limits.nodes) {
        refuse(reader, "has too many elements");
        return;
    }
    name = name_of(reader, local);
    node = slu_value_string(reader->arena, SLU_STR(""));
    if (node && reader->depth)
        add_child(reader, reader->open[reader->depth - 1].node, name, node);
    else
        reader->tree = node;
    reader->open[reader->depth++] = (struct open_element){node, name};
    if (reader->arena->failed)
        out_of_memory(reader);
}

static void on_end(void *data, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
    struct reader *reader = data;
    struct slu_str text = slu_buf_str(&reader->text);
    struct slu_value *node;

    (void)local, (void)prefix, (void)uri;
    if (reader->stopped)
        return;
    node = reader->open[reader->depth - 1].node;
    if (node->kind == SLU_OBJECT && !is_blank(text)) {
        refuse(reader, "has text beside elements");
        return;
    }
    if (node->kind == SLU_STRING && text.n)
        node->text = slu_arena_str(reader->arena, text);
    slu_buf_clear(&reader->text);
    reader->depth--;
    if (reader->arena->failed)
        out_of_memory(reader);
}

static void on_text(void *data, const xmlChar *text, int length)
{
    struct reader *reader = data;

    if (reader->stopped)
        return;
    slu_buf_add(&reader->text, (struct slu_str){(const char *)text, (size_t)length});
    if (reader->text.failed)
        out_of_memory(reader);
}

/* ---- */

static void set_up_libxml2(void)
{
    xmlInitParser();
}

static xmlParserCtxt *new_parser(struct slu_str text, struct reader *reader)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    xmlParserCtxt *parser;

    pthread_once(&once, set_up_libxml2);
    parser = xmlCreateMemoryParserCtxt(text.p, (int)text.n);
    if (!parser)
        return NULL;
    *parser->sax = (xmlSAXHandler){
        .initialized = XML_SAX2_MAGIC,
        .startDocument = on_start,
        .internalSubset = on_doctype,
        .startElementNs = on_element,
        .endElementNs = on_end,
        .characters = on_text,
        .ignorableWhitespace = on_text,
        .cdataBlock = on_text,
        .serror = (xmlStructuredErrorFunc)on_error,
    };
    parser->userData = reader;
    (void)xmlCtxtUseOptions(parser, XML_PARSE_NONET);
    return parser;
}

/* libxml2 would take other encodings by their byte order marks, and guesses where bytes are bad. */
static bool is_text(struct slu_str text, struct slu_mistakes *mistakes)
{
    if (text.n == 0)
        return slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR(""), "line 1: is empty");
    if (text.n > INT_MAX / 2)
        return slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR(""), "line 1: is too long");
    if (!slu_utf8_valid(text) || memchr(text.p, '\0', text.n))
        return slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR(""),
                           "line 1: is not text in UTF-8");
    return true;
}

struct slu_value *slu_xml_read(struct slu_arena *arena, struct slu_str text,
                               struct slu_xml_limits limits, struct slu_str *ret_root,
                               struct slu_mistakes *mistakes)
{
    struct reader reader = {.arena = arena, .mistakes = mistakes, .limits = limits};

    reader.limits.depth = limits.depth ? limits.depth : DEPTH;
    reader.limits.nodes = limits.nodes ? limits.nodes : NODES;
    if (!is_text(text, mistakes))
        return NULL;
    reader.open = slu_arena_get(arena, reader.limits.depth * sizeof(*reader.open));
    reader.parser = reader.open ? new_parser(text, &reader) : NULL;
    if (!reader.parser) {
        slu_mistake(mistakes, SLU_FAULT_MEMORY, SLU_STR(""), "out of memory");
        return NULL;
    }
    slu_buf_init(&reader.text, text.n);
    (void)xmlParseDocument(reader.parser);
    if (!reader.stopped && (!reader.parser->wellFormed || !reader.tree))
        refuse(&reader, "is not well-formed");
    xmlFreeParserCtxt(reader.parser);
    slu_buf_done(&reader.text);
    if (reader.stopped)
        return NULL;
    *ret_root = reader.open[0].name;
    return reader.tree;
}
