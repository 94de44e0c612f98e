/* The cache of tokens: who fetches, who waits, what ends a wait; from one thread and from many. */
#include "test.h"

#include "cloud/tokens.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { NOW = 1767225600, LIFE = 86400, MANY = 5 };

static const unsigned char secret[SLU_TOKENS_SECRET] = "a secret of the tests";

struct one {
    struct slu_tokens_turn turn;
    struct slu_arena arena;
    struct slu_token token;
    struct slu_fault fault;
    uint64_t generation;
    unsigned woken;
};

struct world {
    struct slu_tokens *tokens;
    struct slu_tokens_key key;
    struct one all[MANY];
};

static void wake(void *context)
{
    ((struct one *)context)->woken++;
}

static int begin(void **state)
{
    struct world *w = slu_mem_new(sizeof(*w));

    assert_non_null(w);
    w->tokens = slu_tokens_new(secret);
    assert_non_null(w->tokens);
    for (size_t i = 0; i < MANY; i++) {
        w->all[i].turn = (struct slu_tokens_turn){.wake = wake, .context = &w->all[i]};
        slu_arena_init(&w->all[i].arena, 1 << 16);
    }
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < MANY; i++)
        slu_arena_done(&w->all[i].arena);
    slu_tokens_free(w->tokens);
    slu_mem_free(w);
    return 0;
}

static enum slu_tokens_state take(struct world *w, size_t i, int64_t now_s)
{
    struct one *one = &w->all[i];

    one->fault = (struct slu_fault){0};
    return slu_tokens_take(w->tokens, &w->key, now_s, 0, &one->turn, &one->arena, &one->token,
                           &one->generation, &one->fault);
}

static void put(struct world *w, size_t i, const char *text, int64_t now_s, int64_t until_s)
{
    struct slu_token token = {slu_str_of(text), until_s};

    assert_true(slu_tokens_put(w->tokens, &w->all[i].turn, &token, now_s, &w->all[i].fault));
}

static void loses(struct world *w, size_t i, enum slu_fault_kind kind, int64_t now_s)
{
    struct slu_fault fault = {.kind = kind, .place = "here", .words = "as told"};

    slu_tokens_fail(w->tokens, &w->all[i].turn, now_s, &fault);
}

static void test_one_fetches(void **state)
{
    struct world *w = *state;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_WAIT);
    assert_int_equal(take(w, 2, NOW), SLU_TOKENS_WAIT);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_WAIT); /* asked again without being woken */
    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    put(w, 0, "first", NOW, NOW + LIFE);
    assert_int_equal(w->all[0].woken, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(w->all[i].woken, i > 0);
        assert_int_equal(take(w, i, NOW), SLU_TOKENS_HAVE);
        assert_str(w->all[i].token.text, "first");
        assert_int_equal(w->all[i].token.until_s, NOW + LIFE);
        assert_int_equal(w->all[i].generation, w->all[0].generation);
    }
    assert_true(w->all[0].generation > 0);
}

/* The text is not copied to who knows it. */
static void test_known(void **state)
{
    struct world *w = *state;
    struct one *one = &w->all[1];

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    put(w, 0, "first", NOW, NOW + LIFE);
    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_HAVE);
    assert_int_equal(slu_tokens_take(w->tokens, &w->key, NOW, w->all[0].generation, &one->turn,
                                     &one->arena, &one->token, &one->generation, &one->fault),
                     SLU_TOKENS_HAVE);
    assert_int_equal(one->token.text.n, 0);
    assert_int_equal(one->generation, w->all[0].generation);
}

