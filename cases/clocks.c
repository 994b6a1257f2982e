/* Clocks that run out, the business calendar and the duty roster, and the alerts that wait to be sent. What a clock means is a function of the schema; what
 * sends an alert is the engine's. Files are loaded whole or not at all. */
#include <stdio.h>

#include "cases/rows.h"

enum rc clocks_tend(struct pg *c, int64_t now_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param now = pg_p_time(now_us, a);
	return pg_run(c, "SELECT clocks_tend($1)", &now, 1, NULL, e);
}

/* ---- files ---- */

struct kept {
	struct pg_array a, b, c, d, e;
};

static void kept_init(struct kept *k, enum pg_type first, enum pg_type second)
{
	pg_array_init(&k->a, first);
	pg_array_init(&k->b, second);
	pg_array_init(&k->c, PG_TEXT);
	pg_array_init(&k->d, PG_TEXT);
	pg_array_init(&k->e, PG_TEXT);
}

static void kept_done(struct kept *k)
{
	pg_array_done(&k->a);
	pg_array_done(&k->b);
	pg_array_done(&k->c);
	pg_array_done(&k->d);
	pg_array_done(&k->e);
}
#define KEPT_OWN __attribute__((cleanup(kept_done)))

static bool day_of(struct slice s, int64_t *us)
{
	char full[] = "YYYY-MM-DDT00:00:00+07:00";

	if (s.len != 10)
		return false;
	memcpy(full, s.ptr, 10);
	return time_parse(slice_str(full), us) == RC_OK;
}

/* A day, from its beginning in Vietnam, or an RFC 3339 time. */
static bool when_of(struct slice s, int64_t *us)
{
	return day_of(s, us) || time_parse(s, us) == RC_OK;
}

static const char calendar_header[] = "date,kind,name";
static const char duty_header[] = "from,to,who,contact,escalate";

static void read_day(const char *path, const struct csv *r, struct kept *k, struct complaints *c)
{
	bool known =
		slice_eq(r->field[1], SLICE("holiday")) || slice_eq(r->field[1], SLICE("workday"));
	int64_t us;

	if (!day_of(r->field[0], &us))
		complain(c, path, r->line, "\"%.*s\" is no date such as 2027-02-05",
			(int)r->field[0].len, r->field[0].ptr);
	else if (!known)
		complain(c, path, r->line, "kind is holiday or workday");
	else {
		pg_array_int(&k->a, time_day_vn(us));
		pg_array_text(&k->c, r->field[1]);
		pg_array_text(&k->d, r->field[2]);
	}
}

static void read_duty(const char *path, const struct csv *r, struct kept *k, struct complaints *c)
{
	int64_t from, to;

	if (!when_of(r->field[0], &from) || !when_of(r->field[1], &to) || to <= from)
		complain(c, path, r->line, "from and a later to are dates or RFC 3339 times");
	else if (r->field[2].len == 0 || r->field[3].len == 0)
		complain(c, path, r->line, "who and contact must be given");
	else {
		pg_array_time(&k->a, from);
		pg_array_time(&k->b, to);
		pg_array_text(&k->c, r->field[2]);
		pg_array_text(&k->d, r->field[3]);
		pg_array_text(&k->e, r->field[4]);
	}
}

static enum rc read_file(const char *path, bool calendar, struct buf *text, struct kept *k,
	struct complaints *c, struct err *e)
{
	struct csv r;
	size_t before = c->count;
	enum rc rc = file_read(path, false, text, e);

	if (rc != RC_OK) {
		complain_text(c, e != NULL ? e->text : path);
		return RC_INVALID;
	}
	struct slice all = buf_slice(text);
	if (slice_starts(all, SLICE("\xEF\xBB\xBF"))) /* a spreadsheet wrote it */
		all = slice_of(all.ptr + 3, all.len - 3);
	if (csv_begin(&r, path, all, calendar ? calendar_header : duty_header, c))
		while (csv_next(&r))
			(calendar ? read_day : read_duty)(path, &r, k, c);
	csv_done(&r);
	return c->count == before
		? RC_OK
		: err_set(e, RC_INVALID, "%s: %zu errors", path, c->count - before);
}

