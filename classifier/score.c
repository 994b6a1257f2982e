/* The score of a sender from its votes: docs/judgement.md section 4. A pure function of the set of votes: sums are made over sorted
 * values, so that neither the order of votes nor the numbers that stand for reporters change a bit of the result. */
#include <math.h>
#include <stdlib.h>

#include "classifier/votes.h"

/* One reporter's part in the score. */
struct share {
	float weight;
	bool scam, yes;
	int64_t last_at;
};

static int by_reporter(const void *a, const void *b)
{
	const struct vote *x = *(const struct vote *const *)a, *y = *(const struct vote *const *)b;

	if (x->reporter != y->reporter)
		return x->reporter < y->reporter ? -1 : 1;
	return x->day < y->day ? -1 : x->day > y->day;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int by_day(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return x < y ? -1 : x > y;
}

static bool counts(const struct vote *v, int64_t floor)
{
	return v->weight > 0 && v->first_at != TIME_NONE && v->last_at != TIME_NONE &&
		v->first_at >= floor;
}

static double sum_sorted(double *values, size_t n)
{
	double sum = 0;

	qsort(values, n, sizeof(*values), by_value);
	for (size_t i = 0; i < n; i++)
		sum += values[i];
	return sum;
}

/* votes: sorted by reporter. */
static size_t shares_of(const struct vote *const *votes, size_t n, struct share *out)
{
	size_t shares = 0;

	for (size_t i = 0; i < n; i++) {
		const struct vote *v = votes[i];

		if (i == 0 || v->reporter != votes[i - 1]->reporter)
			out[shares++] = (struct share){.last_at = TIME_NONE};
		struct share *s = &out[shares - 1];
		if (v->weight > s->weight)
			s->weight = v->weight;
		if (v->last_at > s->last_at)
			s->last_at = v->last_at;
		s->scam = s->scam || v->scam;
		s->yes = s->yes || v->yes_at != TIME_NONE;
	}
	return shares;
}

static size_t days_of(const struct vote *const *votes, size_t n, int64_t as_of)
{
	int32_t day[BOUND_VOTES_PER_SENDER];
	size_t days = 0, distinct = 0;

	for (size_t i = 0; i < n; i++)
		if (votes[i]->first_at > as_of - 240 * US_PER_HOUR && votes[i]->first_at <= as_of)
			day[days++] = votes[i]->day;
	qsort(day, days, sizeof(*day), by_day);
	for (size_t i = 0; i < days; i++)
		distinct += i == 0 || day[i] != day[i - 1];
	return distinct;
}

static void add(struct score *s, const char *name, double weight)
{
	if (weight != 0)
		s->term[s->terms++] = (struct score_term){name, weight};
}

/* ln(1 + max(0, n - 1)): the first counts nothing. */
static double beyond_first(size_t n)
{
	return n > 1 ? log((double)n) : 0;
}

void score_votes(const struct score_weights *w, const struct vote *votes, size_t n, int64_t floor,
	const struct signals *known, struct score *out)
{
	const struct vote *of[BOUND_VOTES_PER_SENDER];
	struct share share[BOUND_VOTES_PER_SENDER];
	double all[BOUND_VOTES_PER_SENDER], scam[BOUND_VOTES_PER_SENDER];
	size_t newest = votes_newest(votes, n, of), kept = 0, scams = 0, yes = 0, today = 0;
	float text = 0, claim = 0;

	*out = (struct score){.as_of = TIME_NONE};
	for (size_t i = 0; i < newest; i++) {
		if (!counts(of[i], floor))
			continue;
		of[kept++] = of[i];
		if (of[i]->last_at > out->as_of)
			out->as_of = of[i]->last_at;
		text = of[i]->text_score > text ? of[i]->text_score : text;
		claim = of[i]->claim_score > claim ? of[i]->claim_score : claim;
	}
	if (kept == 0)
		return;
	qsort(of, kept, sizeof(const struct vote *), by_reporter);
	size_t shares = shares_of(of, kept, share);
	for (size_t i = 0; i < shares; i++) {
		double age_s = (double)(out->as_of - share[i].last_at) / (double)US_PER_S;

		all[i] = (double)share[i].weight * exp2(-age_s / w->half_life_s);
		if (share[i].scam)
			scam[scams++] = all[i];
		yes += share[i].yes;
		today += share[i].last_at > out->as_of - 24 * US_PER_HOUR;
	}
	add(out, "REPORTERS", w->reporters * log1p(sum_sorted(all, shares)));
	add(out, "SCAM", w->scam * log1p(sum_sorted(scam, scams)));
	add(out, "VELOCITY", w->velocity * beyond_first(today));
	add(out, "SPREAD", w->spread * beyond_first(days_of(of, kept, out->as_of)));
	add(out, "TEXT", w->text * (double)text);
	add(out, "CLAIM", w->claim * (double)claim);
	add(out, "CONTACT", yes >= 2 ? w->contact : 0);
	if (known != NULL) {
		add(out, "CAMPAIGN", w->campaign * known->campaign / 4);
		add(out, "BEHAVIOUR", w->behaviour * (double)known->behaviour);
		add(out, "POLL", w->poll * (double)known->poll);
	}

	double z = w->bias;
	for (size_t i = 0; i < out->terms; i++)
		z += out->term[i].weight;
	out->value = 1 / (1 + exp(-z));
}
