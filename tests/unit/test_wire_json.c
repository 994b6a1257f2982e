/* json: what is understood, what is refused and with which cause, and that writing gives back what was read. */
#include "tests/unit/check.h"
#include "wire/wire.h"

static struct json_parser *parser;

static struct json parse(const char *text)
{
	struct json v = {0};
	struct err e = {0};

	CHECK_RC(json_parse(parser, slice_str(text), &v, &e), RC_OK, &e);
	return v;
}

static void test_values(void)
{
	struct json v =
		parse(" {\"t\":\"a\\u0000\\u1ed3\\ud83d\\ude00\\n\",\"i\":-9223372036854775808,"
		      "\"u\":18446744073709551615,\"r\":0.5e-3,\"y\":true,\"n\":null,"
		      "\"f\":false,\"l\":[1,[2,3],{\"a\":4}],\"m\":{},\"\":7,"
		      "\"big\":123456789012345678901234567890,\"neg\":-99999999999999999999} ");

	CHECK_INT(v.kind, JSON_MAP);
	CHECK_INT(json_count(v), 12);
	CHECK(slice_eq(json_text(json_get(v, "t")), SLICE("a\0ồ😀\n")));
	CHECK_INT(json_get(v, "i").kind, JSON_INT);
	CHECK_INT(json_int(json_get(v, "i")), INT64_MIN);
	CHECK_NEAR(json_real(json_get(v, "i")), -9.223372036854775808e18, 1);
	CHECK_INT(json_get(v, "u").kind, JSON_REAL);
	CHECK_NEAR(json_real(json_get(v, "u")), 1.8446744073709551615e19, 1);
	CHECK_INT(json_int(json_get(v, "u")), 0);
	CHECK(json_real(json_get(v, "r")) == 0.5e-3);
	CHECK(json_bool(json_get(v, "y")) && !json_bool(json_get(v, "f")));
	CHECK_INT(json_get(v, "f").kind, JSON_BOOL);
	CHECK_INT(json_get(v, "n").kind, JSON_NULL);
	CHECK_INT(json_get(v, "nosuch").kind, JSON_NONE);
	CHECK_INT(json_get(json_get(v, "nosuch"), "x").kind, JSON_NONE);
	CHECK_INT(json_get(json_get(v, "l"), "x").kind, JSON_NONE);
	CHECK_INT(json_count(json_get(v, "l")), 3);
	CHECK_INT(json_count(json_get(v, "m")), 0);
	CHECK_INT(json_int(json_get(v, "")), 7);
	CHECK_INT(json_get(v, "big").kind, JSON_REAL);
	CHECK(json_real(json_get(v, "big")) == 123456789012345678901234567890.0);
	CHECK(json_real(json_get(v, "neg")) == -99999999999999999999.0);
	CHECK(json_widened(v));
	CHECK_SLICE(json_text(json_get(v, "i")), "");
	CHECK_INT(json_int(json_get(v, "t")), 0);
	CHECK(json_real(json_get(v, "t")) == 0 && !json_bool(json_get(v, "t")));
	CHECK_INT(json_int(parse("42")), 42);
	CHECK_SLICE(json_text(parse("\"x\"")), "x");
	CHECK_INT(parse("null").kind, JSON_NULL);
	CHECK_INT(json_int(parse("-0")), 0);
	v = parse("[9223372036854775807,9223372036854775808,-9223372036854775809,"
		  "18446744073709551616,\"12345678901234567890123\\\"\"]");
	struct json_iter it = json_iter(v);
	struct slice key;
	struct json value;
	static const double want[] = {9223372036854775807.0, 9223372036854775808.0,
		-9223372036854775809.0, 18446744073709551616.0};
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CHECK(json_next(&it, &key, &value));
		CHECK_INT(value.kind, i == 0 ? JSON_INT : JSON_REAL);
		CHECK(json_real(value) == want[i]);
	}
	CHECK(json_next(&it, &key, &value));
	CHECK_SLICE(json_text(value), "12345678901234567890123\"");
}

