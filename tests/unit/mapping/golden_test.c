/*
 * Every table of mappings/ against documents of the clouds' manuals and SDKs.
 *
 * tests/golden/<dialect>/<operation>/<case>.json is one pair, translated both ways:
 *   source, comment   where the native document comes from, and what the pair shows
 *   operation, side, canonical, native, vars
 *   only              "read" (native to canonical) or "write", where one way is all there is
 *   loss              canonical pointers that get lost in that one way: a request is refused at
 *                     exactly these when strict, and written as `native` says when lenient
 *   encoding          "xml": `native` is the text of a reply in XML, whose root is looked at too
 *   sent              the canonical request that this reply answers: read as the client role does,
 *                     completed with what was sent and with what the table assumes
 *   refused           pointers at which the request is refused when strict; canonical ones when
 *                     writing, native ones when reading. A lenient writer loses them instead, but
 *                     for members that the cloud insists on; a change of which nothing is left is
 *                     still refused
 *
 * tests/golden/<dialect>/errors.json lists documented errors: status, body (a document, or the text
 * of something that is none), operation, and the kind, retry, pointer and message_passes that the
 * table must make of it.
 *
 * tests/golden/<dialect>/doors.json lists what the server role says: operation, kind, perhaps a
 * door word, and the status and body that a client of that cloud gets; with the encoding "xml" the
 * body is such a text. Or what it understands: request (method, path, query, body of a form), and
 * the operation, vars and canonical document that it is, or `refused` with the words that say why;
 * with `flow_logs` also the body that answers it when there are these.
 */
#include "test.h"

#include "codec/json.h"
#include "codec/xml.h"
#include "mapping/table.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { TABLES_MOST = 32, PAIRS_MOST = 1024, PATH_MOST = 600 };

struct loaded {
    struct slu_table *table;
    const struct slu_value *source; /* the file's own document */
    char dialect[64];
};

static struct loaded tables[TABLES_MOST];
static size_t table_count;
static struct slu_arena all; /* documents that live as long as the program */
static struct slu_str texts[PAIRS_MOST + 4 * TABLES_MOST];
static size_t text_count;

static struct {
    unsigned read, written, lossy, refused, errors, doors, requests, wrong;
} tally;

static void show_mistakes(const char *where, const struct slu_mistakes *mistakes)
{
    for (const struct slu_mistake *m = mistakes->first; m; m = m->next)
        print_error("%s: %.*s: %.*s\n", where, SLU_FMT(m->pointer), SLU_FMT(m->detail));
}

static const struct slu_value *document(const char *path)
{
    struct slu_mistakes mistakes;
    const struct slu_value *value;

    assert_true(text_count < SLU_COUNT(texts));
    texts[text_count] = test_file(path);
    slu_mistakes_init(&mistakes, &all);
    value = slu_json_read(&all, texts[text_count++], (struct slu_json_limits){0}, &mistakes);
    show_mistakes(path, &mistakes);
    if (!value)
        fail_msg("%s is not valid JSON", path);
    return value;
}

static bool names_json(const struct dirent *entry, struct slu_str *ret_stem)
{
    struct slu_str name = slu_str_of(entry->d_name);

    if (!slu_str_ends(name, SLU_STR(".json")) || slu_str_is(name, "schema.json"))
        return false;
    *ret_stem = (struct slu_str){name.p, name.n - 5};
    return true;
}

static void load(struct slu_str stem)
{
    struct loaded *loaded = &tables[table_count];
    struct slu_mistakes mistakes;
    char path[PATH_MOST];

    assert_true(table_count < TABLES_MOST);
    snprintf(loaded->dialect, sizeof(loaded->dialect), "%.*s", SLU_FMT(stem));
    snprintf(path, sizeof(path), "%s/mappings/%s.json", SLU_SOURCE_DIR, loaded->dialect);
    slu_mistakes_init(&mistakes, &all);
    loaded->table = slu_table_load(path, &mistakes);
    show_mistakes(path, &mistakes);
    if (!loaded->table || !slu_mistakes_none(&mistakes))
        fail_msg("%s does not load", path);
    loaded->source = document(path);
    table_count++;
}

