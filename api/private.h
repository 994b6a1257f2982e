/* What the files of this room share: the running API, its routes, its threads. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "api/api.h"
#include "api/http.h"

#define API_MAX_THREADS 64

struct tokens;

struct api {
	struct api_settings s;
	struct http *http;
	struct mirror *mirror;
	struct tokens *tokens;
	/* exchanges that wait for a thread with a database connection */
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct exchange *first, **last;
	size_t queued;
	/* long polls that wait for a release */
	struct exchange *waiting;
	pthread_t threads[API_MAX_THREADS], follower;
	int n_threads;
	_Atomic bool stopping;
};

/* A route's handler. pg is NULL for routes that live from memory. Answers the exchange, or returns without answering after
 * api_wait_for_release(). */
typedef void route_handler(struct api *a, struct pg *pg, struct exchange *x);

enum route_place { IN_MEMORY, WITH_DATABASE };

struct route {
	const char *method;
	const char *path;  /* "/v1/senders/{sender}/why": one variable segment at most */
	const char *roles; /* "viewer|analyst", "*" any token, "" public */
	enum route_place place;
	route_handler *run;
};
extern const struct route api_routes[];
extern const size_t api_routes_count;

/* What the dispatcher found out, kept with the exchange (x_kept). */
struct request {
	const struct route *route;
	char variable[200]; /* the {…} segment */
	struct token_who who;
	bool known;                 /* who is filled */
	int64_t after, deadline_us; /* of a long poll */
	bool waited;
};
static inline struct request *request_of(struct exchange *x)
{
	return x_kept(x);
}

/* Parks the exchange until the list is past `after` or the deadline; then its handler runs again with request.waited set. */
void api_wait_for_release(struct api *a, struct exchange *x, int64_t after, int64_t wait_ms);

/* ---- tokens.c: a short memory of tokens, so that a lookup costs no query; a revoked one lives on for at most 5 s ---- */
struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);
/* RC_OK: *out; RC_DENIED: known to be bad; RC_NONE: ask the database. */
MUST_USE enum rc tokens_get(
	struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us, struct token_who *out);
void tokens_put(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us,
	const struct token_who *who, bool good);

/* ---- handlers ---- */
void handle_lookup(struct api *a, struct pg *pg, struct exchange *x);
void handle_lookup_many(struct api *a, struct pg *pg, struct exchange *x);
void handle_snapshot(struct api *a, struct pg *pg, struct exchange *x);
void handle_changes(struct api *a, struct pg *pg, struct exchange *x);
void handle_exempt(struct api *a, struct pg *pg, struct exchange *x);
void handle_sender(struct api *a, struct pg *pg, struct exchange *x);
void handle_why(struct api *a, struct pg *pg, struct exchange *x);
void handle_report(struct api *a, struct pg *pg, struct exchange *x);
void handle_stats(struct api *a, struct pg *pg, struct exchange *x);
void handle_me(struct api *a, struct pg *pg, struct exchange *x);
void handle_page(struct api *a, struct pg *pg, struct exchange *x);
void handle_health(struct api *a, struct pg *pg, struct exchange *x);
void handle_ready(struct api *a, struct pg *pg, struct exchange *x);
void handle_metrics(struct api *a, struct pg *pg, struct exchange *x);

/* ---- helpers of handlers ---- */
/* The service parameter: false and answered with 400 when it is wrong. *service -1: not given. */
bool arg_service(struct exchange *x, int *service);
/* Any written form, and the bare digits of a stored foreign number. */
enum sender_found parse_sender(const struct api *a, struct slice raw, struct sender *out);
bool arg_int(
	struct exchange *x, const char *name, int64_t min, int64_t max, int64_t def, int64_t *out);
/* The failure of a read as an HTTP answer: 404, 410, 503 … */
void answer_failure(struct exchange *x, enum rc rc, const struct err *e);
