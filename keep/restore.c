/* khien restore: an empty machine, a copy and the backup's key become the installation again. Nothing is started that others could reach: the
 * database comes up on a private socket, is put right and checked, and goes down again. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/repo.h"
#include "keep/revive.h"
#include "keep/spawn.h"
#include "keep/state.h"
#include "keep/tree.h"

#define RECOVERY_S (24 * 3600)
#define PATH_CAP 4096

struct restore {
	const struct restore_order *o;
	const char *user, *pg_bin;
	uint8_t key[KEY_LEN];
	struct state state;
	struct offline offline; /* dir "": from the repositories */
	int repo;
	char work[64]; /* short: sockets are in it */
	char conf[128];
	bool started; /* ours to stop; never the server that was here before */
};

static int64_t mono_ms(void)
{
	return clk_system.mono_us(&clk_system) / 1000;
}

/* ---- what is restored from ---- */

static enum rc from_offline(struct restore *r, struct err *e)
{
	char dir[PATH_CAP], path[PATH_CAP + 32];
	enum rc rc = offline_find(r->o->offline, dir, e);
	int64_t max_s = r->o->conf != NULL ? conf_int(r->o->conf, "backup.offline_max_age")
					   : 8 * INT64_C(86400);

	if (rc == RC_OK)
		rc = offline_verify(dir, r->key, &r->offline, e);
	if (rc != RC_OK)
		return rc;
	int64_t age_s = (clk_system.now_us(&clk_system) - r->offline.made_us) / US_PER_S;
	if (age_s > max_s && !r->o->stale_ok)
		return err_set(e, RC_INVALID,
			"%s: stale, %lld hours old; --stale-ok when there is no younger one", dir,
			(long long)age_s / 3600);
	(void)snprintf(path, sizeof(path), "%s/" COPY_STATE, dir);
	r->repo = r->offline.repo;
	return state_load(path, r->key, &r->state, e);
}

static enum rc from_state_dirs(struct restore *r, struct err *e)
{
	char path[PATH_CAP];
	enum rc rc = err_set(e, RC_INVALID, "a configuration or an offline copy is needed");

	if (r->o->conf == NULL)
		return rc;
	rc = err_set(e, RC_INVALID, "backup.state_dirs names no folder");
	for (size_t i = 0; rc != RC_OK && i < conf_count(r->o->conf, "backup.state_dirs"); i++) {
		rc = state_newest(conf_at(r->o->conf, "backup.state_dirs", i), path, e);
		if (rc == RC_OK)
			rc = state_load(path, r->key, &r->state, e);
	}
	return rc;
}

static enum rc choose(struct restore *r, struct err *e)
{
	const char *key = r->o->key_file != NULL ? r->o->key_file
		: r->o->conf != NULL             ? conf_text(r->o->conf, "backup.key_file")
						 : NULL;

	if (key == NULL)
		return err_set(e, RC_INVALID, "the backup's key is needed: --key FILE");
	enum rc rc = key_read(key, r->key, e);
	if (rc != RC_OK)
		return rc;
	return r->o->offline != NULL ? from_offline(r, e) : from_state_dirs(r, e);
}

/* ---- what must not be there ---- */

static enum rc refuse_live(const struct restore *r, struct err *e)
{
	OWN(pg_close) struct pg *pg = NULL;
	struct tree t = {0};
	struct stat st;
	struct err quiet;

	if (stat(r->o->pgdata, &st) == 0) {
		enum rc rc = tree_list(r->o->pgdata, NULL, &t, e);
		size_t n = t.count;
		tree_done(&t);
		if (rc != RC_OK)
			return rc;
		if (n > 0)
			return err_set(e, RC_CONFLICT,
				"%s: is not empty; a restore never goes over a database",
				r->o->pgdata);
	}
	if (r->o->conf == NULL || r->o->root[0] != '\0')
		return RC_OK;
	struct pg_options po = {
		.dsn = conf_text(r->o->conf, "database.dsn"), .name = "khien-restore"};
	if (pg_open(&po, &pg, &quiet) == RC_OK)
		return err_set(e, RC_CONFLICT,
			"the configured database answers: a restore beside a live one would make "
			"two of it; stop it first");
	return RC_OK;
}

/* ---- the folder to work in ---- */

