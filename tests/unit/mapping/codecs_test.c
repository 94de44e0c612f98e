/*
 * The law of each codec, alone: a small table with rows of that codec only, random canonical values
 * to native and back, random native values to canonical and back; then values at the edges, each
 * with what must come of it. A difference is a loss or a mistake that names the member, or one that
 * mappings/README.md speaks of: a null in a create request is nothing, nor is one among joined
 * parts, no tags are no parameters, pairs marked "read" or "write" go one way, constants and
 * parameters are completed.
 *
 * Documents in JSON are replies, lists of parameters are create requests. SLU_SEED sets the seed.
 */
#include "test.h"

#include "draw.h"

#include "codec/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { VALUES = 10000, ODD = 24, LEAST_SAME_PERCENT = 50 };

static uint64_t seed = 20261122;

/* ---- small tables ---- */

static const struct small {
    const char *name;
    bool flat;
    const char *fields, *enums, *lacks;
} smalls[] = {
    {"copy", false,
     "{'c':'/name','n':'/A'},{'c':'/aggregation_interval','n':'/B'},{'c':'/index','n':'/C'},"
     "{'c':'/created_at','n':'/D'},{'c':'/tags','n':'/E'},{'c':'/resource_type','n':'/F'}",
     "", ""},
    {"copy in a list of parameters", true,
     "{'c':'/name','n':'/A'},{'c':'/aggregation_interval','n':'/B'},{'c':'/index','n':'/C'},"
     "{'c':'/resource_type','n':'/F'}",
     "", ""},
    {"enum", false,
     "{'c':'/traffic_type','n':'/A','codec':'enum','enum':'traffic'},"
     "{'c':'/enabled','n':'/B'},"
     "{'c':'/status','n':'/C','codec':'enum','enum':'status'},"
     "{'c':'/index','n':'/D','codec':'enum','enum':'truth'}",
     "'traffic':{'pairs':[['all','ALL'],['accept','IN'],['reject','OUT'],['all','any','read']]},"
     "'status':{'pairs':[['active','up',{'when':{'/enabled':true}}],"
     "['disabled','up',{'when':{'/enabled':false}}],['active','up','read'],['creating','new'],"
     "['updating','busy'],['deleting','going'],['deleted','going','write'],['failed','bad']],"
     "'otherwise':'unknown'},"
     "'truth':{'pairs':[[true,'yes'],[false,false]]}",
     ""},
    {"enum in a list of parameters", true,
     "{'c':'/traffic_type','n':'/A','codec':'enum','enum':'traffic'},"
     "{'c':'/index','n':'/D','codec':'enum','enum':'truth'}",
     "'traffic':{'pairs':[['all','ALL'],['accept','IN'],['reject','OUT'],['all','any','read']]},"
     "'truth':{'pairs':[[true,'yes'],[false,false]]}",
     ""},
    {"scale", false, "{'c':'/aggregation_interval','n':'/A','codec':'scale','factor':60}", "", ""},
    {"scale in a list of parameters", true,
     "{'c':'/aggregation_interval','n':'/A','codec':'scale','factor':60}", "", ""},
    {"bool_text", false, "{'c':'/index','n':'/A','codec':'bool_text','true':'On','false':'Off'}",
     "", ""},
    {"bool_text in a list of parameters", true,
     "{'c':'/index','n':'/A','codec':'bool_text','true':'On','false':'Off'}", "", ""},
    {"kv_list", false, "{'c':'/tags','n':'/In/A','codec':'kv_list','key':'K','value':'V'}", "", ""},
    {"indexed", true, "{'c':'/tags','n':'/A','codec':'indexed','key':'Key','value':'Value'}", "",
     ""},
    {"wrap", false,
     "{'c':'/name','n':'/A','codec':'wrap'},{'c':'/aggregation_interval','n':'/B','codec':'wrap'}",
     "", ""},
    {"join", false,
     "{'c':['/destination/group','/destination/stream','/destination/id'],'n':'/A',"
     "'codec':'join','pattern':'arn:{0}/{1}::{2}'}",
     "", ""},
    {"join in a list of parameters", true,
     "{'c':['/destination/group','/destination/stream','/destination/id'],'n':'/A',"
     "'codec':'join','pattern':'arn:{0}/{1}::{2}'}",
     "", ""},
    {"time", false,
     "{'c':'/created_at','n':'/A','codec':'time','format':'DD.MM.YYYY hh:mm:ss'},"
     "{'c':'/updated_at','n':'/B','codec':'time','format':'YYYYMMDDThhmmss[.f]Z'}",
     "", ""},
    {"const", false,
     "{'c':'/destination/type','n':'/A','codec':'const','canonical':'s3','native':'store'},"
     "{'c':'/aggregation_interval','codec':'const','canonical':600},"
     "{'n':'/B','codec':'const','native':7}",
     "", ""},
    {"const in a list of parameters", true,
     "{'c':'/destination/type','n':'/A','codec':'const','canonical':'s3','native':'store'},"
     "{'c':'/aggregation_interval','codec':'const','canonical':600},"
     "{'n':'/B','codec':'const','native':7}",
     "", ""},
    {"parameter", false,
     "{'c':'/parent_id','codec':'parameter','parameter':'place'},"
     "{'n':'/A','codec':'parameter','parameter':'place','direction':'reply'}",
     "", ""},
    {"parameter in a list of parameters", true,
     "{'c':'/parent_id','codec':'parameter','parameter':'place'}", "", ""},
    {"prefix", false,
     "{'c':'/resource_id','n':'/A'},{'c':'/resource_type','n':'/A','codec':'prefix','enum':'kind',"
     "'derived':true}",
     "'kind':{'pairs':[['router','r-'],['router_attachment','r-at-'],['vpc','v-'],['subnet','s-'],"
     "['interface','i-'],['vpc','net-','read']]}",
     ""},
    {"one out of a kv_list", false,
     "{'c':'/tags','n':'/In/A','codec':'kv_list','key':'K','value':'V'},"
     "{'c':'/name','n':'/In/A','codec':'kv_list','key':'K','value':'V','one':'Name'}",
     "", ""},
    {"one out of an indexed list", true,
     "{'c':'/tags','n':'/A','codec':'indexed','key':'Key','value':'Value'},"
     "{'c':'/name','n':'/A','codec':'indexed','key':'Key','value':'Value','one':'Name'},"
     "{'n':'/B','codec':'const','native':'log','with':'/A'}",
     "", ""},
    {"what a missing member stands for", true,
     "{'c':'/traffic_type','n':'/A','codec':'enum','enum':'traffic','absent':'all'},"
     "{'c':'/resource_type','n':'/F'},"
     "{'c':'/name','n':'/N','default':'x','default_if':{'/index':'*'}},{'c':'/index','n':'/I'},"
     "{'c':'/aggregation_interval','n':'/B','default':60,"
     "'default_if':{'/resource_type':['router','router_attachment']}}",
     "'traffic':{'pairs':[['all','ALL'],['accept','IN'],['reject','OUT']]}", ""},
    {"lacks with conditions", false,
     "{'c':'/resource_type','n':'/F'},{'c':'/traffic_type','n':'/A'},"
     "{'c':'/destination/group','n':'/B'},{'c':'/destination/arn','n':'/C'},"
     "{'c':'/aggregation_interval','n':'/D'}",
     "",
     "{'c':'/traffic_type','when':{'/resource_type':'router'},"
     "'unless':['all'],'reason':'none'},"
     "{'c':'/destination/group','when':{'/destination/arn':null},'reason':'both'},"
     "{'c':'/aggregation_interval','words':[600],'when':{'/resource_type':'router'},"
     "'reason':'slow'},"
     "{'c':'/aggregation_interval','words':[60],'when':{'/resource_type':null},'reason':'fast'},"},
};

