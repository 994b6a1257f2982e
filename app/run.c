/* khien run: starts the roles that were asked for in one process and stops them in order. Waits for a schema, never makes one. */
#include "app/app.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_WORKERS 64

struct roles {
	bool ingest, keeper, api;
};

static bool parse_roles(struct slice list, struct roles *out)
{
	*out = (struct roles){0};
	for (struct slice role; slice_cut(&list, ',', &role);) {
		if (slice_eq(role, SLICE("ingest")))
			out->ingest = true;
		else if (slice_eq(role, SLICE("keeper")))
			out->keeper = true;
		else if (slice_eq(role, SLICE("api")))
			out->api = true;
		else
			return false;
	}
	return out->ingest || out->keeper || out->api;
}

/* The database may come later than we do; a wrong schema may not. */
static enum rc wait_for_schema(const struct conf *c, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(c, "database.dsn"), .name = "khien-run"};
	enum rc rc = RC_RETRY;

	for (unsigned n = 0; !app_stop; n++) {
		OWN(pg_close) struct pg *pg = NULL;
		rc = pg_open(&o, &pg, e);
		if (rc == RC_OK)
			rc = schema_check(pg, KHIEN_SQL_DIR, e);
		if (rc != RC_RETRY)
			return rc;
		if (n == 0)
			log_warn("app", "waiting for the database: %s", e->text);
		wait_ms(backoff_ms(n, 100, 2000), &app_stop);
	}
	return rc;
}

static void serve_until_stopped(const struct engine_settings *s)
{
	for (int seen = app_hups; !app_stop; wait_ms(1000, &app_stop)) {
		struct err e = {0};
		if (seen == app_hups)
			continue;
		seen = app_hups;
		if (engine_activate(s, true, &e) != RC_OK)
			log_error(
				"app", "reload refused, the old policy and packs stay: %s", e.text);
	}
}

static enum rc start_and_serve(const struct conf *c, const struct roles *roles, struct err *e)
{
	OWN(keys_free) struct keys *keys = NULL;
	OWN(plan_free) struct plan *plan = NULL;
	char host[64] = "host", instance[96];
	struct worker *workers[MAX_WORKERS] = {0};
	struct keeper *keeper = NULL;
	struct api *api = NULL;

	enum rc rc = app_open(c, &keys, &plan, NULL, NULL);
	if (rc == RC_OK)
		rc = wait_for_schema(c, e);
	if (rc != RC_OK || app_stop)
		return rc;
	gethostname(host, sizeof(host) - 1);
	snprintf(instance, sizeof(instance), "%s-%d", host, (int)getpid());
	struct engine_settings s = {c, &clk_system, keys, plan, instance, &app_stop};
	struct api_settings as = {c, &clk_system, keys, plan, engine_ready, &app_stop};
	if (roles->ingest || roles->keeper)
		rc = engine_activate(&s, false, e);
	if (rc == RC_OK && roles->api)
		rc = api_start(&as, &api, e);
	if (rc == RC_OK && roles->keeper)
		rc = keeper_start(&s, &keeper, e);
	for (int i = 0; i < conf_int(c, "workers") && rc == RC_OK && roles->ingest; i++)
		rc = worker_start(&s, i, &workers[i], e);
	if (rc == RC_OK) {
		if (api != NULL)
			log_info("app", "listening port=%d", api_port(api));
		serve_until_stopped(&s);
		log_info("app", "stopping");
	}
	app_stop = 1;
	alarm(30); /* a shutdown that hangs ends here; nothing uncommitted counts */
	for (size_t i = 0; i < MAX_WORKERS; i++)
		worker_join(workers[i]);
	keeper_join(keeper);
	api_stop(api);
	return rc;
}

int verb_run(int argc, char **argv)
{
	static const struct option options[] = {
		{"role", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
	struct roles roles = {true, true, true};
	const char *path = NULL;
	struct err e = {0};

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			path = optarg;
		else if (o != 'r' || !parse_roles(slice_str(optarg), &roles))
			return app_usage("run", o == 'r' ? "no such role: %s" : "unknown option %s",
				optarg != NULL ? optarg : "");
	}
	OWN(conf_free) struct conf *c = NULL;
	if (app_conf(path, &c) != RC_OK)
		return EXIT_USAGE;
	app_signals();
	enum rc rc = start_and_serve(c, &roles, &e);
	if (rc != RC_OK && e.text[0] != '\0')
		log_error("app", "%s", e.text);
	return rc == RC_OK ? EXIT_DONE : rc == RC_INVALID ? EXIT_USAGE : EXIT_REFUSED;
}
