/* What a release reads: the keys to look at, and all that is known of them. The senders' rows are locked first, in the ledger's
 * order (scope, value): a worker holds its senders until it commits and writes their wishes, dirty keys and cases under that lock, so
 * whoever has the sender has everything that hangs on it, and keeper and workers can wait for each other only one way round. */
#include <assert.h>

#include "blocklist/release.h"

static const char take_sql[] =
	"WITH gone AS (DELETE FROM dirty WHERE id IN (SELECT id FROM dirty ORDER BY id "
	"LIMIT " RELEASE_DIRTY ")"
	" RETURNING sender, service)"
	" SELECT sender, service FROM gone"
	" UNION (SELECT sender, service FROM entry WHERE until <= $1 ORDER BY until "
	"LIMIT " RELEASE_OTHER ")"
	" UNION (SELECT sender, service FROM wish WHERE state = 'admitted' AND until <= $1"
	" ORDER BY until LIMIT " RELEASE_OTHER ")"
	" UNION (SELECT sender, service FROM wish WHERE state = 'wanted' AND NOT $2::boolean"
	" ORDER BY score DESC, first_at LIMIT " RELEASE_OTHER ")";
/* LockRows stands above the sort: rows are locked in this order. A join, because "id = ANY($1)" may be planned as a walk through the
 * array for every row of the table. */
static const char lock_sql[] = "SELECT s.id FROM (SELECT DISTINCT unnest($1::int8[]) AS id) k JOIN "
			       "sender s USING (id) WHERE s.scope <> 'none'"
			       " ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s";
static const char keys_sql[] = "SELECT s.id, s.scope, s.value, k.service, " PROTECTED_EXISTS(
	"k.service", "$3") ", e.action, e.case_id, e.until,"
			   " e.basis, e.release, e.origin"
			   " FROM unnest($1::int8[], $2::int2[]) k(sender, service) JOIN sender s "
			   "ON s.id = k.sender AND s.scope <> 'none'"
			   " LEFT JOIN entry e ON e.scope = s.scope AND e.value = s.value AND "
			   "e.service = k.service"
			   " ORDER BY s.scope COLLATE \"C\", s.value, k.service";
static const char wishes_sql[] = "SELECT k.i, w.origin, w.action, w.detail, w.case_id, w.basis, "
				 "w.reason, w.until, w.score, w.first_at,"
				 " w.decided_at, w.state FROM unnest($1::int4[], $2::int8[], "
				 "$3::int2[]) k(i, sender, service)"
				 " JOIN wish w ON w.sender = k.sender AND w.service = k.service "
				 "ORDER BY k.i, w.origin COLLATE \"C\"";
static const char head_sql[] =
	"SELECT h.list, h.release, h.count, h.digest, '', 0, h.sms_count, h.sms_digest,"
	" (SELECT count(*) FROM admission WHERE at > $1), (SELECT count(*) FROM admission WHERE at "
	"> $2),"
	" coalesce((SELECT mode FROM control), 'review') FROM list_head h";

/* Keeps a result as long as the release, so that texts may be borrowed. */
static const char *keep(struct release *r, struct slice s, bool *ok)
{
	struct slice copy = arena_copy(r->arena, s);

	*ok = *ok && copy.ptr != NULL;
	return copy.ptr != NULL ? copy.ptr : "";
}

static enum rc read_head(struct release *r, struct pg *c, struct err *e)
{
	OWN(pg_free) struct pg_result *res = NULL;
	bool ok = true;
	struct pg_param p[] = {pg_p_time(r->now_us - US_PER_HOUR, r->arena),
		pg_p_time(r->now_us - US_PER_DAY, r->arena)};
	enum rc rc = pg_run(c, head_sql, p, ARRAY_LEN(p), &res, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(res) == 0)
		return err_set(e, RC_RETRY, "there is no list yet");
	mark_of_row(res, 0, 0, &r->head);
	mark_of_row(res, 0, 4, &r->sms);
	r->hour_used = pg_int(res, 0, 8);
	r->day_used = pg_int(res, 0, 9);
	r->mode = keep(r, pg_text(res, 0, 10), &ok);
	return ok ? RC_OK : err_set(e, RC_RETRY, "release: out of memory");
}

/* The keys as the tables name them, and their senders locked. */
static enum rc take_keys(struct release *r, struct pg *c, struct pg_array *senders,
	struct pg_array *services, struct err *e)
{
	OWN(pg_free) struct pg_result *res = NULL;
	struct pg_param p[] = {pg_p_time(r->now_us, r->arena), pg_p_bool(r->kill_switch)};
	enum rc rc = pg_run(c, take_sql, p, ARRAY_LEN(p), &res, e);

	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < pg_rows(res); i++) {
		pg_array_int(senders, pg_int(res, i, 0));
		pg_array_int(services, pg_int(res, i, 1));
	}
	if (pg_rows(res) == 0)
		return RC_OK;
	struct pg_param ids = pg_p_array(senders);

	return pg_run(c, lock_sql, &ids, 1, NULL, e);
}

