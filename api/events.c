/* One stream for a page that shows much: it says only that something was done since, by the number of the newest audit row, and the page reads again
 * what it shows. Readings are no news. Leaves out what was done: that has rights of its own. */
#include <stdio.h>

#include "api/private.h"

#define LOOK_MS 1000

/* The reader's step: rows that are new are looked at once, for everybody. One that commits behind a newer one is told with the next. */
enum rc events_look(struct api *a, struct pg *pg, struct err *e)
{
	static const char sql[] = "SELECT coalesce(max(id), $1), coalesce(max(id) FILTER (WHERE "
				  "what NOT LIKE 'read.%'), 0)"
				  " FROM audit WHERE id > $1";
	static const char first_sql[] = "SELECT coalesce(max(id), 0) FROM audit";
	OWN(arena_free) struct arena *arena = arena_new(256);
	OWN(pg_free) struct pg_result *r = NULL;

	if (arena == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_int(a->audit_seen, arena)};
	bool first = a->event == 0;
	enum rc rc = first ? pg_run(pg, first_sql, NULL, 0, &r, e) : pg_run(pg, sql, p, 1, &r, e);
	if (rc != RC_OK)
		return rc;
	a->audit_seen = pg_int(r, 0, 0);
	int64_t news = first ? a->audit_seen + 1 : pg_int(r, 0, 1);
	if (news > a->event)
		a->event = news;
	return RC_OK;
}

static struct shared *event_text(int64_t event, bool news, bool first)
{
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	if (first)
		buf_add(&b, SLICE("retry: 3000\n"));
	buf_fmt(&b, "event: %s\ndata: {\"at\":%lld}\n\n", news ? "change" : "heartbeat",
		(long long)event);
	return shared_new(&b);
}

/* given: the last event that was told. */
static void tell(struct api *a, struct exchange *x, bool first)
{
	struct request *r = request_of(x);
	int64_t event = a->event;
	OWN(shared_free) struct shared *text = event_text(event, !first && event > r->given, first);

	if (text == NULL) {
		if (first)
			http_problem(x, 503, "Service Unavailable", "out of memory");
		else
			http_break(x);
		return;
	}
	r->given = event;
	r->told_us = api_mono(a);
	if (!first) {
		http_push(x, text);
		return;
	}
	x_set_header(x, "Cache-Control", "no-store");
	x_set_header(x, "X-Accel-Buffering", "no");
	metric_add(a->m.streams, 1);
	http_answer_stream(x, "text/event-stream", text);
}

void handle_events(struct api *a, struct pg *pg, struct exchange *x)
{
	struct request *r = request_of(x);

	(void)pg;
	r->memory_is_enough = true;
	if (!x_streams(x)) {
		tell(a, x, true);
	} else if (api_stopping(a) || x_gone(x) || !token_still_good(a, r)) {
		http_break(x);
	} else if (a->event > r->given || api_mono(a) - r->told_us >= a->heartbeat_ms * 1000) {
		tell(a, x, false);
	} else if (!events_wait(a, x)) {
		http_break(x);
	}
}

bool events_wait(struct api *a, struct exchange *x)
{
	return api_wait_for_release(a, x, INT64_MAX, LOOK_MS);
}
