/* The ladder: rungs, legs, episodes, floors; the walk is held to a slow reading of the definition on random sets of votes. */
#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static const int64_t start = 20000 * US_PER_DAY;
#define WINDOW_S (240 * 3600)
#define HOURS(n) ((int64_t)(n)*US_PER_HOUR)

static const struct ladder ladder = {
	.rung =
		{
			{.rung = RUNG_OBSERVE, .reporters = 1},
			{.rung = RUNG_VERIFY, .reporters = 3},
			{.rung = RUNG_BAR,
				.reporters = 5,
				.leg = true,
				.terms_s = {24 * 3600, 7 * 86400},
				.terms = 2,
				.basis = "law"},
		},
	.rungs = 3,
};

static struct vote vote_at(int64_t reporter, int64_t at)
{
	return (struct vote){
		.reporter = reporter,
		.day = time_day_vn(at),
		.weight = 1,
		.scam = true,
		.first_at = at,
		.last_at = at,
		.verified_at = at,
		.scam_at = at,
		.yes_at = TIME_NONE,
		.spoof_at = TIME_NONE,
	};
}

static struct walk walk(
	const struct ladder *l, enum report_class c, const struct vote *v, size_t n, int64_t floor)
{
	OWN(arena_free) struct arena *a = arena_new(4 << 20);
	struct walk w;

	CHECK_INT(ladder_walk(l, c, WINDOW_S, 2, v, n, floor, NULL, a, &w), RC_OK);
	return w;
}

/* n reporters, one an hour, the first `yes` of them with a matched contact. */
static size_t crowd(struct vote *v, size_t n, size_t yes)
{
	for (size_t i = 0; i < n; i++) {
		v[i] = vote_at((int64_t)i, start + HOURS(i));
		v[i].yes_at = i < yes ? v[i].first_at : TIME_NONE;
	}
	return n;
}

static void test_rungs(void)
{
	struct vote v[8];
	struct walk w = walk(&ladder, CLASS_SCAM, NULL, 0, TIME_NONE);

	CHECK_INT(w.peak, RUNG_OBSERVE);
	CHECK_INT(w.peak_at, TIME_NONE);
	w = walk(&ladder, CLASS_SCAM, v, crowd(v, 2, 2), TIME_NONE);
	CHECK_INT(w.peak, RUNG_OBSERVE);
	CHECK_INT(w.peak_at, start);
	w = walk(&ladder, CLASS_SCAM, v, crowd(v, 4, 2), TIME_NONE);
	CHECK_INT(w.peak, RUNG_VERIFY);
	CHECK_INT(w.peak_at, start + HOURS(2));
	CHECK_INT(w.episodes, 0);
	w = walk(&ladder, CLASS_SCAM, v, crowd(v, 6, 2), TIME_NONE);
	CHECK_INT(w.peak, RUNG_BAR);
	CHECK_INT(w.peak_at, start + HOURS(4));
	CHECK_INT(w.episodes, 1);
	CHECK_INT(w.episode[0].decided_at, start + HOURS(4));
	CHECK_INT(w.episode[0].until, start + HOURS(28));
	CHECK_INT(w.episode[0].reporters, 5);
	CHECK_INT(w.episode[0].yes, 2);
	CHECK(w.episode[0].by == &ladder.rung[2]);
	CHECK(!w.one_leg);
}

static void test_no_leg_never_bars(void)
{
	static struct vote v[3000];
	struct walk w = walk(&ladder, CLASS_SCAM, v, crowd(v, ARRAY_LEN(v), 1), TIME_NONE);

	CHECK_INT(w.peak, RUNG_VERIFY);
	CHECK_INT(w.episodes, 0);
	CHECK(w.one_leg);
	CHECK_INT(w.one_leg_at, start + HOURS(4));
}

/* The leg comes after the count: the bar opens when it comes, and nothing is missing any more. */
static void test_leg_comes_later(void)
{
	struct vote v[5];

	crowd(v, 5, 0);
	v[0].yes_at = start + HOURS(10);
	v[1].yes_at = start + HOURS(12);
	struct walk w = walk(&ladder, CLASS_SCAM, v, 5, TIME_NONE);
	CHECK_INT(w.episodes, 1);
	CHECK_INT(w.episode[0].decided_at, start + HOURS(12));
	CHECK(!w.one_leg);
	CHECK_INT(w.one_leg_at, TIME_NONE);
}

