/*
 * XML documents in flight (XML 1.0 with namespaces), read by libxml2 into struct slu_value and
 * written back. An element is a member under its local name; several of one name among siblings are
 * one array in the place of the first; an element with nothing but text is a string, also an empty
 * one. Attributes, namespaces, comments and processing instructions are dropped. All values are
 * text, and a list of one, an empty list and an empty text cannot be told apart here: whoever knows
 * what is expected does that.
 *
 * The reader takes what a hostile peer sends: UTF-8 only, no document type declaration at all (so
 * no entities but the five and character references, and nothing that is fetched), no text beside
 * elements, bounded depth and nodes.
 */
#ifndef SLU_CODEC_XML_H
#define SLU_CODEC_XML_H

#include "base/buf.h"
#include "base/fault.h"
#include "codec/value.h"

struct slu_xml_limits {
    uint32_t depth; /* 0 = 32 */
    uint32_t nodes; /* 0 = 20000 */
};

/* The root's content (an object or a string) and its local name, both in the arena. NULL on a
 * mistake: the first one ends the reading; its pointer is the place reached so far, its words begin
 * with the line. Kind SLU_FAULT_INVALID; SLU_FAULT_MEMORY when the arena or the heap is spent. */
SLU_NODISCARD struct slu_value *slu_xml_read(struct slu_arena *arena, struct slu_str text,
                                             struct slu_xml_limits limits, struct slu_str *ret_root,
                                             struct slu_mistakes *mistakes);

/* The document with its declaration; nulls and empty arrays are left out. `space` is the default
 * namespace, or empty. False when something cannot be said in XML: a name that is none, a
 * character that XML lacks, an array that is no member; `out` then holds a beginning. */
SLU_NODISCARD bool slu_xml_write(struct slu_buf *out, const struct slu_value *value,
                                 struct slu_str root, struct slu_str space);
/* Can an element have this name? (NCName: without a colon.) */
bool slu_xml_name_valid(struct slu_str name);

#endif
