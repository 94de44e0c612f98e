/*
 * The law of the tables: what is translated there and back is the same again, or the difference was
 * told. Random canonical documents go to native and back, random native documents (with unknown
 * members) to canonical and back, for every table of mappings/ and of tests/unit/mapping/data/, per
 * operation and side.
 *
 * Most documents are sound: drawn from the table's own words, limits and formats, with everything
 * that a translation would complete, so that they must come back to the letter ("held"). The others
 * are wild: what the cloud lacks, beyond its limits, wrong kinds, nulls, unknown words, members
 * missing or in each other's place. Those are refused with words, or every difference was told, or
 * the language speaks of it ("explained"). Draws go on until enough documents were held.
 *
 * Where an update sets with one call and clears with another, each call has its own documents:
 * those of the one that clears are made of nulls.
 *
 * Requests are also sent and received: what the client role writes as a message, signed by any of
 * the table's schemes, is found and read by the server role as the same call with the same flow
 * log.
 *
 * What need not be told, since mappings/README.md says it: a null in a create request is nothing; a
 * null in an update clears; a member that the cloud lacks is null in replies; constants, parameters
 * and defaults are completed; pairs marked "read" or "write" go one way.
 *
 * Replies of tables that speak XML are held in both encodings, those in XML as the bytes that
 * travel. It has no nulls, its values are text, and an empty list that nothing stands around is
 * none at all.
 *
 * SLU_SEED sets the seed, SLU_LAWS the documents to be held per table, operation, side and
 * direction; the fictional clouds of the tests hold a fifth.
 */
#include "test.h"

#include "draw.h"

#include "codec/xml.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCUMENTS = 10000, PATH_MOST = 600, SHOWN = 1500, WILD = 7, LEAST_HELD_PERCENT = 70 };

static uint64_t seed = 20261121;
static unsigned long documents = DOCUMENTS;

/* ---- one law under test ---- */

struct law {
    const struct slu_table *table;
    enum slu_operation operation;
    enum slu_side side;
    const struct slu_step *step;
    const struct slu_rows *rows;
    struct slu_vars vars;
    bool xml;
    struct slu_arena arena;
    struct draw draw;
    struct slu_losses there, back;
    struct slu_mistakes mistakes;
    struct slu_str why;
    const struct slu_value *kept_native; /* of the canonical document looked at */
    struct slu_str prefix;               /* of the pointers in losses: "/1" within a list */
    unsigned long drawn, held, explained;
    unsigned long seen[SLU_ROWS_MOST]; /* held documents in which the row had something to say */
};

static uint32_t below(struct law *law, uint32_t bound)
{
    return draw_below(&law->draw, bound);
}

static bool one_in(struct law *law, uint32_t n)
{
    return draw_one_in(&law->draw, n);
}

static struct slu_value *text_value(struct law *law, struct slu_str text)
{
    return slu_value_string(&law->arena, text);
}

/* ---- wild values ---- */

static struct slu_str wild_text(struct law *law, const struct slu_limits *limits)
{
    if (!limits || one_in(law, 8))
        return draw_text(&law->draw, 0, 8);
    return draw_within(&law->draw, limits);
}

static int64_t wild_integer(struct law *law, const struct slu_limits *limits)
{
    static const int64_t edges[] = {0, 1, -1, 60, 600, INT64_MAX, INT64_MIN, INT64_MAX / 60, 86400};

    if (limits && limits->one_of_count && !one_in(law, 4))
        return limits->one_of[below(law, (uint32_t)limits->one_of_count)];
    return one_in(law, 2) ? edges[below(law, SLU_COUNT(edges))] : (int64_t)below(law, 100000) * 60;
}

static struct slu_value *wild_tags(struct law *law, const struct slu_limits *limits)
{
    struct slu_value *tags = slu_value_new(&law->arena, SLU_OBJECT);

    for (uint32_t i = below(law, 4); i; i--)
        slu_value_set(tags, wild_text(law, limits ? limits->key : NULL),
                      law->operation == SLU_OP_UPDATE && one_in(law, 3)
                          ? slu_value_new(&law->arena, SLU_NULL)
                          : text_value(law, wild_text(law, limits ? limits->value : NULL)));
    return tags;
}

static const struct slu_row *row_of(const struct law *law, uint8_t slot)
{
    for (size_t i = 0; i < law->rows->count; i++)
        for (size_t k = 0; k < law->rows->writing[i]->slot_count; k++)
            if (law->rows->writing[i]->slots[k] == slot)
                return law->rows->writing[i];
    return NULL;
}

static struct slu_value *wild_word(struct law *law, const struct slu_member *member,
                                   const struct slu_row *row)
{
    uint32_t count = 0;

    if (row && row->words && !one_in(law, 4)) {
        const struct slu_pair *pair = &row->words->pairs[below(law, (uint32_t)row->words->count)];

        return slu_value_share(&law->arena, pair->canonical);
    }
    if (row && row->codec == SLU_CODEC_CONST && !one_in(law, 4))
        return slu_value_share(&law->arena, row->canonical);
    while (member->words[count])
        count++;
    return slu_value_string(&law->arena, slu_str_of(member->words[below(law, count)]));
}

