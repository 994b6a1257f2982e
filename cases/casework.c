/* Cases: every accepted report opens or joins the one open case of its sender, service and class; the case's rung follows the ladder,
 * its state what became of it. The open cases were read under the senders' locks; they are written last, as everywhere. Cases of
 * reports without a sender are shared by all workers: they are made once, and their reports counted when somebody asks. */
#include <stdio.h>
#include <stdlib.h>

#include "cases/ledger.h"

static enum rc full(struct err *e)
{
	return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
}

/* "c-" and 13 characters of base32 without i, l, o and u: 65 random bits. */
void case_new_id(char out[CASE_ID])
{
	static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint8_t bytes[13];

	random_bytes(bytes, sizeof(bytes));
	out[0] = 'c';
	out[1] = '-';
	for (size_t i = 0; i < sizeof(bytes); i++)
		out[2 + i] = alphabet[bytes[i] & 31];
	out[2 + sizeof(bytes)] = '\0';
}

static enum rc read_open(
	const struct pg_result *r, int row, int col, struct open_case *out, struct err *e)
{
	struct slice id = pg_text(r, row, col);

	if (id.len >= sizeof(out->id))
		return err_set(e, RC_FATAL, "ledger: a case id of %zu characters", id.len);
	memset(out->id, 0, sizeof(out->id));
	memcpy(out->id, id.ptr, id.len);
	out->first_at = pg_time_us(r, row, col + 1);
	struct slice state = pg_text(r, row, col + 2);
	(void)snprintf(out->state, sizeof(out->state), "%.*s", (int)state.len, state.ptr);
	return RC_OK;
}

/* ---- reading ---- */

enum rc cases_send_open(struct ledger *l, const struct pg_param touched[3], struct err *e)
{
	/* A merged case goes on gathering for the one that it was merged into, as long as that one is open. The open ones come last: they win. */
	static const char sql[] =
		"SELECT t.place, c.class, c.id, c.first_at, c.state, c.settled"
		" FROM unnest($1::bigint[], $2::smallint[], $3::int[]) t(sender, service, place)"
		" CROSS JOIN LATERAL (SELECT x.class, x.id, x.first_at, x.state, NOT EXISTS "
		"(SELECT FROM"
		" case_file m WHERE m.id = x.merged_into AND m.state <> 'closed') AS settled,"
		" 0 AS open, x.closed_at FROM case_file x WHERE x.sender = t.sender"
		" AND x.service = t.service AND x.state = 'closed' AND x.kind = 'reports'"
		" UNION ALL SELECT x.class, x.id, x.first_at, x.state, false, 1, NULL FROM "
		"case_file x"
		" WHERE x.sender = t.sender AND x.service = t.service AND x.state <> 'closed'"
		" AND x.kind = 'reports') c ORDER BY t.place, c.open, c.closed_at, c.id";

	return pg_send(l->pg, sql, touched, 3, e);
}

enum rc cases_recv_open(struct ledger *l, struct work *w, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct open_case *k = &w->open[pg_int(r, i, 0)][pg_int(r, i, 1) == CLASS_SCAM];

		rc = read_open(r, i, 2, k, e);
		k->settled = pg_bool(r, i, 5);
	}
	return rc;
}

static enum rc read_shared(struct ledger *l, struct work *w, struct err *e)
{
	static const char sql[] = "SELECT service, class, id, first_at, state FROM case_file"
				  " WHERE sender = 0 AND state <> 'closed' AND kind = 'reports'";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_send(l->pg, sql, NULL, 0, e);

