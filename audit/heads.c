/* Heads of the chain as somebody else kept them: the file that the keeper appends to, or what a consumer took from the topic. Leaves out where they
 * come from. */
#include "audit/audit.h"

#include <stdlib.h>

static bool hex_of(struct slice s, uint8_t out[SHA256_LEN])
{
	static const char digits[] = "0123456789abcdef";

	if (s.len != 2 * (size_t)SHA256_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		const char *at = memchr(digits, s.ptr[i], 16);
		if (at == NULL)
			return false;
		out[i / 2] = (uint8_t)(out[i / 2] << 4 | (at - digits));
	}
	return true;
}

static bool head_of(struct json_parser *p, struct slice line, struct audit_head *out)
{
	struct slice at, seq;
	struct json it;
	struct err e;

	if (line.ptr[0] == '{')
		return json_parse(p, line, &it, &e) == RC_OK &&
			(out->seq = json_int(json_get(it, "seq"))) > 0 &&
			hex_of(json_text(json_get(it, "hash")), out->hash);
	return slice_cut(&line, ' ', &at) && slice_cut(&line, ' ', &seq) &&
		slice_i64(seq, &out->seq) == RC_OK && out->seq > 0 && hex_of(line, out->hash);
}

static int by_seq(const void *a, const void *b)
{
	const struct audit_head *x = a, *y = b;

	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

enum rc audit_heads_read(
	struct slice text, struct arena *a, struct audit_head **out, size_t *n, struct err *e)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	struct audit_head *heads;
	struct slice line;
	size_t lines = 1, found = 0, number = 0;

	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == '\n';
	heads = arena_array(a, lines, sizeof(*heads));
	if (heads == NULL || p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	while (slice_line(&text, &line)) {
		number++;
		if (line.len == 0)
			continue;
		if (!head_of(p, line, &heads[found++]))
			return err_set(e, RC_INVALID,
				"line %zu is no head: neither \"TIME LINK HASH\" nor an object "
				"with "
				"seq and hash",
				number);
	}
	if (found > 0)
		qsort(heads, found, sizeof(*heads), by_seq);
	*out = heads;
	*n = found;
	return RC_OK;
}
