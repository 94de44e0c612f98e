/*
 * The law of the tables: what is translated there and back is the same again, or the difference was
 * told. Random canonical documents go to native and back, random native documents (with unknown
 * members, unknown words, wrong kinds and nulls) to canonical and back, for every table of
 * mappings/ and of tests/unit/mapping/data/, per operation and side.
 *
 * What need not be told, since mappings/README.md says it: a null in a create request is nothing; a
 * null in an update clears; a member that the cloud lacks is null in replies; constants, parameters
 * and defaults are completed; pairs marked "read" or "write" go one way.
 *
 * SLU_SEED sets the seed, SLU_LAWS the documents per table, operation, side and direction.
 */
#include "test.h"

#include "codec/json.h"
#include "mapping/table_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCUMENTS = 10000, PATH_MOST = 600, SHOWN = 1500 };

static uint64_t seed = 20261121;
static unsigned long documents = DOCUMENTS;

/* ---- chance ---- */

static uint64_t state64;

static uint64_t chance(void) /* xorshift64* */
{
    state64 ^= state64 >> 12;
    state64 ^= state64 << 25;
    state64 ^= state64 >> 27;
    return state64 * UINT64_C(2685821657736338717);
}

static uint32_t below(uint32_t bound)
{
    return (uint32_t)((chance() >> 32) % bound);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* ---- one law under test ---- */

struct law {
    const struct slu_table *table;
    enum slu_operation operation;
    enum slu_side side;
    const struct slu_step *step;
    const struct slu_rows *rows;
    struct slu_vars vars;
    struct slu_arena arena;
    struct slu_losses there, back;
    struct slu_mistakes mistakes;
    struct slu_str why;
    const struct slu_value *kept_native; /* of the canonical document looked at */
    struct slu_str prefix;               /* of the pointers in losses: "/1" within a list */
    unsigned long held, refused, lossy;
};

/* ---- random values ---- */

static const char *const pieces[] = {"a",
                                     "Z",
                                     "0",
                                     "-",
                                     "_",
                                     ".",
                                     "/",
                                     ":",
                                     "\"",
                                     "\\",
                                     "%",
                                     "+",
                                     " ",
                                     "~",
                                     "\xc3\xa9",
                                     "\xe4\xb8\xad",
                                     "\xf0\x9f\x8c\xa9",
                                     "<",
                                     "&",
                                     "=",
                                     "{",
                                     "}",
                                     "\x01",
                                     "\n"};

static struct slu_str any_text(struct law *law, uint32_t most)
{
    struct slu_str text = SLU_STR("");
    uint32_t count = below(most + 1);

    for (uint32_t i = 0; i < count; i++)
        text = slu_arena_join(&law->arena, text, slu_str_of(pieces[below(SLU_COUNT(pieces))]));
    return text;
}

static struct slu_str uuid_text(struct law *law)
{
    return slu_arena_printf(&law->arena, "%08x-%04x-%04x-%04x-%012llx", below(UINT32_MAX),
                            below(65536), below(65536), below(65536),
                            (unsigned long long)(chance() >> 16));
}

/* Text that the limits are likely to take, or the longest or one beyond. */
static struct slu_str fitting_text(struct law *law, const struct slu_limits *limits)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct slu_str text = SLU_STR("");
    uint32_t least = limits->has_min && limits->min < 200 ? (uint32_t)limits->min : 1;
    uint32_t most = limits->has_max && limits->max < 200 ? (uint32_t)limits->max : least + 8;
    uint32_t count = one_in(10) ? most + below(2) : least + below(4);

    if (limits->format == SLU_FORMAT_UUID)
        return uuid_text(law);
    if (limits->prefix_count)
        text = limits->prefix[below((uint32_t)limits->prefix_count)];
    while (text.n < count) {
        char c = safe[below(sizeof(safe) - 1)];

        text =
            slu_arena_join(&law->arena, text, slu_arena_str(&law->arena, (struct slu_str){&c, 1}));
    }
    return text;
}

static struct slu_str some_text(struct law *law, const struct slu_limits *limits)
{
    return limits && !one_in(8) ? fitting_text(law, limits) : any_text(law, 8);
}

