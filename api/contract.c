/* The contract: api/openapi.json tells people and programs what the API takes, and the server holds requests to the very same text. Of JSON Schema
 * it knows the words that the file uses: type, enum, properties, required, additionalProperties, items, bounds of length, number and size,
 * pattern, format date-time and $ref. Leaves out answers: those are held to it by the tests. */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/openapi_text.h"
#include "api/private.h"

#define DEEPEST 16

struct contract {
	struct json_parser *doc;
	struct json root;
	struct json of[API_MAX_ROUTES]; /* operations, by route */
};

struct slice contract_text(void)
{
	return slice_of((const char *)openapi_text, openapi_text_len);
}

void contract_free(struct contract *k)
{
	if (k == NULL)
		return;
	json_parser_free(k->doc);
	free(k);
}

/* "/v1/reports/{report_id...}" is "/v1/reports/{report_id}" there. */
static void path_there(const char *path, char out[128])
{
	size_t n = 0;

	for (const char *p = path; *p != '\0' && n < 127; p++)
		if (strncmp(p, "...}", 4) == 0)
			p += 2;
		else
			out[n++] = *p;
	out[n] = '\0';
}

static struct json find_operation(struct json root, const struct route *r)
{
	char path[128], method[8];

	path_there(r->path, path);
	snprintf(method, sizeof(method), "%s", r->method);
	for (char *p = method; *p != '\0'; p++)
		*p = (char)(*p | 0x20);
	return json_get(json_get(json_get(root, "paths"), path), method);
}

struct contract *contract_new(struct err *e)
{
	struct contract *k = calloc(1, sizeof(*k));

	if (k == NULL || (k->doc = json_parser_new()) == NULL) {
		contract_free(k);
		(void)err_set(e, RC_RETRY, "out of memory");
		return NULL;
	}
	if (json_parse(k->doc, contract_text(), &k->root, e) != RC_OK) {
		contract_free(k);
		return NULL;
	}
	for (size_t i = 0; i < api_routes_count; i++)
		k->of[i] = find_operation(k->root, &api_routes[i]);
	return k;
}

struct json contract_operation(const struct contract *k, const struct route *r)
{
	return k->of[r - api_routes];
}

/* ---- a value against its schema ---- */

struct place {
	char text[200];
};

static enum rc wrong(struct err *e, const struct place *at, const char *what)
{
	return err_set(e, RC_INVALID, "%s %s", at->text[0] != '\0' ? at->text : "the body", what);
}

static struct place below(const struct place *at, struct slice key, long index)
{
	struct place p;

	if (index >= 0)
		snprintf(p.text, sizeof(p.text), "%.150s[%ld]", at->text, index);
	else
		snprintf(p.text, sizeof(p.text), "%.100s%s%.*s", at->text,
			at->text[0] != '\0' ? "." : "", (int)(key.len < 60 ? key.len : 60),
			key.ptr);
	return p;
}

static struct json resolved(const struct contract *k, struct json schema)
{
	struct slice ref = json_text(json_get(schema, "$ref"));
	struct slice base = SLICE("#/components/schemas/");
	char name[64];

	if (!slice_starts(ref, base))
		return schema;
	snprintf(name, sizeof(name), "%.*s", (int)(ref.len - base.len), ref.ptr + base.len);
	return json_get(json_get(json_get(k->root, "components"), "schemas"), name);
}

static bool type_is(struct slice type, struct json v)
{
	switch (v.kind) {
	case JSON_NULL:
		return slice_eq(type, SLICE("null"));
	case JSON_BOOL:
		return slice_eq(type, SLICE("boolean"));
	case JSON_INT:
		return slice_eq(type, SLICE("integer")) || slice_eq(type, SLICE("number"));
	case JSON_REAL:
		return slice_eq(type, SLICE("number"));
	case JSON_TEXT:
		return slice_eq(type, SLICE("string"));
	case JSON_LIST:
		return slice_eq(type, SLICE("array"));
	case JSON_MAP:
		return slice_eq(type, SLICE("object"));
	case JSON_NONE:
		break;
	}
	return false;
}

static bool any_type(struct json type, struct json v)
{
	struct json_iter it = json_iter(type);
	struct slice key;
	struct json one;

	if (type.kind != JSON_LIST)
		return type.kind == JSON_NONE || type_is(json_text(type), v);
	while (json_next(&it, &key, &one))
		if (type_is(json_text(one), v))
			return true;
	return false;
}

static bool listed(struct json list, struct slice text)
{
	struct json_iter it = json_iter(list);
	struct slice key;
	struct json one;

	while (json_next(&it, &key, &one))
		if (one.kind == JSON_TEXT && slice_eq(json_text(one), text))
			return true;
	return false;
}

