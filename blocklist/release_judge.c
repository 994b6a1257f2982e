/* What a release decides: which wishes count, which automatic ones are let in and in what order, and which wish stands for its key.
 * Pure: everything it needs was read before, everything it decides is written after.
 *
 * An automatic wish is an *addition* when its action is stronger than what its key has without it; only additions meet the kill
 * switch and the caps. While a wish waits (wanted, or held by a cap or for review) the entry that its former self brought about stays as it is, so
 * that a sender on its way from a throttle to a bar is not set free by a cap. */
#include <stdlib.h>

#include "blocklist/release.h"

struct waiting {
	struct key *key;
	struct wish *wish;
};

static int strength(const char *action)
{
	if (strcmp(action, "bar") == 0)
		return 3;
	return strcmp(action, "throttle") == 0 ? 2 : 1;
}

static bool ended(int64_t until_s, int64_t now_us)
{
	return until_s != 0 && until_s <= now_us / US_PER_S;
}

static void hold(struct release *r, struct wish *w, const char *why)
{
	w->then = WISH_HELD;
	w->why = why;
	r->held++;
}

/* A wish held for protection, and the protection is gone: as it would have been decided without it. */
static void let_go(const struct release *r, struct wish *w)
{
	if (strcmp(w->detail, "person") == 0)
		w->why = "needs_person";
	else if (strcmp(r->mode, "auto") != 0)
		w->why = "review_mode";
	else
		w->then = WISH_WANTED;
}

/* The fate of a wish as far as its own key decides it; a waiting automatic one stays WANTED. */
static void look_at(struct release *r, const struct key *k, struct wish *w)
{
	bool automatic = is_automatic(w->origin);

	w->then = w->state;
	w->why = w->reason;
	if (w->state == WISH_HELD) {
		if (automatic && !k->is_protected && strcmp(w->reason, "protected") == 0 &&
			!ended(w->until_s, r->now_us))
			let_go(r, w);
		return;
	}
	if (ended(w->until_s, r->now_us))
		w->then = WISH_ENDED;
	else if (automatic && k->is_protected)
		hold(r, w, "protected");
	else if (automatic && w->state == WISH_WANTED && strcmp(r->mode, "auto") != 0)
		hold(r, w, "review_mode"); /* the mode has changed since the worker wished */
	else if (!automatic)
		w->then = WISH_ADMITTED;
}

/* Held because there is no room, or because people decide now: not because the sender must not be listed. */
static bool waits(const char *why)
{
	return strncmp(why, "cap_", 4) == 0 || strcmp(why, "review_mode") == 0;
}

/* The wish whose place the present entry keeps while it waits; NULL: none. */
static const struct wish *stands_in(const struct release *r, const struct key *k)
{
	if (k->now.action == NULL || k->is_protected || ended(k->now.until_s, r->now_us))
		return NULL;
	for (size_t i = 0; i < k->n; i++) {
		const struct wish *w = &k->wishes[i];

		if (!is_automatic(w->origin) || strcmp(w->origin, k->now_origin) != 0)
			continue;
		if (w->then == WISH_WANTED)
			return w;
		if (w->then == WISH_HELD && waits(w->why) && !ended(w->until_s, r->now_us))
			return w;
	}
	return NULL;
}

/* How strong the key is listed without any addition. */
static int strength_of(const struct release *r, const struct key *k)
{
	int most = stands_in(r, k) != NULL ? strength(k->now.action) : 0;

	for (size_t i = 0; i < k->n; i++)
		if (k->wishes[i].then == WISH_ADMITTED && strength(k->wishes[i].action) > most)
			most = strength(k->wishes[i].action);
	return most;
}

static int by_urgency(const void *pa, const void *pb)
{
	const struct waiting *a = pa, *b = pb;
	int d = (a->wish->score < b->wish->score) - (a->wish->score > b->wish->score);

	d = d != 0
		? d
		: (a->wish->first_at > b->wish->first_at) - (a->wish->first_at < b->wish->first_at);
	d = d != 0 ? d : strcmp(a->key->now.value, b->key->now.value);
	d = d != 0 ? d : (int)a->key->now.scope - (int)b->key->now.scope;
	d = d != 0 ? d : (int)a->key->now.service - (int)b->key->now.service;
	return d != 0 ? d : strcmp(a->wish->origin, b->wish->origin);
}