static int64_t some_integer(const struct slu_limits *limits)
{
    static const int64_t edges[] = {0, 1, -1, 60, 600, INT64_MAX, INT64_MIN, INT64_MAX / 60, 86400};

    if (limits && limits->one_of_count && !one_in(4))
        return limits->one_of[below((uint32_t)limits->one_of_count)];
    return one_in(2) ? edges[below(SLU_COUNT(edges))] : (int64_t)below(100000) * 60;
}

static struct slu_value *some_tags(struct law *law, const struct slu_limits *limits)
{
    struct slu_value *tags = slu_value_new(&law->arena, SLU_OBJECT);
    uint32_t count = below(4);

    for (uint32_t i = 0; i < count; i++)
        slu_value_set(tags, some_text(law, limits ? limits->key : NULL),
                      slu_value_string(&law->arena, some_text(law, limits ? limits->value : NULL)));
    return tags;
}

static struct slu_str some_time(struct law *law)
{
    return slu_arena_printf(&law->arena, "%04u-%02u-%02uT%02u:%02u:%02u%sZ", 1900 + below(300),
                            1 + below(12), 1 + below(28), below(24), below(60), below(60),
                            one_in(6) ? ".250" : "");
}

static const struct slu_row *row_of(const struct law *law, uint8_t slot)
{
    for (size_t i = 0; i < law->rows->count; i++)
        for (size_t k = 0; k < law->rows->writing[i]->slot_count; k++)
            if (law->rows->writing[i]->slots[k] == slot)
                return law->rows->writing[i];
    return NULL;
}

static struct slu_value *some_word(struct law *law, const struct slu_member *member,
                                   const struct slu_row *row)
{
    uint32_t count = 0;

    if (row && row->words && !one_in(4)) {
        const struct slu_pair *pair = &row->words->pairs[below((uint32_t)row->words->count)];

        return slu_value_share(&law->arena, pair->canonical);
    }
    if (row && row->codec == SLU_CODEC_CONST && !one_in(4))
        return slu_value_share(&law->arena, row->canonical);
    while (member->words[count])
        count++;
    return slu_value_string(&law->arena, slu_str_of(member->words[below(count)]));
}

static struct slu_value *some_value(struct law *law, uint8_t slot)
{
    const struct slu_member *member = law->table->slots[slot].member;
    const struct slu_row *row = row_of(law, slot);
    const struct slu_limits *limits = row ? row->limits : NULL;

    switch (member->type) {
    case SLU_MEMBER_TEXT:
        if (row && row->codec == SLU_CODEC_PARAMETER)
            return slu_value_string(&law->arena, slu_vars_get(&law->vars, row->parameter));
        return slu_value_string(&law->arena, some_text(law, limits));
    case SLU_MEMBER_WORD:
        return some_word(law, member, row);
    case SLU_MEMBER_INTEGER:
        return slu_value_int(&law->arena, some_integer(limits));
    case SLU_MEMBER_BOOL:
        return slu_value_bool(&law->arena, one_in(2));
    case SLU_MEMBER_TIME:
        return slu_value_string(&law->arena, some_time(law));
    case SLU_MEMBER_TEXTS:
        return some_tags(law, limits);
    case SLU_MEMBER_OBJECT:
        break;
    }
    return NULL;
}

/* Anything JSON can say, small. */
static struct slu_value *anything(struct law *law, int depth)
{
    static const char *const numbers[] = {"0", "-1", "1e3", "0.10", "12345678901234567890123"};
    struct slu_value *value;

    switch (below(depth ? 7 : 5)) {
    case 0:
        return slu_value_new(&law->arena, SLU_NULL);
    case 1:
        return slu_value_bool(&law->arena, one_in(2));
    case 2:
        return slu_value_number(&law->arena, slu_str_of(numbers[below(SLU_COUNT(numbers))]));
    case 3:
    case 4:
        return slu_value_string(&law->arena, any_text(law, 6));
    case 5:
        value = slu_value_new(&law->arena, SLU_ARRAY);
        for (uint32_t i = below(3); i; i--)
            slu_value_append(value, anything(law, depth - 1));
        return value;
    default:
        value = slu_value_new(&law->arena, SLU_OBJECT);
        for (uint32_t i = below(3); i; i--)
            slu_value_set(value, any_text(law, 3), anything(law, depth - 1));
        return value;
    }
}