static const char before[] =
    "{'dialect':'small','title':'t','version':1,'api_version':'1',"
    "'transport':{'endpoint':'e','request':'%s','reply':['json'],"
    "'parameters':{'place':{'required':true}}},'error_shapes':[{'code':'/Code'}],'errors':[],"
    "'enums':{%s},'fields':[%s],'cannot':[";
static const char after[] =
    "{'c':'/destination/role','reason':'none'}],'operations':{"
    "'create':{'steps':[{'method':'POST','path':'/','request':{'at':'%s'},"
    "'reply':{'status':[200],'at':'/Log','echo':true}}],"
    "'find_by':{'never':'a test'},'undo':{'never':'a test'}},"
    "'get':{'steps':[{'method':'GET','path':'/{id}','reply':{'status':[200],'at':'/Log'}}]}}}";

static struct slu_arena arena;
static struct draw draw;
static struct slu_mistakes mistakes;
static struct slu_losses there, back;
static struct slu_vars vars;

static void add_quoted(struct slu_buf *out, const char *format, ...)
{
    char text[4000];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *at = text; *at; at++)
        slu_buf_byte(out, *at == '\'' ? '"' : *at);
}

/* What the rows leave, the cloud lacks. */
static void add_lacks(struct slu_buf *out, const char *fields)
{
    size_t count;
    const struct slu_member *members = slu_flow_log_members(&count);

    for (size_t i = 0; i < count; i++) {
        bool status = strcmp(members[i].pointer, "/status") == 0 && strstr(fields, "'/status'");
        char quoted[80];

        snprintf(quoted, sizeof(quoted), "'%s'", members[i].pointer);
        if (members[i].type == SLU_MEMBER_OBJECT || !members[i].translated ||
            strcmp(members[i].pointer, "/destination/role") == 0)
            continue;
        if (status)
            add_quoted(out, "{'c':'/status','words':['unknown'],'reason':'none'},");
        else if (!strstr(fields, quoted))
            add_quoted(out, "{'c':%s,'reason':'none'},", quoted);
    }
}

static struct slu_table *load(const struct small *small)
{
    struct slu_table *table;
    struct slu_buf text;

    slu_buf_init(&text, 0);
    add_quoted(&text, before, small->flat ? "query" : "json", small->enums, small->fields);
    add_lacks(&text, small->fields);
    add_quoted(&text, "%s", small->lacks);
    add_quoted(&text, after, small->flat ? "" : "/Log");
    table = slu_table_load_text(SLU_STR("small"), slu_buf_str(&text), &mistakes);
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        print_error("%s: %.*s: %.*s\n", small->name, SLU_FMT(m->pointer), SLU_FMT(m->detail));
    assert_non_null(table);
    slu_buf_done(&text);
    return table;
}

/* ---- one document there and back ---- */

struct trial {
    const struct small *small;
    const struct slu_table *table;
    const struct slu_rows *rows;
    enum slu_operation operation;
    enum slu_side side;
    unsigned long same, told;
};

static void begin_trial(struct trial *trial, const struct small *small,
                        const struct slu_table *table)
{
    *trial = (struct trial){.small = small,
                            .table = table,
                            .operation = small->flat ? SLU_OP_CREATE : SLU_OP_GET,
                            .side = small->flat ? SLU_REQUEST : SLU_REPLY};
    trial->rows = &table->plans[trial->operation].rows[trial->side];
}

static void fresh(bool lenient)
{
    slu_arena_reset(&arena);
    slu_mistakes_init(&mistakes, &arena);
    slu_losses_init(&there, &arena, lenient);
    slu_losses_init(&back, &arena, lenient);
    vars = (struct slu_vars){.count = 0};
    assert_true(slu_vars_set(&vars, SLU_STR("place"), SLU_STR("here")));
}

static struct slu_value *translate(const struct trial *trial, bool write,
                                   const struct slu_value *document, struct slu_losses *losses)
{
    return write ? slu_table_to_native(trial->table, trial->operation, trial->side, document, &vars,
                                       &arena, losses, &mistakes)
                 : slu_table_to_canonical(trial->table, trial->operation, trial->side, document,
                                          &vars, &arena, losses, &mistakes);
}

static void show(const char *what, const struct slu_value *value)
{
    struct slu_str text = value ? slu_json_text(&arena, value) : SLU_STR("nothing");

    print_error("  %-5s %.*s\n", what, SLU_FMT(text));
}

static void differs(const struct trial *trial, struct slu_str pointer,
                    const struct slu_value *first, const struct slu_value *second,
                    const struct slu_value *third)
{
    print_error("%s: %.*s\n", trial->small->name, SLU_FMT(pointer));
    show("from", first);
    show("to", second);
    show("back", third);
    fail_msg("a difference that nobody told (SLU_SEED=%llu)", (unsigned long long)seed);
}

static bool near(struct slu_str a, struct slu_str b)
{
    return slu_pointers_overlap(a, b);
}

static bool told(struct slu_str pointer)
{
    for (const struct slu_loss *loss = there.first; loss; loss = loss->next)
        if (near(loss->pointer, pointer))
            return true;
    for (const struct slu_loss *loss = back.first; loss; loss = loss->next)
        if (near(loss->pointer, pointer))
            return true;
    return false;
}

/* A refusal names a member that the document has (or the whole, where nothing is left of it). */
static void refused(struct trial *trial)
{
    assert_true(mistakes.count > 0);
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        if (m->pointer.n == 0 || m->detail.n == 0 || m->kind == SLU_FAULT_INTERNAL)
            fail_msg("%s: a refusal without a name", trial->small->name);
    trial->told++;
}

static const struct slu_row *row_with(const struct trial *trial, uint8_t slot)
{
    for (size_t i = 0; i < trial->rows->count; i++)
        for (size_t k = 0; k < trial->rows->writing[i]->slot_count; k++)
            if (trial->rows->writing[i]->slots[k] == slot)
                return trial->rows->writing[i];
    return NULL;
}

static bool one_way(const struct slu_row *row, const struct slu_value *word, bool canonical)
{
    for (size_t i = 0; word && row->words && i < row->words->count; i++) {
        const struct slu_pair *pair = &row->words->pairs[i];

        if (pair->read != pair->write &&
            slu_word_equal(canonical ? pair->canonical : pair->native, word, true))
            return true;
    }
    return false;
}

/* What a lack's "unless" asks for, the cloud does anyway. */
static bool lets_through(const struct trial *trial, uint8_t slot, const struct slu_value *value)
{
    bool nothing = !value || value->kind == SLU_NULL;

    for (size_t i = 0; nothing && i < trial->rows->lack_count; i++)
        if (trial->rows->lacks[i]->slot == slot && trial->rows->lacks[i]->when_count)
            return true; /* as a reply says */
    for (size_t i = 0; !nothing && i < trial->rows->lack_count; i++)
        for (size_t k = 0; k < trial->rows->lacks[i]->unless_count; k++)
            if (trial->rows->lacks[i]->slot == slot &&
                slu_value_equal(trial->rows->lacks[i]->unless[k], value))
                return true;
    return false;
}

