/* The verdict on a text: sums, caps, labels, terms, what the raw text behind a match is, and the fingerprint. */
#include "base/base.h"
#include "classifier/rules.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static char dir[CHECK_PATH];
static struct pack *pack;
static struct scan *scan;

static const char rules[] =
	"pack: t-1\n"
	"bias: -2\n"
	"scam_share: 0.5\n"
	"caps: {scam: 6, spam: 5, ham: 4}\n"
	"rules:\n"
	"  - {id: 1, symbol: SCAM_TWO, class: scam, weight: 2, pattern: "
	"'\\bkhoa\\b', description: d, match: [KHÓA], nomatch: [kho]}\n"
	"  - {id: 2, symbol: SCAM_FIVE, class: scam, weight: 5, pattern: 'mat "
	"khau', description: d, match: [Mật Khẩu], nomatch: [mat]}\n"
	"  - {id: 3, symbol: SPAM_THREE, class: spam, weight: 3, pattern: 'vay "
	"?tien', description: d, match: [v-a-y tiền], nomatch: [vay]}\n"
	"  - {id: 4, symbol: SPAM_THREE_B, class: spam, weight: 3, pattern: "
	"'giai ngan', description: d, match: [giải ngân], nomatch: [giai]}\n"
	"  - {id: 5, symbol: HAM_TWO, class: ham, weight: -2, pattern: 'ma "
	"otp', description: d, match: [Mã OTP], nomatch: [otp]}\n"
	"  - {id: 6, symbol: HAM_THREE, class: ham, weight: -3, pattern: 'so "
	"du', description: d, match: [Số dư], nomatch: [so]}\n"
	"  - {id: 7, symbol: LINK, class: spam, weight: 0, pattern: "
	"'https?://', description: d, match: ['http://a'], nomatch: [http]}\n"
	"  - {id: 8, symbol: SHOUT, class: spam, weight: 0.5, text: raw, "
	"pattern: '!{3,9}', description: d, match: ['a!!!'], nomatch: ['!!']}\n"
	"  - {id: 9, symbol: SAME_B, class: spam, weight: 0.25, pattern: 'zz', "
	"description: d, match: [zz], nomatch: [z]}\n"
	"  - {id: 10, symbol: SAME_A, class: spam, weight: 0.25, pattern: "
	"'zz', description: d, match: [zz], nomatch: [z]}\n"
	"  - {id: 11, symbol: TRIAL, class: scam, weight: 4, shadow: true, "
	"pattern: 'qqq', description: d, match: [qqq], nomatch: [q]}\n"
	"  - {id: 12, symbol: ENDLESS, class: scam, weight: 4, text: raw, pattern: "
	"'(?:\u20AC{1,9}\u20AC{1,9}){1,9}z(?=k)', description: d, match: "
	"[\u20AC\u20ACzk], nomatch: [zz]}\n"
	"  - {id: 13, symbol: ENDLESS_TRIAL, class: scam, weight: 4, shadow: true, text: raw, "
	"pattern: '(?:\u20BF{1,9}\u20BF{1,9}){1,9}z(?=k)', description: d, match: "
	"[\u20BF\u20BFzk], nomatch: [zz]}\n"
	"combine:\n"
	"  - {symbol: TRIAL_AND_LINK, class: scam, weight: 5, shadow: yes, when: "
	"TRIAL and LINK, description: d}\n"
	"  - {symbol: ON_TRIAL_TOO, class: scam, weight: 3, when: "
	"TRIAL and LINK, description: d}\n"
	"  - {symbol: LOCK_AND_LINK, class: scam, weight: 1.5, when: SCAM_TWO "
	"and LINK, description: d}\n"
	"  - {symbol: TWO_LOANS, class: spam, weight: 1, when: "
	"'count(SPAM_THREE,SPAM_THREE_B) >= 2', description: d}\n";

static struct verdict judged(const char *text)
{
	struct verdict v;

	classify(scan, slice_str(text), &v);
	return v;
}

static double sigmoid(double z)
{
	return 1 / (1 + exp(-z));
}

