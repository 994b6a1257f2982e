/* khien activate: makes the configured mode, policy and rule packs the active ones for every instance. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

int verb_activate(int argc, char **argv)
{
	const char *path = NULL;
	struct err e = {0};
	char actor[80];

	for (int o; (o = getopt(argc, argv, "c:")) != -1;) {
		if (o != 'c')
			return app_usage("activate", "unknown option");
		path = optarg;
	}
	OWN(conf_free) struct conf *c = NULL;
	if (app_conf(path, &c) != RC_OK)
		return EXIT_USAGE;
	app_actor(actor);
	struct engine_settings s = {
		.conf = c, .clk = &clk_system, .instance = actor, .stop = &app_stop};
	enum rc rc = engine_activate(&s, true, &e);
	if (rc != RC_OK)
		fprintf(stderr, "%s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : rc == RC_INVALID ? EXIT_USAGE : EXIT_REFUSED;
}
