/* The clock of a target, seen through Date. */
#include "cloud/skew.h"

#include "codec/time.h"

#include <stdatomic.h>

enum {
    /* The least difference that may be why a signature was refused: clouds allow some minutes, and
     * their own clients begin to correct at four (ClockSkew.java of the largest one's SDK 2). */
    WORTH_S = 240,
    MOST_S = 86400,
};

struct slu_skew {
    _Atomic int64_t applied_s, measured_s;
    _Atomic int64_t seen_at_s; /* 0: never */
    _Atomic uint64_t corrected, absurd;
};

struct slu_skew *slu_skew_new(void)
{
    return slu_mem_new(sizeof(struct slu_skew));
}

void slu_skew_free(struct slu_skew *skew)
{
    slu_mem_free(skew);
}

int64_t slu_skew_offset_s(const struct slu_skew *skew)
{
    return atomic_load_explicit(&skew->applied_s, memory_order_relaxed);
}

/* The least difference that explains the Date, which was written between sending and receiving and
 * has whole seconds. */
static bool measure(struct slu_skew *skew, struct slu_str date, int64_t sent_s, int64_t received_s,
                    int64_t *ret_skew_s)
{
    int64_t date_s, most, least;
    bool good = slu_time_http(date, received_s, &date_s);

    if (good) {
        least = date_s - (received_s > sent_s ? received_s : sent_s);
        most = date_s - sent_s + 1;
        *ret_skew_s = least > 0 ? least : most < 0 ? most : 0;
        good = *ret_skew_s <= MOST_S && *ret_skew_s >= -MOST_S;
    }
    if (good) {
        atomic_store_explicit(&skew->measured_s, *ret_skew_s, memory_order_relaxed);
        atomic_store_explicit(&skew->seen_at_s, received_s ? received_s : 1, memory_order_relaxed);
    } else if (date.n) {
        atomic_fetch_add_explicit(&skew->absurd, 1, memory_order_relaxed);
    }
    return good;
}

/* Once a second is enough. */
void slu_skew_see(struct slu_skew *skew, struct slu_str date, int64_t sent_s, int64_t received_s)
{
    int64_t skew_s;

    if (atomic_load_explicit(&skew->seen_at_s, memory_order_relaxed) != received_s)
        (void)measure(skew, date, sent_s, received_s, &skew_s);
}

static bool apart(int64_t a_s, int64_t b_s)
{
    return a_s - b_s >= WORTH_S || b_s - a_s >= WORTH_S;
}

bool slu_skew_correct(struct slu_skew *skew, struct slu_str date, int64_t sent_s,
                      int64_t received_s, int64_t offset_s)
{
    int64_t skew_s, applied_s;

    if (!measure(skew, date, sent_s, received_s, &skew_s) || !apart(skew_s, offset_s))
        return false;
    applied_s = apart(skew_s, 0) ? skew_s : 0;
    if (atomic_exchange_explicit(&skew->applied_s, applied_s, memory_order_relaxed) != applied_s)
        atomic_fetch_add_explicit(&skew->corrected, 1, memory_order_relaxed);
    return true;
}

struct slu_skew_view slu_skew_look(const struct slu_skew *skew)
{
    return (struct slu_skew_view){
        .seen = atomic_load_explicit(&skew->seen_at_s, memory_order_relaxed) != 0,
        .measured_s = atomic_load_explicit(&skew->measured_s, memory_order_relaxed),
        .applied_s = atomic_load_explicit(&skew->applied_s, memory_order_relaxed),
        .corrected = atomic_load_explicit(&skew->corrected, memory_order_relaxed),
        .absurd = atomic_load_explicit(&skew->absurd, memory_order_relaxed),
    };
}
