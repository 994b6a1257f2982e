/* The running API: routes a request, checks its token, answers from memory at once or hands it to a thread with a database connection; one thread follows
 * the list and wakes long polls. */
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

static struct metric *requests;

static int64_t mono(const struct api *a)
{
	return a->s.clk->mono_us(a->s.clk);
}

/* ---- routing ---- */

/* Compares path with a pattern of at most one {variable} segment. */
static bool path_matches(const char *pattern, struct slice path, char variable[200])
{
	const char *p = path.ptr, *end = path.ptr + path.len;

	variable[0] = '\0';
	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '{') {
			if (p == end || *p++ != *pattern)
				return false;
			continue;
		}
		const char *from = p;
		bool last = strchr(pattern, '/') ==
			NULL; /* the last segment may hold slashes (report ids) */
		while (p < end && (last || *p != '/'))
			p++;
		if (p == from || p - from >= 200)
			return false;
		memcpy(variable, from, (size_t)(p - from));
		variable[p - from] = '\0';
		pattern = strchr(pattern, '}');
	}
	return p == end;
}

/* NULL: answered with 404 or 405. HEAD is GET. */
static const struct route *find_route(struct exchange *x, char variable[200])
{
	struct slice method = x_method(x);
	bool path_known = false;

	if (slice_eq(method, SLICE("HEAD")))
		method = SLICE("GET");
	for (size_t i = 0; i < api_routes_count; i++) {
		if (!path_matches(api_routes[i].path, x_path(x), variable))
			continue;
		path_known = true;
		if (slice_eq(slice_str(api_routes[i].method), method))
			return &api_routes[i];
	}
	if (path_known)
		http_problem(x, 405, "Method Not Allowed", "%.*s is not possible here",
			(int)method.len, method.ptr);
	else
		http_problem(
			x, 404, "Not Found", "there is no %.*s", (int)x_path(x).len, x_path(x).ptr);
	return NULL;
}

/* ---- rights ---- */

static struct slice token_of(const struct exchange *x)
{
	struct slice bearer = x_header(x, "Authorization");

	if (bearer.len > 7 && slice_eq_nocase(slice_of(bearer.ptr, 7), SLICE("Bearer ")))
		return slice_trim(slice_of(bearer.ptr + 7, bearer.len - 7));
	return x_header(x, "X-Api-Key");
}

static bool role_allowed(const char *roles, const char *role)
{
	struct slice list = slice_str(roles);

	if (strcmp(roles, "*") == 0)
		return true;
	for (struct slice one; slice_cut(&list, '|', &one);)
		if (slice_eq(one, slice_str(role)))
			return true;
	return false;
}

static void unauthorized(struct exchange *x)
{
	x_set_header(x, "WWW-Authenticate", "Bearer");
	http_problem(x, 401, "Unauthorized",
		"a valid token is needed: Authorization: Bearer … or X-Api-Key");
}

/* True: go on. False: answered. */
static bool permitted(struct exchange *x, const struct request *r)
{
	if (r->who.loopback && !x_loopback(x)) {
		http_problem(x, 403, "Forbidden", "this token works on loopback only");
		return false;
	}
	if (!role_allowed(r->route->roles, r->who.role)) {
		http_problem(x, 403, "Forbidden", "the role %s may not do this", r->who.role);
		return false;
	}
	return true;
}

/* ---- the queue of database work ---- */

static void enqueue(struct api *a, struct exchange *x)
{
	pthread_mutex_lock(&a->lock);
	*x_next(x) = NULL;
	*a->last = x;
	a->last = x_next(x);
	a->queued++;
	pthread_cond_signal(&a->work);
	pthread_mutex_unlock(&a->lock);
}

static enum dispatched dispatch(void *arg, struct exchange *x)
{
	struct api *a = arg;
	struct request *r = calloc(1, sizeof(*r));
	uint8_t mac[SHA256_LEN];

