/* khien report week, month: the tables of a week (Monday to Sunday) or month in Vietnam, as CSV or as a page to print. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>
#include <time.h>

#define VN_S (7 * 3600)

/* Midnight in Vietnam of a day since 1970-01-01. */
static int64_t midnight(int64_t day)
{
	return (day * 86400 - VN_S) * US_PER_S;
}

/* The span with the day in it. */
static void span_of(bool week, int64_t day, int64_t *from, int64_t *to)
{
	time_t s = (time_t)(day * 86400);
	struct tm tm;

	(void)gmtime_r(&s, &tm);
	*from = week ? day - (tm.tm_wday + 6) % 7 : day - (tm.tm_mday - 1);
	*to = *from + 7;
	if (week)
		return;
	tm.tm_mday = 1;
	tm.tm_mon++;
	*to = timegm(&tm) / 86400;
}

static bool day_parse(const char *text, int64_t *out)
{
	char full[40];
	int64_t us;

	(void)snprintf(full, sizeof(full), "%.10sT00:00:00+07:00", text);
	if (strlen(text) != 10 || time_parse(slice_str(full), &us) != RC_OK)
		return false;
	*out = time_day_vn(us);
	return true;
}

int verb_report(int argc, char **argv)
{
	static const struct option options[] = {{"of", required_argument, NULL, 'o'},
		{"html", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *what = argc > 1 ? argv[1] : "", *path = NULL;
	int64_t day = -1, from, to, now_us = clk_system.now_us(&clk_system);
	bool html = false, week = strcmp(what, "week") == 0;
	struct err e = {.text = ""};
	BUF_OWN struct buf b;

	buf_init(&b, 64u << 20);
	if (!week && strcmp(what, "month") != 0)
		return app_usage("report", "week or month is needed");
	for (int o; (o = getopt_long(argc - 1, argv + 1, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			path = optarg;
		else if (o == 'h')
			html = true;
		else if (o != 'o' || !day_parse(optarg, &day))
			return app_wrong_option("report");
	}
	span_of(week, day >= 0 ? day : time_day_vn(now_us), &from, &to);
	if (day < 0)
		span_of(week, from - 1, &from, &to);
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	if (app_open(conf, NULL, NULL, &c, "khien-report") != RC_OK)
		return EXIT_REFUSED;
	enum rc rc = report_tables(c, midnight(from), midnight(to), now_us, html, &b, &e);
	if (rc == RC_OK)
		(void)fwrite(b.ptr, 1, b.len, stdout);
	else
		(void)fprintf(stderr, "khien report: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
