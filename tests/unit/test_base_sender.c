/* sender: every written form against the shipped number plan. The numbers are made up. */
#include "base/clk.h"
#include "base/sender.h"
#include "base/yaml.h"
#include "tests/unit/check.h"

static struct plan *plan;

#define BORDER_US (INT64_C(1561914000) * US_PER_S) /* 2019-07-01T00:00+07:00 */
#define TODAY (INT64_C(1788142502) * US_PER_S)

/* "number 84912345678 mobile", "withheld", "invalid: why", "old number …" */
static void look(struct slice raw, int64_t when, char *out, size_t cap)
{
	static const char *const found[] = {"", "withheld", "old ", "invalid: "};
	struct sender s = {.scope = SCOPE_NAME, .value = "left over"};
	const char *why = NULL;
	enum sender_found f = sender_parse(plan, raw, when, &s, &why);

	if (f == SENDER_WITHHELD || f == SENDER_INVALID) {
		CHECK(s.scope == SCOPE_NONE && s.value[0] == '\0');
		(void)snprintf(out, cap, "%s%s", found[f], f == SENDER_INVALID ? why : "");
		return;
	}
	(void)snprintf(out, cap, "%s%s %s %s", found[f], scope_name(s.scope), s.value,
		number_class_name(sender_class(plan, &s)));
}

struct written {
	const char *in, *want;
};

static void table(const struct written *cases, size_t n, int64_t when)
{
	for (size_t i = 0; i < n; i++) {
		char got[200];

		CHECK_CASE("\"%s\"", cases[i].in);
		look(slice_str(cases[i].in), when, got, sizeof(got));
		CHECK_STR(got, cases[i].want);
	}
}

#define NOWHERE "invalid: no country has numbers that begin so and are as long"
#define OUTSIDE "invalid: outside the number plan"
#define FOREIGN "invalid: a foreign number has 7 to 15 digits and begins with 1 to 9"
#define NO_NAME "invalid: neither a number nor a sender ID of 1 to 11 GSM characters"
#define DAMAGED "invalid: a damaged number, not a sender ID"
#define SHEET "invalid: a number damaged by a spreadsheet"

