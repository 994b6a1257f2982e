/* plan: longest prefix with a fitting length wins; every bad row of the files is named with its line; all or nothing. */
#include "base/clk.h"
#include "base/sender.h"
#include "base/yaml.h"
#include "tests/unit/check.h"

static char dir[CHECK_PATH];
static const char *const files[] = {
	"plan.csv", "short.csv", "old_prefixes.csv", "portability.csv", "world.csv"};
#define GOOD_PLAN                                                                            \
	"prefix,min_digits,max_digits,class,carrier\n9,9,9,mobile,far\n91,9,9,mobile,near\n" \
	"912,7,7,fixed,\n91234,9,9,voip,near\n32,9,9,mobile,far\n1800,8,10,tollfree,\n"
#define GOOD_SHORT                                                              \
	"code,class,owner\n113,emergency,police\n198,care,near\n199,care,far\n" \
	"5656,own_service,\n18001234,care,near\n777,short,far\n"
static const char *const good[] = {
	GOOD_PLAN,
	GOOD_SHORT,
	"old,new,carrier\n162,32,far\n",
	"number,carrier\n84911111111,far\n84922222222,near\n84933333333,third-1\n",
	"code,digits\n1,10\n375,6-9 11\n",
};

/* Loads with file `which` replaced by `text` (NULL: removed; which < 0: all good); complaints without the folder in `said`. */
static struct plan *load(int which, const char *text, struct buf *said)
{
	struct plan *p = NULL;
	struct complaints c;
	struct err e = {.text = ""};
	struct slice rest, line;
	enum rc rc;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[CHECK_PATH * 2];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)unlink(path);
		if ((int)i != which)
			check_file(dir, files[i], slice_str(good[i]), NULL);
		else if (text != NULL)
			check_file(dir, files[i], slice_str(text), NULL);
	}
	complaints_init(&c);
	rc = plan_load(dir, "near", &c, &p, &e);
	CHECK_RC(rc, c.count == 0 ? RC_OK : RC_INVALID, &e);
	CHECK_INT(p != NULL, rc == RC_OK);
	buf_init(said, 65536);
	for (rest = buf_slice(&c.text); slice_line(&rest, &line);) {
		buf_add(said, slice_of(line.ptr + strlen(dir) + 1, line.len - strlen(dir) - 1));
		buf_byte(said, '\n');
	}
	complaints_done(&c);
	return p;
}

static void test_longest_prefix(void)
{
	static const struct {
		const char *in, *cls, *carrier;
		enum attribution a;
	} cases[] = {
		{"0951234567", "mobile", "far", ATTR_OTHER},
		{"0919999999", "mobile", "near", ATTR_OWN},
		{"0912999999", "mobile", "near", ATTR_OWN}, /* 912 has seven digits only */
		{"09129999", "fixed", NULL, ATTR_UNATTRIBUTED},
		{"0912349999", "voip", "near", ATTR_OWN},
		{"0911111111", "mobile", "far", ATTR_OTHER},     /* ported out */
		{"0922222222", "mobile", "near", ATTR_OWN},      /* ported in */
		{"0933333333", "mobile", "third-1", ATTR_OTHER}, /* to one without a prefix */
	};
	BUF_OWN struct buf said;
	OWN(plan_free) struct plan *p = load(-1, NULL, &said);

	CHECK_SLICE(buf_slice(&said), "");
	for (size_t i = 0; p != NULL && i < ARRAY_LEN(cases); i++) {
		const char *carrier, *why;
		struct sender s;

		CHECK_CASE("%s", cases[i].in);
		CHECK_INT(sender_parse(p, slice_str(cases[i].in), 0, &s, &why), SENDER_OK);
		CHECK_STR(number_class_name(sender_class(p, &s)), cases[i].cls);
		CHECK_STR(attribution_name(sender_attribution(p, &s, &carrier, NULL)),
			attribution_name(cases[i].a));
		CHECK_STR(carrier != NULL ? carrier : "(none)",
			cases[i].carrier != NULL ? cases[i].carrier : "(none)");
	}
}

static void test_short_classes(void)
{
	static const struct {
		const char *in;
		enum number_class want;
	} cases[] = {
		{"113", NUM_EMERGENCY},
		{"198", NUM_OWN_SERVICE},
		{"199", NUM_SHORT},
		{"5656", NUM_OWN_SERVICE},
		{"18001234", NUM_OWN_SERVICE},
		{"18001235", NUM_TOLLFREE},
		{"777", NUM_SHORT},
		{"778", NUM_SHORT},
	};
	BUF_OWN struct buf said;
	OWN(plan_free) struct plan *p = load(-1, NULL, &said);

	for (size_t i = 0; p != NULL && i < ARRAY_LEN(cases); i++) {
		const char *why;
		struct sender s;

		CHECK_CASE("%s", cases[i].in);
		CHECK_INT(sender_parse(p, slice_str(cases[i].in), 0, &s, &why), SENDER_OK);
		CHECK_STR(number_class_name(sender_class(p, &s)), number_class_name(cases[i].want));
	}
}

