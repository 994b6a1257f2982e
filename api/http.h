/* HTTP as the routes see it: a request in flight is one struct exchange, answered exactly once, by whoever holds it. libmicrohttpd stands behind
 * http_mhd.c only. */
#pragma once

#include "base/base.h"

struct exchange;
struct http;

/* What a dispatcher decides about a request whose body is complete. ANSWERED: http_answer* was called. LATER: somebody else will call it; the
 * connection is suspended meanwhile and costs no thread. */
enum dispatched { ANSWERED, LATER };
typedef enum dispatched http_dispatch(void *arg, struct exchange *x);

struct http_options {
	const char *host;
	int port; /* 0: any */
	int threads;
	int max_connections;
	int idle_s;
	size_t body_cap;
	http_dispatch *dispatch;
	void *arg;
};

MUST_USE enum rc http_start(const struct http_options *o, struct http **out, struct err *e);
int http_port(const struct http *h);
void http_stop(struct http *h); /* every exchange that was LATER must be answered first */

/* The request. Texts live as long as the exchange. */
struct slice x_method(const struct exchange *x);
struct slice x_path(const struct exchange *x); /* decoded, without query */
struct slice x_query(
	const struct exchange *x, const char *name); /* decoded; ptr NULL when absent */
struct slice x_header(const struct exchange *x, const char *name); /* ptr NULL when absent */
struct slice x_body(const struct exchange *x);
bool x_loopback(const struct exchange *x);          /* the peer is 127.0.0.0/8 or ::1 */
const char *x_request_id(const struct exchange *x); /* ours, or a well-formed X-Request-Id */
/* A place for the routes' own state; freed with free() when the exchange ends. */
void x_keep(struct exchange *x, void *state);
void *x_kept(const struct exchange *x);
/* Link for queues; whoever holds the exchange may use it. */
struct exchange **x_next(struct exchange *x);

/* The answer, once. Extra headers first, any number up to 8. body is copied. */
void x_set_header(struct exchange *x, const char *name, const char *value);
void http_answer(struct exchange *x, int status, const char *type, struct slice body);
/* Sends the whole of fd (closed afterwards) with sendfile. */
void http_answer_file(struct exchange *x, int status, const char *type, int fd, uint64_t size);
/* RFC 9457. detail is a sentence for a person. */
void http_problem(struct exchange *x, int status, const char *title, const char *fmt, ...)
	PRINTF(4, 5);
