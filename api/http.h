/* HTTP as the routes see it: a request in flight is one struct exchange, answered exactly once, by whoever holds it. libmicrohttpd stands behind
 * http_mhd.c, http_request.c, http_answer.c and http_refusal.c only. */
#pragma once

#include "base/base.h"

struct exchange;
struct http;

/* What a dispatcher decides about a request whose body is complete. ANSWERED: http_answer* was called. LATER: somebody else will call it; the
 * connection is suspended meanwhile and costs no thread. */
enum dispatched { ANSWERED, LATER };
typedef enum dispatched http_dispatch(void *arg, struct exchange *x);
/* Asked before a body is read: false when it answered already, so that nobody without a right makes us gather bytes. */
typedef bool http_admit(void *arg, struct exchange *x);
/* Told of every answer when it starts on its way. */
typedef void http_done(void *arg, struct exchange *x, int status);
/* Told when an exchange ends, by a thread of HTTP; whole: the answer went out to its last byte. x is gone afterwards. */
typedef void http_ended(void *arg, struct exchange *x, bool whole);
/* All of a stream's pieces are sent: whoever takes the exchange calls http_push or http_break, once. False: nobody does, it is broken off. */
typedef bool http_idle(void *arg, struct exchange *x);

struct http_options {
	const char *host; /* name or address; IPv6 in brackets */
	int port;         /* 0: any */
	int threads;
	int max_connections; /* lowered when the process may not have so many files */
	int idle_s;
	size_t body_cap;   /* of one request */
	size_t bodies_cap; /* of all that are being gathered */
	http_admit *admit;
	http_dispatch *dispatch;
	http_done *done;
	http_ended *ended;
	http_idle *idle;
	void *arg;
};

MUST_USE enum rc http_start(const struct http_options *o, struct http **out, struct err *e);
int http_port(const struct http *h);
/* In three steps, so that what is under way ends well: no new connections; then the caller answers everything that was LATER; then up to
 * wait_ms for the last bytes to leave. */
void http_quiesce(struct http *h);
void http_stop(struct http *h, int wait_ms);

/* The request. Texts live as long as the exchange. */
struct slice x_method(const struct exchange *x);
struct slice x_path(const struct exchange *x); /* as sent, percent signs and all, without query */
/* How often the query names it; *out is the first value, decoded, valid UTF-8 without NUL. */
int x_query(const struct exchange *x, const char *name, struct slice *out);
struct slice x_header(const struct exchange *x, const char *name); /* ptr NULL when absent */
struct slice x_body(const struct exchange *x);
bool x_loopback(const struct exchange *x); /* the peer is 127.0.0.0/8 or ::1, and no proxy */
void x_address(const struct exchange *x, char out[64]); /* the peer's; behind a proxy the proxy's */
const char *x_request_id(const struct exchange *x);     /* ours, or a well-formed X-Request-Id */
bool x_gone(const struct exchange *x); /* of one that is LATER: the client hung up */
/* Percent-decodes s and ends it with a NUL. False with a sentence in *why: not well-formed, a NUL, no UTF-8, or longer than room. */
bool http_decode(struct slice s, char *out, size_t room, const char **why);
/* A place for the routes' own state; freed with free() when the exchange ends. */
void x_keep(struct exchange *x, void *state);
void *x_kept(const struct exchange *x);
/* Link for queues; whoever holds the exchange may use it. */
struct exchange **x_next(struct exchange *x);

/* The answer, once. Extra headers first, any number up to 8. body is copied. */
void x_set_header(struct exchange *x, const char *name, const char *value);
void http_answer(struct exchange *x, int status, const char *type, struct slice body);
/* Sends the whole of fd (closed afterwards) with sendfile; it may be a dup of one that is sent elsewhere. */
void http_answer_file(struct exchange *x, int status, const char *type, int fd, uint64_t size);
/* One text for many exchanges, counted. */
struct shared;
struct shared *shared_new(
	struct buf *taken); /* NULL: out of memory; else buf is empty afterwards */
struct shared *shared_keep(struct shared *s);
void shared_free(struct shared *s); /* NULL is fine */
OWNER(shared_free, struct shared);
struct slice shared_text(const struct shared *s);
void http_answer_shared(struct exchange *x, int status, const char *type, struct shared *body);
/* The kernel keeps little of what is on its way to this client, so that "sent" means nearly "received", and gives up on it after the idle time. */
void x_bound(struct exchange *x);
/* An answer that goes on: `first`, then what http_push brings whenever the exchange was idle. Pieces are borrowed. */
void http_answer_stream(struct exchange *x, const char *type, struct shared *first);
bool x_streams(const struct exchange *x); /* its stream has begun */
void http_push(struct exchange *x, struct shared *piece);
/* Ends the connection without the end of the body, so that the client sees that something is missing. */
void http_break(struct exchange *x);
/* RFC 9457. detail is a sentence for a person. */
void http_problem(struct exchange *x, int status, const char *title, const char *fmt, ...)
	PRINTF(4, 5);
