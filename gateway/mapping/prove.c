/*
 * What loading proves about a table that was understood, one function a proof (the numbers are
 * those at the end of mappings/README.md). The cases, which need a run, are in cases.c.
 */
#include "codec/json.h"
#include "mapping/table_internal.h"

static struct slu_str row_at(struct slu_compile *compile, const struct slu_row *row,
                             const char *member)
{
    return slu_table_at(compile, "/fields/%zu%s%s", row->index, member ? "/" : "",
                        member ? member : "");
}

/* ---- 2: words ---- */

static bool lacks_word(const struct slu_table *table, uint8_t slot, const struct slu_value *word)
{
    for (size_t i = 0; i < table->lack_count; i++) {
        const struct slu_lack *lack = &table->lacks[i];

        if (lack->slot != slot || lack->when_count)
            continue;
        if (lack->word_count == 0)
            return true;
        for (size_t k = 0; k < lack->word_count; k++)
            if (slu_value_equal(lack->words[k], word))
                return true;
    }
    return false;
}

static bool can_write(const struct slu_enumeration *words, const struct slu_value *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (words->pairs[i].write && slu_word_equal(words->pairs[i].canonical, word, false))
            return true;
    return false;
}

static void prove_word(struct slu_compile *compile, const struct slu_row *row,
                       const struct slu_value *word)
{
    if (can_write(row->words, word) || lacks_word(compile->table, row->slot, word))
        return;
    slu_table_wrong(compile, row_at(compile, row, "enum"),
                    "the canonical word %.*s has no pair that can be written and stands in no "
                    "\"cannot\"",
                    SLU_FMT(word->kind == SLU_BOOL
                                ? (word->truth ? SLU_STR("true") : SLU_STR("false"))
                                : word->text));
}

static void prove_total(struct slu_compile *compile, const struct slu_row *row)
{
    const struct slu_member *member = compile->table->slots[row->slot].member;
    struct slu_value word = {.kind = SLU_STRING};

    for (size_t i = 0; i < row->words->count; i++)
        if (!slu_member_takes(member, row->words->pairs[i].canonical))
            slu_table_wrong(compile, row_at(compile, row, "enum"),
                            "pair %zu has a canonical word that %s does not have", i,
                            member->pointer);
    if (row->words->otherwise && row->words->otherwise->kind != SLU_NULL &&
        !slu_member_takes(member, row->words->otherwise))
        slu_table_wrong(compile, row_at(compile, row, "enum"),
                        "\"otherwise\" is a word that %s does not have", member->pointer);
    if (member->type == SLU_MEMBER_BOOL) {
        prove_word(compile, row, &(struct slu_value){.kind = SLU_BOOL, .truth = false});
        prove_word(compile, row, &(struct slu_value){.kind = SLU_BOOL, .truth = true});
    }
    for (size_t i = 0; member->words && member->words[i]; i++) {
        word.text = slu_str_of(member->words[i]);
        prove_word(compile, row, &word);
    }
}

/* A pair hides those behind it with the same word unless it has a condition. */
static void prove_unhidden(struct slu_compile *compile, const struct slu_enumeration *words,
                           size_t second)
{
    const struct slu_pair *pair = &words->pairs[second];
    struct slu_str at =
        slu_table_at(compile, "/enums/%.*s/pairs/%zu", SLU_FMT(words->name), second);

    for (size_t i = 0; i < second; i++) {
        const struct slu_pair *other = &words->pairs[i];

        if (other->when_count)
            continue;
        if (other->read && pair->read &&
            slu_word_equal(other->native, pair->native, compile->table->flat))
            slu_table_wrong(compile, at, "is never read: pair %zu takes the same native word", i);
        if (other->write && pair->write && slu_word_equal(other->canonical, pair->canonical, false))
            slu_table_wrong(compile, at, "is never written: pair %zu takes the same canonical word",
                            i);
    }
}

static void prove_words(struct slu_compile *compile)
{
    const struct slu_table *table = compile->table;

    for (size_t i = 0; i < table->enum_count; i++)
        for (size_t k = 0; k < table->enums[i].count; k++)
            prove_unhidden(compile, &table->enums[i], k);
    for (size_t i = 0; i < table->row_count; i++)
        if (table->rows[i].words)
            prove_total(compile, &table->rows[i]);
}

/* ---- 3: places ---- */

