/* Facts beside the reports, each kind into its table. The last record of a key wins, so that a topic may be read again. A number that has another subscriber is judged again without what came before. Answers to a poll that nobody asked are quarantined here, for only the ledger knows the polls. Leaves out contacts (contacts.c)
 * and what follows from any of them. */
#include <stdlib.h>

#include "cases/ledger.h"

int64_t fact_stamp(struct fact_clock *c, const struct filing *f)
{
	int64_t at = f->stamped_at != TIME_NONE ? f->stamped_at : 0;

	if (f->part != c->part || at > c->at)
		c->at = at;
	c->part = f->part;
	return c->at;
}

/* An element of every column array, for one fact. */
struct place {
	struct pg_array *part, *offset, *stamped;
	struct fact_clock clock;
};

static void put_place(struct place *p, const struct ledger_batch *b, const struct filing *f)
{
	pg_array_int(p->part, b->parts[f->part].part->part);
	pg_array_int(p->offset, f->offset);
	pg_array_time(p->stamped, fact_stamp(&p->clock, f));
}

static struct place place_arrays(struct ledger *l)
{
	struct place p = {array_of(l, PG_INT4), array_of(l, PG_INT8), array_of(l, PG_TIMESTAMPTZ),
		{.part = -1}};

	return p;
}

static enum rc run(
	struct ledger *l, const char *sql, const struct pg_param *p, int n, struct err *e)
{
	enum rc rc = pg_send(l->pg, sql, p, n, e);

	return rc == RC_OK ? pg_recv(l->pg, NULL, e) : rc;
}

#define LATER(t) " WHERE " FACT_LATER(t)
#define PLACE_SET                                                           \
	"part = excluded.part, \"offset\" = excluded.\"offset\", source = " \
	"excluded.source, stamped_at = excluded.stamped_at"

static enum rc note_activity(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, struct err *e)
{
	static const char sql[] =
		"INSERT INTO activity AS t (part, \"offset\", scope, value, from_at, to_at, "
		"sms_out,"
		" calls_out, sms_in, calls_in, new_contacts, short_calls, short_gaps,"
		" distinct_peers, stamped_at, source)"
		" SELECT DISTINCT ON (u.scope, u.value, u.from_at, u.to_at) u.*, $15"
		" FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[],"
		" $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],"
		" $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $16::timestamptz[])"
		" u(part, o, scope, value, from_at, to_at, a, b, c, d, e, f, g, h, stamped)"
		" ORDER BY u.scope, u.value, u.from_at, u.to_at, u.stamped DESC, u.o DESC, u.part "
		"DESC"
		" ON CONFLICT (scope, value, from_at, to_at) DO UPDATE SET"
		" sms_out = excluded.sms_out, calls_out = excluded.calls_out,"
		" sms_in = excluded.sms_in, calls_in = excluded.calls_in,"
		" new_contacts = excluded.new_contacts, short_calls = excluded.short_calls,"
		" short_gaps = excluded.short_gaps, distinct_peers = excluded.distinct_peers,"
		" " PLACE_SET LATER("t");
	/* those that are reported are judged again; a statement of its own, after the lock */
	static const char again_sql[] =
		"INSERT INTO rejudge (sender, service) SELECT DISTINCT s.id, -1 FROM"
		" unnest($1::text[], $2::text[]) u(scope, value) JOIN sender s"
		" ON s.scope = u.scope AND s.value = u.value";
	struct pg_array *counts[ACTIVITY_COUNTS];

	arrays_begin(l);
	struct place place = place_arrays(l);
	struct pg_array *scope = array_of(l, PG_TEXT), *value = array_of(l, PG_TEXT),
			*from = array_of(l, PG_TIMESTAMPTZ), *to = array_of(l, PG_TIMESTAMPTZ);
	for (size_t k = 0; k < ACTIVITY_COUNTS; k++)
		counts[k] = array_of(l, PG_INT8);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition != DISP_ACCEPTED)
			continue;
		const struct fact_activity *a = &f->fact->activity;
		put_place(&place, b, f);
		pg_array_text(scope, slice_str(scope_name(a->sender.scope)));
		pg_array_text(value, slice_str(a->sender.value));
		pg_array_time(from, a->from);
		pg_array_time(to, a->to);
		for (size_t k = 0; k < ACTIVITY_COUNTS; k++)
			pg_array_int(counts[k], a->counts[k]);
	}
	if (scope->count == 0)
		return RC_OK;
	struct pg_param p[8 + ACTIVITY_COUNTS] = {pg_p_array(place.part), pg_p_array(place.offset),
		pg_p_array(scope), pg_p_array(value), pg_p_array(from), pg_p_array(to)};
	for (size_t k = 0; k < ACTIVITY_COUNTS; k++)
		p[6 + k] = pg_p_array(counts[k]);
	p[6 + ACTIVITY_COUNTS] = pg_p_str(s->source);
	p[7 + ACTIVITY_COUNTS] = pg_p_array(place.stamped);
	enum rc rc = run(l, "SELECT pg_advisory_xact_lock_shared(" ACTIVITY_LOCK ")", NULL, 0, e);
	if (rc == RC_OK)
		rc = run(l, sql, p, ARRAY_LEN(p), e);
	return rc == RC_OK ? run(l, again_sql, p + 2, 2, e) : rc;
}

