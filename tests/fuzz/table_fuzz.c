/* Any text given to the loader of tables: it loads or tells why not, and never crashes. What loads
 * is explained, and its operations are asked for. */
#include "mapping/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_table *table;
    struct slu_buf out;

    slu_arena_init(&arena, 1 << 22);
    slu_mistakes_init(&mistakes, &arena);
    slu_buf_init(&out, 1 << 20);
    table =
        slu_table_load_text(SLU_STR("fuzz"), (struct slu_str){(const char *)data, size}, &mistakes);
    slu_must(table || mistakes.count > 0 || mistakes.failed);
    for (int i = 0; table && i < SLU_OP_COUNT; i++)
        slu_table_explain(table, (enum slu_operation)i, &out);
    slu_table_free(table);
    slu_buf_done(&out);
    slu_arena_done(&arena);
    return 0;
}