/* Episodes climb, good time descends: a term for each, and a rung that wants repeats. */
static void test_repeats_and_good_time(void)
{
	static struct ladder l;
	struct vote v[40];
	size_t n = 0;

	l = (struct ladder){.good_time_s = 100 * 86400,
		.rung = {{.rung = RUNG_OBSERVE, .reporters = 1},
			{.rung = RUNG_BAR,
				.reporters = 5,
				.leg = true,
				.terms_s = {86400, 7 * 86400, 30 * 86400},
				.terms = 3,
				.basis = "law"},
			{.rung = RUNG_BAR_BOTH, .reporters = 5, .leg = true, .repeats = 2}},
		.rungs = 3};
	/* crowds at day 0, 20, 60 (climbing), 190 (one forgiven since day 90), 1000 (all forgiven) */
	static const int days[] = {0, 20, 60, 190, 1000};
	static const int want_days[] = {1, 7, 30, 30, 1};

	for (size_t k = 0; k < ARRAY_LEN(days); k++)
		for (int i = 0; i < 5; i++, n++) {
			v[n] = vote_at(i, start + days[k] * US_PER_DAY + i);
			v[n].yes_at = v[n].first_at;
		}
	struct walk w = walk(&l, CLASS_SCAM, v, 10, TIME_NONE);
	CHECK_INT(w.peak, RUNG_BAR);
	w = walk(&l, CLASS_SCAM, v, n, TIME_NONE);
	CHECK_INT(w.peak, RUNG_BAR_BOTH);
	CHECK_INT(w.peak_at, start + 60 * US_PER_DAY + 4);
	CHECK_INT(w.episodes, ARRAY_LEN(days));
	for (size_t k = 0; k < w.episodes; k++) {
		CHECK_CASE("episode %zu", k);
		CHECK_INT(
			(w.episode[k].until - w.episode[k].decided_at) / US_PER_DAY, want_days[k]);
	}
	CHECK_INT(w.level, 0);
	/* a rung is in force in its time alone */
	l.rung[1].to_us = start + 30 * US_PER_DAY;
	w = walk(&l, CLASS_SCAM, v, n, TIME_NONE);
	CHECK_INT(w.episodes, 2);
}

static void test_one_reporter_is_one(void)
{
	struct vote v[10];

	for (size_t i = 0; i < 10; i++) {
		v[i] = vote_at(1, start + (int64_t)i * US_PER_DAY / 2);
		v[i].yes_at = v[i].first_at;
	}
	struct walk w = walk(&ladder, CLASS_SCAM, v, 10, TIME_NONE);
	CHECK_INT(w.peak, RUNG_OBSERVE);
	CHECK_INT(w.episodes, 0);
}

static void test_window_slides(void)
{
	struct vote v[5];

	/* The fifth comes when the first is exactly 240 h old: out. One microsecond earlier: in. */
	crowd(v, 4, 2);
	v[4] = vote_at(4, start + HOURS(240));
	CHECK_INT(walk(&ladder, CLASS_SCAM, v, 5, TIME_NONE).peak, RUNG_VERIFY);
	v[4] = vote_at(4, start + HOURS(240) - 1);
	CHECK_INT(walk(&ladder, CLASS_SCAM, v, 5, TIME_NONE).peak, RUNG_BAR);
}

static void test_class_times(void)
{
	struct vote v[5];

	crowd(v, 5, 2);
	for (size_t i = 0; i < 5; i++)
		v[i].scam_at = TIME_NONE;
	CHECK_INT(walk(&ladder, CLASS_NUISANCE, v, 5, TIME_NONE).peak, RUNG_BAR);
	CHECK_INT(walk(&ladder, CLASS_SCAM, v, 5, TIME_NONE).peak_at, TIME_NONE);
}

