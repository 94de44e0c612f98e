/*
 * What the two sides of a door call the same thing. A door's clients name resources and
 * destinations as their own cloud would; the door's aliases give these names ("security"), and the
 * target's aliases say what the name means there. Answers go the same way back. Ids of flow logs
 * are the target's own on both sides.
 *
 * On the way there nothing is guessed: what has no name in common is refused in the dialect's
 * words. On the way back nothing is hidden: what has no name is told as it is, what the dialect
 * cannot say is left out, and a header tells the places of all that was left out.
 */
#include "exchange/exchange_internal.h"

enum { LOSSES_TOLD_BYTES = 1000, PLACES_MOST = 64 };

bool slu_door_is_foreign(const struct slu_exchange *x)
{
    return !x->target->memory && !slu_str_eq(x->target->dialect, slu_table_dialect(x->door->table));
}

bool slu_door_retells(const struct slu_exchange *x)
{
    return !x->target->memory && (x->door->resource_count || x->door->destination_count);
}

static struct slu_aliases resources_here(const struct slu_exchange *x)
{
    return (struct slu_aliases){x->door->resources, x->door->resource_count};
}

static struct slu_aliases resources_there(const struct slu_exchange *x)
{
    return (struct slu_aliases){x->target->resources, x->target->resource_count};
}

static struct slu_aliases destinations_here(const struct slu_exchange *x)
{
    return (struct slu_aliases){x->door->destinations, x->door->destination_count};
}

static struct slu_aliases destinations_there(const struct slu_exchange *x)
{
    return (struct slu_aliases){x->target->destinations, x->target->destination_count};
}

/* Takes what names a resource out of the flow log and puts the alias' members there. */
static void put_resource(struct slu_value *flow_log, const struct slu_alias *alias,
                         struct slu_arena *arena)
{
    static const struct slu_str names[] = {SLU_STR_INIT("resource_type"),
                                           SLU_STR_INIT("resource_id"), SLU_STR_INIT("parent_id")};

    for (size_t i = 0; i < SLU_COUNT(names); i++) {
        struct slu_value *member = slu_value_find(flow_log, names[i]);

        if (member)
            slu_value_remove(flow_log, member);
    }
    slu_value_each (member, alias->members)
        slu_value_put(flow_log, member->name, slu_value_copy(arena, member));
}

/* The request */

static bool refuse(struct slu_exchange *x, enum slu_fault_kind kind, const char *pointer,
                   const char *words)
{
    struct slu_str name =
        slu_table_native_name(x->door->table, x->operation, slu_str_of(pointer), x->arena);

    slu_exchange_fail(x, kind, pointer, "%.*s%s%s", SLU_FMT(name.p ? name : SLU_STR("")),
                      name.p ? " " : "", words);
    return false;
}

/* Nulls say nothing of a resource. */
static bool says(const struct slu_value *object, const char *name)
{
    const struct slu_value *member = slu_value_find(object, slu_str_of(name));

    return member && member->kind != SLU_NULL;
}

static bool carry_resource(struct slu_exchange *x)
{
    const struct slu_alias *here, *there;
    enum slu_alias_fit fit =
        slu_alias_carry(resources_here(x), resources_there(x), x->canonical, false, &here, &there);

    if (fit == SLU_ALIAS_FOUND) {
        put_resource(x->canonical, there, x->arena);
        return true;
    }
    if (!slu_door_is_foreign(x) ||
        !(says(x->canonical, "resource_id") || says(x->canonical, "resource_type")))
        return true;
    return refuse(x, SLU_FAULT_RESOURCE_NOT_FOUND, "/resource_id",
                  fit == SLU_ALIAS_ALONE
                      ? "has an alias at this door, but none at the cloud behind it"
                      : "names a resource that has no alias at this door, whose cloud is another");
}

static bool carry_destination(struct slu_exchange *x)
{
    const struct slu_value *destination = slu_value_member(x->canonical, "destination");
    const struct slu_alias *here, *there;
    enum slu_alias_fit fit;

    if (!slu_value_is(destination, SLU_OBJECT))
        return true;
    fit = slu_alias_carry(destinations_here(x), destinations_there(x), destination, true, &here,
                          &there);
    if (fit == SLU_ALIAS_FOUND)
        slu_value_set(x->canonical, SLU_STR("destination"),
                      slu_value_copy(x->arena, there->members));
    if (fit == SLU_ALIAS_FOUND || !slu_door_is_foreign(x))
        return true;
    return refuse(
        x, SLU_FAULT_DESTINATION_NOT_FOUND, "/destination",
        fit == SLU_ALIAS_ALONE
            ? "has an alias at this door, but none at the cloud behind it"
            : "names a destination that has no alias at this door, whose cloud is another");
}

