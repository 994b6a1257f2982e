/* What accepted reports count: one vote per sender, service, reporter and day, merged by the rules of docs/judgement.md section 3 in
 * memory for the batch and again in SQL with what is stored, so that neither order nor grouping matters. Then the votes of every
 * touched sender are read back for the engine to judge. */
#include <stdlib.h>

#include "cases/ledger.h"

struct ballot {
	int64_t sender;
	enum service service;
	size_t filing;
	struct vote v;
};

static enum rc full(struct err *e)
{
	return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
}

static int64_t earlier(int64_t a, int64_t b)
{
	if (a == TIME_NONE || b == TIME_NONE)
		return a == TIME_NONE ? b : a;
	return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static float larger(float a, float b)
{
	return a > b ? a : b;
}

/* The same as the statement below does with what is stored. */
static void merge(struct vote *v, const struct vote *w)
{
	v->weight = larger(v->weight, w->weight);
	v->scam = v->scam || w->scam;
	v->text_score = larger(v->text_score, w->text_score);
	v->claim_score = larger(v->claim_score, w->claim_score);
	v->first_at = earlier(v->first_at, w->first_at);
	v->last_at = later(v->last_at, w->last_at);
	v->verified_at = earlier(v->verified_at, w->verified_at);
	v->scam_at = earlier(v->scam_at, w->scam_at);
	v->yes_at = earlier(v->yes_at, w->yes_at);
	v->spoof_at = earlier(v->spoof_at, w->spoof_at);
}

static struct vote vote_of(const struct filing *f, const struct filed *x, int64_t reporter)
{
	bool carried = f->service == SERVICE_SMS && f->matched == MATCHED_YES;
	struct vote v = {
		.reporter = reporter,
		.day = time_day_vn(f->received_at),
		.weight = x->weight,
		.scam = f->cls == CLASS_SCAM,
		.first_at = TIME_NONE,
		.last_at = TIME_NONE,
		.verified_at = TIME_NONE,
		.scam_at = TIME_NONE,
		.yes_at = TIME_NONE,
		.spoof_at = f->spoofed ? f->received_at : TIME_NONE,
	};

	if (!(x->weight > 0))
		return v;
	v.text_score = carried ? f->text_score : 0;
	v.claim_score = carried ? 0 : f->text_score;
	v.first_at = v.last_at = f->received_at;
	if (!f->verified)
		return v;
	v.verified_at = f->received_at;
	if (f->cls == CLASS_SCAM)
		v.scam_at = f->received_at;
	if (f->matched == MATCHED_YES)
		v.yes_at = f->received_at;
	return v;
}

static int by_place(const struct ballot *x, const struct ballot *y)
{
	if (x->sender != y->sender)
		return x->sender < y->sender ? -1 : 1;
	return (int)x->service - (int)y->service;
}

static int by_key(const void *a, const void *b)
{
	const struct ballot *x = a, *y = b;
	int d = by_place(x, y);

	if (d != 0)
		return d;
	if (x->v.day != y->v.day)
		return x->v.day < y->v.day ? -1 : 1;
	if (x->v.reporter != y->v.reporter)
		return x->v.reporter < y->v.reporter ? -1 : 1;
	return 0;
}

static int by_key_and_order(const void *a, const void *b)
{
	const struct ballot *x = a, *y = b;
	int d = by_key(a, b);

	if (d != 0)
		return d;
	return x->filing < y->filing ? -1 : x->filing > y->filing;
}

struct ballots {
	struct ballot *at;
	size_t n;
};

/* One ballot per key; the filings behind the first of a key were merged. */
static enum rc gather(struct work *w, const struct ledger_batch *b, struct arena *a,
	struct ballots *out, struct err *e)
{
	struct ballot *at = arena_array(a, b->n, sizeof(*at));
	size_t n = 0, kept = 0;

	if (at == NULL)
		return full(e);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];
		struct filed *x = &w->filed[i];

		x->touched = NOBODY;
		if (f->disposition != DISP_ACCEPTED || x->party == NOBODY)
			continue;
		const struct person *p = &w->people[x->person];
		x->weight = f->counts ? p->trust : 0;
		at[n++] = (struct ballot){
			w->parties[x->party].id, f->service, i, vote_of(f, x, p->id)};
	}
	qsort(at, n, sizeof(*at), by_key_and_order);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && by_key(&at[kept - 1], &at[i]) == 0) {
			merge(&at[kept - 1].v, &at[i].v);
			w->filed[at[i].filing].merged = true;
			continue;
		}
		at[kept++] = at[i];
	}
	*out = (struct ballots){at, kept};
	return RC_OK;
}

