/* The running API: routes a request, checks its token, answers from memory at once or hands it to a thread with a database connection (work.c);
 * one thread follows the list and wakes long polls, one does the chores (chores.c). Every failed request is one line in the log, without
 * the path, which may name a number. */
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

#define STOP_WAIT_MS 5000
#define LOG_LINES_PER_S 50
#define FOLLOW_MS \
	200 /* a release is told of at once; this is for what was missed, and for deadlines */

/* ---- a request's way ---- */

/* False: answered. */
static bool admit(void *arg, struct exchange *x)
{
	struct api *a = arg;
	struct request *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		http_problem(x, 503, "Service Unavailable", "out of memory");
		return false;
	}
	x_keep(x, r);
	r->started_us = api_mono(a);
	r->route = route_find(x, r->variable);
	if (r->route != NULL && a->s.machines_only &&
		(r->route->place != IN_MEMORY || r->route->roles[0] != '\0')) {
		http_problem(x, 404, "Not Found", "this process does not have the role api");
		return false;
	}
	return r->route != NULL && recognise(a, x, r);
}

static enum dispatched dispatch(void *arg, struct exchange *x)
{
	struct api *a = arg;

	if (request_of(x) == NULL && !admit(a, x))
		return ANSWERED;
	const struct request *r = request_of(x);
	if (r->known && r->route->place == IN_MEMORY) {
		r->route->run(a, NULL, x);
		return ANSWERED;
	}
	return work_queue(a, x) ? LATER : ANSWERED;
}

/* At most so many lines in a second; what was left out is counted in the next one. */
static bool may_log(int64_t mono_us, long *left_out)
{
	static _Atomic int64_t second;
	static _Atomic long lines;
	int64_t now = mono_us / US_PER_S;

	*left_out = 0;
	if (atomic_exchange(&second, now) != now) {
		long was = atomic_exchange(&lines, 1);
		*left_out = was > LOG_LINES_PER_S ? was - LOG_LINES_PER_S : 0;
		return true;
	}
	return atomic_fetch_add(&lines, 1) < LOG_LINES_PER_S;
}

/* A cause may hold what was asked for: every longer run of digits is hidden. */
static const char *without_numbers(char *text)
{
	size_t run = 0;

	for (char *p = text;; p++) {
		if (*p >= '0' && *p <= '9') {
			run++;
			continue;
		}
		if (run >= 7)
			memset(p - run + 4, '*', run - 4);
		run = 0;
		if (*p == '\0')
			return text;
	}
}

static void done(void *arg, struct exchange *x, int status)
{
	const struct api *a = arg;
	struct request *r = request_of(x);
	const char *route = r != NULL && r->route != NULL ? r->route->path : "-";
	int64_t mono_us = api_mono(a);
	const char code[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
		(char)('0' + status % 10), '\0'};
	long left_out;

	metric_add(metric_at(a->m.requests, route, code, NULL), 1);
	if (r != NULL && r->route != NULL && !r->waited)
		metric_observe(metric_at(a->m.seconds, route, NULL, NULL),
			(double)(mono_us - r->started_us) / (double)US_PER_S);
	if (status < 400 || strcmp(route, "/readyz") == 0 || !may_log(mono_us, &left_out))
		return; /* who is not ready says so once, by itself */
	struct slice method = x_method(x);
	log_at(status >= 500 ? LOG_WARN : LOG_INFO, "api",
		"request=%s method=%.*s route=%s status=%d token=%s%s%s%s left_out=%ld",
		x_request_id(x), (int)(method.len < 16 ? method.len : 16), method.ptr, route,
		status, r != NULL && r->known && r->who.name[0] != '\0' ? r->who.name : "-",
		r != NULL && r->cause[0] != '\0' ? " cause=\"" : "",
		r != NULL ? without_numbers(r->cause) : "",
		r != NULL && r->cause[0] != '\0' ? "\"" : "", left_out);
}

static void ended(void *arg, struct exchange *x, bool whole)
{
	struct api *a = arg;
	const struct request *r = request_of(x);

	if (x_streams(x))
		metric_add(a->m.streams, -1);
	else if (whole && r != NULL && r->pulls)
		decisions_pulled(a, x);
	else if (whole && r != NULL && r->given > 0)
		notes_fetched(a, x, r->list, r->given);
}