static bool by_rule(const struct trial *trial, const struct slu_row *row,
                    const struct slu_value *was, const struct slu_value *is)
{
    bool nothing = !was || (trial->side == SLU_REQUEST && was->kind == SLU_NULL);

    if (nothing && (!is || row->derived || row->absent || row->fallback ||
                    row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER))
        return true;
    if (slu_value_is(was, SLU_NULL) &&
        (row->derived || row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER))
        return true;
    if (row->codec == SLU_CODEC_JOIN && slu_value_is(was, SLU_NULL) && !is)
        return true;
    if (row->codec == SLU_CODEC_INDEXED && was && was->count == 0 && !is)
        return true;
    if (slu_value_is(is, SLU_NULL) && lets_through(trial, row->slot, was))
        return true;
    if (row->shared && (!was || was->kind == SLU_NULL) && (!is || is->count == 0))
        return true; /* where a part of the list is there, so is its rest */
    return one_way(row, was, true);
}

static void compare_canonical(struct trial *trial, const struct slu_value *first,
                              const struct slu_value *second, const struct slu_value *third)
{
    struct slu_run a, b;
    bool same = true;

    slu_run_init(&a, trial->table, trial->operation, trial->side, NULL, &vars, &arena, &there,
                 &mistakes);
    b = a;
    slu_run_spread(&a, first, NULL);
    slu_run_spread(&b, third, NULL);
    for (uint8_t i = 0; i < trial->table->slot_count; i++) {
        const struct slu_row *row = row_with(trial, i);

        if (!row || slu_value_equal(a.slots[i], b.slots[i]))
            continue;
        if (!told(trial->table->slots[i].pointer) && !by_rule(trial, row, a.slots[i], b.slots[i]))
            differs(trial, trial->table->slots[i].pointer, first, second, third);
        same = false;
    }
    trial->same += same && there.count + back.count == 0;
    trial->told += !same || there.count + back.count > 0;
}

static void there_and_back(struct trial *trial, const struct slu_value *first)
{
    const struct slu_value *second = translate(trial, true, first, &there), *third;

    if (!second) {
        refused(trial);
        return;
    }
    third = translate(trial, false, second, &back);
    if (!third)
        differs(trial, SLU_STR("what was written cannot be read"), first, second, third);
    compare_canonical(trial, first, second, third);
}

/* May the native member have changed? */
static bool native_by_rule(const struct trial *trial, struct slu_str pointer, struct slu_str name,
                           const struct slu_value *was)
{
    struct slu_str rest;

    if (told(slu_arena_join(&arena, SLU_STR("/native"), pointer)))
        return true;
    for (size_t i = 0; i < trial->rows->count; i++) {
        const struct slu_row *row = trial->rows->writing[i];
        bool mine =
            row->has_n &&
            (near(row->n.pointer, pointer) ||
             (row->codec == SLU_CODEC_INDEXED && slu_indexed_number(row->n.steps[0], name, &rest)));

        if (!mine)
            continue;
        if (one_way(row, was, false) || (!was && (row->absent || row->fallback)) ||
            (was && row->with.count) ||
            (!was && (row->codec == SLU_CODEC_CONST || row->codec == SLU_CODEC_PARAMETER)))
            return true;
        for (size_t k = 0; k < row->slot_count; k++)
            if (told(trial->table->slots[row->slots[k]].pointer) ||
                (was && lets_through(trial, row->slots[k], was)))
                return true;
    }
    return false;
}

static bool natives_agree(const struct trial *trial, const struct slu_value *was,
                          const struct slu_value *is, struct slu_str at, struct slu_str *ret_where)
{
    slu_value_each (child, was) {
        const struct slu_value *other = slu_value_find(is, child->name);
        struct slu_str place = slu_pointer_member(&arena, at, child->name);

        *ret_where = place;
        if (slu_value_equal(child, other) || native_by_rule(trial, place, child->name, child))
            continue;
        if (child->kind != SLU_OBJECT || !other || other->kind != SLU_OBJECT ||
            !natives_agree(trial, child, other, place, ret_where))
            return false;
    }
    slu_value_each (child, is) {
        *ret_where = slu_pointer_member(&arena, at, child->name);
        if (!slu_value_find(was, child->name) &&
            !native_by_rule(trial, *ret_where, child->name, NULL))
            return false;
    }
    return true;
}

static void back_and_there(struct trial *trial, const struct slu_value *place)
{
    struct slu_value *first = slu_value_new(&arena, SLU_OBJECT);
    const struct slu_value *kept, *second, *third;
    struct slu_str where = SLU_STR("");

    if (trial->small->flat)
        first = slu_value_copy(&arena, place);
    else
        slu_value_put(first, SLU_STR("Log"), slu_value_copy(&arena, place));
    kept = slu_value_copy(&arena, first);
    second = translate(trial, false, first, &there);
    if (!second) {
        refused(trial);
        return;
    }
    third = translate(trial, true, second, &back);
    if (!third)
        differs(trial, SLU_STR("what was read cannot be written"), kept, second, third);
    if (!natives_agree(trial, trial->small->flat ? kept : slu_value_member(kept, "Log"),
                       trial->small->flat ? third : slu_value_member(third, "Log"), SLU_STR(""),
                       &where))
        differs(trial, where, kept, second, third);
    if (slu_value_equal(kept, third) && there.count + back.count == 0)
        trial->same++;
    else
        trial->told++;
}

/* ---- random values ---- */

static int64_t some_integer(int64_t factor)
{
    static const int64_t edges[] = {
        0, 1, -1, 59, 60, -60, INT64_MAX, INT64_MIN, INT64_MAX / 60, INT64_MAX / 60 + 1};

    if (draw_one_in(&draw, 6))
        return edges[draw_below(&draw, SLU_COUNT(edges))];
    return ((int64_t)draw_below(&draw, 2000000) - 1000000) * factor;
}

/* A text that begins as the table knows, and what that says; now and then what it does not. */
static void draw_prefixed(const struct trial *trial, const struct slu_row *row,
                          struct slu_value *document)
{
    const struct slu_pair *pair =
        &row->words->pairs[draw_below(&draw, (uint32_t)row->words->count)];
    struct slu_str begun = slu_arena_join(&arena, pair->native->text, draw_text(&draw, 0, 4));

    if (draw_one_in(&draw, ODD))
        return;
    slu_value_set(document, SLU_STR("resource_id"), slu_value_string(&arena, begun));
    if (!draw_one_in(&draw, ODD))
        slu_value_set(document, trial->table->slots[row->slot].name,
                      slu_value_copy(&arena, slu_words_begin(row->words, begun)->canonical));
}

/* Letters, digits and a few signs: what stands between the signs of a pattern. */
static struct slu_str plain_part(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789._-";
    char text[20];
    size_t n = 1 + draw_below(&draw, sizeof(text) - 1);

    for (size_t i = 0; i < n; i++)
        text[i] = letters[draw_below(&draw, sizeof(letters) - 1)];
    return slu_arena_str(&arena, (struct slu_str){text, n});
}

static struct slu_value *text(struct slu_str words)
{
    return slu_value_string(&arena, words);
}

static struct slu_value *canonical_of(const struct slu_row *row, uint8_t slot)
{
    const struct slu_member *member = slu_flow_log_members(&(size_t){0}) + slot;
    uint32_t words = 0;

