/* khien subject export, erase, ask, list; khien retention run. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

#include "keep/keep.h"

struct subject_args {
	const char *conf, *why, *kind, *asked;
	bool dry_run;
};

static const struct option options[] = {
	{"why", required_argument, NULL, 'w'},
	{"kind", required_argument, NULL, 'k'},
	{"asked", required_argument, NULL, 'a'},
	{"dry-run", no_argument, NULL, 'd'},
	{NULL, 0, NULL, 0},
};

static bool parse(int argc, char **argv, struct subject_args *a)
{
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'd')
			a->dry_run = true;
		else if (o == 'c')
			a->conf = optarg;
		else if (o == 'w')
			a->why = optarg;
		else if (o == 'k')
			a->kind = optarg;
		else if (o == 'a')
			a->asked = optarg;
		else
			return false;
	}
	return true;
}

static int end(const char *verb, enum rc rc, const struct buf *out, const struct err *e)
{
	if (rc == RC_OK)
		(void)fwrite(buf_slice(out).ptr, 1, out->len, stdout);
	else
		(void)fprintf(stderr, "khien %s: %s\n", verb, e->text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}

int verb_subject(int argc, char **argv)
{
	OWN(conf_free) struct conf *conf = NULL;
	OWN(keys_free) struct keys *k = NULL;
	OWN(plan_free) struct plan *plan = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct subject_args a = {.kind = "erase"};
	struct err e = {0};
	struct sender who;
	char actor[80];
	const char *what = argc > 1 ? argv[1] : "";
	bool listing = strcmp(what, "list") == 0, asking = strcmp(what, "ask") == 0;
	bool showing = strcmp(what, "export") == 0;
	BUF_OWN struct buf out;

	buf_init(&out, 256u << 20);
	if (!listing && !asking && !showing && strcmp(what, "erase") != 0)
		return app_usage("subject", "export, erase, ask or list is needed");
	if (!parse(argc - 1, argv + 1, &a))
		return app_wrong_option("subject");
	const char *number = optind < argc - 1 ? argv[optind + 1] : NULL;
	if (!listing && (number == NULL || (a.why == NULL && !asking)))
		return app_usage("subject", "NUMBER and --why are needed");
	if (asking && strcmp(a.kind, "export") != 0 && strcmp(a.kind, "erase") != 0 &&
		strcmp(a.kind, "object") != 0)
		return app_usage("subject", "--kind is export, erase or object");
	struct person_order o = {.why = a.why, .now_us = clk_system.now_us(&clk_system)};
	o.asked_us = o.now_us;
	if (a.asked != NULL && time_parse(slice_str(a.asked), &o.asked_us) != RC_OK)
		return app_usage("subject", "--asked %s is no time", a.asked);
	if (app_conf(a.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	if (app_open(conf, &k, listing ? NULL : &plan, &c, "khien-subject") != RC_OK)
		return EXIT_REFUSED;
	if (!listing && !msisdn_parse(plan, slice_str(number), &who))
		return app_usage("subject", "%s is no subscriber's number", number);
	app_actor(actor);
	o.actor = actor;
	o.number = who.value;
	enum rc rc = listing ? subject_list(c, o.now_us, &out, &e)
		: asking     ? subject_ask(c, conf, k, &o, a.kind, &out, &e)
		: showing    ? subject_export(c, k, &o, &out, &e)
			     : subject_erase(c, conf, k, &o, &out, &e);
	return end("subject", rc, &out, &e);
}

int verb_retention(int argc, char **argv)
{
	OWN(conf_free) struct conf *conf = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct subject_args a = {.conf = NULL};
	struct err e = {0};
	char actor[80];
	BUF_OWN struct buf out;

	buf_init(&out, 1u << 16);
	if (argc < 2 || strcmp(argv[1], "run") != 0)
		return app_usage("retention", "run is needed");
	if (!parse(argc - 1, argv + 1, &a))
		return app_wrong_option("retention");
	if (app_conf(a.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	struct pg_options po = {.dsn = conf_text(conf, "database.dsn"),
		.name = "khien-retention",
		.statement_timeout_ms = -1};
	app_actor(actor);
	enum rc rc = pg_open(&po, &c, &e);
	if (rc == RC_OK)
		rc = retention_run(
			c, conf, actor, clk_system.now_us(&clk_system), a.dry_run, &out, &e);
	return end("retention", rc, &out, &e);
}