static void test_renewed(void **state)
{
    static const struct {
        int64_t life, before;
    } lives[] = {{86400, 300}, {3000, 300}, {2990, 299}, {100, 10}, {9, 1}, {6, 1}, {1, 0}};
    struct world *w = *state;

    for (size_t i = 0; i < SLU_COUNT(lives); i++) {
        int64_t now = NOW + (int64_t)i * 1000000, renew = now + lives[i].life - lives[i].before;

        assert_int_equal(take(w, 0, now), SLU_TOKENS_FETCH);
        put(w, 0, "old", now, now + lives[i].life);
        assert_int_equal(take(w, 0, renew - 1), SLU_TOKENS_HAVE);
        assert_int_equal(take(w, 1, renew), SLU_TOKENS_FETCH);
        if (lives[i].before) { /* the others go on with the old one */
            assert_int_equal(take(w, 2, renew), SLU_TOKENS_HAVE);
            assert_str(w->all[2].token.text, "old");
        }
        assert_int_equal(take(w, 2, now + lives[i].life), SLU_TOKENS_WAIT);
        put(w, 1, "new", renew, renew + 5);
        assert_int_equal(take(w, 2, renew), SLU_TOKENS_HAVE);
        assert_str(w->all[2].token.text, "new");
    }
}

static void test_failed(void **state)
{
    struct world *w = *state;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_WAIT);
    assert_int_equal(take(w, 2, NOW), SLU_TOKENS_WAIT);
    loses(w, 0, SLU_FAULT_UPSTREAM_UNREACHABLE, NOW);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(w->all[i].woken, 1);
        assert_int_equal(take(w, i, NOW), SLU_TOKENS_FAILED);
        assert_int_equal(w->all[i].fault.kind, SLU_FAULT_UPSTREAM_UNREACHABLE);
        assert_string_equal(w->all[i].fault.words, "as told");
    }
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FETCH); /* who comes later tries anew */
    put(w, 1, "t", NOW, NOW + LIFE);
}

/* A refused password is not tried again and again: that may lock the account. */
static void test_refused_credential(void **state)
{
    struct world *w = *state;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_WAIT);
    loses(w, 0, SLU_FAULT_CREDENTIALS, NOW);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FAILED);
    for (int64_t later = 0; later < 10; later++) {
        assert_int_equal(take(w, 2, NOW + later), SLU_TOKENS_FAILED);
        assert_int_equal(w->all[2].fault.kind, SLU_FAULT_CREDENTIALS);
        assert_string_equal(w->all[2].fault.place, "here");
    }
    assert_int_equal(take(w, 2, NOW + 10), SLU_TOKENS_FETCH);
    put(w, 2, "t", NOW + 10, NOW + LIFE);
    assert_int_equal(take(w, 2, NOW + 10), SLU_TOKENS_HAVE);
}

static void test_renewal_failed(void **state)
{
    int64_t renew = NOW + LIFE - 300;
    struct world *w = *state;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    put(w, 0, "old", NOW, NOW + LIFE);
    assert_int_equal(take(w, 1, renew), SLU_TOKENS_FETCH);
    loses(w, 1, SLU_FAULT_CREDENTIALS, renew);
    assert_int_equal(take(w, 1, renew), SLU_TOKENS_HAVE);
    assert_str(w->all[1].token.text, "old");
    assert_int_equal(take(w, 2, renew + 9), SLU_TOKENS_HAVE);
    assert_int_equal(take(w, 2, renew + 10), SLU_TOKENS_FETCH);
    slu_tokens_leave(w->tokens, &w->all[2].turn);
}

/* A hundred refusals of one token make one new one. */
static void test_refused_token(void **state)
{
    struct world *w = *state;
    uint64_t old;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    put(w, 0, "old", NOW, NOW + LIFE);
    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_HAVE);
    old = w->all[0].generation;
    slu_tokens_refuse(w->tokens, &w->key, old);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FETCH);
    slu_tokens_refuse(w->tokens, &w->key, old);
    assert_int_equal(take(w, 2, NOW), SLU_TOKENS_WAIT);
    put(w, 1, "new", NOW, NOW + LIFE);
    slu_tokens_refuse(w->tokens, &w->key, old);
    assert_int_equal(take(w, 2, NOW), SLU_TOKENS_HAVE);
    assert_str(w->all[2].token.text, "new");
    assert_true(w->all[2].generation != old);
}

