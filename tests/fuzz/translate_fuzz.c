/*
 * Any document given to the tables of mappings/: the first byte chooses table, operation, side,
 * direction and strictness, the rest is JSON, or a reply's body. What comes out of one direction is
 * given to the other.
 */
#include "codec/json.h"
#include "mapping/table_internal.h"

static const char *const files[] = {
    SLU_SOURCE_DIR "/tests/unit/mapping/data/nimbus.json",
    SLU_SOURCE_DIR "/tests/unit/mapping/data/cirrus.json",
    SLU_SOURCE_DIR "/tests/unit/mapping/data/stratus.json",
};
static struct slu_table *tables[SLU_COUNT(files)];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(void)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;

    slu_arena_init(&arena, 1 << 22);
    slu_mistakes_init(&mistakes, &arena);
    for (size_t i = 0; i < SLU_COUNT(files); i++) {
        tables[i] = slu_table_load(files[i], &mistakes);
        slu_must(tables[i]);
    }
    slu_arena_done(&arena);
}

struct call {
    const struct slu_table *table;
    enum slu_operation operation;
    enum slu_side side;
    bool write;
    struct slu_vars vars;
    struct slu_arena *arena;
    struct slu_losses losses;
    struct slu_mistakes mistakes;
};

static struct slu_value *translate(struct call *call, const struct slu_value *document, bool write)
{
    return write ? slu_table_to_native(call->table, call->operation, call->side, document,
                                       &call->vars, call->arena, &call->losses, &call->mistakes)
                 : slu_table_to_canonical(call->table, call->operation, call->side, document,
                                          &call->vars, call->arena, &call->losses, &call->mistakes);
}

static void reply(struct call *call, struct slu_str body)
{
    struct slu_response response = {.status = 200, .body = body};
    struct slu_outcome outcome;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    for (size_t i = 0; i < slu_table_steps(call->table, call->operation); i++)
        if (slu_table_read_reply(call->table, call->operation, i, &response, NULL, &call->vars,
                                 call->arena, &call->losses, &outcome, &fault))
            slu_must(outcome.kind == SLU_FAULT_NONE || outcome.words.n);
}

static void visit(struct call *call, struct slu_str text)
{
    struct slu_request request = {
        .method = SLU_STR("POST"), .path = SLU_STR("/"), .query = text, .body = text};
    struct slu_match match;
    struct slu_value *canonical;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    if (slu_table_match(call->table, &request, -1, call->arena, &match, &fault))
        (void)!slu_table_read_request(call->table, &match, call->arena, &call->mistakes,
                                      &canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slu_arena arena;
    struct slu_str text;
    struct slu_value *document;
    struct call call = {.arena = &arena};

    if (!tables[0])
        load();
    if (size < 2)
        return 0;
    call.table = tables[data[0] & 16 ? 2 : data[0] & 1];
    call.side = data[0] & 2 ? SLU_REPLY : SLU_REQUEST;
    call.write = data[0] & 4;
    call.operation = (enum slu_operation)(data[1] % SLU_OP_COUNT);
    text = (struct slu_str){(const char *)data + 2, size - 2};
    slu_arena_init(&arena, 1 << 22);
    slu_losses_init(&call.losses, &arena, data[0] & 8);
    slu_mistakes_init(&call.mistakes, &arena);
    reply(&call, text);
    visit(&call, text);
    document = slu_json_read(&arena, text, (struct slu_json_limits){0}, &call.mistakes);
    if (document)
        document = translate(&call, document, call.write);
    if (document)
        (void)!translate(&call, document, !call.write);
    slu_arena_done(&arena);
    return 0;
}
