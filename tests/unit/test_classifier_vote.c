/* Votes merge the same in any order and any grouping; the newest are chosen. */
#include "base/base.h"
#include "classifier/votes.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static int64_t some_time(uint64_t *seed)
{
	return rnd(seed, 3) == 0 ? TIME_NONE : (int64_t)rnd(seed, 50) * US_PER_HOUR;
}

/* Small ranges, so that equal values are common. */
static struct vote some_vote(uint64_t *seed)
{
	return (struct vote){
		.reporter = 7,
		.day = 20000,
		.weight = (float)rnd(seed, 4) / 2,
		.text_score = (float)rnd(seed, 3) / 4,
		.claim_score = (float)rnd(seed, 3) / 4,
		.scam = rnd(seed, 2) == 1,
		.first_at = some_time(seed),
		.last_at = some_time(seed),
		.verified_at = some_time(seed),
		.scam_at = some_time(seed),
		.yes_at = some_time(seed),
		.spoof_at = some_time(seed),
	};
}

static bool same(const struct vote *a, const struct vote *b)
{
	return a->weight == b->weight && a->text_score == b->text_score &&
		a->claim_score == b->claim_score && a->scam == b->scam &&
		a->first_at == b->first_at && a->last_at == b->last_at &&
		a->verified_at == b->verified_at && a->scam_at == b->scam_at &&
		a->yes_at == b->yes_at && a->spoof_at == b->spoof_at;
}

static void test_merge_fields(void)
{
	struct vote a = {.weight = 0.2F,
		.text_score = 0.9F,
		.first_at = 10,
		.last_at = 10,
		.verified_at = TIME_NONE,
		.scam_at = 10,
		.yes_at = TIME_NONE,
		.spoof_at = 5};
	const struct vote b = {.weight = 1,
		.claim_score = 0.3F,
		.scam = true,
		.first_at = 5,
		.last_at = 20,
		.verified_at = 20,
		.scam_at = 30,
		.yes_at = TIME_NONE,
		.spoof_at = 7};

	vote_merge(&a, &b);
	CHECK_NEAR((double)a.weight, 1, 0);
	CHECK_NEAR((double)a.text_score, 0.9, 1e-6);
	CHECK_NEAR((double)a.claim_score, 0.3, 1e-6);
	CHECK(a.scam);
	CHECK_INT(a.first_at, 5);
	CHECK_INT(a.last_at, 20);
	CHECK_INT(a.verified_at, 20); /* an unset time is no time, not the earliest */
	CHECK_INT(a.scam_at, 10);
	CHECK_INT(a.yes_at, TIME_NONE);
	CHECK_INT(a.spoof_at, 5);
}

/* Folds votes[0..n) by merging random pairs until one is left: any order, any partition. */
static struct vote merged(uint64_t *seed, const struct vote *votes, size_t n)
{
	struct vote left[16];

	memcpy(left, votes, n * sizeof(*votes));
	while (n > 1) {
		size_t i = rnd(seed, n), j = rnd(seed, n - 1);

		if (j >= i)
			j++;
		vote_merge(&left[i], &left[j]);
		if (rnd(seed, 4) == 0)
			vote_merge(&left[i], &left[j]); /* a batch that is done again */
		left[j] = left[n - 1];
		n--;
	}
	return left[0];
}

static void test_merge_any_order(void)
{
	uint64_t seed = 1;

	for (int round = 0; round < 3000; round++) {
		struct vote votes[16];
		size_t n = 1 + rnd(&seed, ARRAY_LEN(votes));

		CHECK_CASE("round %d", round);
		for (size_t i = 0; i < n; i++)
			votes[i] = some_vote(&seed);
		const struct vote a = merged(&seed, votes, n), b = merged(&seed, votes, n);
		if (!CHECK(same(&a, &b)))
			return;
	}
}

static struct vote vote_of_kind(enum vote_kind kind, size_t n)
{
	return (struct vote){
		.day = (int32_t)(n / 10),
		.reporter = (int64_t)(n % 10),
		.verified_at = kind <= VOTE_VERIFIED ? 1 : TIME_NONE,
		.yes_at = kind == VOTE_MATCHED ? 1 : TIME_NONE,
		.spoof_at = kind == VOTE_FORGED ? 1 : TIME_NONE,
	};
}

/* Of each kind every (day, reporter) once: day = i / 10, reporter = i % 10. The oldest 777 beyond its bound go, whatever there is of the others. */
static void test_newest(void)
{
	enum { BEYOND = 777, MANY = BOUND_VOTES_PER_SENDER + VOTE_KINDS * BEYOND };
	static struct vote votes[MANY];
	static const struct vote *kept[BOUND_VOTES_PER_SENDER];
	size_t n = 0, of[VOTE_KINDS] = {0}, wrong = 0, border = 0;
	uint64_t seed = 2;

	for (enum vote_kind k = VOTE_MATCHED; k <= VOTE_OTHER; k++)
		for (size_t i = 0; i < vote_bound[k] + BEYOND; i++)
			votes[n++] = vote_of_kind(k, i);
	CHECK_INT(n, MANY);
	for (size_t i = MANY - 1; i > 0; i--) {
		size_t j = rnd(&seed, i + 1);
		const struct vote v = votes[i];

		votes[i] = votes[j];
		votes[j] = v;
	}
	CHECK_INT(votes_newest(votes, MANY, kept), BOUND_VOTES_PER_SENDER);
	for (size_t i = 0; i < BOUND_VOTES_PER_SENDER; i++) {
		wrong += kept[i]->day < 77 || (kept[i]->day == 77 && kept[i]->reporter > 2);
		border += kept[i]->day == 77;
		of[vote_kind_of(kept[i])]++;
	}
	CHECK_INT(wrong, 0);
	CHECK_INT(border, 3 * VOTE_KINDS);
	for (size_t k = 0; k < VOTE_KINDS; k++)
		CHECK_INT(of[k], vote_bound[k]);
	CHECK_INT(votes_newest(votes, 12, kept), 12);
	CHECK_INT(votes_newest(votes, 0, kept), 0);
}

/* Five matched votes of long ago stay in sight behind any number of newer ones that anybody can make. */
static void test_flood(void)
{
	enum { FLOOD = 3 * BOUND_VOTES_PER_SENDER };
	static struct vote votes[FLOOD + 5];
	static const struct vote *kept[BOUND_VOTES_PER_SENDER];
	size_t matched = 0;

	for (size_t i = 0; i < FLOOD; i++)
		votes[i] = vote_of_kind(i % 2 == 0 ? VOTE_OTHER : VOTE_FORGED, 1000 + i);
	for (size_t i = 0; i < 5; i++)
		votes[FLOOD + i] = vote_of_kind(VOTE_MATCHED, i);
	size_t n = votes_newest(votes, FLOOD + 5, kept);
	CHECK_INT(n, BOUND_VOTES_FORGED + BOUND_VOTES_OTHER + 5);
	for (size_t i = 0; i < n; i++)
		matched += vote_kind_of(kept[i]) == VOTE_MATCHED;
	CHECK_INT(matched, 5);
}

int main(void)
{
	RUN(test_merge_fields);
	RUN(test_merge_any_order);
	RUN(test_newest);
	RUN(test_flood);
	return check_done();
}
