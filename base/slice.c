/* slice: looking at borrowed bytes: cut, trim, compare, read a number, check UTF-8. Nothing here allocates. Leaves out Unicode
 * folding, which is the classifier's. */
#include "base/slice.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return false;
	return true;
}

bool slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_of(s.ptr, prefix.len), prefix);
}

struct slice slice_trim(struct slice s)
{
	while (s.len > 0 && blank(s.ptr[s.len - 1]))
		s.len--;
	while (s.len > 0 && blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	return s;
}

bool slice_cut(struct slice *rest, char sep, struct slice *out)
{
	if (rest->len == 0)
		return false;
	const char *at = memchr(rest->ptr, sep, rest->len);
	size_t n = at != NULL ? (size_t)(at - rest->ptr) : rest->len;
	size_t gone = at != NULL ? n + 1 : n;

	*out = slice_of(rest->ptr, n);
	*rest = slice_of(rest->ptr + gone, rest->len - gone);
	return true;
}

bool slice_line(struct slice *rest, struct slice *out)
{
	bool had_lf = rest->len > 0 && memchr(rest->ptr, '\n', rest->len) != NULL;

	if (!slice_cut(rest, '\n', out))
		return false;
	if (had_lf && out->len > 0 && out->ptr[out->len - 1] == '\r')
		out->len--;
	return true;
}

enum rc slice_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.len == 0)
		return RC_INVALID;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return RC_INVALID;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v))
			return RC_INVALID;
	}
	*out = v;
	return RC_OK;
}

enum rc slice_i64(struct slice s, int64_t *out)
{
	bool minus = s.len > 0 && s.ptr[0] == '-';
	uint64_t v;

	if (minus)
		s = slice_of(s.ptr + 1, s.len - 1);
	if (slice_u64(s, &v) != RC_OK || v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return RC_INVALID;
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return RC_OK;
}

size_t slice_utf8(struct slice s, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	uint32_t c, min;
	size_t n;

	if (s.len == 0)
		return 0;
	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return 0;
	n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	min = n == 2 ? 0x80 : n == 3 ? 0x800 : 0x10000;
	if (s.len < n)
		return 0;
	c = p[0] & (0xFFu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3Fu);
	}
	if (c < min || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0;
	*cp = c;
	return n;
}

bool slice_utf8_valid(struct slice s)
{
	uint32_t cp;

	while (s.len > 0) {
		size_t n = slice_utf8(s, &cp);

		if (n == 0)
			return false;
		s = slice_of(s.ptr + n, s.len - n);
	}
	return true;
}
