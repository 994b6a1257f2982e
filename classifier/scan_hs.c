/* One scan over a text for all patterns at once (libhs: vectorscan or Hyperscan). It is given weaker patterns (weaken.c): a pattern
 * that matches is always among the candidates, one that does not may be. PCRE2 has the last word on each. */
#include <hs/hs.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "classifier/rules.h"

/* Not HS_FLAG_SINGLEMATCH: with it vectorscan 5.4.9 loses matches of a repeated character beyond byte 64. */
#define FLAGS (HS_FLAG_PREFILTER | HS_FLAG_ALLOWEMPTY)

struct prefilter {
	hs_database_t *db; /* NULL: every pattern is a candidate in every text */
	uint32_t *always;  /* what libhs could not take */
	size_t always_n;
	size_t patterns;
	uint8_t key[SHA256_LEN];
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

/* Of all that the compiled scan depends on. */
static bool key_of(const struct wanted *w, const struct prefilter *f,
	const uint8_t salt[SHA256_LEN], uint8_t out[SHA256_LEN])
{
	BUF_OWN struct buf b;
	hs_platform_info_t platform;

	memset(&platform, 0, sizeof(platform));
	if (hs_populate_platform(&platform) != HS_SUCCESS)
		return false;
	buf_init(&b, (size_t)64 << 20);
	buf_add(&b, slice_of((const char *)salt, SHA256_LEN));
	buf_add(&b, slice_str(hs_version()));
	buf_add(&b, slice_of((const char *)&platform, sizeof(platform)));
	buf_fmt(&b, "\n%zu", f->patterns);
	for (size_t i = 0; i < f->always_n; i++)
		buf_fmt(&b, " %u", f->always[i]);
	for (unsigned i = 0; i < w->n; i++)
		buf_fmt(&b, "\n%u %u %zu %s", w->number[i], w->flags[i], strlen(w->text[i]),
			w->text[i]);
	if (b.failed)
		return false;
	sha256(buf_slice(&b), out);
	return true;
}

/* Body of the file: how many are always candidates, which, then the database as libhs writes it (nothing when there is none). */
static bool take_kept(struct prefilter *f, struct slice body)
{
	uint64_t n;

	if (body.len < sizeof(n))
		return false;
	memcpy(&n, body.ptr, sizeof(n));
	if (n > f->patterns || body.len < sizeof(n) + n * sizeof(uint32_t))
		return false;
	const char *numbers = body.ptr + sizeof(n), *db = numbers + n * sizeof(uint32_t);
	size_t len = body.len - (size_t)(db - body.ptr);
	for (size_t i = 0; i < n; i++) {
		uint32_t number;

		memcpy(&number, numbers + i * sizeof(number), sizeof(number));
		if (number >= f->patterns)
			return false;
	}
	if (len > 0 && hs_deserialize_database(db, len, &f->db) != HS_SUCCESS) {
		f->db = NULL;
		return false;
	}
	memcpy(f->always, numbers, n * sizeof(uint32_t));
	f->always_n = n;
	return true;
}

void prefilter_keep(const struct prefilter *f, const char *dir)
{
	BUF_OWN struct buf b;
	uint64_t n = f->always_n;
	char *bytes = NULL;
	size_t len = 0;

	if (f->db != NULL && hs_serialize_database(f->db, &bytes, &len) != HS_SUCCESS)
		return;
	buf_init(&b, SCAN_CACHE_BYTES);
	buf_add(&b, slice_of((const char *)&n, sizeof(n)));
	buf_add(&b, slice_of((const char *)f->always, f->always_n * sizeof(*f->always)));
	buf_add(&b, slice_of(bytes, len));
	if (!b.failed)
		scan_cache_put(dir, f->key, buf_slice(&b));
	free(bytes);
}

enum rc prefilter_cached(const struct slice *pattern, size_t n, bool lower, const char *dir,
	const uint8_t salt[SHA256_LEN], struct prefilter **out, bool *kept, struct err *e)
{
	OWN(prefilter_free) struct prefilter *f = calloc(1, sizeof(*f));
	BUF_OWN struct buf file;
	struct wanted w = {0};
	enum rc rc = RC_RETRY;

	buf_init(&file, SCAN_CACHE_BYTES);
	*kept = false;

	if (f != NULL)
		f->always = calloc(n + 1, sizeof(*f->always));
	if (f != NULL)
		f->patterns = n;
	if (f == NULL || f->always == NULL || !wanted_fill(f, &w, pattern, n, lower))
		(void)err_set(e, RC_RETRY, "out of memory");
	else if (dir[0] != '\0' && key_of(&w, f, salt, f->key) &&
		scan_cache_get(dir, f->key, &file) && take_kept(f, scan_cache_body(&file))) {
		*kept = true;
		rc = RC_OK;
	} else
		rc = compile(f, &w, e);
	wanted_free(&w, n);
	if (rc == RC_OK)
		*out = TAKE(f);
	return rc;
}

enum rc prefilter_new(
	const struct slice *pattern, size_t n, bool lower, struct prefilter **out, struct err *e)
{
	static const uint8_t none[SHA256_LEN];
	bool kept;

	return prefilter_cached(pattern, n, lower, "", none, out, &kept, e);
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

struct seen {
	uint64_t *bits;
	struct span *span;
};

static int on_match(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	const struct seen *seen = arg;

	(void)from;
	(void)flags;
	if (seen->span != NULL) {
		struct span *at = &seen->span[id];

		/* ends come in order, but for one that comes twice */
		at->first = bit_get(seen->bits, id) && at->first < to ? at->first : (uint32_t)to;
		at->last = bit_get(seen->bits, id) && at->last > to ? at->last : (uint32_t)to;
	}
	bit_set(seen->bits, id);
	return 0;
}

static void anywhere(struct seen *seen, size_t id, struct slice text)
{
	bit_set(seen->bits, id);
	if (seen->span != NULL)
		seen->span[id] = (struct span){0, (uint32_t)text.len};
}

void prefilter_scan(const struct prefilter *f, struct prefilter_scratch *s, struct slice text,
	uint64_t *out, struct span *span)
{
	struct seen seen = {out, span};

	for (size_t i = 0; i < f->always_n; i++)
		anywhere(&seen, f->always[i], text);
	/* A scan that fails says nothing about any pattern: all are tried. */
	if (f->db != NULL &&
		hs_scan(f->db, text.ptr, (unsigned)text.len, 0, s->hs, on_match, &seen) !=
			HS_SUCCESS)
		for (size_t i = 0; i < f->patterns; i++)
			anywhere(&seen, i, text);
}
