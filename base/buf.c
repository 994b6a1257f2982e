/* buf: bytes that are owned and grow up to a stated cap. A writer appends without looking and asks `failed` once at the end:
 * over the cap and out of memory are the same to it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

void buf_init(struct buf *b, size_t cap_bytes)
{
	*b = (struct buf){.cap = cap_bytes};
}

void buf_done(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->ptr != NULL)
		b->ptr[0] = '\0';
}

/* Makes place for `more` bytes and the NUL. */
static bool grow(struct buf *b, size_t more)
{
	size_t room;
	char *p;

	if (b->failed)
		return false;
	if (more > b->cap - b->len) {
		b->failed = true;
		return false;
	}
	if (b->len + more < b->room)
		return true;
	room = b->room < 64 ? 64 : b->room;
	while (room <= b->len + more)
		room = room > SIZE_MAX / 2 ? SIZE_MAX : room * 2;
	if (room > b->cap && b->cap < SIZE_MAX)
		room = b->cap + 1;
	p = realloc(b->ptr, room);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	b->ptr = p;
	b->room = room;
	return true;
}

void buf_add(struct buf *b, struct slice s)
{
	if (!grow(b, s.len))
		return;
	if (s.len > 0)
		memcpy(b->ptr + b->len, s.ptr, s.len);
	b->len += s.len;
	b->ptr[b->len] = '\0';
}

void buf_byte(struct buf *b, char c)
{
	buf_add(b, slice_of(&c, 1));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t left;
	int n;

	if (!grow(b, 0))
		return;
	left = b->room - b->len;
	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(b->ptr + b->len, left, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if ((size_t)n < left)
		b->len += (size_t)n;
	else if (grow(b, (size_t)n)) {
		(void)vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	b->ptr[b->len] = '\0';
}

static const char hex_digits[] = "0123456789abcdef";

void buf_hex(struct buf *b, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	if (len > SIZE_MAX / 2) {
		b->failed = true;
		return;
	}
	if (!grow(b, len * 2))
		return;
	for (size_t i = 0; i < len; i++) {
		b->ptr[b->len++] = hex_digits[p[i] >> 4];
		b->ptr[b->len++] = hex_digits[p[i] & 15];
	}
	b->ptr[b->len] = '\0';
}

static void json_escape(struct buf *b, unsigned char c)
{
	static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	char out[6] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};

	for (size_t i = 0; i + 1 < sizeof(short_forms); i += 2) {
		if ((unsigned char)short_forms[i] == c) {
			out[1] = short_forms[i + 1];
			buf_add(b, slice_of(out, 2));
			return;
		}
	}
	buf_add(b, slice_of(out, sizeof(out)));
}

/* Runs of plain bytes are copied whole; only quotes, controls and broken UTF-8 are looked at one by one. */
void buf_json(struct buf *b, struct slice s)
{
	size_t from = 0, i = 0;

	buf_byte(b, '"');
	while (i < s.len && !b->failed) {
		unsigned char c = (unsigned char)s.ptr[i];
		uint32_t cp;
		size_t n = 1;

		if (c >= 0x80)
			n = slice_utf8(slice_of(s.ptr + i, s.len - i), &cp);
		if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
			i += n;
			continue;
		}
		buf_add(b, slice_of(s.ptr + from, i - from));
		if (n == 0)
			buf_add(b, SLICE("\xEF\xBF\xBD"));
		else
			json_escape(b, c);
		from = ++i;
	}
	if (!b->failed && s.len > 0)
		buf_add(b, slice_of(s.ptr + from, s.len - from));
	buf_byte(b, '"');
}