/* ---- stored and read back ---- */

/* GREATEST and LEAST pass over NULL, as merge() passes over TIME_NONE. Answers for votes that were there. */
static enum rc send_merge(struct ledger *l, const struct ballots *bs, struct err *e)
{
	static const char sql[] =
		"WITH m AS (INSERT INTO vote AS v (sender, service, day, reporter, weight, scam, "
		"text_score,"
		" claim_score, first_at, last_at, verified_at, scam_at, yes_at, spoof_at)"
		" SELECT * FROM unnest($1::vote_row[])"
		" ON CONFLICT (sender, service, day, reporter) DO UPDATE SET"
		" weight = greatest(v.weight, excluded.weight), scam = v.scam OR excluded.scam,"
		" text_score = greatest(v.text_score, excluded.text_score),"
		" claim_score = greatest(v.claim_score, excluded.claim_score),"
		" first_at = least(v.first_at, excluded.first_at),"
		" last_at = greatest(v.last_at, excluded.last_at),"
		" verified_at = least(v.verified_at, excluded.verified_at),"
		" scam_at = least(v.scam_at, excluded.scam_at), yes_at = least(v.yes_at, "
		"excluded.yes_at),"
		" spoof_at = least(v.spoof_at, excluded.spoof_at)"
		" RETURNING v.sender, v.service, v.day, v.reporter, v.xmax <> 0 AS known)"
		" SELECT sender, service, day - DATE '1970-01-01', reporter FROM m WHERE known";
	arrays_begin(l);
	struct pg_array *rows = rows_of(l, ROW_VOTE);