static enum rc owned(const struct restore *r, const char *path, struct err *e)
{
	const struct passwd *p = getuid() == 0 ? getpwnam(r->user) : NULL;

	if (getuid() == 0 && p == NULL)
		return err_set(e, RC_INVALID, "there is no user %s (backup.user)", r->user);
	if (p != NULL && chown(path, p->pw_uid, p->pw_gid) != 0)
		return err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	return RC_OK;
}

static enum rc put_file(const struct restore *r, const char *name, struct buf *b, struct err *e)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", r->work, name);
	if (b->failed)
		return err_set(e, RC_LIMIT, "%s: too large", name);
	enum rc rc = file_write_new(path, 0600, buf_slice(b), e);
	return rc == RC_OK ? owned(r, path, e) : rc;
}

/* pgBackRest's own settings of its repositories, with our paths; of an offline copy only how it is encrypted. */
static enum rc write_pgbackrest(struct restore *r, struct err *e)
{
	char prefix[24], path[24];
	BUF_OWN struct buf b;
	struct slice text;
	enum rc rc = state_file(&r->state, r->state.pgbackrest, &text, e);

	buf_init(&b, 1u << 20);
	if (rc != RC_OK)
		return rc;
	buf_add(&b, SLICE("[global]\n"));
	(void)snprintf(prefix, sizeof(prefix), "repo%d-cipher", r->repo);
	(void)snprintf(path, sizeof(path), "repo%d-path", r->repo);
	for (struct slice line; slice_line(&text, &line);) {
		line = slice_trim(line);
		bool ours = slice_starts(
			line, r->offline.dir[0] != '\0' ? slice_str(prefix) : SLICE("repo"));
		if (!ours)
			continue;
		buf_add(&b, line);
		buf_byte(&b, '\n');
	}
	if (r->offline.dir[0] != '\0')
		buf_fmt(&b, "%s=%s/repo\n", path, r->offline.dir);
	for (size_t i = 0; i < 3; i++)
		buf_fmt(&b, "%s-path=%s\n", (const char *[]){"lock", "log", "spool"}[i], r->work);
	buf_fmt(&b,
		"log-level-file=off\nlog-level-console=warn\nprocess-max=2\n[%s]\npg1-path=%s\n",
		r->state.stanza, r->o->pgdata);
	(void)snprintf(r->conf, sizeof(r->conf), "%s/pgbackrest.conf", r->work);
	return put_file(r, "pgbackrest.conf", &b, e);
}

/* Nobody but whoever can enter the folder reaches this server, and it archives nothing. */
static enum rc write_postgres(struct restore *r, struct err *e)
{
	const struct state *s = &r->state;
	BUF_OWN struct buf conf, hba;

	buf_init(&conf, 8192);
	buf_init(&hba, 8192);
	buf_fmt(&conf,
		"data_directory = '%s'\nhba_file = '%s/pg_hba.conf'\nident_file = "
		"'%s/pg_ident.conf'\n"
		"listen_addresses = ''\nport = 5432\nunix_socket_directories = '%s'\n"
		"max_connections = %d\nmax_worker_processes = %d\nmax_wal_senders = %d\n"
		"max_prepared_transactions = %d\nmax_locks_per_transaction = %d\n"
		"shared_buffers = 256MB\nmax_wal_size = 4GB\njit = off\ntimezone = 'UTC'\n"
		"log_timezone = 'UTC'\n",
		r->o->pgdata, r->work, r->work, r->work, s->pg_max_connections, s->pg_max_workers,
		s->pg_max_senders, s->pg_max_prepared, s->pg_max_locks);
	buf_add(&hba, SLICE("local all all trust\n"));
	enum rc rc = put_file(r, "postgresql.conf", &conf, e);
	if (rc == RC_OK)
		rc = put_file(r, "pg_hba.conf", &hba, e);
	buf_clear(&hba);
	return rc == RC_OK ? put_file(r, "pg_ident.conf", &hba, e) : rc;
}