static void test_numbers(void)
{
	static const struct written cases[] = {
		/* one number, many forms */
		{"0812341213", "number 84812341213 mobile"},
		{"+84812341213", "number 84812341213 mobile"},
		{"0084812341213", "number 84812341213 mobile"},
		{"84812341213", "number 84812341213 mobile"},
		{"812341213", "number 84812341213 mobile"},
		{"  081 234 1213\t", "number 84812341213 mobile"},
		{"081.234.1213", "number 84812341213 mobile"},
		{"081-234-12-13", "number 84812341213 mobile"},
		{"(081) 2341213", "number 84812341213 mobile"},
		{"[0812341213]", "number 84812341213 mobile"},
		{"(+84) 81 2341213", "number 84812341213 mobile"},
		{"+84 (0)81 2341213", "number 84812341213 mobile"},
		{"840812341213", "number 84812341213 mobile"},
		{"084812341213", "number 84812341213 mobile"},
		{"+0084812341213", "number 84812341213 mobile"},
		{"tel:+84-81-2341213", "number 84812341213 mobile"},
		{"TEL:0812341213;phone-context=vn", "number 84812341213 mobile"},
		{"'0812341213", "number 84812341213 mobile"},
		{"\"0812341213\"", "number 84812341213 mobile"},
		{"081\xC2\xA0"
		 "234\xC2\xA0"
		 "1213",
			"number 84812341213 mobile"},
		{"\xE2\x80\x8B"
		 "0812341213\xE2\x80\xAC",
			"number 84812341213 mobile"},
		{"081\xE2\x80\x93"
		 "2341213",
			"number 84812341213 mobile"},
		{"\xEF\xBC\x90\xEF\xBC\x98\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x93\xEF\xBC\x94\xEF\xBC"
		 "\x91\xEF\xBC\x92"
		 "\xEF\xBC\x91\xEF\xBC\x93",
			"number 84812341213 mobile"}, /* full width */
		{"\xEF\xBC\x8B"
		 "84812341213",
			"number 84812341213 mobile"},
		{"\xD9\xA0\xD9\xA8\xD9\xA1\xD9\xA2\xD9\xA3\xD9\xA4\xD9\xA1\xD9\xA2\xD9\xA1\xD9\xA3",
			"number 84812341213 mobile"}, /* Arabic-Indic */
		{"\xDB\xB0\xDB\xB8\xDB\xB1\xDB\xB2\xDB\xB3\xDB\xB4\xDB\xB1\xDB\xB2\xDB\xB1\xDB\xB3",
			"number 84812341213 mobile"}, /* its eastern form */
		/* 84 is the country and a mobile prefix */
		{"0841234567", "number 84841234567 mobile"},
		{"841234567", "number 84841234567 mobile"},
		{"84841234567", "number 84841234567 mobile"},
		{"848012345", "number 84848012345 mobile"},
		{"+848012345", "number 848012345 fixed"},
		/* fixed, special, internet */
		{"02438251234", "number 842438251234 fixed"},
		{"024 3825 1234", "number 842438251234 fixed"},
		{"2438251234", "number 842438251234 fixed"},
		{"842438251234", "number 842438251234 fixed"},
		{"0691234567", OUTSIDE},
		{"069123456", "number 8469123456 fixed"},
		{"0672123456", "number 84672123456 voip"},
		{"0799123456", "number 84799123456 mobile"},
		{"07991234", "number 847991234 fixed"}, /* the longer prefix has another length */
		/* not of the plan */
		{"0712345678", OUTSIDE},
		{"091234567", OUTSIDE},
		{"09123456789", OUTSIDE},
		{"91234567", OUTSIDE},
		{"+8491234567", OUTSIDE},
		{"+84156", OUTSIDE},
		{"8412345", OUTSIDE},
		{"38251234", OUTSIDE},
		{"1201234567", OUTSIDE},
		{"12025550123", OUTSIDE},
		{"00", "invalid: a foreign number has 7 to 15 digits and begins with 1 to 9"},
		{"0", OUTSIDE},
		{"12", OUTSIDE},
		{"84", OUTSIDE},
		{"+", "invalid: no sender at all"},
		{"-", "invalid: no sender at all"},
		{"0912345678 0987654321", OUTSIDE},
		{"0912345678 0987654321 1", "invalid: too many digits for one number"},
		{"0912345678 / 0987654321", NO_NAME},
		{"+84+912345678", NO_NAME},
		{"0912345678+", NO_NAME},
		{"000000000000000000000000", "invalid: too many digits for one number"},
		{"tel:", "invalid: no sender at all"},
		{"tel:abc", "invalid: no number after tel:"},
		/* abroad */
		{"+12025550123", "number 12025550123 foreign"},
		{"0012025550123", "number 12025550123 foreign"},
		{"+1 (202) 555-0123", "number 12025550123 foreign"},
		{"+1900123456", NOWHERE},
		{"+1234567", NOWHERE},
		{"+123456789012345", NOWHERE},
		{"00123456789012345", NOWHERE},
		{"+2104567890", NOWHERE}, /* no country's code */
		{"+2904567", "number 2904567 foreign"},
		{"+491234567890123", "number 491234567890123 foreign"},
		{"00491234567890123", "number 491234567890123 foreign"},
		{"+39 06 698 12345", "number 390669812345 foreign"},
		{"+44 7911 123456", "number 447911123456 foreign"},
		{"+44 791", "invalid: a foreign number has 7 to 15 digits and begins with 1 to 9"},
		{"+7 912 345 67 89", "number 79123456789 foreign"},
		{"+7 912 345 67 8", NOWHERE},
		{"+123456", FOREIGN},
		{"+1234567890123456", FOREIGN},
		{"+0912345678", FOREIGN},
		{"+156", FOREIGN},
		{"000123456789", FOREIGN},
	};

	table(cases, ARRAY_LEN(cases), TODAY);
}

