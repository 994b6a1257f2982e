/* What a vote holds and how two of the same sender, service, reporter and day become one: docs/judgement.md section 3. Also the
 * choice of the votes that score and ladder look at when there are too many. Leaves out what a report weighs and where votes are stored. */
#include <assert.h>

#include "classifier/votes.h"

static int64_t earlier(int64_t a, int64_t b)
{
	if (a == TIME_NONE)
		return b;
	if (b == TIME_NONE)
		return a;
	return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b; /* TIME_NONE is the smallest of all */
}

static float larger(float a, float b)
{
	return a > b ? a : b;
}

void vote_merge(struct vote *dst, const struct vote *src)
{
	assert(dst->reporter == src->reporter && dst->day == src->day);
	dst->weight = larger(dst->weight, src->weight);
	dst->scam = dst->scam || src->scam;
	dst->text_score = larger(dst->text_score, src->text_score);
	dst->claim_score = larger(dst->claim_score, src->claim_score);
	dst->first_at = earlier(dst->first_at, src->first_at);
	dst->last_at = later(dst->last_at, src->last_at);
	dst->verified_at = earlier(dst->verified_at, src->verified_at);
	dst->scam_at = earlier(dst->scam_at, src->scam_at);
	dst->yes_at = earlier(dst->yes_at, src->yes_at);
	dst->spoof_at = earlier(dst->spoof_at, src->spoof_at);
}

static bool newer(const struct vote *a, const struct vote *b)
{
	if (a->day != b->day)
		return a->day > b->day;
	return a->reporter < b->reporter;
}

/* heap[0] is the oldest; the heap holds below `at` except maybe at `at` itself. */
static void sink(const struct vote **heap, size_t n, size_t at)
{
	for (;;) {
		size_t oldest = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < n; child++)
			if (newer(heap[oldest], heap[child]))
				oldest = child;
		if (oldest == at)
			return;
		const struct vote *v = heap[at];
		heap[at] = heap[oldest];
		heap[oldest] = v;
		at = oldest;
	}
}

const size_t vote_bound[VOTE_KINDS] = {
	BOUND_VOTES_MATCHED, BOUND_VOTES_VERIFIED, BOUND_VOTES_FORGED, BOUND_VOTES_OTHER};
_Static_assert(
	BOUND_VOTES_MATCHED + BOUND_VOTES_VERIFIED + BOUND_VOTES_FORGED + BOUND_VOTES_OTHER ==
		BOUND_VOTES_PER_SENDER,
	"the kinds share the bound");

enum vote_kind vote_kind_of(const struct vote *v)
{
	return v->yes_at != TIME_NONE         ? VOTE_MATCHED
		: v->verified_at != TIME_NONE ? VOTE_VERIFIED
		: v->spoof_at != TIME_NONE    ? VOTE_FORGED
					      : VOTE_OTHER;
}

/* The newest of one kind, at most its bound. */
static size_t newest_of(
	enum vote_kind kind, const struct vote *votes, size_t n, const struct vote **out)
{
	size_t kept = 0, most = vote_bound[kind];

	for (size_t i = 0; i < n; i++) {
		if (vote_kind_of(&votes[i]) != kind)
			continue;
		if (kept < most) {
			out[kept++] = &votes[i];
			for (size_t k = kept == most ? most / 2 : 0; k-- > 0;)
				sink(out, most, k);
		} else if (newer(&votes[i], out[0])) {
			out[0] = &votes[i];
			sink(out, most, 0);
		}
	}
	return kept;
}

size_t votes_newest(
	const struct vote *votes, size_t n, const struct vote *out[BOUND_VOTES_PER_SENDER])
{
	size_t kept = 0;

	if (n <= BOUND_VOTES_PER_SENDER) {
		for (; kept < n; kept++)
			out[kept] = &votes[kept];
		return kept;
	}
	for (enum vote_kind k = VOTE_MATCHED; k <= VOTE_OTHER; k++)
		kept += newest_of(k, votes, n, out + kept);
	return kept;
}