    if (draw_one_in(&draw, ODD))
        return draw_anything(&draw, 2);
    if (row->codec == SLU_CODEC_CONST)
        return slu_value_copy(&arena, row->canonical);
    if (row->codec == SLU_CODEC_PARAMETER)
        return text(SLU_STR("here"));
    if (row->codec == SLU_CODEC_JOIN)
        return text(draw_one_in(&draw, 20) ? draw_text(&draw, 0, 6) : plain_part());
    switch (member->type) {
    case SLU_MEMBER_TEXT:
        return text(draw_text(&draw, 0, 8));
    case SLU_MEMBER_WORD:
        while (member->words[words])
            words++;
        return text(slu_str_of(member->words[draw_below(&draw, words)]));
    case SLU_MEMBER_INTEGER:
        return slu_value_int(&arena, some_integer(row->factor ? row->factor : 1));
    case SLU_MEMBER_BOOL:
        return slu_value_bool(&arena, draw_one_in(&draw, 2));
    case SLU_MEMBER_TIME:
        return text(draw_time(&draw, draw_takes_fraction(row)));
    case SLU_MEMBER_TEXTS:
        return draw_tags_within(&draw, NULL);
    case SLU_MEMBER_OBJECT:
        break;
    }
    return slu_value_new(&arena, SLU_NULL);
}

static void put_canonical(const struct trial *trial, struct slu_value *document, uint8_t slot,
                          struct slu_value *value)
{
    const struct slu_slot *place = &trial->table->slots[slot];
    struct slu_value *into = document;

    if (place->parent != SLU_NO_SLOT) {
        struct slu_str name = trial->table->slots[place->parent].name;

        into = slu_value_find(document, name);
        if (!into) {
            into = slu_value_new(&arena, SLU_OBJECT);
            slu_value_put(document, name, into);
        }
    }
    slu_value_put(into, place->name, value);
}

static struct slu_value *random_canonical(const struct trial *trial)
{
    struct slu_value *document = slu_value_new(&arena, SLU_OBJECT);

    for (size_t i = 0; i < trial->rows->count; i++) {
        const struct slu_row *row = trial->rows->writing[i];

        if (draw_one_in(&draw, 10))
            continue;
        for (size_t k = 0; k < row->slot_count; k++)
            if (row->slot_count == 1 || !draw_one_in(&draw, 30))
                put_canonical(trial, document, row->slots[k], canonical_of(row, row->slots[k]));
        if (row->codec == SLU_CODEC_PREFIX)
            draw_prefixed(trial, row, document);
    }
    return document;
}

/* Integers and booleans are digits and words in a list of parameters. */
static struct slu_value *as_spoken(const struct trial *trial, struct slu_value *value)
{
    if (!trial->small->flat || value->kind == SLU_STRING)
        return value;
    if (value->kind == SLU_BOOL)
        return text(value->truth ? SLU_STR("true") : SLU_STR("false"));
    return text(value->kind == SLU_NUMBER ? value->text : SLU_STR("odd"));
}

/* What a row takes out of a shared list stands first, where it is written. */
static struct slu_value *some_tags(const struct slu_row *row)
{
    struct slu_value *tags = slu_value_new(&arena, SLU_OBJECT);
    const struct slu_value *others = draw_tags_within(&draw, NULL);

    if (row->shared && draw_one_in(&draw, 2))
        slu_value_set(tags, SLU_STR("Name"), text(draw_text(&draw, 0, 8)));
    slu_value_each (other, others)
        slu_value_set(tags, other->name, text(other->text));
    return tags;
}

static struct slu_value *native_list(const struct slu_row *row)
{
    struct slu_value *list = slu_value_new(&arena, SLU_ARRAY);
    struct slu_value *tags = some_tags(row);

    slu_value_each (tag, tags) {
        struct slu_value *item = slu_value_new(&arena, SLU_OBJECT);

        slu_value_put(item, row->key, text(tag->name));
        slu_value_put(item, row->value, text(tag->text));
        if (draw_one_in(&draw, 40)) /* once more, or with something beside it */
            slu_value_append(list, slu_value_copy(&arena, item));
        if (draw_one_in(&draw, 40))
            slu_value_set(item, SLU_STR("More"), draw_anything(&draw, 1));
        slu_value_append(list, item);
    }
    return list;
}

static void put_indexed(const struct slu_row *row, struct slu_value *place)
{
    struct slu_value *tags = some_tags(row);
    unsigned number = draw_one_in(&draw, 20) ? 2 : 1;

    slu_value_each (tag, tags) {
        const char *zero = draw_one_in(&draw, 40) ? "0" : "";

        slu_value_set(
            place,
            slu_arena_printf(&arena, "%.*s.%s%u.Key", SLU_FMT(row->n.steps[0]), zero, number),
            text(tag->name));
        if (!draw_one_in(&draw, 40))
            slu_value_set(
                place, slu_arena_printf(&arena, "%.*s.%u.Value", SLU_FMT(row->n.steps[0]), number),
                text(tag->text));
        number += draw_one_in(&draw, 40) ? 2 : 1;
    }
}

static struct slu_value *native_time(const struct slu_row *row)
{
    struct slu_str spelled;

    if (!slu_time_write(&arena, row->format, draw_time(&draw, draw_takes_fraction(row)), &spelled))
        fail_msg("a time that cannot be written");
    return text(spelled);
}

/* Where another row derives a word from the text's beginning, mostly a beginning that it knows. */
static struct slu_value *begun_by(const struct trial *trial, const struct slu_row *row,
                                  struct slu_value *value)
{
    for (size_t i = 0; i < trial->rows->count; i++) {
        const struct slu_row *other = trial->rows->writing[i];
        const struct slu_pair *pair;

        if (other->codec != SLU_CODEC_PREFIX || value->kind != SLU_STRING ||
            !slu_str_eq(other->n.pointer, row->n.pointer) || draw_one_in(&draw, ODD))
            continue;
        pair = &other->words->pairs[draw_below(&draw, (uint32_t)other->words->count)];
        value->text = slu_arena_join(&arena, pair->native->text, value->text);
    }
    return value;
}

static struct slu_value *native_of(const struct trial *trial, const struct slu_row *row)
{
    struct slu_value *list;

    if (draw_one_in(&draw, ODD))
        return draw_anything(&draw, 2);
    switch (row->codec) {
    case SLU_CODEC_ENUM:
        return slu_value_copy(
            &arena, row->words->pairs[draw_below(&draw, (uint32_t)row->words->count)].native);
    case SLU_CODEC_SCALE:
        return slu_value_int(&arena, some_integer(1));
    case SLU_CODEC_BOOL_TEXT:
        return text(draw_one_in(&draw, 2) ? row->yes : row->no);
    case SLU_CODEC_KV_LIST:
        return native_list(row);
    case SLU_CODEC_JOIN:
        return text(slu_arena_printf(&arena, "arn:%.*s/%.*s::%.*s", SLU_FMT(plain_part()),
                                     SLU_FMT(plain_part()), SLU_FMT(plain_part())));
    case SLU_CODEC_TIME:
        return native_time(row);
    case SLU_CODEC_CONST:
        return slu_value_copy(&arena, row->native);
    case SLU_CODEC_PARAMETER:
        return text(SLU_STR("here"));
    case SLU_CODEC_COPY:
        return begun_by(trial, row, canonical_of(row, row->slot));
    case SLU_CODEC_WRAP:
        list = slu_value_new(&arena, SLU_ARRAY);
        for (uint32_t i = draw_one_in(&draw, 20) ? draw_below(&draw, 3) : 1; i; i--)
            slu_value_append(list, canonical_of(row, row->slot));
        return list;
    case SLU_CODEC_PREFIX:
    case SLU_CODEC_INDEXED:
    case SLU_CODEC_COUNT:
        break;
    }
    fail_msg("%s has no value of its own", trial->small->name);
    return NULL;
}

