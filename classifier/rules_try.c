/* Tries each rule of a pack that is being loaded: its pattern on hostile texts, where a slow one is refused, and its examples, found the way
 * a verdict finds them. */
#include <stdlib.h>

#include "classifier/fold.h"
#include "classifier/rules.h"

#define HOSTILE_BYTES 600
#define HOSTILE_STEPS 1000
#define HOSTILE_WORDS 48

/* A hostile text: `unit` again and again, and an end that fits nothing. False: the pattern is slow on it. */
static bool quick_on(const struct re *re, struct slice unit)
{
	char text[HOSTILE_BYTES];
	size_t len = 0;

	while (unit.len > 0 && len + unit.len < sizeof(text)) {
		memcpy(text + len, unit.ptr, unit.len);
		len += unit.len;
	}
	text[len++] = '~';
	return !re_needs_more(re, slice_of(text, len), HOSTILE_STEPS);
}

/* `first` once, then `second` as often as fits a gap. */
static bool quick_on_pair(const struct re *probe, struct slice first, struct slice second)
{
	char unit[REPEAT_MAX * 2];
	size_t len = first.len < REPEAT_MAX ? first.len : REPEAT_MAX;

	memcpy(unit, first.ptr, len);
	while (len + second.len <= sizeof(unit)) {
		memcpy(unit + len, second.ptr, second.len);
		len += second.len;
	}
	return quick_on(probe, slice_of(unit, len));
}

/* The words of the pattern: its runs of letters, digits and blanks. */
static size_t words_of(struct slice pattern, struct slice out[HOSTILE_WORDS])
{
	size_t n = 0, run = 0;

	for (size_t i = 0; i <= pattern.len && n < HOSTILE_WORDS; i++) {
		char c = i < pattern.len ? pattern.ptr[i] : '\0';

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ') {
			run++;
		} else {
			if (run > 0)
				out[n++] = slice_of(pattern.ptr + i - run, run);
			run = 0;
		}
	}
	return n;
}

/* Each word of the pattern and each of its letters again and again, and after the words before it. */
static bool quick_on_own_words(const struct re *probe, const struct rule *r)
{
	struct slice word[HOSTILE_WORDS];
	size_t words = words_of(r->pattern, word);
	bool done[128] = {false}, quick = true;

	for (size_t i = 0; i < words && quick; i++) {
		quick = quick_on(probe, word[i]) &&
			(i == 0 || quick_on_pair(probe, word[i - 1], word[i])) &&
			(i < 2 || quick_on_pair(probe, word[0], word[i]));
		for (size_t k = 0; k < word[i].len && quick; k++) {
			char c = word[i].ptr[k];

			if (done[(size_t)c])
				continue;
			done[(size_t)c] = true;
			quick = quick_on(probe, slice_of(&c, 1));
		}
	}
	return quick;
}

static bool quick_on_examples(
	const struct re *probe, const struct rule *r, const struct fold_table *t, struct arena *a)
{
	for (const struct yaml *x = r->match->child; x != NULL; x = x->next) {
		struct folded f;

		arena_reset(a);
		if (fold(t, x->value, a, &f) != RC_OK)
			return false;
		struct slice text = r->raw ? x->value : f.text;
		if (text.len > HOSTILE_BYTES - 1)
			text.len = HOSTILE_BYTES - 1;
		while (text.len > 0 && !slice_utf8_valid(text)) /* cut inside a character */
			text.len--;
		if (!quick_on(probe, text))
			return false;
	}
	return true;
}

static void check_quick(
	const struct rule *r, const struct fold_table *t, struct arena *a, struct complaints *c)
{
	static const struct slice hostile[] = {{"a", 1}, {"1", 1}, {" ", 1}, {".", 1}, {"-", 1},
		{"\n", 1}, {"/", 1}, {"!", 1}, {"a ", 2}, {"1 ", 2}, {"a1", 2}, {"a.", 2},
		{"1.", 2}, {"aaaaaaaaa ", 10}, {"0912345678 ", 11}, {"500.000d ", 9},
		{"http://a.", 9}, {"a.a/a?a=", 8}, {"!@#$%^&*()", 10}, {"vay tien ", 9}};
	OWN(re_free) struct re *probe = NULL;
	char why[RE_WHY];
	bool quick = re_compile_probe(r->pattern, &probe, why) == RC_OK;

	for (size_t i = 0; i < ARRAY_LEN(hostile) && quick; i++)
		quick = quick_on(probe, hostile[i]);
	quick = quick && quick_on_own_words(probe, r) && quick_on_examples(probe, r, t, a);
	if (!quick)
		complain(c, r->file, r->pattern_line,
			"%s: the pattern is slow: it can take more than %d steps from one "
			"position; bound its gaps, as in .{0,30}",
			r->symbol, HOSTILE_STEPS);
}

struct trial {
	const struct pack *p;
	struct re_scratch *re;
	struct prefilter_scratch *hs;
	struct arena *arena;
	uint64_t *candidate;
	struct complaints *c;
};

/* Found the way a verdict finds it: a candidate of the one scan, then PCRE2. */
static bool fires(const struct trial *t, size_t rule, struct slice raw)
{
	const struct rule *r = &t->p->rule[rule];
	struct folded f;
	size_t from, to;

	arena_reset(t->arena);
	if (fold(t->p->fold, raw, t->arena, &f) != RC_OK)
		return false;
	if (r->fact != FACT_NONE) {
		struct evidence found[BOUND_EVIDENCE];
		size_t n;

		return extract(t->p->links, &f, t->arena, found, &n) == RC_OK &&
			fact_find(r->fact, found, n) != NULL;
	}
	struct slice text = r->raw ? content_cut(raw) : f.text;
	memset(t->candidate, 0, (t->p->rules / 64 + 1) * sizeof(*t->candidate));
	prefilter_scan(r->raw ? t->p->raw : t->p->folded, t->hs, text, t->candidate, NULL);
	return bit_get(t->candidate, rule) && re_find(r->re, t->re, text, &from, &to) == RE_YES;
}

static void try_examples(const struct trial *t, size_t rule)
{
	const struct rule *r = &t->p->rule[rule];

	for (const struct yaml *x = r->match->child; x != NULL; x = x->next)
		if (!fires(t, rule, x->value))
			complain(
				t->c, r->file, x->line, "%s does not match its example", r->symbol);
	for (const struct yaml *x = r->nomatch->child; x != NULL; x = x->next)
		if (fires(t, rule, x->value))
			complain(t->c, r->file, x->line, "%s matches what it must not", r->symbol);
}

enum rc rules_try(const struct pack *p, struct complaints *c, struct err *e)
{
	OWN(re_scratch_free) struct re_scratch *re = re_scratch_new();
	OWN(arena_free) struct arena *arena = arena_new((size_t)2 << 20);
	OWN(prefilter_scratch_free) struct prefilter_scratch *hs = NULL;
	struct trial t = {.p = p, .re = re, .arena = arena, .c = c};
	enum rc rc = prefilter_scratch_new(p->folded, p->raw, &hs, e);

	if (rc != RC_OK)
		return rc;
	t.hs = hs;
	t.candidate = calloc(p->rules / 64 + 1, sizeof(*t.candidate));
	if (re == NULL || arena == NULL || t.candidate == NULL)
		rc = err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < p->rules && rc == RC_OK; i++) {
		if (p->rule[i].fact == FACT_NONE)
			check_quick(&p->rule[i], p->fold, arena, c);
		try_examples(&t, i);
	}
	free(t.candidate);
	return rc;
}