	if (r == NULL) {
		http_problem(x, 503, "Service Unavailable", "out of memory");
		return ANSWERED;
	}
	x_keep(x, r);
	r->route = find_route(x, r->variable);
	if (r->route == NULL)
		return ANSWERED;
	metric_add(metric_at(requests, r->route->path, NULL, NULL), 1);
	bool ask_database = false;
	if (r->route->roles[0] != '\0') {
		struct slice token = token_of(x);
		if (token.ptr == NULL || token.len == 0) {
			unauthorized(x);
			return ANSWERED;
		}
		keys_token_mac(a->s.keys, token, mac);
		enum rc rc = tokens_get(a->tokens, mac, mono(a), &r->who);
		r->known = rc == RC_OK;
		ask_database = rc == RC_NONE;
		if (rc == RC_DENIED) {
			unauthorized(x);
			return ANSWERED;
		}
		if (r->known && !permitted(x, r))
			return ANSWERED;
	}
	if (!ask_database && r->route->place == IN_MEMORY) {
		r->route->run(a, NULL, x);
		return ANSWERED;
	}
	if (a->stopping || a->queued >= (size_t)conf_int(a->s.conf, "api.queue")) {
		x_set_header(x, "Retry-After", "1");
		http_problem(
			x, 503, "Service Unavailable", "too many requests wait for the database");
		return ANSWERED;
	}
	enqueue(a, x);
	return LATER;
}

/* Checks the token in the database where the short memory did not know it. False: answered. */
static bool identify(struct api *a, struct pg *pg, struct exchange *x)
{
	struct request *r = request_of(x);
	struct err e = {0};
	uint8_t mac[SHA256_LEN];

	if (r->route->roles[0] == '\0' || r->known)
		return true;
	keys_token_mac(a->s.keys, token_of(x), mac);
	enum rc rc =
		token_check(pg, a->s.keys, token_of(x), a->s.clk->now_us(a->s.clk), &r->who, &e);
	if (rc != RC_OK && rc != RC_DENIED && rc != RC_NONE) {
		answer_failure(x, rc, &e);
		return false;
	}
	r->known = rc == RC_OK;
	tokens_put(a->tokens, mac, mono(a), &r->who, r->known);
	if (!r->known) {
		unauthorized(x);
		return false;
	}
	return permitted(x, r);
}

static struct exchange *take_work(struct api *a)
{
	pthread_mutex_lock(&a->lock);
	while (a->first == NULL && !a->stopping)
		pthread_cond_wait(&a->work, &a->lock);
	struct exchange *x = a->first;
	if (x != NULL) {
		a->first = *x_next(x);
		if (a->first == NULL)
			a->last = &a->first;
		a->queued--;
	}
	pthread_mutex_unlock(&a->lock);
	return x;
}

static void *serve(void *arg)
{
	struct api *a = arg;
	struct pg_options o = {.dsn = conf_text(a->s.conf, "database.dsn"), .name = "khien-api"};
	struct pg *pg = NULL;

	for (struct exchange *x; (x = take_work(a)) != NULL;) {
		struct err e = {0};
		enum rc rc = RC_OK;
		if (pg != NULL && pg_broken(pg))
			pg_close(TAKE(pg));
		if (pg == NULL)
			rc = pg_open(&o, &pg, &e);
		if (rc != RC_OK)
			answer_failure(x, rc, &e);
		else if (identify(a, pg, x))
			request_of(x)->route->run(a, pg, x);
	}
	pg_close(pg);
	return NULL;
}

/* ---- following the list ---- */

void api_wait_for_release(struct api *a, struct exchange *x, int64_t after, int64_t wait_for_ms)
{
	struct request *r = request_of(x);

	r->after = after;
	r->deadline_us = mono(a) + wait_for_ms * 1000;
	r->waited = true;
	pthread_mutex_lock(&a->lock);
	*x_next(x) = a->waiting;
	a->waiting = x;
	pthread_mutex_unlock(&a->lock);
}

/* Moves the long polls that are due, or whose release has come, to the database threads. */
static void wake_due(struct api *a, int64_t release, int64_t now_us)
{
	struct exchange *due = NULL, *next;

	pthread_mutex_lock(&a->lock);
	for (struct exchange **at = &a->waiting; *at != NULL;) {
		struct exchange *x = *at;
		struct request *r = request_of(x);
		if (release <= r->after && now_us < r->deadline_us && !a->stopping) {
			at = x_next(x);
			continue;
		}
		*at = *x_next(x);
		*x_next(x) = due;
		due = x;
	}
	pthread_mutex_unlock(&a->lock);
	for (; due != NULL; due = next) {
		next = *x_next(due);
		enqueue(a, due);
	}
}

