/* The keeper's lease, as lease.h describes it. */
#include "engine/lease.h"

static const char watch_sql[] = "SELECT epoch, beat, owner = '' FROM keeper";
static const char beat_sql[] = "UPDATE keeper SET beat = beat + 1 WHERE epoch = $1";
/* A row that is locked belongs to a leader in the middle of a long release: he lives, though he does not beat. */
static const char take_sql[] =
	"WITH free AS (SELECT one FROM keeper WHERE epoch = $1 AND beat = $2 FOR UPDATE SKIP "
	"LOCKED)"
	" UPDATE keeper k SET epoch = k.epoch + 1, beat = k.beat + 1, owner = $3 FROM free"
	" WHERE k.one = free.one RETURNING k.epoch";
static const char give_sql[] = "UPDATE keeper SET owner = '' WHERE epoch = $1";

static enum rc beat(struct lease *l, struct pg *c, int64_t mono_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_int(l->epoch, a)};
	enum rc rc = pg_run(c, beat_sql, p, 1, &r, e);
	if (rc != RC_OK)
		return rc;
	l->beat_at_us = mono_us;
	if (pg_affected(r) != 1)
		lease_lost(l);
	return RC_OK;
}

static enum rc take(struct lease *l, struct pg *c, int64_t mono_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {
		pg_p_int(l->seen_epoch, a), pg_p_int(l->seen_beat, a), pg_p_str(l->owner)};
	enum rc rc = pg_run(c, take_sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) != 1) { /* alive, or somebody was quicker: watch on */
		l->seen_since_us = mono_us;
		return RC_OK;
	}
	l->epoch = pg_int(r, 0, 0);
	l->leads = true;
	l->beat_at_us = mono_us;
	return RC_OK;
}

enum rc lease_tick(struct lease *l, struct pg *c, int64_t mono_us, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;

	if (l->leads)
		return mono_us - l->beat_at_us < l->lease_us / 6 ? RC_OK : beat(l, c, mono_us, e);
	enum rc rc = pg_run(c, watch_sql, NULL, 0, &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) != 1)
		return err_set(e, RC_FATAL, "the keeper row is missing");
	int64_t epoch = pg_int(r, 0, 0), now_beat = pg_int(r, 0, 1);
	bool vacant = pg_bool(r, 0, 2);
	if (!l->watching || epoch != l->seen_epoch || now_beat != l->seen_beat) {
		l->watching = true;
		l->seen_epoch = epoch;
		l->seen_beat = now_beat;
		l->seen_since_us = mono_us;
	}
	if (vacant || mono_us - l->seen_since_us >= l->lease_us)
		return take(l, c, mono_us, e);
	return RC_OK;
}

void lease_lost(struct lease *l)
{
	l->leads = false;
	l->watching = false;
}

void lease_doubt(struct lease *l)
{
	l->beat_at_us = INT64_MIN / 2;
	l->watching = false; /* what was seen of another's beat is too old to count */
}

void lease_give_back(struct lease *l, struct pg *c)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct err e;

	if (!l->leads || a == NULL || c == NULL || pg_broken(c))
		return;
	struct pg_param p[] = {pg_p_int(l->epoch, a)};
	if (pg_run(c, give_sql, p, 1, NULL, &e) != RC_OK)
		log_debug("engine", "lease: %s", e.text);
	l->leads = false;
}
