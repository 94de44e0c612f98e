/*
 * Letters: the journal answers on its own thread by a letter to the asker's loop. A letter is on
 * the heap, since the asker may have given up waiting when it arrives.
 */
#include "exchange/exchange_internal.h"

struct slu_letter {
    struct slu_worker *worker;
    struct slu_post post;
    slu_letter_fn *arrives; /* NULL: nobody waits any more */
    void *user;
    struct slu_journal_reply *reply;
    bool binds;
};

/* Begun or locked, but nobody waited for it: nothing was sent, so nothing is bound. A journal that
 * is closed already leaves it to the next start. */
static void throw_away(struct slu_letter *letter)
{
    struct slu_journal *journal = letter->worker->gateway->journal;

    if (journal && letter->binds && letter->reply->outcome == SLU_JOURNAL_DONE)
        slu_journal_take_back(journal, letter->reply);
    else
        slu_journal_reply_free(letter->reply);
}

static void arrive(void *argument)
{
    struct slu_letter *letter = argument;

    if (letter->arrives)
        letter->arrives(letter->reply, letter->user);
    else
        throw_away(letter);
    slu_mem_free(letter);
}

void slu_letter_answered(struct slu_journal_reply *reply, void *user)
{
    struct slu_letter *letter = user;

    letter->reply = reply;
    slu_loop_send(letter->worker->loop, &letter->post);
}

void slu_letter_unread(struct slu_journal_reply *reply, void *user)
{
    (void)user;
    slu_journal_reply_free(reply);
}

struct slu_letter *slu_letter_new(struct slu_worker *worker, bool binds, slu_letter_fn *arrives,
                                  void *user)
{
    struct slu_letter *letter = slu_mem_new(sizeof(*letter));

    if (!letter)
        return NULL;
    letter->worker = worker;
    letter->post.fn = arrive;
    letter->post.argument = letter;
    letter->arrives = arrives;
    letter->user = user;
    letter->binds = binds;
    return letter;
}

void slu_letter_leave(struct slu_letter **place)
{
    struct slu_letter *letter = slu_take(*place);

    if (letter)
        letter->arrives = NULL;
}