static void test_leaving(void **state)
{
    struct world *w = *state;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    for (size_t i = 1; i < MANY; i++)
        assert_int_equal(take(w, i, NOW), SLU_TOKENS_WAIT);
    slu_tokens_leave(w->tokens, &w->all[2].turn); /* from the middle */
    slu_tokens_leave(w->tokens, &w->all[0].turn); /* who fetched: the next one does */
    assert_int_equal(w->all[1].woken, 1);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FETCH);
    slu_tokens_leave(w->tokens, &w->all[1].turn);
    assert_int_equal(take(w, 3, NOW), SLU_TOKENS_FETCH);
    slu_tokens_leave(w->tokens, &w->all[4].turn); /* the last */
    put(w, 3, "t", NOW, NOW + LIFE);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(w->all[i].woken, i == 1 || i == 3);
    slu_tokens_leave(w->tokens, &w->all[3].turn); /* twice does no harm */
    assert_int_equal(take(w, 2, NOW), SLU_TOKENS_HAVE);
}

/* One who was told of a failure and left may begin anew with the same turn. */
static void test_left_after_failure(void **state)
{
    struct world *w = *state;

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_WAIT);
    loses(w, 0, SLU_FAULT_UPSTREAM_ERROR, NOW);
    slu_tokens_leave(w->tokens, &w->all[1].turn);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FETCH);
    slu_tokens_leave(w->tokens, &w->all[1].turn);
}

static void test_ended_already(void **state)
{
    struct world *w = *state;
    struct slu_token token = {SLU_STR("late"), NOW};

    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_WAIT);
    assert_false(slu_tokens_put(w->tokens, &w->all[0].turn, &token, NOW, &w->all[0].fault));
    assert_int_equal(w->all[0].fault.kind, SLU_FAULT_UPSTREAM_UNREADABLE);
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FAILED);
}

static void test_keys(void **state)
{
    struct world *w = *state;
    struct slu_secret *one = slu_secret_new(SLU_STR("one")), *two = slu_secret_new(SLU_STR("two"));
    struct slu_target target = {
        .name = SLU_STR("otc"),
        .credentials = {.scheme = slu_scheme_find(SLU_STR("keystone-password")),
                        .access_key = one,
                        .secret_key = one,
                        .domain = SLU_STR("ab"),
                        .project = SLU_STR("c")}};
    struct slu_tokens_key first, again;

    assert_true(slu_tokens_key_of(w->tokens, &target, &first));
    assert_true(slu_tokens_key_of(w->tokens, &target, &again));
    assert_memory_equal(&first, &again, sizeof(first));
    target.credentials.secret_key = two;
    assert_true(slu_tokens_key_of(w->tokens, &target, &again));
    assert_memory_not_equal(&first, &again, sizeof(first));
    target.credentials.secret_key = one;
    target.credentials.domain = SLU_STR("a");
    target.credentials.project = SLU_STR("bc");
    assert_true(slu_tokens_key_of(w->tokens, &target, &again));
    assert_memory_not_equal(&first, &again, sizeof(first));

    w->key = first;
    assert_int_equal(take(w, 0, NOW), SLU_TOKENS_FETCH);
    put(w, 0, "t", NOW, NOW + LIFE);
    w->key = again;
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_FETCH);
    put(w, 1, "u", NOW, NOW + LIFE);
    w->key = first;
    assert_int_equal(take(w, 1, NOW), SLU_TOKENS_HAVE);
    assert_str(w->all[1].token.text, "t");
    slu_secret_free(one);
    slu_secret_free(two);
}

static bool whole_way(void *context)
{
    slu_auto(slu_tokens) *tokens = slu_tokens_new(secret);
    struct slu_target target = {
        .name = SLU_STR("otc"),
        .credentials = {.scheme = slu_scheme_find(SLU_STR("keystone-password"))}};
    struct one one = {.turn = {.wake = wake, .context = &one}};
    struct slu_token token = {SLU_STR("text"), NOW + LIFE};
    struct slu_tokens_key key;
    bool good;

    (void)context;
    if (!tokens || !slu_tokens_key_of(tokens, &target, &key))
        return false;
    slu_arena_init(&one.arena, 1 << 16);
    good = slu_tokens_take(tokens, &key, NOW, 0, &one.turn, &one.arena, &one.token, &one.generation,
                           &one.fault) == SLU_TOKENS_FETCH &&
           slu_tokens_put(tokens, &one.turn, &token, NOW, &one.fault) &&
           slu_tokens_take(tokens, &key, NOW, 0, &one.turn, &one.arena, &one.token, &one.generation,
                           &one.fault) == SLU_TOKENS_HAVE;
    assert_int_equal(one.fault.kind, good ? SLU_FAULT_NONE : SLU_FAULT_MEMORY);
    slu_arena_done(&one.arena);
    return good;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(whole_way, NULL) > 3);
}

