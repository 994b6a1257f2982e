/* The fingerprint of a text, by which copies of one campaign are found: a simhash of 64 bits over every four bytes of the folded text,
 * digits made alike so that changing numbers and codes change little. Near texts have near fingerprints (few bits differ). */
#include "classifier/rules.h"

#define GRAM 4

/* splitmix64's finaliser: every bit of the gram moves every bit of the hash. */
static uint64_t mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

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

static void add(struct counters *c, uint64_t hash)
{
	for (size_t k = 0; k < 8; k++)
		c->lane[k] += spread(hash >> (8 * k) & 0xFF);
	if (++c->held == 255)
		empty(c);
}

static uint64_t alike(char c)
{
	return c >= '0' && c <= '9' ? '0' : (unsigned char)c;
}

uint64_t fingerprint(struct slice folded)
{
	struct counters c = {0};
	uint64_t gram = 0, out = 0;
	uint32_t grams = 0;

	for (size_t i = 0; i < folded.len; i++) {
		gram = (gram << 8 | alike(folded.ptr[i])) & UINT32_MAX;
		if (i + 1 < GRAM && i + 1 < folded.len)
			continue;
		add(&c, mix(gram));
		grams++;
	}
	empty(&c);
	for (size_t i = 0; i < 64; i++)
		out |= (uint64_t)(2 * c.sum[i] > grams) << i;
	return out;
}
