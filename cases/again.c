/* Senders that are judged again though nobody reported them: what is known beside their votes has changed - the campaign of their texts, how they
 * behave in the network, what recipients answered. First what is known now is put down in `signal`, computed from the facts alone, so that it
 * does not matter when; then the sender's votes are read as in any batch. */
#include <stdlib.h>

#include "cases/glean.h"

#define AGAIN_ROWS "500" /* of `rejudge`, a transaction */

struct again {
	int64_t sender;
	enum service service;
};

static int by_place(const void *a, const void *b)
{
	const struct again *x = a, *y = b;

	if (x->sender != y->sender)
		return x->sender < y->sender ? -1 : 1;
	return (int)x->service - (int)y->service;
}

/* Who waits, each once. */
static enum rc take(struct pg *c, struct arena *a, struct again **out, size_t *n_out, struct err *e)
{
	static const char sql[] =
		"WITH d AS (DELETE FROM rejudge WHERE id IN (SELECT id FROM rejudge ORDER BY id"
		" LIMIT " AGAIN_ROWS ") RETURNING sender, service) SELECT sender, service FROM d"
		" WHERE service >= 0 UNION SELECT sender, v FROM d, generate_series(0, 1) v"
		" WHERE service < 0";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);
	size_t n = 0;

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "nobody waits");
	struct again *at = arena_array(a, (size_t)pg_rows(r), sizeof(*at));
	if (at == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	for (int i = 0; i < pg_rows(r); i++)
		at[i] = (struct again){pg_int(r, i, 0), (enum service)pg_int(r, i, 1)};
	qsort(at, (size_t)pg_rows(r), sizeof(*at), by_place);
	for (size_t i = 0; i < (size_t)pg_rows(r); i++)
		if (n == 0 || by_place(&at[n - 1], &at[i]) != 0)
			at[n++] = at[i];
	*out = at;
	*n_out = n;
	return RC_OK;
}

static const char lock_sql[] = "SELECT s.id FROM sender s WHERE s.id = ANY($1::bigint[])"
			       " ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s";
/* Asked after the lock: a service that is reported for the first time meanwhile reads the signals itself, or is seen here. */
static const char standing_sql[] =
	"SELECT s.id, s.scope, s.value, s.attribution, t.service FROM sender s JOIN standing t ON"
	" t.sender = s.id WHERE s.id = ANY($1::bigint[])";

/* Answers those whose signals have changed. */
static const char signals_sql[] =
	"SELECT x.sender, x.service FROM signals_put($1::bigint[], $2::smallint[], ROW($3, $4, $5,"
	" $6, $7, $8, $9, $10, $11, $12)::cutoffs) x";

/* Activity that was being noted while its sender became known has been noted when this is answered, or will find the sender. */
static const char barrier_sql[] =
	"SELECT pg_advisory_lock(" ACTIVITY_LOCK "), pg_advisory_unlock(" ACTIVITY_LOCK ")";

static enum rc lock_senders(struct pg *c, const struct again *at, size_t n, struct arena *a,
	struct touched **out, size_t *n_out, struct err *e)
{
	struct touched *t = arena_array(a, n + 1, sizeof(*t));
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_array id;
	size_t kept = 0;

