/* What a vote holds and how two of the same sender, service, reporter and day become one: docs/judgement.md section 3. Also the
 * choice of the newest votes that score and ladder look at. Leaves out what a report weighs and where votes are stored. */
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

size_t votes_newest(
	const struct vote *votes, size_t n, const struct vote *out[BOUND_VOTES_PER_SENDER])
{
	size_t kept = n < BOUND_VOTES_PER_SENDER ? n : BOUND_VOTES_PER_SENDER;

	for (size_t i = 0; i < kept; i++)
		out[i] = &votes[i];
	if (kept == n)
		return kept;
	for (size_t i = kept / 2; i-- > 0;)
		sink(out, kept, i);
	for (size_t i = kept; i < n; i++) {
		if (!newer(&votes[i], out[0]))
			continue;
		out[0] = &votes[i];
		sink(out, kept, 0);
	}
	return kept;
}