/* Native members of one dialect mean nothing in another. */
static bool has_no_natives(struct slu_exchange *x)
{
    struct slu_value *native = slu_value_member(x->canonical, "native");

    if (native && !native->count) /* nothing is lost with it */
        (void)slu_value_remove(x->canonical, native);
    if (!native || !native->count)
        return true;
    slu_exchange_fail(x, SLU_FAULT_UNSUPPORTED, "",
                      "%.*s cannot be carried to the cloud behind this door, which is another",
                      SLU_FMT(native->first->name));
    return false;
}

/* Is the flow log's parent, a router say, what the door is configured for? Then it is the target's
 * own there, and the door's here. */
static bool parent_is_the_doors(const struct slu_exchange *x)
{
    const struct slu_table_parameter *parameters;
    size_t count = slu_table_parameters(x->door->table, &parameters);

    for (size_t i = 0; i < count; i++)
        if (slu_str_is(parameters[i].member, "/parent_id") &&
            slu_vars_get(&x->door->parameters, parameters[i].name).p)
            return true;
    return false;
}

static bool no_memory(struct slu_exchange *x)
{
    slu_exchange_fail(x, SLU_FAULT_MEMORY, "", "no memory for this request");
    return false;
}

bool slu_door_carry_over(struct slu_exchange *x)
{
    bool foreign = slu_door_is_foreign(x);
    struct slu_value *parent;

    if (x->target->memory)
        return true;
    if (!x->canonical)
        return true;
    if (foreign && !has_no_natives(x))
        return false;
    if (foreign && x->operation == SLU_OP_CREATE)
        slu_table_imply(x->door->table, x->canonical, x->arena);
    parent = slu_value_member(x->canonical, "parent_id");
    if (!carry_resource(x) || !carry_destination(x))
        return false;
    if (parent && (foreign || parent_is_the_doors(x))) /* or it went with the resource */
        (void)slu_value_remove(x->canonical, parent);
    return !x->arena->failed || no_memory(x);
}

/* Filters */

/* The resource ids at the target that the door's id may mean: those of its aliases, else itself. */
static void add_ids(const struct slu_exchange *x, const struct slu_value *value,
                    const struct slu_value **any, size_t *count)
{
    size_t before = *count;

    for (size_t i = 0; i < x->door->resource_count; i++) {
        const struct slu_alias *here = &x->door->resources[i];
        const struct slu_alias *there =
            slu_alias_find(x->target->resources, x->target->resource_count, here->name);
        const struct slu_value *id = slu_value_member(here->members, "resource_id");
        const struct slu_value *other =
            there ? slu_value_member(there->members, "resource_id") : NULL;

        if (id && other && slu_value_equal(id, value))
            any[(*count)++] = other;
    }
    if (*count == before)
        any[(*count)++] = value;
}

static bool carry_ids(struct slu_exchange *x, const struct slu_filter *filter,
                      struct slu_filter *ret_filter)
{
    size_t room = filter->count * (x->door->resource_count + 1), count = 0;
    const struct slu_value **any = slu_arena_get(x->arena, (room + 1) * sizeof(*any));

    if (!any)
        return no_memory(x);
    for (size_t i = 0; i < filter->count; i++)
        add_ids(x, filter->any[i], any, &count);
    *ret_filter = (struct slu_filter){.pointer = filter->pointer, .any = any, .count = count};
    return true;
}

/* Types and destinations are compared where the rows are told: by parts they have no alias. */
static bool is_compared_here(struct slu_str pointer)
{
    return slu_str_is(pointer, "/resource_type") || slu_str_is(pointer, "/parent_id") ||
           slu_str_starts(pointer, SLU_STR("/destination"));
}

bool slu_door_filters(struct slu_exchange *x, const struct slu_page *page,
                      const struct slu_filter **ret_filters, size_t *ret_count)
{
    struct slu_filter *sent = slu_arena_zero(x->arena, (page->filter_count + 1) * sizeof(*sent));
    size_t count = 0;

    if (!sent)
        return no_memory(x);
    for (size_t i = 0; i < page->filter_count; i++) {
        const struct slu_filter *filter = &page->filters[i];

        if (is_compared_here(filter->pointer))
            continue;
        sent[count] = *filter;
        if (slu_str_is(filter->pointer, "/resource_id") && !carry_ids(x, filter, &sent[count]))
            return false;
        count++;
    }
    *ret_filters = sent;
    *ret_count = count;
    return true;
}