	if (t == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	pg_array_init(&id, PG_INT8);
	for (size_t i = 0; i < n; i++)
		pg_array_int(&id, at[i].sender);
	struct pg_param p[] = {pg_p_array(&id)};
	enum rc rc = pg_run(c, lock_sql, p, 1, NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, standing_sql, p, 1, &r, e);
	pg_array_done(&id);
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		for (int k = 0; k < pg_rows(r); k++) {
			struct slice value = pg_text(r, k, 2);

			if (pg_int(r, k, 0) != at[i].sender ||
				pg_int(r, k, 4) != (int64_t)at[i].service ||
				value.len >= SENDER_TEXT)
				continue;
			struct touched *x = &t[kept++];
			*x = (struct touched){.sender_id = at[i].sender,
				.service = at[i].service,
				.floor = TIME_NONE,
				.as_of = TIME_NONE,
				.attribution = attribution_parse(pg_text(r, k, 3))};
			x->sender.scope = scope_parse(pg_text(r, k, 1));
			memcpy(x->sender.value, value.ptr, value.len);
		}
	*out = t;
	*n_out = kept;
	return rc;
}

/* Leaves those of which nothing has changed out of `at`. */
static enum rc put_signals(struct pg *c, const struct cutoffs *k, struct again *at, size_t *n,
	struct arena *a, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_array sender, service;

	pg_array_init(&sender, PG_INT8);
	pg_array_init(&service, PG_INT2);
	for (size_t i = 0; i < *n; i++) {
		pg_array_int(&sender, at[i].sender);
		pg_array_int(&service, at[i].service);
	}
	struct pg_param params[] = {pg_p_array(&sender), pg_p_array(&service),
		pg_p_real(k->calls, a), pg_p_real(k->messages, a), pg_p_real(k->new_share, a),
		pg_p_real(k->short_share, a), pg_p_real(k->gap_share, a),
		pg_p_real(k->back_share, a), pg_p_int(k->signs, a), pg_p_real(k->registered, a),
		pg_p_int(k->poll_answers, a), pg_p_real(k->poll_share, a)};
	enum rc rc = pg_run(c, signals_sql, params, ARRAY_LEN(params), &r, e);
	pg_array_done(&sender);
	pg_array_done(&service);
	if (rc != RC_OK)
		return rc;
	*n = (size_t)pg_rows(r);
	for (size_t i = 0; i < *n; i++)
		at[i] = (struct again){pg_int(r, (int)i, 0), (enum service)pg_int(r, (int)i, 1)};
	qsort(at, *n, sizeof(*at), by_place);
	return RC_OK;
}

static enum rc read_control(struct pg *c, struct control *control, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, control_read_sql, NULL, 0, &r, e);

	if (rc == RC_OK && pg_rows(r) == 0)
		return err_set(e, RC_NONE, "no policy is active yet");
	return rc == RC_OK ? control_of(r, control, e) : rc;
}

static enum rc begin(struct ledger *l, const struct cutoffs *k, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct control *control, struct touched **touched,
	size_t *n_touched, struct err *e)
{
	struct work *w = arena_alloc(a, sizeof(*w));
	struct again *at = NULL;
	size_t n = 0;

	if (w == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	w->facts = true;
	l->work = w;
	buf_clear(&l->audit);
	*b = (struct ledger_batch){.of = FEED_COMPLAINTS};
	enum rc rc = pg_script(l->pg, "BEGIN", e);
	if (rc == RC_OK)
		rc = glean_lock(l->pg, e);
	if (rc == RC_OK)
		rc = read_control(l->pg, control, e);
	if (rc == RC_OK)
		rc = take(l->pg, a, &at, &n, e);
	if (rc == RC_OK)
		rc = pg_run(l->pg, barrier_sql, NULL, 0, NULL, e);
	if (rc == RC_OK)
		rc = put_signals(l->pg, k, at, &n, a, e);
	if (rc == RC_OK)
		rc = lock_senders(l->pg, at, n, a, touched, n_touched, e);
	if (rc != RC_OK)
		return rc;
	w->shadow = strcmp(control->mode, "shadow") == 0;
	rc = pg_pipeline_begin(l->pg, e);
	if (rc == RC_OK)
		rc = votes_read(l, w, *touched, *n_touched, now_us, a, e);
	return rc == RC_OK ? pg_pipeline_end(l->pg, e) : rc;
}

enum rc ledger_again(struct ledger *l, const struct cutoffs *k, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct control *control, struct touched **touched,
	size_t *n_touched, struct err *e)
{
	enum rc rc = begin(l, k, b, now_us, a, control, touched, n_touched, e);

	if (rc != RC_OK)
		ledger_abort(l);
	return rc;
}
