/* The changes as server-sent events: each event is the same object as an answer of /v1/feed/changes, its id is where to go on from. A follower that
 * is idle is parked like a long poll and holds nothing; one that is slow holds one text that all share, and is cut off when it takes too
 * long for it. Whoever is cut off sees a body without an end, and goes on with Last-Event-ID. */
#include <stdio.h>

#include "api/private.h"

#define RETRY "retry: 3000\n\n"

static bool position(struct exchange *x, struct request *r, struct slice list, struct slice after)
{
	if (list.len == 0 || list.len >= sizeof(r->list) || slice_i64(after, &r->after) != RC_OK ||
		r->after < 0) {
		http_problem(x, 400, "Bad Request",
			"Last-Event-ID as it was sent, or list and after, are needed: the uuid of "
			"the list that you follow and the release that you have; take both from "
			"/v1/feed/snapshot");
		return false;
	}
	snprintf(r->list, sizeof(r->list), "%.*s", (int)list.len, list.ptr);
	return true;
}

/* Last-Event-ID is a client's newest word; the query is what it began with. */
static bool stream_args(struct exchange *x, struct request *r)
{
	struct slice list, after, id = slice_trim(x_header(x, "Last-Event-ID"));

	if (!arg_service(x, &r->service) || !arg_text(x, "list", &list) ||
		!arg_text(x, "after", &after) || !arg_consumer(x, r->consumer))
		return false;
	if (id.len > 0) {
		after = id;
		if (!slice_cut(&after, ':', &list))
			list = SLICE("");
	}
	return position(x, r, list, after);
}

static struct shared *text_of(struct buf *b)
{
	return b->failed ? NULL : shared_new(b);
}

/* {"list","release","age_s"}: that the stream lives, and how current this instance is. */
static void heartbeat(const struct api *a, struct buf *b)
{
	struct list_mark mark = {0};
	int64_t synced = 0;

	if (!mirror_mark(a->mirror, &mark, &synced))
		return;
	int64_t age_us = api_mono(a) - synced;
	buf_fmt(b, "event: heartbeat\ndata: {\"list\":\"%s\",\"release\":%lld,\"age_s\":%lld}\n\n",
		mark.list, (long long)mark.release,
		(long long)(age_us > 0 ? age_us / US_PER_S : 0));
}

void changes_key(char out[96], const char *list, int64_t after, int service)
{
	snprintf(out, 96, "%s/%lld/%d", list, (long long)after, service);
}

int64_t changes_to(struct slice changes)
{
	const char *at = strstr(changes.ptr, "\"to\":");
	long long to = 0;

	return at != NULL && sscanf(at, "\"to\":%lld", &to) == 1 ? to : 0;
}

static void event_key(char out[96], const char *list, int64_t after, int service)
{
	snprintf(out, 96, "event/%s/%lld/%d", list, (long long)after, service);
}

/* Where the event leads: its id, which stands first. */
static int64_t event_to(const struct shared *text)
{
	long long to = -1;

	return sscanf(shared_text(text).ptr, "id: %*36[^:]:%lld", &to) == 1 ? to : -1;
}

/* "id: LIST:TO", the changes, an empty line. */
static void event_out(struct buf *b, const char *list, struct slice changes)
{
	buf_fmt(b, "id: %s:%lld\nevent: release\ndata: ", list, (long long)changes_to(changes));
	buf_add(b, changes);
	buf_add(b, SLICE("\n\n"));
}

/* Of a text that was made before: an empty one stands for changes that are too large. */
static enum rc event_or_none(struct shared **text)
{
	if (shared_text(*text).len > 0)
		return RC_OK;
	shared_free(*text);
	*text = NULL;
	return RC_CONFLICT;
}

