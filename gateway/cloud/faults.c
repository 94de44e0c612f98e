/* Orders of faults: read from JSON, kept in a list in the order of their coming, taken by calls. */
#include "cloud/faults.h"

#include "codec/json.h"
#include "codec/text.h"

#include <pthread.h>
#include <sys/queue.h>

struct kept {
    TAILQ_ENTRY(kept) link;
    struct slu_faults_order order; /* its target points behind this struct */
    char target[];
};

struct slu_faults {
    pthread_mutex_t lock;
    TAILQ_HEAD(, kept) orders;
    size_t count;
};

/* Words */

static const char *const troubles[] = {
    [SLU_TROUBLE_NONE] = "none",
    [SLU_TROUBLE_SLOW] = "slow",
    [SLU_TROUBLE_LOST_REPLY] = "lost_reply",
    [SLU_TROUBLE_CUT_REPLY] = "cut_reply",
    [SLU_TROUBLE_RESET] = "reset",
    [SLU_TROUBLE_THROTTLED] = "throttled",
    [SLU_TROUBLE_ERROR] = "error",
};

/* A cloud can be made to say anything but that all is well, or that our configuration is wrong. */
static bool can_be_said(enum slu_fault_kind kind)
{
    return kind != SLU_FAULT_NONE && kind != SLU_FAULT_CONFIG;
}

static void wrong(struct slu_mistakes *mistakes, const char *name, const char *words)
{
    slu_mistake(mistakes, SLU_FAULT_INVALID,
                slu_pointer_member(mistakes->arena, SLU_STR_NONE, slu_str_of(name)), "%s", words);
}

/* "…; did you mean "x"?" for a word that is none of those known. */
static void unknown(struct slu_mistakes *mistakes, struct slu_str pointer, const char *what,
                    struct slu_str word, const char *const *names, size_t count)
{
    const char *near = slu_nearest(word, names, count);

    slu_mistake(mistakes, SLU_FAULT_INVALID, pointer, "there is no %s \"%.*s\"%s%s%s", what,
                SLU_FMT(word), near ? "; did you mean \"" : "", near ? near : "",
                near ? "\"?" : "");
}

/* Members */

struct reading {
    const struct slu_value *document;
    struct slu_faults_order *order;
    struct slu_mistakes *mistakes;
};

/* The text of a member; false when there is none to look at. */
static bool text_of(const struct reading *r, const char *name, bool required,
                    struct slu_str *ret_text)
{
    const struct slu_value *value = slu_value_find(r->document, slu_str_of(name));

    if (!value && required)
        wrong(r->mistakes, name, "this is missing");
    else if (value && !slu_value_is(value, SLU_STRING))
        wrong(r->mistakes, name, "this must be a text");
    if (!slu_value_is(value, SLU_STRING))
        return false;
    *ret_text = value->text;
    return true;
}

static uint32_t number_of(const struct reading *r, const char *name, uint32_t least, uint32_t most,
                          uint32_t usual)
{
    const struct slu_value *value = slu_value_find(r->document, slu_str_of(name));
    int64_t number;

    if (!value)
        return usual;
    if (slu_value_to_int(value, &number) && number >= least && number <= most)
        return (uint32_t)number;
    slu_mistake(r->mistakes, SLU_FAULT_INVALID,
                slu_pointer_member(r->mistakes->arena, SLU_STR_NONE, slu_str_of(name)),
                "this must be a whole number from %u to %u", least, most);
    return usual;
}

static void read_trouble(const struct reading *r)
{
    struct slu_str word;

    if (!text_of(r, "fault", true, &word))
        return;
    for (size_t i = 1; i < SLU_COUNT(troubles); i++)
        if (slu_str_is(word, troubles[i]))
            r->order->trouble = (enum slu_trouble)i;
    if (r->order->trouble == SLU_TROUBLE_NONE)
        unknown(r->mistakes, SLU_STR("/fault"), "fault", word, troubles + 1,
                SLU_COUNT(troubles) - 1);
}

static void read_operation(const struct reading *r)
{
    const char *names[SLU_OP_COUNT + 1];
    struct slu_str word;

    r->order->operation = SLU_OP_COUNT;
    if (!text_of(r, "operation", false, &word) || slu_str_is(word, "any") ||
        slu_operation_of(word, &r->order->operation))
        return;
    for (size_t i = 0; i < SLU_OP_COUNT; i++)
        names[i] = slu_operation_name((enum slu_operation)i);
    names[SLU_OP_COUNT] = "any";
    unknown(r->mistakes, SLU_STR("/operation"), "operation", word, names, SLU_COUNT(names));
}