bool slu_pointers_overlap(struct slu_str a, struct slu_str b)
{
    struct slu_str shorter = a.n <= b.n ? a : b, longer = a.n <= b.n ? b : a;

    return slu_str_starts(longer, shorter) && (longer.n == shorter.n || longer.p[shorter.n] == '/');
}

static bool is_flat(const struct slu_compile *compile, enum slu_side side)
{
    return compile->table->flat && side == SLU_REQUEST;
}

/* An indexed row writes /Tag.1.Key for its /Tag, so its place is a beginning of names. */
static bool collide(const struct slu_row *a, const struct slu_row *b)
{
    struct slu_str rest;

    if (slu_rows_share(a, b))
        return false;
    if (a->codec == SLU_CODEC_INDEXED && b->n.count &&
        slu_indexed_number(a->n.steps[a->n.count - 1], b->n.steps[b->n.count - 1], &rest))
        return true;
    return slu_pointers_overlap(a->n.pointer, b->n.pointer);
}

static void prove_places_of(struct slu_compile *compile, const struct slu_rows *rows,
                            enum slu_operation operation, enum slu_side side)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct slu_row *row = rows->writing[i];

        if (!row->has_n)
            continue;
        if (is_flat(compile, side) && row->n.count != 1)
            slu_table_wrong(compile, row_at(compile, row, "n"),
                            "a list of parameters has no members inside");
        if (is_flat(compile, side) &&
            (row->codec == SLU_CODEC_KV_LIST || row->codec == SLU_CODEC_WRAP))
            slu_table_wrong(compile, row_at(compile, row, "codec"),
                            "%s needs a list, which a list of parameters cannot hold",
                            slu_codec_name(row->codec));
        if (row->codec == SLU_CODEC_INDEXED && row->n.count != 1)
            slu_table_wrong(compile, row_at(compile, row, "n"), "must be a single name");
        if (is_flat(compile, side) && row->codec == SLU_CODEC_COPY && row->slot != SLU_NO_SLOT &&
            compile->table->slots[row->slot].member->type == SLU_MEMBER_TEXTS)
            slu_table_wrong(compile, row_at(compile, row, "codec"),
                            "a list of parameters cannot hold an object: use indexed");
        for (size_t k = 0; k < i; k++) {
            const struct slu_row *other = rows->writing[k];

            if (other->has_n && !row->derived && !other->derived &&
                (collide(row, other) || collide(other, row)))
                slu_table_wrong(compile, row_at(compile, row, "n"),
                                "row %zu writes this place too, in the %s of %s", other->index,
                                side == SLU_REQUEST ? "request" : "reply",
                                slu_operation_name(operation));
        }
    }
}

/* Pointers of rows and envelope are compared from the document's root. */
static void prove_envelope(struct slu_compile *compile, const struct slu_step *step,
                           const struct slu_rows *rows, struct slu_str at)
{
    for (size_t i = 0; i < step->envelope_count; i++) {
        struct slu_str pointer = step->envelope[i].path.pointer;
        struct slu_str place = slu_pointer_member(
            compile->arena, slu_pointer_member(compile->arena, at, SLU_STR("envelope")), pointer);

        if (step->each && slu_pointers_overlap(pointer, step->gives_at.pointer))
            slu_table_wrong(compile, place, "stands where the flow logs are");
        for (size_t k = 0; k < i; k++)
            if (slu_pointers_overlap(pointer, step->envelope[k].path.pointer))
                slu_table_wrong(compile, place, "stands in the place of another member");
        for (size_t k = 0; step->gives && !step->each && k < rows->count; k++)
            if (rows->writing[k]->has_n &&
                slu_pointers_overlap(pointer, slu_arena_join(compile->arena, step->gives_at.pointer,
                                                             rows->writing[k]->n.pointer)))
                slu_table_wrong(compile, place, "row %zu writes this place too",
                                rows->writing[k]->index);
    }
}

static void prove_parameters_apart(struct slu_compile *compile, const struct slu_step *step,
                                   const struct slu_rows *rows)
{
    for (size_t i = 0; step->takes && i < rows->count; i++)
        if (rows->writing[i]->has_n && rows->writing[i]->n.count == 1 &&
            slu_step_knows(compile->table, step, rows->writing[i]->n.steps[0]))
            slu_table_wrong(compile, row_at(compile, rows->writing[i], "n"),
                            "a template of the call fills this parameter too");
}

