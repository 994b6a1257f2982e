/* The ladder: walks the votes of one sender and service for one class in event-time order and says how high its case has been and
 * which episodes of enforcement that opened: docs/judgement.md section 5. A pure function of the set of votes. Leaves out what becomes
 * of an episode (mode, protection, caps): that is decided where it is admitted. */
#include <stdlib.h>

#include "classifier/votes.h"

/* Something a reporter did at a time: a counting vote, or a contact that was matched. */
struct event {
	int64_t at;
	uint32_t who; /* number of the reporter in this walk */
	bool yes;
};

#define NOBODY UINT32_MAX /* an event of no reporter: a signal becomes a leg */

/* How many of a reporter's events are inside the window. */
struct inside {
	uint32_t votes, yes;
};

struct window {
	const struct event *event; /* by time */
	const int64_t *leg_at;     /* when signals became legs */
	size_t legs;
	size_t events, first, next; /* inside: [first, next) */
	struct inside *who;
	int reporters, yes; /* distinct; yes: of those reporters */
};

static int64_t counting_time(const struct vote *v, enum report_class c)
{
	return c == CLASS_SCAM ? v->scam_at : v->verified_at;
}

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

static size_t events_of(const struct vote **votes, size_t n, enum report_class c, int64_t floor,
	const struct window *w, struct event *out, size_t *reporters)
{
	size_t events = 0;
	uint32_t who = 0;

	qsort(votes, n, sizeof(const struct vote *), by_reporter);
	for (size_t i = 0; i < n; i++) {
		int64_t tau = counting_time(votes[i], c), yes_at = votes[i]->yes_at;

		who += i > 0 && votes[i]->reporter != votes[i - 1]->reporter;
		if (tau == TIME_NONE || tau <= floor)
			continue;
		out[events++] = (struct event){tau, who, false};
		if (yes_at != TIME_NONE && yes_at > floor)
			out[events++] = (struct event){yes_at, who, true};
	}
	for (size_t i = 0; i < w->legs; i++)
		out[events++] = (struct event){w->leg_at[i], NOBODY, false};
	qsort(out, events, sizeof(*out), by_time);
	*reporters = (size_t)who + 1;
	return events;
}

static void move(struct window *w, const struct event *e, bool in)
{
	if (e->who == NOBODY)
		return;
	struct inside *i = &w->who[e->who];
	bool voted = i->votes > 0, sure = voted && i->yes > 0;
	uint32_t *n = e->yes ? &i->yes : &i->votes;

	*n = in ? *n + 1 : *n - 1;
	w->reporters += (i->votes > 0) - voted;
	w->yes += (i->votes > 0 && i->yes > 0) - sure;
}

/* Moves the window to the next event time; false when there is none. */
static bool window_step(struct window *w, int64_t length_us, int64_t *t)
{
	if (w->next == w->events)
		return false;
	*t = w->event[w->next].at;
	while (w->next < w->events && w->event[w->next].at == *t)
		move(w, &w->event[w->next++], true);
	while (w->event[w->first].at <= *t - length_us)
		move(w, &w->event[w->first++], false);
	return true;
}

/* How many episodes before still count at t, when the next one would begin: good time takes them away, one after the other. */
static int level_at(const struct walk *w, int64_t t, int64_t good_time_s)
{
	int64_t since, forgiven;

	if (w->episodes == 0)
		return 0;
	since = t - w->episode[w->episodes - 1].until;
	forgiven = good_time_s > 0 && since > 0 ? since / (good_time_s * US_PER_S) : 0;
	return forgiven > w->level ? 0 : w->level + 1 - (int)forgiven;
}

static void open_episode(
	struct walk *out, const struct ladder_rung *r, int64_t t, int reporters, int yes, int level)
{
	size_t before = (size_t)level;
	int64_t term_s = r->terms_s[before < r->terms ? before : r->terms - 1];

	out->level = level;
	if (out->episodes == BOUND_EPISODES) {
		memmove(out->episode, out->episode + 1,
			(BOUND_EPISODES - 1) * sizeof(*out->episode));
		out->episodes--;
		out->earlier++;
	}
	out->episode[out->episodes++] = (struct episode){
		.rung = r->rung,
		.decided_at = t,
		.until = t + term_s * US_PER_S,
		.reporters = reporters,
		.yes = yes,
		.by = r,
	};
	out->one_leg = false;
	out->one_leg_at = TIME_NONE;
}

/* A signal stands for one window from when it became a leg. */
static bool signal_stands(const struct window *w, int64_t length_us, int64_t t)
{
	for (size_t i = 0; i < w->legs; i++)
		if (w->leg_at[i] <= t && w->leg_at[i] > t - length_us)
			return true;
	return false;
}

static void step(
	const struct ladder *l, const struct window *w, bool leg, int64_t t, struct walk *out)
{
	bool missing = false;
	bool running = out->episodes > 0 && t < out->episode[out->episodes - 1].until;
	const struct ladder_rung *opens = NULL;
	int level = level_at(out, t, l->good_time_s);

	for (size_t i = 0; i < l->rungs; i++) {
		const struct ladder_rung *r = &l->rung[i];

		if (w->reporters < r->reporters || t < r->from_us ||
			(r->to_us != 0 && t >= r->to_us) ||
			(r->repeats > 0 && (running ? out->level : level) < r->repeats))
			continue;
		if (r->leg && !leg) {
			missing = missing || r->terms > 0;
			continue;
		}
		if (r->rung > out->peak || out->peak_at == TIME_NONE) {
			out->peak = r->rung;
			out->peak_at = t;
		}
		if (r->terms > 0)
			opens = r;
	}
	if (running)
		return;
	if (opens != NULL) {
		open_episode(out, opens, t, w->reporters, w->yes, level);
	} else if (missing && !out->one_leg) {
		out->one_leg = true;
		out->one_leg_at = t;
	}
}

enum rc ladder_walk(const struct ladder *l, enum report_class c, int64_t window_s, int contact_yes,
	const struct vote *votes, size_t n, int64_t floor, const struct signals *known,
	struct arena *scratch, struct walk *out)
{
	size_t most = n < BOUND_VOTES_PER_SENDER ? n : BOUND_VOTES_PER_SENDER, reporters;
	const struct vote **newest = arena_array(scratch, most + 1, sizeof(const struct vote *));
	struct event *event = arena_array(scratch, 2 * most + BOUND_LEGS + 1, sizeof(struct event));

	if (newest == NULL || event == NULL)
		return RC_LIMIT;
	most = votes_newest(votes, n, newest);
	struct window w = {.event = event};
	if (known != NULL) {
		w.leg_at = known->leg_at;
		w.legs = known->legs;
	}
	for (; w.legs > 0 && w.leg_at[0] <= floor; w.legs--)
		w.leg_at++;
	w.events = events_of(newest, most, c, floor, &w, event, &reporters);
	w.who = arena_array(scratch, reporters, sizeof(struct inside));
	if (w.who == NULL)
		return RC_LIMIT;
	*out = (struct walk){.peak = RUNG_OBSERVE, .peak_at = TIME_NONE, .one_leg_at = TIME_NONE};
	for (int64_t t; window_step(&w, window_s * US_PER_S, &t);)
		step(l, &w, w.yes >= contact_yes || signal_stands(&w, window_s * US_PER_S, t), t,
			out);
	return RC_OK;
}