static struct slu_value *wild_value(struct law *law, uint8_t slot)
{
    const struct slu_member *member = law->table->slots[slot].member;
    const struct slu_row *row = row_of(law, slot);
    const struct slu_limits *limits = row ? row->limits : NULL;

    switch (member->type) {
    case SLU_MEMBER_TEXT:
        if (row && row->codec == SLU_CODEC_PARAMETER)
            return slu_value_string(&law->arena, slu_vars_get(&law->vars, row->parameter));
        return text_value(law, wild_text(law, limits));
    case SLU_MEMBER_WORD:
        return wild_word(law, member, row);
    case SLU_MEMBER_INTEGER:
        return slu_value_int(&law->arena, wild_integer(law, limits));
    case SLU_MEMBER_BOOL:
        return slu_value_bool(&law->arena, one_in(law, 2));
    case SLU_MEMBER_TIME:
        return text_value(law, draw_time(&law->draw, true));
    case SLU_MEMBER_TEXTS:
        return wild_tags(law, limits);
    case SLU_MEMBER_OBJECT:
        break;
    }
    return NULL;
}

static struct slu_value *foreign(struct law *law)
{
    return law->xml || (law->table->flat && law->side == SLU_REQUEST)
               ? text_value(law, draw_text(&law->draw, 0, 6))
               : draw_anything(&law->draw, 2);
}

/* Of XML's names only those are drawn that anything may begin with. */
static struct slu_str foreign_name(struct law *law)
{
    if (law->xml)
        return slu_arena_printf(&law->arena, "N-%u.\xc3\xa9", below(law, 100));
    return draw_text(&law->draw, 0, 4);
}

/* ---- a wild canonical flow log ---- */

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

static struct slu_value *wild_canonical(struct law *law)
{
    struct slu_value *document = slu_value_new(&law->arena, SLU_OBJECT);

    for (uint8_t i = 0; i < law->table->slot_count; i++) {
        const struct slu_slot *slot = &law->table->slots[i];
        const struct slu_row *row = row_of(law, i);
        bool occurs = law->side == SLU_REQUEST ? slot->member->in_request : slot->member->in_reply;

        if (!occurs || !slot->member->translated || slot->inner ||
            one_in(law, row && row->required ? 20 : 3) || (!row && !one_in(law, 12)))
            continue;
        put_member(law, document, i,
                   one_in(law, 12) ? slu_value_new(&law->arena, SLU_NULL) : wild_value(law, i));
    }
    if (one_in(law, 3)) {
        struct slu_value *native = slu_value_new(&law->arena, SLU_OBJECT);

        slu_value_put(native, SLU_STR("Extra"), foreign(law));
        if (one_in(law, 4) && law->rows->count) {
            const struct slu_row *row = law->rows->writing[below(law, (uint32_t)law->rows->count)];

            if (row->has_n)
                slu_value_set(native, row->n.steps[0], foreign(law));
        }
        slu_value_put(document, SLU_STR("native"), native);
    }
    return document;
}

/* ---- a sound canonical flow log ---- */

static bool lacks(const struct law *law, const struct slu_run *run, uint8_t slot,
                  const struct slu_value *value)
{
    for (size_t i = 0; i < law->rows->lack_count; i++) {
        const struct slu_lack *lack = law->rows->lacks[i];

        if (!slu_conditions_hold(lack->when, lack->when_count, run->slots))
            continue;
        for (size_t k = 0; lack->slot == slot && k < lack->word_count; k++)
            if (slu_value_equal(lack->words[k], value))
                return true;
        if (lack->slot == slot && lack->word_count == 0)
            return true;
    }
    return false;
}

/* A word that can be said, the rest of the flow log being what it is, and that is read back. */
static struct slu_value *sound_enum(struct law *law, const struct slu_run *run,
                                    const struct slu_row *row)
{
    for (int tries = 0; tries < DRAW_TRIES; tries++) {
        const struct slu_pair *pair = &row->words->pairs[below(law, (uint32_t)row->words->count)];

        pair = slu_words_write(row->words, pair->canonical, run->flat, run->slots);
        if (pair && pair->read && !lacks(law, run, row->slot, pair->canonical))
            return slu_value_share(&law->arena, pair->canonical);
    }
    return NULL;
}

static struct slu_value *sound_word(struct law *law, const struct slu_run *run, uint8_t slot)
{
    const struct slu_member *member = law->table->slots[slot].member;
    uint32_t count = 0;

    while (member->words[count])
        count++;
    for (int tries = 0; tries < DRAW_TRIES; tries++) {
        struct slu_value *word = text_value(law, slu_str_of(member->words[below(law, count)]));

        if (!lacks(law, run, slot, word))
            return word;
    }
    return NULL;
}

