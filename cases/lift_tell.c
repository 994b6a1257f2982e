/* Reports hear what people decided of their case - reversed, actioned, no action, referred: in pieces and after the decision, because a flood may have brought a million of
 * them and a decision must not wait. Leaves out the decision itself. */
#include "cases/cases.h"

#define PIECE "5000" /* reports in one transaction */

static const char next_sql[] =
	"SELECT id, sender, case_id, after_at::text, after_id, status, reason, at FROM "
	"retraction ORDER BY id LIMIT 1 FOR UPDATE";
/* $1 sender, $2 case, $3 and $4 after which report, $5 and $6 now, $7 status, $8 reason, $9 of the decision. Report ids are locked in the order of everybody. */
static const char piece_sql[] =
	"WITH piece AS MATERIALIZED (SELECT r.received_at, r.id_hash, r.report_id FROM report r"
	" WHERE r.sender = $1 AND (r.received_at, r.id_hash) > ($3::timestamptz, $4::bytea)"
	" AND r.case_id = $2 AND r.disposition = 0 AND ($9::timestamptz IS NULL OR r.stored_at <= "
	"$9) ORDER BY r.received_at, r.id_hash LIMIT " PIECE
	"), held AS MATERIALIZED (SELECT k.id_hash FROM report_key k JOIN piece USING (id_hash)"
	" ORDER BY k.id_hash FOR NO KEY UPDATE OF k),"
	" next AS (UPDATE report_key k SET seq = k.seq + 1 FROM held h, piece p"
	" WHERE k.id_hash = h.id_hash AND p.id_hash = k.id_hash"
	" RETURNING k.id_hash, p.report_id, k.seq),"
	" kept AS (INSERT INTO outcome (id_hash, seq, status, at, reason)"
	" SELECT id_hash, seq, $7, $5, $8 FROM next), line AS (SELECT"
	" (row_number() OVER (ORDER BY report_id) - 1) / 1000 AS g, report_id || E'\\t' ||"
	" json_build_object('report_id', report_id, 'seq', seq, 'status', $7::text, 'at',"
	" $6::text, 'reason', $8::text) || E'\\n' AS text FROM next), sent AS (INSERT INTO outbox"
	" (topic, messages, body) SELECT 'outcomes', count(*), string_agg(text, '') FROM line "
	"GROUP BY g)"
	" SELECT received_at::text, id_hash FROM piece ORDER BY piece.received_at DESC, id_hash "
	"DESC LIMIT 1";

/* One piece of the oldest one; *more: there was one. */
static enum rc tell_piece(struct pg *c, int64_t now_us, bool *more, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 14);
	OWN(pg_free) struct pg_result *r = NULL, *last = NULL;
	char at[TIME_TEXT];
	enum rc rc = a != NULL ? pg_run(c, next_sql, NULL, 0, &r, e)
			       : err_set(e, RC_RETRY, "out of memory");

	*more = rc == RC_OK && pg_rows(r) > 0;
	if (!*more)
		return rc;
	time_format(now_us, at);
	struct slice after = pg_bytes(r, 0, 4);
	struct pg_param key = pg_p_int(pg_int(r, 0, 0), a);
	struct pg_param p[] = {pg_p_int(pg_int(r, 0, 1), a), pg_p_text(pg_text(r, 0, 2), a),
		pg_p_text(pg_text(r, 0, 3), a), pg_p_bytes(after.len > 0 ? after : SLICE("")),
		pg_p_time(now_us, a), pg_p_str(at), pg_p_text(pg_text(r, 0, 5), a),
		pg_p_text(pg_text(r, 0, 6), a), pg_p_time(pg_time_us(r, 0, 7), a)};
	rc = pg_run(c, piece_sql, p, ARRAY_LEN(p), &last, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(last) == 0)
		return pg_run(c, "DELETE FROM retraction WHERE id = $1", &key, 1, NULL, e);
	struct pg_param on[] = {
		key, pg_p_text(pg_text(last, 0, 0), a), pg_p_bytes(pg_bytes(last, 0, 1))};
	return pg_run(c,
		"UPDATE retraction SET after_at = $2::timestamptz, after_id = $3 WHERE id = $1", on,
		ARRAY_LEN(on), NULL, e);
}

enum rc lift_tell(struct pg *c, int64_t now_us, struct err *e)
{
	bool more = true;
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && more && i < 10; i++) {
		rc = pg_script(c, "BEGIN", e);
		if (rc == RC_OK)
			rc = tell_piece(c, now_us, &more, e);
		if (rc == RC_OK)
			rc = pg_commit(c, e);
		if (rc != RC_OK)
			pg_rollback(c);
		if (pg_collided(rc, e))
			return RC_OK; /* a worker was quicker: the next time */
	}
	return rc;
}