/* RC_CONFLICT: it cannot be followed from there; mark tells where to start. */
static enum rc event_make(struct api *a, struct pg *pg, const char *list, int64_t after,
	int service, int64_t state, struct shared **out, struct list_mark *mark, struct err *e)
{
	BUF_OWN struct buf changes;
	BUF_OWN struct buf b;
	struct list_mark now;
	char key[96];

	buf_init(&changes, BOUND_CHANGES_BYTES);
	buf_init(&b, BOUND_CHANGES_BYTES + 4096);
	event_key(key, list, after, service);
	if (state < 0 && mirror_fresh(a, &now) && strcmp(now.list, list) == 0 &&
		now.release > after && (*out = answers_get(a->answers, key, now.release)) != NULL) {
		*mark = now;
		return event_or_none(out);
	}
	enum rc rc = feed_changes(pg, list, after, service, &changes, mark, e);
	if (rc == RC_LIMIT)
		return changes_too_large(a, key, state >= 0 ? state : mark->release);
	if (rc != RC_OK)
		return rc == RC_CONFLICT && e->state[0] == '\0' ? RC_CONFLICT
			: rc == RC_CONFLICT                     ? RC_RETRY
								: rc;
	event_out(&b, list, buf_slice(&changes));
	if (state >= 0) { /* long polls wait for the same */
		buf_byte(&changes, '\n');
		OWN(shared_free) struct shared *plain = text_of(&changes);
		changes_key(key, list, after, service);
		if (plain != NULL)
			answers_put(a->answers, key, state, plain);
	}
	*out = text_of(&b);
	if (*out == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	event_key(key, list, after, service);
	answers_put(a->answers, key, state >= 0 ? state : mark->release, *out);
	return RC_OK;
}

void stream_prepare(
	struct api *a, struct pg *pg, const struct list_mark *was, const struct list_mark *now)
{
	bool wanted[1 + SERVICES];
	struct err e;

	work_waits_at(a, was->release, wanted);
	for (int service = -1; service < SERVICES; service++) {
		OWN(shared_free) struct shared *text = NULL;
		struct list_mark mark;

		if (!wanted[1 + service])
			continue;
		enum rc rc = event_make(
			a, pg, was->list, was->release, service, now->release, &text, &mark, &e);
		if (rc != RC_OK && rc != RC_CONFLICT)
			return; /* whoever waits for it asks for itself */
	}
}

/* ---- beginning ---- */

static void begin(struct api *a, struct pg *pg, struct exchange *x)
{
	struct request *r = request_of(x);
	OWN(shared_free) struct shared *event = NULL;
	OWN(shared_free) struct shared *first = NULL;
	struct list_mark mark = {0};
	struct err e = {0};
	BUF_OWN struct buf b;

	buf_init(&b, BOUND_CHANGES_BYTES + 8192);
	if (!stream_args(x, r))
		return;
	enum rc rc = event_make(a, pg, r->list, r->after, r->service, -1, &event, &mark, &e);
	if (rc == RC_CONFLICT) {
		answer_gone(x, r->after, &mark);
		return;
	}
	buf_add(&b, SLICE(RETRY));
	if (rc == RC_OK && mark.release > r->after) {
		buf_add(&b, shared_text(event));
		r->after = event_to(event);
	} else {
		heartbeat(a, &b);
	}
	if (rc == RC_OK && (first = text_of(&b)) == NULL)
		rc = err_set(&e, RC_RETRY, "out of memory");
	if (rc != RC_OK) {
		answer_failure(x, rc == RC_NONE ? RC_RETRY : rc, &e);
		return;
	}
	r->memory_is_enough = true;
	x_set_header(x, "Cache-Control", "no-store");
	x_set_header(x, "X-Accel-Buffering", "no");
	metric_add(a->m.streams, 1);
	http_answer_stream(x, "text/event-stream", first);
}

/* ---- going on ---- */

static void say_gone(struct exchange *x, const struct list_mark *mark)
{
	struct request *r = request_of(x);
	OWN(shared_free) struct shared *text = NULL;
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	buf_fmt(&b,
		"event: gone\ndata: "
		"{\"list\":\"%s\",\"release\":%lld,\"start\":\"/v1/feed/snapshot\"}\n\n",
		mark->list, (long long)mark->release);
	text = text_of(&b);
	r->gone = true;
	if (text != NULL)
		http_push(x, text);
	else
		http_break(x);
}

/* NULL: it has to be made, which needs a database; *rc of a failure, RC_CONFLICT also without one. */
static struct shared *next_event(
	struct api *a, struct pg *pg, struct exchange *x, const struct list_mark *mark, enum rc *rc)
{
	struct request *r = request_of(x);
	struct list_mark head = {0};
	struct shared *text;
	struct err e = {0};
	char key[96];

	event_key(key, r->list, r->after, r->service);
	text = answers_get(a->answers, key, mark->release);
	*rc = RC_OK;
	if (text != NULL)
		*rc = event_or_none(&text);
	else if (pg != NULL)
		*rc = event_make(a, pg, r->list, r->after, r->service, -1, &text, &head, &e);
	return text;
}

static void push_heartbeat(struct api *a, struct exchange *x)
{
	OWN(shared_free) struct shared *text = NULL;
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	heartbeat(a, &b);
	text = text_of(&b);
	if (text != NULL)
		http_push(x, text);
	else
		http_break(x);
}

static void go_on(struct api *a, struct pg *pg, struct exchange *x)
{
	struct request *r = request_of(x);
	struct list_mark mark = {0};
	int64_t synced;
	enum rc rc;

	if (api_stopping(a) || x_gone(x) || !token_still_good(a, r) ||
		!mirror_mark(a->mirror, &mark, &synced)) {
		http_break(x);
		return;
	}
	if (strcmp(mark.list, r->list) != 0) {
		say_gone(x, &mark);
		return;
	}
	if (mark.release <=
		r->after) { /* less: what it has came from the ledger, or a faster instance */
		push_heartbeat(a, x);
		return;
	}
	OWN(shared_free) struct shared *text = next_event(a, pg, x, &mark, &rc);
	if (text != NULL) {
		r->memory_is_enough = true;
		r->after = event_to(text);
		http_push(x, text);
	} else if (rc == RC_CONFLICT) {
		say_gone(x, &mark);
	} else if (pg == NULL) {
		r->memory_is_enough = false;
		if (!work_again(a, x))
			http_break(x);
	} else {
		http_break(x); /* it comes back when we can answer */
	}
}

void handle_stream(struct api *a, struct pg *pg, struct exchange *x)
{
	if (x_streams(x))
		go_on(a, pg, x);
	else
		begin(a, pg, x);
}

bool stream_idle(void *arg, struct exchange *x)
{
	struct api *a = arg;
	const struct request *r = request_of(x);

	if (r->route->run == handle_events)
		return events_wait(a, x);
	notes_fetched(a, x, r->list, r->after);
	return !r->gone && api_wait_for_release(a, x, r->after, a->heartbeat_ms);
}