static void test_sums_and_labels(void)
{
	static const struct {
		const char *text;
		double z;
		enum label label;
		size_t terms;
	} cases[] = {
		{"xin chào", -2, LABEL_HAM, 0},
		{"tài khoản bị KHÓA", 0, LABEL_SCAM, 1},  /* score 0.5 is no ham */
		{"khoá và khóa", 0, LABEL_SCAM, 1},       /* a symbol counts once */
		{"bị khóa http://x", 1.5, LABEL_SCAM, 2}, /* the helper is no term */
		{"khóa, mật khẩu", 4, LABEL_SCAM, 2},     /* 7, capped at 6 */
		{"vay tiền", 1, LABEL_SPAM, 1},
		{"v a y tien giai ngan", 3, LABEL_SPAM, 3}, /* 3 + 3 + 1, capped at 5 */
		{"mật khẩu vay tiền giải ngân mã OTP số dư", 4, LABEL_SCAM,
			6},                          /* 5 + 5 - 4 (capped) - 2; scam has half */
		{"khóa vay tiền", 3, LABEL_SPAM, 2}, /* 2 of 5 is less than half */
		{"mã OTP số dư", -6, LABEL_HAM, 2},
		{"vay tiền!!!", 1.5, LABEL_SPAM, 2},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct verdict v = judged(cases[i].text);

		CHECK_CASE("%s", cases[i].text);
		CHECK_INT(v.label, cases[i].label);
		CHECK_NEAR(v.score, sigmoid(cases[i].z), 1e-12);
		CHECK_INT(v.terms, cases[i].terms);
		CHECK(!v.undecided && !v.cut);
	}
}

static void test_nothing(void)
{
	struct verdict v = judged("");

	CHECK_INT(v.label, LABEL_NONE);
	CHECK_NEAR(v.score, 0, 0);
	CHECK_U64(v.fingerprint, 0);
	v = judged(" \n");
	CHECK_INT(v.label, LABEL_HAM);
}

static void test_terms(void)
{
	struct verdict v = judged("zz Tài khoản bị  K H Ó A  http://x, nhập mật khẩu!!!! Mã OTP");

	static const char *const names[] = {
		"SCAM_FIVE", "HAM_TWO", "SCAM_TWO", "LOCK_AND_LINK", "SHOUT", "SAME_A", "SAME_B"};
	CHECK_INT(v.terms, ARRAY_LEN(names));
	for (size_t i = 0; i < v.terms && i < ARRAY_LEN(names); i++)
		CHECK_STR(v.term[i].name, names[i]); /* strongest first, then by name */
	CHECK_SLICE(v.term[0].match, "mật khẩu");
	CHECK_SLICE(v.term[1].match, "Mã OTP");
	CHECK_SLICE(v.term[2].match, "K H Ó A");
	CHECK_SLICE(v.term[3].match, "");
	CHECK_SLICE(v.term[4].match, "!!!!");
	CHECK_INT(v.term[2].raw_at, strlen("zz Tài khoản bị  "));
	CHECK_INT(v.term[2].label, LABEL_SCAM);
	CHECK_NEAR(v.term[1].weight, -2, 0);
}

/* Rules on trial are named apart and change nothing, also not by way of a combination. */
static void test_shadow(void)
{
	struct verdict with = judged("zz qqq http://x"), without = judged("zz http://x");

	CHECK(with.score == without.score && with.label == without.label);
	CHECK_INT(with.terms, without.terms);
	CHECK_INT(without.shadows, 0);
	if (!CHECK_INT(with.shadows, 2))
		return;
	CHECK_STR(with.shadow[0].name, "TRIAL_AND_LINK");
	CHECK_STR(with.shadow[1].name, "TRIAL");
	CHECK_SLICE(with.shadow[1].match, "qqq");
}

/* A match that ends inside what one character became takes that character whole. */
static void test_whole_characters(void)
{
	struct verdict v = judged("nhập mật khẩ\u1D6B ngay"); /* one letter, folded to "ue" */

	CHECK_INT(v.terms, 1);
	CHECK_SLICE(v.term[0].match, "mật khẩ\u1D6B");
}