/* ---- following the list ---- */

static void wake(struct api *a, struct pg *pg, struct list_mark *last)
{
	struct list_mark mark = {0};
	int64_t synced;

	if (!mirror_mark(a->mirror, &mark, &synced))
		mark.release = -1;
	if (pg != NULL && mark.release > last->release && strcmp(mark.list, last->list) == 0)
		stream_prepare(a, pg, last, &mark);
	work_wake(a, mark.release, strcmp(mark.list, last->list) != 0, api_mono(a));
	*last = mark;
}

/* A connection that is told of releases. */
static enum rc listen(struct api *a, struct pg **pg, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(a->s.conf, "database.dsn"), .name = "khien-mirror"};
	enum rc rc = pg_open(&o, pg, e);

	return rc == RC_OK ? pg_script(*pg, "LISTEN khien_release", e) : rc;
}

static void *follow(void *arg)
{
	struct api *a = arg;
	struct list_mark last = {0};
	struct pg *pg = NULL;
	unsigned failures = 0;
	bool rung;

	while (!api_stopping(a)) {
		struct err e = {0};
		enum rc rc = RC_OK;
		if (pg != NULL && pg_broken(pg))
			pg_close(TAKE(pg));
		if (pg == NULL)
			rc = listen(a, &pg, &e);
		if (rc == RC_OK)
			rc = mirror_follow(a->mirror, pg, api_mono(a), &e);
		wake(a, rc == RC_OK ? pg : NULL, &last);
		if (rc == RC_NONE)
			rc = pg_notified(pg, FOLLOW_MS, &rung, &e);
		if (rc == RC_OK) {
			failures = 0;
			continue;
		}
		if (failures == 0)
			log_warn("api", "the list cannot be followed: %s", e.text);
		wait_ms(backoff_ms(failures++, 50, 1000), &a->stopping);
	}
	pg_close(pg);
	return NULL;
}

/* ---- start and stop ---- */

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

static struct metric_cell *gauge(const char *name, const char *help)
{
	return metric_at(metric_family(METRIC_GAUGE, name, "", help), NULL, NULL, NULL);
}

static void register_metrics(struct api *a)
{
	a->m.requests = metric_family(METRIC_COUNTER, "khien_http_requests_total", "route,code",
		"Requests by route and status.");
	a->m.seconds = metric_family(METRIC_HISTOGRAM, "khien_http_seconds", "route",
		"Time to the answer, long polls apart.");
	a->m.lookups = metric_family(METRIC_COUNTER, "khien_lookups_total", "answer",
		"Senders looked up, by answer: blocked, clean, unknown, invalid.");
	a->m.shed = metric_family(METRIC_COUNTER, "khien_http_shed_total", "what",
		"Requests answered 503 because too many waited.");
	a->m.long_polls = gauge("khien_http_long_polls", "Requests that wait for a release.");
	a->m.consumer_age = metric_family(METRIC_GAUGE, "khien_consumer_age_seconds", "consumer",
		"Since a consumer of the list last proved what it holds; -1: never.");
	a->m.consumer_behind = metric_family(METRIC_GAUGE, "khien_consumer_behind_seconds",
		"consumer", "Since the first release that a consumer has not proved to hold.");
	a->m.consumer_state = metric_family(METRIC_GAUGE, "khien_consumer_state", "consumer,state",
		"1 for the state of a consumer: confirmed, fetched, unknown.");
	a->m.consumer_alarm = metric_family(METRIC_GAUGE, "khien_consumer_alarm", "consumer",
		"1 while a consumer is not confirmed, or for longer than feed.alarm.");
	a->m.usage = metric_at(metric_family(METRIC_COUNTER, "khien_usage_metrics_total", "",
				       "Reports of CrowdSec clients about themselves."),
		NULL, NULL, NULL);
	a->m.pulls_anew = metric_at(metric_family(METRIC_COUNTER, "khien_pulls_anew_total", "",
					    "CrowdSec clients that stood too far back and were "
					    "given the whole list: restart them."),
		NULL, NULL, NULL);
	a->m.streams = gauge("khien_http_streams", "Streams of changes that are open.");
	a->m.list_release = gauge(
		"khien_lookup_release", "Release of the list in memory; -1: none is loaded yet.");
	a->m.list_entries = gauge("khien_lookup_entries", "Entries of the list in memory.");
	a->m.list_bytes = gauge("khien_lookup_bytes", "Memory that the list takes.");
	a->m.list_age = gauge("khien_lookup_age_seconds",
		"Since the list in memory was last known to be current; -1: none is loaded yet.");
}