	if (rc == RC_OK)
		rc = pg_recv(l->pg, &r, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		rc = read_open(r, i, 2,
			&w->shared[pg_int(r, i, 0) == SERVICE_VOICE][pg_int(r, i, 1) == CLASS_SCAM],
			e);
	return rc;
}

static enum rc make_shared(struct ledger *l, const struct ledger_settings *s, enum service service,
	enum report_class c, int64_t first_at, int64_t now_us, struct open_case *k, struct arena *a,
	struct err *e)
{
	static const char sql[] =
		"INSERT INTO case_file AS c (id, sender, service, class, first_at, due_at, "
		"opened_at)"
		" VALUES ($1, 0, $2, $3, $4, $5, $6)"
		" ON CONFLICT (sender, service, class) WHERE state <> 'closed' AND kind = 'reports'"
		" DO UPDATE SET"
		" due_at = c.due_at + (least(c.first_at, excluded.first_at) - c.first_at),"
		" first_at = least(c.first_at, excluded.first_at) RETURNING c.id, c.first_at, "
		"c.state";
	OWN(pg_free) struct pg_result *r = NULL;
	char id[CASE_ID];

	case_new_id(id);
	struct pg_param p[] = {pg_p_str(id), pg_p_int(service, a), pg_p_int(c, a),
		pg_p_time(first_at, a), pg_p_time(first_at + s->clock_s[c] * US_PER_S, a),
		pg_p_time(now_us, a)};
	enum rc rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
	if (rc == RC_OK)
		rc = pg_recv(l->pg, &r, e);
	if (rc == RC_OK)
		rc = read_open(r, 0, 0, k, e);
	if (rc == RC_OK && strcmp(k->id, id) == 0)
		buf_fmt(&l->audit, "case.open %s none/ %s %s\n", id, service_name(service),
			class_name(c));
	return rc;
}

enum rc cases_shared(struct ledger *l, const struct ledger_settings *s, struct work *w,
	const struct ledger_batch *b, int64_t now_us, struct arena *a, struct err *e)
{
	int64_t first[SERVICES][CLASSES];
	bool any = false;
	enum rc rc = RC_OK;

	for (int v = 0; v < SERVICES; v++)
		for (int c = 0; c < CLASSES; c++)
			first[v][c] = TIME_NONE;
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];
		int64_t *at = &first[f->service][f->cls];

		if (f->disposition != DISP_ACCEPTED || w->filed[i].party != NOBODY)
			continue;
		if (*at == TIME_NONE || f->received_at < *at)
			*at = f->received_at;
		any = true;
	}
	if (any)
		rc = read_shared(l, w, e);
	for (int v = 0; v < SERVICES; v++)
		for (int c = 0; c < CLASSES; c++) {
			struct open_case *k = &w->shared[v][c];

			if (rc != RC_OK || first[v][c] == TIME_NONE)
				continue;
			if (k->id[0] == '\0' || first[v][c] < k->first_at)
				rc = make_shared(l, s, (enum service)v, (enum report_class)c,
					first[v][c], now_us, k, a, e);
		}
	return rc;
}

/* ---- the batch's cases ---- */

static int by_key(const void *a, const void *b)
{
	const struct kase *x = a, *y = b;

	if (x->touched != y->touched)
		return x->touched < y->touched ? -1 : 1;
	return (int)x->cls - (int)y->cls;
}

const struct kase *case_of(const struct work *w, size_t touched, enum report_class c)
{
	struct kase key = {.touched = touched, .cls = c};

	return bsearch(&key, w->cases, w->n_cases, sizeof(*w->cases), by_key);
}

/* Counting time of the first vote that the ladder of the class looks at: a case begins no later, whatever came first. */
static int64_t first_counting(const struct touched *t, enum report_class c)
{
	int64_t first = TIME_NONE;

	for (size_t i = 0; i < t->n_votes; i++) {
		int64_t at = c == CLASS_SCAM ? t->votes[i].scam_at : t->votes[i].verified_at;

		if (at != TIME_NONE && at > t->floor && (first == TIME_NONE || at < first))
			first = at;
	}
	return first;
}

/* Is there more to say of the class than that it was reported? */
static bool climbed(const struct touched *t, enum report_class c)
{
	return t->cls[c].peak > RUNG_OBSERVE || t->cls[c].n_episodes > 0 || t->cls[c].one_leg;
}

int64_t case_counting(const struct touched *t, enum report_class c)
{
	return climbed(t, c) ? first_counting(t, c) : TIME_NONE;
}

