/* khien migrate: the schema up to date. Long statements are allowed here, unlike everywhere else. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

int verb_migrate(int argc, char **argv)
{
	static const struct option options[] = {
		{"sql", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
	const char *path = NULL, *dir = app_sql_dir();
	OWN(conf_free) struct conf *conf = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct err e = {.text = ""};
	int applied = 0;

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			path = optarg;
		else if (o == 's')
			dir = optarg;
		else
			return app_usage("migrate", "unknown option");
	}
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	struct pg_options po = {.dsn = conf_text(conf, "database.dsn"),
		.name = "khien-migrate",
		.statement_timeout_ms = -1,
		.lock_timeout_ms = -1};
	enum rc rc = pg_open(&po, &c, &e);
	if (rc == RC_OK)
		rc = schema_migrate(c, dir, clk_system.now_us(&clk_system), &applied, &e);
	if (rc != RC_OK) {
		(void)fprintf(stderr, "khien migrate: %s\n", e.text);
		return EXIT_REFUSED;
	}
	(void)printf("%d applied\n", applied);
	return EXIT_DONE;
}
