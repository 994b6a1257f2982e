/* The score of a sender: each term by hand, and no bit changes with the order of votes or with the reporters' numbers. */
#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static const struct score_weights weights = {
	.half_life_s = 7 * 86400,
	.bias = -4.5,
	.reporters = 1.6,
	.scam = 0.8,
	.velocity = 0.4,
	.spread = 0.3,
	.text = 1.5,
	.claim = 0.3,
	.contact = 0.8,
};
static const int64_t noon = 20000 * US_PER_DAY;

static struct vote vote_at(int64_t reporter, int64_t at)
{
	return (struct vote){
		.reporter = reporter,
		.day = time_day_vn(at),
		.weight = 1,
		.first_at = at,
		.last_at = at,
		.verified_at = at,
		.scam_at = TIME_NONE,
		.yes_at = TIME_NONE,
		.spoof_at = TIME_NONE,
	};
}

static double term(const struct score *s, const char *name)
{
	for (size_t i = 0; i < s->terms; i++)
		if (strcmp(s->term[i].name, name) == 0)
			return s->term[i].weight;
	return 0;
}

static void test_nothing_counts(void)
{
	struct vote v = vote_at(1, noon);
	struct score s;

	v.weight = 0;
	score_votes(&weights, &v, 1, TIME_NONE, NULL, &s);
	CHECK_INT(s.terms, 0);
	CHECK_INT(s.as_of, TIME_NONE);
	CHECK_NEAR(s.value, 0, 0);
	score_votes(&weights, NULL, 0, TIME_NONE, NULL, &s);
	CHECK_NEAR(s.value, 0, 0);
}

static void test_one_reporter(void)
{
	struct vote v = vote_at(1, noon);
	struct score s;

	score_votes(&weights, &v, 1, TIME_NONE, NULL, &s);
	CHECK_INT(s.terms, 1); /* terms that are 0 are not stored */
	CHECK_INT(s.as_of, noon);
	CHECK_NEAR(term(&s, "REPORTERS"), 1.6 * log(2), 1e-12);
	CHECK_NEAR(s.value, 1 / (1 + exp(4.5 - 1.6 * log(2))), 1e-12);
}

static void test_every_term(void)
{
	struct vote v[4];
	struct score s;

	v[0] = vote_at(1, noon);
	v[1] = vote_at(2, noon - 7 * US_PER_DAY); /* half a reporter */
	v[2] = vote_at(3, noon - US_PER_HOUR);
	v[3] = vote_at(3, noon - 2 * US_PER_DAY);
	v[0].text_score = 0.9F;
	v[2].claim_score = 0.5F;
	v[3].scam = true; /* makes reporter 3 a scam reporter, at the age of its newest vote */
	v[0].yes_at = noon;
	v[1].yes_at = noon - 7 * US_PER_DAY;
	score_votes(&weights, v, 4, TIME_NONE, NULL, &s);
	const double third = exp2(-1.0 / (7 * 24));
	CHECK_NEAR(term(&s, "REPORTERS"), 1.6 * log(1 + 1 + 0.5 + third), 1e-12);
	CHECK_NEAR(term(&s, "SCAM"), 0.8 * log(1 + third), 1e-12);
	CHECK_NEAR(term(&s, "VELOCITY"), 0.4 * log(2), 1e-12); /* reporters 1 and 3 in 24 h */
	CHECK_NEAR(term(&s, "SPREAD"), 0.3 * log(3), 1e-12);   /* days 0, -2, -7 */
	CHECK_NEAR(term(&s, "TEXT"), 1.5 * (double)0.9F, 1e-12);
	CHECK_NEAR(term(&s, "CLAIM"), 0.15, 1e-12);
	CHECK_NEAR(term(&s, "CONTACT"), 0.8, 1e-12);
	CHECK_INT(s.terms, 7);
	v[1].yes_at = TIME_NONE; /* two yes of one reporter are one */
	v[2].yes_at = v[3].yes_at = noon;
	v[0].yes_at = TIME_NONE;
	score_votes(&weights, v, 4, TIME_NONE, NULL, &s);
	CHECK_NEAR(term(&s, "CONTACT"), 0, 0);
}