static enum rc prepare(struct restore *r, struct err *e)
{
	(void)snprintf(r->work, sizeof(r->work), "/tmp/khien-restore-XXXXXX");
	if (mkdtemp(r->work) == NULL)
		return err_set(e, RC_INVALID, "%s: %s", r->work, strerror(errno));
	enum rc rc = owned(r, r->work, e);
	if (rc == RC_OK)
		rc = make_dirs(r->o->pgdata, 0700, e);
	if (rc == RC_OK)
		rc = owned(r, r->o->pgdata, e);
	if (rc == RC_OK && chmod(r->o->pgdata, 0700) != 0)
		rc = err_set(e, RC_INVALID, "%s: %s", r->o->pgdata, strerror(errno));
	if (rc == RC_OK)
		rc = write_pgbackrest(r, e);
	return rc == RC_OK ? write_postgres(r, e) : rc;
}

/* ---- the database ---- */

static enum rc first_good(struct restore *r, const struct pgb *p, struct err *e)
{
	BUF_OWN struct buf b;
	struct pgb_newest n;
	struct repos repos;
	enum rc rc;

	buf_init(&b, 1u << 20);
	if (r->offline.dir[0] != '\0')
		return pgb_newest(p, r->repo, &n, e);
	rc = file_read(r->conf, false, &b, e);
	if (rc == RC_OK)
		rc = repos_read(buf_slice(&b), r->conf, &repos, e);
	if (rc != RC_OK)
		return rc;
	rc = RC_NONE;
	for (int i = 0; rc != RC_OK && i < repos.n; i++) {
		if (r->o->repo != 0 && r->o->repo != repos.key[i])
			continue;
		r->repo = repos.key[i];
		rc = pgb_newest(p, r->repo, &n, e);
		if (rc != RC_OK)
			(void)fprintf(stderr, "khien restore: %s\n", e->text);
	}
	return rc;
}

static enum rc ctl(const struct restore *r, const char *what, struct err *e)
{
	char path[PATH_CAP + 16], options[128], log[96], group[16];
	struct command c;

	command_init(&c, r->user, group);
	(void)snprintf(path, sizeof(path), "%s/pg_ctl", r->pg_bin);
	(void)snprintf(options, sizeof(options),
		"-c config_file=%s/postgresql.conf -c archive_mode=off", r->work);
	(void)snprintf(log, sizeof(log), "%s/postgres.log", r->work);
	const char *start[] = {path, "-D", r->o->pgdata, "-l", log, "-s", "-w", "-t", "86400", "-o",
		options, "start"};
	const char *stop[] = {
		path, "-D", r->o->pgdata, "-s", "-w", "-t", "600", "-m", "fast", "stop"};
	bool starting = strcmp(what, "start") == 0;
	size_t n = starting ? ARRAY_LEN(start) : ARRAY_LEN(stop);
	for (size_t i = 0; i < n; i++)
		command_add(&c, starting ? start[i] : stop[i]);
	command_add(&c, NULL);
	enum rc rc = command_run(&c, RECOVERY_S, NULL, e);
	return rc == RC_OK ? rc : err_wrap(e, rc, "see %s", log);
}

/* It reads its log to the end before it takes writes. */
static enum rc wait_for_writes(const char *dsn, struct pg **out, struct err *e)
{
	static const volatile int go_on = 0;
	struct pg_options o = {.dsn = dsn,
		.name = "khien-restore",
		.statement_timeout_ms = -1,
		.lock_timeout_ms = -1};
	int64_t until = mono_ms() + RECOVERY_S * INT64_C(1000);
	enum rc rc;

	while ((rc = pg_open(&o, out, e)) != RC_OK && mono_ms() < until)
		wait_ms(100, &go_on);
	return rc;
}

/* What pgBackRest left for the recovery names our folder, which goes. */
static enum rc drop_recovery_settings(const struct restore *r, struct err *e)
{
	char path[PATH_CAP + 32];
	BUF_OWN struct buf b, out;

	buf_init(&b, 1u << 20);
	buf_init(&out, 1u << 20);
	(void)snprintf(path, sizeof(path), "%s/postgresql.auto.conf", r->o->pgdata);
	enum rc rc = file_read(path, false, &b, e);
	struct slice rest = buf_slice(&b);
	for (struct slice line; rc == RC_OK && slice_line(&rest, &line);)
		if (!slice_starts(line, SLICE("restore_command"))) {
			buf_add(&out, line);
			buf_byte(&out, '\n');
		}
	if (rc == RC_OK && unlink(path) != 0)
		rc = err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	if (rc == RC_OK)
		rc = file_write_new(path, 0600, buf_slice(&out), e);
	return rc == RC_OK ? owned(r, path, e) : rc;
}

