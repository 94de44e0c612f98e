/*
 * What a job has to do, act by act. A programme is a list of phases; each phase looks at what has
 * been learned so far and says whether there is something to do. So "create it switched off" is a
 * create and a disable, and a merge patch is a look, a change and a switch, each only where it is
 * needed.
 */
#include "exchange/exchange_internal.h"

#include "codec/json.h"
#include "codec/merge.h"
#include "model/flow_log.h"

enum prepared { RUN, SKIP, REFUSED };

struct phase {
    enum prepared (*prepare)(struct slu_job *job);
    bool again; /* comes back until it has nothing to do */
};

/* The acts */

static enum prepared act(struct slu_job *job, enum slu_operation asking, struct slu_value *document)
{
    job->asking = asking;
    job->document = document;
    job->looking = false;
    return RUN;
}

static bool serves(const struct slu_job *job, enum slu_operation operation)
{
    return job->target->memory || slu_table_serves(job->target->table, operation);
}

static bool takes(const struct slu_job *job, enum slu_operation operation, struct slu_str pointer)
{
    return job->target->memory || slu_table_takes(job->target->table, operation, pointer);
}

static const struct slu_value *wish(const struct slu_value *document, const char *name)
{
    return slu_value_find(document, slu_str_of(name));
}

static struct slu_value *without(struct slu_job *job, const struct slu_value *document,
                                 const char *name)
{
    struct slu_value *copy = slu_value_copy(job->arena, document);
    struct slu_value *member = slu_value_find(copy, slu_str_of(name));

    if (member)
        slu_value_remove(copy, member);
    return copy;
}

static bool is_false(const struct slu_value *value)
{
    return slu_value_is(value, SLU_BOOL) && !value->truth;
}

/* A flow log that starts switched off, on a cloud that only makes running ones, is made and then
 * switched. Where there is no switch the table says why not. */
static bool must_be_switched_off(const struct slu_job *job, const struct slu_value *document)
{
    return is_false(wish(document, "enabled")) && !takes(job, SLU_OP_CREATE, SLU_STR("/enabled")) &&
           serves(job, SLU_OP_DISABLE);
}

static enum prepared make(struct slu_job *job)
{
    if (job->resumes && !job->canonical) {
        slu_resume_unreadable(job);
        return REFUSED;
    }
    job->switch_off = must_be_switched_off(job, job->canonical);
    return act(job, SLU_OP_CREATE,
               job->switch_off ? without(job, job->canonical, "enabled") : job->canonical);
}

static struct slu_value *switched(struct slu_job *job, bool on)
{
    struct slu_value *document = slu_value_new(job->arena, SLU_OBJECT);

    slu_value_put(document, SLU_STR("enabled"), slu_value_bool(job->arena, on));
    return document;
}

static enum prepared switch_new_off(struct slu_job *job)
{
    if (!job->switch_off)
        return SKIP;
    job->before = job->flow_log;
    return act(job, SLU_OP_DISABLE, switched(job, false));
}

/* The memory cloud plays a cloud for its own client, who has to hear that a flow log is busy. */
static bool is_played(const struct slu_job *job)
{
    return job->target->memory && job->like;
}

static enum prepared look(struct slu_job *job)
{
    return act(job, SLU_OP_GET, NULL);
}

/* Before a change the flow log is looked at: what holds already is not sent. A dry run does not. */
static enum prepared look_before_change(struct slu_job *job)
{
    if (job->resumes && !job->canonical) {
        slu_resume_unreadable(job);
        return REFUSED;
    }
    if (job->noted)
        slu_resume_noted(job);
    return job->dry_run ? SKIP : look(job);
}

/* A merge patch */

/* Some member of the patch that an update of this target never carries. */
static bool changes_what_is_fixed(const struct slu_job *job, const struct slu_value *changes)
{
    slu_value_each (member, changes) {
        struct slu_str pointer = slu_arena_join(job->arena, SLU_STR("/"), member->name);

        if (!job->target->memory && !slu_table_mutable(job->target->table, pointer))
            return true;
    }
    return false;
}

/* `enabled` travels apart where an update does not carry it and there is a switch. */
static bool switches_apart(const struct slu_job *job, const struct slu_value *changes)
{
    const struct slu_value *enabled = wish(changes, "enabled");

    return slu_value_is(enabled, SLU_BOOL) && !takes(job, SLU_OP_UPDATE, SLU_STR("/enabled")) &&
           serves(job, enabled->truth ? SLU_OP_ENABLE : SLU_OP_DISABLE);
}