/* NUL has no place in any text: neither PostgreSQL nor a pattern takes it. */
static bool matches(struct slice pattern, struct slice text)
{
	char p[256], *t = malloc(text.len + 1);
	regex_t re;
	bool is = false;

	if (t != NULL && pattern.len < sizeof(p)) {
		memcpy(p, pattern.ptr, pattern.len);
		p[pattern.len] = '\0';
		memcpy(t, text.ptr, text.len);
		t[text.len] = '\0';
		if (regcomp(&re, p, REG_EXTENDED | REG_NOSUB) == 0) {
			is = regexec(&re, t, 0, NULL, 0) == 0;
			regfree(&re);
		}
	}
	free(t);
	return is;
}

static size_t characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
	return n;
}

static enum rc check_text(
	struct json schema, struct slice text, const struct place *at, struct err *e)
{
	struct json least = json_get(schema, "minLength"), most = json_get(schema, "maxLength");
	struct json pattern = json_get(schema, "pattern"), list = json_get(schema, "enum");
	size_t n = characters(text);
	char what[120];
	int64_t us;

	if (memchr(text.ptr, '\0', text.len) != NULL)
		return wrong(e, at, "holds a NUL");
	if (least.kind == JSON_INT && (int64_t)n < json_int(least))
		return wrong(e, at, "is too short");
	snprintf(what, sizeof(what), "is longer than %lld characters", (long long)json_int(most));
	if (most.kind == JSON_INT && (int64_t)n > json_int(most))
		return wrong(e, at, what);
	if (list.kind == JSON_LIST && !listed(list, text))
		return wrong(e, at, "is none of the values that it may have");
	if (pattern.kind == JSON_TEXT && !matches(json_text(pattern), text)) {
		snprintf(
			what, sizeof(what), "does not have the form %.80s", json_text(pattern).ptr);
		return wrong(e, at, what);
	}
	if (slice_eq(json_text(json_get(schema, "format")), SLICE("date-time")) &&
		time_parse(text, &us) != RC_OK)
		return wrong(e, at, "is no time as in 2026-09-01T08:00:00+07:00");
	return RC_OK;
}

static enum rc check_number(
	struct json schema, struct json v, const struct place *at, struct err *e)
{
	struct json least = json_get(schema, "minimum"), most = json_get(schema, "maximum");

	if (least.kind != JSON_NONE && json_real(v) < json_real(least))
		return wrong(e, at, "is too small");
	if (most.kind != JSON_NONE && json_real(v) > json_real(most))
		return wrong(e, at, "is too large");
	return RC_OK;
}

static enum rc check_value(const struct contract *k, struct json schema, struct json v,
	const struct place *at, int depth, struct err *e);

static enum rc check_map(const struct contract *k, struct json schema, struct json v,
	const struct place *at, int depth, struct err *e)
{
	struct json properties = json_get(schema, "properties"), value;
	struct json more = json_get(schema, "additionalProperties");
	struct json_iter it = json_iter(v), need = json_iter(json_get(schema, "required"));
	enum rc rc = RC_OK;
	struct slice key;
	char name[64];

	while (rc == RC_OK && json_next(&it, &key, &value)) {
		struct place here = below(at, key, -1);
		snprintf(name, sizeof(name), "%.*s", (int)(key.len < 63 ? key.len : 63), key.ptr);
		struct json of = key.len < 63 ? json_get(properties, name) : (struct json){0};
		if (of.kind == JSON_MAP)
			rc = check_value(k, of, value, &here, depth + 1, e);
		else if (more.kind == JSON_BOOL && !json_bool(more))
			rc = wrong(e, &here, "is not known here");
	}
	while (rc == RC_OK && json_next(&need, &key, &value)) {
		struct place here = below(at, json_text(value), -1);
		snprintf(name, sizeof(name), "%.*s", (int)json_text(value).len,
			json_text(value).ptr);
		if (json_get(v, name).kind == JSON_NONE)
			rc = wrong(e, &here, "is missing");
	}
	return rc;
}

static enum rc check_list(const struct contract *k, struct json schema, struct json v,
	const struct place *at, int depth, struct err *e)
{
	struct json least = json_get(schema, "minItems"), most = json_get(schema, "maxItems"), one;
	struct json_iter it = json_iter(v);
	struct slice key;
	enum rc rc = RC_OK;

	if (least.kind == JSON_INT && (int64_t)json_count(v) < json_int(least))
		return wrong(e, at, "has too few items");
	if (most.kind == JSON_INT && (int64_t)json_count(v) > json_int(most))
		return wrong(e, at, "has too many items");
	for (long i = 0; rc == RC_OK && json_next(&it, &key, &one); i++) {
		struct place here = below(at, key, i);
		rc = check_value(k, json_get(schema, "items"), one, &here, depth + 1, e);
	}
	return rc;
}