	for (size_t i = 0; i < bs->n; i++) {
		const struct ballot *t = &bs->at[i];
		const int64_t times[] = {t->v.first_at, t->v.last_at, t->v.verified_at,
			t->v.scam_at, t->v.yes_at, t->v.spoof_at};

		pg_array_row(rows);
		pg_array_int(rows, t->sender);
		pg_array_int(rows, t->service);
		pg_array_int(rows, t->v.day);
		pg_array_int(rows, t->v.reporter);
		pg_array_real(rows, t->v.weight);
		pg_array_int(rows, t->v.scam);
		pg_array_real(rows, t->v.text_score);
		pg_array_real(rows, t->v.claim_score);
		for (size_t k = 0; k < ARRAY_LEN(times); k++) {
			if (times[k] == TIME_NONE)
				pg_array_null(rows);
			else
				pg_array_int(rows, times[k]);
		}
	}
	struct pg_param p[] = {pg_p_array(rows)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

static enum rc recv_merge(struct ledger *l, struct work *w, const struct ballots *bs, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct ballot key = {.sender = pg_int(r, i, 0),
			.service = (enum service)pg_int(r, i, 1),
			.v = {.day = (int32_t)pg_int(r, i, 2), .reporter = pg_int(r, i, 3)}};
		const struct ballot *t = bsearch(&key, bs->at, bs->n, sizeof(*bs->at), by_key);

		if (t == NULL)
			return err_set(e, RC_FATAL, "ledger: a vote nobody cast");
		w->filed[t->filing].merged = true;
	}
	return rc;
}

/* The touched senders and services whose sender was known, and their places, for the reads below. */
static int32_t touched_arrays(struct ledger *l, const struct work *w, const struct touched *t,
	size_t n, struct pg_param p[3])
{
	arrays_begin(l);
	struct pg_array *sender = array_of(l, PG_INT8), *service = array_of(l, PG_INT2),
			*place = array_of(l, PG_INT4);

	for (size_t i = 0; i < n; i++) {
		if (w->fresh[i])
			continue;
		pg_array_int(sender, t[i].sender_id);
		pg_array_int(service, t[i].service);
		pg_array_int(place, (int64_t)i);
	}
	p[0] = pg_p_array(sender);
	p[1] = pg_p_array(service);
	p[2] = pg_p_array(place);
	return sender->count;
}

#define VOTES_OF                                                                                 \
	"SELECT t.place, v.reporter, v.day - DATE '1970-01-01', v.weight, v.scam, v.text_score," \
	" v.claim_score, v.first_at, v.last_at, v.verified_at, v.scam_at, v.yes_at, v.spoof_at"  \
	" FROM unnest($1::bigint[], $2::smallint[], $3::int[]) t(sender, service, place)"        \
	" CROSS JOIN LATERAL "
/* One more than are looked at says that there are too many. */
static const char all_sql[] =
	VOTES_OF "(SELECT * FROM vote v WHERE v.sender = t.sender AND v.service = t.service"
		 " LIMIT 5001) v";
_Static_assert(BOUND_VOTES_PER_SENDER == 5000, "the limit in all_sql");
/* Then the newest of each kind. As in the index vote_kind of sql/0013. */
#define NEWEST_OF(kind, bound)                                                               \
	"(SELECT * FROM vote v WHERE v.sender = t.sender AND v.service = t.service AND CASE" \
	" WHEN v.yes_at IS NOT NULL THEN 0 WHEN v.verified_at IS NOT NULL THEN 1"            \
	" WHEN v.spoof_at IS NOT NULL THEN 2 ELSE 3 END = " #kind                            \
	" ORDER BY v.day DESC, v.reporter LIMIT " #bound ")"
static const char newest_sql[] = VOTES_OF "(" NEWEST_OF(0, 2000) " UNION ALL " NEWEST_OF(
	1, 2000) " UNION ALL " NEWEST_OF(2, 500) " UNION ALL " NEWEST_OF(3, 500) ") v";
_Static_assert(BOUND_VOTES_MATCHED == 2000 && BOUND_VOTES_VERIFIED == 2000 &&
		BOUND_VOTES_FORGED == 500 && BOUND_VOTES_OTHER == 500,
	"the limits in newest_sql");

static int64_t time_at(const struct pg_result *r, int row, int col)
{
	return pg_null(r, row, col) ? TIME_NONE : pg_int(r, row, col);
}

static void read_vote(const struct pg_result *r, int row, struct vote *v)
{
	v->reporter = pg_int(r, row, 1);
	v->day = (int32_t)pg_int(r, row, 2);
	v->weight = (float)pg_real(r, row, 3);
	v->scam = pg_bool(r, row, 4);
	v->text_score = (float)pg_real(r, row, 5);
	v->claim_score = (float)pg_real(r, row, 6);
	v->first_at = time_at(r, row, 7);
	v->last_at = time_at(r, row, 8);
	v->verified_at = time_at(r, row, 9);
	v->scam_at = time_at(r, row, 10);
	v->yes_at = time_at(r, row, 11);
	v->spoof_at = time_at(r, row, 12);
}

/* A new sender has the votes of this batch and no others. */
static enum rc fill_fresh(const struct work *w, const struct ballots *bs, struct touched *t,
	size_t n, struct arena *a, struct err *e)
{
	for (size_t i = 0, k = 0; i < n; i++) {
		size_t from = k;

		while (k < bs->n && bs->at[k].sender == t[i].sender_id &&
			bs->at[k].service == t[i].service)
			k++;
		if (!w->fresh[i])
			continue;
		t[i].votes = arena_array(a, k - from, sizeof(struct vote));
		if (t[i].votes == NULL)
			return full(e);
		for (; from < k; from++)
			t[i].votes[t[i].n_votes++] = bs->at[from].v;
	}
	return RC_OK;
}

/* The place that a row answers for; NULL when it is none of ours. */
static struct touched *place_of(const struct pg_result *r, int row, struct touched *t, size_t n)
{
	int64_t place = pg_int(r, row, 0);