/* Where a cloud only takes such a member as a whole, what shall stay is sent with what changes. */
static void complete_wholes(struct slu_job *job)
{
    slu_value_each (member, job->changes) {
        struct slu_str pointer = slu_arena_join(job->arena, SLU_STR("/"), member->name);
        const struct slu_value *old = slu_value_find(job->before, member->name);
        struct slu_value *whole;

        if (job->target->memory || !slu_value_is(member, SLU_OBJECT) ||
            !slu_table_replaces(job->target->table, pointer))
            continue;
        whole = slu_merge(job->arena, old, member);
        if (whole)
            slu_value_set(job->changes, member->name, whole);
        return; /* there is one such member, and the list has just changed */
    }
}

/* What the cloud does anyway is a wish fulfilled, although its flow logs do not tell it. */
static void drop_what_is_done_anyway(struct slu_job *job)
{
    struct slu_value *next;

    if (job->target->memory || job->dry_run)
        return;
    for (struct slu_value *member = job->changes->first; member; member = next) {
        struct slu_str pointer = slu_arena_join(job->arena, SLU_STR("/"), member->name);

        next = member->next;
        if (slu_table_does_anyway(job->target->table, job->before, pointer, member, job->arena))
            (void)slu_value_remove(job->changes, member);
    }
}

/* Would an update of this member alone say nothing, since all of it is lost? */
static bool is_lost(struct slu_job *job, const struct slu_value *member, struct slu_losses *losses)
{
    const struct slu_table *table = job->target->table;
    struct slu_value *one = slu_value_new(job->arena, SLU_OBJECT);
    struct slu_mistakes mistakes;
    struct slu_request unsent;
    size_t step = 0;

    slu_mistakes_init(&mistakes, job->arena);
    slu_value_put(one, member->name, slu_value_copy(job->arena, member));
    if (job->arena->failed)
        return false;
    while (step + 1 < slu_table_steps(table, SLU_OP_UPDATE) &&
           !slu_table_step_needed(table, SLU_OP_UPDATE, step, one))
        step++;
    return !slu_table_write_request(table, SLU_OP_UPDATE, step,
                                    job->target->credentials.scheme_index, one, job->vars,
                                    job->arena, losses, &mistakes, &unsent) &&
           losses->count && mistakes.first && mistakes.first->pointer.n == 0;
}

/* Where losses are allowed, what is lost as a whole is told, and the rest is done: a switch, or
 * nothing. */
static void drop_what_is_lost(struct slu_job *job)
{
    struct slu_value *next;

    if (job->target->memory || !job->losses->lenient || !serves(job, SLU_OP_UPDATE) || job->replace)
        return;
    for (struct slu_value *member = job->changes->first; member; member = next) {
        struct slu_losses losses;

        next = member->next;
        slu_losses_init(&losses, job->arena, true);
        if ((slu_str_is(member->name, "enabled") && switches_apart(job, job->changes)) ||
            !is_lost(job, member, &losses))
            continue;
        for (const struct slu_loss *loss = losses.first; loss; loss = loss->next)
            slu_losses_add(job->losses, loss->pointer, loss->value, loss->reason, loss->direction);
        (void)slu_value_remove(job->changes, member);
    }
}

/* What is wished and not so. A dry run knows of nothing that holds already: it shows all that is
 * named. */
static bool compare(struct slu_job *job)
{
    job->changes = job->dry_run ? slu_value_copy(job->arena, job->canonical)
                                : slu_merge_changes(job->arena, job->before, job->canonical);
    if (job->changes)
        drop_what_is_done_anyway(job);
    return job->changes != NULL;
}

static bool must_be_replaced(const struct slu_job *job)
{
    return job->replace && changes_what_is_fixed(job, job->changes);
}

static enum prepared change(struct slu_job *job)
{
    if (job->dry_run && job->replace && changes_what_is_fixed(job, job->canonical)) {
        slu_job_fail(job, 'G', SLU_FAULT_UNSUPPORTED,
                     "a dry run reads nothing, and what a replacement would send depends on the "
                     "flow log that it replaces");
        return REFUSED;
    }
    if (job->noted)
        return SKIP;
    if (!compare(job))
        return REFUSED;
    drop_what_is_lost(job);
    complete_wholes(job);
    job->unchanged = job->changes->count == 0;
    job->unknown &= !job->unchanged;
    if (job->unchanged || must_be_replaced(job)) {
        job->replacing = !job->unchanged;
        return SKIP;
    }
    if (job->resumes) {
        slu_resume_refuse(job);
        return REFUSED;
    }
    if (switches_apart(job, job->changes)) {
        struct slu_value *rest = without(job, job->changes, "enabled");

        return rest && rest->count ? act(job, SLU_OP_UPDATE, rest) : SKIP;
    }
    return act(job, SLU_OP_UPDATE, job->changes);
}

