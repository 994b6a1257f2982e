/* slice: trimming, cutting, numbers and strict UTF-8. */
#include "base/slice.h"
#include "tests/unit/check.h"

static void test_trim_and_compare(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {{"", ""}, {" a b\t\r\n", "a b"}, {" \v\f ", ""}, {"a", "a"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("\"%s\"", cases[i].in);
		CHECK_SLICE(slice_trim(slice_str(cases[i].in)), cases[i].want);
	}
	CHECK_SLICE(slice_trim(slice_str(NULL)), "");
	CHECK(slice_eq_nocase(SLICE("VietTEL9"), SLICE("vIETtel9")));
	CHECK(!slice_eq_nocase(SLICE("a"), SLICE("ab")));
	CHECK(!slice_eq_nocase(SLICE("@"), SLICE("`"))); /* one bit apart, no letters */
	CHECK(slice_starts(SLICE("abc"), SLICE("ab")) && slice_starts(SLICE("abc"), SLICE("")));
	CHECK(!slice_starts(SLICE("ab"), SLICE("abc")));
}

static void parts(struct slice s, bool lines, const char *want)
{
	struct slice part;
	char got[100] = "";

	while (lines ? slice_line(&s, &part) : slice_cut(&s, ',', &part)) {
		strncat(got, part.ptr, part.len);
		strcat(got, "|");
	}
	CHECK_STR(got, want);
}

static void test_cut_and_line(void)
{
	static const struct {
		const char *in, *cut, *lines;
	} cases[] = {
		{"", "", ""},
		{"a", "a|", "a|"},
		{"a,b,,c", "a|b||c|", "a,b,,c|"},
		{"a,", "a|", "a,|"},
		{",", "|", ",|"},
		{"a\r\nb\n\nc\r", "a\r\nb\n\nc\r|", "a|b||c\r|"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%zu", i);
		parts(slice_str(cases[i].in), false, cases[i].cut);
		parts(slice_str(cases[i].in), true, cases[i].lines);
	}
}

static void test_numbers(void)
{
	static const struct {
		const char *in;
		bool u_ok, i_ok;
		uint64_t u;
		int64_t i;
	} cases[] = {
		{"0", true, true, 0, 0},
		{"007", true, true, 7, 7},
		{"18446744073709551615", true, false, UINT64_MAX, 0},
		{"18446744073709551616", false, false, 0, 0},
		{"99999999999999999999", false, false, 0, 0},
		{"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
		{"-9223372036854775808", false, true, 0, INT64_MIN},
		{"-9223372036854775809", false, false, 0, 0},
		{"", false, false, 0, 0},
		{"-", false, false, 0, 0},
		{"+1", false, false, 0, 0},
		{" 1", false, false, 0, 0},
		{"1 ", false, false, 0, 0},
		{"--1", false, false, 0, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t u = 42;
		int64_t n = 42;

		CHECK_CASE("\"%s\"", cases[i].in);
		CHECK_RC(slice_u64(slice_str(cases[i].in), &u), cases[i].u_ok ? RC_OK : RC_INVALID,
			NULL);
		CHECK_U64(u, cases[i].u_ok ? cases[i].u : 42);
		CHECK_RC(slice_i64(slice_str(cases[i].in), &n), cases[i].i_ok ? RC_OK : RC_INVALID,
			NULL);
		CHECK_INT(n, cases[i].i_ok ? cases[i].i : 42);
	}
}

static void test_utf8(void)
{
	static const struct {
		const char *in;
		bool ok;
	} cases[] = {
		{"", true},
		{"ti\xE1\xBA\xBFng Vi\xE1\xBB\x87t \xF0\x9F\x98\x80", true},
		{"\xC0\xAF", false}, /* overlong */
		{"\xC1\xBF", false},
		{"\xE0\x9F\xBF", false},
		{"\xF0\x8F\xBF\xBF", false},
		{"\xED\x9F\xBF", true},
		{"\xED\xA0\x80", false}, /* a surrogate */
		{"\xEE\x80\x80", true},
		{"\xF4\x8F\xBF\xBF", true},
		{"\xF4\x90\x80\x80", false}, /* over U+10FFFF */
		{"\xF5\x80\x80\x80", false},
		{"\x80", false},
		{"\xE1\xBA", false}, /* cut */
		{"\xE1\xBA"
		 "a",
			false},
		{"\xFF", false},
	};
	uint32_t cp = 7;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%zu", i);
		CHECK_INT(slice_utf8_valid(slice_str(cases[i].in)), cases[i].ok);
	}
	CHECK_INT(slice_utf8(SLICE("\xF0\x9F\x98\x80x"), &cp), 4);
	CHECK_INT(cp, 0x1F600);
	CHECK_INT(slice_utf8(SLICE(""), &cp), 0);
}

int main(void)
{
	RUN(test_trim_and_compare);
	RUN(test_cut_and_line);
	RUN(test_numbers);
	RUN(test_utf8);
	return check_done();
}