static void prove_places(struct slu_compile *compile, enum slu_operation operation)
{
    const struct slu_plan *plan = &compile->table->plans[operation];

    prove_places_of(compile, &plan->rows[SLU_REQUEST], operation, SLU_REQUEST);
    prove_places_of(compile, &plan->rows[SLU_REPLY], operation, SLU_REPLY);
    for (size_t i = 0; i < plan->step_count; i++) {
        prove_envelope(compile, &plan->steps[i], &plan->rows[SLU_REPLY],
                       slu_table_at(compile, "/operations/%s/steps/%zu/reply",
                                    slu_operation_name(operation), i));
        if (compile->table->flat)
            prove_parameters_apart(compile, &plan->steps[i], &plan->rows[SLU_REQUEST]);
    }
}

/* ---- 4: every member is spoken for ---- */

static bool lacks_member(const struct slu_table *table, const struct slu_rows *rows, uint8_t slot)
{
    for (size_t i = 0; i < rows->lack_count; i++)
        if (rows->lacks[i]->word_count == 0 && rows->lacks[i]->when_count == 0 &&
            (rows->lacks[i]->slot == slot || rows->lacks[i]->slot == table->slots[slot].parent))
            return true;
    return false;
}

static void prove_members_of(struct slu_compile *compile, enum slu_operation operation,
                             enum slu_side side)
{
    const struct slu_table *table = compile->table;
    const struct slu_rows *rows = &table->plans[operation].rows[side];

    for (uint8_t i = 0; i < table->slot_count; i++) {
        const struct slu_slot *slot = &table->slots[i];
        bool occurs = side == SLU_REQUEST ? slot->member->in_request : slot->member->in_reply;

        if (!occurs || !slot->member->translated || slot->inner ||
            (rows->covered | rows->fixed) >> i & 1 || lacks_member(table, rows, i))
            continue;
        slu_table_wrong(compile, SLU_STR("/fields"),
                        "%s has neither a row nor a \"cannot\" in the %s of %s",
                        slot->member->pointer, side == SLU_REQUEST ? "request" : "reply",
                        slu_operation_name(operation));
    }
}

static void prove_members(struct slu_compile *compile, enum slu_operation operation)
{
    const struct slu_plan *plan = &compile->table->plans[operation];
    const struct slu_step *takes = slu_table_main_step(compile->table, operation, SLU_REQUEST);
    const struct slu_step *gives = slu_table_main_step(compile->table, operation, SLU_REPLY);

    if (takes && (operation == SLU_OP_CREATE || operation == SLU_OP_UPDATE))
        prove_members_of(compile, operation, SLU_REQUEST);
    if (plan->served && gives && gives->gives && !gives->echo)
        prove_members_of(compile, operation, SLU_REPLY);
}

/* ---- 5: every name in a template can be had ---- */

static bool is_captured(const struct slu_plan *plan, size_t before, struct slu_str name)
{
    for (size_t i = 0; i < before; i++)
        for (size_t k = 0; k < plan->steps[i].capture_count; k++)
            if (slu_str_eq(plan->steps[i].capture[k].name, name))
                return true;
    return false;
}

static bool is_parameter(const struct slu_table *table, struct slu_str name)
{
    for (size_t i = 0; i < table->parameter_count; i++)
        if (slu_str_eq(table->parameters[i].name, name))
            return true;
    return false;
}

/* What whoever makes a request decides about it; a reply may repeat its token. */
static bool is_of_request(const struct slu_plan *plan, enum slu_side side, struct slu_str name)
{
    return (side == SLU_REQUEST && (slu_str_is(name, "reply") || slu_str_is(name, "REPLY"))) ||
           (plan->token.name.p && slu_str_is(name, "token"));
}

/* A reply may name the id even of a create: whoever writes it has chosen one. */
static void prove_names(struct slu_compile *compile, const struct slu_template *template,
                        enum slu_operation operation, size_t step, enum slu_side side,
                        struct slu_str at)
{
    const struct slu_plan *plan = &compile->table->plans[operation];
    bool has_id = side == SLU_REPLY || (operation != SLU_OP_CREATE && operation != SLU_OP_LIST);

    for (size_t i = 0; i < template->count; i++) {
        struct slu_str name = template->pieces[i].text;
        bool number, known = slu_str_is(name, "host") || slu_str_is(name, "request_id") ||
                             (slu_str_is(name, "id") && has_id) ||
                             is_parameter(compile->table, name) ||
                             is_of_request(plan, side, name) || is_captured(plan, step, name) ||
                             (side == SLU_REPLY && slu_page_var(name, &number));

        if (template->pieces[i].variable && !known)
            slu_table_wrong(compile, at, "nothing gives the value of {%.*s} here", SLU_FMT(name));
    }
}

