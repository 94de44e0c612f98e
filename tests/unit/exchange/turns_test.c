/* Turns: one at a time over threads, in order, whoever ends when; and what was seen. */
#include "test.h"

#include "exchange/turns.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { THREADS = 4, TICKETS = 40 };

struct hall {
    struct slu_turns *turns;
    struct slu_loop *loops[THREADS];
    pthread_t threads[THREADS];
    atomic_uint inside, most, over;
};

struct visitor {
    struct hall *hall;
    struct slu_loop *loop;
    struct slu_turn *turn;
    unsigned number;
    bool impatient; /* leaves as soon as it has asked */
};

static void enter(void *argument)
{
    struct visitor *visitor = argument;
    struct hall *hall = visitor->hall;
    unsigned now = ++hall->inside;

    if (now > hall->most)
        hall->most = now;
    usleep(500);
    hall->inside--;
    slu_turn_end(visitor->turn);
    hall->over++;
}

static void arrive(void *argument)
{
    struct visitor *visitor = argument;
    struct hall *hall = visitor->hall;
    bool now;

    visitor->turn = slu_turn_ask(hall->turns, visitor->loop, SLU_STR("key"), enter, visitor, &now);
    assert_non_null(visitor->turn);
    if (visitor->impatient) {
        slu_turn_end(visitor->turn);
        hall->over++;
    } else if (now) {
        enter(visitor);
    }
}

static void *turn_loop(void *loop)
{
    slu_loop_run(loop);
    return NULL;
}

static void open_hall(struct hall *hall)
{
    *hall = (struct hall){.turns = slu_turns_new()};
    assert_non_null(hall->turns);
    for (size_t i = 0; i < THREADS; i++) {
        hall->loops[i] = slu_loop_new();
        assert_non_null(hall->loops[i]);
        assert_int_equal(pthread_create(&hall->threads[i], NULL, turn_loop, hall->loops[i]), 0);
    }
}

static void close_hall(struct hall *hall)
{
    for (size_t i = 0; i < THREADS; i++)
        slu_loop_stop(hall->loops[i]);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(hall->threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++) {
        slu_loop_run_posted(hall->loops[i]);
        slu_loop_free(hall->loops[i]);
    }
    slu_turns_free(hall->turns);
}

static void one_at_a_time(void **state)
{
    static struct visitor visitors[TICKETS];
    struct hall hall;

    (void)state;
    open_hall(&hall);
    for (unsigned i = 0; i < TICKETS; i++) {
        visitors[i] = (struct visitor){
            .hall = &hall, .loop = hall.loops[i % THREADS], .number = i, .impatient = i % 5 == 4};
        assert_true(slu_loop_post(visitors[i].loop, arrive, &visitors[i]));
    }
    for (int i = 0; i < 5000 && hall.over < TICKETS; i++)
        usleep(1000);
    assert_int_equal(hall.over, TICKETS);
    assert_int_equal(hall.most, 1);
    close_hall(&hall);
}

/* On one loop, without a thread */

static unsigned order[8], called;

static void note(void *argument)
{
    order[called++] = ((struct visitor *)argument)->number;
}

static struct slu_turn *ask_for(struct slu_turns *turns, struct visitor *visitor, const char *key,
                                bool *now)
{
    return slu_turn_ask(turns, visitor->loop, slu_str_of(key), note, visitor, now);
}

static void in_the_order_of_asking(void **state)
{
    slu_auto(slu_turns) *turns = slu_turns_new();
    slu_auto(slu_loop) *loop = slu_loop_new();
    struct visitor visitors[5];
    bool now[5], other;
    struct slu_turn *turn[5], *apart;

    (void)state;
    called = 0;
    for (unsigned i = 0; i < 5; i++) {
        visitors[i] = (struct visitor){.loop = loop, .number = i};
        turn[i] = ask_for(turns, &visitors[i], "a", &now[i]);
        assert_true(now[i] == (i == 0));
    }
    apart = ask_for(turns, &visitors[0], "b", &other);
    assert_true(other);
    slu_turn_end(apart);
    slu_turn_end(turn[2]); /* while it waits */
    slu_turn_end(turn[0]);
    slu_turn_end(turn[1]); /* while the call is on its way: the next but one has it */
    slu_loop_run_posted(loop);
    slu_loop_run_posted(loop);
    assert_int_equal(called, 1);
    assert_int_equal(order[0], 3);
    slu_turn_end(turn[3]);
    slu_loop_run_posted(loop);
    assert_int_equal(order[1], 4);
    slu_turn_end(turn[4]);
}