static struct slu_value *random_native(const struct trial *trial)
{
    struct slu_value *place = slu_value_new(&arena, SLU_OBJECT);

    for (size_t i = 0; i < trial->rows->count; i++) {
        const struct slu_row *row = trial->rows->writing[i];

        if (!row->has_n || row->one.p || row->codec == SLU_CODEC_PREFIX || draw_one_in(&draw, 10))
            continue; /* the row for the rest, and the one it derives from, draw for both */
        if (row->codec == SLU_CODEC_INDEXED)
            put_indexed(row, place);
        else
            assert_true(
                slu_path_put(&arena, &row->n, place, as_spoken(trial, native_of(trial, row))));
    }
    if (draw_one_in(&draw, 2))
        slu_value_set(place, SLU_STR("Extra"), as_spoken(trial, draw_anything(&draw, 2)));
    return place;
}

/* ---- the laws ---- */

static void report(const struct trial *trial, const char *what)
{
    print_message("%s, %s: %lu the same, %lu told or refused\n", trial->small->name, what,
                  trial->same, trial->told);
    assert_int_equal(trial->same + trial->told, VALUES);
    assert_true(trial->same * 100 >= VALUES * LEAST_SAME_PERCENT);
}

static void every_codec_keeps_its_law(void **state)
{
    (void)state;
    draw = (struct draw){.state = seed, .arena = &arena};
    for (size_t i = 0; i < SLU_COUNT(smalls); i++) {
        struct slu_table *table;
        struct trial trial;

        fresh(false);
        table = load(&smalls[i]);
        begin_trial(&trial, &smalls[i], table);
        for (int k = 0; k < VALUES; k++) {
            fresh(draw_one_in(&draw, 2));
            there_and_back(&trial, random_canonical(&trial));
        }
        report(&trial, "canonical");
        begin_trial(&trial, &smalls[i], table);
        for (int k = 0; k < VALUES; k++) {
            fresh(draw_one_in(&draw, 2));
            back_and_there(&trial, random_native(&trial));
        }
        report(&trial, "native");
        slu_table_free(table);
    }
}

/* ---- edges ---- */