/* One pair. */

struct pair {
    const struct loaded *loaded;
    const char *path;
    enum slu_operation operation;
    enum slu_side side;
    const struct slu_value *file, *canonical, *native, *loss, *refused, *sent;
    struct slu_vars vars;
    bool read, write, xml;
    struct slu_str root; /* then */
};

static struct slu_str member_text(const struct slu_value *object, const char *name)
{
    const struct slu_value *value = slu_value_find(object, slu_str_of(name));

    return slu_value_is(value, SLU_STRING) ? value->text : SLU_STR_NONE;
}

static void read_vars(const struct slu_value *object, struct slu_vars *vars)
{
    *vars = (struct slu_vars){0};
    if (!object)
        return;
    slu_value_each (var, object)
        assert_true(slu_vars_set(vars, var->name, var->text));
}

static const struct slu_value *from_xml(struct slu_str text, struct slu_str *ret_root)
{
    struct slu_mistakes mistakes;
    const struct slu_value *value;

    slu_mistakes_init(&mistakes, &all);
    value = slu_xml_read(&all, text, (struct slu_xml_limits){0}, ret_root, &mistakes);
    show_mistakes("XML", &mistakes);
    if (!value)
        fail_msg("no XML: %.*s", SLU_FMT(text));
    return value;
}

static bool is_in_xml(const struct slu_value *file)
{
    return slu_str_is(member_text(file, "encoding"), "xml");
}

static void read_xml(struct pair *pair)
{
    pair->xml = is_in_xml(pair->file);
    if (!pair->xml)
        return;
    pair->native = from_xml(pair->native->text, &pair->root);
    assert_true(slu_vars_set(&pair->vars, SLU_STR("reply"), SLU_STR("xml")));
}

static struct pair read_pair(const struct loaded *loaded, const char *path)
{
    struct slu_str kept = slu_arena_str(&all, (struct slu_str){path, strlen(path) + 1});
    struct pair pair = {.loaded = loaded, .path = kept.p, .file = document(path)};
    struct slu_str only = member_text(pair.file, "only");

    if (!slu_operation_of(member_text(pair.file, "operation"), &pair.operation) ||
        member_text(pair.file, "source").n == 0)
        fail_msg("%s needs operation and source", path);
    pair.side = slu_str_is(member_text(pair.file, "side"), "reply") ? SLU_REPLY : SLU_REQUEST;
    pair.canonical = slu_value_member(pair.file, "canonical");
    pair.native = slu_value_member(pair.file, "native");
    pair.loss = slu_value_member(pair.file, "loss");
    pair.refused = slu_value_member(pair.file, "refused");
    pair.sent = slu_value_member(pair.file, "sent");
    read_vars(slu_value_member(pair.file, "vars"), &pair.vars);
    read_xml(&pair);
    pair.read = !slu_str_is(only, "write");
    pair.write = !slu_str_is(only, "read");
    if (pair.loss || pair.refused || pair.sent)
        assert_true(pair.read != pair.write);
    return pair;
}

static struct slu_str body_text(const struct slu_value *body)
{
    struct slu_buf text;
    struct slu_str copy;

    if (!body)
        return SLU_STR_NONE;
    if (body->kind == SLU_STRING)
        return body->text;
    slu_buf_init(&text, 0);
    slu_json_write(&text, body);
    copy = slu_arena_str(&all, slu_buf_str(&text));
    slu_buf_done(&text);
    return copy;
}