static struct slu_value *sound_plain(struct law *law, const struct slu_run *run,
                                     const struct slu_row *row)
{
    struct slu_value *tags;

    switch (law->table->slots[row->slot].member->type) {
    case SLU_MEMBER_TEXT:
        return text_value(law, draw_within(&law->draw, row->limits));
    case SLU_MEMBER_WORD:
        return sound_word(law, run, row->slot);
    case SLU_MEMBER_INTEGER:
        return slu_value_int(&law->arena,
                             draw_integer_within(&law->draw, row->limits,
                                                 row->codec == SLU_CODEC_SCALE ? row->factor : 1));
    case SLU_MEMBER_BOOL:
        return slu_value_bool(&law->arena, one_in(law, 2));
    case SLU_MEMBER_TIME:
        return text_value(law, draw_time(&law->draw, draw_takes_fraction(row)));
    case SLU_MEMBER_TEXTS:
        tags = draw_tags_within(&law->draw, row->limits);
        return row->codec == SLU_CODEC_INDEXED && tags->count == 0 ? NULL : tags;
    case SLU_MEMBER_OBJECT:
        break;
    }
    return NULL;
}

/* A place that several rows read says what the row it belongs to wrote there. */
static struct slu_value *sound_derived(struct law *law, struct slu_run *run,
                                       const struct slu_row *row)
{
    const struct slu_row *base = NULL;
    const struct slu_value *value;
    struct slu_value *native, *found = NULL;
    struct slu_str why;

    for (size_t i = 0; i < law->rows->count; i++)
        if (!law->rows->writing[i]->derived && law->rows->writing[i]->has_n &&
            slu_str_eq(law->rows->writing[i]->n.pointer, row->n.pointer))
            base = law->rows->writing[i];
    value = base ? run->slots[base->slot] : NULL;
    if (!value)
        return NULL;
    if (value->kind == SLU_NULL)
        return slu_value_new(&law->arena, SLU_NULL);
    native = slu_codec_to_native(run, base, value, &why);
    if (native)
        found = slu_codec_to_canonical(run, row, native, &why);
    if (!found && row->words && row->words->otherwise)
        found = slu_value_share(&law->arena, row->words->otherwise);
    return found;
}

/* A value that the cloud does not lack, the rest of the flow log being what it is. */
static struct slu_value *sound_allowed(struct law *law, const struct slu_run *run,
                                       const struct slu_row *row)
{
    struct slu_value *value = sound_plain(law, run, row);

    for (int tries = 0; tries < DRAW_TRIES && value && lacks(law, run, row->slot, value); tries++)
        value = sound_plain(law, run, row);
    return value;
}

static struct slu_value *sound_value(struct law *law, struct slu_run *run,
                                     const struct slu_row *row)
{
    if (row->derived)
        return sound_derived(law, run, row);
    if (row->codec == SLU_CODEC_ENUM)
        return sound_enum(law, run, row);
    if (row->codec == SLU_CODEC_CONST)
        return slu_value_share(&law->arena, row->canonical);
    if (row->codec == SLU_CODEC_PARAMETER)
        return text_value(law, slu_vars_get(&law->vars, row->parameter));
    return sound_allowed(law, run, row);
}

static void sound_join(struct law *law, struct slu_run *run, const struct slu_row *row)
{
    static const struct slu_limits part = {.has_min = true, .min = 1, .has_max = true, .max = 30};
    static const struct slu_charset letters = {{0x03ff600000000000, 0x07fffffe07fffffe}};
    struct slu_limits limits = part;

    limits.chars = &letters;
    for (size_t i = 0; i < row->slot_count; i++)
        run->slots[row->slots[i]] = text_value(law, draw_within(&law->draw, &limits));
}

/* A word of the cloud's that the table does not know: it is kept under "native". */
static bool odd_word(struct law *law, struct slu_run *run, const struct slu_row *row,
                     struct slu_value *native)
{
    if (law->side == SLU_REQUEST || !row->words || row->derived || row->n.count != 1 ||
        !slu_value_is(row->words->otherwise, SLU_STRING) || !one_in(law, 8))
        return false;
    run->slots[row->slot] = slu_value_share(&law->arena, row->words->otherwise);
    slu_value_set(native, row->n.steps[0], text_value(law, SLU_STR("an odd word")));
    return true;
}

static bool wanted(struct law *law, const struct slu_run *run, const struct slu_row *row)
{
    return row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER ||
           slu_row_default(run, row) || row->absent || row->derived || row->required ||
           (row->required_if_count &&
            slu_conditions_hold(row->required_if, row->required_if_count, run->slots)) ||
           !one_in(law, 3);
}

