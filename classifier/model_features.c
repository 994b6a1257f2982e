/* From the folded text to features: words, pairs of neighbours, and parts of 3 to 5 bytes, also across words. Numbers lose their value and keep their
 * length, so that no account or amount is ever learnt. The exact definition is docs/model.md section 1. */
#include "classifier/model.h"

enum { SPLIT, WORD, NUMBER };

static unsigned kind_of(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return NUMBER;
	return (c >= 'a' && c <= 'z') || c >= 0x80 ? WORD : SPLIT;
}

/* The words in a row, each between two blanks: " vay 0j 0tr ". */
struct row {
	struct features *f;
	char *norm;
	size_t len;
};

static void add(struct row *r, const char *text, size_t len, size_t from, size_t to)
{
	struct features *f = r->f;

	memcpy(r->norm + r->len, text, len);
	r->len += len;
	r->norm[r->len++] = ' ';
	f->word[f->words++] =
		(struct model_word){0, (uint32_t)(r->len - len - 1), (uint16_t)from, (uint16_t)to};
}

/* A word from i on: every number in it becomes one 0; a number alone becomes 0 and a letter for its length. Answers where it ends. */
static size_t add_word(struct row *r, struct slice t, size_t i)
{
	size_t from = i, len = 0;
	bool letters = false;
	char *word = r->norm + r->len; /* it only shrinks, but for one number alone */

	while (i < t.len && kind_of((unsigned char)t.ptr[i]) != SPLIT) {
		if (kind_of((unsigned char)t.ptr[i]) == WORD) {
			letters = true;
			word[len++] = t.ptr[i++];
			continue;
		}
		word[len++] = '0';
		while (i < t.len && kind_of((unsigned char)t.ptr[i]) == NUMBER)
			i++;
	}
	if (!letters)
		word[len++] = (char)('a' + (i - from < 12 ? i - from : 12) - 1);
	add(r, word, len, from, i);
	return i;
}

/* The few signs that are words: % $ ! alone, :// of a link, and a dot or @ with a letter or digit on both sides, one of them a letter. */
static size_t add_sign(struct row *r, struct slice t, size_t i)
{
	const char *p = t.ptr + i;
	size_t left = t.len - i;

	if (*p == '%' || *p == '$' || *p == '!') {
		add(r, p, 1, i, i + 1);
		return i + 1;
	}
	if (left >= 3 && memcmp(p, "://", 3) == 0) {
		add(r, p, 3, i, i + 3);
		return i + 3;
	}
	if ((*p == '.' || *p == '@') && i > 0 && left > 1) {
		unsigned before = kind_of((unsigned char)p[-1]),
			 after = kind_of((unsigned char)p[1]);

		if (before != SPLIT && after != SPLIT && (before == WORD || after == WORD))
			add(r, p, 1, i, i + 1);
	}
	return i + 1;
}

/* FNV-1a with the kind of feature as its first byte. */
static uint64_t begin(char kind)
{
	return (UINT64_C(0xcbf29ce484222325) ^ (unsigned char)kind) * UINT64_C(0x100000001b3);
}