static struct slu_value *foreign(struct law *law)
{
    return law->table->flat && law->side == SLU_REQUEST
               ? slu_value_string(&law->arena, any_text(law, 6))
               : anything(law, 2);
}

/* ---- a random canonical flow log ---- */

static void put_member(struct law *law, struct slu_value *document, uint8_t slot,
                       struct slu_value *value)
{
    const struct slu_slot *place = &law->table->slots[slot];
    struct slu_value *into = document;

    if (place->parent != SLU_NO_SLOT) {
        into = slu_value_find(document, law->table->slots[place->parent].name);
        if (!into) {
            into = slu_value_new(&law->arena, SLU_OBJECT);
            slu_value_put(document, law->table->slots[place->parent].name, into);
        }
    }
    slu_value_put(into, place->name, value);
}

static struct slu_value *random_canonical(struct law *law)
{
    struct slu_value *document = slu_value_new(&law->arena, SLU_OBJECT);

    for (uint8_t i = 0; i < law->table->slot_count; i++) {
        const struct slu_slot *slot = &law->table->slots[i];
        const struct slu_row *row = row_of(law, i);
        bool occurs = law->side == SLU_REQUEST ? slot->member->in_request : slot->member->in_reply;

        if (!occurs || !slot->member->translated || slot->inner ||
            one_in(row && row->required ? 20 : 3) || (!row && !one_in(12)))
            continue;
        put_member(law, document, i,
                   one_in(12) ? slu_value_new(&law->arena, SLU_NULL) : some_value(law, i));
    }
    if (one_in(3)) {
        struct slu_value *native = slu_value_new(&law->arena, SLU_OBJECT);

        slu_value_put(native, SLU_STR("Extra"), foreign(law));
        if (one_in(4) && law->rows->count) {
            const struct slu_row *row = law->rows->writing[below((uint32_t)law->rows->count)];

            if (row->has_n)
                slu_value_set(native, row->n.steps[0], foreign(law));
        }
        slu_value_put(document, SLU_STR("native"), native);
    }
    return document;
}

/* ---- explanations ---- */

static bool told(const struct slu_losses *losses, struct slu_str pointer)
{
    for (const struct slu_loss *loss = losses->first; loss; loss = loss->next) {
        struct slu_str shorter = loss->pointer.n < pointer.n ? loss->pointer : pointer;
        struct slu_str longer = loss->pointer.n < pointer.n ? pointer : loss->pointer;

        if (slu_str_starts(longer, shorter) &&
            (longer.n == shorter.n || longer.p[shorter.n] == '/'))
            return true;
    }
    return false;
}

static bool said_anywhere(struct law *law, struct slu_str pointer)
{
    pointer = slu_arena_join(&law->arena, law->prefix, pointer);
    return told(&law->there, pointer) || told(&law->back, pointer);
}

static bool lets_through(const struct law *law, uint8_t slot, const struct slu_value *value)
{
    for (size_t i = 0; i < law->rows->lack_count; i++)
        for (size_t k = 0; k < law->rows->lacks[i]->unless_count; k++)
            if (law->rows->lacks[i]->slot == slot &&
                slu_value_equal(law->rows->lacks[i]->unless[k], value))
                return true;
    return false;
}

static bool completes(const struct slu_row *row)
{
    return row && (row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER ||
                   row->fallback || row->derived);
}

static bool one_way_word(const struct slu_row *row, const struct slu_value *value, bool canonical)
{
    for (size_t i = 0; row && row->words && i < row->words->count; i++) {
        const struct slu_pair *pair = &row->words->pairs[i];

        if (pair->read != pair->write &&
            slu_word_equal(canonical ? pair->canonical : pair->native, value, true))
            return true;
    }
    return false;
}

/* A native member that speaks before a null also speaks to the conditions on that member. */
static bool condition_moved(const struct law *law, const struct slu_row *row)
{
    for (size_t i = 0; row && row->words && i < row->words->count; i++)
        for (size_t k = 0; k < row->words->pairs[i].when_count; k++) {
            const struct slu_row *other = row_of(law, row->words->pairs[i].when[k].slot);

            if (law->side == SLU_REPLY && other && other->has_n && law->kept_native &&
                slu_value_find(law->kept_native, other->n.steps[0]))
                return true;
        }
    return false;
}