static enum rc exchange(
	struct pg *c, bool calendar, struct kept *k, struct pg_param *loaded, struct err *e)
{
	struct pg_param p[] = {pg_p_array(&k->a), pg_p_array(&k->c), pg_p_array(&k->d)};
	struct pg_param q[] = {pg_p_array(&k->a), pg_p_array(&k->b), pg_p_array(&k->c),
		pg_p_array(&k->d), pg_p_array(&k->e)};
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = pg_script(c, calendar ? "DELETE FROM calendar_day" : "DELETE FROM duty", e);
	if (rc == RC_OK && calendar)
		rc = pg_run(c,
			"INSERT INTO calendar_day SELECT DISTINCT ON (d) d, k, n FROM"
			" unnest($1::date[], $2::text[], $3::text[]) u(d, k, n) ORDER BY d",
			p, ARRAY_LEN(p), NULL, e);
	if (rc == RC_OK && !calendar)
		rc = pg_run(c,
			"INSERT INTO duty SELECT * FROM unnest($1::timestamptz[], "
			"$2::timestamptz[],"
			" $3::text[], $4::text[], $5::text[])",
			q, ARRAY_LEN(q), NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c,
			"INSERT INTO loaded_file VALUES ($1::text, $2, $3) ON CONFLICT (what) DO"
			" UPDATE SET sha256 = excluded.sha256, at = excluded.at",
			loaded, 3, NULL, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

static enum rc load(struct pg *c, bool calendar, const char *path, int64_t now_us,
	struct complaints *complaints, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;
	KEPT_OWN struct kept k;
	BUF_OWN struct buf text;
	uint8_t sha[SHA256_LEN];

	kept_init(&k, calendar ? PG_DATE : PG_TIMESTAMPTZ, PG_TIMESTAMPTZ);
	buf_init(&text, BOUND_CONFIG_FILE);
	enum rc rc = a != NULL ? read_file(path, calendar, &text, &k, complaints, e)
			       : err_set(e, RC_RETRY, "out of memory");
	if (rc != RC_OK || c == NULL)
		return rc;
	sha256(buf_slice(&text), sha);
	struct pg_param p[] = {pg_p_str(calendar ? "calendar" : "duty"),
		pg_p_bytes(slice_of((const char *)sha, SHA256_LEN)), pg_p_time(now_us, a)};
	rc = pg_run(
		c, "SELECT 1 FROM loaded_file WHERE what = $1::text AND sha256 = $2", p, 2, &r, e);
	if (rc != RC_OK || pg_rows(r) > 0)
		return rc;
	return exchange(c, calendar, &k, p, e);
}

enum rc calendar_load(struct pg *c, const char *path, int64_t now_us, struct complaints *complaints,
	struct err *e)
{
	return load(c, true, path, now_us, complaints, e);
}

enum rc duty_load(struct pg *c, const char *path, int64_t now_us, struct complaints *complaints,
	struct err *e)
{
	return load(c, false, path, now_us, complaints, e);
}

/* ---- alerts ---- */

enum rc alert_take(struct pg *c, const char *const *urls, size_t n, int64_t now_us, struct arena *a,
	struct alert *out, struct err *e)
{
	static const char spread_sql[] =
		"INSERT INTO alert_delivery (alert, url, next_at) SELECT t.id, u.url, $2 FROM "
		"alert t"
		" CROSS JOIN unnest($1::text[]) u(url) WHERE t.at > $2::timestamptz - interval"
		" '1 day' ON CONFLICT DO NOTHING";
	static const char next_sql[] =
		"SELECT d.alert, d.url, d.attempts, json_build_object('id', t.id, 'at', t.at, "
		"'kind',"
		" t.kind, 'severity', t.severity, 'body', t.body) FROM alert_delivery d JOIN alert "
		"t"
		" ON t.id = d.alert WHERE d.sent_at IS NULL AND d.next_at <= $2 AND d.url ="
		" ANY($1::text[]) ORDER BY d.next_at, d.alert LIMIT 1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_array list;

	pg_array_init(&list, PG_TEXT);
	for (size_t i = 0; i < n; i++)
		pg_array_text(&list, slice_str(urls[i]));
	struct pg_param p[] = {pg_p_array(&list), pg_p_time(now_us, a)};
	enum rc rc = pg_run(c, spread_sql, p, ARRAY_LEN(p), NULL, e);
	if (rc == RC_OK)
		rc = pg_run(c, next_sql, p, ARRAY_LEN(p), &r, e);
	pg_array_done(&list);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return RC_NONE;
	*out = (struct alert){.id = pg_int(r, 0, 0),
		.url = arena_copy(a, pg_text(r, 0, 1)).ptr,
		.attempts = (int)pg_int(r, 0, 2),
		.body = arena_copy(a, pg_text(r, 0, 3))};
	return out->url != NULL && out->body.ptr != NULL
		? RC_OK
		: err_set(e, RC_LIMIT, "an alert is too long");
}

enum rc alert_done(struct pg *c, const struct alert *t, const char *error, int64_t next_us,
	int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"UPDATE alert_delivery SET attempts = attempts + 1, error = $3::text, next_at = $4,"
		" sent_at = CASE WHEN $3::text = '' THEN $5::timestamptz END"
		" WHERE alert = $1 AND url = $2::text";
	struct pg_param p[] = {pg_p_int(t->id, a), pg_p_str(t->url), pg_p_str(error),
		pg_p_time(next_us, a), pg_p_time(now_us, a)};

	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc alert_list_json(struct pg *c, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT t.id, t.at, t.kind, t.severity, t.body, (SELECT json_agg(json_build_object("
		"'url', d.url, 'attempts', d.attempts, 'sent_at', d.sent_at, 'error', d.error))"
		" FROM alert_delivery d WHERE d.alert = t.id) FROM alert t ORDER BY t.id DESC "
		"LIMIT 1000";
	static const struct col cols[] = {{"id", COL_INT}, {"at", COL_TIME}, {"kind", COL_TEXT},
		{"severity", COL_TEXT}, {"body", COL_JSON}, {"deliveries", COL_JSON}};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		row_json(out, r, i, cols, ARRAY_LEN(cols));
		buf_byte(out, '\n');
	}
	return rc == RC_OK ? buf_fits(out, e) : rc;
}

enum rc alert_raise(struct pg *c, const char *kind, const char *severity, const char *body,
	int64_t now_us, struct arena *a, struct err *e)
{
	struct pg_param p[] = {
		pg_p_time(now_us, a), pg_p_str(kind), pg_p_str(severity), pg_p_str(body)};

	return pg_run(c, "SELECT alert_raise($1, $2::text, $3::text, $4::jsonb)", p, ARRAY_LEN(p),
		NULL, e);
}
