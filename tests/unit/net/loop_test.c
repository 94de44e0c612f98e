/* The loop: what runs when, and the door for other threads. */
#include "net_support.h"

#include <pthread.h>

struct story {
    struct slu_loop *loop;
    struct slu_buf words;
    unsigned turns, posted, in_order;
};

static void say_a(void *argument)
{
    slu_buf_lit(&((struct story *)argument)->words, "a");
}

static void say_b(void *argument)
{
    slu_buf_lit(&((struct story *)argument)->words, "b");
}

static void stop(void *argument)
{
    slu_loop_stop(((struct story *)argument)->loop);
}

static void begin(struct story *story)
{
    *story = (struct story){.loop = slu_loop_new()};
    assert_non_null(story->loop);
    slu_buf_init(&story->words, 0);
}

static void end(struct story *story)
{
    slu_buf_done(&story->words);
    slu_loop_free(story->loop);
}

static void say_and_more_later(void *argument)
{
    struct story *story = argument;

    slu_buf_lit(&story->words, "[");
    assert_true(slu_loop_post(story->loop, say_b, story));
    assert_true(slu_loop_post(story->loop, stop, story));
    slu_buf_lit(&story->words, "]");
}

static void later_again(void *argument)
{
    struct story *story = argument;

    assert_true(slu_loop_post(story->loop, say_and_more_later, story));
    slu_buf_lit(&story->words, "!");
}

static void on_turn(void *argument)
{
    slu_buf_lit(&((struct story *)argument)->words, "|");
}

/* Posted ones run in their turn and in order, those that they post in the next. */
static void test_order(void **state)
{
    struct story story;

    (void)state;
    begin(&story);
    slu_loop_each_turn(story.loop, on_turn, &story);
    assert_true(slu_loop_post(story.loop, later_again, &story));
    assert_true(slu_loop_post(story.loop, say_a, &story));
    slu_loop_run(story.loop);
    assert_str(slu_buf_str(&story.words), "!a|[]|b|");
    end(&story);
}

struct sent {
    struct slu_post post;
    struct story *story;
    unsigned left;
};

/* Sends itself again, or frees itself, while it is called. */
static void say_and_send(void *argument)
{
    struct sent *sent = argument;
    struct story *story = sent->story;

    slu_buf_lit(&story->words, "s");
    if (sent->left--)
        slu_loop_send(story->loop, &sent->post);
    else
        free(sent);
}

/* What is sent from the caller's storage keeps its place among what is posted, and needs no memory
 * of the loop. */
static void test_send(void **state)
{
    struct story story;
    struct sent *sent = malloc(sizeof(*sent));
    struct slu_post never = {.fn = say_a, .argument = &story};

    (void)state;
    begin(&story);
    *sent = (struct sent){{say_and_send, sent, NULL, true}, &story, 2};
    assert_true(slu_loop_post(story.loop, say_a, &story));
    slu_mem_fail_at(1);
    slu_loop_send(story.loop, &sent->post);
    assert_false(slu_loop_post(story.loop, say_a, &story));
    slu_mem_fail_at(0);
    assert_true(slu_loop_post(story.loop, say_b, &story));
    for (unsigned i = 0; i < 4; i++)
        slu_loop_run_posted(story.loop);
    assert_str(slu_buf_str(&story.words), "asbss");
    slu_loop_send(story.loop, &never); /* a loop that turns no more leaves it where it is */
    end(&story);
}

static void test_stop_before_run(void **state)
{
    struct story story;

    (void)state;
    begin(&story);
    slu_loop_stop(story.loop);
    slu_loop_run(story.loop); /* ends at once */
    assert_true(slu_loop_post(story.loop, stop, &story));
    slu_loop_run(story.loop); /* and can run again */
    end(&story);
}

enum { POSTS = 20000 };

struct numbered {
    struct story *story;
    unsigned number;
};

static void on_numbered(void *argument)
{
    struct numbered *n = argument;

    n->story->in_order += n->story->posted == n->number;
    n->story->posted++;
    if (n->story->posted == POSTS)
        slu_loop_stop(n->story->loop);
}

static void *post_many(void *argument)
{
    struct numbered *all = argument;

    for (unsigned i = 0; i < POSTS; i++)
        if (!slu_loop_post(all[i].story->loop, on_numbered, &all[i]))
            abort();
    return NULL;
}

static void test_other_thread(void **state)
{
    struct story story;
    struct numbered *all = malloc(POSTS * sizeof(*all));
    pthread_t thread;

    (void)state;
    begin(&story);
    for (unsigned i = 0; i < POSTS; i++)
        all[i] = (struct numbered){&story, i};
    assert_int_equal(pthread_create(&thread, NULL, post_many, all), 0);
    slu_loop_run(story.loop);
    pthread_join(thread, NULL);
    assert_int_equal(story.posted, POSTS);
    assert_int_equal(story.in_order, POSTS);
    free(all);
    end(&story);
}

static void test_timers(void **state)
{
    struct story story;
    struct slu_timer a, b, last;
    uint64_t before;

    (void)state;
    begin(&story);
    slu_timer_init(&a, story.loop, say_a, &story);
    slu_timer_init(&b, story.loop, say_b, &story);
    slu_timer_init(&last, story.loop, stop, &story);
    assert_true(slu_timer_set(&a, 5));
    assert_true(slu_timer_set(&a, 30)); /* moved behind b */
    assert_true(slu_timer_set(&b, 10));
    assert_true(slu_timer_set(&last, 60));
    before = slu_loop_now_us(story.loop);
    slu_loop_run(story.loop);
    assert_str(slu_buf_str(&story.words), "ba");
    assert_in_range(slu_loop_now_us(story.loop) - before, 50000, 5000000);

    assert_true(slu_timer_set(&a, 1));
    slu_timer_stop(&a);
    slu_timer_stop(&a);
    assert_true(slu_timer_set(&last, 20));
    slu_loop_run(story.loop);
    assert_str(slu_buf_str(&story.words), "ba");
    slu_timer_done(&a);
    slu_timer_stop(&a);
    slu_timer_done(&a);
    slu_timer_done(&b);
    slu_timer_done(&last);
    end(&story);
}

static bool use_loop(void *context)
{
    struct story story = {.loop = slu_loop_new()};
    bool good = story.loop && slu_loop_post(story.loop, say_a, &story) &&
                slu_loop_post(story.loop, stop, &story) && slu_loop_post(story.loop, say_b, &story);

    (void)context;
    slu_buf_init(&story.words, 0);
    if (good)
        slu_loop_run(story.loop);
    good = good && !story.words.failed;
    end(&story);
    return good;
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(test_every_allocation(use_loop, NULL) > 2);
    slu_loop_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),        cmocka_unit_test(test_stop_before_run),
        cmocka_unit_test(test_other_thread), cmocka_unit_test(test_timers),
        cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
