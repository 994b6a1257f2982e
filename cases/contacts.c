/* Contact facts that come by themselves (contacts/1), before their report or after it. Both orders lead to the same: the last fact of a
 * report takes the place of what the report said itself. A fact locks the report's id as a claim does, so of a report and a fact that come
 * at one time the later finds the other. A report that is there already is changed, and the votes of its reporter and day are counted
 * again from the reports, for a vote that was merged cannot be taken apart. docs/judgement.md section 3. */
#include <stdlib.h>

#include "cases/ledger.h"

static enum rc full(struct err *e)
{
	return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
}

static struct slice mac_slice(const uint8_t mac[MAC_LEN])
{
	return slice_of((const char *)mac, MAC_LEN);
}

/* ---- facts that wait for a report of this batch ---- */

static void apply(struct filing *f, enum matched m, enum origin o, int32_t duration_s)
{
	const char *reason = contact_reason(m, o, &f->sender, &f->spoofed);

	f->matched = m;
	f->origin = o;
	f->duration_s = duration_s;
	if (f->disposition != DISP_ACCEPTED || f->sender.scope == SCOPE_NONE ||
		strcmp(f->reason, "late") == 0)
		return;
	f->reason = reason;
	f->counts = strcmp(reason, "counted") == 0;
}

enum rc contacts_waiting(struct ledger *l, struct work *w, struct ledger_batch *b, struct err *e)
{
	static const char sql[] = "SELECT u.place, f.matched, f.origin, f.duration_s"
				  " FROM unnest($1::bytea[], $2::int[]) u(id_hash, place)"
				  " JOIN contact_fact f ON f.id_hash = u.id_hash";
	OWN(pg_free) struct pg_result *r = NULL;

	arrays_begin(l);
	struct pg_array *hash = array_of(l, PG_BYTEA), *place = array_of(l, PG_INT4);
	for (size_t i = 0; i < b->n; i++) {
		if (!w->filed[i].known)
			continue;
		pg_array_text(hash, mac_slice(b->filings[i].id_hash));
		pg_array_int(place, (int64_t)i);
	}
	if (hash->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(hash), pg_p_array(place)};
	enum rc rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
	if (rc == RC_OK)
		rc = pg_recv(l->pg, &r, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		apply(&b->filings[pg_int(r, i, 0)], (enum matched)pg_int(r, i, 1),
			(enum origin)pg_int(r, i, 2),
			pg_null(r, i, 3) ? -1 : (int32_t)pg_int(r, i, 3));
	return rc;
}

/* ---- the batch's facts ---- */

struct note {
	const struct fact_contact *c;
	int64_t offset, stamped;
	int32_t part;
};

struct notes {
	struct note *at;
	size_t n;
};

static int by_hash_and_place(const void *a, const void *b)
{
	const struct note *x = a, *y = b;
	int d = memcmp(x->c->id_hash, y->c->id_hash, MAC_LEN);

	if (d != 0)
		return d;
	if (x->stamped != y->stamped)
		return x->stamped < y->stamped ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->part < y->part ? -1 : x->part > y->part;
}

/* One per report, the last; in the order in which everybody locks ids. */
static enum rc gather(
	const struct ledger_batch *b, struct arena *a, struct notes *out, struct err *e)
{
	struct note *at = arena_array(a, b->n, sizeof(*at));
	struct fact_clock clock = {.part = -1};
	size_t n = 0, kept = 0;

	if (at == NULL)
		return full(e);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition == DISP_ACCEPTED)
			at[n++] = (struct note){&f->fact->contact, f->offset, fact_stamp(&clock, f),
				b->parts[f->part].part->part};
	}
	qsort(at, n, sizeof(*at), by_hash_and_place);
	for (size_t i = 0; i < n; i++)
		if (i + 1 == n || memcmp(at[i].c->id_hash, at[i + 1].c->id_hash, MAC_LEN) != 0)
			at[kept++] = at[i];
	*out = (struct notes){at, kept};
	return RC_OK;
}

/* An id that nobody has heard of gets its row now: its report will find that it was heard of. */
static enum rc send_ids(struct ledger *l, const struct notes *ns, int64_t now_us, struct err *e)
{
	static const char sql[] = "INSERT INTO report_key AS k (id_hash, stored_month, seq)"
				  " SELECT u.h, $2::date, 0 FROM unnest($1::bytea[]) u(h)"
				  " ON CONFLICT (id_hash) DO UPDATE SET seq = k.seq";
	char month[11];