/* A part of a shared list: where one is there the rest is, if only empty, and none is a null. */
static void sound_share(struct law *law, struct slu_run *run, const struct slu_row *row)
{
    run->slots[row->slot] = sound_value(law, run, row);
    for (size_t i = 0; row->one.p && i < law->rows->count; i++)
        if (slu_rows_share(row, law->rows->writing[i]) && !law->rows->writing[i]->one.p &&
            !run->slots[law->rows->writing[i]->slot] && row->codec == SLU_CODEC_KV_LIST)
            run->slots[law->rows->writing[i]->slot] = slu_value_new(&law->arena, SLU_OBJECT);
}

/* Where the cloud lacks the member, the rest being what it is, a reply says null. */
static bool left_out(struct law *law, struct slu_run *run, const struct slu_row *row)
{
    if (row->slot_count != 1 || !slu_run_lacks(run, row->slot, run->slots))
        return false;
    if (law->side == SLU_REPLY)
        run->slots[row->slot] = slu_value_new(&law->arena, SLU_NULL);
    return true;
}

static bool clearing(const struct law *law)
{
    return law->side == SLU_REQUEST && law->step->carries == SLU_CARRIES_NULLS;
}

/* Can a call that only clears speak of this row? */
static bool clears(const struct law *law, const struct slu_row *row)
{
    return slu_row_clears(law->table, row) || row->codec == SLU_CODEC_INDEXED ||
           row->codec == SLU_CODEC_KV_LIST;
}

/* Nulls, in the place of a value or of each tag; a null elsewhere only where it is read back. */
static bool sound_null(struct law *law, struct slu_run *run, const struct slu_row *row)
{
    bool texts = law->table->slots[row->slot].member->type == SLU_MEMBER_TEXTS;
    struct slu_value *tags;

    if (!clearing(law)) {
        if (law->operation != SLU_OP_UPDATE || law->side != SLU_REQUEST || !row->clear ||
            law->step->carries != SLU_CARRIES_ALL || !one_in(law, 4))
            return false;
    } else if (!clears(law, row)) {
        return true;
    } else if (texts) {
        tags = slu_value_new(&law->arena, SLU_OBJECT);
        slu_value_set(tags, draw_text(&law->draw, 1, 6), slu_value_new(&law->arena, SLU_NULL));
        if (one_in(law, 2))
            slu_value_set(tags, draw_text(&law->draw, 1, 6), slu_value_new(&law->arena, SLU_NULL));
        run->slots[row->slot] = tags;
        return true;
    }
    run->slots[row->slot] = slu_value_new(&law->arena, SLU_NULL);
    return true;
}

static void sound_row(struct law *law, struct slu_run *run, const struct slu_row *row,
                      struct slu_value *native)
{
    bool completed = row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER ||
                     slu_row_default(run, row) || row->absent || row->derived;

    if (row->slot_count == 0 || left_out(law, run, row) || !wanted(law, run, row) ||
        odd_word(law, run, row, native) || sound_null(law, run, row))
        return;
    if (law->side == SLU_REPLY && !law->xml && !completed && !row->shared && one_in(law, 12))
        for (size_t i = 0; i < row->slot_count; i++)
            run->slots[row->slots[i]] = slu_value_new(&law->arena, SLU_NULL);
    else if (row->slot_count > 1)
        sound_join(law, run, row);
    else if (row->shared)
        sound_share(law, run, row);
    else
        run->slots[row->slot] = sound_value(law, run, row);
}

/* Rows that look at others come behind them. */
static int rank(const struct law *law, const struct slu_row *row)
{
    bool looks = row->required_if_count || row->default_if_count;

    for (size_t i = 0; i < law->rows->lack_count; i++)
        looks |= law->rows->lacks[i]->when_count && law->rows->lacks[i]->slot == row->slot;
    return row->derived ? 3 : row->words && row->words->conditional ? 2 : looks;
}

/* What a reply that is written repeats of the target, and what nobody maps. */
static void sound_native(struct law *law, struct slu_run *run, struct slu_value *native)
{
    for (size_t i = 0; i < law->rows->count; i++) {
        const struct slu_row *row = law->rows->writing[i];

        if (row->codec == SLU_CODEC_PARAMETER && row->has_n &&
            !slu_path_put(&law->arena, &row->n, native,
                          text_value(law, slu_vars_get(&law->vars, row->parameter))))
            fail_msg("no place for a parameter");
        if (row->has_n && row->n.count > 1 && one_in(law, 8)) {
            struct slu_value *inner = slu_value_find(native, row->n.steps[0]);

            if (!inner) {
                inner = slu_value_new(&law->arena, SLU_OBJECT);
                slu_value_put(native, row->n.steps[0], inner);
            }
            slu_value_set(inner, SLU_STR("Extra"), foreign(law));
        }
    }
    if (one_in(law, 2))
        slu_value_put(native, SLU_STR("Extra"), foreign(law));
    if (native->count)
        run->slots[law->table->native_slot] = native;
}

static struct slu_value *sound_canonical(struct law *law)
{
    struct slu_value *native = slu_value_new(&law->arena, SLU_OBJECT), *document;
    struct slu_run run;

