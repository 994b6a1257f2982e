/* Which texts are near-doubles of each other: they must stay in one fold, or a model is tested on what it learnt. Candidates share a band of
 * min-hashes over character 5-grams; they are joined at Jaccard 0.5. */
#include <stdlib.h>

#include "classifier/train.h"

#define GRAM 5
#define HASHES 32
#define BAND 2         /* min-hashes that must be equal */
#define LOOK_BACK 6    /* members of a band that a text is compared with */
#define GRAMS_MAX 1024 /* of a text */

struct grams {
	uint32_t *at; /* sorted, each once */
	size_t n;
};

static uint64_t mix(uint64_t h)
{
	h ^= h >> 30;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	h ^= h >> 27;
	h *= UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static struct grams grams_of(struct slice folded, struct arena *a)
{
	size_t n = folded.len < GRAM ? 1 : folded.len - GRAM + 1, kept = 0;

	n = n < GRAMS_MAX ? n : GRAMS_MAX;
	struct grams g = {arena_array(a, n, sizeof(*g.at)), 0};
	if (g.at == NULL)
		return g;
	for (size_t i = 0; i < n; i++) {
		uint64_t h = 0;

		for (size_t k = i; k < i + GRAM && k < folded.len; k++) {
			char c = folded.ptr[k];

			h = h << 8 | (unsigned char)(c >= '0' && c <= '9' ? '0' : c);
		}
		g.at[i] = (uint32_t)mix(h);
	}
	qsort(g.at, n, sizeof(*g.at), by_value);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || g.at[i] != g.at[kept - 1])
			g.at[kept++] = g.at[i];
	g.n = kept;
	return g;
}

static bool near(const struct grams *a, const struct grams *b)
{
	size_t both = 0, i = 0, k = 0;

	while (i < a->n && k < b->n) {
		uint32_t x = a->at[i], y = b->at[k];

		both += x == y;
		i += x <= y;
		k += y <= x;
	}
	return 2 * both >= a->n + b->n - both;
}

struct band {
	uint64_t hash;
	uint32_t text;
};

static int by_band(const void *a, const void *b)
{
	const struct band *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

static uint32_t root(struct texts *t, uint32_t i)
{
	while (t->at[i].family != i)
		i = t->at[i].family = t->at[t->at[i].family].family;
	return i;
}

static void join(struct texts *t, uint32_t a, uint32_t b)
{
	a = root(t, a);
	b = root(t, b);
	t->at[a > b ? a : b].family = a < b ? a : b;
}

static void join_band(struct texts *t, const struct grams *g, const struct band *b, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k-- > 0 && i - k <= LOOK_BACK && b[k].hash == b[i].hash;)
			if (root(t, b[i].text) != root(t, b[k].text) &&
				near(&g[b[i].text], &g[b[k].text]))
				join(t, b[i].text, b[k].text);
}

static size_t room_for(const struct texts *t)
{
	size_t room = 4096 + t->n * (sizeof(struct grams) + sizeof(struct band) + 16);

	for (size_t i = 0; i < t->n; i++)
		room += sizeof(uint32_t) *
			(t->at[i].folded.len < GRAMS_MAX ? t->at[i].folded.len + 1 : GRAMS_MAX);
	return room;
}

enum rc families_find(struct texts *t, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(room_for(t));
	struct grams *g = a != NULL ? arena_array(a, t->n + 1, sizeof(*g)) : NULL;
	struct band *b = a != NULL ? arena_array(a, t->n + 1, sizeof(*b)) : NULL;

	if (g == NULL || b == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < t->n; i++) {
		t->at[i].family = (uint32_t)i;
		g[i] = grams_of(t->at[i].folded, a);
		if (g[i].at == NULL)
			return err_set(e, RC_RETRY, "out of memory");
	}
	for (uint64_t band = 0; band < HASHES / BAND; band++) {
		for (size_t i = 0; i < t->n; i++) {
			b[i] = (struct band){band, (uint32_t)i};
			for (uint64_t h = 0; h < BAND; h++) {
				uint64_t least = UINT64_MAX;

				for (size_t k = 0; k < g[i].n; k++) {
					uint64_t v =
						mix(g[i].at[k] + ((band * BAND + h + 1) << 32));

					least = v < least ? v : least;
				}
				b[i].hash = mix(b[i].hash ^ least);
			}
		}
		qsort(b, t->n, sizeof(*b), by_band);
		join_band(t, g, b, t->n);
	}
	for (size_t i = 0; i < t->n; i++)
		t->at[i].family = root(t, (uint32_t)i);
	return RC_OK;
}

size_t text_fold(const struct texts *t, const struct text *x, size_t k)
{
	return (size_t)(mix(t->at[x->family].key) % k);
}