static void read_code(const struct reading *r)
{
    bool is_error = r->order->trouble == SLU_TROUBLE_ERROR;
    const char *names[SLU_FAULT_KIND_COUNT];
    struct slu_str word;

    if (r->order->trouble == SLU_TROUBLE_THROTTLED)
        r->order->code = SLU_FAULT_THROTTLED;
    if (!text_of(r, "code", is_error, &word))
        return;
    if (!is_error) {
        wrong(r->mistakes, "code", "only the fault \"error\" has a code");
        return;
    }
    r->order->code = slu_fault_kind_of(word);
    if (can_be_said(r->order->code))
        return;
    for (size_t i = 0; i < SLU_COUNT(names); i++)
        names[i] = slu_fault_info((enum slu_fault_kind)i)->code;
    unknown(r->mistakes, SLU_STR("/code"), "error code", word, names + 1, SLU_COUNT(names) - 1);
}

static void read_numbers(const struct reading *r)
{
    struct slu_faults_order *order = r->order;
    bool slow = order->trouble == SLU_TROUBLE_SLOW;
    bool throttled = order->trouble == SLU_TROUBLE_THROTTLED;

    order->delay_ms = number_of(r, "delay_ms", slow ? 1 : 0, SLU_FAULTS_DELAY_MOST_MS, 0);
    order->count = number_of(r, "count", 1, SLU_FAULTS_COUNT_MOST, 1);
    order->after = number_of(r, "after", 0, SLU_FAULTS_COUNT_MOST, 0);
    order->retry_after_s = number_of(r, "retry_after_s", 0, 86400, throttled ? 1 : 0);
    if (slow && !slu_value_member(r->document, "delay_ms"))
        wrong(r->mistakes, "delay_ms", "this is missing: how long is slow?");
    if (!throttled && slu_value_member(r->document, "retry_after_s"))
        wrong(r->mistakes, "retry_after_s", "only the fault \"throttled\" has this");
}

static void refuse_others(const struct reading *r)
{
    static const char *const known[] = {"target", "operation", "fault",         "code",
                                        "count",  "after",     "retry_after_s", "delay_ms"};

    slu_value_each (member, r->document) {
        bool found = false;

        for (size_t i = 0; i < SLU_COUNT(known); i++)
            found = found || slu_str_is(member->name, known[i]);
        if (!found)
            unknown(r->mistakes, slu_pointer_member(r->mistakes->arena, SLU_STR_NONE, member->name),
                    "member", member->name, known, SLU_COUNT(known));
    }
}

bool slu_faults_read(const struct slu_value *document, struct slu_faults_order *ret_order,
                     struct slu_mistakes *mistakes)
{
    struct slu_faults_order order = {.trouble = SLU_TROUBLE_NONE};
    struct reading r = {document, &order, mistakes};

    if (!slu_value_is(document, SLU_OBJECT))
        return slu_mistake(mistakes, SLU_FAULT_INVALID, SLU_STR_NONE,
                           "an order is an object with \"target\" and \"fault\"");
    if (text_of(&r, "target", true, &order.target) && !order.target.n)
        wrong(mistakes, "target", "this is the name of a target");
    read_trouble(&r);
    read_operation(&r);
    read_code(&r);
    read_numbers(&r);
    refuse_others(&r);
    if (!slu_mistakes_none(mistakes))
        return false;
    *ret_order = order;
    return true;
}