	return place >= 0 && (size_t)place < n ? &t[place] : NULL;
}

/* Rows come grouped, but nothing promises it: they are counted first, then placed. `again`: of those that have none yet. */
static enum rc recv_votes(struct ledger *l, const struct work *w, struct touched *t, size_t n,
	bool again, struct arena *a, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	if (rc != RC_OK)
		return rc;
	int rows = pg_rows(r);
	for (int i = 0; i < rows; i++) {
		struct touched *one = place_of(r, i, t, n);
		if (one == NULL)
			return err_set(e, RC_FATAL, "ledger: votes nobody asked for");
		one->n_votes++;
	}
	for (size_t i = 0; i < n; i++) {
		if (w->fresh[i] || (again && !t[i].cut))
			continue;
		t[i].votes = arena_array(a, t[i].n_votes, sizeof(struct vote));
		if (t[i].n_votes > 0 && t[i].votes == NULL)
			return full(e);
		t[i].n_votes = 0;
	}
	for (int i = 0; i < rows; i++) {
		struct touched *one = place_of(r, i, t, n);
		read_vote(r, i, &one->votes[one->n_votes++]);
	}
	return RC_OK;
}

/* Of senders with too many votes the newest of each kind are read instead. Those that the ladder does not count are only a number, however
 * many there are. */
static enum rc read_newest(struct ledger *l, const struct work *w, struct touched *t, size_t n,
	struct arena *a, struct err *e)
{
	arrays_begin(l);
	struct pg_array *sender = array_of(l, PG_INT8), *service = array_of(l, PG_INT2),
			*place = array_of(l, PG_INT4);

	for (size_t i = 0; i < n; i++) {
		if (w->fresh[i] || t[i].n_votes <= BOUND_VOTES_PER_SENDER)
			continue;
		t[i].cut = true;
		t[i].n_votes = 0;
		pg_array_int(sender, t[i].sender_id);
		pg_array_int(service, t[i].service);
		pg_array_int(place, (int64_t)i);
	}
	if (sender->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(sender), pg_p_array(service), pg_p_array(place)};
	enum rc rc = pg_send(l->pg, newest_sql, p, ARRAY_LEN(p), e);
	if (rc == RC_OK)
		rc = recv_votes(l, w, t, n, true, a, e);
	for (size_t i = 0; rc == RC_OK && i < n; i++) {
		size_t matched = 0, verified = 0;

		for (size_t k = 0; t[i].cut && k < t[i].n_votes; k++) {
			bool yes = t[i].votes[k].yes_at != TIME_NONE;

			matched += yes;
			verified += !yes && t[i].votes[k].verified_at != TIME_NONE;
		}
		t[i].cut = matched == BOUND_VOTES_MATCHED || verified == BOUND_VOTES_VERIFIED;
	}
	return rc;
}

/* ---- what else is known of them ---- */

static const char floors_sql[] =
	"SELECT t.place, st.floor FROM unnest($1::bigint[], $2::smallint[], $3::int[])"
	" t(sender, service, place) JOIN standing st ON st.sender = t.sender"
	" AND st.service = t.service WHERE st.floor IS NOT NULL";

static const char signals_sql[] =
	"SELECT t.place, g.campaign, g.behaviour, g.poll, g.legs"
	" FROM unnest($1::bigint[], $2::smallint[], $3::int[]) t(sender, service, place)"
	" JOIN signal g ON g.sender = t.sender AND g.service = t.service";

void signals_legs(struct slice text, struct signals *out)
{
	struct slice one;

	out->legs = 0;
	while (out->legs < BOUND_LEGS && slice_cut(&text, ' ', &one) &&
		slice_i64(one, &out->leg_at[out->legs]) == RC_OK)
		out->legs++;
}

static enum rc recv_signals(struct ledger *l, struct touched *t, size_t n, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct touched *one = place_of(r, i, t, n);
		if (one == NULL)
			return err_set(e, RC_FATAL, "ledger: a signal nobody asked for");
		one->signals.campaign = (int)pg_int(r, i, 1);
		one->signals.behaviour = (float)pg_real(r, i, 2);
		one->signals.poll = (float)pg_real(r, i, 3);
		signals_legs(pg_text(r, i, 4), &one->signals);
	}
	return rc;
}