static void test_short(void)
{
	static const struct written cases[] = {
		{"156", "short 156 own_service"},
		{"5656", "short 5656 own_service"},
		{"113", "short 113 emergency"},
		{"1 1 5", "short 115 emergency"},
		{"198", "short 198 own_service"}, /* our own care line */
		{"9191", "short 9191 short"},     /* another carrier's */
		{"18008098", "short 18008098 own_service"},
		{"18001091", "short 18001091 tollfree"},
		{"9214", "short 9214 short"},
		{"789123", "short 789123 short"},
		{"841234", "short 841234 short"},
		{"1234567", OUTSIDE},
		{"0156", OUTSIDE},
		{"18001234", "short 18001234 tollfree"},
		{"1800 1234", "short 18001234 tollfree"},
		{"1800123456", "short 1800123456 tollfree"},
		{"180012345678", OUTSIDE},
		{"1800123", OUTSIDE},
		{"19001234", "short 19001234 premium"},
		{"1900.1234", "short 19001234 premium"},
		{"+8419001234", "short 19001234 premium"},
		{"8419001234", "short 19001234 premium"},
		{"019001234", "short 19001234 premium"},
		/* toll-free of eight digits, not an old mobile of ten */
		{"12011234", "short 12011234 tollfree"},
		{"012031234", "short 12031234 tollfree"},
		{"12281234", "short 12281234 tollfree"},
		{"12021234", OUTSIDE},
	};

	table(cases, ARRAY_LEN(cases), TODAY);
}

static void test_names(void)
{
	static const struct written cases[] = {
		{"VIETCOMBANK", "name vietcombank name"},
		{" VietcomBank\xC2\xA0", "name vietcombank name"},
		{"FPT SHOP", "name fpt shop name"},
		{"FPT\xC2\xA0SHOP", "name fpt shop name"},
		{"FPT  SHOP", "name fpt  shop name"},
		{"BO TTTT", "name bo tttt name"},
		{"a", "name a name"},
		{"VCB-24h.vn", "name vcb-24h.vn name"},
		{"098x123", "name 098x123 name"},
		{"098x1234", DAMAGED},
		{"098x1234567", DAMAGED},
		{"09123O5678", DAMAGED},
		{"8.49123E+10", SHEET},
		{"9,12e8", SHEET},
		{"9.12E+", "name 9.12e+ name"},
		{"9E", "name 9e name"},
		{"VIETCOMBANKS", NO_NAME},
		{"12345/67", NO_NAME}, /* no letter */
		{"!?", NO_NAME},
		{"Na\xC3\xAFve", NO_NAME}, /* i with two dots is not of the alphabet */
		{"Caf\xC3\xA9 \xC3\x89t\xC3\xA9", "name caf\xC3\xA9 \xC3\x89t\xC3\xA9 name"},
		{"\xCE\x94\xCE\xA9", "name \xCE\x94\xCE\xA9 name"},
		{"\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94"
		 "\xCE\x94",
			"name "
			"\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94\xCE\x94"
			"\xCE\x94"
			"\xCE\x94 name"},
		{"\xD0\x92IETCOMBANK", NO_NAME}, /* a Cyrillic letter */
		{"Viet\xE2\x80\x8B"
		 "com",
			NO_NAME},
		{"a|b", NO_NAME}, /* would break a line of the list */
		{"a[b]", NO_NAME},
		{"a\nb", NO_NAME},
		{"a\tb", NO_NAME},
		{"abc\xFF", "invalid: not UTF-8"},
		{"sdt 0912345678", NO_NAME},
		{"Ng\xC3\xA2n h\xC3\xA0ng", NO_NAME},
	};

	table(cases, ARRAY_LEN(cases), TODAY);
}

static void test_withheld(void)
{
	static const struct written cases[] = {
		{"", "withheld"},
		{"  \t", "withheld"},
		{"\xE2\x80\x8B", "withheld"},
		{"anonymous", "withheld"},
		{"Anonymous ", "withheld"},
		{"<Unknown>", "withheld"},
		{"PRIVATE", "withheld"},
		{"Private Number", "withheld"},
		{"an danh", "withheld"},
		{"AN_DANH", "withheld"},
		{"\xE1\xBA\xA8n danh", "withheld"},
		{"\xE1\xBA\xA8N DANH", "withheld"},
		{"A\xCC\x82\xCC\x89n danh", "withheld"}, /* decomposed */
		{"S\xE1\xBB\x91 \xE1\xBA\xA9n", "withheld"},
		{"kh\xC3\xB4ng hi\xE1\xBB\x87n s\xE1\xBB\x91", "withheld"},
		{"no caller id", "withheld"},
		{"anonymous1", "name anonymous1 name"},
		{"anonymousx", "name anonymousx name"},
	};
	char got[200];

	table(cases, ARRAY_LEN(cases), TODAY);
	look(slice_str(NULL), TODAY, got, sizeof(got));
	CHECK_STR(got, "withheld");
}

