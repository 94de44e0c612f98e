/*
 * The callers' side: listeners with SO_REUSEPORT on a loop, strict HTTP/1.1 (RFC 9112), one `talk`
 * per request. Deadlines: head, whole body with a minimum rate, idle, write. Pipelined requests are
 * answered in order: the next one is parsed only when the one before is answered.
 */
#ifndef SLU_NET_SERVER_H
#define SLU_NET_SERVER_H

#include "codec/message.h"
#include "net/loop.h"
#include "net/tls.h"

struct slu_server;
struct slu_talk;

struct slu_server_limits {
    uint32_t head_bytes;  /* 16384 */
    uint32_t head_fields; /* 100 */
    uint32_t body_bytes;  /* 65536 */
    uint32_t connections; /* of this server on this loop; beyond it new ones wait in the backlog */
    uint32_t head_timeout_ms;  /* 10000: from the first byte (or accept) to the end of the head */
    uint32_t body_timeout_ms;  /* 20000: whole body; beside it a minimum rate of 256 bytes/s */
    uint32_t idle_timeout_ms;  /* 75000: between requests */
    uint32_t write_timeout_ms; /* 20000: without any progress */
    size_t arena_bytes;        /* budget of a talk's arena */
};

struct slu_server_conf {
    const char *address; /* "127.0.0.1:8080", "[::1]:8080"; port 0 picks one */
    struct slu_tls *tls; /* or NULL */
    struct slu_server_limits limits;
};

/* All on the loop's thread. `user` is what slu_server_new() was given. */
struct slu_server_handler {
    /* The head is there and valid. Call slu_talk_want_body() to read a body (answers 100-continue
     * where asked) or slu_talk_answer() right away; the unread body is then dropped or the
     * connection closed. */
    void (*head)(struct slu_talk *talk, void *user);
    /* The body asked for is there: slu_talk_request()->body. Also called, at once, when there is
     * none. */
    void (*body)(struct slu_talk *talk, void *user);
    /* The parser or a deadline refused the message: answer with this fault; the connection closes
     * after it. slu_talk_request() may be partly filled (method, path) or empty. */
    void (*refused)(struct slu_talk *talk, const struct slu_fault *fault, void *user);
    /* The caller left (or reset, or the write timed out) before the answer was written. No answer
     * may be given any more; after this the talk may still be used for its arena until
     * slu_talk_release(). */
    void (*gone)(struct slu_talk *talk, void *user);
    /* The answer is written to the last byte. */
    void (*written)(struct slu_talk *talk, void *user);
};

SLU_NODISCARD bool slu_server_new(struct slu_loop *loop, const struct slu_server_conf *conf,
                                  const struct slu_server_handler *handler, void *user,
                                  struct slu_server **ret_server, struct slu_fault *fault);
/* Stops listening; open talks end, then idle connections are closed. slu_server_busy() tells how
 * many connections are left. */
void slu_server_drain(struct slu_server *server);
uint32_t slu_server_busy(const struct slu_server *server);
void slu_server_free(struct slu_server *server); /* closes everything at once */
/* "127.0.0.1:8080" as bound, with the real port. */
const char *slu_server_address(const struct slu_server *server);

/* The request; valid until slu_talk_release(). Texts lie in the talk's arena or input buffer. */
const struct slu_request *slu_talk_request(const struct slu_talk *talk);
struct slu_arena *slu_talk_arena(struct slu_talk *talk);
/* "192.0.2.1:4711". */
struct slu_str slu_talk_peer(const struct slu_talk *talk);
/* How long a body the request announces: 0 for none, UINT64_MAX where it does not say (chunks). */
uint64_t slu_talk_announced(const struct slu_talk *talk);
uint64_t slu_talk_began_us(const struct slu_talk *talk); /* first byte of the head, monotonic */
uint64_t slu_talk_bytes_in(const struct slu_talk *talk);
uint64_t slu_talk_bytes_out(const struct slu_talk *talk);
void slu_talk_set_user(struct slu_talk *talk, void *user);
void *slu_talk_user(const struct slu_talk *talk); /* NULL at first */

/* At the head only: read the body, up to `most` bytes (0 = the server's limit). */
void slu_talk_want_body(struct slu_talk *talk, uint32_t most);
/*
 * Answers, once. `response->headers` holds what the exchange adds (content-type, location, …);
 * Date, Content-Length, Connection are added here; a HEAD request gets no body. Field values must
 * have come through slu_headers_add(). The body is copied or written before return. `close`: end
 * the connection after it.
 */
void slu_talk_answer(struct slu_talk *talk, const struct slu_response *response, bool close);
/*
 * In place of an answer: the connection ends at once, after `half` of this response (NULL: nothing)
 * or with a TCP reset in place of an orderly end. `gone` follows, as when the caller leaves; then
 * the talk is released. Does nothing when the caller has left already.
 */
void slu_talk_abort(struct slu_talk *talk, const struct slu_response *half, bool reset);
/* The talk is not needed any more; call exactly once per talk for which head() or refused() was
 * called, after `written` or `gone`. Then its arena is reset and the connection goes on. */
void slu_talk_release(struct slu_talk *talk);

#endif