/* Lets additions in, the most urgent first, as far as the caps go. */
static void let_in(struct release *r, struct waiting *w, size_t n)
{
	int64_t hour = r->caps->per_hour - r->hour_used, day = r->caps->per_day - r->day_used;
	int64_t growth = (int64_t)(r->caps->growth_share * (double)r->head.count);

	if (growth < r->caps->growth_min)
		growth = r->caps->growth_min;
	if (growth < 1) /* or nothing would ever move */
		growth = 1;
	for (size_t i = 0; i < n; i++) {
		struct key *k = w[i].key;
		struct wish *one = w[i].wish;

		if (strength(one->action) <= strength_of(r, k)) {
			one->then = WISH_ADMITTED; /* adds nothing to what the key has */
		} else if (r->kill_switch) {
			continue;
		} else if (day <= 0) {
			hold(r, one, "cap_day");
		} else if (hour <= 0) {
			hold(r, one, "cap_hour");
		} else if (growth <= 0) {
			r->overflow++;
		} else {
			one->then = WISH_ADMITTED;
			k->admitted = true;
			hour--;
			day--;
			growth--;
		}
	}
}

/* bar before throttle before label; then open-ended, then the longest; then the origin's name. */
static bool stronger(
	const struct entry *a, const char *a_origin, const struct entry *b, const char *b_origin)
{
	int d = strength(a->action) - strength(b->action);

	if (d != 0)
		return d > 0;
	if (a->until_s != b->until_s)
		return a->until_s == 0 || (b->until_s != 0 && a->until_s > b->until_s);
	return strcmp(a_origin, b_origin) < 0;
}

static void offer(struct key *k, const struct entry *e, const char *origin)
{
	if (k->then.action != NULL && !stronger(e, origin, &k->then, k->then_origin))
		return;
	k->then = *e;
	k->then_origin = origin;
}

/* Of the authority's orders about one sender the latest counts; the others stay, and come to the fore when it ends. */
static bool outdated(const struct key *k, const struct wish *w)
{
	if (!is_order(w->origin))
		return false;
	for (size_t i = 0; i < k->n; i++) {
		const struct wish *o = &k->wishes[i];
		int64_t later = o->decided_at - w->decided_at;

		if (o->then == WISH_ADMITTED && is_order(o->origin) &&
			(later > 0 || (later == 0 && strcmp(o->origin, w->origin) < 0)))
			return true;
	}
	return false;
}

static void choose(const struct release *r, struct key *k)
{
	k->then = (struct entry){0};
	k->then_origin = NULL;
	if (stands_in(r, k) != NULL)
		offer(k, &k->now, k->now_origin);
	for (size_t i = 0; i < k->n; i++) {
		const struct wish *w = &k->wishes[i];
		struct entry e = {.scope = k->now.scope,
			.value = k->now.value,
			.service = k->now.service,
			.action = w->action,
			.case_id = w->case_id,
			.until_s = w->until_s,
			.basis = w->basis};

		if (w->then == WISH_ADMITTED && !outdated(k, w))
			offer(k, &e, w->origin);
	}
}

enum rc release_judge(struct release *r, struct err *e)
{
	struct waiting *waiting;
	size_t wishes = 0, n = 0;

	for (size_t i = 0; i < r->n; i++)
		wishes += r->keys[i].n;
	waiting = arena_array(r->arena, wishes + 1, sizeof(*waiting));
	if (waiting == NULL)
		return err_set(e, RC_RETRY, "release: out of memory");
	for (size_t i = 0; i < r->n; i++) {
		struct key *k = &r->keys[i];

		for (size_t j = 0; j < k->n; j++)
			look_at(r, k, &k->wishes[j]);
		for (size_t j = 0; j < k->n; j++)
			if (k->wishes[j].then == WISH_WANTED)
				waiting[n++] = (struct waiting){k, &k->wishes[j]};
	}
	qsort(waiting, n, sizeof(*waiting), by_urgency);
	let_in(r, waiting, n);
	for (size_t i = 0; i < r->n; i++)
		choose(r, &r->keys[i]);
	return RC_OK;
}