static void test_old_numbers(void)
{
	static const char *const pairs[][2] = {{"162", "32"}, {"163", "33"}, {"164", "34"},
		{"165", "35"}, {"166", "36"}, {"167", "37"}, {"168", "38"}, {"169", "39"},
		{"120", "70"}, {"121", "79"}, {"122", "77"}, {"126", "76"}, {"128", "78"},
		{"123", "83"}, {"124", "84"}, {"125", "85"}, {"127", "81"}, {"129", "82"},
		{"186", "56"}, {"188", "58"}, {"199", "59"}};
	static const char *const forms[] = {
		"0%s1234567", "+84%s1234567", "84%s1234567", "0084 %s 1234567"};

	CHECK_INT(ARRAY_LEN(pairs), 21);
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
			char in[64], want[64], got[200];
			const char *f = forms[k];

			CHECK_CASE("%s %s", f, pairs[i][0]);
			(void)snprintf(in, sizeof(in), "%.*s%s%s", (int)(strstr(f, "%s") - f), f,
				pairs[i][0], strstr(f, "%s") + 2);
			(void)snprintf(
				want, sizeof(want), "number 84%s1234567 mobile", pairs[i][1]);
			look(slice_str(in), BORDER_US - 1, got, sizeof(got));
			CHECK_STR(got, want);
			look(slice_str(in), BORDER_US, got, sizeof(got));
			CHECK_HAS(got, "old ");
			CHECK_STR(got + 4, want);
		}
	}
}

static void test_old_is_ten_digits_only(void)
{
	static const struct written before[] = {
		{"01201234567", "number 84701234567 mobile"}, /* begins like toll-free 1201 */
		{"01228123456", "number 84778123456 mobile"},
		{"012011234", "short 12011234 tollfree"},
		{"0162123456", OUTSIDE},
		{"016212345678", OUTSIDE},
		{"01601234567", OUTSIDE},
		{"1621234567", OUTSIDE},
		{"01991234", "number 841991234 fixed"},
	};

	table(before, ARRAY_LEN(before), BORDER_US - 1);
}

