/* Text: struct slice borrows bytes (not NUL-terminated), struct buf owns and grows to a stated cap. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

static inline struct slice slice_of(const char *ptr, size_t len)
{
	return (struct slice){ptr, len};
}
static inline struct slice slice_str(const char *s) /* NULL gives the empty slice */
{
	return (struct slice){s, s != NULL ? strlen(s) : 0};
}
static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
bool slice_eq_nocase(struct slice a, struct slice b); /* ASCII case only */
bool slice_starts(struct slice s, struct slice prefix);
struct slice slice_trim(struct slice s); /* ASCII blanks on both sides */
/* Cuts the first line (without LF or CRLF) off *rest; false when *rest is empty. */
bool slice_line(struct slice *rest, struct slice *out);
/* Cuts the part before `sep` off *rest; the last part has no separator. False when nothing is left, so a separator at the very
 * end adds no empty part. */
bool slice_cut(struct slice *rest, char sep, struct slice *out);
/* Decimal, whole slice, no sign for u64. RC_INVALID on anything else or overflow. */
MUST_USE enum rc slice_u64(struct slice s, uint64_t *out);
MUST_USE enum rc slice_i64(struct slice s, int64_t *out);
/* The bytes of the first UTF-8 character (strict, as below) and its code point; 0 when there is none. */
size_t slice_utf8(struct slice s, uint32_t *cp);
bool slice_utf8_valid(
	struct slice s); /* strict: no overlong forms, no surrogates, at most U+10FFFF */

/* Owns and grows. After a failed append (out of memory or over `cap`) `failed` stays true and later appends do nothing, so a
 * writer checks once at the end. The content is always followed by a NUL that is not counted. */
struct buf {
	char *ptr;
	size_t len, room, cap;
	bool failed;
};

void buf_init(struct buf *b, size_t cap_bytes);
void buf_done(struct buf *b); /* frees; the buf can be used again after buf_init */
void buf_clear(struct buf *b);
void buf_add(struct buf *b, struct slice s);
void buf_byte(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_hex(struct buf *b, const void *bytes, size_t len);
void buf_json(struct buf *b,
	struct slice s); /* a JSON string with quotes; invalid UTF-8 bytes become U+FFFD */
static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->ptr != NULL ? b->ptr : "", b->len};
}
/* OWNs a struct buf by value: `BUF_OWN struct buf b; buf_init(&b, cap);` */
#define BUF_OWN __attribute__((cleanup(buf_done)))