static const struct edge {
    const char *small;
    bool write;
    const char *from,
        *to;          /* where the rows read and write; in canonical form only what rows have */
    const char *told; /* canonical pointers of the losses */
} edges[] = {
    {"copy", true, "{'aggregation_interval':0}", "{'B':0}", ""},
    {"copy", true, "{'aggregation_interval':-0}", "{'B':-0}", ""},
    {"copy", true, "{'aggregation_interval':9223372036854775807}", "{'B':9223372036854775807}", ""},
    {"copy", true, "{'aggregation_interval':9223372036854775808}", "{}", "/aggregation_interval"},
    {"copy", true, "{'aggregation_interval':12345678901234567890}", "{}", "/aggregation_interval"},
    {"copy", true, "{'aggregation_interval':1e3}", "{}", "/aggregation_interval"},
    {"copy", true, "{'aggregation_interval':1.0}", "{}", "/aggregation_interval"},
    {"copy", true, "{'aggregation_interval':'1'}", "{}", "/aggregation_interval"},
    {"copy", true, "{'name':''}", "{'A':''}", ""},
    {"copy", true, "{'name':null,'index':null,'tags':null}", "{'A':null,'C':null,'E':null}", ""},
    {"copy", true, "{'name':5,'index':'true','tags':{'a':1}}", "{}", "/name /index /tags"},
    {"copy", true, "{'resource_type':'lake'}", "{}", "/resource_type"},
    {"copy", true, "{'tags':{}}", "{'E':{}}", ""},
    {"copy", false, "{'B':1e3}", "{'aggregation_interval':null,'native':{'B':1e3}}",
     "/aggregation_interval"},
    {"copy", false, "{'B':-9223372036854775808}", "{'aggregation_interval':-9223372036854775808}",
     ""},
    {"copy", false, "{'B':-9223372036854775809}",
     "{'aggregation_interval':null,'native':{'B':-9223372036854775809}}", "/aggregation_interval"},
    {"copy", false, "{'D':'2024-02-29T23:59:60.5Z'}", "{'created_at':'2024-02-29T23:59:60.5Z'}",
     ""},
    {"copy", false, "{'D':'2023-02-29T00:00:00Z'}",
     "{'created_at':null,'native':{'D':'2023-02-29T00:00:00Z'}}", "/created_at"},
    {"copy", false, "{'D':'2024-01-01T00:00:00+01:00'}",
     "{'created_at':null,'native':{'D':'2024-01-01T00:00:00+01:00'}}", "/created_at"},
    {"copy", false, "{'A':[],'E':{'a':null}}",
     "{'name':null,'tags':null,'native':{'A':[],'E':{'a':null}}}", "/name /tags"},
    {"copy", false, "{'Extra':{},'A':''}", "{'name':'','native':{'Extra':{}}}", ""},
    {"copy in a list of parameters", true, "{'aggregation_interval':-0}", "{'B':'0'}", ""},
    {"copy in a list of parameters", true, "{'aggregation_interval':-7,'index':false}",
     "{'B':'-7','C':'false'}", ""},
    {"copy in a list of parameters", true, "{'name':null,'native':{'A':'x'}}", "{}", "/native/A"},
    {"copy in a list of parameters", true, "{'native':{'X':1e3,'Y':true,'Z':[]}}",
     "{'X':'1e3','Y':'true'}", "/native/Z"},
    {"copy in a list of parameters", false, "{'B':'007'}", "{'native':{'B':'007'}}",
     "/aggregation_interval"},
    {"copy in a list of parameters", false, "{'B':'-0'}", "{'native':{'B':'-0'}}",
     "/aggregation_interval"},
    {"copy in a list of parameters", false, "{'B':''}", "{'native':{'B':''}}",
     "/aggregation_interval"},
    {"copy in a list of parameters", false, "{'B':'1e3'}", "{'native':{'B':'1e3'}}",
     "/aggregation_interval"},
    {"copy in a list of parameters", false, "{'B':'12345678901234567890'}",
     "{'native':{'B':'12345678901234567890'}}", "/aggregation_interval"},
    {"copy in a list of parameters", false, "{'C':'TRUE','A':''}",
     "{'name':'','native':{'C':'TRUE'}}", "/index"},
    {"enum", true, "{'traffic_type':'all','index':true}", "{'A':'ALL','D':'yes'}", ""},
    {"enum", true, "{'status':'active','enabled':true}", "{'B':true,'C':'up'}", ""},
    {"enum", true, "{'status':'active','enabled':false}", "{'B':false}", "/status"},
    {"enum", true, "{'status':'disabled'}", "{}", "/status"},
    {"enum", true, "{'status':'deleted'}", "{'C':'going'}", ""},
    {"enum", true, "{'status':'unknown','native':{'C':'odd'}}", "{'C':'odd'}", ""},
    {"enum", true, "{'status':'unknown'}", "{}", "/status"},
    {"enum", true, "{'traffic_type':'ALL'}", "{}", "/traffic_type"},
    {"enum", true, "{'index':'yes'}", "{}", "/index"},
    {"enum", false, "{'A':'any'}", "{'traffic_type':'all'}", ""},
    {"enum", false, "{'A':'all'}", "{'traffic_type':null,'native':{'A':'all'}}", "/traffic_type"},
    {"enum", false, "{'A':''}", "{'traffic_type':null,'native':{'A':''}}", "/traffic_type"},
    {"enum", false, "{'A':null}", "{'traffic_type':null}", ""},
    {"enum", false, "{'C':'up'}", "{'status':'active'}", ""},
    {"enum", false, "{'C':'up','B':false}", "{'status':'disabled','enabled':false}", ""},
    {"enum", false, "{'C':'up','B':'false'}",
     "{'status':'active','enabled':null,'native':{'B':'false'}}", "/enabled"},
    {"enum", false, "{'C':'odd'}", "{'status':'unknown','native':{'C':'odd'}}", ""},
    {"enum", false, "{'C':5}", "{'status':null,'native':{'C':5}}", "/status"},
    {"enum", false, "{'D':false}", "{'index':false}", ""},
    {"enum", false, "{'D':true}", "{'index':null,'native':{'D':true}}", "/index"},
    {"enum", false, "{'D':'false'}", "{'index':null,'native':{'D':'false'}}", "/index"},
    {"enum in a list of parameters", true, "{'index':false}", "{'D':'false'}", ""},
    {"enum in a list of parameters", false, "{'D':'false'}", "{'index':false}", ""},
    {"enum in a list of parameters", false, "{'A':''}", "{'native':{'A':''}}", "/traffic_type"},
    {"scale", true, "{'aggregation_interval':600}", "{'A':10}", ""},
    {"scale", true, "{'aggregation_interval':0}", "{'A':0}", ""},
    {"scale", true, "{'aggregation_interval':-60}", "{'A':-1}", ""},
    {"scale", true, "{'aggregation_interval':90}", "{}", "/aggregation_interval"},
    {"scale", true, "{'aggregation_interval':6e2}", "{}", "/aggregation_interval"},
    {"scale", true, "{'aggregation_interval':60000000000000000000}", "{}", "/aggregation_interval"},
    {"scale", false, "{'A':1}", "{'aggregation_interval':60}", ""},
    {"scale", false, "{'A':153722867280912931}",
     "{'aggregation_interval':null,'native':{'A':153722867280912931}}", "/aggregation_interval"},
    {"scale", false, "{'A':1.5}", "{'aggregation_interval':null,'native':{'A':1.5}}",
     "/aggregation_interval"},
    {"scale", false, "{'A':'1'}", "{'aggregation_interval':null,'native':{'A':'1'}}",
     "/aggregation_interval"},
    {"scale in a list of parameters", true, "{'aggregation_interval':600}", "{'A':'10'}", ""},
    {"scale in a list of parameters", false, "{'A':'10'}", "{'aggregation_interval':600}", ""},
    {"scale in a list of parameters", false, "{'A':'+1'}", "{'native':{'A':'+1'}}",
     "/aggregation_interval"},
    {"scale in a list of parameters", false, "{'A':' 1'}", "{'native':{'A':' 1'}}",
     "/aggregation_interval"},
    {"bool_text", true, "{'index':true}", "{'A':'On'}", ""},
    {"bool_text", true, "{'index':'On'}", "{}", "/index"},
    {"bool_text", false, "{'A':'on'}", "{'index':null,'native':{'A':'on'}}", "/index"},
    {"bool_text", false, "{'A':true}", "{'index':null,'native':{'A':true}}", "/index"},
    {"bool_text", false, "{'A':''}", "{'index':null,'native':{'A':''}}", "/index"},
    {"kv_list", true, "{'tags':{}}", "{'In':{'A':[]}}", ""},
    {"kv_list", true, "{'tags':{'':''}}", "{'In':{'A':[{'K':'','V':''}]}}", ""},
    {"kv_list", true, "{'tags':null}", "{'In':{'A':null}}", ""},
    {"kv_list", true, "{'tags':{'a':null}}", "{}", "/tags"},
    {"kv_list", false, "{'In':{'A':[{'K':'a','V':'1'},{'K':'a','V':'1'}]}}",
     "{'tags':null,'native':{'In':{'A':[{'K':'a','V':'1'},{'K':'a','V':'1'}]}}}", "/tags"},
    {"kv_list", false, "{'In':{'A':[{'V':'1','K':'a'}],'B':1}}",
     "{'tags':{'a':'1'},'native':{'In':{'B':1}}}", ""},
    {"kv_list", false, "{'In':{'A':[{'K':'a'}]}}",
     "{'tags':null,'native':{'In':{'A':[{'K':'a'}]}}}", "/tags"},
    {"kv_list", false, "{'In':{'A':[{'K':'a','V':1}]}}",
     "{'tags':null,'native':{'In':{'A':[{'K':'a','V':1}]}}}", "/tags"},
    {"kv_list", false, "{'In':{'A':['a']}}", "{'tags':null,'native':{'In':{'A':['a']}}}", "/tags"},
    {"kv_list", false, "{'In':{'A':{}}}", "{'tags':null,'native':{'In':{'A':{}}}}", "/tags"},
    {"indexed", true, "{'tags':{'a':'1','b':''}}",
     "{'A.1.Key':'a','A.1.Value':'1','A.2.Key':'b','A.2.Value':''}", ""},
    {"indexed", true, "{'tags':{}}", "{}", ""},
    {"indexed", true, "{'native':{'A.3.Key':'x'}}", "{}", "/native/A.3.Key"},
    {"indexed", false, "{'A.2.Key':'b','A.2.Value':'2','A.1.Value':'1','A.1.Key':'a'}",
     "{'tags':{'a':'1','b':'2'}}", ""},
    {"indexed", false, "{'A.1.Key':'a','A.1.Value':'1','A.3.Key':'b','A.3.Value':'2'}",
     "{'native':{'A.1.Key':'a','A.1.Value':'1','A.3.Key':'b','A.3.Value':'2'}}", "/tags"},
    {"indexed", false, "{'A.1.Key':'a'}", "{'native':{'A.1.Key':'a'}}", "/tags"},
    {"indexed", false, "{'A.1.Key':'a','A.1.Value':'1','A.2.Key':'a','A.2.Value':'1'}",
     "{'native':{'A.1.Key':'a','A.1.Value':'1','A.2.Key':'a','A.2.Value':'1'}}", "/tags"},
    {"indexed", false, "{'A.1.Key':'a','A.1.Value':'1','A.1.More':'x'}",
     "{'native':{'A.1.Key':'a','A.1.Value':'1','A.1.More':'x'}}", "/tags"},
    {"indexed", false,
     "{'A.01.Key':'a','A.0.Key':'b','A':'c','A.':'d','A.x.Key':'e','AB.1.Key':'f'}",
     "{'native':{'A.01.Key':'a','A.0.Key':'b','A':'c','A.':'d','A.x.Key':'e','AB.1.Key':'f'}}", ""},
    {"wrap", true, "{'name':'','aggregation_interval':-5}", "{'A':[''],'B':[-5]}", ""},
    {"wrap", true, "{'name':['x']}", "{}", "/name"},
    {"wrap", false, "{'A':[],'B':[1,2]}",
     "{'name':null,'aggregation_interval':null,'native':{'A':[],'B':[1,2]}}",
     "/name /aggregation_interval"},
    {"wrap", false, "{'A':'x','B':[1e3]}",
     "{'name':null,'aggregation_interval':null,'native':{'A':'x','B':[1e3]}}",
     "/name /aggregation_interval"},
    {"wrap", false, "{'A':[null],'B':null}",
     "{'name':null,'aggregation_interval':null,'native':{'A':[null]}}", "/name"},
    {"join", true, "{'destination':{'group':'a','stream':'b:c','id':'d:/:e'}}",
     "{'A':'arn:a/b:c::d:/:e'}", ""},
    {"join", true, "{'destination':{'group':'a/b','stream':'c','id':'d'}}", "{}",
     "/destination/group /destination/stream /destination/id"},
    {"join", true, "{'destination':{'group':'a','stream':'b::c','id':'d'}}", "{}",
     "/destination/group /destination/stream /destination/id"},
    {"join", true, "{'destination':{'group':'a','stream':'b:','id':'d'}}", "{}",
     "/destination/group /destination/stream /destination/id"},
    {"join", true, "{'destination':{'group':'a','stream':'','id':'d'}}", "{}",
     "/destination/group /destination/stream /destination/id"},
    {"join", true, "{'destination':{'group':'a'}}", "{}", "/destination/group"},
    {"join", true, "{'destination':{'group':'a','stream':5,'id':null}}", "{}",
     "/destination/group /destination/stream"},
    {"join", true, "{'destination':{'group':null,'stream':null,'id':null}}", "{'A':null}", ""},
    {"join", false, "{'A':'arn:a/b::c'}", "{'destination':{'group':'a','stream':'b','id':'c'}}",
     ""},
    {"join", false, "{'A':'arn:a/b::c::d/e'}",
     "{'destination':{'group':'a','stream':'b','id':'c::d/e'}}", ""},
    {"join", false, "{'A':'arn:a/b:c'}",
     "{'destination':{'group':null,'stream':null,'id':null},'native':{'A':'arn:a/b:c'}}",
     "/destination/group"},
    {"join", false, "{'A':'arn:/b::c'}",
     "{'destination':{'group':null,'stream':null,'id':null},'native':{'A':'arn:/b::c'}}",
     "/destination/group"},
    {"join", false, "{'A':7}",
     "{'destination':{'group':null,'stream':null,'id':null},'native':{'A':7}}",
     "/destination/group"},
    {"time", true, "{'created_at':'2024-02-29T12:30:45Z'}", "{'A':'29.02.2024 12:30:45'}", ""},
    {"time", true, "{'created_at':'2000-02-29T00:00:00Z','updated_at':'2016-12-31T23:59:60Z'}",
     "{'A':'29.02.2000 00:00:00','B':'20161231T235960Z'}", ""},
    {"time", true, "{'created_at':'1900-02-29T00:00:00Z'}", "{}", "/created_at"},
    {"time", true, "{'created_at':'2024-01-01T00:00:00.5Z'}", "{}", "/created_at"},
    {"time", true, "{'created_at':'2024-01-01T00:00:00.000Z'}", "{'A':'01.01.2024 00:00:00'}", ""},
    {"time", true, "{'updated_at':'2024-01-01T00:00:00.0100Z'}", "{'B':'20240101T000000.0100Z'}",
     ""},
    {"time", true, "{'updated_at':'2024-01-01T00:00:60Z'}", "{}", "/updated_at"},
    {"time", true, "{'updated_at':'2024-01-01 00:00:00Z'}", "{}", "/updated_at"},
    {"time", true, "{'updated_at':''}", "{}", "/updated_at"},
    {"time", true, "{'updated_at':1704067200}", "{}", "/updated_at"},
    {"time", false, "{'A':'29.02.2023 00:00:00'}",
     "{'created_at':null,'native':{'A':'29.02.2023 00:00:00'}}", "/created_at"},
    {"time", false, "{'A':'1.02.2023 00:00:00'}",
     "{'created_at':null,'native':{'A':'1.02.2023 00:00:00'}}", "/created_at"},
    {"time", false, "{'A':'01.02.2023 24:00:00'}",
     "{'created_at':null,'native':{'A':'01.02.2023 24:00:00'}}", "/created_at"},
    {"time", false, "{'B':'20240229T010203.123456789012345Z'}",
     "{'updated_at':'2024-02-29T01:02:03.123456789012345Z'}", ""},
    {"time", false, "{'B':'20240229T010203.Z'}",
     "{'updated_at':null,'native':{'B':'20240229T010203.Z'}}", "/updated_at"},
    {"time", false, "{'B':''}", "{'updated_at':null,'native':{'B':''}}", "/updated_at"},
    {"const", true, "{'destination':{'type':'s3'},'aggregation_interval':600}",
     "{'A':'store','B':7}", ""},
    {"const", true, "{'destination':{'type':'sls'},'aggregation_interval':60}", "{'B':7}",
     "/destination/type /aggregation_interval"},
    {"const", true, "{}", "{'A':'store','B':7}", ""},
    {"const", false, "{'A':'store','B':7}",
     "{'destination':{'type':'s3'},'aggregation_interval':600}", ""},
    {"const", false, "{'A':'Store','B':8}",
     "{'destination':{'type':null},'aggregation_interval':600,'native':{'A':'Store','B':8}}",
     "/destination/type"},
    {"const", false, "{'B':7.0}",
     "{'destination':{'type':'s3'},'aggregation_interval':600,'native':{'B':7.0}}", ""},
    {"const in a list of parameters", true, "{}", "{'A':'store','B':'7'}", ""},
    {"const in a list of parameters", false, "{'B':'07'}",
     "{'destination':{'type':'s3'},'aggregation_interval':600,'native':{'B':'07'}}", ""},
    {"parameter", true, "{'parent_id':'here'}", "{'A':'here'}", ""},
    {"parameter", true, "{'parent_id':'there'}", "{'A':'here'}", "/parent_id"},
    {"parameter", true, "{'native':{'A':'there'}}", "{'A':'there'}", ""},
    {"parameter", false, "{'A':'here'}", "{'parent_id':'here','native':{'A':'here'}}", ""},
    {"prefix", true, "{'resource_id':'r-at-1','resource_type':'router_attachment'}",
     "{'A':'r-at-1'}", ""},
    {"prefix", true, "{'resource_id':'r-at-1','resource_type':'router'}", "{'A':'r-at-1'}",
     "/resource_type"},
    {"prefix", true, "{'resource_type':'router'}", "{}", "/resource_type"},
    {"prefix", false, "{'A':'r-a'}", "{'resource_type':'router','resource_id':'r-a'}", ""},
    {"prefix", false, "{'A':'net-1'}", "{'resource_type':'vpc','resource_id':'net-1'}", ""},
    {"prefix", false, "{'A':'x-1'}",
     "{'resource_type':null,'resource_id':'x-1','native':{'A':'x-1'}}", "/resource_type"},
    {"one out of a kv_list", true, "{'name':'n','tags':{'a':'1'}}",
     "{'In':{'A':[{'K':'Name','V':'n'},{'K':'a','V':'1'}]}}", ""},
    {"one out of a kv_list", true, "{'name':'n'}", "{'In':{'A':[{'K':'Name','V':'n'}]}}", ""},
    {"one out of a kv_list", true, "{'name':null,'tags':null}", "{'In':{'A':null}}", ""},
    {"one out of a kv_list", true, "{'name':'n','tags':null}",
     "{'In':{'A':[{'K':'Name','V':'n'}]}}", ""},
    {"one out of a kv_list", true, "{'name':'n','tags':{'Name':'n','a':'1'}}",
     "{'In':{'A':[{'K':'Name','V':'n'},{'K':'a','V':'1'}]}}", "/tags/Name"},
    {"one out of a kv_list", true, "{'tags':{'Name':'n'}}", "{'In':{'A':[]}}", "/tags/Name"},
    {"one out of a kv_list", false, "{'In':{'A':[{'K':'a','V':'1'},{'K':'Name','V':''}]}}",
     "{'name':'','tags':{'a':'1'}}", ""},
    {"one out of a kv_list", false, "{'In':{'A':[]}}", "{'tags':{}}", ""},
    {"one out of a kv_list", false,
     "{'In':{'A':[{'K':'Name','V':'1'},{'K':'Name','V':'2'},{'K':'a','V':'1'}]}}",
     "{'name':null,'tags':{'a':'1'},'native':{'In':{'A':[{'K':'Name','V':'1'},"
     "{'K':'Name','V':'2'},{'K':'a','V':'1'}]}}}",
     "/name"},
    {"one out of an indexed list", true, "{'name':'n','tags':{'a':'1'}}",
     "{'A.1.Key':'Name','A.1.Value':'n','A.2.Key':'a','A.2.Value':'1','B':'log'}", ""},
    {"one out of an indexed list", true, "{}", "{}", ""},
    {"one out of an indexed list", true, "{'name':'n'}",
     "{'A.1.Key':'Name','A.1.Value':'n','B':'log'}", ""},
    {"one out of an indexed list", true, "{'tags':{'Name':'n'}}", "{}", "/tags/Name"},
    {"one out of an indexed list", false,
     "{'A.1.Key':'a','A.1.Value':'1','A.2.Key':'Name','A.2.Value':'n','B':'log'}",
     "{'name':'n','tags':{'a':'1'}}", ""},
    {"one out of an indexed list", false, "{'A.1.Key':'Name','A.1.Value':'n','B':'log'}",
     "{'name':'n'}", ""},
    {"one out of an indexed list", false, "{'A.1.Key':'Name','B':'Log'}",
     "{'native':{'A.1.Key':'Name','B':'Log'}}", "/tags /name "},
    {"what a missing member stands for", true, "{'resource_type':'router'}",
     "{'F':'router','B':'60'}", ""},
    {"what a missing member stands for", true, "{'resource_type':'vpc'}", "{'F':'vpc'}", ""},
    {"what a missing member stands for", true,
     "{'resource_type':'router_attachment','aggregation_interval':600,'traffic_type':'all'}",
     "{'A':'ALL','F':'router_attachment','B':'600'}", ""},
    {"what a missing member stands for", true, "{'index':false}", "{'N':'x','I':'false'}", ""},
    {"what a missing member stands for", true, "{'index':null}", "{}", ""},
    {"what a missing member stands for", false, "{'F':'router'}",
     "{'resource_type':'router','traffic_type':'all'}", ""},
    {"what a missing member stands for", false, "{'A':'OUT'}", "{'traffic_type':'reject'}", ""},
    {"lacks with conditions", true, "{'resource_type':'router','traffic_type':'all'}",
     "{'F':'router'}", ""},
    {"lacks with conditions", true, "{'resource_type':'router','traffic_type':'reject'}",
     "{'F':'router'}", "/traffic_type"},
    {"lacks with conditions", true, "{'resource_type':'vpc','traffic_type':'reject'}",
     "{'F':'vpc','A':'reject'}", ""},
    {"lacks with conditions", true, "{'destination':{'group':'g','arn':'a'}}", "{'B':'g','C':'a'}",
     ""},
    {"lacks with conditions", true, "{'destination':{'group':'g','arn':null}}", "{'C':null}",
     "/destination/group"},
    {"lacks with conditions", true, "{'resource_type':'router','aggregation_interval':600}",
     "{'F':'router'}", "/aggregation_interval"},
    {"lacks with conditions", true, "{'resource_type':'router','aggregation_interval':60}",
     "{'F':'router','D':60}", ""},
    {"lacks with conditions", true, "{'aggregation_interval':60}", "{}", "/aggregation_interval"},
    {"lacks with conditions", false, "{'F':'router'}",
     "{'resource_type':'router','traffic_type':null}", ""},
    {"lacks with conditions", false, "{'F':'vpc'}", "{'resource_type':'vpc'}", ""},
    {"parameter", false, "{'A':'there'}", "{'parent_id':'here','native':{'A':'there'}}", ""},
};