    slu_run_init(&run, law->table, law->operation, law->side, law->step, &law->vars, &law->arena,
                 &law->there, &law->mistakes);
    for (int turn = 0; turn < 4; turn++)
        for (size_t i = 0; i < law->rows->count; i++)
            if (rank(law, law->rows->writing[i]) == turn)
                sound_row(law, &run, law->rows->writing[i], native);
    if (law->side == SLU_REPLY)
        slu_run_fill_lacking(&run);
    else if (law->operation == SLU_OP_ENABLE || law->operation == SLU_OP_DISABLE)
        run.slots[slu_slot_find(law->table, SLU_STR("/enabled"))] =
            slu_value_bool(&law->arena, law->operation == SLU_OP_ENABLE);
    if (!clearing(law))
        sound_native(law, &run, native);
    document = slu_run_assemble(&run);
    slu_must(document); /* the arena is large */
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
                   row->fallback || row->absent || row->derived);
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

/* Of an object of strings, the members that this call carries. */
static bool same_part(const struct law *law, const struct slu_value *was,
                      const struct slu_value *is)
{
    uint32_t carried = 0;

    slu_value_each (child, was) {
        if ((child->kind == SLU_NULL) != clearing(law))
            continue;
        carried++;
        if (!slu_value_is(is, SLU_OBJECT) ||
            !slu_value_equal(child, slu_value_find(is, child->name)))
            return false;
    }
    return carried == (is ? is->count : 0);
}

/* What another call of the same update says. */
static bool other_call(const struct law *law, uint8_t slot, const struct slu_value *was,
                       const struct slu_value *is)
{
    if (law->side != SLU_REQUEST || law->step->carries == SLU_CARRIES_ALL || !was)
        return false;
    if (was->kind == SLU_OBJECT && law->table->slots[slot].member->type == SLU_MEMBER_TEXTS)
        return same_part(law, was, is);
    return !is && (was->kind == SLU_NULL) != clearing(law);
}

static bool is_list(const struct slu_row *row)
{
    return row && (row->codec == SLU_CODEC_KV_LIST || row->codec == SLU_CODEC_WRAP ||
                   (row->n.count && slu_index_step(row->n.steps[row->n.count - 1])));
}

/* A document of a cloud that answers in XML is understood as if it had come so. */
static bool may_be_xml(const struct law *law)
{
    return law->xml || (law->side == SLU_REPLY && law->table->xml);
}

/* In XML a list that is null, empty or not there. */
static bool nothing(const struct slu_value *value)
{
    return !value || value->kind == SLU_NULL || (value->kind != SLU_STRING && value->count == 0) ||
           (value->kind == SLU_STRING && slu_str_trim(value->text).n == 0);
}