/* Bounded by DEEPEST, so that a schema that names itself ends. */
// NOLINTNEXTLINE(misc-no-recursion)
static enum rc check_value(const struct contract *k, struct json schema, struct json v,
	const struct place *at, int depth, struct err *e)
{
	schema = resolved(k, schema);
	if (depth > DEEPEST)
		return wrong(e, at, "is nested too deep");
	if (schema.kind != JSON_MAP)
		return RC_OK;
	if (!any_type(json_get(schema, "type"), v))
		return wrong(e, at, "has the wrong type");
	switch (v.kind) {
	case JSON_TEXT:
		return check_text(schema, json_text(v), at, e);
	case JSON_INT:
	case JSON_REAL:
		return check_number(schema, v, at, e);
	case JSON_MAP:
		return check_map(k, schema, v, at, depth, e);
	case JSON_LIST:
		return check_list(k, schema, v, at, depth, e);
	default:
		return RC_OK;
	}
}

enum rc contract_check(
	const struct contract *k, struct json schema, struct json value, struct err *e)
{
	struct place at = {.text = ""};

	return check_value(k, schema, value, &at, 0, e);
}

/* ---- a request against its operation ---- */

static enum rc check_parameter(
	struct json schema, struct slice text, const struct place *at, struct err *e)
{
	struct slice type = json_text(json_get(schema, "type"));
	int64_t n;

	if (slice_eq(type, SLICE("integer"))) {
		struct json least = json_get(schema, "minimum"), most = json_get(schema, "maximum");
		if (slice_i64(text, &n) != RC_OK)
			return wrong(e, at, "is no whole number");
		if ((least.kind == JSON_INT && n < json_int(least)) ||
			(most.kind == JSON_INT && n > json_int(most)))
			return wrong(e, at, "is out of its range");
		return RC_OK;
	}
	if (slice_eq(type, SLICE("boolean")))
		return slice_eq(text, SLICE("true")) || slice_eq(text, SLICE("false"))
			? RC_OK
			: wrong(e, at, "is neither true nor false");
	return check_text(schema, text, at, e);
}

static struct slice parameter_given(struct exchange *x, struct slice in, const char *name, int *n)
{
	struct slice s = {0};

	*n = 1;
	if (slice_eq(in, SLICE("query")))
		*n = x_query(x, name, &s);
	else if (slice_eq(in, SLICE("header")))
		s = x_header(x, name);
	else
		s = slice_str(request_of(x)->variable);
	return s;
}

static enum rc check_parameters(
	const struct contract *k, struct json op, struct exchange *x, int *status, struct err *e)
{
	struct json_iter it = json_iter(json_get(op, "parameters"));
	enum rc rc = RC_OK;
	struct slice key;
	struct json one;

	while (rc == RC_OK && json_next(&it, &key, &one)) {
		struct slice in = json_text(json_get(one, "in"));
		struct place at = {.text = ""};
		int n = 0;
		snprintf(at.text, sizeof(at.text), "%.*s",
			(int)json_text(json_get(one, "name")).len,
			json_text(json_get(one, "name")).ptr);
		struct slice given = parameter_given(x, in, at.text, &n);
		*status = strcmp(at.text, "If-Match") == 0 && given.ptr == NULL ? 428 : 400;
		if (n > 1)
			rc = wrong(e, &at, "is given more than once");
		else if (given.ptr == NULL && json_bool(json_get(one, "required")))
			rc = wrong(e, &at, "is needed");
		else if (given.ptr != NULL)
			rc = check_parameter(resolved(k, json_get(one, "schema")), given, &at, e);
	}
	return rc;
}

static bool says_json(const struct exchange *x)
{
	struct slice rest = x_header(x, "Content-Type"), type = {0};

	return slice_cut(&rest, ';', &type) &&
		slice_eq_nocase(slice_trim(type), SLICE("application/json"));
}

static enum rc check_body(
	const struct contract *k, struct json op, struct exchange *x, int *status, struct err *e)
{
	OWN(json_parser_free) struct json_parser *p = NULL;
	struct json body, content = json_get(json_get(op, "requestBody"), "content");
	struct json schema = json_get(json_get(content, "application/json"), "schema");

	if (schema.kind == JSON_NONE)
		return RC_OK;
	*status = 415;
	if (!says_json(x))
		return err_set(e, RC_INVALID, "the body is to be application/json");
	*status = 400;
	p = json_parser_new();
	if (p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = json_parse(p, x_body(x), &body, e);
	return rc == RC_OK ? contract_check(k, schema, body, e) : rc;
}

bool contract_holds(struct api *a, struct exchange *x)
{
	struct json op = contract_operation(a->contract, request_of(x)->route);
	struct err e = {0};
	int status = 400;
	enum rc rc = check_parameters(a->contract, op, x, &status, &e);

	if (rc == RC_OK)
		rc = check_body(a->contract, op, x, &status, &e);
	if (rc == RC_OK)
		return true;
	http_problem(x, rc == RC_RETRY ? 503 : status,
		status == 428           ? "Precondition Required"
			: status == 415 ? "Unsupported Media Type"
					: "Bad Request",
		"%s", e.text);
	return false;
}

void handle_openapi(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)a, (void)pg;
	http_answer(x, 200, "application/json", contract_text());
}