/* ---- polls ---- */

static enum rc refuse_unknown_polls(struct ledger *l, struct ledger_batch *b, struct err *e)
{
	static const char sql[] = "SELECT u.place FROM unnest($1::text[], $2::int[]) u(id, place)"
				  " WHERE NOT EXISTS (SELECT 1 FROM poll p WHERE p.poll_id = u.id)";
	OWN(pg_free) struct pg_result *r = NULL;

	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_TEXT), *place = array_of(l, PG_INT4);
	for (size_t i = 0; i < b->n; i++)
		if (b->filings[i].disposition == DISP_ACCEPTED) {
			pg_array_text(id, b->filings[i].fact->poll.poll_id);
			pg_array_int(place, (int64_t)i);
		}
	struct pg_param p[] = {pg_p_array(id), pg_p_array(place)};
	enum rc rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
	if (rc == RC_OK)
		rc = pg_recv(l->pg, &r, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct filing *f = &b->filings[pg_int(r, i, 0)];

		f->disposition = DISP_QUARANTINED;
		f->reason = "unknown_poll";
		f->detail = "field poll_id names no poll that was asked";
	}
	return rc;
}

static enum rc note_polls(struct ledger *l, const struct ledger_settings *s, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"INSERT INTO poll_answer AS t (part, \"offset\", poll_id, scope, value, yes, no, "
		"silent,"
		" stamped_at, source, noted_at)"
		" SELECT DISTINCT ON (u.id) u.*, $9, $10 FROM unnest($1::int[], $2::bigint[],"
		" $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],"
		" $11::timestamptz[]) u(part, o, id, scope, value, yes, no, silent, stamped)"
		" ORDER BY u.id, u.stamped DESC, u.o DESC, u.part DESC"
		" ON CONFLICT (poll_id) DO UPDATE SET scope = excluded.scope,"
		" value = excluded.value, yes = excluded.yes, no = excluded.no,"
		" silent = excluded.silent, noted_at = excluded.noted_at, " PLACE_SET LATER("t");
	static const char again_sql[] =
		"INSERT INTO rejudge (sender, service) SELECT DISTINCT p.sender, p.service"
		" FROM poll p WHERE p.poll_id = ANY($1::text[])";
	enum rc rc = refuse_unknown_polls(l, b, e);

	arrays_begin(l);
	struct place place = place_arrays(l);
	struct pg_array *id = array_of(l, PG_TEXT), *scope = array_of(l, PG_TEXT),
			*value = array_of(l, PG_TEXT), *yes = array_of(l, PG_INT8),
			*no = array_of(l, PG_INT8), *silent = array_of(l, PG_INT8);
	for (size_t i = 0; rc == RC_OK && i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition != DISP_ACCEPTED)
			continue;
		const struct fact_poll *poll = &f->fact->poll;
		put_place(&place, b, f);
		pg_array_text(id, poll->poll_id);
		pg_array_text(scope, slice_str(scope_name(poll->sender.scope)));
		pg_array_text(value, slice_str(poll->sender.value));
		pg_array_int(yes, poll->yes);
		pg_array_int(no, poll->no);
		pg_array_int(silent, poll->silent);
	}
	if (rc != RC_OK || id->count == 0)
		return rc;
	struct pg_param p[] = {pg_p_array(place.part), pg_p_array(place.offset), pg_p_array(id),
		pg_p_array(scope), pg_p_array(value), pg_p_array(yes), pg_p_array(no),
		pg_p_array(silent), pg_p_str(s->source), pg_p_time(now_us, a),
		pg_p_array(place.stamped)};
	rc = run(l, sql, p, ARRAY_LEN(p), e);
	return rc == RC_OK ? run(l, again_sql, p + 2, 1, e) : rc;
}