static void test_iter(void)
{
	struct json v = parse("{\"a\":[1,2,[3],{\"z\":9}],\"b\":{\"c\":1.5},\"d\":\"e\"}"), value;
	struct json_iter it = json_iter(v);
	struct slice key;
	static const char *const keys[] = {"a", "b", "d"};
	static const enum json_kind kinds[] = {JSON_LIST, JSON_MAP, JSON_TEXT};
	static const enum json_kind items[] = {JSON_INT, JSON_INT, JSON_LIST, JSON_MAP};
	size_t n = 0;

	for (; json_next(&it, &key, &value); n++) {
		CHECK_SLICE(key, keys[n]);
		CHECK_INT(value.kind, kinds[n]);
	}
	CHECK_INT(n, 3);
	it = json_iter(json_get(v, "a"));
	for (n = 0; json_next(&it, &key, &value); n++) {
		CHECK_SLICE(key, "");
		CHECK_INT(value.kind, items[n]);
	}
	CHECK_INT(n, 4);
	it = json_iter(json_get(v, "d"));
	CHECK(!json_next(&it, &key, &value));
	it = json_iter((struct json){0});
	CHECK(!json_next(&it, &key, &value));
}

static void test_refused(void)
{
	static const struct {
		const char *text, *cause;
	} cases[] = {
		{"", "empty"},
		{" \n ", "empty"},
		{"\xEF\xBB\xBF{}", "byte order mark"},
		{"{\"a\":1,\"a\":1}", "duplicate key \"a\""},
		{"{\"a\":1,\"\\u0061\":2}", "duplicate key \"a\""},
		{"[{\"x\":{\"kind\":1,\"b\":2,\"kind\":3}}]", "duplicate key \"kind\""},
		{"{\"\":1,\"\":2}", "duplicate key \"\""},
		{"{\"\xc3\x28\":1}", "not UTF-8"},
		{"\"\xed\xa0\x80\"", "not UTF-8"},
		{"\"\xc0\x80\"", "not UTF-8"},
		{"\"\\udc00\"", "escape"},
		{"{\"\\udfff\":1}", "escape"},
		{"\"\\ud800\"", "escape"},
		{"\"\\ud800\\u0041\"", ""},
		{"\"\\x41\"", "escape"},
		{"\"a\nb\"", "control character"},
		{"{\"a\":1", "ends early"},
		{"[1,[2", "ends early, 2 brackets"},
		{"{\"a\":\"b", "ends early, in a string"},
		{"{\"a\"", "ends early"},
		{"{} x", "follows the value at byte 3"},
		{"{}{}", "follows the value at byte 2"},
		{"1 2", "follows the value at byte 2"},
		{"[1]]", "follows the value at byte 3"},
		{"]", "closes nothing"},
		{"{\"a\":NaN}", "NaN"},
		{"[Infinity]", "NaN nor Infinity"},
		{"[-Infinity]", "number"},
		{"[nan]", "not true, false or null"},
		{"[tru]", "not true, false or null"},
		{"[01]", "number"},
		{"[1e999]", "number"},
		{"[1.]", "number"},
		{"[+1]", "not JSON"},
		{"[1,]", ""},
		{"{\"a\":1,}", "not JSON"},
		{"{a:1}", "not JSON"},
		{"{\"a\" 1}", "not JSON"},
		{"{1:1}", "not JSON"},
		{"'a'", "not JSON"},
		{"[1 /* x */]", "not JSON"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json v = {0};
		struct err e = {0};

		CHECK_CASE("%s", cases[i].text);
		CHECK_RC(json_parse(parser, slice_str(cases[i].text), &v, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, cases[i].cause);
		CHECK(e.text[0] != '\0');
		CHECK_INT(v.kind, JSON_NONE);
		/* The parser is as good as before. */
		CHECK_INT(json_int(parse("[1]").kind == JSON_LIST ? parse("5") : v), 5);
	}
	struct json v = {0};
	struct err e = {0};
	CHECK_RC(json_parse(parser, SLICE("[1]\0"), &v, &e), RC_INVALID, &e);
	CHECK_RC(json_parse(parser, SLICE("\"a\0b\""), &v, &e), RC_INVALID, &e);
	CHECK_RC(json_parse(parser, slice_of(NULL, 0), &v, &e), RC_INVALID, &e);
}

/* The last level that is allowed, and the first that is not, of lists, maps and both. */
static void test_depth(void)
{
	for (int levels = BOUND_JSON_DEPTH - 1; levels <= BOUND_JSON_DEPTH + 2; levels++)
		for (int mode = 0; mode < 3; mode++) {
			BUF_OWN struct buf b, again;
			struct json v = {0};
			struct err e = {0};
			bool fine = levels <= BOUND_JSON_DEPTH;

			CHECK_CASE("%d levels, mode %d", levels, mode);
			buf_init(&b, 4096);
			buf_init(&again, 4096);
			for (int i = 0; i < levels; i++)
				buf_add(&b,
					mode == 0 || (mode == 2 && i % 2 == 0) ? SLICE("[")
									       : SLICE("{\"a\":"));
			buf_add(&b, SLICE("1"));
			for (int i = levels - 1; i >= 0; i--)
				buf_byte(&b, mode == 0 || (mode == 2 && i % 2 == 0) ? ']' : '}');
			CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e),
				fine ? RC_OK : RC_INVALID, &e);
			if (fine) {
				json_write(v, &again);
				CHECK_SLICE(buf_slice(&again), b.ptr);
			} else {
				CHECK_STR(e.text, "nested deeper than 32");
			}
		}
	/* An empty one is a level too. */
	BUF_OWN struct buf b;
	struct json v = {0};
	struct err e = {0};
	buf_init(&b, 1 << 24);
	for (int levels = BOUND_JSON_DEPTH; levels <= BOUND_JSON_DEPTH + 1; levels++) {
		CHECK_CASE("%d levels, the last one empty", levels);
		buf_clear(&b);
		for (int i = 0; i < levels; i++)
			buf_byte(&b, '[');
		for (int i = 0; i < levels; i++)
			buf_byte(&b, ']');
		CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e),
			levels <= BOUND_JSON_DEPTH ? RC_OK : RC_INVALID, &e);
	}
	/* Hostile depth and width are refused or read in bounded time. */
	buf_clear(&b);
	for (int i = 0; i < 100000; i++)
		buf_byte(&b, '[');
	CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e), RC_INVALID, &e);
}