static void test_windows(void)
{
	struct vote v[2];
	struct score s;

	v[0] = vote_at(1, noon);
	v[1] = vote_at(2, noon - 24 * US_PER_HOUR); /* (as_of - 24 h, as_of]: just outside */
	score_votes(&weights, v, 2, TIME_NONE, NULL, &s);
	CHECK_NEAR(term(&s, "VELOCITY"), 0, 0);
	v[1] = vote_at(2, noon - 24 * US_PER_HOUR + 1);
	score_votes(&weights, v, 2, TIME_NONE, NULL, &s);
	CHECK_NEAR(term(&s, "VELOCITY"), 0.4 * log(2), 1e-12);
	v[1] = vote_at(2, noon - 240 * US_PER_HOUR);
	score_votes(&weights, v, 2, TIME_NONE, NULL, &s);
	CHECK_NEAR(term(&s, "SPREAD"), 0, 0);
	v[1] = vote_at(2, noon - 240 * US_PER_HOUR + 1);
	score_votes(&weights, v, 2, TIME_NONE, NULL, &s);
	CHECK_NEAR(term(&s, "SPREAD"), 0.3 * log(2), 1e-12);
}

static void test_floor(void)
{
	struct vote v[2];
	struct score s;

	v[0] = vote_at(1, noon);
	v[1] = vote_at(2, noon + US_PER_HOUR);
	score_votes(&weights, v, 2, noon, NULL, &s); /* at the floor still counts */
	CHECK_NEAR(term(&s, "VELOCITY"), 0.4 * log(2), 1e-12);
	score_votes(&weights, v, 2, noon + 1, NULL, &s);
	CHECK_NEAR(term(&s, "REPORTERS"), 1.6 * log(2), 1e-12);
	score_votes(&weights, v, 2, noon + 2 * US_PER_HOUR, NULL, &s);
	CHECK_INT(s.terms, 0);
	CHECK_INT(s.as_of, TIME_NONE);
}

static void shuffle(uint64_t *seed, struct vote *v, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = rnd(seed, i);
		const struct vote x = v[i - 1];

		v[i - 1] = v[j];
		v[j] = x;
	}
}

static void test_any_order(void)
{
	uint64_t seed = 3;

	for (int round = 0; round < 500; round++) {
		struct vote v[60];
		struct score a, b;
		size_t n = 1 + rnd(&seed, ARRAY_LEN(v));
		uint64_t mask = rnd_u64(&seed) >> 1;

		CHECK_CASE("round %d", round);
		for (size_t i = 0; i < n; i++) {
			v[i] = vote_at((int64_t)(i / 3),
				noon + (int64_t)(i % 3) * US_PER_DAY +
					(int64_t)rnd(&seed, 3600) * US_PER_S);
			v[i].weight = (float)rnd(&seed, 1500) / 1000;
			v[i].scam = rnd(&seed, 2) == 1;
			v[i].text_score = (float)rnd(&seed, 100) / 100;
		}
		score_votes(&weights, v, n, TIME_NONE, NULL, &a);
		/* Other numbers for the same reporters, another order. */
		for (size_t i = 0; i < n; i++)
			v[i].reporter = (int64_t)((uint64_t)v[i].reporter ^ mask);
		shuffle(&seed, v, n);
		score_votes(&weights, v, n, TIME_NONE, NULL, &b);
		CHECK_INT(a.terms, b.terms);
		CHECK_INT(a.as_of, b.as_of);
		if (!CHECK(memcmp(&a.value, &b.value, sizeof(a.value)) == 0))
			return;
	}
}

int main(void)
{
	RUN(test_nothing_counts);
	RUN(test_one_reporter);
	RUN(test_every_term);
	RUN(test_windows);
	RUN(test_floor);
	RUN(test_any_order);
	return check_done();
}
