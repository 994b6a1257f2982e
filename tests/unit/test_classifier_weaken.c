/* What the multi-pattern scan is given matches wherever the pattern itself does. */
#include "base/base.h"
#include "classifier/rules.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static void test_cases(void)
{
	static const struct {
		const char *pattern, *want; /* NULL: nothing is sure */
	} cases[] = {
		{"vay", "vay"},
		{"vay.{0,30}tien", "vay"}, /* "tien" is longer, but common */
		{"\\btai khoan\\b.{0,50}\\bkhoa\\b", "\\bkhoa\\b"},
		{"ab|cd", "ab|cd"},
		{"abc.{0,9}d|ef.{0,9}ghi", "abc|ghi"},
		{"x(?:abc.{0,9}d|ef)y", "(?:abc|ef)"},
		{"(?:vay|no) ?tien", "(?:vay|no) ?tien"},
		{"a(?=bbb)c", "ac"},
		{"(?<!khong )gui.{0,5}ma", "gui"},
		{"(?:abc){2}d", "(?:abc){2}d"},
		{"(?:abc){2,9}d", "(?:abc)"},
		{"ab?c{1,3}?d", "ab?c{1,3}d"},
		{"(?:abc.{0,9}d)?xy", "xy"},
		{"[a-z0-9-]{2,40}\\.(?:top|vip)", "\\.(?:top|vip)"},
		{"\\d{9,11}", "\\d"},
		{"a|\\w", NULL},
		{"[a-z]{5,9}[,;]{1,2}", "[,;]{1,2}"},
		{"[^a]{5,9}x{5,9}", "x"},
		{"[^a]", NULL},
		{"(?:a|)", NULL},
		{".", NULL},
		{"tiền.{0,9}à", "tiền"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BUF_OWN struct buf out;

		buf_init(&out, 4096);
		CHECK_CASE("%s", cases[i].pattern);
		CHECK_INT(pattern_weaken(slice_str(cases[i].pattern), &out), cases[i].want != NULL);
		CHECK_SLICE(buf_slice(&out), cases[i].want != NULL ? cases[i].want : "");
	}
}

static void grow(uint64_t *seed, int depth, struct buf *out)
{
	size_t parts = 1 + rnd(seed, 4);

	for (size_t i = 0; i < parts; i++) {
		static const char *const atoms[] = {
			"a", "b", "c", "ab", ".", "[ab]", "\\w", "\\b", "^", "$", "|"};
		static const char *const repeats[] = {
			"", "", "", "?", "{2}", "{0,2}", "{1,9}", "{0,9}", "{0,9}?"};
		uint64_t what = rnd(seed, depth > 0 ? 14 : ARRAY_LEN(atoms));

		if (what < 7) {
			buf_fmt(out, "%s%s", atoms[what], repeats[rnd(seed, ARRAY_LEN(repeats))]);
		} else if (what < ARRAY_LEN(atoms)) {
			buf_fmt(out, "%s", atoms[what]);
		} else {
			static const char *const groups[] = {"(?:", "(", "(?="};

			buf_fmt(out, "%s", groups[what - ARRAY_LEN(atoms)]);
			grow(seed, depth - 1, out);
			buf_fmt(out, ")%s",
				what == 13 ? "" : repeats[rnd(seed, ARRAY_LEN(repeats))]);
		}
	}
}

static bool matches(const struct re *re, struct re_scratch *s, struct slice text)
{
	size_t from, to;

	return re_find(re, s, text, &from, &to) == RE_YES;
}

/* Near what the scan saw the same match is found as in the whole text. */
static bool same_place(
	const struct re *re, struct re_scratch *s, struct slice text, struct span seen)
{
	size_t from[2] = {0}, to[2] = {0};

	return CHECK_INT(re_find(re, s, text, &from[0], &to[0]), RE_YES) &&
		CHECK_INT(re_find_near(re, s, text, seen, &from[1], &to[1]), RE_YES) &&
		CHECK_INT(from[1], from[0]) && CHECK_INT(to[1], to[0]);
}

static void test_width(void)
{
	static const struct {
		const char *pattern;
		size_t width;
	} cases[] = {{"abc", 3}, {"a?b{2,5}", 6}, {"(?:ab|c{4})d", 5}, {"(?:ab){3}", 6},
		{"\\ba(?=bcd)e", 2}, {"(?<=abc)d", 1}, {"[a\\]b]{3}", 3}, {"^a.{0,30}?b$", 32},
		{"(?:a(?:b|cd){2,3}){2}", 14}, {"\\d{4}ế", 5}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].pattern);
		CHECK_INT(pattern_width(slice_str(cases[i].pattern)), cases[i].width);
	}
}