static enum rc database(struct restore *r, struct restore_done *out, struct pg **pg, struct err *e)
{
	static const char *const words[] = {"restore", NULL};
	struct pgb p = {r->conf, r->state.stanza, r->user};
	enum rc rc = first_good(r, &p, e);

	if (rc == RC_OK)
		rc = pgb_run(&p, r->repo, words, RECOVERY_S, NULL, e);
	if (rc == RC_OK) {
		r->started = true;
		rc = ctl(r, "start", e);
	}
	if (rc != RC_OK)
		return rc;
	(void)snprintf(out->dsn, sizeof(out->dsn), "host=%s port=5432 user=%s dbname=%s", r->work,
		r->state.dsn_user, r->state.database);
	return wait_for_writes(out->dsn, pg, e);
}

static enum rc measure(struct pg *pg, struct restore_done *out, struct err *e)
{
	static const char sql[] = "SELECT pg_database_size(current_database())";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(pg, sql, NULL, 0, &r, e);

	if (rc == RC_OK)
		out->bytes = pg_int(r, 0, 0);
	return rc;
}

static enum rc steps(struct restore *r, struct restore_done *out, struct err *e)
{
	OWN(pg_close) struct pg *pg = NULL;
	int64_t at = mono_ms();
	int files = 0;
	enum rc rc = choose(r, e);

	if (rc == RC_OK)
		rc = refuse_live(r, e);
	if (rc == RC_OK)
		rc = state_unpack(&r->state, r->o->root, &files, e);
	if (rc == RC_OK)
		rc = prepare(r, e);
	if (rc != RC_OK)
		return rc;
	(void)snprintf(
		out->conf_path, sizeof(out->conf_path), "%s%.400s", r->o->root, r->state.conf_path);
	out->files_ms = mono_ms() - at;
	at = mono_ms();
	rc = database(r, out, &pg, e);
	out->database_ms = mono_ms() - at;
	at = mono_ms();
	if (rc == RC_OK)
		rc = revive(pg, &r->state, r->o, out, e);
	if (rc == RC_OK)
		rc = measure(pg, out, e);
	out->checks_ms = mono_ms() - at;
	return rc;
}

void restore_stop(const struct restore_order *o, const char *pgdata)
{
	struct restore r = {.o = o,
		.user = o->user != NULL   ? o->user
			: o->conf != NULL ? conf_text(o->conf, "backup.user")
					  : "postgres",
		.pg_bin = o->pg_bin != NULL ? o->pg_bin
			: o->conf != NULL   ? conf_text(o->conf, "backup.pg_bin")
					    : "/usr/lib/postgresql/15/bin"};
	struct err e;
	char pid[PATH_CAP + 32];

	(void)snprintf(pid, sizeof(pid), "%s/postmaster.pid", pgdata);
	if (access(pid, F_OK) == 0 && ctl(&r, "stop", &e) != RC_OK)
		(void)fprintf(stderr, "khien restore: %s\n", e.text);
}

static void clean(const struct restore *r)
{
	static const char *const made[] = {"pgbackrest.conf", "postgresql.conf", "pg_hba.conf",
		"pg_ident.conf", "postgres.log"};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", r->work, made[i]);
		(void)unlink(path);
	}
	(void)rmdir(r->work); /* what else pgBackRest left there is empty folders of locks */
}

enum rc restore_run(const struct restore_order *o, struct restore_done *out, struct err *e)
{
	struct restore r = {.o = o,
		.user = o->user != NULL   ? o->user
			: o->conf != NULL ? conf_text(o->conf, "backup.user")
					  : "postgres",
		.pg_bin = o->pg_bin != NULL ? o->pg_bin
			: o->conf != NULL   ? conf_text(o->conf, "backup.pg_bin")
					    : "/usr/lib/postgresql/15/bin"};

	*out = (struct restore_done){0};
	enum rc rc = steps(&r, out, e);
	out->started = r.started;
	if (r.started && (rc != RC_OK || !o->keep_running))
		restore_stop(o, o->pgdata);
	if (rc == RC_OK)
		rc = o->keep_running ? RC_OK : drop_recovery_settings(&r, e);
	if (rc == RC_OK && !o->keep_running)
		clean(&r);
	state_done(&r.state);
	explicit_bzero(r.key, sizeof(r.key));
	return rc;
}