static enum rc api_new(const struct api_settings *s, struct api **out, struct err *e)
{
	struct api *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	*out = a;
	a->s = *s;
	for (size_t i = 0; i < LANES; i++) {
		a->lane[i].last = &a->lane[i].first;
		pthread_cond_init(&a->lane[i].work, NULL);
	}
	a->woke_at = -1;
	a->stale_max_s = conf_int(s->conf, "lookup.stale_max_s");
	register_metrics(a);
	pthread_mutex_init(&a->lock, NULL);
	a->tokens = tokens_new();
	a->snapshots = snapshots_new();
	a->answers = answers_new();
	a->notes = notes_new();
	const char *dir = conf_text(s->conf, "api.console");
	a->console = s->machines_only ? NULL : console_new(*dir != '\0' ? dir : s->console_dir);
	if (a->console == NULL && *dir != '\0' && !s->machines_only)
		return err_set(e, RC_INVALID, "api.console: %s holds no built console", dir);
	a->alarm_s = conf_int(s->conf, "feed.alarm");
	a->heartbeat_ms = conf_int(s->conf, "api.heartbeat") * 1000;
	a->contract = contract_new(e);
	if (a->contract == NULL)
		return RC_FATAL;
	if (a->notes == NULL || a->tokens == NULL || a->snapshots == NULL || a->answers == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	return mirror_new(&a->mirror, e);
}

static enum rc start_threads(struct api *a, struct err *e)
{
	if (a->s.machines_only)
		return work_start(a) ? RC_OK : err_set(e, RC_FATAL, "no threads");
	a->has_follower = pthread_create(&a->follower, NULL, follow, a) == 0;
	a->has_reader = pthread_create(&a->reader, NULL, chores_run, a) == 0;
	if (a->has_follower && a->has_reader && work_start(a))
		return RC_OK;
	return err_set(e, RC_FATAL, "the API's threads cannot be started");
}

enum rc api_start(const struct api_settings *s, struct api **out, struct err *e)
{
	struct api *a = NULL;
	char host[128] = "";
	int port = 0;
	enum rc rc = api_new(s, &a, e);

	if (rc == RC_OK)
		rc = parse_listen(conf_text(s->conf, "api.listen"), host, &port, e);
	if (rc == RC_OK)
		rc = start_threads(a, e);
	struct http_options o = {
		.host = host,
		.port = port,
		.threads = (int)conf_int(s->conf, "api.threads"),
		.max_connections = (int)conf_int(s->conf, "api.max_connections"),
		.idle_s = (int)conf_int(s->conf, "api.idle"),
		.body_cap = BOUND_HTTP_BODY,
		.bodies_cap = BOUND_HTTP_BODIES,
		.admit = admit,
		.dispatch = dispatch,
		.done = done,
		.ended = ended,
		.idle = stream_idle,
		.arg = a,
	};
	if (rc == RC_OK)
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
	__atomic_store_n(&a->stopping, 1, __ATOMIC_RELAXED);
	http_quiesce(a->http);
	if (a->has_follower)
		pthread_join(a->follower, NULL);
	if (a->has_reader)
		pthread_join(a->reader, NULL);
	work_stop(a);
	http_stop(a->http, STOP_WAIT_MS);
	answers_free(a->answers);
	notes_free(a->notes);
	console_free(a->console);
	contract_free(a->contract);
	snapshots_free(a->snapshots);
	tokens_free(a->tokens);
	mirror_free(a->mirror);
	for (size_t i = 0; i < LANES; i++)
		pthread_cond_destroy(&a->lane[i].work);
	pthread_mutex_destroy(&a->lock);
	free(a);
}
