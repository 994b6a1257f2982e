/* What several verbs share: the configuration, opening what it names, signals. */
#include "app/app.h"

#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keep/keep.h"

const struct conf_table *const app_tables[] = {&ingest_conf, &cases_conf, &blocklist_conf,
	&follow_conf, &engine_conf, &api_conf, &keep_conf};
const size_t app_tables_count = ARRAY_LEN(app_tables);

volatile int app_stop, app_hups;

enum rc app_conf(const char *path, struct conf **out)
{
	struct complaints c;
	struct err e = {0};

	complaints_init(&c);
	enum rc rc = path != NULL
		? conf_load(path, app_tables, app_tables_count, &c, out, &e)
		: err_set(&e, RC_INVALID, "a configuration file is needed: -c FILE");
	if (rc != RC_OK && c.count > 0)
		fprintf(stderr, "%.*s", (int)c.text.len, c.text.ptr);
	else if (rc != RC_OK)
		fprintf(stderr, "khien: %s\n", e.text);
	complaints_done(&c);
	return rc;
}

enum rc app_open(const struct conf *c, struct keys **keys, struct plan **plan, struct pg **pg,
	const char *name)
{
	struct err e = {0};
	enum rc rc = RC_OK;

	if (keys != NULL)
		rc = keys_open(conf_text(c, "keys.dir"), keys, &e);
	if (rc == RC_OK && plan != NULL) {
		struct complaints complaints;
		complaints_init(&complaints);
		rc = plan_load(conf_text(c, "numbers.dir"), conf_text(c, "numbers.own_carrier"),
			&complaints, plan, &e);
		if (complaints.count > 0)
			fprintf(stderr, "%.*s", (int)complaints.text.len, complaints.text.ptr);
		complaints_done(&complaints);
	}
	if (rc == RC_OK && pg != NULL) {
		struct pg_options o = {.dsn = conf_text(c, "database.dsn"), .name = name};
		rc = pg_open(&o, pg, &e);
	}
	if (rc != RC_OK)
		fprintf(stderr, "khien: %s\n", e.text);
	return rc;
}

int app_usage(const char *verb, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "khien %s: ", verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see khien %s --help\n", verb);
	return EXIT_USAGE;
}

int app_wrong_option(const char *verb)
{
	return optarg != NULL ? app_usage(verb, "wrong value %s of an option", optarg)
			      : app_usage(verb, "unknown or wrong option");
}

void app_actor(char out[80])
{
	const struct passwd *p = getpwuid(getuid());
	const char *user = p != NULL ? p->pw_name : NULL, *sudo = getenv("SUDO_USER");

	if (getuid() == 0 && sudo != NULL && *sudo != '\0')
		user = sudo;
	(void)snprintf(out, 80, "person:%.64s", user != NULL && *user != '\0' ? user : "unknown");
}

static void on_signal(int sig)
{
	if (sig == SIGHUP)
		__atomic_add_fetch(&app_hups, 1, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&app_stop, 1, __ATOMIC_RELAXED);
}

/* The stop that was asked for takes too long: a backend does not answer. Whatever was committed is safe, and nothing else counts. */
static void on_alarm(int sig)
{
	static const char line[] = "khien: the stop took too long; what was open is dropped\n";

	(void)sig;
	(void)!write(STDERR_FILENO, line, sizeof(line) - 1);
	_exit(EXIT_DONE);
}

void app_signals(void)
{
	struct sigaction a = {.sa_handler = on_signal}, late = {.sa_handler = on_alarm};

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGHUP, &a, NULL);
	sigaction(SIGALRM, &late, NULL);
	signal(SIGPIPE, SIG_IGN);
}
