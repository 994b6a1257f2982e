/* The keeper's lease, as lease.h describes it. */
#include "engine/lease.h"

static const char watch_sql[] = "SELECT epoch, beat, owner = '' FROM keeper";
static const char beat_sql[] = "UPDATE keeper SET beat = beat + 1 WHERE epoch = $1";
static const char take_sql[] = "UPDATE keeper SET epoch = epoch + 1, beat = beat + 1, owner = $2 "
			       "WHERE epoch = $1 RETURNING epoch";
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
	if (pg_affected(r) == 1)
		return RC_OK;
	l->leads = false;
	l->seen_since_us = mono_us;
	return RC_OK;
}

static enum rc take(struct lease *l, struct pg *c, int64_t mono_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_int(l->seen_epoch, a), pg_p_str(l->owner)};
	enum rc rc = pg_run(c, take_sql, p, 2, &r, e);
	if (rc != RC_OK || pg_rows(r) != 1)
		return rc; /* somebody was quicker: watch on */
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
	if (epoch != l->seen_epoch || now_beat != l->seen_beat || l->seen_since_us == 0) {
		l->seen_epoch = epoch;
		l->seen_beat = now_beat;
		l->seen_since_us = mono_us;
	}
	if (vacant || mono_us - l->seen_since_us >= l->lease_us)
		return take(l, c, mono_us, e);
	return RC_OK;
}

void lease_give_back(struct lease *l, struct pg *c)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct err e;

	if (!l->leads || a == NULL || c == NULL)
		return;
	struct pg_param p[] = {pg_p_int(l->epoch, a)};
	if (pg_run(c, give_sql, p, 1, NULL, &e) != RC_OK)
		log_debug("engine", "lease: %s", e.text);
	l->leads = false;
}