static void test_many_keys(void)
{
	BUF_OWN struct buf b;
	struct json v = {0};
	struct err e = {0};

	buf_init(&b, 1 << 24);
	buf_byte(&b, '{');
	for (int i = 0; i < 200000; i++)
		buf_fmt(&b, "\"key-%d\":%d,", i, i);
	size_t len = b.len;
	buf_fmt(&b, "\"last\":0}");
	CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e), RC_OK, &e);
	CHECK_INT(json_count(v), 200001);
	CHECK_INT(json_int(json_get(v, "key-199999")), 199999);
	b.len = len;
	buf_fmt(&b, "\"key-77777\":0}");
	CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e), RC_INVALID, &e);
	CHECK_STR(e.text, "duplicate key \"key-77777\"");
	/* Each number of keys around the change from comparing to sorting. */
	for (int n = 62; n <= 67; n++)
		for (int dup = 0; dup <= 1; dup++) {
			CHECK_CASE("%d keys, dup %d", n, dup);
			buf_clear(&b);
			for (int i = 0; i < n; i++)
				buf_fmt(&b, "%c\"%d\":[%d]", i == 0 ? '{' : ',', i, i);
			buf_add(&b, dup ? SLICE(",\"3\":0}") : SLICE("}"));
			CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e),
				dup ? RC_INVALID : RC_OK, &e);
		}
}