/* May `was` have become `is` without a word? */
static bool by_rule(const struct law *law, uint8_t slot, const struct slu_value *was,
                    const struct slu_value *is)
{
    const struct slu_row *row = row_of(law, slot);
    bool null_is = !is || is->kind == SLU_NULL;

    if (!was || was->kind == SLU_NULL)
        return null_is || completes(row) ||
               (was && law->operation != SLU_OP_CREATE && law->side == SLU_REQUEST) ||
               (law->side == SLU_REPLY && row && row->has_n && law->kept_native &&
                slu_value_find(law->kept_native, row->n.steps[0])); /* speaks before a null */
    if (row && row->codec == SLU_CODEC_INDEXED && was->count == 0 && null_is)
        return true; /* no members are no parameters */
    if (law->side == SLU_REPLY && law->step->echo && !row && null_is)
        return true;
    if (law->side == SLU_REQUEST && law->operation != SLU_OP_CREATE &&
        law->operation != SLU_OP_UPDATE && !row)
        return true;
    if (null_is && lets_through(law, slot, was))
        return true;
    return row && row->words && (one_way_word(row, was, true) || condition_moved(law, row));
}

static bool same_or_told(struct law *law, const struct slu_value *was, const struct slu_value *is)
{
    struct slu_run a, b;
    const struct slu_value *native;

    slu_run_init(&a, law->table, law->operation, law->side, law->step, &law->vars, &law->arena,
                 &law->there, &law->mistakes);
    b = a;
    slu_run_spread(&a, was, NULL);
    slu_run_spread(&b, is, NULL);
    if (law->side == SLU_REQUEST &&
        (law->operation == SLU_OP_ENABLE || law->operation == SLU_OP_DISABLE)) {
        uint8_t enabled = slu_slot_find(law->table, SLU_STR("/enabled"));

        a.slots[enabled] = b.slots[enabled]; /* the call itself says it */
    }
    law->kept_native = a.slots[law->table->native_slot];
    for (uint8_t i = 0; i < law->table->slot_count; i++) {
        const struct slu_slot *slot = &law->table->slots[i];

        if (slot->inner || slu_value_equal(a.slots[i], b.slots[i]) ||
            said_anywhere(law, slot->pointer) || by_rule(law, i, a.slots[i], b.slots[i]))
            continue;
        law->why = slot->pointer;
        if (i != law->table->native_slot)
            return false;
        native = slu_value_member(a.slots[i], "Extra");
        if (native && native->kind != SLU_NULL &&
            !slu_value_equal(native, slu_value_member(b.slots[i], "Extra")) &&
            !said_anywhere(law, SLU_STR("/native/Extra")))
            return law->table->flat && law->side == SLU_REQUEST;
    }
    return true;
}

/* ---- there and back ---- */

static void show(const char *what, struct law *law, const struct slu_value *value)
{
    struct slu_str text = value ? slu_json_text(&law->arena, value) : SLU_STR("nothing");

    print_error("  %-9s %.*s\n", what, (int)(text.n < SHOWN ? text.n : SHOWN), text.p);
}

static void show_told(struct law *law)
{
    for (const struct slu_mistake *m = law->mistakes.first; m; m = m->next)
        print_error("  mistake   %.*s: %.*s\n", SLU_FMT(m->pointer), SLU_FMT(m->detail));
    for (const struct slu_loss *l = law->there.first; l; l = l->next)
        print_error("  lost      %.*s: %.*s\n", SLU_FMT(l->pointer), SLU_FMT(l->reason));
    for (const struct slu_loss *l = law->back.first; l; l = l->next)
        print_error("  lost back %.*s: %.*s\n", SLU_FMT(l->pointer), SLU_FMT(l->reason));
}

static void broken(struct law *law, const struct slu_value *first, const struct slu_value *second,
                   const struct slu_value *third)
{
    print_error("%.*s %s %s: %.*s differs\n", SLU_FMT(slu_table_dialect(law->table)),
                slu_operation_name(law->operation), law->side == SLU_REQUEST ? "request" : "reply",
                SLU_FMT(law->why));
    show("from", law, first);
    show("to", law, second);
    show("back", law, third);
    show_told(law);
    fail_msg("the law does not hold (SLU_SEED=%llu)", (unsigned long long)seed);
}

