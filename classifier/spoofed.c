/* Does somebody else use this sender's number or name? Looks for a time at which enough reporters' contacts did not exist in the network's
 * records, or came over a foreign trunk, while hardly any did exist: docs/judgement.md section 6. A pure function of the set of votes. Leaves out
 * the case that follows. */
#include <stdlib.h>

#include "classifier/votes.h"

struct event {
	int64_t at;
	uint32_t who; /* number of the reporter in this walk */
	bool yes;
};

struct inside {
	uint32_t forged, yes; /* events of a reporter in the window */
};

static int by_reporter(const void *a, const void *b)
{
	const struct vote *x = *(const struct vote *const *)a, *y = *(const struct vote *const *)b;

	return x->reporter < y->reporter ? -1 : x->reporter > y->reporter;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Events by time; *forged counts the reporters with a forged contact. */
static size_t events_of(const struct vote **votes, size_t n, int64_t floor, struct event *out,
	size_t *reporters, int *forged)
{
	size_t events = 0, counted = SIZE_MAX;
	uint32_t who = 0;

	qsort(votes, n, sizeof(const struct vote *), by_reporter);
	for (size_t i = 0; i < n; i++) {
		int64_t at = votes[i]->spoof_at, yes_at = votes[i]->yes_at;

		who += i > 0 && votes[i]->reporter != votes[i - 1]->reporter;
		if (at != TIME_NONE && at > floor) {
			out[events++] = (struct event){at, who, false};
			*forged += counted != who;
			counted = who;
		}
		if (yes_at != TIME_NONE && yes_at > floor)
			out[events++] = (struct event){yes_at, who, true};
	}
	qsort(out, events, sizeof(*out), by_time);
	*reporters = (size_t)who + 1;
	return events;
}

/* The window moves over one event, in at its front or out at its end. */
static void move(struct inside *who, const struct event *e, bool in, int *forged, int *yes)
{
	uint32_t *n = e->yes ? &who[e->who].yes : &who[e->who].forged;
	int *reporters = e->yes ? yes : forged;

	if (in)
		*reporters += (*n)++ == 0;
	else
		*reporters -= --*n == 0;
}

static int64_t first_forged(const struct event *e, size_t from, size_t to)
{
	while (from < to && e[from].yes)
		from++;
	return e[from].at;
}

static void walk(const struct event *e, size_t n, struct inside *who, int reporters,
	int fewer_yes_than, int64_t window_us, struct spoofed *out)
{
	int forged = 0, yes = 0;

	for (size_t first = 0, next = 0; next < n;) {
		int64_t t = e[next].at;

		while (next < n && e[next].at == t)
			move(who, &e[next++], true, &forged, &yes);
		while (e[first].at <= t - window_us)
			move(who, &e[first++], false, &forged, &yes);
		if (forged < reporters || yes >= fewer_yes_than)
			continue;
		if (!out->is)
			out->first_at = first_forged(e, first, next);
		out->is = true;
		out->at = t;
	}
}

enum rc spoofed_look(const struct policy *p, const struct vote *votes, size_t n, int64_t floor,
	struct arena *scratch, struct spoofed *out)
{
	size_t some = 0, reporters = 0;

	*out = (struct spoofed){.first_at = TIME_NONE, .at = TIME_NONE};
	for (size_t i = 0; i < n; i++)
		some += votes[i].spoof_at != TIME_NONE;
	out->any = some > 0;
	if (some < (size_t)p->spoofed_reporters)
		return RC_OK;
	const struct vote **newest = arena_array(
		scratch, n < BOUND_VOTES_PER_SENDER ? n : BOUND_VOTES_PER_SENDER, sizeof(*newest));
	if (newest == NULL)
		return RC_LIMIT;
	n = votes_newest(votes, n, newest);
	struct event *events = arena_array(scratch, 2 * n, sizeof(*events));
	struct inside *who = arena_array(scratch, n, sizeof(*who));
	if (events == NULL || who == NULL)
		return RC_LIMIT;
	size_t n_events = events_of(newest, n, floor, events, &reporters, &out->reporters);
	walk(events, n_events, who, p->spoofed_reporters, p->spoofed_fewer_yes,
		p->window_s * US_PER_S, out);
	return RC_OK;
}