static void test_terms_and_repeats(void)
{
	struct vote v[120];
	struct walk w;

	/* One reporter an hour, all with contact: bar at hour 4 for 24 h, then 7 days from hour 28, then 7 days again. */
	crowd(v, ARRAY_LEN(v), ARRAY_LEN(v));
	w = walk(&ladder, CLASS_SCAM, v, ARRAY_LEN(v), TIME_NONE);
	CHECK_INT(w.episodes, 2);
	CHECK_INT(w.episode[1].decided_at, start + HOURS(28));
	CHECK_INT(w.episode[1].until, start + HOURS(28 + 7 * 24));
	static struct vote many[4000];
	crowd(many, ARRAY_LEN(many), ARRAY_LEN(many));
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		many[i] = vote_at((int64_t)i, start + HOURS(4 * i));
		many[i].yes_at = many[i].first_at;
	}
	w = walk(&ladder, CLASS_SCAM, many, ARRAY_LEN(many), TIME_NONE);
	CHECK_INT(w.episodes, BOUND_EPISODES);
	CHECK_INT(w.earlier + w.episodes, 1 + (4 * 3999 - 16 - 24) / 168 + 1);
	CHECK_INT(w.episode[63].until - w.episode[63].decided_at, HOURS(168));
	CHECK_INT(w.episode[1].decided_at, w.episode[0].until);
}

static void test_floor(void)
{
	struct vote v[6];
	struct walk w;

	crowd(v, 6, 6);
	w = walk(&ladder, CLASS_SCAM, v, 6, start); /* the first does not count */
	CHECK_INT(w.episode[0].decided_at, start + HOURS(5));
	CHECK_INT(walk(&ladder, CLASS_SCAM, v, 6, start + HOURS(1)).episodes, 0);
	/* A contact of before the floor is no leg, though the vote itself counts. */
	crowd(v, 6, 0);
	v[0].yes_at = v[1].yes_at = start - 1;
	CHECK_INT(walk(&ladder, CLASS_SCAM, v, 6, TIME_NONE).episodes, 1);
	CHECK_INT(walk(&ladder, CLASS_SCAM, v, 6, start - 1).episodes, 0);
}

/* ---- the definition, read slowly ---- */

static int64_t tau(const struct vote *v, enum report_class c, int64_t floor)
{
	int64_t t = c == CLASS_SCAM ? v->scam_at : v->verified_at;

	return t != TIME_NONE && t > floor ? t : TIME_NONE;
}

static bool in(int64_t x, int64_t t)
{
	return x != TIME_NONE && x > t - WINDOW_S * US_PER_S && x <= t;
}

static void counts_at(const struct vote *v, size_t n, enum report_class c, int64_t floor, int64_t t,
	int *reporters, int *yes)
{
	*reporters = *yes = 0;
	for (int64_t r = 0; r < 12; r++) {
		bool voted = false, sure = false;

		for (size_t i = 0; i < n; i++) {
			if (v[i].reporter != r || tau(&v[i], c, floor) == TIME_NONE)
				continue;
			voted = voted || in(tau(&v[i], c, floor), t);
			sure = sure || (v[i].yes_at > floor && in(v[i].yes_at, t));
		}
		*reporters += voted;
		*yes += voted && sure;
	}
}

static struct walk slow_walk(
	const struct ladder *l, enum report_class c, const struct vote *v, size_t n, int64_t floor)
{
	struct walk w = {.peak_at = TIME_NONE, .one_leg_at = TIME_NONE};
	int64_t until = TIME_NONE;

	for (int64_t last = TIME_NONE;;) {
		int64_t t = INT64_MAX;
		int reporters, yes;

		for (size_t i = 0; i < n; i++) {
			int64_t x = tau(&v[i], c, floor),
				y = x == TIME_NONE ? TIME_NONE : v[i].yes_at;

			t = x != TIME_NONE && x > last && x < t ? x : t;
			t = y != TIME_NONE && y > floor && y > last && y < t ? y : t;
		}
		if (t == INT64_MAX)
			return w;
		last = t;
		counts_at(v, n, c, floor, t, &reporters, &yes);
		const struct ladder_rung *opens = NULL;
		bool missing = false;
		for (size_t i = 0; i < l->rungs; i++) {
			const struct ladder_rung *r = &l->rung[i];
			bool held = reporters >= r->reporters && (!r->leg || yes >= 2);

			missing = missing || (r->terms > 0 && reporters >= r->reporters && !held);
			if (held && (w.peak_at == TIME_NONE || r->rung > w.peak)) {
				w.peak = r->rung;
				w.peak_at = t;
			}
			opens = held && r->terms > 0 ? r : opens;
		}
		if (until != TIME_NONE && t < until)
			continue;
		if (opens != NULL) {
			size_t k = w.episodes < opens->terms ? w.episodes : opens->terms - 1;

			until = t + opens->terms_s[k] * US_PER_S;
			w.episode[w.episodes++] =
				(struct episode){opens->rung, t, until, reporters, yes, opens};
			w.one_leg_at = TIME_NONE;
		} else if (missing && w.one_leg_at == TIME_NONE) {
			w.one_leg_at = t;
		}
		w.one_leg = w.one_leg_at != TIME_NONE;
	}
}