static void begin(struct law *law)
{
    slu_arena_reset(&law->arena);
    law->prefix = SLU_STR_NONE;
    slu_losses_init(&law->there, &law->arena, !one_in(4));
    slu_losses_init(&law->back, &law->arena, true);
    slu_mistakes_init(&law->mistakes, &law->arena);
}

static struct slu_value *to_native(struct law *law, const struct slu_value *canonical,
                                   struct slu_losses *losses)
{
    return slu_table_to_native(law->table, law->operation, law->side, canonical, &law->vars,
                               &law->arena, losses, &law->mistakes);
}

static struct slu_value *to_canonical(struct law *law, const struct slu_value *native,
                                      struct slu_losses *losses)
{
    return slu_table_to_canonical(law->table, law->operation, law->side, native, &law->vars,
                                  &law->arena, losses, &law->mistakes);
}

static void refused_with_words(struct law *law)
{
    assert_true(law->mistakes.count > 0);
    for (const struct slu_mistake *m = law->mistakes.first; m; m = m->next)
        assert_true(m->detail.n > 0 && m->kind != SLU_FAULT_INTERNAL &&
                    m->kind != SLU_FAULT_MEMORY);
    law->refused++;
}

static struct slu_value *random_documents(struct law *law)
{
    struct slu_value *list;

    if (law->side == SLU_REQUEST || !law->step->each)
        return random_canonical(law);
    list = slu_value_new(&law->arena, SLU_ARRAY);
    for (uint32_t i = below(3); i; i--)
        slu_value_append(list, random_canonical(law));
    return list;
}

static bool lists_agree(struct law *law, const struct slu_value *was, const struct slu_value *is)
{
    const struct slu_value *other = is->first;
    size_t index = 0;

    if (was->count != is->count)
        return false;
    slu_value_each (item, was) {
        law->prefix = slu_pointer_item(&law->arena, SLU_STR(""), index++);
        if (!same_or_told(law, item, other))
            return false;
        other = other->next;
    }
    return true;
}

static void canonical_law(struct law *law)
{
    const struct slu_value *first, *second, *third = NULL;

    begin(law);
    first = random_documents(law);
    second = to_native(law, first, &law->there);
    if (!second) {
        refused_with_words(law);
        return;
    }
    third = to_canonical(law, second, &law->back);
    law->why = SLU_STR("everything");
    if (!third || !(first->kind == SLU_ARRAY ? lists_agree(law, first, third)
                                             : same_or_told(law, first, third)))
        broken(law, first, second, third);
    law->held++;
    law->lossy += law->there.count > 0;
}

/* ---- native documents ---- */

/* The object where the rows write. */
static struct slu_value *place_of(const struct law *law, const struct slu_value *root)
{
    const struct slu_value *at =
        slu_path_get(law->side == SLU_REQUEST ? &law->step->takes_at : &law->step->gives_at, root);

    if (slu_value_is(at, SLU_ARRAY))
        at = at->first;
    return (struct slu_value *)at;
}

/* A node's content exchanged where it stands. */
static void become(struct slu_value *node, const struct slu_value *other)
{
    node->kind = other->kind;
    node->count = other->count;
    node->truth = other->truth;
    node->text = other->text;
    node->first = other->first;
    node->last = other->last;
}

static const struct slu_value *native_word(struct law *law, const struct slu_row *row)
{
    const struct slu_value *word = row->words->pairs[below((uint32_t)row->words->count)].native;

    if (law->table->flat && law->side == SLU_REQUEST && word->kind == SLU_BOOL)
        return slu_value_string(&law->arena, word->truth ? SLU_STR("true") : SLU_STR("false"));
    return word;
}

static struct slu_value *nth(const struct slu_value *object, uint32_t index)
{
    struct slu_value *child = object->first;

    while (index--)
        child = child->next;
    return child;
}