static struct slu_value *json(const char *words)
{
    struct slu_buf buf;
    struct slu_str kept;
    struct slu_value *value;

    slu_buf_init(&buf, 0);
    add_quoted(&buf, "%s", words);
    kept = slu_arena_str(&arena, slu_buf_str(&buf));
    slu_buf_done(&buf);
    value = slu_json_read(&arena, kept, (struct slu_json_limits){0}, &mistakes);
    assert_non_null(value);
    return value;
}

/* Only what the rows have, and "native": members that the cloud lacks are null in every reply. */
static struct slu_value *of_rows(const struct trial *trial, const struct slu_value *canonical)
{
    struct slu_run run;

    slu_run_init(&run, trial->table, trial->operation, trial->side, NULL, &vars, &arena, &there,
                 &mistakes);
    slu_run_spread(&run, canonical, NULL);
    for (uint8_t i = 0; i < trial->table->slot_count; i++)
        if (!row_with(trial, i) && i != trial->table->native_slot)
            run.slots[i] = NULL;
        else if (run.slots[i])
            run.slots[i] = slu_value_copy(&arena, run.slots[i]);
    return slu_run_assemble(&run);
}

static struct slu_str all_told(void)
{
    struct slu_str line = SLU_STR("");

    for (const struct slu_loss *loss = there.first; loss; loss = loss->next)
        line = slu_arena_printf(&arena, "%.*s%s%.*s", SLU_FMT(line), line.n ? " " : "",
                                SLU_FMT(loss->pointer));
    for (const struct slu_mistake *m = mistakes.first; m; m = m->next)
        line = slu_arena_printf(&arena, "%.*s !%.*s", SLU_FMT(line), SLU_FMT(m->pointer));
    return line;
}

