/* khien run: starts the roles that were asked for in one process and stops them in order. Waits for a database and a schema, never makes one. */
#include "app/app.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "keep/keep.h"

#define MAX_WORKERS 64
#define STOP_S 20 /* a stop that hangs ends then; nothing uncommitted counts */

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

/* SIGHUP: the file is read again; what it names is made active, all of it or nothing. */
static void reload(const struct engine_settings *s, struct keeper *keeper)
{
	struct engine_settings fresh = *s;
	OWN(conf_free) struct conf *c = NULL;
	struct err e = {0};

	if (app_conf(conf_path(s->conf), &c) != RC_OK) {
		log_error("app", "reload refused, the old configuration stays");
		return;
	}
	fresh.conf = c;
	if (engine_activate(&fresh, true, &e) != RC_OK) {
		log_error("app", "reload refused, the old policy, packs and mode stay: %s", e.text);
		return;
	}
	keeper_reload(keeper, c);
	log_info("app", "reloaded");
}

static void serve_until_stopped(const struct engine_settings *s, struct keeper *keeper)
{
	int64_t every_us = app_watchdog_us(), told_us = 0;

	app_notify("READY=1");
	for (int seen = 0; !engine_stopping(s); wait_ms(200, s->stop)) {
		int64_t mono_us = clk_system.mono_us(&clk_system);
		if (every_us > 0 && mono_us - told_us >= every_us) {
			app_notify("WATCHDOG=1");
			told_us = mono_us;
		}
		int hups = __atomic_load_n(&app_hups, __ATOMIC_RELAXED);
		if (seen == hups)
			continue;
		seen = hups;
		reload(s, keeper);
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
	struct keep_watch *watch = NULL;
	struct kafka_source source;
	bool engine = roles->ingest || roles->keeper;

	enum rc rc = app_open(c, &keys, &plan, NULL, NULL);
	if (rc == RC_OK && engine && kafka_source_of(c, &source, e) == RC_INVALID)
		rc = RC_INVALID;
	if (rc != RC_OK)
		return rc;
	gethostname(host, sizeof(host) - 1);
	snprintf(instance, sizeof(instance), "%s-%d", host, (int)getpid());
	struct engine_settings s = {c, &clk_system, keys, plan, instance, &app_stop};
	struct api_settings as = {c, &clk_system, keys, plan, engine_ready, &app_stop,
		engine_retry_json, &s, !roles->api, app_console_dir()};
	rc = api_start(&as, &api, e);
	if (rc == RC_OK)
		log_info("app", "listening port=%d", api_port(api));
	if (rc == RC_OK)
		rc = engine_prepare(&s, app_sql_dir(), engine, e);
	if (rc == RC_OK && roles->keeper && !engine_stopping(&s))
		rc = keeper_start(&s, &keeper, e);
	if (rc == RC_OK && roles->keeper && !engine_stopping(&s))
		rc = keep_watch_start(c, &app_stop, &watch, e);
	for (int i = 0;
		i < conf_int(c, "workers") && rc == RC_OK && roles->ingest && !engine_stopping(&s);
		i++)
		rc = worker_start(&s, i, &workers[i], e);
	if (rc == RC_OK) {
		serve_until_stopped(&s, keeper);
		log_info("app", "stopping");
	}
	__atomic_store_n(&app_stop, 1, __ATOMIC_RELAXED);
	app_notify("STOPPING=1");
	alarm(STOP_S);
	for (size_t i = 0; i < MAX_WORKERS; i++)
		worker_join(workers[i]);
	keeper_join(keeper);
	keep_watch_join(watch);
	api_stop(api);
	alarm(0);
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