static void spoil(struct law *law, struct slu_value *place)
{
    for (size_t i = 0; i < law->rows->count; i++) {
        const struct slu_row *row = law->rows->writing[i];
        struct slu_value *node = row->has_n ? slu_path_get(&row->n, place) : NULL;

        if (!node)
            continue;
        if (row->words && one_in(2))
            become(node, native_word(law, row));
        else if (one_in(10))
            become(node, foreign(law));
    }
    if (one_in(2))
        slu_value_set(place, any_text(law, 4), foreign(law));
    if (one_in(4))
        slu_value_each (child, place)
            if (child->kind == SLU_OBJECT && !one_in(3))
                slu_value_set(child, any_text(law, 4), foreign(law));
    if (one_in(6) && place->count)
        (void)slu_value_remove(place, nth(place, below(place->count)));
}

static bool overlaps(struct slu_str a, struct slu_str b)
{
    struct slu_str shorter = a.n < b.n ? a : b, longer = a.n < b.n ? b : a;

    return slu_str_starts(longer, shorter) && (longer.n == shorter.n || longer.p[shorter.n] == '/');
}

static bool row_told(struct law *law, const struct slu_row *row)
{
    for (size_t i = 0; i < row->slot_count; i++)
        if (said_anywhere(law, law->table->slots[row->slots[i]].pointer))
            return true;
    return false;
}

/* Is the difference at this native place one that was told or that the language speaks of? */
static bool native_by_rule(struct law *law, struct slu_str pointer, struct slu_str name,
                           const struct slu_value *was, const struct slu_value *is)
{
    struct slu_str rest;

    if (said_anywhere(law, slu_arena_join(&law->arena, SLU_STR("/native"), pointer)))
        return true;
    if (law->table->flat && law->side == SLU_REQUEST && slu_step_knows(law->table, law->step, name))
        return true; /* templates fill these again */
    for (size_t i = 0; law->side == SLU_REPLY && i < law->step->envelope_count; i++)
        if (overlaps(law->step->envelope[i].path.pointer,
                     slu_arena_join(&law->arena, law->step->gives_at.pointer, pointer)))
            return true;
    for (size_t i = 0; i < law->rows->count; i++) {
        const struct slu_row *row = law->rows->writing[i];
        bool null_was = slu_value_is(was, SLU_NULL);

        if (!row->has_n || !(overlaps(row->n.pointer, pointer) ||
                             (row->codec == SLU_CODEC_INDEXED &&
                              slu_indexed_number(row->n.steps[row->n.count - 1], name, &rest))))
            continue;
        if (row_told(law, row) || (!was && completes(row)) ||
            (was && is && one_way_word(row, was, false)) ||
            (null_was && law->side == SLU_REQUEST) ||
            (law->side == SLU_REQUEST && law->operation >= SLU_OP_ENABLE))
            return true;
    }
    return false;
}

static bool native_agrees(struct law *law, const struct slu_value *was, const struct slu_value *is,
                          struct slu_str pointer)
{
    slu_value_each (child, was) {
        struct slu_str place = slu_pointer_member(&law->arena, pointer, child->name);
        const struct slu_value *other = slu_value_find(is, child->name);
        bool both = other && child->kind == SLU_OBJECT && other->kind == SLU_OBJECT;

        law->why = place;
        if (both ? !native_agrees(law, child, other, place)
                 : !slu_value_equal(child, other) &&
                       !native_by_rule(law, place, child->name, child, other))
            return false;
    }
    slu_value_each (child, is) {
        struct slu_str place = slu_pointer_member(&law->arena, pointer, child->name);

        if (slu_value_find(was, child->name))
            continue;
        law->why = place;
        if (!native_by_rule(law, place, child->name, NULL, child))
            return false;
    }
    return true;
}

static void native_law(struct law *law)
{
    const struct slu_value *canonical, *third;
    struct slu_value *first, *kept;

    begin(law);
    law->there.lenient = true;
    canonical = random_canonical(law);
    if (law->side == SLU_REPLY && law->step->each) {
        struct slu_value *list = slu_value_new(&law->arena, SLU_ARRAY);

        slu_value_append(list, (struct slu_value *)canonical);
        canonical = list;
        law->prefix = SLU_STR("/0");
    }
    first = to_native(law, canonical, &law->there);
    if (!first)
        return; /* beyond the limits: not what this law is about */
    spoil(law, place_of(law, first));
    kept = slu_value_copy(&law->arena, first);
    slu_losses_init(&law->there, &law->arena, true);
    canonical = to_canonical(law, first, &law->there);
    if (!canonical) {
        refused_with_words(law);
        return;
    }
    third = to_native(law, canonical, &law->back);
    if (!third) { /* a limit of requests that the native document broke */
        refused_with_words(law);
        return;
    }
    if (!native_agrees(law, place_of(law, kept), place_of(law, third), SLU_STR("")))
        broken(law, kept, canonical, third);
    law->held++;
    law->lossy += law->there.count > 0 || law->back.count > 0;
}

