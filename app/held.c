/* khien held list, release: what waits because of a cap, of review mode or for a person, and the word that lets it through. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

static enum rc show(struct pg *c, const char *reason, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 256u << 20);
	enum rc rc = held_list_json(c, reason, &b, e);
	if (rc == RC_OK && b.len > 0)
		(void)fwrite(b.ptr, 1, b.len, stdout);
	return rc;
}

static enum rc release(
	struct pg *c, const struct held_which *w, const char *why, int64_t alone_max, struct err *e)
{
	bool waits = false;
	char actor[80];
	int64_t n = 0;

	app_actor(actor);
	enum rc rc = held_release(
		c, w, why, alone_max, actor, clk_system.now_us(&clk_system), &n, &waits, e);
	if (rc == RC_OK)
		(void)printf("%s%lld\n",
			waits ? "asked: a second person must ask for the same: " : "let through: ",
			(long long)n);
	return rc;
}

int verb_held(int argc, char **argv)
{
	static const struct option options[] = {{"case", required_argument, NULL, 'k'},
		{"reason", required_argument, NULL, 'r'}, {"why", required_argument, NULL, 'w'},
		{NULL, 0, NULL, 0}};
	const char *verb = argc > 1 ? argv[1] : "", *path = NULL, *why = NULL;
	struct held_which which = {.case_id = NULL};
	struct err e = {.text = ""};

	for (int o; argc > 1 && (o = getopt_long(argc - 1, argv + 1, "c:", options, NULL)) != -1;) {
		const char **to = o == 'c' ? &path
			: o == 'k'         ? &which.case_id
			: o == 'r'         ? &which.reason
			: o == 'w'         ? &why
					   : NULL;
		if (to == NULL)
			return app_wrong_option("held");
		*to = optarg;
	}
	bool lists = strcmp(verb, "list") == 0;
	if (!lists && strcmp(verb, "release") != 0)
		return app_usage("held", "list or release is needed");
	if (!lists &&
		(why == NULL || *why == '\0' || (which.case_id == NULL && which.reason == NULL)))
		return app_usage("held", "--case or --reason, and --why are needed");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	if (app_open(conf, NULL, NULL, &c, "khien-held") != RC_OK)
		return EXIT_REFUSED;
	enum rc rc = lists ? show(c, which.reason, &e)
			   : release(c, &which, why, conf_int(conf, "lift.alone_max"), &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien held: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