static enum prepared switch_it(struct slu_job *job)
{
    const struct slu_value *enabled = wish(job->changes, "enabled");

    if (job->replacing || job->unchanged || !switches_apart(job, job->changes))
        return SKIP;
    if (job->flow_log)
        job->before = job->flow_log;
    return act(job, enabled->truth ? SLU_OP_ENABLE : SLU_OP_DISABLE, switched(job, enabled->truth));
}

/* Replacing */

/* Native members of the old flow log are not guessed to be settings of the new one. */
static void lose_native(struct slu_job *job, const struct slu_value *native)
{
    slu_value_each (member, native)
        slu_losses_add(job->losses,
                       slu_pointer_member(job->arena, SLU_STR("/native"), member->name), member,
                       SLU_STR("is not carried over to the new flow log; name it in the patch's "
                               "native where it is a setting"),
                       SLU_REQUEST);
}

/* The new flow log: the old one as it could be asked for, and the patch over it. */
static struct slu_value *successor(struct slu_job *job)
{
    struct slu_value *asked = slu_value_new(job->arena, SLU_OBJECT);
    const struct slu_value *native = wish(job->before, "native");

    slu_value_each (member, job->before) {
        const struct slu_member *known =
            slu_flow_log_member(slu_arena_join(job->arena, SLU_STR("/"), member->name));

        if (known && known->in_request && known->translated && member->kind != SLU_NULL)
            slu_value_put(asked, member->name, slu_value_copy(job->arena, member));
    }
    if (slu_value_is(native, SLU_OBJECT))
        lose_native(job, native);
    return slu_merge(job->arena, asked, job->changes);
}

static enum prepared make_successor(struct slu_job *job)
{
    struct slu_value *asked;

    if (!job->replacing || job->noted)
        return SKIP;
    asked = successor(job);
    if (!asked)
        return REFUSED;
    job->switch_off = must_be_switched_off(job, asked);
    job->old_id = job->id;
    return act(job, SLU_OP_CREATE, job->switch_off ? without(job, asked, "enabled") : asked);
}

static enum prepared remove_predecessor(struct slu_job *job)
{
    if (!job->replacing)
        return SKIP;
    job->successor = job->flow_log;
    job->successor_id = job->id;
    job->id = job->old_id;
    job->unknown = false;
    return act(job, SLU_OP_DELETE, NULL);
}

/* Deleting */

static enum prepared look_before_delete(struct slu_job *job)
{
    bool ordered = job->target->memory
                       ? !is_played(job) && job->target->settle_ms
                       : slu_table_serialize_by(job->target->table, SLU_OP_DELETE).n > 0;

    if (job->resumes)
        return look(job);
    return job->dry_run || !(job->if_match.p || ordered) ? SKIP : look(job);
}

static enum prepared remove_it(struct slu_job *job)
{
    return job->resumes ? SKIP : act(job, SLU_OP_DELETE, NULL);
}

/* The list */

static enum prepared next_page(struct slu_job *job)
{
    if (!slu_list_ask(job))
        return job->fault.kind == SLU_FAULT_NONE ? SKIP : REFUSED;
    return act(job, SLU_OP_LIST, NULL);
}

static const struct phase creating[] = {{make, false}, {switch_new_off, false}, {NULL, false}};
static const struct phase getting[] = {{look, false}, {NULL, false}};
static const struct phase listing[] = {{next_page, true}, {NULL, false}};
static const struct phase deleting[] = {
    {look_before_delete, false}, {remove_it, false}, {NULL, false}};
static const struct phase changing[] = {{look_before_change, false},
                                        {change, false},
                                        {switch_it, false},
                                        {make_successor, false},
                                        {switch_new_off, false},
                                        {remove_predecessor, false},
                                        {NULL, false}};

static const struct phase *const programmes[] = {
    [SLU_OP_CREATE] = creating, [SLU_OP_GET] = getting,     [SLU_OP_LIST] = listing,
    [SLU_OP_UPDATE] = changing, [SLU_OP_ENABLE] = changing, [SLU_OP_DISABLE] = changing,
    [SLU_OP_DELETE] = deleting,
};

