/* time: RFC 3339 as the formats promise it, and the calendar day of Ho Chi Minh City. */
#include <time.h>

#include "base/clk.h"
#include "tests/unit/check.h"

static void test_parse(void)
{
	static const struct {
		const char *in;
		int64_t want_us; /* TIME_NONE: refused */
		const char *back;
	} cases[] = {
		{"1990-01-01T00:00:00Z", INT64_C(631152000000000), "1990-01-01T00:00:00Z"},
		{"2026-08-31T09:15:02+07:00", INT64_C(1788142502000000), "2026-08-31T02:15:02Z"},
		{"2026-08-31t09:15:02z", INT64_C(1788167702000000), "2026-08-31T09:15:02Z"},
		{"2026-08-31 09:15:02-00:30", INT64_C(1788169502000000), "2026-08-31T09:45:02Z"},
		{"2026-08-31T09:15:02.5Z", INT64_C(1788167702500000),
			"2026-08-31T09:15:02.500000Z"},
		{"2026-08-31T09:15:02.123456789Z", INT64_C(1788167702123456),
			"2026-08-31T09:15:02.123456Z"},
		{"2026-08-31T09:15:02.000000999Z", INT64_C(1788167702000000),
			"2026-08-31T09:15:02Z"},
		{"2016-12-31T23:59:60Z", INT64_C(1483228799000000), "2016-12-31T23:59:59Z"},
		{"2000-02-29T12:00:00Z", INT64_C(951825600000000), "2000-02-29T12:00:00Z"},
		{"2024-02-29T23:59:59Z", INT64_C(1709251199000000), "2024-02-29T23:59:59Z"},
		{"2199-12-31T23:59:59Z", INT64_C(7258118399000000), "2199-12-31T23:59:59Z"},
		{"2019-07-01T00:00:00+07:00", INT64_C(1561914000000000), "2019-06-30T17:00:00Z"},
		{"2100-02-29T00:00:00Z", TIME_NONE, NULL},
		{"2023-02-29T00:00:00Z", TIME_NONE, NULL},
		{"2026-04-31T00:00:00Z", TIME_NONE, NULL},
		{"2026-00-10T00:00:00Z", TIME_NONE, NULL},
		{"2026-13-10T00:00:00Z", TIME_NONE, NULL},
		{"2026-10-00T00:00:00Z", TIME_NONE, NULL},
		{"1989-12-31T23:59:59Z", TIME_NONE, NULL},
		{"2200-01-01T00:00:00Z", TIME_NONE, NULL},
		{"2026-08-31T24:00:00Z", TIME_NONE, NULL},
		{"2026-08-31T23:60:00Z", TIME_NONE, NULL},
		{"2026-08-31T23:59:61Z", TIME_NONE, NULL},
		{"2026-08-31T09:15:02", TIME_NONE, NULL},
		{"2026-08-31T09:15:02.Z", TIME_NONE, NULL},
		{"2026-08-31T09:15:02.1234567890Z", TIME_NONE, NULL},
		{"2026-08-31T09:15:02+0700", TIME_NONE, NULL},
		{"2026-08-31T09:15:02+24:00", TIME_NONE, NULL},
		{"2026-08-31T09:15:02+07:60", TIME_NONE, NULL},
		{"2026-08-31T09:15:02Zx", TIME_NONE, NULL},
		{" 2026-08-31T09:15:02Z", TIME_NONE, NULL},
		{"2026-8-31T09:15:02.00Z", TIME_NONE, NULL},
		{"2026-08-31T09:15Z       ", TIME_NONE, NULL},
		{"20260831T091502Z        ", TIME_NONE, NULL},
		{"-026-08-31T09:15:02Z", TIME_NONE, NULL},
		{"", TIME_NONE, NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool bad = cases[i].want_us == TIME_NONE;
		int64_t us = TIME_NONE;
		char text[TIME_TEXT];

		CHECK_CASE("\"%s\"", cases[i].in);
		CHECK_RC(time_parse(slice_str(cases[i].in), &us), bad ? RC_INVALID : RC_OK, NULL);
		CHECK_INT(us, cases[i].want_us);
		if (bad)
			continue;
		time_format(us, text);
		CHECK_STR(text, cases[i].back);
	}
	CHECK_RC(time_parse(slice_str(NULL), &(int64_t){0}), RC_INVALID, NULL);
}

static void test_format_edges(void)
{
	static const struct {
		int64_t us;
		const char *want;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31T23:59:59.999999Z"},
		{TIME_NONE, "none"},
		{INT64_MAX, "294247-01-10T04:00:54.775807Z"},
		{TIME_NONE + 1, "-290308-12-21T19:59:05.224193Z"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[TIME_TEXT];

		time_format(cases[i].us, text);
		CHECK_STR(text, cases[i].want);
	}
}

/* Every day of 210 years, against the C library's own calendar. */
static void test_calendar(void)
{
	for (int32_t day = 7305; day < 84006; day++) { /* 1990-01-01 … 2199-12-31 */
		time_t t = (time_t)day * 86400;
		char want[11], got[11], text[40];
		struct tm tm;
		int64_t us;

		(void)gmtime_r(&t, &tm);
		(void)strftime(want, sizeof(want), "%Y-%m-%d", &tm);
		day_format(day, got);
		if (strcmp(got, want) != 0)
			CHECK_STR(got, want);
		(void)snprintf(text, sizeof(text), "%sT16:59:59+00:00", want);
		if (time_parse(slice_str(text), &us) != RC_OK ||
			us != t * US_PER_S + 61199 * US_PER_S)
			CHECK_STR(text, "parsed");
		if (time_day_vn(us) != day || time_day_vn(us + US_PER_S) != day + 1)
			CHECK_INT(time_day_vn(us), day);
		if (time_month(us) != day - tm.tm_mday + 1)
			CHECK_INT(time_month(us), day - tm.tm_mday + 1);
	}
	CHECK_INT(time_day_vn(-1), 0);
	CHECK_INT(time_day_vn(-INT64_C(7) * US_PER_HOUR - 1), -1);
	CHECK_INT(time_month(0), 0);
	CHECK_INT(time_month(-1), -31);
}

static void test_day_out_of_range(void)
{
	char text[11];

	day_format(INT32_MAX, text);
	CHECK_STR(text, "0000-00-00");
	day_format(INT32_MIN, text);
	CHECK_STR(text, "0000-00-00");
}

int main(void)
{
	RUN(test_parse);
	RUN(test_format_edges);
	RUN(test_calendar);
	RUN(test_day_out_of_range);
	return check_done();
}