static void prove_named(struct slu_compile *compile, const struct slu_named_templates *named,
                        enum slu_operation operation, size_t step, struct slu_str at)
{
    for (size_t i = 0; i < named->count; i++)
        prove_names(compile, &named->items[i].template, operation, step, SLU_REQUEST,
                    slu_pointer_member(compile->arena, at, named->items[i].name));
}

static void prove_templates(struct slu_compile *compile, enum slu_operation operation)
{
    const struct slu_table *table = compile->table;
    const struct slu_plan *plan = &table->plans[operation];

    for (size_t i = 0; i < plan->step_count + plan->view_count; i++) {
        const struct slu_step *step = &plan->steps[i];
        bool view = i >= plan->step_count;
        struct slu_str at =
            slu_table_at(compile, "/operations/%s/%s/%zu", slu_operation_name(operation),
                         view ? "views" : "steps", view ? i - plan->step_count : i);

        prove_names(compile, &step->path, operation, i, SLU_REQUEST, at);
        prove_named(compile, &step->query, operation, i, at);
        prove_named(compile, &step->headers, operation, i, at);
        prove_named(compile, &table->headers, operation, i, SLU_STR("/transport/headers"));
        for (size_t k = 0; k < table->scheme_count; k++) {
            prove_named(compile, &step->scheme_query[k], operation, i, at);
            prove_named(compile, &step->scheme_headers[k], operation, i, at);
        }
        for (size_t k = 0; k < step->envelope_count; k++)
            if (!step->envelope[k].constant)
                prove_names(compile, &step->envelope[k].template, operation, plan->step_count,
                            SLU_REPLY, at);
    }
}

/* ---- an update's parts ---- */

/* Where one call sets and another clears, there are both, and none that does it all. */
static void prove_carries(struct slu_compile *compile, enum slu_operation operation)
{
    const struct slu_plan *plan = &compile->table->plans[operation];
    size_t steps[SLU_CARRIES_NULLS + 1] = {0};

    for (size_t i = 0; i < plan->step_count; i++) {
        const struct slu_step *step = &plan->steps[i];

        if (step->carries != SLU_CARRIES_ALL && (operation != SLU_OP_UPDATE || !step->takes))
            slu_table_wrong(compile,
                            slu_table_at(compile, "/operations/%s/steps/%zu/carries",
                                         slu_operation_name(operation), i),
                            "has a meaning for a call of an update that has a document");
        else if (step->takes)
            steps[step->carries]++;
    }
    if ((steps[SLU_CARRIES_VALUES] > 0) != (steps[SLU_CARRIES_NULLS] > 0) ||
        (steps[SLU_CARRIES_VALUES] > 0 && steps[SLU_CARRIES_ALL] > 0))
        slu_table_wrong(
            compile, slu_table_at(compile, "/operations/%s/steps", slu_operation_name(operation)),
            "where a step carries \"values\" another carries \"nulls\", and every "
            "one with a document says which");
}

/* ---- 6: writes can be looked up and undone ---- */

static void prove_match(struct slu_compile *compile, enum slu_operation operation,
                        struct slu_str at)
{
    const struct slu_find_by *find_by = &compile->table->plans[operation].find_by;

    for (size_t i = 0; i < find_by->match_count; i++)
        (void)slu_table_slot(compile, find_by->match[i], at);
    if (find_by->match_count == 0)
        slu_table_wrong(compile, at, "\"match\" must name what to compare");
}

static void prove_poll(struct slu_compile *compile, enum slu_operation operation)
{
    const struct slu_poll *poll = &compile->table->plans[operation].poll;
    struct slu_str at = slu_table_at(compile, "/operations/%s/poll", slu_operation_name(operation));
    const struct slu_member *status = slu_flow_log_member(SLU_STR("/status"));

    if (!compile->table->plans[operation].has_poll)
        return;
    if (!slu_table_serves(compile->table, poll->with))
        slu_table_wrong(compile, at, "\"resource\" names an operation that the table lacks");
    for (size_t i = 0; i < poll->done_count + poll->failed_count; i++) {
        struct slu_value word = {.kind = SLU_STRING,
                                 .text = i < poll->done_count ? poll->done[i]
                                                              : poll->failed[i - poll->done_count]};

        if (!slu_member_takes(status, &word))
            slu_table_wrong(compile, at, "%.*s is no status", SLU_FMT(word.text));
    }
}

