/*
 * Tokens that were fetched for targets, one place for the whole process: however many requests need
 * the token of one credential, one of them fetches it and the others wait, or go on with the old
 * one while it is renewed. Thread-safe; asks neither clock nor network.
 *
 * A request takes; what it is told is a state:
 *
 *   HAVE    there is a token: sign with it.
 *   FETCH   you fetch: send slu_seal_ask()'s message, then slu_tokens_put() or slu_tokens_fail().
 *   WAIT    somebody else fetches: `wake` will be called once, then take again.
 *   FAILED  who fetched for you failed, with this fault (or the credential was refused a moment ago
 *           and is not tried again so soon, since a cloud may lock an account).
 *
 * Whoever was told FETCH or WAIT and goes away before its end says slu_tokens_leave(): if it was to
 * fetch, the next one who waits does so.
 *
 * All times (`now_s`, the end of a token) are of one clock that does not jump, whichever it is.
 *
 * A token is known by its generation. After a cloud refused one (401), slu_tokens_refuse() drops
 * just that one, so a hundred refusals at once lead to one new token.
 */
#ifndef SLU_CLOUD_TOKENS_H
#define SLU_CLOUD_TOKENS_H

#include "cloud/catalog.h"

struct slu_tokens;

enum { SLU_TOKENS_SECRET = 32 };

/* `secret` is random and of this process; it keeps a key from telling its password. */
SLU_NODISCARD struct slu_tokens *slu_tokens_new(const unsigned char secret[SLU_TOKENS_SECRET]);
/* Nobody may wait any more. All tokens are wiped. */
void slu_tokens_free(struct slu_tokens *tokens);
SLU_AUTO_DEFINE(slu_tokens)

/* Whose token: the target by name, and all that makes its credential, so that after a reload with
 * another password the old token serves nobody. Worked out once for a catalog. */
struct slu_tokens_key {
    unsigned char bytes[32];
};
SLU_NODISCARD bool slu_tokens_key_of(const struct slu_tokens *tokens,
                                     const struct slu_target *target,
                                     struct slu_tokens_key *ret_key);

enum slu_tokens_state { SLU_TOKENS_HAVE, SLU_TOKENS_FETCH, SLU_TOKENS_WAIT, SLU_TOKENS_FAILED };

/*
 * One request's place in the queue; the caller's storage, zeroed but for the first two members, not
 * to be moved while the state is FETCH or WAIT. `wake` is called on whatever thread ends the wait,
 * with a lock held: it posts a note and returns. It is never called after slu_tokens_leave().
 */
struct slu_tokens_turn {
    void (*wake)(void *context);
    void *context;
    /* private */
    struct slu_tokens_entry *entry;
    struct slu_tokens_turn *next;
    bool fetches, ended;
    struct slu_fault fault;
};

/*
 * With HAVE the generation is told, and the token when it is not the one the caller knows already
 * (`known`, 0 for none): its text in the arena, to be put into a seal with slu_seal_arm(). With
 * FAILED the fault is set, also for no memory.
 */
SLU_NODISCARD enum slu_tokens_state
slu_tokens_take(struct slu_tokens *tokens, const struct slu_tokens_key *key, int64_t now_s,
                uint64_t known, struct slu_tokens_turn *turn, struct slu_arena *arena,
                struct slu_token *ret_token, uint64_t *ret_generation, struct slu_fault *fault);
/* The end of a FETCH, well: keeps a copy, wakes all who wait; the caller takes again. False, as
 * slu_tokens_fail() with this fault, when the token has ended already or there is no memory. */
SLU_NODISCARD bool slu_tokens_put(struct slu_tokens *tokens, struct slu_tokens_turn *turn,
                                  const struct slu_token *token, int64_t now_s,
                                  struct slu_fault *fault);
/* The end of a FETCH, badly: those who wait have failed alike, unless an older token still serves:
 * then all take that. */
void slu_tokens_fail(struct slu_tokens *tokens, struct slu_tokens_turn *turn, int64_t now_s,
                     const struct slu_fault *fault);
void slu_tokens_leave(struct slu_tokens *tokens, struct slu_tokens_turn *turn);
void slu_tokens_refuse(struct slu_tokens *tokens, const struct slu_tokens_key *key,
                       uint64_t generation);

#endif