struct slu_value *slu_faults_order_value(struct slu_arena *arena,
                                         const struct slu_faults_order *order)
{
    struct slu_value *value = slu_value_new(arena, SLU_OBJECT);
    const char *operation =
        order->operation == SLU_OP_COUNT ? "any" : slu_operation_name(order->operation);
    const char *code = slu_fault_info(order->code)->code;

    if (!value)
        return NULL;
    slu_value_put(value, SLU_STR("target"),
                  slu_value_string(arena, slu_arena_str(arena, order->target)));
    slu_value_put(value, SLU_STR("operation"), slu_value_string(arena, slu_str_of(operation)));
    slu_value_put(value, SLU_STR("fault"),
                  slu_value_string(arena, slu_str_of(troubles[order->trouble])));
    if (order->trouble == SLU_TROUBLE_ERROR)
        slu_value_put(value, SLU_STR("code"), slu_value_string(arena, slu_str_of(code)));
    slu_value_put(value, SLU_STR("delay_ms"), slu_value_int(arena, order->delay_ms));
    if (order->trouble == SLU_TROUBLE_THROTTLED)
        slu_value_put(value, SLU_STR("retry_after_s"), slu_value_int(arena, order->retry_after_s));
    slu_value_put(value, SLU_STR("count"), slu_value_int(arena, order->count));
    slu_value_put(value, SLU_STR("after"), slu_value_int(arena, order->after));
    return arena->failed ? NULL : value;
}

/* The list */

struct slu_faults *slu_faults_new(void)
{
    struct slu_faults *faults = slu_mem_new(sizeof(*faults));

    if (!faults)
        return NULL;
    slu_must(pthread_mutex_init(&faults->lock, NULL) == 0);
    TAILQ_INIT(&faults->orders);
    return faults;
}

static void drop(struct slu_faults *faults, struct kept *kept)
{
    TAILQ_REMOVE(&faults->orders, kept, link);
    faults->count--;
    slu_mem_free(kept);
}

void slu_faults_free(struct slu_faults *faults)
{
    if (!faults)
        return;
    slu_faults_clear(faults);
    pthread_mutex_destroy(&faults->lock);
    slu_mem_free(faults);
}

bool slu_faults_add(struct slu_faults *faults, const struct slu_faults_order *order,
                    struct slu_fault *fault)
{
    struct kept *kept = slu_mem_new(sizeof(*kept) + order->target.n);
    bool room;

    if (!kept)
        return slu_fault_memory(fault);
    memcpy(kept->target, order->target.p, order->target.n);
    kept->order = *order;
    kept->order.target.p = kept->target;
    pthread_mutex_lock(&faults->lock);
    room = faults->count < SLU_FAULTS_MOST;
    if (room) {
        TAILQ_INSERT_TAIL(&faults->orders, kept, link);
        faults->count++;
    }
    pthread_mutex_unlock(&faults->lock);
    if (room)
        return true;
    slu_mem_free(kept);
    return slu_fault_set(fault, SLU_FAULT_QUOTA, "",
                         "%d orders are still to come; clear them, or let them happen",
                         SLU_FAULTS_MOST);
}

static bool is_for(const struct slu_faults_order *order, struct slu_str target,
                   enum slu_operation operation)
{
    return (order->operation == operation || order->operation == SLU_OP_COUNT) &&
           slu_str_eq(order->target, target);
}

bool slu_faults_take(struct slu_faults *faults, struct slu_str target, enum slu_operation operation,
                     struct slu_faults_order *ret_order)
{
    struct kept *found = NULL, *at;

    pthread_mutex_lock(&faults->lock);
    TAILQ_FOREACH(at, &faults->orders, link)
    {
        if (!is_for(&at->order, target, operation))
            continue;
        if (at->order.after)
            at->order.after--;
        else if (!found)
            found = at;
    }
    if (found) {
        *ret_order = found->order;
        ret_order->target = target;
        if (--found->order.count == 0)
            drop(faults, found);
    }
    pthread_mutex_unlock(&faults->lock);
    return found != NULL;
}

struct slu_value *slu_faults_list(struct slu_faults *faults, struct slu_arena *arena,
                                  struct slu_fault *fault)
{
    struct slu_value *list = slu_value_new(arena, SLU_ARRAY);
    struct kept *at;

    pthread_mutex_lock(&faults->lock);
    TAILQ_FOREACH(at, &faults->orders, link)
    slu_value_append(list, slu_faults_order_value(arena, &at->order));
    pthread_mutex_unlock(&faults->lock);
    if (!list || arena->failed) {
        slu_fault_memory(fault);
        return NULL;
    }
    return list;
}

size_t slu_faults_clear(struct slu_faults *faults)
{
    size_t count;

    pthread_mutex_lock(&faults->lock);
    count = faults->count;
    while (!TAILQ_EMPTY(&faults->orders))
        drop(faults, TAILQ_FIRST(&faults->orders));
    pthread_mutex_unlock(&faults->lock);
    return count;
}