static void check_edge(const struct trial *trial, const struct edge *edge)
{
    const struct slu_value *is, *should;
    struct slu_value *from;

    fresh(true);
    from = json(edge->from);
    should = json(edge->to);
    if (!edge->write && !trial->small->flat) {
        struct slu_value *root = slu_value_new(&arena, SLU_OBJECT);

        slu_value_put(root, SLU_STR("Log"), from);
        from = root;
    }
    is = translate(trial, edge->write, from, &there);
    if (is && edge->write && !trial->small->flat)
        is = slu_value_member(is, "Log");
    else if (is && !edge->write)
        is = of_rows(trial, is);
    if (slu_value_equal(is, should) && slu_str_is(all_told(), edge->told))
        return;
    print_error("%s, %s: %s\n  told %.*s\n", edge->small, edge->write ? "write" : "read",
                edge->from, SLU_FMT(all_told()));
    show("is", is);
    fail_msg("expected %s, told %s", edge->to, edge->told);
}

static void edges_are_told_by_name(void **state)
{
    size_t checked = 0;

    (void)state;
    for (size_t i = 0; i < SLU_COUNT(smalls); i++) {
        struct slu_table *table;
        struct trial trial;

        fresh(false);
        table = load(&smalls[i]);
        begin_trial(&trial, &smalls[i], table);
        for (size_t k = 0; k < SLU_COUNT(edges); k++)
            if (strcmp(edges[k].small, smalls[i].name) == 0) {
                check_edge(&trial, &edges[k]);
                checked++;
            }
        slu_table_free(table);
    }
    assert_int_equal(checked, SLU_COUNT(edges));
}

static int set_up(void **state)
{
    (void)state;
    slu_arena_init(&arena, 1 << 22);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    slu_arena_done(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_keeps_its_law),
        cmocka_unit_test(edges_are_told_by_name),
    };
    const char *words = getenv("SLU_SEED");
    uint64_t number;

    if (words && slu_str_to_u64(slu_str_of(words), &number) && number)
        seed = number;
    print_message("SLU_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
