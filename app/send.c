/* khien send: report files onto the topic, with a progress line on stderr and the sum on stdout. */
#include "app/app.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What the progress line needs to remember. */
struct shown {
	bool terminal;
	int64_t started_us, last_us;
};

#define BAR 30

static void bar(const struct send_progress *p)
{
	double share = (double)p->file_at / (double)p->file_size;
	int full = (int)(share * BAR);

	fprintf(stderr, " [%.*s%.*s]", full, "##############################", BAR - full,
		"..............................");
}

static void progress(void *arg, const struct send_progress *p)
{
	struct shown *s = arg;
	int64_t now = clk_system.mono_us(&clk_system);
	double seconds = (double)(now - s->started_us) / (double)US_PER_S;

	if (now - s->last_us < (s->terminal ? US_PER_S / 2 : 10 * US_PER_S))
		return;
	s->last_us = now;
	fprintf(stderr, "%ssend: %s", s->terminal ? "\r\033[K" : "",
		p->file != NULL ? p->file : "no file yet");
	if (p->file_size > 0 && s->terminal)
		bar(p);
	if (p->file_size > 0)
		fprintf(stderr, " %.1f %%", 100.0 * (double)p->file_at / (double)p->file_size);
	fprintf(stderr, ", %" PRIu64 " records, %.1f MB, %.0f a second%s%s", p->records,
		(double)p->bytes / 1e6, seconds > 0 ? (double)p->records / seconds : 0.0,
		p->waiting ? ", waiting for the brokers" : "", s->terminal ? "" : "\n");
}

static void complain_line(void *arg, const char *file, uint64_t line, const char *what)
{
	struct shown *s = arg;

	fprintf(stderr, "%skhien send: %s:%" PRIu64 ": %s\n", s->terminal ? "\r\033[K" : "", file,
		line, what);
}

static bool number(const char *text, uint64_t *out)
{
	return slice_u64(slice_str(text), out) == RC_OK && *out > 0 && *out <= 10000000;
}

static int finish(
	enum rc rc, const struct shown *s, const struct send_progress *p, const struct err *e)
{
	if (s->terminal && s->last_us != 0)
		fprintf(stderr, "\r\033[K");
	printf("{\"records\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"resumed_after\":%" PRIu64
	       ",\"empty_lines\":%" PRIu64 ",\"refused\":%" PRIu64 "}\n",
		p->records, p->bytes, p->resumed, p->empty_lines, p->refused);
	if (rc != RC_OK)
		fprintf(stderr, "khien send: %s\n", e->text);
	return rc == RC_OK && p->refused == 0 ? EXIT_DONE : EXIT_REFUSED;
}

int verb_send(int argc, char **argv)
{
	static const struct option options[] = {
		{"rate", required_argument, NULL, 'r'},
		{"topic", required_argument, NULL, 't'},
		{"state", required_argument, NULL, 's'},
		{"from-start", no_argument, NULL, 'f'},
		{NULL, 0, NULL, 0},
	};
	static char stdin_name[] = "-";
	char *only_stdin[] = {stdin_name};
	struct shown shown = {.terminal = isatty(STDERR_FILENO) == 1};
	struct send_options o = {
		.stop = &app_stop, .progress = progress, .complain = complain_line, .arg = &shown};
	struct send_progress p = {0};
	struct err e = {0};
	const char *path = NULL;

	for (int c; (c = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (c == 'c')
			path = optarg;
		else if (c == 't')
			o.topic = optarg;
		else if (c == 's')
			o.state_dir = optarg;
		else if (c == 'f')
			o.from_start = true;
		else if (c != 'r')
			return app_usage("send", "unknown option");
		else if (!number(optarg, &o.rate))
			return app_usage("send", "--rate is records a second, 1 to 10000000");
	}
	OWN(conf_free) struct conf *conf = NULL;
	OWN(plan_free) struct plan *plan = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	if (app_open(conf, NULL, &plan, NULL, "khien-send") != RC_OK)
		return EXIT_REFUSED;
	o.plan = plan;
	app_signals();
	shown.started_us = clk_system.mono_us(&clk_system);
	enum rc rc = optind < argc
		? send_files(conf, &o, argv + optind, (size_t)(argc - optind), &p, &e)
		: send_files(conf, &o, only_stdin, 1, &p, &e);
	return finish(rc, &shown, &p, &e);
}