/* May `was` have become `is` without a word? */
static bool by_rule(const struct law *law, uint8_t slot, const struct slu_value *was,
                    const struct slu_value *is)
{
    const struct slu_row *row = row_of(law, slot);
    bool null_is = !is || is->kind == SLU_NULL;

    if (other_call(law, slot, was, is) ||
        (may_be_xml(law) && is_list(row) && nothing(was) && nothing(is)))
        return true;
    if (law->xml && row && row->has_n && slu_index_step(row->n.steps[row->n.count - 1]) &&
        nothing(was) && !is)
        return true; /* an empty element alone is an empty list */
    if ((!was || was->kind == SLU_NULL) && row && row->shared && is && is->count == 0)
        return true; /* where a part of the list is there, so is its rest */
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

/* What arrives of a document that travels in XML, as it is read; NULL when XML cannot hold it. */
static struct slu_value *through_xml(struct law *law, const struct slu_value *document)
{
    struct slu_mistakes mistakes;
    struct slu_value *arrived = NULL;
    struct slu_str root;
    struct slu_buf text;
    struct slu_run run;

    slu_buf_init(&text, 0);
    slu_mistakes_init(&mistakes, &law->arena);
    slu_run_init(&run, law->table, law->operation, law->side, law->step, &law->vars, &law->arena,
                 &law->there, &law->mistakes);
    if (slu_xml_write(&text, document, law->step->xml_root, law->table->xml_space)) {
        arrived = slu_xml_read(&law->arena, slu_arena_str(&law->arena, slu_buf_str(&text)),
                               (struct slu_xml_limits){0}, &root, &mistakes);
        slu_run_shape(&run, arrived);
    }
    slu_buf_done(&text);
    return arrived;
}

static void begin(struct law *law, bool lenient)
{
    slu_arena_reset(&law->arena);
    law->prefix = SLU_STR_NONE;
    slu_losses_init(&law->there, &law->arena, lenient);
    slu_losses_init(&law->back, &law->arena, true);
    slu_mistakes_init(&law->mistakes, &law->arena);
    law->drawn++;
}

static struct slu_value *to_native(struct law *law, const struct slu_value *canonical,
                                   struct slu_losses *losses)
{
    struct slu_value *native = slu_table_to_native(law->table, law->operation, law->side, canonical,
                                                   &law->vars, &law->arena, losses, &law->mistakes);

    return native && law->xml ? through_xml(law, native) : native;
}

static struct slu_value *to_canonical(struct law *law, const struct slu_value *native,
                                      struct slu_losses *losses)
{
    return slu_table_to_canonical(law->table, law->operation, law->side, native, &law->vars,
                                  &law->arena, losses, &law->mistakes);
}

static void refused_with_words(struct law *law)
{
    assert_true(law->mistakes.count > 0 || law->xml); /* whose writer only says no */
    for (const struct slu_mistake *m = law->mistakes.first; m; m = m->next)
        assert_true(m->detail.n > 0 && m->kind != SLU_FAULT_INTERNAL &&
                    m->kind != SLU_FAULT_MEMORY);
    law->explained++;
}

/* Which rows a document that was held has really moved. */
static void note_rows(struct law *law, const struct slu_value *place)
{
    struct slu_str rest;

    for (size_t i = 0; place && i < law->rows->count; i++) {
        const struct slu_row *row = law->rows->writing[i];
        const struct slu_value *node = row->has_n ? slu_path_get(&row->n, place) : NULL;
        bool there = node && node->kind != SLU_NULL;

        if (row->codec == SLU_CODEC_INDEXED)
            slu_value_each (child, place)
                there |= slu_indexed_number(row->n.steps[0], child->name, &rest) > 0;
        law->seen[i] += there || !row->has_n;
    }
}

/* The object where the rows write. */
static struct slu_value *place_of(const struct law *law, const struct slu_value *root)
{
    const struct slu_value *at =
        slu_path_get(law->side == SLU_REQUEST ? &law->step->takes_at : &law->step->gives_at, root);

    if (slu_value_is(at, SLU_ARRAY))
        at = at->first;
    return (struct slu_value *)at;
}

/* The same to the letter, and nothing told: held. Anything else was explained, if it was. */
static void judge(struct law *law, bool same, const struct slu_value *native)
{
    if (same && law->there.count == 0 && law->back.count == 0) {
        law->held++;
        note_rows(law, place_of(law, native));
    } else {
        law->explained++;
    }
}

static struct slu_value *one_canonical(struct law *law)
{
    return one_in(law, WILD) ? wild_canonical(law) : sound_canonical(law);
}

static struct slu_value *random_documents(struct law *law)
{
    struct slu_value *list;

    if (law->side == SLU_REQUEST || !law->step->each)
        return one_canonical(law);
    list = slu_value_new(&law->arena, SLU_ARRAY);
    for (uint32_t i = below(law, 8) ? 1 : below(law, 4); i; i--)
        slu_value_append(list, one_canonical(law));
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

    begin(law, !one_in(law, 4));
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
    judge(law, slu_value_equal(first, third), second);
}

/* ---- native documents ---- */

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
    const struct slu_value *word =
        row->words->pairs[below(law, (uint32_t)row->words->count)].native;

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
        if (row->words && one_in(law, 2))
            become(node, native_word(law, row));
        else if (one_in(law, 10))
            become(node, foreign(law));
    }
    if (one_in(law, 2))
        slu_value_set(place, foreign_name(law), foreign(law));
    if (one_in(law, 4))
        slu_value_each (child, place)
            if (child->kind == SLU_OBJECT && !one_in(law, 3))
                slu_value_set(child, foreign_name(law), foreign(law));
    if (one_in(law, 6) && place->count)
        (void)slu_value_remove(place, nth(place, below(law, place->count)));
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

/* A null, or what the cloud does anyway, that is not written where the cloud lacks the member. */
static bool left_by_rule(const struct law *law, const struct slu_row *row,
                         const struct slu_value *was)
{
    const struct slu_pair *pair = row->words && !row->words->conditional && was
                                      ? slu_words_read(row->words, was, true, NULL)
                                      : NULL;

    for (size_t i = 0; row->slot_count == 1 && i < law->rows->lack_count; i++)
        if (law->rows->lacks[i]->slot == row->slot && law->rows->lacks[i]->when_count &&
            (!was || was->kind == SLU_NULL ||
             (pair && lets_through(law, row->slot, pair->canonical))))
            return true;
    return false;
}

/* An empty list, or objects around nothing else. */
static bool holds_nothing(const struct slu_value *value)
{
    if (!value || (value->kind != SLU_ARRAY && value->kind != SLU_OBJECT))
        return false;
    slu_value_each (child, value)
        if (value->kind == SLU_ARRAY || !holds_nothing(child))
            return false;
    return true;
}

