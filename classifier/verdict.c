/* The verdict on one text: fold, one scan for all rules, PCRE2 for the candidates, combinations, sums, label: docs/judgement.md section 2.
 * A pure function of text and pack; a scan holds a thread's scratch and nothing between texts. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "classifier/fold.h"
#include "classifier/model.h"
#include "classifier/rules.h"

/* A folded text and its map, and once more, up to four times as long, when words of it are read otherwise. */
#define ARENA_BYTES ((size_t)BOUND_CONTENT * FOLD_GROWTH * 5 * 5 + 65536)

/* So many patterns may be given up on one text; then it is left. */
#define GIVE_UP_AFTER 4

struct scan {
	const struct pack *p;
	struct arena *arena;
	struct re_scratch *re;
	struct prefilter_scratch *hs;
	uint64_t *candidate, *fired, *all; /* bits by rule; all: also those on trial */
	uint64_t *named;                   /* bits by combination */
	size_t words;
	struct span *span; /* by rule, of candidates: where the scan saw it */
	struct term *term; /* room for every rule, every combination and the model's two */
	size_t terms,
		shadows; /* term: those that count from the front, those on trial from the back */
	size_t room, given_up;
	const struct model *model; /* NULL: none */
	struct features *features;
};

void scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	arena_free(s->arena);
	re_scratch_free(s->re);
	prefilter_scratch_free(s->hs);
	free(s->candidate);
	free(s->fired);
	free(s->all);
	free(s->named);
	free(s->span);
	free(s->term);
	free(s->features);
	free(s);
}

enum rc scan_new(const struct pack *p, struct scan **out, struct err *e)
{
	OWN(scan_free) struct scan *s = calloc(1, sizeof(*s));
	enum rc rc;