static void prove_recovery(struct slu_compile *compile, enum slu_operation operation)
{
    const struct slu_plan *plan = &compile->table->plans[operation];
    struct slu_str at = slu_table_at(compile, "/operations/%s", slu_operation_name(operation));

    prove_poll(compile, operation);
    if (plan->serialize_by.p)
        (void)slu_table_slot(compile, plan->serialize_by, at);
    if (!slu_operation_writes(operation))
        return;
    if ((plan->find_by.operation == SLU_OP_COUNT) == (plan->find_by.never.p == NULL))
        slu_table_wrong(compile, at,
                        "a write needs \"find_by\", with either \"operation\" or \"never\"");
    if ((plan->undo == SLU_OP_COUNT) == (plan->undo_never.p == NULL))
        slu_table_wrong(compile, at,
                        "a write needs \"undo\", with either \"operation\" or \"never\"");
    if (plan->find_by.operation != SLU_OP_COUNT) {
        prove_match(compile, operation, at);
        if (!slu_table_serves(compile->table, plan->find_by.operation))
            slu_table_wrong(compile, at, "\"find_by\" names an operation that the table lacks");
    }
    if (plan->undo != SLU_OP_COUNT && !slu_table_serves(compile->table, plan->undo))
        slu_table_wrong(compile, at, "\"undo\" names an operation that the table lacks");
}

/* ---- 7: what the cloud insists on is sent ---- */

static void prove_required(struct slu_compile *compile)
{
    const struct slu_table *table = compile->table;

    for (size_t i = 0; i < table->row_count; i++) {
        const struct slu_row *row = &table->rows[i];

        if ((row->required || row->required_if_count) &&
            !(row->requests && row->operations >> SLU_OP_CREATE & 1))
            slu_table_wrong(compile, row_at(compile, row, NULL),
                            "is required, but takes no part in the create request");
        if (row->derived && row->required)
            slu_table_wrong(compile, row_at(compile, row, NULL),
                            "is derived, so another row must be required");
    }
}

/* The rows whose members are always sent, or told from elsewhere, cannot heed a condition. */
static void prove_lacks(struct slu_compile *compile)
{
    const struct slu_table *table = compile->table;

    for (size_t i = 0; i < table->lack_count; i++)
        for (size_t k = 0; table->lacks[i].when_count && k < table->row_count; k++) {
            const struct slu_row *row = &table->rows[k];
            bool heeds = slu_codec_is_single(row->codec) || row->codec == SLU_CODEC_INDEXED;

            for (size_t j = 0; j < row->slot_count; j++)
                if (row->slots[j] == table->lacks[i].slot && !heeds)
                    slu_table_wrong(compile, slu_table_at(compile, "/cannot/%zu/when", i),
                                    "cannot be heeded by the codec %s of row %zu",
                                    slu_codec_name(row->codec), row->index);
        }
}

/* A derived row without the row it derives from would never agree with anything. */
static void prove_derived(struct slu_compile *compile, enum slu_operation operation,
                          enum slu_side side)
{
    const struct slu_rows *rows = &compile->table->plans[operation].rows[side];

    for (size_t i = 0; i < rows->count; i++) {
        bool found = !rows->writing[i]->derived;

        for (size_t k = 0; !found && k < rows->count; k++)
            found = !rows->writing[k]->derived && rows->writing[k]->has_n &&
                    slu_pointers_overlap(rows->writing[k]->n.pointer, rows->writing[i]->n.pointer);
        if (!found)
            slu_table_wrong(compile, row_at(compile, rows->writing[i], "derived"),
                            "no other row writes this place in the %s of %s",
                            side == SLU_REQUEST ? "request" : "reply",
                            slu_operation_name(operation));
    }
}

void slu_table_prove(struct slu_compile *compile)
{
    bool any = false;

    prove_words(compile);
    prove_required(compile);
    prove_lacks(compile);
    slu_table_prove_paging(compile);
    slu_table_prove_encoding(compile);
    for (int i = 0; i < SLU_OP_COUNT; i++) {
        enum slu_operation operation = (enum slu_operation)i;

        if (!compile->table->plans[i].served)
            continue;
        any = true;
        prove_places(compile, operation);
        prove_members(compile, operation);
        prove_templates(compile, operation);
        prove_carries(compile, operation);
        prove_recovery(compile, operation);
        prove_derived(compile, operation, SLU_REQUEST);
        prove_derived(compile, operation, SLU_REPLY);
    }
    if (!any)
        slu_table_wrong(compile, SLU_STR("/operations"), "there is none");
}
