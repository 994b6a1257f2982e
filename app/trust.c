/* khien trust run: weighs reporters by what became of the cases that they reported. The keeper does the same once a night. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

int verb_trust(int argc, char **argv)
{
	const char *path = NULL;
	struct err e = {.text = ""};
	int64_t changed = 0;
	char actor[80];

	if (argc < 2 || strcmp(argv[1], "run") != 0)
		return app_usage("trust", "run is needed");
	for (int o; (o = getopt(argc - 1, argv + 1, "c:")) != -1;) {
		if (o != 'c')
			return app_usage("trust", "unknown option");
		path = optarg;
	}
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	if (app_open(conf, NULL, NULL, &c, "khien-trust") != RC_OK)
		return EXIT_REFUSED;
	app_actor(actor);
	enum rc rc = trust_run(c, false, actor, clk_system.now_us(&clk_system), &changed, &e);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "khien trust: %s\n", e.text);
		return EXIT_REFUSED;
	}
	(void)printf("%lld reporters weigh something else now\n", (long long)changed);
	return EXIT_DONE;
}