/* What the client role makes of a reply. */
static struct slu_outcome read_reply(const struct loaded *loaded, enum slu_operation operation,
                                     int status, const struct slu_value *body,
                                     const struct slu_value *sent, const struct slu_vars *vars,
                                     struct slu_losses *losses)
{
    struct slu_response response = {.status = status, .body = body_text(body)};
    struct slu_vars known = *vars;
    struct slu_outcome outcome = {0};
    struct slu_fault fault = {0};

    assert_true(slu_headers_set(&all, &response.headers, SLU_STR("content-type"),
                                SLU_STR("application/json")));
    if (!slu_table_read_reply(loaded->table, operation, 0, &response, sent, &known, &all, losses,
                              &outcome, &fault))
        fail_msg("%s: %s", loaded->dialect, fault.words);
    return outcome;
}

struct outcome {
    const struct slu_value *value;
    struct slu_losses losses;
    struct slu_mistakes mistakes;
};

/* A whole reply in XML, and the tree that it is. */
static const struct slu_value *write_xml(const struct pair *pair, struct slu_losses *losses)
{
    struct slu_response response = {0};
    struct slu_fault fault = {0};
    const struct slu_value *value;
    struct slu_str root;

    if (!slu_table_write_reply(pair->loaded->table, pair->operation, 0, pair->canonical,
                               &pair->vars, &all, losses, &response, &fault))
        fail_msg("%s: %s", pair->path, fault.words);
    value = from_xml(response.body, &root);
    if (!slu_str_eq(root, pair->root))
        fail_msg("%s: the root is %.*s", pair->path, SLU_FMT(root));
    assert_true(slu_str_starts(slu_headers_value(&response.headers, SLU_STR("content-type")),
                               SLU_STR("text/xml")));
    return value;
}

static struct outcome translate(const struct pair *pair, bool write, bool lenient)
{
    struct outcome outcome;

    slu_losses_init(&outcome.losses, &all, lenient);
    slu_mistakes_init(&outcome.mistakes, &all);
    if (pair->sent) {
        outcome.value =
            read_reply(pair->loaded, pair->operation, 200, slu_value_member(pair->file, "native"),
                       pair->sent, &pair->vars, &outcome.losses)
                .flow_log;
        return outcome;
    }
    if (write && pair->xml) {
        outcome.value = write_xml(pair, &outcome.losses);
        return outcome;
    }
    outcome.value =
        write
            ? slu_table_to_native(pair->loaded->table, pair->operation, pair->side, pair->canonical,
                                  &pair->vars, &all, &outcome.losses, &outcome.mistakes)
            : slu_table_to_canonical(pair->loaded->table, pair->operation, pair->side, pair->native,
                                     &pair->vars, &all, &outcome.losses, &outcome.mistakes);
    return outcome;
}

static void require_value(const struct pair *pair, const char *way, const struct outcome *outcome,
                          const struct slu_value *expected)
{
    struct slu_buf is, should;

    if (outcome->value && slu_value_equal(outcome->value, expected))
        return;
    show_mistakes(pair->path, &outcome->mistakes);
    slu_buf_init(&is, 0);
    slu_buf_init(&should, 0);
    if (outcome->value)
        slu_json_write(&is, outcome->value);
    slu_json_write(&should, expected);
    print_error("%s, %s\n  is       %.*s\n  expected %.*s\n", pair->path, way,
                SLU_FMT(slu_buf_str(&is)), SLU_FMT(slu_buf_str(&should)));
    slu_buf_done(&is);
    slu_buf_done(&should);
    tally.wrong++;
}

static bool listed(const struct slu_value *pointers, struct slu_str pointer)
{
    if (pointers)
        slu_value_each (item, pointers)
            if (slu_str_eq(item->text, pointer))
                return true;
    return false;
}

