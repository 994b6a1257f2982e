/* khien backup, restore, drill: options only; what they do is keep/. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

#include "keep/keep.h"

#define LISTS 8

struct backup_args {
	const char *conf, *offline, *to, *key, *type, *dir, *report, *pgdata, *root, *user, *bin;
	const char *erasures[LISTS + 1];
	int n_erasures, repo;
	bool stale_ok, no_erasures;
};

static const struct option options[] = {
	{"offline", required_argument, NULL, 'o'},
	{"to", required_argument, NULL, 't'},
	{"key", required_argument, NULL, 'k'},
	{"type", required_argument, NULL, 'y'},
	{"repo", required_argument, NULL, 'r'},
	{"dir", required_argument, NULL, 'd'},
	{"report", required_argument, NULL, 'R'},
	{"pgdata", required_argument, NULL, 'p'},
	{"root", required_argument, NULL, 'O'},
	{"user", required_argument, NULL, 'u'},
	{"pg-bin", required_argument, NULL, 'b'},
	{"erasures", required_argument, NULL, 'e'},
	{"stale-ok", no_argument, NULL, 's'},
	{"no-erasures", no_argument, NULL, 'n'},
	{NULL, 0, NULL, 0},
};

static bool repo_number(const char *text, int *out)
{
	uint64_t n = 0;

	if (slice_u64(slice_str(text), &n) != RC_OK || n < 1 || n > 256)
		return false;
	*out = (int)n;
	return true;
}

static bool parse(int argc, char **argv, struct backup_args *a)
{
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		const char **text = o == 'c' ? &a->conf
			: o == 'o'           ? &a->offline
			: o == 't'           ? &a->to
			: o == 'k'           ? &a->key
			: o == 'y'           ? &a->type
			: o == 'd'           ? &a->dir
			: o == 'R'           ? &a->report
			: o == 'p'           ? &a->pgdata
			: o == 'O'           ? &a->root
			: o == 'u'           ? &a->user
			: o == 'b'           ? &a->bin
					     : NULL;
		if (text != NULL)
			*text = optarg;
		else if (o == 'e' && a->n_erasures < LISTS)
			a->erasures[a->n_erasures++] = optarg;
		else if (o == 's')
			a->stale_ok = true;
		else if (o == 'n')
			a->no_erasures = true;
		else if (o != 'r' || !repo_number(optarg, &a->repo))
			return false;
	}
	return true;
}

static int end(const char *verb, enum rc rc, const struct err *e)
{
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien %s: %s\n", verb, e->text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}

int verb_backup(int argc, char **argv)
{
	OWN(conf_free) struct conf *c = NULL;
	struct backup_args a = {.type = "full"};
	struct err e = {0};

	if (!parse(argc, argv, &a))
		return app_wrong_option("backup");
	const char *what = optind < argc ? argv[optind] : "make";
	if (strcmp(what, "key") == 0)
		return optind + 2 == argc
			? end("backup", backup_key_create(argv[optind + 1], &e), &e)
			: app_usage("backup", "a file is needed: backup key FILE");
	if (optind + 1 < argc)
		return app_usage("backup", "%s is too much", argv[optind + 1]);
	bool exporting = strcmp(what, "export") == 0, listing = strcmp(what, "list") == 0;
	bool verifying = strcmp(what, "verify") == 0;
	if (!exporting && !listing && !verifying && strcmp(what, "make") != 0)
		return app_usage("backup", "there is no backup %s", what);
	if (strcmp(a.type, "full") != 0 && strcmp(a.type, "diff") != 0 &&
		strcmp(a.type, "incr") != 0)
		return app_usage("backup", "--type is full, diff or incr");
	if (exporting && a.to == NULL)
		return app_usage("backup", "--to DIR is needed");
	if (app_conf(a.conf, &c) != RC_OK)
		return EXIT_USAGE;
	enum rc rc = exporting ? backup_export(c, a.repo, a.to, &e)
		: listing      ? backup_list(c, a.offline, &e)
		: verifying    ? backup_verify(c, a.offline, &e)
			       : backup_make(c, a.type, &e);
	return end("backup", rc, &e);
}

static struct restore_order order_of(const struct backup_args *a, const struct conf *c)
{
	return (struct restore_order){.conf = c,
		.offline = a->offline,
		.key_file = a->key,
		.pgdata = a->pgdata,
		.root = a->root != NULL ? a->root : "",
		.erasures = (const char **)(uintptr_t)a->erasures,
		.user = a->user,
		.pg_bin = a->bin,
		.repo = a->repo,
		.stale_ok = a->stale_ok,
		.no_erasures = a->no_erasures};
}

int verb_restore(int argc, char **argv)
{
	OWN(conf_free) struct conf *c = NULL;
	struct backup_args a = {.conf = NULL};
	struct restore_done done;
	struct err e = {0};

	if (!parse(argc, argv, &a))
		return app_wrong_option("restore");
	if (a.pgdata == NULL)
		return app_usage("restore", "--pgdata DIR is needed");
	if (a.conf == NULL && a.offline == NULL)
		return app_usage("restore", "-c FILE or --offline DIR is needed");
	if (a.conf != NULL && app_conf(a.conf, &c) != RC_OK)
		return EXIT_USAGE;
	struct restore_order o = order_of(&a, c);
	enum rc rc = restore_run(&o, &done, &e);
	if (rc == RC_OK)
		(void)printf("records %lld, entries %lld, audit links %lld, erased again %lld\n"
			     "the list is a new one: %s\n"
			     "configuration: %s\n"
			     "start PostgreSQL with its own configuration on %s, then the engine\n",
			(long long)done.records, (long long)done.entries, (long long)done.links,
			(long long)done.erased, done.list, done.conf_path, a.pgdata);
	return end("restore", rc, &e);
}

int verb_drill(int argc, char **argv)
{
	OWN(conf_free) struct conf *c = NULL;
	struct backup_args a = {.conf = NULL};
	struct err e = {0};

	if (!parse(argc, argv, &a))
		return app_wrong_option("drill");
	if (a.conf == NULL && a.offline == NULL)
		return app_usage("drill", "-c FILE or --offline DIR is needed");
	if (a.conf != NULL && app_conf(a.conf, &c) != RC_OK)
		return EXIT_USAGE;
	struct drill_order o = {.restore = order_of(&a, c),
		.dir = a.dir,
		.report = a.report,
		.program = "/proc/self/exe",
		.tables = app_tables,
		.n_tables = app_tables_count};
	return end("drill", drill_run(&o, &e), &e);
}