	arrays_begin(l);
	struct pg_array *hash = array_of(l, PG_BYTEA);
	for (size_t i = 0; i < ns->n; i++)
		pg_array_text(hash, mac_slice(ns->at[i].c->id_hash));
	day_format(time_month(now_us), month);
	struct pg_param p[] = {pg_p_array(hash), pg_p_str(month)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* Keeps what is later than what is kept, and changes the reports that are there already. What a late report weighs hangs on no contact;
 * neither do reports without a sender. Answers the reports whose votes change. */
static enum rc send_facts(struct ledger *l, const struct ledger_settings *s, const struct notes *ns,
	int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"WITH kept AS (INSERT INTO contact_fact AS f (id_hash, matched, origin, duration_s,"
		" part, \"offset\", extra, stamped_at, source, noted_at)"
		" SELECT u.*, $8, $9 FROM unnest($1::bytea[], $2::smallint[], $3::smallint[],"
		" $4::int[], $5::int[], $6::bigint[], $7::text[], $12::timestamptz[]) u"
		" ON CONFLICT (id_hash) DO UPDATE SET matched = excluded.matched,"
		" origin = excluded.origin, duration_s = excluded.duration_s,"
		" part = excluded.part, \"offset\" = excluded.\"offset\", extra = excluded.extra,"
		" source = excluded.source, stamped_at = excluded.stamped_at,"
		" noted_at = excluded.noted_at WHERE " FACT_LATER(
			"f") " RETURNING f.id_hash, f.matched, f.origin, f.duration_s),"
			     " told AS (SELECT f.*, k.stored_month FROM kept f"
			     " JOIN report_key k ON k.id_hash = f.id_hash WHERE k.claimed > 0)"
			     " UPDATE report r SET matched = x.matched, origin = x.origin,"
			     " duration_s = x.duration_s,"
			     " reason = CASE WHEN x.judged THEN x.reason ELSE r.reason END,"
			     " weight = CASE WHEN NOT x.judged THEN r.weight WHEN x.reason = "
			     "'counted'"
			     " THEN x.trust ELSE 0 END"
			     " FROM (SELECT t.*, o.sender, o.disposition = 0 AND o.sender <> 0"
			     " AND o.reason <> 'late' AS judged, coalesce(p.trust, 1) AS trust,"
			     " CASE WHEN t.matched = $10 THEN 'no_contact' WHEN t.origin = $11"
			     " AND n.scope = 'number' AND n.value LIKE '84%' THEN 'spoofed'"
			     " ELSE 'counted' END AS reason"
			     " FROM told t JOIN report o ON o.stored_month = t.stored_month"
			     " AND o.id_hash = t.id_hash AND o.disposition IN (0, 1)"
			     " JOIN sender n ON n.id = o.sender LEFT JOIN subject p ON p.id = "
			     "o.reporter) x"
			     " WHERE r.stored_month = x.stored_month AND r.id_hash = x.id_hash"
			     " RETURNING r.sender, r.service, (r.received_at AT TIME ZONE INTERVAL "
			     "'7 "
			     "hours')::date"
			     " - DATE '1970-01-01', r.reporter, r.disposition = 0 AND r.sender <> "
			     "0";

	arrays_begin(l);
	struct pg_array *hash = array_of(l, PG_BYTEA), *matched = array_of(l, PG_INT2),
			*origin = array_of(l, PG_INT2), *duration = array_of(l, PG_INT4),
			*part = array_of(l, PG_INT4), *offset = array_of(l, PG_INT8),
			*extra = array_of(l, PG_TEXT), *stamped = array_of(l, PG_TIMESTAMPTZ);
	for (size_t i = 0; i < ns->n; i++) {
		const struct fact_contact *c = ns->at[i].c;

		pg_array_text(hash, mac_slice(c->id_hash));
		pg_array_int(matched, c->matched);
		pg_array_int(origin, c->origin);
		if (c->duration_s < 0)
			pg_array_null(duration);
		else
			pg_array_int(duration, c->duration_s);
		pg_array_int(part, ns->at[i].part);
		pg_array_int(offset, ns->at[i].offset);
		pg_array_time(stamped, ns->at[i].stamped);
		pg_array_text(extra, c->extra.ptr != NULL ? c->extra : SLICE(""));
	}
	struct pg_param p[] = {pg_p_array(hash), pg_p_array(matched), pg_p_array(origin),
		pg_p_array(duration), pg_p_array(part), pg_p_array(offset), pg_p_array(extra),
		pg_p_str(s->source), pg_p_time(now_us, a), pg_p_int(MATCHED_NO, a),
		pg_p_int(ORIGIN_FOREIGN, a), pg_p_array(stamped)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* ---- the votes that change ---- */

struct key {
	int64_t sender;
	enum service service;
	int32_t day;
	int64_t reporter;
};

static int by_key(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	if (x->sender != y->sender)
		return x->sender < y->sender ? -1 : 1;
	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return x->reporter < y->reporter ? -1 : x->reporter > y->reporter;
}

static bool same_place(const struct key *x, const struct key *y)
{
	return x->sender == y->sender && x->service == y->service;
}

struct keys_list {
	struct key *at;
	size_t n;
};

static enum rc recv_facts(struct ledger *l, struct arena *a, struct keys_list *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	*out = (struct keys_list){NULL, 0};
	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	out->at = arena_array(a, (size_t)pg_rows(r), sizeof(*out->at));
	if (out->at == NULL)
		return full(e);
	for (int i = 0; i < pg_rows(r); i++)
		if (pg_bool(r, i, 4))
			out->at[out->n++] =
				(struct key){pg_int(r, i, 0), (enum service)pg_int(r, i, 1),
					(int32_t)pg_int(r, i, 2), pg_int(r, i, 3)};
	qsort(out->at, out->n, sizeof(*out->at), by_key);
	return RC_OK;
}

/* In the order in which everybody locks them. The votes are read by the statement after this one, which sees all that was committed. */
static enum rc send_lock(struct ledger *l, const struct keys_list *ks, struct err *e)
{
	static const char sql[] =
		"SELECT s.id, s.scope, s.value, s.attribution FROM sender s WHERE s.id = "
		"ANY($1::bigint[]) ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s";

	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_INT8);
	for (size_t i = 0; i < ks->n; i++)
		if (i == 0 || ks->at[i].sender != ks->at[i - 1].sender)
			pg_array_int(id, ks->at[i].sender);
	struct pg_param p[] = {pg_p_array(id)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* Each vote from its reporter's reports of that sender and day alone: what a flood cost must not be paid again by every fact about it. No
 * report is stored more than a day before it was received. */
static enum rc send_votes(struct ledger *l, const struct keys_list *ks, struct err *e)
{
	static const char sql[] =
		"INSERT INTO vote AS v (sender, service, day, reporter, weight, scam, text_score,"
		" claim_score, first_at, last_at, verified_at, scam_at, yes_at, spoof_at)"
		" SELECT o.* FROM (SELECT r.sender, r.service, u.day, r.reporter,"
		" max(r.weight) AS weight, bool_or(r.class = 1) AS scam,"
		" coalesce(max(r.text_score) FILTER (WHERE r.weight > 0 AND r.service = 0 AND"
		" r.matched = 1), 0) AS text_score,"
		" coalesce(max(r.text_score) FILTER (WHERE r.weight > 0 AND NOT (r.service = 0 AND"
		" r.matched = 1)), 0) AS claim_score,"
		" min(us.at) FILTER (WHERE r.weight > 0) AS first_at,"
		" max(us.at) FILTER (WHERE r.weight > 0) AS last_at,"
		" min(us.at) FILTER (WHERE r.weight > 0 AND r.verified) AS verified_at,"
		" min(us.at) FILTER (WHERE r.weight > 0 AND r.verified AND r.class = 1) AS scam_at,"
		" min(us.at) FILTER (WHERE r.weight > 0 AND r.verified AND r.matched = 1) AS "
		"yes_at,"
		" min(us.at) FILTER (WHERE r.matched = 2 OR (r.origin = 3 AND n.scope = 'number'"
		" AND n.value LIKE '84%')) AS spoof_at"
		" FROM unnest($1::bigint[], $2::smallint[], $3::date[], $4::bigint[])"
		" u(sender, service, day, reporter) JOIN sender n ON n.id = u.sender"
		" JOIN report r ON r.reporter = u.reporter AND r.sender = u.sender"
		" AND r.service = u.service AND r.disposition = 0 AND r.stored_month >= $5::date"
		" AND r.received_at >= u.day::timestamp AT TIME ZONE INTERVAL '7 hours'"
		" AND r.received_at < (u.day + 1)::timestamp AT TIME ZONE INTERVAL '7 hours'"
		" CROSS JOIN LATERAL (SELECT (extract(epoch FROM r.received_at) * 1000000)::bigint"
		" AS at) us GROUP BY r.sender, r.service, u.day, r.reporter) o"
		" ON CONFLICT (sender, service, day, reporter) DO UPDATE SET"
		" weight = excluded.weight, scam = excluded.scam, text_score = excluded.text_score,"
		" claim_score = excluded.claim_score, first_at = excluded.first_at,"
		" last_at = excluded.last_at, verified_at = excluded.verified_at,"
		" scam_at = excluded.scam_at, yes_at = excluded.yes_at, spoof_at = "
		"excluded.spoof_at";

	arrays_begin(l);
	struct pg_array *sender = array_of(l, PG_INT8), *service = array_of(l, PG_INT2),
			*day = array_of(l, PG_DATE), *reporter = array_of(l, PG_INT8);
	int32_t oldest = ks->at[0].day;
	char month[11];
	for (size_t i = 0; i < ks->n; i++) {
		if (i > 0 && by_key(&ks->at[i - 1], &ks->at[i]) == 0)
			continue;
		pg_array_int(sender, ks->at[i].sender);
		pg_array_int(service, ks->at[i].service);
		pg_array_int(day, ks->at[i].day);
		pg_array_int(reporter, ks->at[i].reporter);
		oldest = ks->at[i].day < oldest ? ks->at[i].day : oldest;
	}
	day_format(time_month(((int64_t)oldest - 2) * US_PER_DAY), month);
	struct pg_param p[] = {pg_p_array(sender), pg_p_array(service), pg_p_array(day),
		pg_p_array(reporter), pg_p_str(month)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

static enum rc list_touched(const struct keys_list *ks, struct arena *a, struct touched **out,
	size_t *n_out, struct err *e)
{
	struct touched *t = arena_array(a, ks->n, sizeof(*t));
	size_t n = 0;

	if (t == NULL)
		return full(e);
	for (size_t i = 0; i < ks->n; i++)
		if (i == 0 || !same_place(&ks->at[i - 1], &ks->at[i]))
			t[n++] = (struct touched){
				.sender_id = ks->at[i].sender,
				.service = ks->at[i].service,
				.floor = TIME_NONE,
				.as_of = TIME_NONE,
			};
	*out = t;
	*n_out = n;
	return RC_OK;
}

/* The first of the touched that are this sender's; they lie together. */
static size_t first_of(const struct touched *t, size_t n, int64_t sender)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t[mid].sender_id < sender)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static enum rc recv_lock(struct ledger *l, struct touched *t, size_t n, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);
	size_t found = 0;

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		int64_t id = pg_int(r, i, 0);
		struct slice value = pg_text(r, i, 2);

		if (value.len >= SENDER_TEXT)
			return err_set(
				e, RC_FATAL, "ledger: a sender of %zu characters", value.len);
		for (size_t k = first_of(t, n, id); k < n && t[k].sender_id == id; k++) {
			t[k].sender.scope = scope_parse(pg_text(r, i, 1));
			memcpy(t[k].sender.value, value.ptr, value.len);
			t[k].attribution = attribution_parse(pg_text(r, i, 3));
			found++;
		}
	}
	return rc == RC_OK && found != n ? err_set(e, RC_CONFLICT, "ledger: a sender vanished")
					 : rc;
}

/* That the network carried an upheld text for this sender may be news: campaigns.c. */
static enum rc look_again(struct ledger *l, const struct touched *t, size_t n, struct err *e)
{
	static const char sql[] =
		"INSERT INTO rejudge (sender, service) SELECT DISTINCT u.sender, 0 FROM"
		" unnest($1::bigint[]) u(sender) JOIN campaign_say y ON y.sender = u.sender"
		" AND y.service = 0 JOIN campaign_text k ON k.key = y.text"
		" AND k.upheld_at IS NOT NULL";

	arrays_begin(l);
	struct pg_array *sender = array_of(l, PG_INT8);
	for (size_t i = 0; i < n; i++)
		pg_array_int(sender, t[i].sender_id);
	struct pg_param p[] = {pg_p_array(sender)};
	enum rc rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
	return rc == RC_OK ? pg_recv(l->pg, NULL, e) : rc;
}

enum rc contacts_note(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct touched **touched,
	size_t *n_touched, struct err *e)
{
	struct keys_list ks = {NULL, 0};
	struct touched *t = NULL;
	struct notes ns = {NULL, 0};
	size_t n = 0;
	enum rc rc = gather(b, a, &ns, e);

	if (rc != RC_OK || ns.n == 0)
		return rc;
	rc = send_ids(l, &ns, now_us, e);
	if (rc == RC_OK)
		rc = send_facts(l, s, &ns, now_us, a, e);
	if (rc == RC_OK)
		rc = pg_recv(l->pg, NULL, e);
	if (rc == RC_OK)
		rc = recv_facts(l, a, &ks, e);
	if (rc != RC_OK || ks.n == 0)
		return rc;
	rc = list_touched(&ks, a, &t, &n, e);
	if (rc == RC_OK)
		rc = send_lock(l, &ks, e);
	if (rc == RC_OK)
		rc = send_votes(l, &ks, e);
	if (rc == RC_OK)
		rc = recv_lock(l, t, n, e);
	if (rc == RC_OK)
		rc = pg_recv(l->pg, NULL, e);
	if (rc == RC_OK)
		rc = look_again(l, t, n, e);
	if (rc == RC_OK)
		rc = votes_read(l, w, t, n, now_us, a, e);
	if (rc != RC_OK)
		return rc;
	*touched = t;
	*n_touched = n;
	return RC_OK;
}

/* ---- cases that lost their reason ---- */

/* A case that the ladder opened, without a report of its own, goes when the ladder is back at observe. */
static const char close_sql[] =
	"UPDATE case_file SET state = 'closed', outcome = 'no_action', closed_at = $2,"
	" version = version + 1 WHERE id = ANY($1::text[]) AND reports = 0"
	" AND state IN ('open', 'verifying')"
	" AND NOT EXISTS (SELECT FROM wish w WHERE w.case_id = id)"; /* an order's */

/* The first vote that counted may count no more. Spans that people have changed stay as long as they are. */
static const char begin_sql[] =
	"UPDATE case_file c SET first_at = n.at, due_at = c.due_at + (n.at - c.first_at)"
	" FROM (SELECT u.id, least(u.counting, (SELECT r.received_at FROM report r"
	" WHERE r.sender = u.sender AND r.case_id = u.id AND r.disposition = 0"
	" ORDER BY r.received_at LIMIT 1)) AS at"
	" FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) u(id, sender, counting)"
	" OFFSET 0) n WHERE c.id = n.id AND n.at IS NOT NULL AND c.first_at <> n.at";

enum rc contacts_mend(struct ledger *l, const struct work *w, const struct touched *t,
	int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	enum rc rc = RC_OK;

	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_TEXT), *sender = array_of(l, PG_INT8),
			*counting = array_of(l, PG_TIMESTAMPTZ), *idle = array_of(l, PG_TEXT);
	for (size_t i = 0; i < w->n_cases; i++) {
		const struct kase *k = &w->cases[i];
		int64_t from = case_counting(&t[k->touched], k->cls);

		if (from == TIME_NONE)
			pg_array_text(idle, slice_str(k->id));
		if (from == k->first_at)
			continue;
		pg_array_text(id, slice_str(k->id));
		pg_array_int(sender, t[k->touched].sender_id);
		pg_array_time(counting, from);
	}
	if (idle->count > 0) {
		struct pg_param p[] = {pg_p_array(idle), pg_p_time(now_us, a)};

		rc = pg_send(l->pg, close_sql, p, ARRAY_LEN(p), e);
		*sent += 1;
	}
	if (rc == RC_OK && id->count > 0) {
		struct pg_param p[] = {pg_p_array(id), pg_p_array(sender), pg_p_array(counting)};

		rc = pg_send(l->pg, begin_sql, p, ARRAY_LEN(p), e);
		*sent += 1;
	}
	return rc;
}
