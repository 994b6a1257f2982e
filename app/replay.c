/* khien replay: what another policy, pack or model would have decided over a span of the past. One JSON object a line per difference, then a summary. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static bool put(void *arg, struct slice line)
{
	(void)arg;
	return fwrite(line.ptr, 1, line.len, stdout) == line.len;
}

static bool parse(int argc, char **argv, struct replay_settings *s, const char **conf)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'}, {"policy", required_argument, NULL, 'p'},
		{"rules", required_argument, NULL, 'r'}, {"model", required_argument, NULL, 'm'},
		{NULL, 0, NULL, 0}};

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			*conf = optarg;
		else if (o == 'f' && time_parse(slice_str(optarg), &s->from) == RC_OK)
			continue;
		else if (o == 't' && time_parse(slice_str(optarg), &s->to) == RC_OK)
			continue;
		else if (o == 'p')
			s->policy_file = optarg;
		else if (o == 'r')
			s->rules_dir = optarg;
		else if (o == 'm')
			s->model_file = optarg;
		else
			return false;
	}
	return optind == argc;
}

static void tell(const struct replay_settings *s, const struct replay_done *d, double seconds)
{
	char from[TIME_TEXT], to[TIME_TEXT], precision[32] = "null";

	time_format(s->from, from);
	time_format(s->to, to);
	if (d->upheld + d->overturned > 0)
		(void)snprintf(precision, sizeof(precision), "%.4f",
			(double)d->upheld / (double)(d->upheld + d->overturned));
	(void)printf(
		"{\"summary\":{\"from\":\"%s\",\"to\":\"%s\",\"policy\":\"%s\",\"rules\":\"%s\","
		"\"model\":\"%s\",\"reports\":%zu,\"senders\":%zu,\"judged_again\":%zu,"
		"\"label_changed\":%zu,\"was\":%zu,\"would\":%zu,\"same\":%zu,\"blocked\":%zu,"
		"\"freed\":%zu,\"changed\":%zu,\"protected\":%zu,\"upheld\":%zu,"
		"\"overturned\":%zu,\"precision\":%s,\"seconds\":%.3f,\"reports_per_s\":%.0f}}\n",
		from, to, d->policy, d->rules, d->model, d->reports, d->senders, d->judged_again,
		d->label_changed, d->was, d->would, d->same, d->blocked, d->freed, d->changed,
		d->protected_hit, d->upheld, d->overturned, precision, seconds,
		seconds > 0 ? (double)d->reports / seconds : 0);
}

int verb_replay(int argc, char **argv)
{
	struct replay_settings s = {
		.from = TIME_NONE, .to = TIME_NONE, .put = put, .stop = &app_stop};
	struct replay_done done;
	struct err e = {.text = ""};
	const char *path = NULL;
	char beside[600];

	if (!parse(argc, argv, &s, &path))
		return app_wrong_option("replay");
	if (s.from == TIME_NONE || s.to == TIME_NONE || s.from >= s.to)
		return app_usage("replay", "--from T and a later --to T are needed");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	s.homoglyphs = conf_text(conf, "rules.homoglyphs");
	if (s.rules_dir != NULL) {
		(void)snprintf(
			beside, sizeof(beside), "%.500s/../fold/homoglyphs.tsv", s.rules_dir);
		if (access(beside, R_OK) == 0)
			s.homoglyphs = beside;
	}
	struct pg_options o = {.dsn = conf_text(conf, "database.dsn"),
		.name = "khien-replay",
		.statement_timeout_ms = -1};
	OWN(pg_close) struct pg *pg = NULL;
	enum rc rc = pg_open(&o, &pg, &e);
	app_signals();
	s.now = clk_system.now_us(&clk_system);
	int64_t begun = clk_system.mono_us(&clk_system);
	if (rc == RC_OK)
		rc = engine_replay(pg, &s, &done, &e);
	if (rc == RC_OK)
		tell(&s, &done, (double)(clk_system.mono_us(&clk_system) - begun) / 1e6);
	else
		(void)fprintf(stderr, "khien replay: %s\n", e.text);
	if (rc == RC_OK)
		return EXIT_DONE;
	return rc == RC_INVALID ? EXIT_USAGE : EXIT_REFUSED;
}