#define PLAN_HEAD "prefix,min_digits,max_digits,class,carrier\n32,9,9,mobile,far\n9,9,9,mobile,\n"
#define SHORT_HEAD "code,class,owner\n"
#define PREFIX_RULE "a prefix is 1 to 12 digits without the leading 0\n"
#define LENGTH_RULE "min_digits and max_digits count the prefix too: 3 to 12, min not above max\n"
#define CODE_RULE "a code is 3 to 12 digits that do not start with 0\n"
#define CC_RULE "a country code is 1 to 999\n"
#define DIGITS_RULE "digits are numbers of 1 to 14, or spans of them, with blanks between\n"
#define OLD_RULE "an old prefix is three digits, its new one two, both without the leading 0\n"
#define PORTED_RULE "a ported number is 84 and the national digits of a number of plan.csv\n"

static void test_errors(void)
{
	static const struct {
		int file;
		const char *text, *want;
	} cases[] = {
		{0,
			PLAN_HEAD "091,9,9,mobile,\n,9,9,mobile,\n9x,9,9,mobile,\n1234567890123,13,"
				  "13,mobile,\n",
			"plan.csv:4: " PREFIX_RULE "plan.csv:5: " PREFIX_RULE
			"plan.csv:6: " PREFIX_RULE "plan.csv:7: " PREFIX_RULE},
		{0,
			PLAN_HEAD "1,2,9,mobile,\n12,9,8,mobile,\n1234,3,9,mobile,\n1,9,13,mobile,"
				  "\n1,x,9,mobile,\n",
			"plan.csv:4: " LENGTH_RULE "plan.csv:5: " LENGTH_RULE
			"plan.csv:6: " LENGTH_RULE "plan.csv:7: " LENGTH_RULE
			"plan.csv:8: " LENGTH_RULE},
		{0, PLAN_HEAD "4,9,9,pager,\n5,9,9,mobile,Far Away\n",
			"plan.csv:4: the class must be mobile, fixed, tollfree, premium or voip, "
			"not \"pager\"\n"
			"plan.csv:5: \"Far Away\" is no name: up to 24 of a-z, 0-9, _ and -\n"},
		{0, PLAN_HEAD "9,8,10,mobile,\n9,10,10,mobile,\n",
			"plan.csv:4: prefix 9 was given before for these lengths\n"},
		{0, PLAN_HEAD "9,9\n", "plan.csv:4: 2 fields instead of 5\n"},
		{0, "prefix;class\n",
			"plan.csv:1: the header must be "
			"prefix,min_digits,max_digits,class,carrier\n"
			"old_prefixes.csv:2: the new prefix 32 is no mobile prefix of plan.csv\n"
			"portability.csv:2: " PORTED_RULE "portability.csv:3: " PORTED_RULE
			"portability.csv:4: " PORTED_RULE},
		{1,
			SHORT_HEAD
			"0156,short,\n12,short,\n1x3,short,\n156,secret,\n156,short,\n156,short,\n",
			"short.csv:2: " CODE_RULE "short.csv:3: " CODE_RULE
			"short.csv:4: " CODE_RULE "short.csv:5: the class must be emergency, "
			"own_service, care or short, not \"secret\"\n"
			"short.csv:7: code 156 was given before\n"},
		{2,
			"old,new,carrier\n0162,32,far\n162,032,far\n163,71,far\n164,32,near\n165,"
			"32,far\n165,32,far\n",
			"old_prefixes.csv:2: " OLD_RULE "old_prefixes.csv:3: " OLD_RULE
			"old_prefixes.csv:4: the new prefix 71 is no mobile prefix of plan.csv\n"
			"old_prefixes.csv:5: plan.csv gives prefix 32 to another carrier\n"
			"old_prefixes.csv:7: prefix 165 was given before\n"},
		{3,
			"number,carrier\n0911111111,far\n84711111111,far\n8491111111,"
			"far\n84911111111,\n"
			"84911111112,far\n84911111113,near\n84911111112,near\n",
			"portability.csv:2: " PORTED_RULE "portability.csv:3: " PORTED_RULE
			"portability.csv:4: " PORTED_RULE
			"portability.csv:5: the carrier is missing\n"
			"portability.csv:6: number 84911111112 is given more than once\n"
			"portability.csv:8: number 84911111112 is given more than once\n"},
		{4,
			"code,digits\n0,9\n1000,9\nx,9\n1,15\n1,0\n1,9-8\n1,\n1,9;10\n1,9\n1,9\n12,"
			"9\n"
			"375,9\n375,9\n",
			"world.csv:2: " CC_RULE "world.csv:3: " CC_RULE "world.csv:4: " CC_RULE
			"world.csv:5: " DIGITS_RULE "world.csv:6: " DIGITS_RULE
			"world.csv:7: " DIGITS_RULE "world.csv:8: " DIGITS_RULE
			"world.csv:9: " DIGITS_RULE "world.csv:11: code 1 is given more than once\n"
			"world.csv:12: code 12 begins with another code\n"
			"world.csv:14: code 375 is given more than once\n"},
		{1, NULL, "short.csv: No such file or directory\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		BUF_OWN struct buf said;

		CHECK_CASE("%zu", i);
		plan_free(load(cases[i].file, cases[i].text, &said));
		CHECK_SLICE(buf_slice(&said), cases[i].want);
	}
}

/* Foreign numbers by code and length; without the file by length alone. */
static void test_world(void)
{
	static const struct {
		const char *raw;
		bool with, without;
	} cases[] = {
		{"+12025550143", true, true},
		{"+1202555014", false, true},
		{"+375123456", true, true},
		{"+3751234567890", false, true},
		{"+37512345678901", true, true},
		{"+3761234567", false, true},
		{"+3712345", false, true},
		{"+123456", false, false},
	};

	for (int file = 0; file < 2; file++) {
		BUF_OWN struct buf said;
		OWN(plan_free) struct plan *p = load(file == 0 ? -1 : 4, NULL, &said);

		CHECK_SLICE(buf_slice(&said), "");
		for (size_t i = 0; p != NULL && i < ARRAY_LEN(cases); i++) {
			struct sender s;
			const char *why;
			enum sender_found found =
				sender_parse(p, slice_str(cases[i].raw), 0, &s, &why);

			CHECK_CASE("%d %s", file, cases[i].raw);
			CHECK_INT(found == SENDER_OK, file == 0 ? cases[i].with : cases[i].without);
		}
	}
}

static void test_own_carrier(void)
{
	BUF_OWN struct buf said;
	struct complaints c;
	struct plan *p = NULL;
	struct err e;

	complaints_init(&c);
	CHECK_RC(plan_load(dir, "", &c, &p, &e), RC_INVALID, &e);
	CHECK_RC(plan_load(dir, "a carrier with a name too long", &c, &p, &e), RC_INVALID, &e);
	CHECK_INT(c.count, 2);
	plan_free(load(-1, NULL, &said));
	CHECK_RC(plan_load(dir, "Near", &c, &p, &e), RC_INVALID, &e);
	CHECK_HAS(c.text.ptr, "no row names our own carrier \"Near\"\n");
	CHECK(p == NULL);
	complaints_done(&c);
}

/* Many ported numbers: found all, and nothing between them. */
static void test_many_ported(void)
{
	BUF_OWN struct buf text, said;
	size_t wrong = 0;

	buf_init(&text, 64 << 20);
	buf_add(&text, SLICE("number,carrier\n"));
	for (int i = 199999; i >= 0; i--)
		buf_fmt(&text, "849%08d,%s\n", i * 7, i % 2 == 0 ? "near" : "third");
	OWN(plan_free) struct plan *p = load(3, text.ptr, &said);

	CHECK_SLICE(buf_slice(&said), "");
	for (int i = 0; p != NULL && i < 1400000; i++) {
		struct sender s = {.scope = SCOPE_NUMBER};
		bool by_table;
		enum attribution a, want = i % 14 == 0 ? ATTR_OWN : ATTR_OTHER;

		(void)snprintf(s.value, sizeof(s.value), "849%08d", i);
		a = sender_attribution(p, &s, NULL, &by_table);
		wrong += by_table != (i % 7 == 0) || (i % 7 == 0 && a != want) ? 1 : 0;
	}
	CHECK_INT(wrong, 0);
}

int main(void)
{
	check_dir(dir);
	RUN(test_longest_prefix);
	RUN(test_short_classes);
	RUN(test_errors);
	RUN(test_world);
	RUN(test_own_carrier);
	RUN(test_many_ported);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char path[CHECK_PATH * 2];

		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)unlink(path);
	}
	CHECK_INT(rmdir(dir), 0);
	return check_done();
}