/* ---- tables ---- */

static void set_vars(struct law *law)
{
    law->vars = (struct slu_vars){.count = 0};
    for (size_t i = 0; i < law->table->parameter_count; i++)
        assert_true(
            slu_vars_set(&law->vars, law->table->parameters[i].name, SLU_STR("some-value")));
    assert_true(slu_vars_set(&law->vars, SLU_STR("id"), SLU_STR("id-1")));
    assert_true(slu_vars_set(&law->vars, SLU_STR("request_id"), SLU_STR("r-1")));
    assert_true(slu_vars_set(&law->vars, SLU_STR("host"), SLU_STR("h")));
}

static void try_side(const struct slu_table *table, enum slu_operation operation,
                     enum slu_side side)
{
    struct law law = {.table = table, .operation = operation, .side = side};
    unsigned long held;

    if (!slu_table_serves(table, operation))
        return;
    law.step = slu_table_main_step(table, operation, side);
    law.rows = &table->plans[operation].rows[side];
    if (!law.step || (side == SLU_REPLY && !law.step->gives) || law.rows->count == 0)
        return;
    set_vars(&law);
    slu_arena_init(&law.arena, 1 << 22);
    for (unsigned long i = 0; i < documents; i++)
        canonical_law(&law);
    held = law.held;
    print_message("%.*s %s %s: canonical %lu held (%lu with losses), %lu refused; ",
                  SLU_FMT(slu_table_dialect(table)), slu_operation_name(operation),
                  side == SLU_REQUEST ? "request" : "reply", law.held, law.lossy, law.refused);
    law.held = law.lossy = law.refused = 0;
    for (unsigned long i = 0; i < documents; i++)
        native_law(&law);
    print_message("native %lu held (%lu with losses), %lu refused\n", law.held, law.lossy,
                  law.refused);
    assert_true(held > documents / 50 && law.held > documents / 50);
    slu_arena_done(&law.arena);
}

static void try_table(const char *path)
{
    struct slu_arena arena;
    struct slu_mistakes mistakes;
    struct slu_table *table;

    slu_arena_init(&arena, 1 << 20);
    slu_mistakes_init(&mistakes, &arena);
    table = slu_table_load(path, &mistakes);
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        print_error("%s: %.*s: %.*s\n", path, SLU_FMT(m->pointer), SLU_FMT(m->detail));
    assert_non_null(table);
    for (int i = 0; i < SLU_OP_COUNT; i++) {
        try_side(table, (enum slu_operation)i, SLU_REQUEST);
        try_side(table, (enum slu_operation)i, SLU_REPLY);
    }
    slu_table_free(table);
    slu_arena_done(&arena);
}

static unsigned try_folder(const char *folder)
{
    struct dirent **entries;
    unsigned tried = 0;
    int count = scandir(folder, &entries, NULL, alphasort);

    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        struct slu_str name = slu_str_of(entries[i]->d_name);
        char path[PATH_MOST];

        if (slu_str_ends(name, SLU_STR(".json")) && !slu_str_is(name, "schema.json")) {
            snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
            try_table(path);
            tried++;
        }
        free(entries[i]);
    }
    free(entries);
    return tried;
}

static void the_law_holds(void **state)
{
    (void)state;
    state64 = seed;
    assert_true(try_folder(SLU_SOURCE_DIR "/tests/unit/mapping/data") >= 2);
    assert_true(try_folder(SLU_SOURCE_DIR "/mappings") >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_law_holds)};
    const char *text = getenv("SLU_SEED");
    uint64_t number;

    if (text && slu_str_to_u64(slu_str_of(text), &number) && number)
        seed = number;
    text = getenv("SLU_LAWS");
    if (text && slu_str_to_u64(slu_str_of(text), &number) && number)
        documents = number;
    print_message("SLU_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