/* ---- threads: each takes often; tokens live for a moment, are refused, and some who are told to
 * fetch or to wait leave. */

enum { THREADS = 8, ROUNDS = 3000 };

static _Atomic(int64_t) moment;
static atomic_int fetching, wrong, fetched, had;
static struct slu_tokens *shared;
static const struct slu_tokens_key shared_key;

struct waiter {
    struct slu_tokens_turn turn;
    atomic_bool woken;
};

static void wake_waiter(void *context)
{
    atomic_store(&((struct waiter *)context)->woken, true);
}

/* True when this round ends without a token. */
static bool fetch(struct waiter *waiter, int64_t now_s, int round)
{
    struct slu_token token = {SLU_STR("a token that was fetched"), now_s + 20};
    struct slu_fault fault = {.kind = SLU_FAULT_UPSTREAM_ERROR};

    if (atomic_fetch_add(&fetching, 1) != 0)
        atomic_fetch_add(&wrong, 1);
    sched_yield();
    atomic_fetch_sub(&fetching, 1);
    atomic_fetch_add(&fetched, 1);
    if (round % 7 == 0)
        slu_tokens_leave(shared, &waiter->turn);
    else if (round % 5 == 0)
        slu_tokens_fail(shared, &waiter->turn, now_s, &fault);
    else if (!slu_tokens_put(shared, &waiter->turn, &token, now_s, &fault))
        atomic_fetch_add(&wrong, 1);
    return round % 7 == 0 || round % 5 == 0;
}

static bool once(struct waiter *waiter, struct slu_arena *arena, int round)
{
    int64_t now_s = atomic_fetch_add(&moment, 1) / 16;
    struct slu_fault fault = {0};
    struct slu_token token;
    uint64_t generation;

    switch (slu_tokens_take(shared, &shared_key, now_s, 0, &waiter->turn, arena, &token,
                            &generation, &fault)) {
    case SLU_TOKENS_HAVE:
        atomic_fetch_add(&had, 1);
        if (token.text.n != 24)
            atomic_fetch_add(&wrong, 1);
        if (round % 11 == 0)
            slu_tokens_refuse(shared, &shared_key, generation);
        return true;
    case SLU_TOKENS_FETCH:
        return fetch(waiter, now_s, round);
    case SLU_TOKENS_WAIT:
        if (round % 13 == 0) {
            slu_tokens_leave(shared, &waiter->turn);
            return true;
        }
        while (!atomic_exchange(&waiter->woken, false))
            sched_yield();
        return false;
    case SLU_TOKENS_FAILED:
        return true;
    }
    return true;
}

static void *run(void *context)
{
    struct waiter waiter = {.turn = {.wake = wake_waiter, .context = &waiter}};
    struct slu_arena arena;

    slu_arena_init(&arena, 1 << 16);
    for (int round = 1; round <= ROUNDS; round++) {
        atomic_store(&waiter.woken, false);
        while (!once(&waiter, &arena, round))
            continue;
        slu_tokens_leave(shared, &waiter.turn);
        slu_arena_reset(&arena);
    }
    slu_arena_done(&arena);
    return context;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    shared = slu_tokens_new(secret);
    assert_non_null(shared);
    atomic_store(&moment, NOW);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&fetched) > 10);
    assert_true(atomic_load(&had) > THREADS * ROUNDS / 2);
    slu_tokens_free(shared);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_one_fetches),
        EACH(test_known),
        EACH(test_renewed),
        EACH(test_failed),
        EACH(test_refused_credential),
        EACH(test_renewal_failed),
        EACH(test_refused_token),
        EACH(test_leaving),
        EACH(test_left_after_failure),
        EACH(test_ended_already),
        EACH(test_keys),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