static void require_mistakes(const struct pair *pair, const struct outcome *outcome,
                             const struct slu_value *pointers)
{
    size_t expected = pointers ? pointers->count : 0;
    bool right = outcome->mistakes.count == expected;

    for (const struct slu_mistake *m = outcome->mistakes.first; m; m = m->next)
        right &= listed(pointers, m->pointer);
    if (right)
        return;
    show_mistakes(pair->path, &outcome->mistakes);
    print_error("%s: %zu mistakes, %zu expected, or not at those pointers\n", pair->path,
                outcome->mistakes.count, expected);
    tally.wrong++;
}

static void require_losses(const struct pair *pair, const struct outcome *outcome,
                           const struct slu_value *pointers)
{
    size_t expected = pointers ? pointers->count : 0;
    bool right = outcome->losses.count == expected;

    for (const struct slu_loss *loss = outcome->losses.first; loss; loss = loss->next) {
        right &= listed(pointers, loss->pointer) && loss->reason.n > 0;
        right &= loss->direction == pair->side;
    }
    if (right)
        return;
    for (const struct slu_loss *loss = outcome->losses.first; loss; loss = loss->next)
        print_error("%s: lost %.*s: %.*s\n", pair->path, SLU_FMT(loss->pointer),
                    SLU_FMT(loss->reason));
    print_error("%s: %zu losses, %zu expected, or not at those pointers\n", pair->path,
                outcome->losses.count, expected);
    tally.wrong++;
}

static bool insisted_on(const struct pair *pair, struct slu_str pointer)
{
    const struct slu_value *fields = slu_value_member(pair->loaded->source, "fields");

    if (pair->operation != SLU_OP_CREATE)
        return false;
    slu_value_each (row, fields) {
        const struct slu_value *required = slu_value_member(row, "required");

        if (required && required->truth && slu_str_eq(member_text(row, "c"), pointer))
            return true;
    }
    return false;
}

static bool is_lost(const struct outcome *outcome, struct slu_str pointer)
{
    for (const struct slu_loss *loss = outcome->losses.first; loss; loss = loss->next)
        if (slu_str_starts(pointer, loss->pointer))
            return true;
    return false;
}

static bool is_mistaken(const struct outcome *outcome, struct slu_str pointer)
{
    for (const struct slu_mistake *m = outcome->mistakes.first; m; m = m->next)
        if (slu_str_eq(m->pointer, pointer))
            return true;
    return false;
}

/* The lenient writer neither sends what was refused nor keeps silent about it. */
static void require_care(const struct pair *pair)
{
    struct outcome outcome = translate(pair, true, true);
    bool nothing_left = is_mistaken(&outcome, SLU_STR("")) && !listed(pair->refused, SLU_STR(""));

    slu_value_each (pointer, pair->refused) {
        bool mistaken = is_mistaken(&outcome, pointer->text);

        if (mistaken || (is_lost(&outcome, pointer->text) && !insisted_on(pair, pointer->text)))
            continue;
        print_error("%s: lenient, %.*s is neither refused nor lost, or lost although required\n",
                    pair->path, SLU_FMT(pointer->text));
        tally.wrong++;
    }
    if (outcome.mistakes.count + outcome.losses.count > pair->refused->count + nothing_left) {
        print_error("%s: lenient, more is refused or lost than expected\n", pair->path);
        tally.wrong++;
    }
}

static void check_way(const struct pair *pair, bool write)
{
    struct outcome outcome = translate(pair, write, pair->loss != NULL);

    if (pair->refused) {
        require_mistakes(pair, &outcome, pair->refused);
        if (write)
            require_care(pair);
        tally.refused++;
        return;
    }
    if (pair->loss && pair->side == SLU_REQUEST) {
        struct outcome strict = translate(pair, write, false);

        require_mistakes(pair, &strict, pair->loss);
    }
    require_value(pair, write ? "canonical to native" : "native to canonical", &outcome,
                  write ? pair->native : pair->canonical);
    require_mistakes(pair, &outcome, NULL);
    require_losses(pair, &outcome, pair->loss);
    tally.lossy += pair->loss != NULL;
    tally.written += write;
    tally.read += !write;
}