static uint64_t more(uint64_t h, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static uint64_t finish(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 29;
}

/* ---- the words ---- */

void features_words(struct slice folded, struct features *out)
{
	struct row r = {.f = out, .norm = out->norm};

	if (folded.len > MODEL_TEXT)
		folded.len = MODEL_TEXT;
	out->words = out->all = 0;
	r.norm[r.len++] = ' ';
	for (size_t i = 0; i < folded.len;)
		i = kind_of((unsigned char)folded.ptr[i]) != SPLIT ? add_word(&r, folded, i)
								   : add_sign(&r, folded, i);
	out->norm_len = r.len;
	out->word[out->words].at = (uint32_t)r.len;
	for (size_t w = 0; w < out->words; w++)
		out->word[w].hash = finish(more(begin('w'), r.norm + out->word[w].at,
			out->word[w + 1].at - out->word[w].at - 1));
}

/* ---- each bucket once in its block ---- */

/* The buckets that were met, bit: keeps the blocks apart. */
struct met {
	uint32_t *table, mask, bit;
};

static void met_init(struct met *m, struct features *f)
{
	*m = (struct met){f->table, 255, 0};
	while (m->mask < 5 * f->norm_len)
		m->mask = m->mask * 2 + 1;
	memset(m->table, 0, (m->mask + 1) * sizeof(*m->table));
}

static inline bool is_new(struct met *m, uint32_t bucket)
{
	uint32_t key = (bucket << 1 | m->bit) + 1;

	for (uint32_t i = key * 0x9E3779B1u >> 12;; i++) {
		uint32_t *slot = &m->table[i & m->mask];

		if (*slot == key)
			return false;
		if (*slot != 0)
			continue;
		*slot = key;
		return true;
	}
}

/* Where features go: each bucket once into the row (training), or all that there are, to be weighed (a verdict). */
struct sink {
	struct features *f;
	const struct model_cell *cell; /* of the bank that weighs; NULL: training */
	struct met met;
	uint32_t mask;
};

static inline void put(struct sink *s, uint64_t hash, size_t word)
{
	uint32_t bucket = (uint32_t)hash & s->mask;
	struct features *f = s->f;

	if (s->cell != NULL) {
		__builtin_prefetch(&s->cell[bucket]);
		f->owner[f->all] = (uint16_t)word;
		f->bucket[f->all++] = bucket;
	} else if (is_new(&s->met, bucket)) {
		f->bucket[f->all++] = bucket;
	}
}

static inline void put_words(struct sink *s)
{
	const struct model_word *word = s->f->word;

	for (size_t w = 0; w < s->f->words; w++) {
		put(s, word[w].hash, w);
		if (w + 1 < s->f->words)
			put(s,
				finish(more(begin('p'), s->f->norm + word[w].at,
					word[w + 2].at - word[w].at - 1)),
				w);
	}
}

static inline void put_parts(struct sink *s)
{
	const struct model_word *word = s->f->word;
	const char *norm = s->f->norm, *end = norm + s->f->norm_len;

	for (size_t w = 0; w < s->f->words; w++)
		for (const char *p = norm + word[w].at - 1; p < norm + word[w + 1].at - 1; p++) {
			size_t left = (size_t)(end - p);
			uint64_t h;

			if (left < 3)
				break;
			h = more(begin('c'), p, 3);
			put(s, finish(h), w);
			if (left >= 4)
				put(s, finish(h = more(h, p + 3, 1)), w);
			if (left >= 5)
				put(s, finish(more(h, p + 4, 1)), w);
		}
}

void features_of(struct slice folded, unsigned bits, struct features *out)
{
	struct sink s = {.f = out, .mask = (UINT32_C(1) << bits) - 1};

	features_words(folded, out);
	met_init(&s.met, out);
	put_words(&s);
	out->of_words = out->all;
	s.met.bit = 1;
	put_parts(&s);
}

/* Most features of a text are not among those that were learnt. They are thrown out first, without a branch that could not be foretold. */
static void weigh(struct sink *s, struct block_sums *b)
{
	struct features *f = s->f;
	size_t n = 0;

	for (size_t i = 0; i < f->all; i++) {
		f->bucket[n] = f->bucket[i];
		f->owner[n] = f->owner[i];
		n += s->cell[f->bucket[i]].rare != 0;
	}
	f->all = 0;
	for (size_t i = 0; i < n; i++) {
		const struct model_cell *c = &s->cell[f->bucket[i]];

		if (!is_new(&s->met, f->bucket[i]))
			continue;
		b->square += (uint64_t)c->rare * c->rare;
		b->sum[HEAD_BAD] += c->rare * c->weight[HEAD_BAD];
		b->sum[HEAD_SCAM] += c->rare * c->weight[HEAD_SCAM];
		f->moved[f->owner[i]][s->met.bit] += c->rare * c->weight[HEAD_BAD];
	}
}

void features_weigh(
	struct features *f, const struct model_bank *m, unsigned bits, struct block_sums out[2])
{
	struct sink s = {.f = f, .cell = m->cell, .mask = (UINT32_C(1) << bits) - 1};

	memset(out, 0, 2 * sizeof(*out));
	memset(f->moved, 0, f->words * sizeof(*f->moved));
	met_init(&s.met, f);
	put_words(&s);
	weigh(&s, &out[0]);
	s.met.bit = 1;
	put_parts(&s);
	weigh(&s, &out[1]);
}
