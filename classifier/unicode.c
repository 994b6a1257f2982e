/* What Unicode says of one character, by way of utf8proc, and UTF-8 itself. Leaves out what we decide ourselves (look-alikes, order
 * of the steps): that is fold_table.c and fold.c. */
#include <assert.h>
#include <utf8proc.h>

#include "classifier/fold.h"

enum fate { FATE_KEPT, FATE_DROPPED, FATE_BLANK };

static enum fate fate_of(utf8proc_int32_t cp)
{
	if (cp == 0x115F || cp == 0x1160) /* Hangul fillers: letters that show nothing */
		return FATE_DROPPED;
	if (cp == 0x2800) /* the empty braille pattern */
		return FATE_BLANK;
	switch (utf8proc_category(cp)) {
	case UTF8PROC_CATEGORY_MN:
	case UTF8PROC_CATEGORY_ME:
	case UTF8PROC_CATEGORY_CF:
		return FATE_DROPPED;
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_ZS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return FATE_BLANK;
	default:
		return FATE_KEPT;
	}
}

size_t unicode_fold(uint32_t cp, uint32_t out[UNICODE_FOLD_MAX])
{
	/* utf8proc folds case and decomposes each character it makes again, which is NFKD, case folding and NFKD of one
	 * character; all but the order of marks, and those are dropped. */
	utf8proc_int32_t parts[UNICODE_FOLD_MAX];
	int bound = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, UNICODE_FOLD_MAX,
		UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &bound);
	size_t kept = 0;

	assert(n >= 0 && n <= UNICODE_FOLD_MAX);
	for (utf8proc_ssize_t i = 0; i < n; i++) {
		enum fate f = fate_of(parts[i]);

		if (f == FATE_BLANK)
			out[kept++] = ' ';
		else if (f == FATE_KEPT)
			out[kept++] = parts[i] == 0x111 ? 'd' : (uint32_t)parts[i];
	}
	return kept;
}

/* RFC 3629: the second byte's range keeps out overlong forms, surrogates and what is over U+10FFFF. */
bool utf8_next(struct slice *rest, uint32_t *cp)
{
	const unsigned char *p = (const unsigned char *)rest->ptr;
	size_t more = p[0] < 0x80 ? 0 : p[0] < 0xE0 ? 1 : p[0] < 0xF0 ? 2 : 3;
	unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
	unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
	uint32_t c = more == 0 ? p[0] : p[0] & (0x3Fu >> more);
	bool ok = rest->len > more && (p[0] < 0x80 || (p[0] >= 0xC2 && p[0] <= 0xF4));

	for (size_t i = 1; ok && i <= more; i++) {
		ok = p[i] >= low && p[i] <= high;
		low = 0x80;
		high = 0xBF;
		c = c << 6 | (p[i] & 0x3F);
	}
	if (!ok)
		more = 0;
	rest->ptr += more + 1;
	rest->len -= more + 1;
	*cp = c;
	return ok;
}

size_t utf8_put(uint32_t cp, char out[4])
{
	return (size_t)utf8proc_encode_char((utf8proc_int32_t)cp, (utf8proc_uint8_t *)out);
}

struct slice content_cut(struct slice content)
{
	size_t at = BOUND_CONTENT;

	if (content.len <= BOUND_CONTENT)
		return content;
	while (at > BOUND_CONTENT - 3 && ((unsigned char)content.ptr[at] & 0xC0) == 0x80)
		at--;
	return slice_of(content.ptr, at);
}
