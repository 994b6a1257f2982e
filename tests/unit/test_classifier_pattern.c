/* Which patterns a pack may hold; the same table is the promise to a second implementation in another language. */
#include "base/base.h"
#include "classifier/rules.h"
#include "tests/unit/check.h"

static void test_allowed(void)
{
	static const char *const patterns[] = {
		"a",
		"\\bvay ?tien\\b",
		"tai khoan.{0,30}\\bbi (?:tam )?khoa",
		"(a|b|)c",
		"[a-z0-9_.-]{1,20}",
		"[^a-z]x",
		"[-a]b",
		"[\\]\\[\\^\\\\]",
		"[\\d\\s.]{3,9}",
		"\\d{9,11}",
		"\\d{3}?x",
		"a{1,3}?b{2}?c??",
		"(?=a)ab",
		"(?!a)b",
		"(?<=a)b",
		"(?<!\\d)\\d{4}(?!\\d)",
		"a\\.b\\/c\\{\\}\\(\\)\\|\\$\\^",
		"tiền [ăâ]",
		"^qc\\b|\\bad$",
		"x]",
		"a{200}",
		"((((((((((a))))))))))",
		"[|]",
		"#",
	};

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		size_t at;
		const char *why = pattern_refused(slice_str(patterns[i]), &at);
		OWN(re_free) struct re *re = NULL;
		char text[RE_WHY] = "";

		CHECK_CASE("%s", patterns[i]);
		CHECK_STR(why, "");
		/* and PCRE2 understands all of it */
		CHECK_INT(re_compile(slice_str(patterns[i]), &re, text), RC_OK);
		CHECK_STR(text, "");
	}
}

static void test_refused(void)
{
	static const struct {
		const char *pattern;
		size_t at;
	} cases[] = {
		{"", 0},
		{"a+", 1},
		{"ab*c", 2},
		{"a{2,}", 1},
		{"(a)+?", 3},
		{"a{3}+", 1},
		{"a?+b", 1},
		{"a{2}+", 1},
		{"a??*", 3},
		{"a{2}{3}", 4},
		{"*a", 0},
		{"^*", 1},
		{"\\b+", 2},
		{"(?=a)*", 5},
		{"(+a)", 1},
		{"a|*b", 2},
		{"a{", 1},
		{"a{,3}", 1},
		{"a{3,2}", 1},
		{"a{201}", 1},
		{"a{1,201}", 1},
		{"a{x}", 1},
		{"a}", 1},
		{"(?>a)", 0},
		{"(?i)a", 0},
		{"(?#x)", 0},
		{"(?P<n>a)", 0},
		{"(?<n>a)", 0},
		{"(?(1)a)", 0},
		{"(?R)", 0},
		{"(?1)", 0},
		{"(*UTF)a", 0},
		{"(a)\\1", 3},
		{"\\Ka", 0},
		{"\\Aa", 0},
		{"a\\z", 1},
		{"a\\Z", 1},
		{"\\Ga", 0},
		{"\\R", 0},
		{"\\h", 0},
		{"\\v", 0},
		{"\\Qa\\E", 0},
		{"\\pL", 0},
		{"\\x41", 0},
		{"\\u0041", 0},
		{"\\01", 0},
		{"a\\", 1},
		{"[[:alpha:]]", 0},
		{"[a[b]", 0},
		{"[]a]", 0},
		{"[^]a]", 0},
		{"[]", 0},
		{"[a", 0},
		{"[a^]", 0},
		{"[\\b]", 0},
		{"[z-a]", 0},
		{"[\\d-z]", 0},
		{"[a-\\d]", 0},
		{"[a-c-e]", 0},
		{"[a&&b]", 0},
		{"[a||b]", 0},
		{"(a", 1},
		{"a)", 1},
		{"(?<=a+)b", 5},
		{"(?<=a|b)c", 5},
		{"(?<=(a))b", 4},
		{"((((((((((((((((((((((a))))))))))))))))))))))", 20},
		{"a\tb", 1},
		{"\xFF", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t at = 999;
		const char *why = pattern_refused(slice_str(cases[i].pattern), &at);

		CHECK_CASE("%s", cases[i].pattern);
		CHECK(why != NULL);
		CHECK_INT(at, cases[i].at);
	}
}

static enum re_found find(const char *pattern, const char *text, size_t *from, size_t *to)
{
	OWN(re_free) struct re *re = NULL;
	OWN(re_scratch_free) struct re_scratch *s = re_scratch_new();
	char why[RE_WHY];

	CHECK_INT(re_compile(slice_str(pattern), &re, why), RC_OK);
	return re_find(re, s, slice_str(text), from, to);
}

static void test_matching(void)
{
	size_t from = 0, to = 0;

	CHECK_INT(find("\\bvay\\b", "xin VAY tien", &from, &to), RE_YES);
	CHECK_INT(from, 4);
	CHECK_INT(to, 7);
	CHECK_INT(find("\\bvay\\b", "vayo", &from, &to), RE_NO);
	CHECK_INT(find("\\w", "é贷", &from, &to), RE_NO); /* ASCII only */
	CHECK_INT(find("a.b", "a\nb", &from, &to), RE_NO);
	CHECK_INT(find("a$", "a\n", &from, &to), RE_YES);
}

/* A match that would take for ever is given up, and says so. */
static void test_gives_up(void)
{
	OWN(re_free) struct re *re = NULL;
	char why[RE_WHY], text[64];
	size_t from, to;

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 2] = '!';
	text[sizeof(text) - 1] = '\0';
	CHECK_INT(find("^(?:(a+)+)+$", text, &from, &to), RE_GAVE_UP);
	CHECK_INT(re_compile(SLICE("^(?:(a+)+)+$"), &re, why), RC_OK);
	CHECK(re_needs_more(re, slice_str(text), 1000));
	CHECK(!re_needs_more(re, SLICE("aaa"), 1000));
}

static void test_empty(void)
{
	static const struct {
		const char *pattern;
		bool empty;
	} cases[] = {{"a*", true}, {"^", true}, {"\\b", true}, {"a|", true}, {"(?!a)", true},
		{"a", false}, {"a?b", false}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		OWN(re_free) struct re *re = NULL;
		char why[RE_WHY];

		CHECK_CASE("%s", cases[i].pattern);
		CHECK_INT(re_compile(slice_str(cases[i].pattern), &re, why), RC_OK);
		CHECK_INT(re_matches_empty(re), cases[i].empty);
	}
}

int main(void)
{
	RUN(test_allowed);
	RUN(test_refused);
	RUN(test_matching);
	RUN(test_gives_up);
	RUN(test_empty);
	return check_done();
}
