/* Somebody else uses a sender's number: when enough contacts did not exist and hardly any did, and that order does not matter. */
#include "base/base.h"
#include "classifier/classifier.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

#define H(n) ((n)*US_PER_HOUR)
#define NO TIME_NONE

static const struct policy policy = {
	.spoofed_reporters = 3, .spoofed_fewer_yes = 2, .window_s = INT64_C(240) * 3600};

struct says {
	int64_t who, forged, yes;
};

static struct spoofed look(const struct says *says, size_t n, int64_t floor)
{
	OWN(arena_free) struct arena *a = arena_new(8u << 20);
	struct vote votes[64];
	struct spoofed out;

	for (size_t i = 0; i < n; i++)
		votes[i] = (struct vote){.reporter = says[i].who,
			.day = (int32_t)i,
			.first_at = NO,
			.last_at = NO,
			.verified_at = NO,
			.scam_at = NO,
			.yes_at = says[i].yes,
			.spoof_at = says[i].forged};
	CHECK(spoofed_look(&policy, votes, n, floor, a, &out) == RC_OK);
	return out;
}

static void test_table(void)
{
	static const struct {
		const char *what;
		struct says says[6];
		int64_t floor;
		bool any, is;
		int64_t first_at, at;
		int reporters;
	} cases[] = {
		{"nobody", {{1, NO, H(1)}}, NO, false, false, NO, NO, 0},
		{"two", {{1, H(1), NO}, {2, H(2), NO}}, NO, true, false, NO, NO, 0},
		{"three", {{1, H(3), NO}, {2, H(1), NO}, {3, H(2), NO}}, NO, true, true, H(1), H(3),
			3},
		{"one of them thrice", {{1, H(1), NO}, {1, H(2), NO}, {1, H(3), NO}}, NO, true,
			false, NO, NO, 1},
		{"over the window", {{1, H(0), NO}, {2, H(1), NO}, {3, H(240), NO}}, NO, true,
			false, NO, NO, 3},
		{"inside it", {{1, H(0) + 1, NO}, {2, H(1), NO}, {3, H(240), NO}}, NO, true, true,
			H(0) + 1, H(240), 3},
		{"one who was really called",
			{{1, H(1), NO}, {2, H(2), NO}, {3, H(3), NO}, {4, NO, H(2)}}, NO, true,
			true, H(1), H(3), 3},
		{"two who were: the sender is real",
			{{1, H(1), NO}, {2, H(2), NO}, {3, H(3), NO}, {4, NO, H(2)}, {5, NO, H(3)}},
			NO, true, false, NO, NO, 3},
		{"two who were, later",
			{{1, H(1), NO}, {2, H(2), NO}, {3, H(3), NO}, {4, NO, H(4)}, {5, NO, H(5)}},
			NO, true, true, H(1), H(4), 3},
		{"two who were, long ago",
			{{1, H(300), NO}, {2, H(300), NO}, {3, H(300), NO}, {4, NO, H(1)},
				{5, NO, H(2)}},
			NO, true, true, H(300), H(300), 3},
		{"before the floor", {{1, H(1), NO}, {2, H(2), NO}, {3, H(3), NO}, {4, H(4), NO}},
			H(2), true, false, NO, NO, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = 0;

		CHECK_CASE("%s", cases[i].what);
		while (n < 6 && cases[i].says[n].who != 0)
			n++;
		struct spoofed s = look(cases[i].says, n, cases[i].floor);
		CHECK_INT(s.any, cases[i].any);
		CHECK_INT(s.is, cases[i].is);
		CHECK_INT(s.first_at, cases[i].first_at);
		CHECK_INT(s.at, cases[i].at);
		CHECK_INT(s.reporters, cases[i].reporters);
	}
}

/* The definition as it is written: every t, every vote. */
static struct spoofed slowly(const struct says *says, size_t n)
{
	struct spoofed out = {.first_at = NO, .at = NO};
	int64_t begins = NO;

	for (size_t k = 0; k < 2 * n; k++) {
		int64_t t = k % 2 == 0 ? says[k / 2].forged : says[k / 2].yes, first = NO;
		unsigned forged = 0, yes = 0;

		if (t == NO)
			continue;
		for (size_t i = 0; i < n; i++) {
			if (says[i].forged != NO && says[i].forged > t - H(240) &&
				says[i].forged <= t) {
				forged |= 1u << says[i].who;
				if (first == NO || says[i].forged < first)
					first = says[i].forged;
			}
			if (says[i].yes != NO && says[i].yes > t - H(240) && says[i].yes <= t)
				yes |= 1u << says[i].who;
		}
		if (__builtin_popcount(forged) < 3 || __builtin_popcount(yes) >= 2)
			continue;
		out.at = !out.is || t > out.at ? t : out.at;
		if (!out.is || t < begins) {
			begins = t;
			out.first_at = first;
		}
		out.is = true;
	}
	return out;
}

static void test_any(void)
{
	uint64_t seed = 7;
	int found = 0;

	for (int round = 0; round < 3000; round++) {
		size_t n = 1 + rnd(&seed, 12);
		struct says says[16];

		CHECK_CASE("round %d", round);
		for (size_t i = 0; i < n; i++)
			says[i] = (struct says){(int64_t)(1 + rnd(&seed, 6)),
				rnd(&seed, 3) == 0 ? NO : H((int64_t)rnd(&seed, 500)),
				rnd(&seed, 3) != 0 ? NO : H((int64_t)rnd(&seed, 500))};
		struct spoofed got = look(says, n, NO), want = slowly(says, n);
		CHECK_INT(got.is, want.is);
		CHECK_INT(got.at, want.at);
		CHECK_INT(got.first_at, want.first_at);
		found += want.is;
	}
	CHECK(found > 300);
}

int main(void)
{
	RUN(test_table);
	RUN(test_any);
	return check_done();
}
