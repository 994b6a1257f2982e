/* Any bytes as JSON: refused with a cause, or read so that what is written from it reads back and is written the same again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Visits everything through the iterator, without recursion: what lies deeper waits in a list. */
static size_t visit(struct json v)
{
	struct json open[BOUND_JSON_DEPTH * 64];
	size_t n = 0, seen = 0;

	open[n++] = v;
	while (n > 0) {
		struct json_iter it = json_iter(open[--n]);
		struct json value;
		struct slice key;

		for (seen++; json_next(&it, &key, &value); seen++) {
			assert(key.ptr != NULL && slice_utf8_valid(key));
			assert(slice_utf8_valid(json_text(value)));
			(void)json_real(value);
			(void)json_get(value, "a");
			if (json_count(value) > 0 && n < ARRAY_LEN(open))
				open[n++] = value;
		}
	}
	return seen;
}

/* As many members as were parsed, each a value of its own. */
static void check_raw(struct json_parser *parser, struct slice text, struct json v)
{
	struct json_raw raw = json_raw(text);
	struct slice key, value;
	size_t n = v.kind == JSON_MAP ? json_count(v) : 0, seen = 0;
	struct err e = {0};
	struct json one;

	for (; v.kind == JSON_MAP && json_raw_next(&raw, &key, &value); seen++) {
		enum rc rc = json_parse(parser, key, &one, &e);
		assert(rc == RC_OK && one.kind == JSON_TEXT);
		rc = json_parse(parser, value, &one, &e);
		assert(rc == RC_OK);
	}
	assert(seen == n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_parser *parser;
	struct slice text = slice_of((const char *)data, size);
	struct buf first, second;
	struct json v = {0}, again = {0};
	struct err e = {0};
	enum rc rc;

	if (parser == NULL)
		parser = json_parser_new();
	rc = json_parse(parser, text, &v, &e);
	if (rc != RC_OK) {
		assert(rc == RC_INVALID && e.text[0] != '\0' && v.kind == JSON_NONE);
		return 0;
	}
	assert(slice_utf8_valid(text));
	buf_init(&first, 8 * size + 64);
	buf_init(&second, 8 * size + 64);
	(void)visit(v);
	json_write(v, &first);
	assert(!first.failed);
	check_raw(parser, text, v);
	rc = json_parse(parser, text, &v, &e);
	assert(rc == RC_OK);
	rc = json_parse(parser, buf_slice(&first), &again, &e);
	assert(rc == RC_OK && again.kind == v.kind);
	json_write(again, &second);
	assert(slice_eq(buf_slice(&first), buf_slice(&second)));
	buf_done(&first);
	buf_done(&second);
	return 0;
}
