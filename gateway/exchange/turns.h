/*
 * Turns: of several jobs that want the same thing (to change one flow log, to look at it), one at a
 * time has the turn, on whichever worker it lives. The others wait in order and block no thread.
 * And the last look at each thing, so that who gets the turn next need not look again.
 */
#ifndef SLU_EXCHANGE_TURNS_H
#define SLU_EXCHANGE_TURNS_H

#include "base/str.h"
#include "net/loop.h"

struct slu_turns; /* one for the process; any thread */
struct slu_turn;

SLU_NODISCARD struct slu_turns *slu_turns_new(void);
void slu_turns_free(struct slu_turns *turns);
SLU_AUTO_DEFINE(slu_turns)

/*
 * Asks for the turn at `key`. True in *ret_now: it is there at once; otherwise `ready` is called
 * later on `loop`, unless the turn was ended before. NULL on no memory.
 */
SLU_NODISCARD struct slu_turn *slu_turn_ask(struct slu_turns *turns, struct slu_loop *loop,
                                            struct slu_str key, slu_loop_fn *ready, void *argument,
                                            bool *ret_now);
/* Gives the turn to the next who waits, or stops waiting. On the loop that asked. */
void slu_turn_end(struct slu_turn *turn);

/* What was seen at this key by a look that began at this time; a copy. A bounded number is kept,
 * and what is older than what is known already is not. */
void slu_turns_tell(struct slu_turns *turns, struct slu_str key, uint64_t at_us,
                    struct slu_str seen);
/* What was seen no earlier than `since_us`, copied into `arena`; a NULL pointer when there is none.
 */
struct slu_arena;
struct slu_str slu_turns_seen(struct slu_turns *turns, struct slu_str key, uint64_t since_us,
                              struct slu_arena *arena);

#endif