static void *follow(void *arg)
{
	struct api *a = arg;
	struct pg_options o = {.dsn = conf_text(a->s.conf, "database.dsn"), .name = "khien-mirror"};
	struct pg *pg = NULL;
	unsigned failures = 0;

	while (!a->stopping) {
		struct list_mark mark = {0};
		int64_t synced;
		struct err e = {0};
		enum rc rc = RC_OK;
		if (pg != NULL && pg_broken(pg))
			pg_close(TAKE(pg));
		if (pg == NULL)
			rc = pg_open(&o, &pg, &e);
		if (rc == RC_OK)
			rc = mirror_follow(a->mirror, pg, mono(a), &e);
		bool have = mirror_mark(a->mirror, &mark, &synced);
		wake_due(a, have ? mark.release : -1, mono(a));
		if (rc == RC_OK || rc == RC_NONE) {
			failures = 0;
			wait_ms(rc == RC_OK ? 1 : 15, NULL);
			continue;
		}
		if (failures == 0)
			log_warn("api", "the list cannot be followed: %s", e.text);
		wait_ms(backoff_ms(failures++, 50, 1000), a->s.stop);
	}
	pg_close(pg);
	return NULL;
}

/* ---- start and stop ---- */

static void api_free(struct api *a)
{
	mirror_free(a->mirror);
	tokens_free(a->tokens);
	free(a);
}

static enum rc parse_listen(const char *text, char host[128], int *port, struct err *e)
{
	const char *colon = strrchr(text, ':');
	uint64_t n;

	if (colon == NULL || (size_t)(colon - text) >= 128 ||
		slice_u64(slice_str(colon + 1), &n) != RC_OK || n > 65535)
		return err_set(e, RC_INVALID, "api.listen: '%s' is not HOST:PORT", text);
	snprintf(host, 128, "%.*s", (int)(colon - text), text);
	*port = (int)n;
	return RC_OK;
}

enum rc api_start(const struct api_settings *s, struct api **out, struct err *e)
{
	struct api *a = calloc(1, sizeof(*a));
	char host[128] = "";
	int port = 0;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	requests = metric_family(
		METRIC_COUNTER, "khien_http_requests_total", "route", "Requests by route.");
	a->s = *s;
	a->last = &a->first;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->work, NULL);
	a->tokens = tokens_new();
	enum rc rc = a->tokens != NULL ? mirror_new(&a->mirror, e)
				       : err_set(e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = parse_listen(conf_text(s->conf, "api.listen"), host, &port, e);
	if (rc != RC_OK) {
		api_free(a);
		return rc;
	}
	for (; a->n_threads < conf_int(s->conf, "api.database_threads") &&
		a->n_threads < API_MAX_THREADS;
		a->n_threads++)
		if (pthread_create(&a->threads[a->n_threads], NULL, serve, a) != 0)
			return err_set(e, RC_FATAL, "no thread");
	if (pthread_create(&a->follower, NULL, follow, a) != 0)
		return err_set(e, RC_FATAL, "no thread");
	struct http_options o = {
		.host = host,
		.port = port,
		.threads = (int)conf_int(s->conf, "api.threads"),
		.max_connections = (int)conf_int(s->conf, "api.max_connections"),
		.idle_s = (int)conf_int(s->conf, "api.idle"),
		.body_cap = BOUND_HTTP_BODY,
		.dispatch = dispatch,
		.arg = a,
	};
	rc = http_start(&o, &a->http, e);
	if (rc != RC_OK) {
		api_stop(a);
		return rc;
	}
	*out = a;
	return RC_OK;
}

int api_port(const struct api *a)
{
	return http_port(a->http);
}

void api_stop(struct api *a)
{
	if (a == NULL)
		return;
	a->stopping = true;
	pthread_join(a->follower, NULL);
	wake_due(a, 0, INT64_MAX);
	pthread_mutex_lock(&a->lock);
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (int i = 0; i < a->n_threads; i++)
		pthread_join(a->threads[i], NULL);
	http_stop(a->http);
	api_free(a);
}