static void test_never_misses(void)
{
	OWN(re_scratch_free) struct re_scratch *s = re_scratch_new();
	uint64_t seed = 8;
	size_t weaker = 0, found = 0;

	for (int round = 0; round < 4000; round++) {
		BUF_OWN struct buf pattern;
		BUF_OWN struct buf weak;
		OWN(re_free) struct re *strong_re = NULL, *weak_re = NULL;
		OWN(prefilter_free) struct prefilter *f = NULL;
		OWN(prefilter_scratch_free) struct prefilter_scratch *fs = NULL;
		char why[RE_WHY];
		size_t at;
		struct err e;

		buf_init(&pattern, 4096);
		buf_init(&weak, 4096);
		grow(&seed, 3, &pattern);
		CHECK_CASE("%s", pattern.ptr);
		if (pattern_refused(buf_slice(&pattern), &at) != NULL ||
			re_compile(buf_slice(&pattern), &strong_re, why) != RC_OK)
			continue;
		bool some = pattern_weaken(buf_slice(&pattern), &weak);
		if (some && !CHECK_INT(re_compile(buf_slice(&weak), &weak_re, why), RC_OK))
			return;
		weaker += some;
		bool scan = round % 16 == 0;
		if (scan) {
			const struct slice one = buf_slice(&pattern);

			CHECK_RC(prefilter_new(&one, 1, round % 32 == 0, &f, &e), RC_OK, &e);
			CHECK_RC(prefilter_scratch_new(f, NULL, &fs, &e), RC_OK, &e);
		}
		for (int k = 0; k < 40; k++) {
			char text[120];
			size_t len = rnd(&seed, scan ? sizeof(text) : 24);
			uint64_t candidate = 0;
			struct span seen;

			for (size_t i = 0; i < len; i++)
				text[i] = "abc "[rnd(&seed, 4)];
			if (!matches(strong_re, s, slice_of(text, len)))
				continue;
			found++;
			if (some && !CHECK(matches(weak_re, s, slice_of(text, len))))
				return;
			if (!scan)
				continue;
			prefilter_scan(f, fs, slice_of(text, len), &candidate, &seen);
			if (!CHECK(candidate == 1))
				return;
			if (!same_place(strong_re, s, slice_of(text, len), seen))
				return;
		}
	}
	CHECK(weaker > 500 && found > 5000); /* the test saw what it is for */
}

/* vectorscan 5.4.9 loses a repeated character beyond byte 64 when it is asked for single matches. */
static void test_far_into_the_text(void)
{
	static const char *const patterns[] = {
		"[!]{2,9}", "!{1,5}", "[!?]{2,9}", "x{3}", "ax{2,9}", "\\$"};
	static const char *const ends[] = {"!!", "!", "!?", "xxx", "axx", "$"};

	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		for (size_t before = 0; before < 300; before += 7) {
			OWN(prefilter_free) struct prefilter *f = NULL;
			OWN(prefilter_scratch_free) struct prefilter_scratch *s = NULL;
			struct slice pattern = slice_str(patterns[i]);
			uint64_t candidate = 0;
			char text[400];
			struct err e;

			CHECK_CASE("%s after %zu", patterns[i], before);
			memset(text, 'b', before);
			memcpy(text + before, ends[i], strlen(ends[i]));
			CHECK_RC(prefilter_new(&pattern, 1, false, &f, &e), RC_OK, &e);
			CHECK_RC(prefilter_scratch_new(f, NULL, &s, &e), RC_OK, &e);
			prefilter_scan(
				f, s, slice_of(text, before + strlen(ends[i])), &candidate, NULL);
			if (!CHECK(candidate == 1))
				break;
		}
}

int main(void)
{
	RUN(test_cases);
	RUN(test_far_into_the_text);
	RUN(test_width);
	RUN(test_never_misses);
	return check_done();
}