static void test_as_defined_in_any_order(void)
{
	static const struct ladder two = {
		.rung =
			{
				{.rung = RUNG_OBSERVE, .reporters = 1},
				{.rung = RUNG_VERIFY, .reporters = 2},
				{.rung = RUNG_THROTTLE,
					.reporters = 3,
					.leg = true,
					.terms_s = {3600},
					.terms = 1},
				{.rung = RUNG_BAR,
					.reporters = 5,
					.leg = true,
					.terms_s = {86400, 3 * 86400},
					.terms = 2},
			},
		.rungs = 4,
	};
	uint64_t seed = 4;

	for (int round = 0; round < 3000; round++) {
		struct vote v[40];
		size_t n = rnd(&seed, ARRAY_LEN(v) + 1);
		enum report_class c = rnd(&seed, 2) == 0 ? CLASS_SCAM : CLASS_NUISANCE;
		int64_t floor = rnd(&seed, 3) == 0 ? start + HOURS(rnd(&seed, 100)) : TIME_NONE;

		CHECK_CASE("round %d", round);
		for (size_t i = 0; i < n; i++) {
			v[i] = vote_at((int64_t)rnd(&seed, 12), start + HOURS(rnd(&seed, 700)));
			if (rnd(&seed, 3) == 0)
				v[i].scam_at = TIME_NONE;
			if (rnd(&seed, 3) == 0)
				v[i].verified_at = TIME_NONE;
			if (rnd(&seed, 3) != 0)
				v[i].yes_at = v[i].first_at + HOURS(rnd(&seed, 24)) - HOURS(12);
		}
		struct walk want = slow_walk(&two, c, v, n, floor);
		for (size_t i = n; i > 1; i--) {
			size_t j = rnd(&seed, i);
			const struct vote x = v[i - 1];

			v[i - 1] = v[j];
			v[j] = x;
		}
		struct walk got = walk(&two, c, v, n, floor);
		bool ok = CHECK_INT(got.peak, want.peak) && CHECK_INT(got.peak_at, want.peak_at) &&
			CHECK_INT(got.one_leg, want.one_leg) &&
			CHECK_INT(got.one_leg_at, want.one_leg_at) &&
			CHECK_INT(got.episodes, want.episodes);
		for (size_t i = 0; ok && i < got.episodes; i++)
			ok = CHECK_INT(got.episode[i].decided_at, want.episode[i].decided_at) &&
				CHECK_INT(got.episode[i].until, want.episode[i].until) &&
				CHECK_INT(got.episode[i].reporters, want.episode[i].reporters) &&
				CHECK_INT(got.episode[i].yes, want.episode[i].yes) &&
				CHECK_INT(got.episode[i].rung, want.episode[i].rung);
		if (!ok)
			return;
	}
}

static void test_small_arena(void)
{
	OWN(arena_free) struct arena *a = arena_new(64);
	struct vote v[1] = {vote_at(1, start)};
	struct walk w;

	CHECK_INT(ladder_walk(&ladder, CLASS_SCAM, WINDOW_S, 2, v, 1, TIME_NONE, NULL, a, &w),
		RC_LIMIT);
}

int main(void)
{
	RUN(test_rungs);
	RUN(test_no_leg_never_bars);
	RUN(test_leg_comes_later);
	RUN(test_repeats_and_good_time);
	RUN(test_one_reporter_is_one);
	RUN(test_window_slides);
	RUN(test_class_times);
	RUN(test_terms_and_repeats);
	RUN(test_floor);
	RUN(test_as_defined_in_any_order);
	RUN(test_small_arena);
	return check_done();
}