/* ---- results ---- */

#define RESULT_SQL(table)                                                                          \
	"INSERT INTO " table                                                                       \
	" AS t (part, \"offset\", request_id, status, at, stamped_at, source,"                     \
	" noted_at) SELECT DISTINCT ON (u.id) u.*, $6, $7 FROM unnest($1::int[],"                  \
	" $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $8::timestamptz[]) u(part, o, " \
	"id, status, at, stamped)"                                                                 \
	" ORDER BY u.id, u.stamped DESC, u.o DESC, u.part DESC"                                    \
	" ON CONFLICT (request_id) DO UPDATE SET status = excluded.status, at = excluded.at,"      \
	" noted_at = excluded.noted_at, " PLACE_SET LATER("t")

static enum rc note_results(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, const char *sql, int64_t now_us, struct arena *a,
	struct err *e)
{
	arrays_begin(l);
	struct place place = place_arrays(l);
	struct pg_array *id = array_of(l, PG_TEXT), *status = array_of(l, PG_TEXT),
			*at = array_of(l, PG_TIMESTAMPTZ);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition != DISP_ACCEPTED)
			continue;
		put_place(&place, b, f);
		pg_array_text(id, f->fact->result.request_id);
		pg_array_text(status, slice_str(f->fact->result.status));
		pg_array_time(at, f->fact->result.at);
	}
	if (id->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(place.part), pg_p_array(place.offset), pg_p_array(id),
		pg_p_array(status), pg_p_array(at), pg_p_str(s->source), pg_p_time(now_us, a),
		pg_p_array(place.stamped)};
	return run(l, sql, p, ARRAY_LEN(p), e);
}

/* ---- subscriptions ---- */

static enum rc note_subscriptions(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"INSERT INTO subscription AS t (part, \"offset\", number, at, event, carrier, "
		"stamped_at, source,"
		" noted_at) SELECT DISTINCT ON (u.number, u.at, u.event) u.*, $7, $8"
		" FROM unnest($1::int[], $2::bigint[], $3::text[], $4::timestamptz[], $5::text[],"
		" $6::text[], $9::timestamptz[]) u(part, o, number, at, event, carrier, stamped)"
		" ORDER BY u.number, u.at, u.event, u.stamped DESC, u.o DESC, u.part DESC"
		" ON CONFLICT (number, at, event) DO UPDATE SET carrier = excluded.carrier,"
		" noted_at = excluded.noted_at, " PLACE_SET LATER("t");

	arrays_begin(l);
	struct place place = place_arrays(l);
	struct pg_array *number = array_of(l, PG_TEXT), *at = array_of(l, PG_TIMESTAMPTZ),
			*event = array_of(l, PG_TEXT), *carrier = array_of(l, PG_TEXT);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition != DISP_ACCEPTED)
			continue;
		const struct fact_subscription *sub = &f->fact->subscription;
		put_place(&place, b, f);
		pg_array_text(number, slice_str(sub->number.value));
		pg_array_time(at, sub->at);
		pg_array_text(event, slice_str(sub->event));
		pg_array_text(carrier, sub->carrier);
	}
	if (number->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(place.part), pg_p_array(place.offset), pg_p_array(number),
		pg_p_array(at), pg_p_array(event), pg_p_array(carrier), pg_p_str(s->source),
		pg_p_time(now_us, a), pg_p_array(place.stamped)};
	return run(l, sql, p, ARRAY_LEN(p), e);
}

static int by_place(const void *a, const void *b)
{
	const struct touched *x = a, *y = b;

	if (x->sender_id != y->sender_id)
		return x->sender_id < y->sender_id ? -1 : 1;
	return (int)x->service - (int)y->service;
}

/* The senders that were reported and have another subscriber now, locked as everywhere. */
static enum rc lock_reassigned(struct ledger *l, const struct ledger_batch *b, struct arena *a,
	struct touched **out, size_t *n_out, struct err *e)
{
	static const char sql[] =
		"SELECT s.id, t.service, s.value, s.attribution FROM sender s JOIN standing t"
		" ON t.sender = s.id WHERE s.scope = 'number' AND s.value = ANY($1::text[])"
		" ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s";
	OWN(pg_free) struct pg_result *r = NULL;