static void test_msisdn(void)
{
	static const struct {
		const char *in, *want; /* NULL: none */
	} cases[] = {
		{"+84912345678", "84912345678"},
		{"0912345678", "84912345678"},
		{"912345678", "84912345678"},
		{"84 912 345 678", "84912345678"},
		{"02438251234", "842438251234"},
		{"+66812345678", "66812345678"},
		{"01681234567", "84381234567"},
		{"156", NULL},
		{"19001234", NULL},
		{"VIETTEL", NULL},
		{"", NULL},
		{"0712345678", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sender s = {.value = "untouched"};
		bool ok = msisdn_parse(plan, slice_str(cases[i].in), &s);

		CHECK_CASE("\"%s\"", cases[i].in);
		CHECK_INT(ok, cases[i].want != NULL);
		CHECK_STR(s.value, cases[i].want != NULL ? cases[i].want : "untouched");
	}
}

static void test_attribution(void)
{
	static const struct {
		const char *in, *want, *carrier;
		bool by_table;
	} cases[] = {
		{"0961234567", "own", "viettel", false},
		{"0912345678", "other", "vinaphone", false},
		{"0900000001", "own", "viettel", true}, /* ported in */
		{"0980000003", "other", "vinaphone", true},
		{"0951234567", "unattributed", NULL, false},
		{"02438251234", "unattributed", NULL, false},
		{"+12025550123", "foreign", NULL, false},
		{"9191", "short", "vinaphone", true},
		{"9999", "short", NULL, false},
		{"VIETTEL", "brandname", NULL, false},
		{"anonymous", "unattributed", NULL, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *carrier = "x", *why;
		bool by_table = !cases[i].by_table;
		struct sender s;

		CHECK_CASE("%s", cases[i].in);
		(void)sender_parse(plan, slice_str(cases[i].in), TODAY, &s, &why);
		CHECK_STR(attribution_name(sender_attribution(plan, &s, &carrier, &by_table)),
			cases[i].want);
		CHECK_STR(carrier != NULL ? carrier : "(none)",
			cases[i].carrier != NULL ? cases[i].carrier : "(none)");
		CHECK_INT(by_table, cases[i].by_table);
		CHECK_STR(
			attribution_name(sender_attribution(plan, &s, NULL, NULL)), cases[i].want);
	}
	CHECK_INT(
		sender_class(plan, &(struct sender){.scope = SCOPE_NUMBER, .value = "84712345678"}),
		NUM_UNKNOWN);
	CHECK_INT(sender_class(plan, &(struct sender){.scope = SCOPE_NUMBER, .value = "84x"}),
		NUM_UNKNOWN);
	CHECK_INT(sender_class(plan, &(struct sender){.scope = SCOPE_NONE}), NUM_UNKNOWN);
}

/* What was parsed once parses to itself. */
static void test_stable(void)
{
	static const char *const cases[] = {
		"+84912345678", "84241234567", "19001234", "156", "FPT SHOP", "842438251234"};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sender a, b;
		const char *why;

		CHECK_CASE("%s", cases[i]);
		if (sender_parse(plan, slice_str(cases[i]), TODAY, &a, &why) != SENDER_OK)
			continue;
		CHECK_INT(sender_parse(plan, slice_str(a.value), TODAY, &b, &why), SENDER_OK);
		CHECK_STR(b.value, a.value);
		CHECK_INT(b.scope, a.scope);
	}
}

static void test_words(void)
{
	CHECK_INT(scope_parse(SLICE("number")), SCOPE_NUMBER);
	CHECK_INT(scope_parse(SLICE("name")), SCOPE_NAME);
	CHECK_INT(scope_parse(SLICE("none")), SCOPE_NONE);
	CHECK_INT(scope_parse(SLICE("Number")), SCOPE_NONE);
	CHECK_STR(number_class_name(NUM_UNKNOWN), "unknown");
	CHECK_STR(number_class_name((enum number_class)99), "unknown");
	CHECK_STR(attribution_name(ATTR_UNATTRIBUTED), "unattributed");
}

/* No text, however long or odd, may do harm; the value always fits and ends. */
static void test_rubbish(void)
{
	uint32_t seed = 12345;
	char text[200];

	for (int round = 0; round < 200000; round++) {
		struct sender s;
		const char *why;
		size_t len;

		seed = seed * 1664525 + 1013904223;
		len = (seed >> 8) % (round % 10 == 0 ? sizeof(text) : 24);
		for (size_t i = 0; i < len; i++) {
			static const char common[] =
				"0123456789+84-. ()aE\xC2\xA0\xE2\x80\x8B\xEF\xBC\x90";

			seed = seed * 1664525 + 1013904223;
			text[i] = (seed & 0x30000) != 0 ? common[(seed >> 8) % (sizeof(common) - 1)]
							: (char)(seed >> 8);
		}
		enum sender_found f = sender_parse(plan, slice_of(text, len), TODAY, &s, &why);

		if (strnlen(s.value, SENDER_TEXT) == SENDER_TEXT ||
			(s.scope == SCOPE_NONE) != (f == SENDER_INVALID || f == SENDER_WITHHELD) ||
			(f == SENDER_INVALID && why[0] == '\0') || strchr(s.value, '|') != NULL ||
			!slice_utf8_valid(slice_str(s.value)))
			CHECK_INT(round, -1);
	}
	memset(text, '9', sizeof(text));
	char got[200];

	look(slice_of(text, sizeof(text)), TODAY, got, sizeof(got));
	CHECK_STR(got, "invalid: longer than any sender");
}

int main(void)
{
	struct complaints c;
	struct err e = {.text = ""};

	complaints_init(&c);
	CHECK_RC(plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &plan, &e), RC_OK, &e);
	CHECK_SLICE(buf_slice(&c.text), "");
	complaints_done(&c);
	if (plan == NULL)
		return check_done();
	RUN(test_numbers);
	RUN(test_short);
	RUN(test_names);
	RUN(test_withheld);
	RUN(test_old_numbers);
	RUN(test_old_is_ten_digits_only);
	RUN(test_msisdn);
	RUN(test_attribution);
	RUN(test_stable);
	RUN(test_words);
	RUN(test_rubbish);
	plan_free(plan);
	return check_done();
}
