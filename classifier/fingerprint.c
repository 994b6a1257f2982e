/* The fingerprint and the sketch of a text, by which copies of one campaign are found: docs/judgement.md section 2.3. Both look at
 * pairs of neighbouring words only, without numbers, links and signs, so what changes from copy to copy changes little. Linking
 * copies is the ledger's work. */
#include "classifier/rules.h"

#define LONG_PIECE 16 /* longer ones (writing without blanks) are also taken apart */
#define PART 6

/* splitmix64's finaliser: every bit of the input moves every bit of the hash. */
static uint64_t mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- the fingerprint: a simhash ---- */

/* The bits of a byte as eight bytes of 0 or 1, lowest bit in the lowest byte. */
static uint64_t spread(uint64_t byte)
{
	return ((byte * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201)) +
		       UINT64_C(0x7F7F7F7F7F7F7F7F)) >>
		7 &
		UINT64_C(0x0101010101010101);
}

/* Counts of set bits of 64 positions: lane[k] has eight counters of one byte for bits 8k … 8k + 7, emptied into `sum` before they
 * can run over. */
struct counters {
	uint64_t lane[8];
	unsigned held;
	uint32_t n;
	uint32_t sum[64];
};

static void empty(struct counters *c)
{
	for (size_t k = 0; k < 8; k++) {
		for (size_t b = 0; b < 8; b++)
			c->sum[8 * k + b] += (uint32_t)(c->lane[k] >> (8 * b) & 0xFF);
		c->lane[k] = 0;
	}
	c->held = 0;
}

static void count(struct counters *c, uint64_t hash)
{
	for (size_t k = 0; k < 8; k++)
		c->lane[k] += spread(hash >> (8 * k) & 0xFF);
	c->n++;
	if (++c->held == 255)
		empty(c);
}

/* ---- the sketch: the smallest hashes, and bands ---- */

struct making {
	struct counters bits;
	struct sketch *out;
	uint32_t bin[2 * SKETCH_BANDS]; /* the smallest hash of each; UINT32_MAX: none */
};

/* Into the sorted row of the smallest, each once. */
static void keep_low(struct sketch *s, uint32_t h)
{
	size_t i = s->kept;

	if (i == SKETCH_KEPT && h >= s->low[i - 1])
		return;
	while (i > 0 && s->low[i - 1] > h)
		i--;
	if (i > 0 && s->low[i - 1] == h)
		return;
	size_t end = s->kept < SKETCH_KEPT ? s->kept++ : SKETCH_KEPT - 1;
	memmove(&s->low[i + 1], &s->low[i], (end - i) * sizeof(s->low[0]));
	s->low[i] = h;
}

static void feature(struct making *m, uint64_t h)
{
	size_t bin = (size_t)(h >> 59); /* 32 bins */

	_Static_assert(2 * SKETCH_BANDS == 32, "five bits say the bin");
	count(&m->bits, h);
	keep_low(m->out, (uint32_t)(h >> 27));
	if ((uint32_t)h < m->bin[bin])
		m->bin[bin] = (uint32_t)h;
}

/* A bin that nothing fell into borrows from the next one that has something. */
static uint32_t bin_or_next(const struct making *m, size_t i)
{
	size_t steps = 0;

	while (m->bin[i] == UINT32_MAX && steps++ < 2 * SKETCH_BANDS)
		i = (i + 1) % (2 * SKETCH_BANDS);
	return m->bin[i];
}

static void make_bands(const struct making *m)
{
	struct sketch *s = m->out;

	if (s->kept < SKETCH_LEAST)
		return;
	for (size_t b = 0; b < SKETCH_BANDS; b++) {
		uint64_t pair = (uint64_t)bin_or_next(m, 2 * b) << 32 | bin_or_next(m, 2 * b + 1);

		s->band[b] = mix(pair + b);
	}
	s->bands = SKETCH_BANDS;
}

/* ---- the words of a text ---- */

enum { LETTER = 1, DIGIT = 2, JOINT = 4, NEVER = 8 };

static const unsigned char is[256] = {['a' ... 'z'] = LETTER,
	['0' ... '9'] = DIGIT,
	['.'] = JOINT,
	[':'] = JOINT,
	['/'] = NEVER,
	['@'] = NEVER,
	[0x80 ... 0xFF] = LETTER};

static unsigned char kind(char c)
{
	return is[(unsigned char)c];
}

#define FNV 14695981039346656037ULL

static uint64_t fnv(uint64_t h, char c)
{
	return (h ^ (unsigned char)c) * 1099511628211ULL;
}

/* The hash of a piece's letters; 0: it is no word (a number, a link, signs only). */
static uint64_t word_hash(struct slice piece)
{
	uint64_t h = FNV;
	bool any = false;

	for (size_t i = 0; i < piece.len; i++) {
		unsigned char k = kind(piece.ptr[i]);

		if (k == DIGIT || k == NEVER)
			return 0;
		if (k == JOINT && i > 0 && i + 1 < piece.len && kind(piece.ptr[i - 1]) == LETTER &&
			kind(piece.ptr[i + 1]) == LETTER)
			return 0;
		if (k == LETTER) {
			h = fnv(h, piece.ptr[i]);
			any = true;
		}
	}
	return any ? h : 0;
}

static void parts_of(struct making *m, struct slice piece)
{
	for (size_t i = 0; i + PART <= piece.len; i++) {
		uint64_t h = FNV;

		for (size_t k = 0; k < PART; k++)
			h = fnv(h, piece.ptr[i + k]);
		feature(m, mix(h));
	}
}

void sketch_make(struct slice folded, struct sketch *out)
{
	struct making m = {.out = out};
	struct slice piece;
	uint64_t before = 0;
	size_t words = 0;

	memset(m.bin, 0xFF, sizeof(m.bin));
	*out = (struct sketch){0};
	while (slice_cut(&folded, ' ', &piece)) {
		uint64_t h = word_hash(piece);

		if (h == 0)
			continue;
		if (piece.len > LONG_PIECE)
			parts_of(&m, piece);
		if (words++ > 0)
			feature(&m, mix(before * 31 + h));
		before = h;
	}
	if (words == 1)
		feature(&m, mix(before));
	empty(&m.bits);
	for (size_t i = 0; i < 64; i++)
		out->fingerprint |= (uint64_t)(2 * m.bits.sum[i] > m.bits.n) << i;
	make_bands(&m);
}

double sketch_alike(const struct sketch *a, const struct sketch *b)
{
	size_t i = 0, k = 0, both = 0, all = 0;

	if (a->bands == 0 || b->bands == 0)
		return 0;
	/* The smallest of the union, as many as a sketch keeps: how many of them are in both. */
	while (all < SKETCH_KEPT && (i < a->kept || k < b->kept)) {
		if (k == b->kept || (i < a->kept && a->low[i] < b->low[k])) {
			i++;
		} else if (i == a->kept || b->low[k] < a->low[i]) {
			k++;
		} else {
			i++;
			k++;
			both++;
		}
		all++;
	}
	return (double)both / (double)all;
}