/* The turn cannot be passed on for want of memory: the next who asks does it. */
static void passed_on_later(void **state)
{
    slu_auto(slu_turns) *turns = slu_turns_new();
    slu_auto(slu_loop) *loop = slu_loop_new();
    struct visitor visitors[3] = {{.loop = loop}, {.loop = loop, .number = 1}, {.loop = loop}};
    struct slu_turn *turn[3];
    bool now;

    (void)state;
    called = 0;
    turn[0] = ask_for(turns, &visitors[0], "a", &now);
    turn[1] = ask_for(turns, &visitors[1], "a", &now);
    slu_mem_fail_at(1);
    slu_turn_end(turn[0]);
    slu_mem_fail_at(0);
    slu_loop_run_posted(loop);
    assert_int_equal(called, 0);
    turn[2] = ask_for(turns, &visitors[2], "a", &now);
    assert_false(now);
    slu_loop_run_posted(loop);
    assert_int_equal(called, 1);
    assert_int_equal(order[0], 1);
    slu_turn_end(turn[2]);
    slu_turn_end(turn[1]);
}

/* A loop that turns no more: its call is freed with the turns. */
static void called_but_never_run(void **state)
{
    struct slu_turns *turns = slu_turns_new();
    struct slu_loop *loop = slu_loop_new();
    struct visitor visitors[2] = {{.loop = loop}, {.loop = loop}};
    struct slu_turn *first, *second;
    bool now;

    (void)state;
    first = ask_for(turns, &visitors[0], "a", &now);
    second = ask_for(turns, &visitors[1], "a", &now);
    slu_turn_end(first);
    slu_turn_end(second);
    slu_loop_free(loop);
    slu_turns_free(turns);
}

static void what_was_seen(void **state)
{
    slu_auto(slu_turns) *turns = slu_turns_new();
    struct slu_arena arena;
    char key[16];

    (void)state;
    slu_arena_init(&arena, 1 << 20);
    assert_null(slu_turns_seen(turns, SLU_STR("a"), 0, &arena).p);
    slu_turns_tell(turns, SLU_STR("a"), 10, SLU_STR("one"));
    assert_str(slu_turns_seen(turns, SLU_STR("a"), 10, &arena), "one");
    assert_null(slu_turns_seen(turns, SLU_STR("a"), 11, &arena).p);
    assert_null(slu_turns_seen(turns, SLU_STR("b"), 0, &arena).p);
    slu_turns_tell(turns, SLU_STR("a"), 9, SLU_STR("older"));
    assert_str(slu_turns_seen(turns, SLU_STR("a"), 0, &arena), "one");
    slu_turns_tell(turns, SLU_STR("a"), 12, SLU_STR("two"));
    assert_str(slu_turns_seen(turns, SLU_STR("a"), 11, &arena), "two");
    for (unsigned i = 0; i < 100000; i++) { /* a bounded number is kept: the newest */
        snprintf(key, sizeof(key), "k%u", i);
        slu_turns_tell(turns, slu_str_of(key), 100 + i, SLU_STR("x"));
    }
    assert_null(slu_turns_seen(turns, SLU_STR("a"), 0, &arena).p);
    for (unsigned i = 99000; i < 100000; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        assert_non_null(slu_turns_seen(turns, slu_str_of(key), 0, &arena).p);
    }
    slu_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),   cmocka_unit_test(in_the_order_of_asking),
        cmocka_unit_test(passed_on_later), cmocka_unit_test(called_but_never_run),
        cmocka_unit_test(what_was_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
