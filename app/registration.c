/* khien registration open, end, bar-both, list: the ladder for wrong subscriber data, by the hand of people. What follows by itself is the keeper's. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

struct registration_args {
	const char *conf, *why, *what;
};

static enum rc open_one(struct pg *c, const struct plan *plan, const struct registration_args *args,
	const char *actor, int64_t now_us, struct err *e)
{
	const char *why = NULL, *carrier = NULL;
	struct sender s;
	char id[24];
	bool by_table;

	if (sender_parse(plan, slice_str(args->what), now_us, &s, &why) != SENDER_OK)
		return err_set(
			e, RC_INVALID, "%s: %s", args->what, why != NULL ? why : "no number");
	enum rc rc = registration_open(c, &s, sender_attribution(plan, &s, &carrier, &by_table),
		args->why, actor, now_us, id, e);
	if (rc == RC_OK)
		(void)printf("%s\n", id);
	return rc;
}

static enum rc list(struct pg *c, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 256u << 20);
	enum rc rc = registration_list_json(c, &b, e);
	if (rc == RC_OK && b.len > 0)
		(void)fwrite(b.ptr, 1, b.len, stdout);
	return rc;
}

static enum rc do_it(struct pg *c, const struct plan *plan, const char *verb,
	const struct registration_args *args, struct err *e)
{
	int64_t now_us = clk_system.now_us(&clk_system);
	char actor[80];

	app_actor(actor);
	if (strcmp(verb, "list") == 0)
		return list(c, e);
	if (strcmp(verb, "open") == 0)
		return open_one(c, plan, args, actor, now_us, e);
	if (strcmp(verb, "end") == 0)
		return registration_end(c, args->what, args->why, actor, now_us, e);
	return registration_bar_both(c, args->what, actor, now_us, e);
}

int verb_registration(int argc, char **argv)
{
	static const struct option options[] = {
		{"why", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
	const char *verb = argc > 1 ? argv[1] : "";
	struct registration_args args = {.conf = NULL};
	struct err e = {.text = ""};

	for (int o; argc > 1 && (o = getopt_long(argc - 1, argv + 1, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			args.conf = optarg;
		else if (o == 'w')
			args.why = optarg;
		else
			return app_wrong_option("registration");
	}
	bool listed = strcmp(verb, "list") == 0, both = strcmp(verb, "bar-both") == 0;
	bool reasoned = strcmp(verb, "open") == 0 || strcmp(verb, "end") == 0;
	if (!listed && !both && !reasoned)
		return app_usage("registration", "open, end, bar-both or list is needed");
	args.what = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (!listed && args.what == NULL)
		return app_usage("registration", "a number or case is needed");
	if (reasoned && (args.why == NULL || *args.why == '\0'))
		return app_usage("registration", "--why REASON is needed");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(args.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(plan_free) struct plan *plan = NULL;
	OWN(pg_close) struct pg *c = NULL;
	if (app_open(conf, NULL, &plan, &c, "khien-registration") != RC_OK)
		return EXIT_REFUSED;
	enum rc rc = do_it(c, plan, verb, &args, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien registration: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
