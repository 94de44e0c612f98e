/*
 * How far a target's clock is from this machine's, by the Date of its replies. It is measured all
 * the time, for the metrics; it is applied to signatures only after the target has refused one that
 * was made with another time, once for a call. Thread-safe, without a lock; asks no clock.
 *
 * A Date that is no date (RFC 9110 §5.6.7), or more than a day away, says nothing and is counted:
 * with a clock so wrong no certificate would be taken, and a forged Date must not make a signature
 * that is good in years.
 */
#ifndef SLU_CLOUD_SKEW_H
#define SLU_CLOUD_SKEW_H

#include "base/mem.h"
#include "base/str.h"

#include <stdint.h>

struct slu_skew;

SLU_NODISCARD struct slu_skew *slu_skew_new(void);
void slu_skew_free(struct slu_skew *skew);
SLU_AUTO_DEFINE(slu_skew)

/* To be added to the clock when a request is signed; the caller keeps it with the attempt. */
int64_t slu_skew_offset_s(const struct slu_skew *skew);

/* One reply's Date; `sent_s` and `received_s` are this machine's clock around it. */
void slu_skew_see(struct slu_skew *skew, struct slu_str date, int64_t sent_s, int64_t received_s);

/* A signature made with `offset_s` was refused: true when the Date of the refusal shows that the
 * time may be why. Then the offset is corrected for all, and signing again is worth one try. */
SLU_NODISCARD bool slu_skew_correct(struct slu_skew *skew, struct slu_str date, int64_t sent_s,
                                    int64_t received_s, int64_t offset_s);

struct slu_skew_view {
    bool seen;
    int64_t measured_s; /* by the last reply: positive when the target is ahead */
    int64_t applied_s;
    uint64_t corrected, absurd; /* ever */
};
struct slu_skew_view slu_skew_look(const struct slu_skew *skew);

#endif