static void test_any_bytes(void)
{
	static char text[3 * BOUND_CONTENT];
	uint64_t seed = 7;

	for (int round = 0; round < 2000; round++) {
		size_t len = rnd(&seed, round % 20 == 0 ? sizeof(text) : 300);
		struct verdict v, w;

		for (size_t i = 0; i < len; i++)
			text[i] = (char)rnd(&seed, 256);
		if (len > 20)
			memcpy(text + rnd(&seed, len - 10), "vay tien!!", 10);
		classify(scan, slice_of(text, len), &v);
		CHECK(v.score >= 0 && v.score <= 1);
		CHECK_INT(v.cut, len > BOUND_CONTENT);
		for (size_t i = 0; i < v.terms; i++)
			CHECK(v.term[i].match.ptr >= text &&
				v.term[i].match.ptr + v.term[i].match.len <= text + len);
		classify(scan, slice_of(text, len),
			&w); /* the same again: nothing stays from the text before */
		CHECK(v.score == w.score && v.terms == w.terms && v.fingerprint == w.fingerprint);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text + BOUND_CONTENT, "vay tien", 8); /* beyond what is read */
	struct verdict v;
	classify(scan, slice_of(text, sizeof(text)), &v);
	CHECK_INT(v.terms, 0);
	memcpy(text + BOUND_CONTENT - 8, "vay tien", 8);
	classify(scan, slice_of(text, sizeof(text)), &v);
	CHECK_INT(v.terms, 1);
}

static int distance(const char *a, const char *b)
{
	return __builtin_popcountll(judged(a).fingerprint ^ judged(b).fingerprint);
}

/* Writes `one` sixty times and then a "z": a text on which the patterns above try for ever. */
static struct verdict endless(const char *one, const char *tail)
{
	char text[512];
	size_t len = 0;

	for (int i = 0; i < 60; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", one);
	(void)snprintf(text + len, sizeof(text) - len, "z %s", tail);
	return judged(text);
}

/* A search that is given up says so, and takes nothing from the other rules; a rule on trial leaves no trace. */
static void test_undecided(void)
{
	struct verdict v = endless("\u20AC", "vay tien");

	CHECK(v.undecided);
	CHECK_INT(v.terms, 1);
	CHECK_STR(v.term[0].name, "SPAM_THREE");
	CHECK_INT(v.label, LABEL_SPAM);
	v = endless("\u20BF", "vay tien");
	CHECK(!v.undecided);
	CHECK_INT(v.terms, 1);
	v = judged("\u20AC\u20ACzk");
	CHECK(!v.undecided);
	CHECK_STR(v.term[0].name, "ENDLESS");
}

static void test_fingerprint(void)
{
	static const char one[] = "Vay tiền nhanh trong ngày, lãi suất thấp, không cần thế chấp, "
				  "liên hệ 0912345678 gặp Lan";

	CHECK(judged(one).fingerprint != 0);
	CHECK_INT(distance(one,
			  "VAY TIEN NHANH TRONG NGAY, LAI SUAT THAP, KHONG CAN THE CHAP, LIEN HE "
			  "0387654321 GAP LAN"),
		0);
	CHECK(distance(one,
		      "Vay tiền nhanh trong ngày, lãi suất thấp, không cần thế chấp, liên hệ "
		      "0912345678 gặp Hoa") < 12);
	CHECK(distance(one,
		      "Chúc mừng sinh nhật con, cả nhà chờ con về ăn cơm tối nay nhé, mẹ nấu món "
		      "con thích") > 16);
	CHECK(judged("ab").fingerprint != 0);
	CHECK(judged("ab").fingerprint != judged("abc").fingerprint);
}

int main(void)
{
	struct complaints c;
	struct err e = {0};
	char path[CHECK_PATH * 2];

	check_dir(dir);
	check_file(dir, "t.yaml", slice_str(rules), path);
	complaints_init(&c);
	if (pack_load(dir, SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack, &e) != RC_OK ||
		scan_new(pack, &scan, &e) != RC_OK) {
		printf("%s\n%s", e.text, c.text.ptr != NULL ? c.text.ptr : "");
		return 1;
	}
	RUN(test_sums_and_labels);
	RUN(test_nothing);
	RUN(test_terms);
	RUN(test_shadow);
	RUN(test_whole_characters);
	RUN(test_any_bytes);
	RUN(test_undecided);
	RUN(test_fingerprint);
	scan_free(scan);
	pack_free(pack);
	complaints_done(&c);
	(void)unlink(path);
	(void)rmdir(dir);
	return check_done();
}