/* Also of new senders: a bank may be on the list before anybody reports it. */
static const char protected_sql[] =
	"SELECT s.place, NULL::timestamptz FROM unnest($1::text[], $2::text[], $3::smallint[], "
	"$4::int[])"
	" s(scope, value, service, place) WHERE " PROTECTED_EXISTS("s.service", "$5::timestamptz")
	/* another subscriber: what came before is not his */
	" UNION ALL SELECT s.place, max(b.at) FROM unnest($1::text[], $2::text[], $4::int[])"
	" s(scope, value, place) JOIN subscription b ON b.number = s.value"
	" WHERE s.scope = 'number' AND b.event IN ('reassigned', 'terminated') GROUP BY s.place";

static enum rc recv_floors(struct ledger *l, struct touched *t, size_t n, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct touched *one = place_of(r, i, t, n);
		if (one == NULL)
			return err_set(e, RC_FATAL, "ledger: a floor nobody asked for");
		one->floor = later(one->floor, pg_time_us(r, i, 1));
	}
	return rc;
}

static enum rc recv_protected(struct ledger *l, struct touched *t, size_t n, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct touched *one = place_of(r, i, t, n);
		if (one == NULL)
			return err_set(e, RC_FATAL, "ledger: a protection nobody asked for");
		if (pg_null(r, i, 1))
			one->is_protected = true;
		else
			one->floor = later(one->floor, pg_time_us(r, i, 1));
	}
	return rc;
}

/* One per sender and service, in the order of the ballots; every filing learns its own. */
static enum rc list_touched(struct work *w, const struct ledger_batch *b, const struct ballots *bs,
	struct arena *a, struct touched **out, size_t *n_out, struct err *e)
{
	struct touched *t = arena_array(a, bs->n, sizeof(*t));
	size_t n = 0;

	if (bs->n > 0 && t == NULL)
		return full(e);
	for (size_t i = 0; i < bs->n; i++) {
		if (i > 0 && by_place(&bs->at[i - 1], &bs->at[i]) == 0)
			continue;
		const struct filing *f = &b->filings[bs->at[i].filing];
		t[n++] = (struct touched){
			.sender_id = bs->at[i].sender,
			.sender = f->sender,
			.service = f->service,
			.attribution = f->attribution,
			.floor = TIME_NONE,
			.as_of = TIME_NONE,
		};
	}
	w->open = arena_array(a, n, sizeof(*w->open));
	w->fresh = arena_array(a, n, sizeof(*w->fresh));
	if (n > 0 && (w->open == NULL || w->fresh == NULL))
		return full(e);
	*out = t;
	*n_out = n;
	return RC_OK;
}

static int touched_by_place(const void *a, const void *b)
{
	const struct touched *x = a, *y = b;

	if (x->sender_id != y->sender_id)
		return x->sender_id < y->sender_id ? -1 : 1;
	return (int)x->service - (int)y->service;
}

static void index_touched(
	struct work *w, const struct ledger_batch *b, const struct touched *t, size_t n)
{
	for (size_t i = 0; i < b->n; i++) {
		struct touched key = {.service = b->filings[i].service};

		if (b->filings[i].disposition != DISP_ACCEPTED || w->filed[i].party == NOBODY)
			continue;
		const struct party *p = &w->parties[w->filed[i].party];
		key.sender_id = p->id;
		const struct touched *at = bsearch(&key, t, n, sizeof(*t), touched_by_place);
		w->filed[i].touched = (size_t)(at - t);
		w->fresh[at - t] = p->fresh;
	}
}

static enum rc send_protected(struct ledger *l, const struct touched *t, size_t n, int64_t now_us,
	struct arena *a, struct err *e)
{
	arrays_begin(l);
	struct pg_array *scope = array_of(l, PG_TEXT), *value = array_of(l, PG_TEXT),
			*service = array_of(l, PG_INT2), *place = array_of(l, PG_INT4);

