/* Pipelines: many statements sent, then their answers received in order, with one round trip. What
 * was sent is kept in a queue of our own, so that the answers of prepares and syncs are taken
 * silently. Sending and receiving go on at the same time (pg_wait), so neither side can stand still
 * with full buffers. */
#include <assert.h>
#include <stdlib.h>

#include "wire/pg_conn.h"

static enum rc push(struct pg *c, enum pg_sent_kind kind, struct pg_stmt *s, struct err *e)
{
	struct pg_pipe *p = &c->pipe;

	if (p->head + p->len == p->room) {
		/* Make room at the front first: a long pipeline is received as it grows. */
		size_t room = p->head > 0 ? p->room : (p->room == 0 ? 64 : p->room * 2);
		struct pg_sent *at;

		if (p->len > 0)
			memmove(p->sent, p->sent + p->head, p->len * sizeof(*p->sent));
		p->head = 0;
		at = room == p->room ? p->sent : realloc(p->sent, room * sizeof(*at));
		if (at == NULL)
			return err_set(e, RC_RETRY, "out of memory");
		p->sent = at;
		p->room = room;
	}
	p->sent[p->head + p->len++] = (struct pg_sent){kind, s};
	if (kind == PG_SENT_SYNC)
		p->unsynced = 0;
	else
		p->unsynced++;
	return RC_OK;
}

static struct pg_sent pop(struct pg *c)
{
	struct pg_pipe *p = &c->pipe;

	assert(p->len > 0);
	p->len--;
	return p->sent[p->head++];
}

/* A failure between libpq's queue and ours leaves them out of step. */
static enum rc out_of_step(struct pg *c, enum rc rc)
{
	c->broken = true;
	return rc;
}

static enum rc gone(struct pg *c, struct err *e)
{
	if (!pg_broken(c))
		return RC_OK;
	c->broken = true;
	return err_set(e, RC_RETRY, "postgresql: connection lost");
}

enum rc pg_pipeline_begin(struct pg *c, struct err *e)
{
	enum rc rc = gone(c, e);

	assert(!c->pipe.on && !c->copy.on);
	if (rc != RC_OK)
		return rc;
	if (PQenterPipelineMode(c->conn) == 0)
		return pg_lost(c, e);
	c->pipe.on = true;
	c->pipe.failed = false;
	c->pipe.prepare_rc = RC_OK;
	c->pipe.head = c->pipe.len = c->pipe.unsynced = 0;
	return RC_OK;
}

static enum rc send_prepare(struct pg *c, struct pg_stmt *s, struct err *e)
{
	enum rc rc;

	if (PQsendPrepare(c->conn, s->name, s->sql, 0, NULL) == 0)
		return pg_lost(c, e);
	rc = push(c, PG_SENT_PREPARE, s, e);
	if (rc != RC_OK)
		return out_of_step(c, rc);
	s->ready = true;
	return RC_OK;
}

enum rc pg_send(struct pg *c, const char *sql, const struct pg_param *params, int n, struct err *e)
{
	struct pg_stmt *s = NULL;
	enum rc rc = gone(c, e);

	assert(c->pipe.on);
	if (rc == RC_OK)
		rc = pg_params_ok(params, n, e);
	if (rc == RC_OK && c->pipe.len >= PG_PIPELINE_MAX)
		rc = err_set(e, RC_LIMIT, "postgresql: more than %d statements in a pipeline",
			PG_PIPELINE_MAX);
	if (rc == RC_OK)
		rc = pg_stmt_of(c, sql, &s, e);
	if (rc == RC_OK && !s->ready)
		rc = send_prepare(c, s, e);
	if (rc == RC_OK)
		rc = pg_queue(c, s, params, n, e);
	if (rc == RC_OK && (rc = push(c, PG_SENT_QUERY, s, e)) != RC_OK)
		rc = out_of_step(c, rc);
	return rc;
}

enum rc pg_flush(struct pg *c, struct err *e)
{
	enum rc rc = gone(c, e);

	assert(c->pipe.on);
	if (rc != RC_OK)
		return rc;
	if (PQpipelineSync(c->conn) == 0)
		return pg_lost(c, e);
	rc = push(c, PG_SENT_SYNC, NULL, e);
	if (rc != RC_OK)
		return out_of_step(c, rc);
	return pg_wait(c, false, c->pipe.len, e);
}

/* After a failure the server answers what it can no longer do: in an explicit transaction 25P02
 * behind a sync, 26000 for a statement whose prepare was skipped. */
static bool only_follows(const struct pg *c, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	return c->pipe.failed && state != NULL &&
		(strcmp(state, "25P02") == 0 || strcmp(state, "26000") == 0);
}

