/* Texts of HTTP that need no connection: percent-decoding, and one body that many answers share. */
#include <stdatomic.h>
#include <stdlib.h>

#include "api/http.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_decode(struct slice s, char *out, size_t room, const char **why)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '%') {
			int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1;
			int low = high >= 0 ? hex(s.ptr[i + 2]) : -1;
			*why = "a percent sign is followed by two hexadecimal digits";
			if (low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		*why = "it holds a NUL";
		if (c == '\0')
			return false;
		*why = "it is too long";
		if (n + 1 >= room)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	*why = "it is no valid UTF-8";
	return slice_utf8_valid(slice_of(out, n));
}

struct shared {
	atomic_int holders;
	struct buf text;
};

struct shared *shared_new(struct buf *taken)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	atomic_init(&s->holders, 1);
	s->text = *taken;
	buf_init(taken, taken->cap);
	return s;
}

struct shared *shared_keep(struct shared *s)
{
	atomic_fetch_add(&s->holders, 1);
	return s;
}

void shared_free(struct shared *s)
{
	if (s == NULL || atomic_fetch_sub(&s->holders, 1) != 1)
		return;
	buf_done(&s->text);
	free(s);
}

struct slice shared_text(const struct shared *s)
{
	return buf_slice(&s->text);
}