	arrays_begin(l);
	struct pg_array *number = array_of(l, PG_TEXT);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition == DISP_ACCEPTED &&
			(strcmp(f->fact->subscription.event, "reassigned") == 0 ||
				strcmp(f->fact->subscription.event, "terminated") == 0))
			pg_array_text(number, slice_str(f->fact->subscription.number.value));
	}
	*n_out = 0;
	if (number->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(number)};
	enum rc rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
	if (rc == RC_OK)
		rc = pg_recv(l->pg, &r, e);
	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	struct touched *t = arena_array(a, (size_t)pg_rows(r), sizeof(*t));
	if (t == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	for (int i = 0; i < pg_rows(r); i++) {
		struct slice value = pg_text(r, i, 2);

		t[i] = (struct touched){
			.sender_id = pg_int(r, i, 0),
			.sender.scope = SCOPE_NUMBER,
			.service = (enum service)pg_int(r, i, 1),
			.attribution = attribution_parse(pg_text(r, i, 3)),
			.floor = TIME_NONE,
			.as_of = TIME_NONE,
		};
		if (value.len >= SENDER_TEXT)
			return err_set(
				e, RC_FATAL, "ledger: a sender of %zu characters", value.len);
		memcpy(t[i].sender.value, value.ptr, value.len);
	}
	*n_out = (size_t)pg_rows(r);
	qsort(t, *n_out, sizeof(*t), by_place);
	*out = t;
	return RC_OK;
}

/* What the machine decided of the former subscriber; people's and authorities' decisions stay. */
static enum rc end_decisions(struct ledger *l, const struct touched *t, size_t n, struct err *e)
{
	static const char sql[] =
		"UPDATE action x SET state = 'lifted', reason = 'reassigned'"
		" FROM unnest($1::bigint[], $2::smallint[], $3::text[]) u(sender, service, number)"
		" WHERE x.sender = u.sender AND x.service = u.service AND x.origin = 'auto'"
		" AND x.state IN ('wanted', 'admitted', 'held') AND x.decided_at <= (SELECT "
		"max(b.at)"
		" FROM subscription b WHERE b.number = u.number"
		" AND b.event IN ('reassigned', 'terminated'))";

	arrays_begin(l);
	struct pg_array *sender = array_of(l, PG_INT8), *service = array_of(l, PG_INT2),
			*number = array_of(l, PG_TEXT);
	for (size_t i = 0; i < n; i++) {
		pg_array_int(sender, t[i].sender_id);
		pg_array_int(service, t[i].service);
		pg_array_text(number, slice_str(t[i].sender.value));
	}
	struct pg_param p[] = {pg_p_array(sender), pg_p_array(service), pg_p_array(number)};
	return run(l, sql, p, ARRAY_LEN(p), e);
}

static enum rc judge_reassigned(struct ledger *l, struct work *w, const struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct touched **touched, size_t *n_touched, struct err *e)
{
	struct touched *t = NULL;
	size_t n = 0;
	enum rc rc = lock_reassigned(l, b, a, &t, &n, e);

	if (rc != RC_OK || n == 0)
		return rc;
	rc = end_decisions(l, t, n, e);
	if (rc == RC_OK)
		rc = votes_read(l, w, t, n, now_us, a, e);
	if (rc != RC_OK)
		return rc;
	*touched = t;
	*n_touched = n;
	return RC_OK;
}

enum rc facts_note(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct touched **touched,
	size_t *n_touched, struct err *e)
{
	enum rc rc;

	static const char provisioning[] = RESULT_SQL("provisioning_result"),
			  notices[] = RESULT_SQL("notice_result");

	switch (b->of) {
	case FEED_ACTIVITY:
		return note_activity(l, s, b, e);
	case FEED_POLL_ANSWERS:
		return note_polls(l, s, b, now_us, a, e);
	case FEED_PROVISIONING_RESULTS:
		return note_results(l, s, b, provisioning, now_us, a, e);
	case FEED_NOTICE_RESULTS:
		return note_results(l, s, b, notices, now_us, a, e);
	case FEED_SUBSCRIPTIONS:
		rc = note_subscriptions(l, s, b, now_us, a, e);
		return rc == RC_OK ? judge_reassigned(l, w, b, now_us, a, touched, n_touched, e)
				   : rc;
	case FEED_COMPLAINTS:
	case FEED_CONTACTS:
		break;
	}
	return err_set(e, RC_FATAL, "ledger: no facts of this kind");
}