/* Per touched sender and class, the reports of this batch. */
struct tally {
	int64_t reports, first_at;
};

static void count_reports(
	const struct work *w, const struct ledger_batch *b, struct tally (*tally)[CLASSES])
{
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition != DISP_ACCEPTED || w->filed[i].touched == NOBODY)
			continue;
		struct tally *t = &tally[w->filed[i].touched][f->cls];
		if (t->reports++ == 0 || f->received_at < t->first_at)
			t->first_at = f->received_at;
	}
}

static void add_case(struct work *w, const struct ledger_settings *s, const struct touched *t,
	size_t i, enum report_class c, const struct tally *tally)
{
	const struct open_case *open = &w->open[i][c];
	struct kase *k = &w->cases[w->n_cases++];
	int64_t counting = case_counting(&t[i], c);

	*k = (struct kase){
		.touched = i,
		.cls = c,
		.reports = tally->reports,
		.first_at = tally->reports > 0 ? tally->first_at : counting,
		.opened = open->id[0] == '\0',
		.reopened = open->settled,
		.look = climbed(&t[i], c) ||
			(open->id[0] != '\0' && strcmp(open->state, "open") != 0),
		.was = open->id[0] != '\0' ? open->state : "open",
	};
	if (counting != TIME_NONE && counting < k->first_at &&
		!(open->settled && tally->reports > 0))
		k->first_at = counting;
	if (k->first_at == TIME_NONE && !k->opened)
		k->first_at = open->first_at;
	if (k->first_at == TIME_NONE)
		k->first_at = t[i].as_of != TIME_NONE ? t[i].as_of : 0;
	if (k->opened) {
		case_new_id(k->id);
	} else {
		memcpy(k->id, open->id, sizeof(k->id));
		if (open->first_at < k->first_at && !open->settled)
			k->first_at = open->first_at;
	}
	k->due_at = k->first_at + s->clock_s[c] * US_PER_S;
}

static void note_opened(struct ledger *l, const struct kase *k, const struct touched *t)
{
	char masked[MASKED_TEXT];

	buf_fmt(&l->audit, "case.%s %s %s/%s %s %s\n", k->opened ? "open" : "reopen", k->id,
		scope_name(t->sender.scope), masked_sender(&t->sender, masked),
		service_name(t->service), class_name(k->cls));
}

enum rc cases_gather(struct ledger *l, const struct ledger_settings *s, struct work *w,
	const struct ledger_batch *b, const struct touched *t, size_t n_touched, struct arena *a,
	struct err *e)
{
	struct tally(*tally)[CLASSES] = arena_array(a, n_touched, sizeof(*tally));

	w->cases = arena_array(a, CLASSES * n_touched, sizeof(*w->cases));
	if (n_touched > 0 && (tally == NULL || w->cases == NULL))
		return full(e);
	count_reports(w, b, tally);
	for (size_t i = 0; i < n_touched; i++)
		for (enum report_class c = CLASS_NUISANCE; c <= CLASS_SCAM; c++) {
			bool again =
				w->facts && w->open[i][c].id[0] != '\0' && !w->open[i][c].settled;

			if (tally[i][c].reports == 0 && !climbed(&t[i], c) && !again)
				continue;
			add_case(w, s, t, i, c, &tally[i][c]);
			if (w->cases[w->n_cases - 1].opened || w->cases[w->n_cases - 1].reopened)
				note_opened(l, &w->cases[w->n_cases - 1], &t[i]);
		}
	return RC_OK;
}

/* ---- writing ---- */

/* What became of it: on the list, waiting for people, being verified (also while its wish waits for the keeper, who then says more), or only
 * observed. NULL: nobody needs to look. */
#define NEXT_STATE                                                                       \
	"CASE WHEN u.look THEN coalesce((SELECT CASE WHEN bool_or(x.state = 'admitted')" \
	" THEN 'enforced' WHEN bool_or(x.state = 'held') THEN 'held' END FROM wish x"    \
	" WHERE x.sender = u.sender AND x.service = u.service AND x.case_id = u.id),"    \
	" CASE WHEN u.rung >= 1 THEN 'verifying' ELSE 'open' END) END AS next"
