/* The digest of a list: SHA-256 of each line, added up modulo 2^256, so that the order of entries does not matter and a change
 * costs one addition and one subtraction. Leaves out what a line is: entry.c. */
#include "blocklist/list.h"

static void add(uint8_t sum[32], const uint8_t n[32])
{
	unsigned carry = 0;

	for (int i = 31; i >= 0; i--) {
		carry += (unsigned)sum[i] + n[i];
		sum[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

static void sub(uint8_t sum[32], const uint8_t n[32])
{
	int borrow = 0;

	for (int i = 31; i >= 0; i--) {
		int v = (int)sum[i] - n[i] - borrow;

		borrow = v < 0;
		sum[i] = (uint8_t)v;
	}
}

static void line_hash(const struct entry *e, uint8_t out[SHA256_LEN])
{
	char line[ENTRY_LINE];
	size_t n = entry_line(e, line, sizeof(line));

	sha256(slice_of(line, n), out);
}

void digest_add(struct digest *d, const struct entry *e)
{
	uint8_t hash[SHA256_LEN];

	line_hash(e, hash);
	add(d->sum, hash);
}

void digest_sub(struct digest *d, const struct entry *e)
{
	uint8_t hash[SHA256_LEN];

	line_hash(e, hash);
	sub(d->sum, hash);
}

void digest_join(struct digest *d, const struct digest *other)
{
	add(d->sum, other->sum);
}

void digest_part(struct digest *d, const struct digest *other)
{
	sub(d->sum, other->sum);
}

bool digest_same(const struct digest *a, const struct digest *b)
{
	return memcmp(a->sum, b->sum, sizeof(a->sum)) == 0;
}

struct digest digest_of_bytes(struct slice bytes)
{
	struct digest d = {{0}};

	if (bytes.len == sizeof(d.sum))
		memcpy(d.sum, bytes.ptr, sizeof(d.sum));
	return d;
}

void digest_hex(const struct digest *d, char out[65])
{
	static const char hex[] = "0123456789abcdef";

	for (int i = 0; i < 32; i++) {
		out[2 * i] = hex[d->sum[i] >> 4];
		out[2 * i + 1] = hex[d->sum[i] & 15];
	}
	out[64] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum rc digest_parse(struct slice hex, struct digest *out)
{
	struct digest d;

	if (hex.len != 64)
		return RC_INVALID;
	for (size_t i = 0; i < 32; i++) {
		int high = nibble(hex.ptr[2 * i]), low = nibble(hex.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return RC_INVALID;
		d.sum[i] = (uint8_t)(high << 4 | low);
	}
	*out = d;
	return RC_OK;
}