/* Is the difference at this native place one that was told or that the language speaks of? */
static bool native_by_rule(struct law *law, struct slu_str pointer, struct slu_str name,
                           const struct slu_value *was, const struct slu_value *is)
{
    struct slu_str rest;

    if (said_anywhere(law, slu_arena_join(&law->arena, SLU_STR("/native"), pointer)))
        return true;
    if (law->xml && nothing(was) && (nothing(is) || holds_nothing(is)))
        return true; /* one empty element, or none */
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
        if ((may_be_xml(law) && is_list(row) && nothing(was) && nothing(is)) ||
            row_told(law, row) || (!was && completes(row)) ||
            (was && is && one_way_word(row, was, false)) || (!is && left_by_rule(law, row, was)) ||
            (was && !is && row->with.count) /* nothing stands with it any more */ ||
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

/* Is the member of the envelope, where that stands among the flow log's own? Nothing in it is kept.
 */
static bool is_around(const struct law *law, struct slu_str name)
{
    for (size_t i = 0; law->side == SLU_REPLY && i < law->step->envelope_count; i++)
        if (law->step->gives_at.count == 0 &&
            slu_str_eq(law->step->envelope[i].path.steps[0], name))
            return true;
    return false;
}

/* Unknown members beside the known ones, and within them. */
static void add_extras(struct law *law, struct slu_value *place)
{
    struct slu_str name = slu_arena_join(&law->arena, SLU_STR("X"), foreign_name(law));

    slu_value_set(place, name, foreign(law));
    if (one_in(law, 3))
        slu_value_set(place, SLU_STR("Another"), foreign(law));
    slu_value_each (child, place)
        if (child->kind == SLU_OBJECT && child->name.p[0] != 'X' &&
            !slu_str_is(child->name, "Another") && !is_around(law, child->name) && one_in(law, 3))
            slu_value_set(child, name, foreign(law));
}

/* A native document, as a cloud or its clients would write it; NULL when chance made none. */
static struct slu_value *random_native(struct law *law)
{
    bool wild = one_in(law, WILD);
    struct slu_value *canonical = wild ? wild_canonical(law) : sound_canonical(law), *native;

    if (law->side == SLU_REPLY && law->step->each) {
        struct slu_value *list = slu_value_new(&law->arena, SLU_ARRAY);

        slu_value_append(list, canonical);
        canonical = list;
        law->prefix = SLU_STR("/0");
    }
    native = to_native(law, canonical, &law->there);
    if (native && wild)
        spoil(law, place_of(law, native));
    else if (native && !clearing(law)) /* which refuses what nobody reads */
        add_extras(law, place_of(law, native));
    return native;
}

static void native_law(struct law *law)
{
    const struct slu_value *canonical, *third;
    struct slu_value *first, *kept;

    begin(law, true);
    first = random_native(law);
    if (!first) {
        refused_with_words(law);
        return;
    }
    if (law->xml)
        first = through_xml(law, first);
    if (!first) {
        refused_with_words(law);
        return;
    }
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
    judge(law, slu_value_equal(kept, third), third);
}

/* ---- messages ---- */

/* Two operations may be one call, such as a switch that is an update: then the first is found. */
static bool same_call(const struct slu_table *table, const struct slu_match *match,
                      const struct slu_step *step)
{
    const struct slu_step *found = &table->plans[match->operation].steps[match->step];

    return found == step ||
           (slu_str_eq(found->method, step->method) && slu_str_eq(found->action, step->action) &&
            slu_str_eq(found->path.text, step->path.text));
}

static void message_law(struct law *law)
{
    const struct slu_step *steps = law->table->plans[law->operation].steps;
    int scheme =
        law->table->scheme_count ? (int)below(law, (uint32_t)law->table->scheme_count) : -1;
    const struct slu_value *first;
    struct slu_value *third = NULL;
    struct slu_request request;
    struct slu_match match;
    struct slu_fault fault = {.kind = SLU_FAULT_NONE};

    begin(law, false);
    first = sound_canonical(law);
    if (!slu_table_write_request(law->table, law->operation, (size_t)(law->step - steps), scheme,
                                 first, &law->vars, &law->arena, &law->there, &law->mistakes,
                                 &request)) {
        refused_with_words(law);
        return;
    }
    if (!slu_table_match(law->table, &request, scheme, &law->arena, &match, &fault))
        fail_msg("%.*s %s: %s", SLU_FMT(law->table->dialect), slu_operation_name(law->operation),
                 fault.words);
    assert_true(same_call(law->table, &match, law->step));
    law->why = SLU_STR("everything");
    if (!slu_table_read_request(law->table, &match, &law->arena, &law->mistakes, &third) ||
        !same_or_told(law, first, third))
        broken(law, first, match.native, third);
    judge(law, slu_value_equal(first, third), match.native);
}

/* ---- tables ---- */

/* Values that the parameters' own limits take. */
static void set_vars(struct law *law, struct slu_arena *arena)
{
    const struct slu_plan *plan = &law->table->plans[law->operation];
    struct draw draw = {law->draw.state, arena, law->xml};

    law->vars = (struct slu_vars){.count = 0};
    for (size_t i = 0; i < law->table->parameter_count; i++) {
        const struct slu_limits *limits = law->table->parameter_rules[i].limits;
        struct slu_str value = SLU_STR("some-value");

        do /* a configured one is never empty */
            value = limits ? draw_within(&draw, limits) : value;
        while (value.n == 0);
        assert_true(slu_vars_set(&law->vars, law->table->parameters[i].name, value));
    }
    assert_true(slu_vars_set(&law->vars, SLU_STR("id"), SLU_STR("id-1")));
    assert_true(slu_vars_set(&law->vars, SLU_STR("request_id"), SLU_STR("r-1")));
    assert_true(slu_vars_set(&law->vars, SLU_STR("host"), SLU_STR("h")));
    assert_true(
        slu_vars_set(&law->vars, SLU_STR("reply"), law->xml ? SLU_STR("xml") : SLU_STR("json")));
    assert_true(slu_vars_set(&law->vars, SLU_STR("carries"),
                             clearing(law) ? SLU_STR("nulls") : SLU_STR("values")));
    for (size_t i = 0; i < plan->step_count; i++)
        for (size_t k = 0; k < plan->steps[i].capture_count; k++)
            assert_true(
                slu_vars_set(&law->vars, plan->steps[i].capture[k].name, SLU_STR("captured")));
}

/* Draws until enough documents were held; a generator that hardly makes any is noticed. */
static void hold(struct law *law, void (*one)(struct law *law), const char *what,
                 unsigned long enough)
{
    law->drawn = law->held = law->explained = 0;
    memset(law->seen, 0, sizeof(law->seen));
    while (law->held < enough && law->drawn < 2 * enough)
        one(law);
    print_message("%.*s %s %s, %s: %lu drawn, %lu held, %lu explained, %lu unexplained\n",
                  SLU_FMT(slu_table_dialect(law->table)), slu_operation_name(law->operation),
                  law->side == SLU_REQUEST ? "request"
                  : law->xml               ? "reply in XML"
                                           : "reply",
                  what, law->drawn, law->held, law->explained,
                  law->drawn - law->held - law->explained);
    assert_int_equal(law->held, enough);
    assert_true(law->held * 100 >= law->drawn * LEAST_HELD_PERCENT);
    assert_int_equal(law->drawn, law->held + law->explained);
    for (size_t i = 0; i < law->rows->count; i++)
        if (law->seen[i] < enough / 20 && (!clearing(law) || clears(law, law->rows->writing[i])))
            fail_msg("row %zu took part in %lu documents only", law->rows->writing[i]->index,
                     law->seen[i]);
}

static void try_step(const struct slu_table *table, enum slu_operation operation,
                     enum slu_side side, const struct slu_step *step, bool xml,
                     unsigned long enough)
{
    struct law law = {
        .table = table, .operation = operation, .side = side, .step = step, .xml = xml};
    struct slu_arena values;

    law.rows = &table->plans[operation].rows[side];
    if ((side == SLU_REPLY && !step->gives) || law.rows->count == 0)
        return;
    law.draw = (struct draw){seed + ((uint64_t)operation << 8) + (uint64_t)side, &law.arena, xml};
    slu_arena_init(&values, 1 << 16);
    slu_arena_init(&law.arena, 1 << 22);
    set_vars(&law, &values);
    hold(&law, canonical_law, "canonical", enough);
    hold(&law, native_law, "native", enough);
    if (side == SLU_REQUEST)
        hold(&law, message_law, "message", enough);
    slu_arena_done(&law.arena);
    slu_arena_done(&values);
}

/* The call that has the document; of an update that sets and clears apart, each. */
static void try_side(const struct slu_table *table, enum slu_operation operation,
                     enum slu_side side, unsigned long enough)
{
    const struct slu_plan *plan = &table->plans[operation];
    const struct slu_step *main = plan->served ? slu_table_main_step(table, operation, side) : NULL;

    if (main)
        for (size_t i = 0; i < (side == SLU_REPLY ? table->reply_count : 1); i++)
            try_step(table, operation, side, main,
                     side == SLU_REPLY && slu_str_is(table->replies[i], "xml"), enough);
    for (size_t i = 0; main && side == SLU_REQUEST && i < plan->step_count; i++)
        if (plan->steps[i].carries != SLU_CARRIES_ALL && &plan->steps[i] != main)
            try_step(table, operation, side, &plan->steps[i], false, enough);
}

static void try_table(const char *path, unsigned long enough)
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
        try_side(table, (enum slu_operation)i, SLU_REQUEST, enough);
        try_side(table, (enum slu_operation)i, SLU_REPLY, enough);
    }
    slu_table_free(table);
    slu_arena_done(&arena);
}

static unsigned try_folder(const char *folder, unsigned long enough)
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
            try_table(path, enough);
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
    assert_true(try_folder(SLU_SOURCE_DIR "/tests/unit/mapping/data", documents / 5) >= 2);
    assert_true(try_folder(SLU_SOURCE_DIR "/mappings", documents) >= 3);
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