/* The answer to a prepare. A failure is kept for the statement itself, which is answered next. */
static enum rc take_prepare(struct pg *c, struct pg_stmt *s, struct err *e)
{
	PG_RESULT_OWN PGresult *res = NULL;
	struct pg_pipe *p = &c->pipe;
	enum rc rc = pg_take(c, &res, e);

	if (rc != RC_OK || PQresultStatus(res) == PGRES_COMMAND_OK)
		return rc;
	s->ready = false;
	if (PQresultStatus(res) != PGRES_PIPELINE_ABORTED && !only_follows(c, res))
		p->prepare_rc = pg_judge(c, res, s->sql, &p->prepare_err);
	return RC_OK;
}

static enum rc take_sync(struct pg *c, struct err *e)
{
	for (enum rc failed = RC_OK;;) {
		PG_RESULT_OWN PGresult *res = NULL;
		enum rc rc = pg_take(c, &res, e);

		if (rc != RC_OK)
			return rc;
		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
			return failed;
		/* An implicit transaction commits at the sync, and that can fail. */
		failed = pg_judge(c, res, "sync", e);
		c->pipe.failed = true;
		if (c->broken)
			return failed;
	}
}

static enum rc take_query(struct pg *c, struct pg_stmt *s, struct pg_result **out, struct err *e)
{
	PG_RESULT_OWN PGresult *res = NULL;
	struct pg_pipe *p = &c->pipe;
	enum rc rc = pg_take(c, &res, e);

	if (rc != RC_OK)
		return rc;
	if (p->prepare_rc != RC_OK) {
		rc = p->prepare_rc;
		p->prepare_rc = RC_OK;
		if (e != NULL)
			*e = p->prepare_err;
	} else if (only_follows(c, res)) {
		if (strcmp(PQresultErrorField(res, PG_DIAG_SQLSTATE), "26000") == 0)
			s->ready = false;
		rc = err_set(e, RC_CONFLICT, "postgresql: skipped after an earlier failure");
	} else {
		rc = pg_judge(c, res, s->sql, e);
	}
	if (rc == RC_OK)
		rc = pg_judge_commit(s, res, e);
	if (rc != RC_OK)
		p->failed = true;
	else
		rc = pg_give(TAKE(res), out, e);
	return rc;
}

/* Takes answers up to the next statement's; RC_NONE when the queue is empty. */
static enum rc next(struct pg *c, struct pg_result **out, struct err *e)
{
	while (c->pipe.len > 0) {
		struct pg_sent s = pop(c);
		enum rc rc = RC_OK;

		if (s.kind == PG_SENT_QUERY)
			return take_query(c, s.stmt, out, e);
		if (s.kind == PG_SENT_PREPARE)
			rc = take_prepare(c, s.stmt, e);
		else
			rc = take_sync(c, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_NONE;
}

/* Is there a sync behind the statement that is answered next? */
static bool synced(const struct pg_pipe *p)
{
	for (size_t i = 0; i < p->len - p->unsynced; i++)
		if (p->sent[p->head + i].kind == PG_SENT_QUERY)
			return true;
	return false;
}

enum rc pg_recv(struct pg *c, struct pg_result **out, struct err *e)
{
	/* After a hang-up the server's last words may still be there, so only what is known to be
	 * broken is refused at once. */
	enum rc rc = c->broken ? gone(c, e) : RC_OK;

	assert(c->pipe.on);
	if (rc == RC_OK && !synced(&c->pipe))
		rc = pg_flush(c, e);
	if (rc == RC_OK)
		rc = next(c, out, e);
	assert(rc != RC_NONE); /* more received than sent */
	return rc;
}

enum rc pg_pipeline_end(struct pg *c, struct err *e)
{
	struct pg_pipe *p = &c->pipe;
	enum rc first = RC_OK;

	assert(p->on);
	if (p->unsynced > 0)
		first = pg_flush(c, e);
	while (!c->broken && p->len > 0) {
		struct err one;
		bool before = p->failed;
		enum rc rc = next(c, NULL, &one);

		/* What only follows a failure that was told already is no news. */
		if (rc == RC_OK || rc == RC_NONE || first != RC_OK)
			continue;
		if (rc == RC_CONFLICT && before)
			continue;
		first = rc;
		if (e != NULL)
			*e = one;
	}
	p->on = false;
	p->head = p->len = p->unsynced = 0;
	if (first == RC_OK && (c->broken || PQexitPipelineMode(c->conn) == 0))
		return pg_lost(c, e);
	if (first != RC_OK && !c->broken && PQexitPipelineMode(c->conn) == 0)
		c->broken = true;
	return first;
}
