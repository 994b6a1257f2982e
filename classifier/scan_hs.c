/* One scan over a text for all patterns at once (libhs: vectorscan or Hyperscan). It is given weaker patterns (weaken.c): a pattern
 * that matches is always among the candidates, one that does not may be. PCRE2 has the last word on each. */
#include <hs/hs.h>
#include <stdlib.h>

#include "classifier/rules.h"

/* Not HS_FLAG_SINGLEMATCH: with it vectorscan 5.4.9 loses matches of a repeated character beyond byte 64. */
#define FLAGS (HS_FLAG_PREFILTER | HS_FLAG_ALLOWEMPTY)

struct prefilter {
	hs_database_t *db; /* NULL: every pattern is a candidate in every text */
	uint32_t *always;  /* what libhs could not take */
	size_t always_n;
	size_t patterns;
};
struct prefilter_scratch {
	hs_scratch_t *hs;
};

/* The patterns that libhs is given, in the three arrays that it wants. */
struct wanted {
	const char **text;
	struct buf *own; /* what text points at */
	unsigned *flags, *number;
	unsigned n;
};

static void wanted_free(struct wanted *w, size_t n)
{
	for (size_t i = 0; w->own != NULL && i < n; i++)
		buf_done(&w->own[i]);
	free(w->own);
	free((void *)w->text);
	free(w->flags);
	free(w->number);
}

/* Caseless UTF-8 is the meaning of every pattern (k also matches the Kelvin sign); what a text of small letters cannot show is left
 * out, because it makes the scan many times larger. */
static unsigned flags_for(struct slice pattern, bool lower)
{
	bool wide = !lower, capital = !lower;

	for (size_t i = 0; i < pattern.len; i++) {
		unsigned char c = (unsigned char)pattern.ptr[i];

		/* . [^ \\D \\W \\S take characters, not bytes; the capital of an escape is found here too, at no harm */
		wide = wide || c >= 0x80 || c == '.' || c == '^' || (c >= 'A' && c <= 'Z');
		capital = capital || c >= 0x80 || (c >= 'A' && c <= 'Z');
	}
	return FLAGS | (wide ? HS_FLAG_UTF8 : 0) | (capital ? HS_FLAG_CASELESS : 0);
}

static bool wanted_fill(
	struct prefilter *f, struct wanted *w, const struct slice *pattern, size_t n, bool lower)
{
	w->text = calloc(n + 1, sizeof(*w->text));
	w->own = calloc(n + 1, sizeof(*w->own));
	w->flags = calloc(n + 1, sizeof(*w->flags));
	w->number = calloc(n + 1, sizeof(*w->number));
	if (w->text == NULL || w->own == NULL || w->flags == NULL || w->number == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		buf_init(&w->own[i], (size_t)BOUND_PATTERN * 2);
		if (pattern[i].ptr == NULL)
			continue;
		if (!pattern_weaken(pattern[i], &w->own[i])) {
			f->always[f->always_n++] = (uint32_t)i;
			continue;
		}
		w->text[w->n] = w->own[i].ptr;
		w->flags[w->n] = flags_for(buf_slice(&w->own[i]), lower);
		w->number[w->n++] = (unsigned)i;
	}
	return true;
}

/* Takes one pattern out; it is a candidate in every text from now on. */
static void give_up(struct prefilter *f, struct wanted *w, unsigned at)
{
	f->always[f->always_n++] = w->number[at];
	w->n--;
	w->text[at] = w->text[w->n];
	w->flags[at] = w->flags[w->n];
	w->number[at] = w->number[w->n];
}

static enum rc compile(struct prefilter *f, struct wanted *w, struct err *e)
{
	while (w->n > 0) {
		hs_compile_error_t *why = NULL;
		hs_error_t rc = hs_compile_multi(
			w->text, w->flags, w->number, w->n, HS_MODE_BLOCK, NULL, &f->db, &why);

		if (rc == HS_SUCCESS)
			return RC_OK;
		if (why == NULL || why->expression < 0) {
			(void)err_set(e, RC_RETRY, "prefilter: %s",
				why != NULL ? why->message : "out of memory");
			(void)hs_free_compile_error(why);
			return RC_RETRY;
		}
		give_up(f, w, (unsigned)why->expression);
		(void)hs_free_compile_error(why);
	}
	return RC_OK;
}

enum rc prefilter_new(
	const struct slice *pattern, size_t n, bool lower, struct prefilter **out, struct err *e)
{
	OWN(prefilter_free) struct prefilter *f = calloc(1, sizeof(*f));
	struct wanted w = {0};
	enum rc rc = RC_RETRY;

	if (f != NULL)
		f->always = calloc(n + 1, sizeof(*f->always));
	if (f != NULL)
		f->patterns = n;
	if (f == NULL || f->always == NULL || !wanted_fill(f, &w, pattern, n, lower))
		(void)err_set(e, RC_RETRY, "out of memory");
	else
		rc = compile(f, &w, e);
	wanted_free(&w, n);
	if (rc == RC_OK)
		*out = TAKE(f);
	return rc;
}

void prefilter_free(struct prefilter *f)
{
	if (f == NULL)
		return;
	(void)hs_free_database(f->db);
	free(f->always);
	free(f);
}

enum rc prefilter_scratch_new(const struct prefilter *a, const struct prefilter *b,
	struct prefilter_scratch **out, struct err *e)
{
	OWN(prefilter_scratch_free) struct prefilter_scratch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (a != NULL && a->db != NULL && hs_alloc_scratch(a->db, &s->hs) != HS_SUCCESS)
		return err_set(e, RC_RETRY, "prefilter: no scratch");
	if (b != NULL && b->db != NULL && hs_alloc_scratch(b->db, &s->hs) != HS_SUCCESS)
		return err_set(e, RC_RETRY, "prefilter: no scratch");
	*out = TAKE(s);
	return RC_OK;
}

void prefilter_scratch_free(struct prefilter_scratch *s)
{
	if (s == NULL)
		return;
	(void)hs_free_scratch(s->hs);
	free(s);
}

static int on_match(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)from;
	(void)to;
	(void)flags;
	bit_set(arg, id);
	return 0;
}

void prefilter_scan(
	const struct prefilter *f, struct prefilter_scratch *s, struct slice text, uint64_t *out)
{
	for (size_t i = 0; i < f->always_n; i++)
		bit_set(out, f->always[i]);
	/* A scan that fails says nothing about any pattern: all are tried. */
	if (f->db != NULL &&
		hs_scan(f->db, text.ptr, (unsigned)text.len, 0, s->hs, on_match, out) != HS_SUCCESS)
		for (size_t i = 0; i < f->patterns; i++)
			bit_set(out, i);
}