/* All pairs, read once. */

static struct pair pairs[PAIRS_MOST];
static size_t pair_count;

static void read_folder(const struct loaded *loaded, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[PATH_MOST + sizeof(entries[i]->d_name)];

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (slu_str_ends(slu_str_of(entries[i]->d_name), SLU_STR(".json"))) {
            assert_true(pair_count < PAIRS_MOST);
            pairs[pair_count++] = read_pair(loaded, path);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void read_pairs(const struct loaded *loaded)
{
    for (int operation = 0; operation < SLU_OP_COUNT; operation++) {
        char folder[PATH_MOST];

        snprintf(folder, sizeof(folder), "%s/tests/golden/%s/%s", SLU_SOURCE_DIR, loaded->dialect,
                 slu_operation_name((enum slu_operation)operation));
        read_folder(loaded, folder);
    }
}

static void pairs_hold_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < pair_count; i++) {
        if (pairs[i].write)
            check_way(&pairs[i], true);
        if (pairs[i].read)
            check_way(&pairs[i], false);
    }
    print_message("%zu pairs: %u written, %u read, %u with losses, %u refused\n", pair_count,
                  tally.written, tally.read, tally.lossy, tally.refused);
    assert_int_equal(tally.wrong, 0);
}

static void own_cases_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        struct slu_mistakes mistakes;

        slu_mistakes_init(&mistakes, &all);
        assert_true(slu_table_prove_cases(tables[i].table, &mistakes));
        assert_true(slu_mistakes_none(&mistakes));
    }
}

/* Is every row of every table in some pair, of the tests or the table's own? */

static const struct slu_value *at(const struct slu_value *root, struct slu_str pointer)
{
    struct slu_path path;

    assert_true(slu_path_read(&all, pointer, &path));
    return slu_path_get(&path, root);
}

static bool row_takes_part(const struct slu_value *row, const struct pair *pair)
{
    struct slu_str direction = member_text(row, "direction");
    const struct slu_value *operations = slu_value_member(row, "operations");

    if (slu_str_is(direction, pair->side == SLU_REPLY ? "request" : "reply"))
        return false;
    return !operations || listed(operations, slu_str_of(slu_operation_name(pair->operation)));
}

/* Where a native place of that name is anywhere in the document: rows are addressed from `at`. */
static bool has_member(const struct slu_value *value, struct slu_str name)
{
    if (value->kind != SLU_OBJECT && value->kind != SLU_ARRAY)
        return false;
    slu_value_each (child, value)
        if (slu_str_eq(child->name, name) || has_member(child, name))
            return true;
    return false;
}

static bool pair_uses_row(const struct slu_value *row, const struct pair *pair)
{
    const struct slu_value *c = slu_value_member(row, "c"), *value;

    if (!row_takes_part(row, pair) || pair->refused || !pair->native || !pair->canonical)
        return false;
    if (!c) {
        struct slu_str n = member_text(row, "n");

        return has_member(pair->native, (struct slu_str){n.p + 1, n.n - 1});
    }
    value = at(pair->canonical, c->kind == SLU_ARRAY ? c->first->text : c->text);
    return value && value->kind != SLU_NULL;
}

/* One of the table's own cases, which the loader has run. */
static struct pair own_case(const struct loaded *loaded, const struct slu_value *file)
{
    struct pair pair = {.loaded = loaded, .file = file};

    assert_true(slu_operation_of(member_text(file, "operation"), &pair.operation));
    pair.side = slu_str_is(member_text(file, "side"), "reply") ? SLU_REPLY : SLU_REQUEST;
    pair.canonical = slu_value_member(file, "canonical");
    pair.native = slu_value_member(file, "native");
    return pair;
}

static bool own_case_uses_row(const struct slu_value *row, const struct loaded *loaded)
{
    const struct slu_value *cases = slu_value_member(loaded->source, "cases");

    if (cases)
        slu_value_each (file, cases) {
            struct pair pair = own_case(loaded, file);

            if (member_text(file, "source").n && pair_uses_row(row, &pair))
                return true;
        }
    return false;
}

