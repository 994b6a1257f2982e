/* keep: what an installation must not lose and what it must not keep. Backups, restores and drills, which drive pgBackRest; persons shown and
 * erased; retention; a new wrap key. Every function is for a verb: it may take minutes, and says on stdout what it does. */
#pragma once

#include "cases/cases.h"

extern const struct conf_table keep_conf;

/* ---- backups ---- */

/* A new sealing key of 32 bytes, mode 0600. RC_CONFLICT: there is a file already. */
MUST_USE enum rc backup_key_create(const char *path, struct err *e);
/* Every repository, then the sealed state beside each. type: "full", "diff" or "incr". */
MUST_USE enum rc backup_make(const struct conf *c, const char *type, struct err *e);
/* What there is: a line per backup, state file and offline copy (offline may be NULL). */
MUST_USE enum rc backup_list(const struct conf *c, const char *offline, struct err *e);
/* Reads all of it back. RC_INVALID: something is damaged, missing, too old, or opens with another key; each such thing is a line of
 * complaint on stderr. */
MUST_USE enum rc backup_verify(const struct conf *c, const char *offline, struct err *e);
/* A copy of one repository (0: the last) and the newest state below `to`, every file by its hash, read back before it gets its name. */
MUST_USE enum rc backup_export(const struct conf *c, int repo, const char *to, struct err *e);

struct restore_order {
	const struct conf *conf; /* NULL: nothing is left but an offline copy and the key */
	const char *offline;     /* folder of one copy; NULL: from the repositories */
	const char *key_file;    /* NULL: the configured one */
	const char *pgdata;      /* must be empty or absent */
	const char *root;        /* before every path of what is unpacked; "" for a real restore */
	const char **erasures;   /* further erasure lists, NULL-ended */
	const char *user, *pg_bin; /* NULL: the configured ones */
	int repo;                  /* 0: the first one that is good */
	bool stale_ok;             /* by a person who knows what is missing */
	bool no_erasures;          /* nobody was ever erased, says a person */
	bool keep_running;         /* the database stays up on its private socket, for a drill */
};
struct restore_done {
	char dsn[512], conf_path[512], list[40], old_list[40];
	int64_t files_ms, database_ms, checks_ms; /* what each part took */
	int64_t newest_us; /* of the last thing that was written before the loss */
	int64_t records, entries, links, erased;
	int64_t bytes; /* of the database */
	bool started; /* the database was started, and is restore_stop's when it was kept running */
};
/* The files, the database to the end of its log, a new lineage of the list, the erasures, the checks. Only then may anybody connect. */
MUST_USE enum rc restore_run(
	const struct restore_order *o, struct restore_done *out, struct err *e);
void restore_stop(const struct restore_order *o, const char *pgdata);

/* All of a restore on a scratch stand, which lies below `dir` and is removed: database, a Redis and an engine (`program`) of its own, which reach
 * nothing outside. o->conf, offline, key_file and erasures say from what; the rest of the order is ours. tables: of the whole
 * program, to read the restored configuration. The report goes to `report` (NULL: stdout); RC_INVALID when the drill failed, said
 * in the report, too. */
struct drill_order {
	struct restore_order restore;
	const char *dir, *report, *program;
	const struct conf_table *const *tables;
	size_t n_tables;
};
MUST_USE enum rc drill_run(const struct drill_order *o, struct err *e);

/* ---- persons ---- */

struct person_order {
	const char *number; /* as written, E.164 once parsed */
	const char *actor, *why;
	int64_t asked_us, now_us;
};
/* Everything kept about a number, as JSON on `out`; the look is in the audit first. RC_NONE: nothing. */
MUST_USE enum rc subject_export(struct pg *c, const struct keys *k, const struct person_order *o,
	struct buf *out, struct err *e);
/* Mapping, key and content are gone, here and in every later restore; report keys and votes without a name stay. RC_NONE: nobody. */
MUST_USE enum rc subject_erase(struct pg *c, const struct conf *conf, const struct keys *k,
	const struct person_order *o, struct buf *out, struct err *e);
/* A request that waits: its clocks begin. */
MUST_USE enum rc subject_ask(struct pg *c, const struct conf *conf, const struct keys *k,
	const struct person_order *o, const char *kind, struct buf *out, struct err *e);
MUST_USE enum rc subject_list(struct pg *c, int64_t now_us, struct buf *out, struct err *e);
/* End of the nth working day, Monday to Friday in Vietnam, after the day of at_us. */
int64_t working_days_after(int64_t at_us, int64_t days);

/* Forgets what is older than its term, or with dry_run only counts it. One line per rule into out. */
MUST_USE enum rc retention_run(struct pg *c, const struct conf *conf, const char *actor,
	int64_t now_us, bool dry_run, struct buf *out, struct err *e);

/* Everything that is sealed under the old wrap key (keys_rotate) is sealed under the new one, in pieces; can be repeated. */
MUST_USE enum rc rewrap_run(struct pg *c, const struct keys *k, const char *actor, int64_t now_us,
	int64_t *rewrapped, struct err *e);

/* ---- watching ---- */

/* A thread that sets the gauges of backups, persons' clocks and surges until *stop. c must outlive it. */
struct keep_watch;
MUST_USE enum rc keep_watch_start(
	const struct conf *c, const volatile int *stop, struct keep_watch **out, struct err *e);
void keep_watch_join(struct keep_watch *w); /* NULL is fine */