/* OFFSET 0 behind it keeps the planner from looking once per mention of `next`. */
#define UNNEST                                                                                   \
	" FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::smallint[], $5::smallint[]," \
	" $6::timestamptz[], $7::bigint[], $8::timestamptz[], $9::timestamptz[], $10::bool[],"   \
	" $11::text[]) u(id, sender, service, class, rung, peak_at, reports, first_at, due_at,"  \
	" look, was)"

static const char insert_sql[] =
	"WITH m AS (INSERT INTO case_file"
	" (id, sender, service, class, rung, peak_at, reports, first_at, due_at, opened_at, state)"
	" SELECT id, sender, service, class, rung, peak_at, reports, first_at, due_at, $12,"
	" coalesce(next, 'open') FROM (SELECT u.*, " NEXT_STATE UNNEST " OFFSET 0) u"
	" RETURNING sender, service, class, state)"
	" SELECT sender, service, class, 'open', state FROM m WHERE state <> 'open'";

/* Answers those whose state changed. Appeals and closings are people's. A span that people have changed stays as long as it is. */
static const char update_sql[] =
	"WITH m AS (UPDATE case_file c SET reports = c.reports + u.reports, rung = u.rung, peak_at "
	"= "
	"u.peak_at,"
	" first_at = least(c.first_at, u.first_at),"
	" due_at = c.due_at + (least(c.first_at, u.first_at) - c.first_at),"
	" state = CASE WHEN u.next IS NULL OR c.state IN ('appealed', 'closed') THEN c.state"
	" ELSE u.next END,"
	" version = c.version + (c.rung <> u.rung OR (u.next <> c.state"
	" AND c.state NOT IN ('appealed', 'closed')) IS TRUE)::int"
	" FROM (SELECT u.*, " NEXT_STATE UNNEST " OFFSET 0) u WHERE c.id = u.id"
	" RETURNING c.sender, c.service, c.class, u.was, c.state)"
	" SELECT sender, service, class, was, state FROM m WHERE state <> was";

/* What was settled begins again: with its history, and a clock that runs from what came now. Locked in the order of their ids. */
static const char reopen_sql[] =
	"WITH k AS MATERIALIZED (SELECT c.id, c.state, c.version, c.outcome, u.due_at FROM"
	" unnest($1::text[], $2::timestamptz[]) u(id, due_at) JOIN case_file c ON c.id = u.id"
	" WHERE c.state = 'closed' ORDER BY c.id FOR NO KEY UPDATE OF c), told AS (INSERT INTO"
	" case_event (case_id, at, actor, event, from_state, to_state, version, detail)"
	" SELECT id, $3, $4, 'report', 'closed', 'open', version + 1,"
	" jsonb_build_object('outcome', outcome) FROM k) UPDATE case_file c SET state = 'open',"
	" outcome = NULL, closed_at = NULL, reason = '', settled_at = NULL, settled_by = '',"
	" settled_how = NULL, merged_into = NULL, warned_at = NULL, breached_at = NULL, "
	"escalated_at = NULL, reopened = c.reopened + 1, due_at = k.due_at,"
	" version = c.version + 1 FROM k WHERE c.id = k.id";

static enum rc send_reopened(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_TEXT), *due = array_of(l, PG_TIMESTAMPTZ);
	for (size_t i = 0; i < w->n_cases; i++)
		if (w->cases[i].reopened) {
			pg_array_text(id, slice_str(w->cases[i].id));
			pg_array_time(due, w->cases[i].due_at);
		}
	if (id->count == 0)
		return RC_OK;
	struct pg_param p[] = {
		pg_p_array(id), pg_p_array(due), pg_p_time(now_us, a), pg_p_str(s->actor)};
	*sent += 1;
	return pg_send(l->pg, reopen_sql, p, ARRAY_LEN(p), e);
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(const struct kase *const *)a)->id, (*(const struct kase *const *)b)->id);
}

