/*
 * How fast writes are journalled: commits a second, writes a commit, and processor time of one
 * create (begin, note, settle) with 1, 64 and 1,000 of them at once, handed over by one thread as
 * an event loop does. Prints what it measured; SLU_SPEED_CREATES (default 500) says how many
 * creates each row has. Fails only when a command does.
 */
#include "store_support.h"

struct create {
    struct create *next;
    struct crowd *crowd;
    struct slu_journal_reply *reply;
    struct id id;
    int step;
};

/* What the caller's loop owns, and the notes that the store thread posts to it. */
struct crowd {
    struct slu_journal *journal;
    uint64_t begun, wanted;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct create *posted;
};

static void post(struct slu_journal_reply *reply, void *user)
{
    struct create *create = user;
    struct crowd *crowd = create->crowd;

    create->reply = reply;
    pthread_mutex_lock(&crowd->lock);
    create->next = crowd->posted;
    crowd->posted = create;
    if (!create->next)
        pthread_cond_signal(&crowd->wake);
    pthread_mutex_unlock(&crowd->lock);
}

static void step(struct crowd *crowd, struct create *create)
{
    struct slu_record record = record_of(&create->id, create->id.text);
    struct slu_fault fault;
    bool handed;

    record.state = SLU_RECORD_SUCCEEDED;
    record.request =
        SLU_STR("{\"name\":\"edge-reject\",\"resource_type\":\"vpc\",\"resource_id\":"
                "\"vpc-m5e8vhz2t21sel1nq\",\"traffic_type\":\"reject\",\"destination\":"
                "{\"type\":\"sls\",\"group\":\"flow-project\",\"stream\":\"flow-store\"}}");
    switch (create->step++ % 3) {
    case 0:
        create->id = id_of(slu_clock_mono_us(), crowd->begun++);
        record = record_of(&create->id, create->id.text);
        handed = slu_journal_begin(crowd->journal, &record, post, create, &fault);
        break;
    case 1:
        record.attempts = 1;
        handed = slu_journal_note(crowd->journal, &record, post, create, &fault);
        break;
    default:
        record.body = record.request;
        handed = slu_journal_settle(crowd->journal, &record, false, post, create, &fault);
    }
    assert_true(handed);
}

static uint64_t processor_us(clockid_t clock)
{
    struct timespec used;

    clock_gettime(clock, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

/* Until all creates that were begun have been settled. */
static void run_loop(struct crowd *crowd, size_t busy)
{
    while (busy) {
        struct create *posted;

        pthread_mutex_lock(&crowd->lock);
        while (!crowd->posted)
            pthread_cond_wait(&crowd->wake, &crowd->lock);
        posted = crowd->posted;
        crowd->posted = NULL;
        pthread_mutex_unlock(&crowd->lock);
        while (posted) {
            struct create *create = posted;

            posted = create->next;
            assert_int_equal(create->reply->outcome, SLU_JOURNAL_DONE);
            slu_journal_reply_free(create->reply);
            if (create->step % 3 == 0 && crowd->begun >= crowd->wanted)
                busy--;
            else
                step(crowd, create);
        }
    }
}

static void measure(const struct place *place, size_t at_once, uint64_t wanted)
{
    static struct create creates[1000];
    struct crowd crowd = {.wanted = wanted > at_once ? wanted : at_once};
    struct slu_journal_health health;
    uint64_t began_us, own_us, all_us;

    crowd.journal = journal_open(place);
    pthread_mutex_init(&crowd.lock, NULL);
    pthread_cond_init(&crowd.wake, NULL);
    began_us = slu_clock_mono_us();
    own_us = processor_us(CLOCK_THREAD_CPUTIME_ID);
    all_us = processor_us(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < at_once; i++) {
        creates[i] = (struct create){.crowd = &crowd};
        step(&crowd, &creates[i]);
    }
    run_loop(&crowd, at_once);
    own_us = processor_us(CLOCK_THREAD_CPUTIME_ID) - own_us;
    all_us = processor_us(CLOCK_PROCESS_CPUTIME_ID) - all_us;
    began_us = slu_clock_mono_us() - began_us;
    slu_journal_health(crowd.journal, &health);
    assert_int_equal(health.writes, 3 * crowd.begun);
    print_message("%-10s %4zu at once: %6.0f creates/s, %5.0f commits/s, %6.1f writes a commit; "
                  "processor per create: %5.1f us caller, %5.1f us in all\n",
                  place->postgresql ? "postgresql" : "sqlite", at_once,
                  (double)crowd.begun * 1e6 / (double)began_us,
                  (double)health.commits * 1e6 / (double)began_us,
                  (double)health.writes / (double)health.commits,
                  (double)own_us / (double)crowd.begun, (double)all_us / (double)crowd.begun);
    slu_journal_free(crowd.journal);
}

static void measure_all(const struct place *place)
{
    static const size_t at_once[] = {1, 64, 1000};
    const char *text = getenv("SLU_SPEED_CREATES");
    uint64_t wanted = text ? strtoull(text, NULL, 10) : 500;

    for (size_t i = 0; i < SLU_COUNT(at_once); i++)
        measure(place, at_once[i], at_once[i] == 1 ? wanted / 10 : wanted);
}

static void test_sqlite(void **state)
{
    struct place place;

    (void)state;
    place_init(&place);
    measure_all(&place);
    place_done(&place);
}

static void test_postgresql(void **state)
{
    struct place place;

    (void)state;
    postgres_init(&place);
    postgres_database(&place);
    measure_all(&place);
    place_done(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite),
        cmocka_unit_test(test_postgresql),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
