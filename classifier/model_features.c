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
	uint32_t at[MODEL_WORDS + 1]; /* where each word begins in norm */
	size_t len;
};

static void add(struct row *r, const char *text, size_t len, size_t from, size_t to)
{
	struct features *f = r->f;

	r->at[f->words] = (uint32_t)r->len;
	memcpy(r->norm + r->len, text, len);
	r->len += len;
	r->norm[r->len++] = ' ';
	f->word[f->words++] = (struct model_word){0, (uint16_t)from, (uint16_t)to};
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

struct block {
	struct features *f;
	uint32_t mask, table_mask, bit; /* bit: keeps the blocks apart */
};

static void put(struct block *b, uint64_t hash, size_t owner)
{
	uint32_t bucket = (uint32_t)finish(hash) & b->mask, key = (bucket << 1 | b->bit) + 1;

	for (uint32_t i = key * 0x9E3779B1u >> 12;; i++) {
		uint32_t *slot = &b->f->table[i & b->table_mask];

		if (*slot == key)
			return;
		if (*slot != 0)
			continue;
		*slot = key;
		b->f->bucket[b->f->all] = bucket;
		b->f->owner[b->f->all++] = (uint16_t)owner;
		return;
	}
}

void features_of(struct slice folded, unsigned bits, struct features *out)
{
	struct row r = {.f = out, .norm = out->norm};
	struct block b = {out, (UINT32_C(1) << bits) - 1, 255, 0};

	if (folded.len > MODEL_TEXT)
		folded.len = MODEL_TEXT;
	out->words = out->all = 0;
	r.norm[r.len++] = ' ';
	for (size_t i = 0; i < folded.len;)
		i = kind_of((unsigned char)folded.ptr[i]) != SPLIT ? add_word(&r, folded, i)
								   : add_sign(&r, folded, i);
	while (b.table_mask < 5 * r.len)
		b.table_mask = b.table_mask * 2 + 1;
	memset(out->table, 0, (b.table_mask + 1) * sizeof(*out->table));
	r.at[out->words] = (uint32_t)r.len;
	for (size_t w = 0; w < out->words; w++) {
		const char *p = r.norm + r.at[w];
		size_t len = r.at[w + 1] - r.at[w] - 1;
		uint64_t h = more(begin('w'), p, len);

		out->word[w].hash = finish(h);
		put(&b, h, w);
		if (w + 1 < out->words)
			put(&b, more(begin('p'), p, r.at[w + 2] - r.at[w] - 1), w);
	}
	out->of_words = out->all;
	b.bit = 1;
	for (size_t w = 0; w < out->words; w++)
		for (const char *p = r.norm + r.at[w] - 1; p < r.norm + r.at[w + 1] - 1; p++) {
			size_t left = (size_t)(r.norm + r.len - p);
			uint64_t h;

			if (left < 3)
				break;
			put(&b, h = more(begin('c'), p, 3), w);
			if (left >= 4)
				put(&b, h = more(h, p + 3, 1), w);
			if (left >= 5)
				put(&b, more(h, p + 4, 1), w);
		}
}