static void test_size(void)
{
	BUF_OWN struct buf b;
	struct json v = {0};
	struct err e = {0};
	struct slice pad = SLICE("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

	buf_init(&b, 20 * 1024 * 1024);
	buf_byte(&b, '"');
	while (b.len < 16 * 1024 * 1024 - 64)
		buf_add(&b, pad);
	buf_byte(&b, '"');
	CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e), RC_OK, &e);
	CHECK_INT(json_text(v).len, b.len - 2);
	b.ptr[b.len - 1] = 'x';
	for (int i = 0; i < 3; i++)
		buf_add(&b, pad);
	buf_byte(&b, '"');
	CHECK_RC(json_parse(parser, buf_slice(&b), &v, &e), RC_INVALID, &e);
	CHECK_HAS(e.text, "larger than");
	/* Every length around a block of simdjson's, on a fresh parser each. */
	for (size_t n = 0; n < 200; n++) {
		OWN(json_parser_free) struct json_parser *p = json_parser_new();

		buf_clear(&b);
		buf_fmt(&b, "[\"%.*s\",%zu]", (int)(n % 63), pad.ptr, n);
		for (size_t i = 0; i < n; i++)
			buf_byte(&b, ' ');
		CHECK_RC(json_parse(p, buf_slice(&b), &v, &e), RC_OK, &e);
		CHECK_INT(json_count(v), 2);
	}
}

static void test_write(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{" { \"a\" : [ 1 , -2.50 , \"x\\u0001\\\"\\/é\" , null ] , \"b\" : { } } ",
			"{\"a\":[1,-2.5,\"x\\u0001\\\"/é\",null],\"b\":{}}"},
		{"[[],{},[[]],[{}]]", "[[],{},[[]],[{}]]"},
		{"true", "true"},
		{"[0.1,1e300,18446744073709551615,9007199254740993,3.0,-0.0]",
			"[0.1,1e+300,18446744073709551615,9007199254740993,3.0,-0.0]"},
		{"{\"a\":{\"b\":[{\"c\":1,\"d\":[2,3]},4]},\"e\":false}",
			"{\"a\":{\"b\":[{\"c\":1,\"d\":[2,3]},4]},\"e\":false}"},
	};
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].in);
		buf_clear(&b);
		json_write(parse(cases[i].in), &b);
		CHECK_SLICE(buf_slice(&b), cases[i].want);
	}
	/* A part of a document. */
	buf_clear(&b);
	json_write(json_get(parse("{\"a\":{\"b\":[1,{}]},\"c\":2}"), "a"), &b);
	CHECK_SLICE(buf_slice(&b), "{\"b\":[1,{}]}");
	buf_clear(&b);
	json_write((struct json){0}, &b);
	CHECK_SLICE(buf_slice(&b), "");
}

/* Members as they were written, whatever is in them. */
static void test_raw(void)
{
	static const char text[] = " {\"a\" : 1.10e+2 ,\"\\u0062\":{ \"x\" : [1, \"]}\\\"\" ] },"
				   "\"c\":\"\\\\\",\"d\":[ ]\n,\"e\":null}";
	static const char *const want[][2] = {{"\"a\"", "1.10e+2"},
		{"\"\\u0062\"", "{ \"x\" : [1, \"]}\\\"\" ] }"}, {"\"c\"", "\"\\\\\""},
		{"\"d\"", "[ ]"}, {"\"e\"", "null"}};
	struct json_raw raw = json_raw(slice_str(text));
	struct slice key, value;

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CHECK(json_raw_next(&raw, &key, &value));
		CHECK_SLICE(key, want[i][0]);
		CHECK_SLICE(value, want[i][1]);
	}
	CHECK(!json_raw_next(&raw, &key, &value));
	raw = json_raw(SLICE("{ }"));
	CHECK(!json_raw_next(&raw, &key, &value));
	raw = json_raw(SLICE(""));
	CHECK(!json_raw_next(&raw, &key, &value));
}

int main(void)
{
	parser = json_parser_new();
	RUN(test_values);
	RUN(test_iter);
	RUN(test_refused);
	RUN(test_depth);
	RUN(test_many_keys);
	RUN(test_size);
	RUN(test_write);
	json_parser_free(parser);
	json_parser_free(NULL);
	RUN(test_raw);
	return check_done();
}