/* The answer */

struct slu_value *slu_door_retell(const struct slu_exchange *x, struct slu_arena *arena,
                                  const struct slu_value *flow_log)
{
    struct slu_value *told = slu_value_copy(arena, flow_log);
    const struct slu_value *destination = slu_value_member(told, "destination");
    const struct slu_alias *there, *here;

    if (told && slu_alias_carry(resources_there(x), resources_here(x), told, false, &there,
                                &here) == SLU_ALIAS_FOUND)
        put_resource(told, here, arena);
    if (slu_value_is(destination, SLU_OBJECT) &&
        slu_alias_carry(destinations_there(x), destinations_here(x), destination, false, &there,
                        &here) == SLU_ALIAS_FOUND)
        slu_value_set(told, SLU_STR("destination"), slu_value_copy(arena, here->members));
    return arena->failed ? NULL : told;
}

static void leave_native_out(struct slu_exchange *x, struct slu_value *flow_log)
{
    struct slu_value *native = slu_value_member(flow_log, "native");

    if (!native)
        return;
    slu_value_remove(flow_log, native);
    if (native->count)
        slu_losses_add(&x->losses, SLU_STR("/native"), native,
                       SLU_STR("members of one cloud's own mean nothing in another's words"),
                       SLU_REPLY);
}

static void leave_out(struct slu_exchange *x, struct slu_value *flow_log)
{
    struct slu_value *parent = slu_value_member(flow_log, "parent_id");

    if (slu_door_is_foreign(x))
        leave_native_out(x, flow_log);
    if (parent && parent_is_the_doors(x))
        slu_value_remove(flow_log, parent);
}

void slu_door_leave_out(struct slu_exchange *x)
{
    if (!x->flow_log || x->target->memory)
        return;
    if (x->flow_log->kind == SLU_OBJECT)
        leave_out(x, x->flow_log);
    else if (x->flow_log->kind == SLU_ARRAY)
        slu_value_each (row, x->flow_log)
            leave_out(x, row);
}

/* A place in any of the list's flow logs is told once: "/flow_logs/3/tags", "/3/tags", "/tags". */
static struct slu_str place_of(struct slu_str pointer)
{
    static const struct slu_str list = SLU_STR_INIT("/flow_logs");
    size_t n = 1;

    if (slu_str_starts(pointer, list)) {
        pointer.p += list.n;
        pointer.n -= list.n;
    }
    while (n < pointer.n && pointer.p[n] >= '0' && pointer.p[n] <= '9')
        n++;
    if (n > 1 && n < pointer.n && pointer.p[n] == '/') {
        pointer.p += n;
        pointer.n -= n;
    }
    return pointer;
}

struct places {
    struct slu_str items[PLACES_MOST];
    size_t count;
};

/* True when the place is new. */
static bool note_place(struct places *places, struct slu_str place)
{
    for (size_t i = 0; i < places->count; i++)
        if (slu_str_eq(places->items[i], place))
            return false;
    if (places->count < PLACES_MOST)
        places->items[places->count++] = place;
    return true;
}

/* No more than fits a header, and nothing that no header can hold. */
static bool add_place(struct slu_buf *text, size_t count, struct slu_str place)
{
    if (count == PLACES_MOST || text->n + place.n + 2 > LOSSES_TOLD_BYTES)
        return false;
    if (text->n)
        slu_buf_lit(text, ", ");
    for (size_t i = 0; i < place.n; i++) {
        unsigned char c = (unsigned char)place.p[i];

        slu_buf_byte(text, c > ' ' && c < 0x7f && c != ',' ? (char)c : '?');
    }
    return true;
}

bool slu_door_tell_losses(struct slu_exchange *x)
{
    struct places places = {.count = 0};
    struct slu_buf text;
    bool good = true, room = true;

    if (!x->losses.count)
        return true;
    slu_buf_init(&text, 0);
    for (const struct slu_loss *loss = x->losses.first; loss && room; loss = loss->next)
        if (loss->direction == SLU_REPLY && note_place(&places, place_of(loss->pointer)))
            room = add_place(&text, places.count, place_of(loss->pointer));
    if (!room)
        slu_buf_lit(&text, ", ...");
    if (text.n || text.failed)
        good =
            !text.failed && slu_headers_add(x->arena, &x->response.headers, SLU_STR("sluice-loss"),
                                            slu_arena_str(x->arena, slu_buf_str(&text)));
    slu_buf_done(&text);
    return good;
}