	if (s == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	s->p = p;
	s->words = p->rules / 64 + 1;
	s->arena = arena_new(ARENA_BYTES);
	s->re = re_scratch_new();
	s->candidate = calloc(s->words, sizeof(*s->candidate));
	s->fired = calloc(s->words, sizeof(*s->fired));
	s->all = calloc(s->words, sizeof(*s->all));
	s->named = calloc(p->combination_words, sizeof(*s->named));
	s->span = calloc(p->rules + 1, sizeof(*s->span));
	s->room = p->rules + p->combinations + 2;
	s->term = calloc(s->room, sizeof(*s->term));
	if (s->arena == NULL || s->re == NULL || s->candidate == NULL || s->fired == NULL ||
		s->all == NULL || s->named == NULL || s->span == NULL || s->term == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = prefilter_scratch_new(p->folded, p->raw, &s->hs, e);
	if (rc == RC_OK)
		*out = TAKE(s);
	return rc;
}

enum rc scan_model(struct scan *s, const struct model *m, struct err *e)
{
	if (m != NULL && s->features == NULL &&
		(s->features = malloc(sizeof(*s->features))) == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	s->model = m;
	return RC_OK;
}

/* What the rules look at: the text as received (bytes that are not UTF-8 made blanks, so that offsets stay) and the folded copy. */
struct views {
	struct slice content, raw;
	struct folded folded;
};

static struct slice without_bad_bytes(struct scan *s, struct slice text)
{
	struct slice copy, rest;

	if (slice_utf8_valid(text))
		return text;
	copy = arena_copy(s->arena, text);
	assert(copy.ptr != NULL);
	rest = copy;
	while (rest.len > 0) {
		char *at = (char *)(uintptr_t)rest.ptr; /* our own copy */
		uint32_t cp;

		if (!utf8_next(&rest, &cp))
			*at = ' ';
	}
	return copy;
}

static void look(struct scan *s, struct slice content, struct views *v)
{
	enum rc rc;

	arena_reset(s->arena);
	v->content = content;
	rc = fold(s->p->fold, content, s->arena, &v->folded);
	assert(rc == RC_OK); /* the arena has room for the longest text */
	if (s->p->raw != NULL)
		v->raw = without_bad_bytes(s, content);
}

/* The raw text behind [from, to) of the folded one, whole characters of it. */
static struct slice raw_of(const struct views *v, size_t from, size_t to)
{
	const uint32_t *map = v->folded.map;

	while (to > 0 && to < v->folded.text.len && map[to] == map[to - 1])
		to++;
	return slice_of(v->content.ptr + map[from], map[to] - map[from]);
}

static void put_term(struct scan *s, bool shadow, struct term t)
{
	if (t.weight == 0)
		return;
	if (shadow)
		s->term[s->room - ++s->shadows] = t;
	else
		s->term[s->terms++] = t;
}

static void fired(struct scan *s, size_t i, struct slice match, const struct views *v)
{
	const struct rule *r = &s->p->rule[i];

	bit_set(s->all, i);
	if (!r->shadow)
		bit_set(s->fired, i);
	put_term(s, r->shadow,
		(struct term){r->symbol, r->weight, r->label, match,
			(uint32_t)(match.ptr - v->content.ptr)});
}

static void try_rule(struct scan *s, const struct views *v, size_t i, struct verdict *out)
{
	const struct rule *r = &s->p->rule[i];
	size_t from = 0, to = 0;

	if (r->fact != FACT_NONE) {
		const struct evidence *e = fact_find(r->fact, out->evidence, out->evidences);

		fired(s, i, slice_of(v->content.ptr + e->raw_at, e->raw_len), v);
		return;
	}
	switch (re_find_near(
		r->re, s->re, r->raw ? v->raw : v->folded.text, s->span[i], &from, &to)) {
	case RE_NO:
		return;
	case RE_GAVE_UP:
		out->undecided = out->undecided || !r->shadow;
		s->given_up++;
		return;
	case RE_YES:
		break;
	}
	fired(s, i, r->raw ? slice_of(v->content.ptr + from, to - from) : raw_of(v, from, to), v);
}

static void try_combination(struct scan *s, const struct views *v, size_t i)
{
	const struct combination *c = &s->p->combination[i];

	if (when_holds(&c->when, c->shadow ? s->all : s->fired))
		put_term(s, c->shadow,
			(struct term){c->symbol, c->weight, c->label, {v->content.ptr, 0}, 0});
}

/* Those that name a rule that fired; the others are false. */
static void run_combinations(struct scan *s, const struct views *v)
{
	size_t words = s->p->combination_words;

	memset(s->named, 0, words * sizeof(*s->named));
	for (size_t w = 0; w < s->words; w++)
		for (uint64_t bits = s->all[w]; bits != 0; bits &= bits - 1) {
			const uint64_t *by =
				s->p->named_by + (w * 64 + (size_t)__builtin_ctzll(bits)) * words;

			for (size_t k = 0; k < words; k++)
				s->named[k] |= by[k];
		}
	for (size_t w = 0; w < words; w++)
		for (uint64_t bits = s->named[w]; bits != 0; bits &= bits - 1)
			try_combination(s, v, w * 64 + (size_t)__builtin_ctzll(bits));
}

static void run_rules(struct scan *s, const struct views *v, struct verdict *out)
{
	memset(s->candidate, 0, s->words * sizeof(*s->candidate));
	memset(s->fired, 0, s->words * sizeof(*s->fired));
	memset(s->all, 0, s->words * sizeof(*s->all));
	s->terms = s->shadows = s->given_up = 0;
	if (s->p->folded != NULL)
		prefilter_scan(s->p->folded, s->hs, v->folded.text, s->candidate, s->span);
	if (s->p->raw != NULL)
		prefilter_scan(s->p->raw, s->hs, v->raw, s->candidate, s->span);
	for (size_t i = 0; i < s->p->fact_rules; i++)
		if (fact_find(s->p->rule[s->p->fact_rule[i]].fact, out->evidence, out->evidences) !=
			NULL)
			bit_set(s->candidate, s->p->fact_rule[i]);
	for (size_t w = 0; w < s->words; w++)
		for (uint64_t bits = s->candidate[w]; bits != 0 && s->given_up < GIVE_UP_AFTER;
			bits &= bits - 1)
			try_rule(s, v, w * 64 + (size_t)__builtin_ctzll(bits), out);
	run_combinations(s, v);
}

/* What the model adds to the sum of a class. */
static void model_term(struct scan *s, const struct views *v, const struct model_said *said,
	const char *name, enum label label, double weight, double part[LABEL_SCAM + 1])
{
	struct slice match = raw_of(v, said->from, said->to);

	part[label] = weight;
	put_term(s, false,
		(struct term){name, weight, label, match, (uint32_t)(match.ptr - v->content.ptr)});
}

static void run_model(struct scan *s, const struct views *v, double part[LABEL_SCAM + 1])
{
	struct model_said said;

	if (s->model == NULL)
		return;
	model_judge(s->model, v->folded.text, s->features, &said);
	if (said.bad < 0)
		model_term(s, v, &said, "MODEL_HAM", LABEL_HAM, said.bad, part);
	if (said.bad <= 0)
		return;
	model_term(s, v, &said, "MODEL_SPAM", LABEL_SPAM, said.bad * (1 - said.scam), part);
	model_term(s, v, &said, "MODEL_SCAM", LABEL_SCAM, said.bad * said.scam, part);
}

/* part: what the model adds, outside the caps of the rules. */
static void decide(const struct scan *s, size_t of_rules, const double part[LABEL_SCAM + 1],
	struct verdict *out)
{
	double sum[LABEL_SCAM + 1] = {0};

	for (size_t i = 0; i < of_rules; i++)
		sum[s->term[i].label] += s->term[i].weight;
	for (size_t k = LABEL_HAM; k <= LABEL_SCAM; k++) {
		double cap = s->p->cap[k];

		sum[k] = sum[k] > cap ? cap : sum[k] < -cap ? -cap : sum[k];
		sum[k] += part[k];
	}
	double z = s->p->bias + sum[LABEL_SCAM] + sum[LABEL_SPAM] + sum[LABEL_HAM];

	out->score = 1 / (1 + exp(-(s->p->scale * z + s->p->shift)));
	if (out->score < s->p->label_at)
		out->label = LABEL_HAM;
	else if (sum[LABEL_SCAM] >= s->p->scam_share * (sum[LABEL_SCAM] + sum[LABEL_SPAM]))
		out->label = LABEL_SCAM;
	else
		out->label = LABEL_SPAM;
}

static int by_strength(const void *a, const void *b)
{
	const struct term *x = a, *y = b;
	double p = fabs(x->weight), q = fabs(y->weight);

	return p != q ? (p > q ? -1 : 1) : strcmp(x->name, y->name);
}

void classify(struct scan *s, struct slice content, struct verdict *out)
{
	double part[LABEL_SCAM + 1] = {0};
	struct views v;

	out->label = LABEL_NONE;
	out->score = 0;
	out->undecided = false;
	out->cut = content.len > BOUND_CONTENT;
	out->fingerprint = 0;
	out->sketch = (struct sketch){0};
	out->folded = (struct folded){0};
	out->terms = out->shadows = out->evidences = 0;
	if (content.len == 0)
		return;
	look(s, content_cut(content), &v);
	out->folded = v.folded;
	enum rc rc = extract(s->p->links, &v.folded, s->arena, out->evidence, &out->evidences);
	assert(rc == RC_OK); /* the arena has room for it too */
	run_rules(s, &v, out);
	size_t of_rules = s->terms;
	run_model(s, &v, part);
	decide(s, of_rules, part, out);
	sketch_make(v.folded.text, &out->sketch);
	out->fingerprint = out->sketch.fingerprint;
	qsort(s->term, s->terms, sizeof(*s->term), by_strength);
	out->terms = s->terms < BOUND_TERMS ? s->terms : BOUND_TERMS;
	memcpy(out->term, s->term, out->terms * sizeof(*s->term));
	struct term *shadow = s->term + s->room - s->shadows;
	qsort(shadow, s->shadows, sizeof(*shadow), by_strength);
	out->shadows = s->shadows < BOUND_SHADOWS ? s->shadows : BOUND_SHADOWS;
	memcpy(out->shadow, shadow, out->shadows * sizeof(*shadow));
}