static enum rc send_some(struct ledger *l, const struct work *w, const struct touched *t,
	bool opened, int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	const struct kase **list = arena_array(a, w->n_cases, sizeof(struct kase *));
	size_t n = 0;

	if (w->n_cases > 0 && list == NULL)
		return full(e);
	for (size_t i = 0; i < w->n_cases; i++)
		if (w->cases[i].opened == opened)
			list[n++] = &w->cases[i];
	if (n == 0)
		return RC_OK;
	qsort(list, n, sizeof(*list), by_id); /* the order in which everybody locks them */
	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_TEXT), *sender = array_of(l, PG_INT8),
			*service = array_of(l, PG_INT2), *cls = array_of(l, PG_INT2),
			*rung = array_of(l, PG_INT2), *peak = array_of(l, PG_TIMESTAMPTZ),
			*reports = array_of(l, PG_INT8), *first = array_of(l, PG_TIMESTAMPTZ),
			*due = array_of(l, PG_TIMESTAMPTZ), *look = array_of(l, PG_BOOL),
			*was = array_of(l, PG_TEXT);
	for (size_t i = 0; i < n; i++) {
		const struct kase *k = list[i];
		const struct touched *x = &t[k->touched];
		enum rung r = x->cls[k->cls].peak;

		pg_array_text(id, slice_str(k->id));
		pg_array_int(sender, x->sender_id);
		pg_array_int(service, x->service);
		pg_array_int(cls, k->cls);
		pg_array_int(rung, r);
		pg_array_time(peak, r > RUNG_OBSERVE ? x->cls[k->cls].peak_at : TIME_NONE);
		pg_array_int(reports, k->reports);
		pg_array_time(first, k->first_at);
		pg_array_time(due, k->due_at);
		pg_array_int(look, k->look);
		pg_array_text(was, slice_str(k->was));
	}
	struct pg_param p[] = {pg_p_array(id), pg_p_array(sender), pg_p_array(service),
		pg_p_array(cls), pg_p_array(rung), pg_p_array(peak), pg_p_array(reports),
		pg_p_array(first), pg_p_array(due), pg_p_array(look), pg_p_array(was),
		pg_p_time(now_us, a)};
	*sent += 1;
	return opened ? pg_send(l->pg, insert_sql, p, 12, e) : pg_send(l->pg, update_sql, p, 11, e);
}

enum rc cases_store(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct touched *t, int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	enum rc rc = send_reopened(l, s, w, now_us, a, sent, e);

	if (rc == RC_OK)
		rc = send_some(l, w, t, true, now_us, a, sent, e);
	return rc == RC_OK ? send_some(l, w, t, false, now_us, a, sent, e) : rc;
}

enum rc cases_recv(struct ledger *l, const struct work *w, const struct touched *t, size_t n,
	int sent, struct err *e)
{
	enum rc rc = RC_OK;

	for (int s = 0; rc == RC_OK && s < sent; s++) {
		OWN(pg_free) struct pg_result *r = NULL;
		rc = pg_recv(l->pg, &r, e);
		for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
			const struct touched *x =
				touched_at(t, n, pg_int(r, i, 0), (enum service)pg_int(r, i, 1));
			struct slice was = pg_text(r, i, 3), is = pg_text(r, i, 4);
			const struct kase *k = x == NULL
				? NULL
				: case_of(w, (size_t)(x - t), (enum report_class)pg_int(r, i, 2));
			char masked[MASKED_TEXT];

			if (k == NULL)
				return err_set(e, RC_FATAL, "ledger: a case nobody touched");
			buf_fmt(&l->audit, "case.state %s %s/%s %s %s %.*s -> %.*s\n", k->id,
				scope_name(x->sender.scope), masked_sender(&x->sender, masked),
				service_name(x->service), class_name(k->cls), (int)was.len, was.ptr,
				(int)is.len, is.ptr);
		}
	}
	return rc;
}