	for (size_t i = 0; i < n; i++) {
		pg_array_text(scope, slice_str(scope_name(t[i].sender.scope)));
		pg_array_text(value, slice_str(t[i].sender.value));
		pg_array_int(service, t[i].service);
		pg_array_int(place, (int64_t)i);
	}
	struct pg_param p[] = {pg_p_array(scope), pg_p_array(value), pg_p_array(service),
		pg_p_array(place), pg_p_time(now_us, a)};
	return pg_send(l->pg, protected_sql, p, ARRAY_LEN(p), e);
}

static enum rc send_reads(struct ledger *l, const struct work *w, const struct touched *t, size_t n,
	bool *sent, struct err *e)
{
	struct pg_param p[3];

	*sent = touched_arrays(l, w, t, n, p) > 0;
	if (!*sent)
		return RC_OK;
	enum rc rc = pg_send(l->pg, all_sql, p, 3, e);
	if (rc == RC_OK)
		rc = pg_send(l->pg, floors_sql, p, 3, e);
	if (rc == RC_OK)
		rc = pg_send(l->pg, signals_sql, p, 3, e);
	if (rc == RC_OK)
		rc = known_send(l, p, e);
	if (rc == RC_OK)
		rc = cases_send_open(l, p, e);
	return rc;
}

static enum rc recv_reads(struct ledger *l, struct work *w, struct touched *t, size_t n,
	struct arena *a, struct err *e)
{
	enum rc rc = recv_votes(l, w, t, n, false, a, e);

	if (rc == RC_OK)
		rc = recv_floors(l, t, n, e);
	if (rc == RC_OK)
		rc = recv_signals(l, t, n, e);
	if (rc == RC_OK)
		rc = known_recv(l, w, n, a, e);
	if (rc == RC_OK)
		rc = cases_recv_open(l, w, e);
	if (rc == RC_OK)
		rc = read_newest(l, w, t, n, a, e);
	return rc;
}

enum rc votes_merge(struct ledger *l, struct work *w, struct ledger_batch *b, int64_t now_us,
	struct arena *a, struct touched **touched, size_t *n_touched, struct err *e)
{
	struct ballots bs = {NULL, 0};
	struct touched *t = NULL;
	bool reads = false;
	size_t n = 0;
	enum rc rc = gather(w, b, a, &bs, e);

	if (rc == RC_OK)
		rc = list_touched(w, b, &bs, a, &t, &n, e);
	if (rc != RC_OK)
		return rc;
	index_touched(w, b, t, n);
	if (n > 0) {
		rc = fill_fresh(w, &bs, t, n, a, e);
		if (rc == RC_OK)
			rc = send_merge(l, &bs, e);
		if (rc == RC_OK)
			rc = send_protected(l, t, n, now_us, a, e);
		if (rc == RC_OK)
			rc = send_reads(l, w, t, n, &reads, e);
		if (rc == RC_OK)
			rc = recv_merge(l, w, &bs, e);
		if (rc == RC_OK)
			rc = recv_protected(l, t, n, e);
		if (rc == RC_OK && reads)
			rc = recv_reads(l, w, t, n, a, e);
	}
	if (rc != RC_OK)
		return rc;
	*touched = t;
	*n_touched = n;
	return RC_OK;
}

enum rc votes_read(struct ledger *l, struct work *w, struct touched *t, size_t n, int64_t now_us,
	struct arena *a, struct err *e)
{
	bool reads = false;

	w->open = arena_array(a, n + 1, sizeof(*w->open));
	w->fresh = arena_array(a, n + 1, sizeof(*w->fresh));
	if (w->open == NULL || w->fresh == NULL)
		return full(e);
	enum rc rc = send_protected(l, t, n, now_us, a, e);
	if (rc == RC_OK)
		rc = send_reads(l, w, t, n, &reads, e);
	if (rc == RC_OK)
		rc = recv_protected(l, t, n, e);
	if (rc == RC_OK && reads)
		rc = recv_reads(l, w, t, n, a, e);
	return rc;
}
