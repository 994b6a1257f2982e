/* buf: grows to its cap and not beyond, stays NUL-terminated, writes JSON strings that parsers accept. */
#include "base/slice.h"
#include "tests/unit/check.h"

static void test_grow_to_cap(void)
{
	BUF_OWN struct buf b;

	buf_init(&b, 1000);
	CHECK_SLICE(buf_slice(&b), "");
	for (int i = 0; i < 100; i++)
		buf_fmt(&b, "%010d", i);
	CHECK(!b.failed);
	CHECK_INT(b.len, 1000);
	CHECK_INT(strlen(b.ptr), 1000);
	buf_add(&b, SLICE(""));
	CHECK(!b.failed);
	buf_byte(&b, 'x');
	CHECK(b.failed);
	CHECK_INT(b.len, 1000);
	buf_clear(&b);
	CHECK(!b.failed);
	buf_fmt(&b, "%1000d", 1);
	CHECK(!b.failed && b.len == 1000);
	buf_fmt(&b, "%d", 1);
	CHECK(b.failed && b.len == 1000 && b.ptr[1000] == '\0');
}

static void test_no_room_at_all(void)
{
	BUF_OWN struct buf b;

	buf_init(&b, 0);
	buf_fmt(&b, "%s", "");
	CHECK(!b.failed);
	buf_fmt(&b, "%s", "x");
	CHECK(b.failed);
	CHECK_STR(b.ptr, "");
}

static void test_failed_stays(void)
{
	BUF_OWN struct buf b;

	buf_init(&b, 3);
	buf_add(&b, SLICE("abcd"));
	buf_add(&b, SLICE("a"));
	buf_hex(&b, "a", 1);
	buf_json(&b, SLICE("a"));
	CHECK(b.failed);
	CHECK_SLICE(buf_slice(&b), "");
}

static void test_hex(void)
{
	BUF_OWN struct buf b;

	buf_init(&b, 100);
	buf_hex(&b, "\x00\xA5\xFF", 3);
	buf_hex(&b, "", 0);
	CHECK_SLICE(buf_slice(&b), "00a5ff");
}

static void test_json(void)
{
	static const struct {
		struct slice in;
		const char *want;
	} cases[] = {
		{{"", 0}, "\"\""},
		{{NULL, 0}, "\"\""},
		{{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
		{{"\b\f\n\r\t\x01\x1F\0", 8}, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000\""},
		{{"ti\xE1\xBA\xBFng", 7}, "\"ti\xE1\xBA\xBFng\""},
		{{"\xE1\xBA", 2}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{{"a\xFFz", 3}, "\"a\xEF\xBF\xBDz\""},
		{{"\x7F", 1}, "\"\x7F\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BUF_OWN struct buf b;

		CHECK_CASE("%zu", i);
		buf_init(&b, 100);
		buf_json(&b, cases[i].in);
		CHECK_SLICE(buf_slice(&b), cases[i].want);
	}
}

int main(void)
{
	RUN(test_grow_to_cap);
	RUN(test_no_room_at_all);
	RUN(test_failed_stays);
	RUN(test_hex);
	RUN(test_json);
	return check_done();
}
