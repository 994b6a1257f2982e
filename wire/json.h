/* JSON. Reading: simdjson behind a C shim, strict (UTF-8, no duplicate keys at any level, depth BOUND_JSON_DEPTH). Writing: struct buf and
 * buf_json of base. */
#pragma once

#include "base/base.h"

enum json_kind {
	JSON_NONE,
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,
	JSON_REAL,
	JSON_TEXT,
	JSON_LIST,
	JSON_MAP
};

/* One parser per thread; a document lives until the next parse with the same parser. */
struct json_parser;
struct json_parser *json_parser_new(void);
void json_parser_free(struct json_parser *p);
OWNER(json_parser_free, struct json_parser);

/* A value inside the parsed document; cheap to copy. kind JSON_NONE: absent. */
struct json {
	enum json_kind kind;
	struct json_parser *doc;
	size_t at; /* private */
};

/* RC_INVALID with a cause that says what is wrong ("duplicate key \"kind\"", "not UTF-8", "nested deeper than 32", "ends early"). */
MUST_USE enum rc json_parse(
	struct json_parser *p, struct slice text, struct json *out, struct err *e);
struct json json_get(struct json map, const char *key); /* JSON_NONE when absent or not a map */
/* The text of a JSON_TEXT (decoded; may hold NUL), else the empty slice. Borrowed from the document. */
struct slice json_text(struct json v);
int64_t json_int(struct json v); /* of a JSON_INT, else 0 */
double json_real(struct json v); /* of a JSON_INT or JSON_REAL, else 0 */
bool json_bool(struct json v);
/* True when the value's document holds integers beyond 64 bits: they are read as JSON_REAL, and their last digits are lost. */
bool json_widened(struct json v);
size_t json_count(struct json v); /* of a list or map */
/* Walks a map or list: `struct json_iter it = json_iter(v); while (json_next(&it, &key, &value)) …`; key is empty in a list. */
struct json_iter {
	struct json of;
	size_t at, left; /* private */
};
struct json_iter json_iter(struct json v);
bool json_next(struct json_iter *it, struct slice *key, struct json *value);
/* Appends the value as compact JSON. */
void json_write(struct json v, struct buf *out);

/* The members of an object as they were written, in the order of json_next; the key with its quotes. `object` is text that json_parse has accepted. */
struct json_raw {
	const char *at, *end; /* private */
};
struct json_raw json_raw(struct slice object);
bool json_raw_next(struct json_raw *it, struct slice *key, struct slice *value);