static bool row_is_used(const struct slu_value *row, const struct loaded *loaded)
{
    for (size_t i = 0; i < pair_count; i++)
        if (pairs[i].loaded == loaded && pair_uses_row(row, &pairs[i]))
            return true;
    return own_case_uses_row(row, loaded);
}

static void every_row_is_exercised(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        const struct slu_value *fields = slu_value_member(tables[i].source, "fields");
        unsigned rows = 0, seen = 0;

        slu_value_each (row, fields) {
            bool used = row_is_used(row, &tables[i]);

            rows++;
            seen += used;
            if (!used)
                print_error("%s: row %u is in no pair\n", tables[i].dialect, rows - 1);
        }
        print_message("row coverage %s: %u of %u\n", tables[i].dialect, seen, rows);
        assert_int_equal(seen, rows);
    }
}

/* Errors. */

static const char *retry_name(enum slu_retry retry)
{
    switch (retry) {
    case SLU_RETRY_NO:
        return "no";
    case SLU_RETRY_YES:
        return "yes";
    case SLU_RETRY_AFTER:
        return "after";
    }
    return "";
}

static struct slu_outcome outcome_of(const struct loaded *loaded, const struct slu_value *row)
{
    static const struct slu_vars none;
    struct slu_losses losses;
    enum slu_operation operation;
    int64_t status = 0;

    assert_true(slu_operation_of(member_text(row, "operation"), &operation));
    assert_true(slu_value_to_int(slu_value_member(row, "status"), &status));
    slu_losses_init(&losses, &all, true);
    return read_reply(loaded, operation, (int)status, slu_value_member(row, "body"), NULL, &none,
                      &losses);
}

static void check_error(const struct loaded *loaded, const struct slu_value *row)
{
    struct slu_outcome outcome = outcome_of(loaded, row);
    struct slu_str kind = member_text(row, "kind"), retry = member_text(row, "retry");
    const struct slu_value *passes = slu_value_member(row, "message_passes");
    bool right = slu_str_is(kind, slu_fault_info(outcome.kind)->code) &&
                 slu_str_is(retry, retry_name(outcome.retry)) &&
                 slu_str_eq(member_text(row, "pointer"), outcome.pointer) &&
                 (outcome.vendor_message.n > 0) == (passes && passes->truth);

    tally.errors++;
    if (right)
        return;
    fail_msg("%s: %.*s of %.*s is %s, retry %s, blames [%.*s], says [%.*s]; expected %.*s, %.*s, "
             "[%.*s]",
             loaded->dialect, SLU_FMT(body_text(slu_value_member(row, "body"))),
             SLU_FMT(member_text(row, "operation")), slu_fault_info(outcome.kind)->code,
             retry_name(outcome.retry), SLU_FMT(outcome.pointer), SLU_FMT(outcome.vendor_message),
             SLU_FMT(kind), SLU_FMT(retry), SLU_FMT(member_text(row, "pointer")));
}

static void documented_errors_are_told_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        char path[PATH_MOST];

        snprintf(path, sizeof(path), "%s/tests/golden/%s/errors.json", SLU_SOURCE_DIR,
                 tables[i].dialect);
        slu_value_each (row, document(path))
            check_error(&tables[i], row);
    }
    print_message("%u errors\n", tally.errors);
}

