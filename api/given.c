/* The token as a request gives it: Bearer, X-Api-Key, the password of Basic, the cookie of a session, or a part of the path for clients that can send no headers.
 * Leaves out whether it is good. */
#include <stdio.h>

#include "api/private.h"

#define KEY_PATH "/v1/feed/key/"

static int place(char c)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

bool base64_decode(struct slice s, char *out, size_t room)
{
	unsigned bits = 0, held = 0;
	size_t n = 0;

	while (s.len > 0 && s.ptr[s.len - 1] == '=')
		s.len--;
	for (size_t i = 0; i < s.len; i++) {
		int v = place(s.ptr[i]);
		if (v < 0 || n + 1 >= room)
			return false;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[n] = (char)(bits >> held & 0xff);
			if (out[n++] == '\0')
				return false;
		}
	}
	out[n] = '\0';
	return true;
}

static struct slice after_word(struct slice s, struct slice word)
{
	if (s.len > word.len && slice_eq_nocase(slice_of(s.ptr, word.len), word))
		return slice_trim(slice_of(s.ptr + word.len, s.len - word.len));
	return (struct slice){0};
}

/* The first one of that name. */
static struct slice cookie(const struct exchange *x)
{
	struct slice all = x_header(x, "Cookie");

	for (struct slice one; slice_cut(&all, ';', &one);) {
		one = slice_trim(one);
		if (slice_starts(one, SLICE(SESSION_COOKIE "=")))
			return slice_of(one.ptr + strlen(SESSION_COOKIE "="),
				one.len - strlen(SESSION_COOKIE "="));
	}
	return (struct slice){0};
}

static struct slice raw_token(
	const struct exchange *x, const struct request *r, char *room, size_t n)
{
	struct slice authorization = x_header(x, "Authorization");
	struct slice bearer = after_word(authorization, SLICE("Bearer "));
	struct slice basic = after_word(authorization, SLICE("Basic "));

	if (strncmp(r->route->path, KEY_PATH, strlen(KEY_PATH)) == 0)
		return slice_str(r->variable);
	if (bearer.ptr != NULL)
		return bearer;
	if (basic.ptr == NULL && x_header(x, "X-Api-Key").ptr != NULL)
		return slice_trim(x_header(x, "X-Api-Key"));
	if (basic.ptr == NULL && authorization.ptr == NULL)
		return cookie(x);
	if (!base64_decode(basic, room, n))
		return (struct slice){0};
	const char *colon = strchr(room, ':');
	return slice_str(colon != NULL ? colon + 1 : NULL);
}

struct slice token_given(const struct exchange *x, struct request *r)
{
	char room[256];
	struct slice raw = raw_token(x, r, room, sizeof(room));

	/* a session's is good as a cookie alone, where its writes need the CSRF token */
	r->session = x_header(x, "Authorization").ptr == NULL &&
		x_header(x, "X-Api-Key").ptr == NULL && slice_starts(raw, SLICE("khs_"));
	if (raw.len >= sizeof(r->token) || r->session != slice_starts(raw, SLICE("khs_")))
		raw.len = 0;
	if (raw.len > 0)
		memcpy(r->token, raw.ptr, raw.len);
	r->token[raw.len] = '\0';
	return slice_str(r->token);
}