/* A new act begins with nothing of the one before. */
static void begin_act(struct slu_job *job)
{
    job->native_step = 0;
    job->made = 0;
    job->perhaps = job->unsure = false;
    slu_find_leave(job);
    job->find_until_us = 0;
    job->settle_until_us = 0;
    job->act = job->asking;
    if (!job->target->memory && slu_operation_writes(job->asking) && job->document)
        while (!slu_table_step_needed(job->target->table, job->asking, job->native_step,
                                      job->document) &&
               job->native_step + 1 < slu_table_steps(job->target->table, job->asking))
            job->native_step++;
}

enum slu_job_step slu_programme_next(struct slu_job *job)
{
    const struct phase *programme = programmes[job->operation];

    if (job->target->memory && !slu_mistakes_none(job->mistakes)) /* no table will tell them */
        return slu_job_fail(job, 'G', SLU_FAULT_INVALID, "the flow log is not valid; see errors");
    while (programme[job->phase].prepare) {
        const struct phase *phase = &programme[job->phase];
        enum prepared prepared = phase->prepare(job);

        if (job->arena->failed)
            return slu_job_out_of_memory(job);
        if (prepared == REFUSED)
            return JOB_OVER;
        if (prepared == SKIP || !phase->again)
            job->phase++;
        if (prepared == SKIP)
            continue;
        begin_act(job);
        if (job->resumes && job->asking == SLU_OP_CREATE)
            return slu_resume_create(job);
        return job->target->memory ? JOB_IMITATE : JOB_TURN;
    }
    return JOB_OVER;
}

void slu_programme_end(struct slu_job *job)
{
    if (!job->successor)
        return;
    job->flow_log = job->successor;
    job->id = job->successor_id;
}

/* The old flow log is removed when the new one is known to stand, and not before. */
bool slu_programme_goes_on(const struct slu_job *job)
{
    if (job->act == SLU_OP_GET)
        return slu_operation_writes(job->operation);
    if (job->replacing)
        return job->act == SLU_OP_CREATE || job->act == SLU_OP_DISABLE;
    return job->switch_off ? job->act == SLU_OP_CREATE
                           : job->act == SLU_OP_UPDATE && switches_apart(job, job->changes);
}

/* Whoever has to see that it is gone is content when it is gone already. */
bool slu_programme_hopes_for_nothing(const struct slu_job *job)
{
    return (job->looking && job->act == SLU_OP_DELETE) ||
           (job->replacing && job->act == SLU_OP_DELETE) ||
           (job->resumes && job->act == SLU_OP_GET && !job->looking && !job->noted) ||
           (job->verify && job->operation == SLU_OP_DELETE);
}

bool slu_status_moves(const struct slu_value *flow_log)
{
    static const char *const words[] = {"creating", "updating", "deleting"};
    const struct slu_value *status = wish(flow_log, "status");

    for (size_t i = 0; slu_value_is(status, SLU_STRING) && i < SLU_COUNT(words); i++)
        if (slu_str_is(status->text, words[i]))
            return true;
    return false;
}

/* After the acts */

/* A change that was under way when the gateway ended is not seen to have acted. */
static bool is_missing(struct slu_job *job)
{
    return job->resumes && compare(job) && job->changes->count && !must_be_replaced(job);
}

static enum slu_job_step after_look(struct slu_job *job)
{
    struct slu_str tag;

    if (!slu_operation_writes(job->operation))
        return JOB_PLAN;
    if (job->resumes && job->operation == SLU_OP_DELETE)
        return slu_resume_delete(job);
    if (job->if_match.p) {
        tag = slu_etag(job->arena, job->flow_log);
        if (!tag.p)
            return slu_job_out_of_memory(job);
        if (!slu_etag_matches(job->if_match, tag))
            return slu_job_fail(job, 'G', SLU_FAULT_PRECONDITION,
                                "the flow log %.*s is not as If-Match says; read it again",
                                SLU_FMT(job->id));
    }
    job->before = job->flow_log;
    if (slu_status_moves(job->flow_log) && slu_settle_poll(job) && !is_played(job))
        return JOB_SETTLE;
    return is_missing(job) ? slu_resume_wait(job) : JOB_PLAN;
}

/* The reply says that it is not there, as was hoped for. */
static enum slu_job_step after_nothing(struct slu_job *job)
{
    if (job->resumes && job->operation == SLU_OP_DELETE)
        return slu_resume_delete(job);
    return job->resumes ? slu_resume_gone(job) : JOB_OVER;
}

