/*
 * The XML reader on any bytes: a tree or a mistake, never both; what is read is written, read again
 * and must be equal.
 */
#include "base/arena.h"
#include "codec/xml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_survive_writing(struct slu_arena *arena, const struct slu_value *value,
                                 struct slu_str root)
{
    struct slu_mistakes mistakes;
    struct slu_value *again;
    struct slu_str name;
    struct slu_buf text;

    slu_buf_init(&text, 0);
    slu_mistakes_init(&mistakes, arena);
    if (!slu_xml_write(&text, value, root, SLU_STR("urn:fuzz")))
        abort();
    again = slu_xml_read(arena, slu_buf_str(&text), (struct slu_xml_limits){0}, &name, &mistakes);
    if (!again || !slu_value_equal(value, again) || !slu_str_eq(root, name))
        abort();
    slu_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_str text = {(const char *)data, size}, root;
    struct slu_mistakes mistakes;
    struct slu_arena arena;
    struct slu_value *value;

    slu_arena_init(&arena, 64 << 20);
    slu_mistakes_init(&mistakes, &arena);
    value = slu_xml_read(&arena, text, (struct slu_xml_limits){0}, &root, &mistakes);
    if ((value == NULL) == slu_mistakes_none(&mistakes))
        abort();
    if (value)
        must_survive_writing(&arena, value, root);
    slu_arena_done(&arena);
    return 0;
}
