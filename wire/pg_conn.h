/* Private to wire: what pg.c, pg_pipeline.c and pg_copy.c share. A connection is always in libpq's
 * non-blocking mode; whoever needs an answer calls pg_wait, which sends and reads at the same time
 * under a deadline. */
#pragma once

#include <libpq-fe.h>

#include "wire/pg.h"

#define PG_STMTS_MAX 4096 /* statements are literals of the program: more is a bug */
#define PG_PARAMS_MAX 128
#define PG_PIPELINE_MAX 65536     /* commands sent and not yet answered */
#define PG_COPY_PIECE (64 * 1024) /* what a COPY gathers before it sends */
#define EPOCH_2000_DAYS 10957     /* PostgreSQL counts from 2000-01-01 */
#define EPOCH_2000_US (EPOCH_2000_DAYS * US_PER_DAY)
#define PG_GRACE_US (10 * US_PER_S)

/* One prepared statement, found by the address of its text. */
struct pg_stmt {
	const char *sql;
	uint64_t
		hash; /* of the text: a caller that reuses the address for another text is caught */
	char name[24];
	bool ready;  /* the server has it, or has been asked for it in this pipeline */
	bool commit; /* begins with COMMIT: an answer ROLLBACK means that it did not happen */
};

enum pg_sent_kind { PG_SENT_PREPARE, PG_SENT_QUERY, PG_SENT_SYNC };

struct pg_sent {
	enum pg_sent_kind kind;
	struct pg_stmt *stmt; /* NULL for a sync */
};

struct pg_pipe {
	bool on;
	bool failed; /* an earlier statement of this pipeline failed */
	struct pg_sent *sent;
	size_t head, len, room; /* sent[head .. head+len) */
	size_t unsynced;        /* how many at the end have no sync behind them */
	enum rc prepare_rc;     /* the failure of a prepare, told with its statement */
	struct err prepare_err;
};

struct pg_copy {
	bool on;
	int columns, left; /* values that the row still needs */
	int64_t rows;
	size_t len;
	char *piece;
	enum rc rc; /* the first failure; later calls do nothing */
	struct err err;
	const char *sql;
};

struct pg {
	PGconn *conn;
	bool broken;
	bool binary;                /* answers */
	int64_t patience_us;        /* how long one statement may leave us without a word */
	void (*waiting)(void *arg); /* called meanwhile; may be NULL */
	void *waiting_arg;
	struct pg_stmt **stmts;
	size_t stmt_room, stmt_count; /* open addressing, room is a power of two */
	struct pg_pipe pipe;
	struct pg_copy copy;
};

struct pg_result {
	PGresult *res;
};

static inline void pg_result_own_(PGresult **r)
{
	PQclear(*r);
}
#define PG_RESULT_OWN __attribute__((cleanup(pg_result_own_)))

/* Sends what is queued and reads until a result is there (`want_result`) or everything is sent.
 * `n` statements' worth of patience. */
MUST_USE enum rc pg_wait(struct pg *c, bool want_result, size_t n, struct err *e);
/* The connection is gone: remembers it, RC_RETRY. */
enum rc pg_lost(struct pg *c, struct err *e);
/* What a result means, in our words. `sql` is named in the cause. */
enum rc pg_judge(struct pg *c, const PGresult *res, const char *sql, struct err *e);
/* Waits for one command's result and takes it; the NULL behind it is taken too. */
MUST_USE enum rc pg_take(struct pg *c, PGresult **out, struct err *e);
/* Gives the result to the caller or frees it; RC_RETRY when out of memory. */
MUST_USE enum rc pg_give(PGresult *res, struct pg_result **out, struct err *e);
/* The statement of this text, made when it is new. */
MUST_USE enum rc pg_stmt_of(struct pg *c, const char *sql, struct pg_stmt **out, struct err *e);
/* RC_LIMIT: a parameter could not be built. */
MUST_USE enum rc pg_params_ok(const struct pg_param *params, int n, struct err *e);
/* RC_CONFLICT when a COMMIT was answered with ROLLBACK. */
MUST_USE enum rc pg_judge_commit(const struct pg_stmt *s, PGresult *res, struct err *e);
/* Queues the execution. */
MUST_USE enum rc pg_queue(
	struct pg *c, struct pg_stmt *s, const struct pg_param *params, int n, struct err *e);
/* Ends an open COPY without its rows. */
void pg_copy_abandon(struct pg *c);