static int set_up(void **state)
{
    struct dirent **entries;
    int count = scandir(SLU_SOURCE_DIR "/mappings", &entries, NULL, alphasort);

    (void)state;
    slu_arena_init(&all, 64 << 20);
    for (int i = 0; i < count; i++) {
        struct slu_str stem;

        if (names_json(entries[i], &stem))
            load(stem);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    assert_true(table_count > 0);
    for (size_t i = 0; i < table_count; i++)
        read_pairs(&tables[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++)
        slu_table_free(tables[i].table);
    while (text_count)
        slu_mem_free((void *)texts[--text_count].p);
    slu_arena_done(&all);
    return 0;
}

/* What a door says. */

static struct slu_response error_of(const struct loaded *loaded, enum slu_operation operation,
                                    enum slu_fault_kind kind, const char *word, bool xml)
{
    struct slu_response response = {0};
    struct slu_fault fault = {0};
    struct slu_vars vars = {0};

    assert_true(slu_vars_set(&vars, SLU_STR("request_id"), SLU_STR("a1")));
    assert_true(slu_vars_set(&vars, SLU_STR("host"), SLU_STR("door.example")));
    assert_true(!xml || slu_vars_set(&vars, SLU_STR("reply"), SLU_STR("xml")));
    if (!slu_table_write_error(loaded->table, operation, kind, word, SLU_STR("words"), &vars, &all,
                               &response, &fault))
        fail_msg("%s: %s", loaded->dialect, fault.words);
    return response;
}

static const struct slu_value *parsed(struct slu_str text)
{
    struct slu_mistakes mistakes;
    struct slu_str root;

    slu_mistakes_init(&mistakes, &all);
    if (slu_str_starts(text, SLU_STR("<")))
        return from_xml(text, &root);
    return slu_json_read(&all, text, (struct slu_json_limits){0}, &mistakes);
}

static struct slu_request request_of(const struct slu_value *row)
{
    const struct slu_value *given = slu_value_member(row, "request");
    struct slu_request request = {.method = member_text(given, "method"),
                                  .path = member_text(given, "path"),
                                  .query = member_text(given, "query"),
                                  .body = member_text(given, "body")};

    assert_true(request.method.p && request.path.p);
    if (request.body.p)
        assert_true(slu_headers_set(&all, &request.headers, SLU_STR("content-type"),
                                    SLU_STR("application/x-www-form-urlencoded; charset=utf-8")));
    return request;
}

static bool understands(const struct slu_value *row, const struct slu_match *match,
                        const struct slu_value *canonical)
{
    const struct slu_value *vars = slu_value_member(row, "vars");
    const struct slu_value *expected = slu_value_member(row, "canonical");

    if (!slu_str_is(member_text(row, "operation"), slu_operation_name(match->operation)))
        return false;
    for (const struct slu_value *var = vars ? vars->first : NULL; var; var = var->next)
        if (!slu_str_eq(slu_vars_get(&match->vars, var->name), var->text))
            return false;
    return expected ? canonical && slu_value_equal(canonical, expected) : !canonical;
}

static bool answers(const struct loaded *loaded, const struct slu_value *row,
                    struct slu_match *match)
{
    const struct slu_value *flow_logs = slu_value_member(row, "flow_logs"), *body, *expected;
    struct slu_response response = {0};
    struct slu_str root, expected_root;
    struct slu_fault fault = {0};
    struct slu_losses losses;

    if (!flow_logs)
        return true;
    slu_losses_init(&losses, &all, true);
    assert_true(slu_vars_set(&match->vars, SLU_STR("request_id"), SLU_STR("a1")));
    if (!slu_table_write_reply(loaded->table, match->operation, match->step, flow_logs,
                               &match->vars, &all, &losses, &response, &fault))
        fail_msg("%s: %s", loaded->dialect, fault.words);
    body = from_xml(response.body, &root);
    expected = from_xml(member_text(row, "body"), &expected_root);
    if (slu_value_equal(body, expected) && slu_str_eq(root, expected_root))
        return true;
    print_error("%s: answered with %.*s\n", loaded->dialect, SLU_FMT(response.body));
    return false;
}

/* What the clients of the cloud send, as they send it. */
static void check_request(const struct loaded *loaded, const struct slu_value *row)
{
    struct slu_str refused = member_text(row, "refused");
    struct slu_request request = request_of(row);
    struct slu_value *canonical = NULL;
    struct slu_fault fault = {0};
    struct slu_mistakes mistakes;
    struct slu_match match;
    bool good = slu_table_match(loaded->table, &request, -1, &all, &match, &fault);

    slu_mistakes_init(&mistakes, &all);
    tally.requests++;
    if (good)
        good = slu_table_read_request(loaded->table, &match, &all, &mistakes, &canonical);
    if (!good && mistakes.first)
        slu_fault_set(&fault, mistakes.first->kind, "", "%.*s: %.*s",
                      SLU_FMT(mistakes.first->pointer), SLU_FMT(mistakes.first->detail));
    if (refused.p ? !good && memmem(fault.words, strlen(fault.words), refused.p, refused.n) != NULL
                  : good && understands(row, &match, canonical) && answers(loaded, row, &match))
        return;
    fail_msg("%s: %.*s is not understood as it should be: %s %.*s", loaded->dialect,
             SLU_FMT(request.body.p ? request.body : request.query), fault.words,
             SLU_FMT(body_text(canonical)));
}

static void check_door(const struct loaded *loaded, const struct slu_value *row)
{
    struct slu_str word = member_text(row, "door"), kind = member_text(row, "kind");
    const struct slu_value *body, *expected = slu_value_member(row, "body");
    struct slu_str root = SLU_STR(""), expected_root = SLU_STR("");
    struct slu_response response;
    enum slu_operation operation;
    char door[32];
    int64_t status = 0;

    snprintf(door, sizeof(door), "%.*s", SLU_FMT(word));
    assert_true(slu_operation_of(member_text(row, "operation"), &operation));
    assert_true(slu_value_to_int(slu_value_member(row, "status"), &status));
    response =
        error_of(loaded, operation, slu_fault_kind_of(kind), word.n ? door : NULL, is_in_xml(row));
    body = is_in_xml(row) ? from_xml(response.body, &root) : parsed(response.body);
    if (is_in_xml(row))
        expected = from_xml(expected->text, &expected_root);
    tally.doors++;
    if (response.status != status || !body || !slu_value_equal(body, expected) ||
        !slu_str_eq(root, expected_root))
        fail_msg("%s: %.*s %s is %d %.*s, expected %lld %.*s", loaded->dialect, SLU_FMT(kind), door,
                 response.status, SLU_FMT(response.body), (long long)status,
                 SLU_FMT(body_text(slu_value_member(row, "body"))));
}

static void doors_speak_the_dialect(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++) {
        char path[PATH_MOST];

        snprintf(path, sizeof(path), "%s/tests/golden/%s/doors.json", SLU_SOURCE_DIR,
                 tables[i].dialect);
        slu_value_each (row, document(path))
            if (slu_value_member(row, "request"))
                check_request(&tables[i], row);
            else
                check_door(&tables[i], row);
    }
    print_message("%u answers of doors, %u requests\n", tally.doors, tally.requests);
}

/* A client never hears success for a failure, and never that its own key is bad when ours is. */
static void every_failure_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < table_count; i++)
        for (int kind = SLU_FAULT_NONE + 1; kind < SLU_FAULT_KIND_COUNT; kind++) {
            struct slu_response response =
                error_of(&tables[i], SLU_OP_CREATE, (enum slu_fault_kind)kind, NULL, false);

            assert_true(response.status >= 400 && response.status < 600);
            assert_non_null(parsed(response.body));
            if (kind == SLU_FAULT_CREDENTIALS)
                assert_true(response.status >= 500);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_cases_hold),
        cmocka_unit_test(pairs_hold_both_ways),
        cmocka_unit_test(every_row_is_exercised),
        cmocka_unit_test(documented_errors_are_told_right),
        cmocka_unit_test(doors_speak_the_dialect),
        cmocka_unit_test(every_failure_is_one),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
