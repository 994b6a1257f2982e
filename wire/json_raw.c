/* The members of a JSON object as they were written, byte for byte: what is only kept must not change its digits, escapes or blanks on the way. Walks
 * text that json_parse has accepted, and so looks for nothing but where values end. */
#include "wire/json.h"

#include <string.h>

static const char *past_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

/* `p` is at the opening quote. The closing one is the first behind an even number of backslashes. */
static const char *past_text(const char *p, const char *end)
{
	const char *from = p + 1, *quote = p;

	while ((quote = memchr(quote + 1, '"', (size_t)(end - quote - 1))) != NULL) {
		const char *run = quote;

		while (run > from && run[-1] == '\\')
			run--;
		if ((quote - run) % 2 == 0)
			return quote + 1;
	}
	return end;
}

static const char *past_value(const char *p, const char *end)
{
	size_t depth = 0;

	while (p < end) {
		char c = *p;

		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			break;
		if (c == '"') {
			p = past_text(p, end);
			continue;
		}
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		p++;
	}
	return p;
}

static struct slice span(const char *from, const char *to)
{
	while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\n' || to[-1] == '\r'))
		to--;
	return slice_of(from, (size_t)(to - from));
}

struct json_raw json_raw(struct slice object)
{
	const char *end = object.ptr + object.len, *p = past_blanks(object.ptr, end);

	return (struct json_raw){p < end && *p == '{' ? p + 1 : end, end};
}

bool json_raw_next(struct json_raw *it, struct slice *key, struct slice *value)
{
	const char *p = past_blanks(it->at, it->end);

	if (p < it->end && *p == ',')
		p = past_blanks(p + 1, it->end);
	if (p >= it->end || *p != '"')
		return false;
	const char *key_end = past_text(p, it->end), *v = past_blanks(key_end, it->end);
	if (v >= it->end || *v != ':')
		return false;
	v = past_blanks(v + 1, it->end);
	*key = slice_of(p, (size_t)(key_end - p));
	it->at = past_value(v, it->end);
	*value = span(v, it->at);
	return true;
}