/* What has been made, and what stands beside it. */
static struct slu_str tell_made(struct slu_job *job)
{
    bool off = job->act == SLU_OP_DISABLE;
    struct slu_str beside =
        job->replacing ? slu_arena_printf(job->arena, " in place of %.*s, which stands too",
                                          SLU_FMT(job->old_id))
                       : SLU_STR("");

    return slu_arena_printf(job->arena, "the flow log %.*s was made%.*s%s", SLU_FMT(job->id),
                            SLU_FMT(beside),
                            off               ? " and was switched off"
                            : job->switch_off ? " and stands enabled"
                                              : "");
}

static struct slu_str tell_switched(struct slu_job *job)
{
    if (job->switch_off)
        return tell_made(job);
    return slu_arena_printf(job->arena, "the flow log %.*s was %sswitched", SLU_FMT(job->id),
                            job->done ? "changed and " : "");
}

static struct slu_str tell_deleted(struct slu_job *job)
{
    if (!job->successor)
        return SLU_STR("the delete was sent");
    return slu_arena_printf(job->arena,
                            "the flow log %.*s was made in place of %.*s, whose delete was sent",
                            SLU_FMT(job->successor_id), SLU_FMT(job->old_id));
}

/* What has taken effect so far, should a later act fail. */
static void tell_done(struct slu_job *job)
{
    switch (job->act) {
    case SLU_OP_CREATE:
        job->done = tell_made(job).p;
        return;
    case SLU_OP_UPDATE:
        job->done =
            slu_arena_printf(job->arena, "the flow log %.*s was changed", SLU_FMT(job->id)).p;
        return;
    case SLU_OP_DISABLE:
    case SLU_OP_ENABLE:
        job->done = tell_switched(job).p;
        return;
    case SLU_OP_DELETE:
        job->done = tell_deleted(job).p;
        return;
    case SLU_OP_GET:
    case SLU_OP_LIST:
    case SLU_OP_COUNT:
        return;
    }
}

/* A delete is only confirmed: what was seen before it is not what there is now. */
static void tell_removal(struct slu_job *job)
{
    if (job->successor || job->target->memory)
        return;
    if (!slu_table_poll(job->target->table, SLU_OP_DELETE)) {
        job->flow_log = NULL;
        return;
    }
    if (!job->flow_log)
        job->flow_log = slu_value_new(job->arena, SLU_OBJECT);
    if (!job->flow_log)
        return;
    slu_value_set(job->flow_log, SLU_STR("id"), slu_value_string(job->arena, job->id));
    slu_value_set(job->flow_log, SLU_STR("status"),
                  slu_value_string(job->arena, SLU_STR("deleting")));
}

static bool has_failed(const struct slu_job *job)
{
    const struct slu_value *status = wish(job->flow_log, "status");
    const struct slu_poll *poll = slu_settle_poll(job);

    if (!slu_value_is(status, SLU_STRING) || !slu_operation_writes(job->act))
        return false;
    for (size_t i = 0; poll && i < poll->failed_count; i++)
        if (slu_str_eq(status->text, poll->failed[i]))
            return true;
    return slu_str_is(status->text, "failed");
}

/* What the create has made. */
static void take_id(struct slu_job *job, struct slu_str id)
{
    job->id = slu_arena_str(job->arena, id);
    (void)slu_claims_take(job, id); /* the cloud's word stands, whoever else has found it */
    slu_claims_end(job);
}

enum slu_job_step slu_programme_after(struct slu_job *job)
{
    const struct slu_value *id = wish(job->flow_log, "id");

    if (job->act == SLU_OP_CREATE && slu_value_is(id, SLU_STRING))
        take_id(job, id->text);
    if (job->act == SLU_OP_GET && !job->looking)
        return job->flow_log ? after_look(job) : after_nothing(job);
    if (job->looking) {
        slu_settle_looked(job);
        job->pausing = job->timer_ready = false;
    }
    if (job->act == SLU_OP_GET)
        job->before = job->flow_log;
    if (!job->looking)
        tell_done(job);
    if (job->act == SLU_OP_DELETE && !job->looking)
        tell_removal(job);
    if (job->arena->failed)
        return slu_job_out_of_memory(job);
    if (has_failed(job))
        return slu_job_fail(job, 'U', SLU_FAULT_UPSTREAM_FAILED, "the cloud says that it failed");
    return slu_settle_wanted(job) ? JOB_SETTLE : JOB_PLAN;
}
