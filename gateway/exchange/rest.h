/* The REST routes' own steps, named in routes.c. Each answers the step that follows ADMIT. */
#ifndef SLU_EXCHANGE_REST_H
#define SLU_EXCHANGE_REST_H

#include "exchange/exchange_internal.h"

enum slu_step slu_rest_openapi(struct slu_exchange *x);
enum slu_step slu_rest_targets(struct slu_exchange *x);
enum slu_step slu_rest_target(struct slu_exchange *x);
enum slu_step slu_rest_write(struct slu_exchange *x);
enum slu_step slu_rest_read(struct slu_exchange *x);
enum slu_step slu_rest_remove(struct slu_exchange *x);
enum slu_step slu_rest_list(struct slu_exchange *x);         /* pages.c */
enum slu_step slu_rest_list_several(struct slu_exchange *x); /* list_several.c */
enum slu_step slu_rest_operation(struct slu_exchange *x);    /* operations.c */
enum slu_step slu_rest_operations(struct slu_exchange *x);

/* Routes with a body: what the body means. */
enum slu_step slu_rest_understand_create(struct slu_exchange *x);
enum slu_step slu_rest_understand_change(struct slu_exchange *x);
enum slu_step slu_rest_understand_several(struct slu_exchange *x);

/* Routes whose success is no single flow log. */
void slu_rest_reply_list(struct slu_exchange *x);
void slu_rest_reply_several(struct slu_exchange *x);
void slu_rest_reply_lists(struct slu_exchange *x);

/* The parts of a write to several targets, from its record. */
SLU_NODISCARD bool slu_several_take_up(struct slu_exchange *x, struct slu_str names,
                                       int64_t age_ms);
/* The body as an object; false with the fault set. `what` for messages: "the flow log". */
bool slu_rest_body(struct slu_exchange *x, const char *what);
/* The flow log as callers see it: with its target, members in the model's order. Takes the members
 * out of `flow_log`. */
struct slu_value *slu_rest_flow_log(struct slu_arena *arena, struct slu_value *flow_log,
                                    const struct slu_target *target);
/* {dry_run, target, request, requests, loss} */
struct slu_value *slu_rest_dry_run(struct slu_arena *arena, const struct slu_job *job);

/*
 * pages.c: page tokens, one for any number of targets. They are authenticated by a key of this
 * process, bound to the caller and to what was asked (targets, filters, page size), and end after
 * an hour.
 */
struct slu_place { /* where the list of one target goes on */
    struct slu_str target, position, last;
    uint32_t begin;
    uint32_t width;
    bool knows_total;
    uint64_t total;
};
/* Size and filters of this request's list. */
struct slu_list_ask {
    struct slu_filter filters[SLU_FILTERS_MOST];
    size_t filter_count;
    uint32_t size;
    struct slu_place *places; /* of the token; NULL: the first page */
    size_t place_count;
    struct slu_str waiting; /* of several targets: the first whose list begins on a later page */
};
SLU_NODISCARD bool slu_list_ask_read(struct slu_exchange *x, struct slu_list_ask **ret_ask);
/* Where a door's token says that the list goes on, and how wide its pages are. */
SLU_NODISCARD bool slu_list_ask_resume(struct slu_exchange *x, struct slu_str token,
                                       struct slu_list_ask *ask);
/* Fills job->list for one target's part of the page. */
void slu_list_ask_apply(const struct slu_list_ask *ask, const struct slu_place *place,
                        uint32_t size, struct slu_job *job);
struct slu_place slu_place_after(const struct slu_job *job);
/* False after the last page. */
bool slu_place_goes_on(const struct slu_place *place);
/* A NULL pointer on no memory. */
struct slu_str slu_page_token(struct slu_exchange *x, const struct slu_list_ask *ask,
                              const struct slu_place *places, size_t count);

/* dialects.c: what can be done */
enum slu_step slu_rest_dialects(struct slu_exchange *x);
enum slu_step slu_rest_dialect(struct slu_exchange *x);
enum slu_step slu_rest_schema(struct slu_exchange *x);
/* The names that stand for resources and destinations on this target, and where more is told. */
void slu_rest_abilities(struct slu_exchange *x, const struct slu_target *target,
                        struct slu_value *document);
/* Takes the body of a translation. */
enum slu_step slu_rest_translate(struct slu_exchange *x);

#endif
