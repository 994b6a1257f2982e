/* khien keys: creates the installation's secrets in an empty folder; a new wrap key, everything sealed under it, the old one forgotten. They belong
 * into every backup: without them no reporter can be named. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

#include "keep/keep.h"

static enum rc rewrap(const struct conf *conf, int64_t *n, bool *old, struct err *e)
{
	OWN(keys_free) struct keys *k = NULL;
	OWN(pg_close) struct pg *c = NULL;
	char actor[80];

	if (app_open(conf, &k, NULL, &c, "khien-keys") != RC_OK)
		return err_set(e, RC_INVALID, "nothing was done");
	app_actor(actor);
	*old = keys_have_old(k);
	return rewrap_run(c, k, actor, clk_system.now_us(&clk_system), n, e);
}

static int with_conf(const char *what, const char *path)
{
	OWN(conf_free) struct conf *conf = NULL;
	struct err e = {0};
	int64_t n = 0;
	bool old = false;

	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	bool rotating = strcmp(what, "rotate") == 0, forgetting = strcmp(what, "forget") == 0;
	const char *dir = conf_text(conf, "keys.dir");
	enum rc rc = rotating ? keys_rotate(dir, &e) : rewrap(conf, &n, &old, &e);
	if (rc == RC_OK && forgetting && n > 0)
		rc = err_set(&e, RC_CONFLICT,
			"the old key had sealed %lld rows since the last rewrap: an engine still "
			"has it; restart all of them and try again",
			(long long)n);
	if (rc == RC_OK && forgetting)
		rc = keys_forget_old(dir, &e);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "khien keys: %s\n", e.text);
		return EXIT_REFUSED;
	}
	if (rotating)
		(void)printf("a new wrap key; restart every engine, then khien keys rewrap\n");
	else if (forgetting)
		(void)printf("the old wrap key is gone\n");
	else
		(void)printf("%lld rows sealed again%s\n", (long long)n,
			old ? "" : "; there is no old key");
	return EXIT_DONE;
}

int verb_keys(int argc, char **argv)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
	const char *dir = NULL, *path = NULL;
	struct err e = {0};

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			path = optarg;
		else if (o == 'd')
			dir = optarg;
		else
			return app_usage("keys", "unknown option");
	}
	const char *what = optind < argc ? argv[optind] : "";
	if (strcmp(what, "rotate") == 0 || strcmp(what, "rewrap") == 0 ||
		strcmp(what, "forget") == 0)
		return with_conf(what, path);
	if (dir == NULL || *what != '\0')
		return app_usage("keys", "a folder is needed: --dir DIR");
	if (keys_create(dir, &e) != RC_OK) {
		fprintf(stderr, "khien keys: %s\n", e.text);
		return EXIT_REFUSED;
	}
	printf("%s\n", dir);
	return EXIT_DONE;
}
