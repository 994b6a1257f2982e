/* khien kill-switch on, off, status: stops automatic additions to the list everywhere, until a person lets them go on. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

static enum rc turn(struct pg *c, bool on, struct err *e)
{
	bool changed = false;
	char actor[80];

	app_actor(actor);
	enum rc rc = control_kill_switch(c, on, clk_system.now_us(&clk_system), actor, &changed, e);
	if (rc == RC_OK)
		(void)printf("the kill switch is %s%s\n", on ? "on" : "off",
			changed ? "" : ", as it was");
	return rc;
}

static enum rc status(struct pg *c, struct err *e)
{
	struct control k;
	enum rc rc = control_read(c, &k, e);

	if (rc == RC_NONE)
		return err_set(e, RC_NONE, "nothing was activated yet");
	if (rc == RC_OK)
		(void)printf("the kill switch is %s\n", k.kill_switch ? "on" : "off");
	return rc;
}

int verb_kill_switch(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *path = NULL;
	struct err e = {.text = ""};

	for (int o; argc > 1 && (o = getopt(argc - 1, argv + 1, "c:")) != -1;) {
		if (o != 'c')
			return app_usage("kill-switch", "unknown option");
		path = optarg;
	}
	bool on = strcmp(what, "on") == 0, off = strcmp(what, "off") == 0;
	if (!on && !off && strcmp(what, "status") != 0)
		return app_usage("kill-switch", "on, off or status is needed");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	if (app_open(conf, NULL, NULL, &c, "khien-kill-switch") != RC_OK)
		return EXIT_REFUSED;
	enum rc rc = on || off ? turn(c, on, &e) : status(c, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien kill-switch: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