static bool key_of_row(struct release *r, const struct pg_result *res, int i, struct key *k)
{
	bool ok = true;

	k->sender = pg_int(res, i, 0);
	k->now.scope = scope_parse(pg_text(res, i, 1));
	k->now.value = keep(r, pg_text(res, i, 2), &ok);
	k->now.service = pg_int(res, i, 3) == SERVICE_VOICE ? SERVICE_VOICE : SERVICE_SMS;
	k->is_protected = pg_bool(res, i, 4);
	if (pg_null(res, i, 5))
		return ok;
	k->now.action = keep(r, pg_text(res, i, 5), &ok);
	k->now.case_id = keep(r, pg_text(res, i, 6), &ok);
	k->now.until_s = until_s_of(pg_time_us(res, i, 7));
	k->now.basis = keep(r, pg_text(res, i, 8), &ok);
	k->now.release = pg_int(res, i, 9);
	k->now_origin = keep(r, pg_text(res, i, 10), &ok);
	return ok;
}

static enum rc read_keys(struct release *r, struct pg *c, struct pg_array *senders,
	struct pg_array *services, struct err *e)
{
	OWN(pg_free) struct pg_result *res = NULL;
	struct pg_param p[] = {
		pg_p_array(senders), pg_p_array(services), pg_p_time(r->now_us, r->arena)};
	enum rc rc = pg_run(c, keys_sql, p, ARRAY_LEN(p), &res, e);

	if (rc != RC_OK)
		return rc;
	r->n = (size_t)pg_rows(res);
	r->keys = arena_array(r->arena, r->n + 1, sizeof(*r->keys));
	if (r->keys == NULL)
		return err_set(e, RC_RETRY, "release: out of memory");
	for (size_t i = 0; i < r->n; i++)
		if (!key_of_row(r, res, (int)i, &r->keys[i]))
			return err_set(e, RC_RETRY, "release: out of memory");
	return RC_OK;
}

static enum wish_state state_of(struct slice s)
{
	if (slice_eq(s, SLICE("admitted")))
		return WISH_ADMITTED;
	return slice_eq(s, SLICE("held")) ? WISH_HELD : WISH_WANTED;
}

static bool wish_of_row(struct release *r, const struct pg_result *res, int i, struct wish *w)
{
	bool ok = true;

	w->origin = keep(r, pg_text(res, i, 1), &ok);
	w->action = keep(r, pg_text(res, i, 2), &ok);
	w->detail = keep(r, pg_text(res, i, 3), &ok);
	w->case_id = keep(r, pg_text(res, i, 4), &ok);
	w->basis = keep(r, pg_text(res, i, 5), &ok);
	w->reason = keep(r, pg_text(res, i, 6), &ok);
	w->until_s = until_s_of(pg_time_us(res, i, 7));
	w->score = pg_real(res, i, 8);
	w->first_at = pg_time_us(res, i, 9);
	w->decided_at = pg_time_us(res, i, 10);
	w->state = state_of(pg_text(res, i, 11));
	return ok;
}

static enum rc wishes_of(struct release *r, struct pg *c, struct pg_param *keys, struct err *e)
{
	OWN(pg_free) struct pg_result *res = NULL;
	enum rc rc = pg_run(c, wishes_sql, keys, 3, &res, e);

	if (rc != RC_OK)
		return rc;
	struct wish *w = arena_array(r->arena, (size_t)pg_rows(res) + 1, sizeof(*w));

	if (w == NULL)
		return err_set(e, RC_RETRY, "release: out of memory");
	for (int i = 0; i < pg_rows(res); i++, w++) {
		struct key *k = &r->keys[pg_int(res, i, 0)];

		if (!wish_of_row(r, res, i, w))
			return err_set(e, RC_RETRY, "release: out of memory");
		if (k->n == 0)
			k->wishes = w;
		k->n++;
	}
	return RC_OK;
}

static enum rc read_wishes(struct release *r, struct pg *c, struct pg_array *senders,
	struct pg_array *services, struct err *e)
{
	struct pg_array index;

	pg_array_init(&index, PG_INT4);
	pg_array_clear(senders);
	pg_array_clear(services);
	for (size_t i = 0; i < r->n; i++) {
		pg_array_int(&index, (int64_t)i);
		pg_array_int(senders, r->keys[i].sender);
		pg_array_int(services, (int64_t)r->keys[i].now.service);
	}
	struct pg_param p[] = {pg_p_array(&index), pg_p_array(senders), pg_p_array(services)};
	enum rc rc = wishes_of(r, c, p, e);

	pg_array_done(&index);
	return rc;
}

enum rc release_read(struct release *r, struct pg *c, struct err *e)
{
	struct pg_array senders, services;

	pg_array_init(&senders, PG_INT8);
	pg_array_init(&services, PG_INT2);
	enum rc rc = take_keys(r, c, &senders, &services, e);

	if (rc == RC_OK)
		rc = read_head(r, c, e);
	if (rc == RC_OK && senders.count > 0)
		rc = read_keys(r, c, &senders, &services, e);
	if (rc == RC_OK && r->n > 0)
		rc = read_wishes(r, c, &senders, &services, e);
	pg_array_done(&senders);
	pg_array_done(&services);
	return rc;
}
