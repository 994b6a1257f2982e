/* Private to keep: what a backup holds besides the database, in one file sealed under the backup key. The file is the 8 bytes KHIENST1 and a
 * sealed text: a line of JSON, then of each file a line "SIZE MODE PATH" and its bytes, at the end the line "end". */
#pragma once

#include "keep/keep.h"

#define STATE_PREFIX "state-"
#define STATE_SUFFIX ".khs"
#define STATE_MAX ((size_t)512 << 20)
#define STATE_FILE_MAX ((size_t)64 << 20) /* a larger one is another system's export, and named */

/* What the database said when the backup began; a restored one has at least that. */
struct state {
	int64_t made_us, schema, records, release, count, audit_seq;
	char list[40], audit_hash[65], stanza[64], conf_path[4096], pgbackrest[4096], database[64];
	char dsn_user[64];
	int pg_max_connections, pg_max_workers, pg_max_senders, pg_max_prepared, pg_max_locks;
	struct buf text; /* all of it, opened */
	size_t files_at; /* where the files begin */
};
void state_done(struct state *s);

/* Asks the database and gathers the files that the configuration names. */
MUST_USE enum rc state_gather(const struct conf *c, struct state *out, struct err *e);
/* A new file in the folder, named by the time. */
MUST_USE enum rc state_store(
	const struct state *s, const uint8_t key[KEY_LEN], const char *dir, struct err *e);
/* RC_INVALID: damaged, cut, or sealed under another key. */
MUST_USE enum rc state_load(
	const char *path, const uint8_t key[KEY_LEN], struct state *out, struct err *e);
/* The path of the newest in the folder. RC_NONE: there is none. */
MUST_USE enum rc state_newest(const char *dir, char out[4096], struct err *e);
/* Each file below `root`; one that is there already with the same bytes stays, with others it is RC_CONFLICT before anything is written. */
MUST_USE enum rc state_unpack(const struct state *s, const char *root, int *files, struct err *e);
/* One file's bytes. RC_NONE: it is not in there. */
MUST_USE enum rc state_file(
	const struct state *s, const char *path, struct slice *out, struct err *e);
