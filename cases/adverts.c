/* Facts about advertising: the Do-Not-Call registry and the registry of brandnames, loaded whole or not at all, and what a case's reports show beside the limits
 * of the decree. What is not known stays unknown. */
#include <stdio.h>

#include "cases/rows.h"

#define FILE_CAP (256UL * 1024 * 1024)
#define PIECE 20000 /* rows of one statement */

static const char dnc_header[] = "number,service,from,to", brand_header[] = "name,owner,from,to";

struct rows_in {
	struct pg *pg; /* NULL: only read */
	const struct keys *keys;
	struct pg_array a, b, c, d;
	bool dnc;
};

static enum rc flush(struct rows_in *in, struct err *e)
{
	struct pg_param p[] = {
		pg_p_array(&in->a), pg_p_array(&in->b), pg_p_array(&in->c), pg_p_array(&in->d)};

	if (in->a.count == 0 || in->pg == NULL)
		return RC_OK;
	enum rc rc = in->dnc
		? pg_run(in->pg,
			  "INSERT INTO dnc SELECT * FROM unnest($1::bytea[], $2::smallint[],"
			  " $3::timestamptz[], $4::timestamptz[]) ON CONFLICT DO NOTHING",
			  p, ARRAY_LEN(p), NULL, e)
		: pg_run(in->pg,
			  "INSERT INTO brandname SELECT * FROM unnest($1::text[], $2::text[],"
			  " $3::timestamptz[], $4::timestamptz[]) ON CONFLICT DO NOTHING",
			  p, ARRAY_LEN(p), NULL, e);
	pg_array_clear(&in->a);
	pg_array_clear(&in->b);
	pg_array_clear(&in->c);
	pg_array_clear(&in->d);
	return rc;
}

static bool when_of(struct slice s, int64_t *us)
{
	char full[] = "YYYY-MM-DDT00:00:00+07:00";

	if (s.len != 10)
		return time_parse(s, us) == RC_OK;
	memcpy(full, s.ptr, 10);
	return time_parse(slice_str(full), us) == RC_OK;
}

/* +84912345678, 84912345678 or 0912345678 as digits of E.164; false: none of them. */
static bool number_of(struct slice s, char out[SENDER_TEXT])
{
	bool national;

	if (s.len > 0 && s.ptr[0] == '+')
		s = slice_of(s.ptr + 1, s.len - 1);
	national = s.len > 0 && s.ptr[0] == '0';
	if (s.len < 9 || s.len > 15)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	(void)snprintf(out, SENDER_TEXT, "%s%.*s", national ? "84" : "", (int)(s.len - national),
		s.ptr + national);
	return true;
}

static void take(struct rows_in *in, const char *path, const struct csv *r, struct complaints *c)
{
	char number[SENDER_TEXT];
	uint8_t mac[MAC_LEN];
	int64_t from, to = TIME_NONE;
	bool sms = slice_eq(r->field[1], SLICE("S")), voice = slice_eq(r->field[1], SLICE("V"));

	if (!when_of(r->field[2], &from) || (r->field[3].len > 0 && !when_of(r->field[3], &to)))
		complain(c, path, r->line,
			"from and to are dates or RFC 3339 times; to may be empty");
	else if (in->dnc && !number_of(r->field[0], number))
		complain(c, path, r->line, "\"%.*s\" is no number", (int)r->field[0].len,
			r->field[0].ptr);
	else if (in->dnc && !sms && !voice)
		complain(c, path, r->line, "service is S or V");
	else if (!in->dnc && (r->field[0].len == 0 || r->field[0].len >= SENDER_TEXT))
		complain(c, path, r->line, "a name of 1 to %d bytes is needed", SENDER_TEXT - 1);
	else {
		pg_array_time(&in->c, from);
		pg_array_time(&in->d, to);
		if (in->dnc && in->keys != NULL)
			keys_mac(in->keys, "reporter", slice_str(number), mac);
		if (in->dnc) {
			pg_array_text(&in->a,
				slice_of((const char *)mac, in->keys != NULL ? MAC_LEN : 0));
			pg_array_int(&in->b, voice);
			return;
		}
		for (size_t i = 0; i < r->field[0].len; i++) {
			char x = r->field[0].ptr[i];
			number[i] = (char)(x >= 'A' && x <= 'Z' ? x - 'A' + 'a' : x);
		}
		pg_array_text(&in->a, slice_of(number, r->field[0].len));
		pg_array_text(&in->b, r->field[1]);
	}
}

static enum rc read_rows(struct rows_in *in, const char *path, struct slice text,
	struct complaints *c, struct err *e)
{
	struct csv r;
	size_t before = c->count;
	enum rc rc = RC_OK;

	if (slice_starts(text, SLICE("\xEF\xBB\xBF"))) /* a spreadsheet wrote it */
		text = slice_of(text.ptr + 3, text.len - 3);
	if (csv_begin(&r, path, text, in->dnc ? dnc_header : brand_header, c))
		while (rc == RC_OK && csv_next(&r)) {
			take(in, path, &r, c);
			if (in->a.count >= PIECE)
				rc = flush(in, e);
		}
	csv_done(&r);
	if (rc == RC_OK && c->count != before)
		return err_set(e, RC_INVALID, "%s: %zu errors", path, c->count - before);
	return rc == RC_OK ? flush(in, e) : rc;
}

static enum rc exchange(struct rows_in *in, const char *path, struct slice text,
	struct pg_param *loaded, struct complaints *c, struct err *e)
{
	enum rc rc = pg_script(in->pg, "BEGIN", e);

	if (rc == RC_OK)
		rc = pg_script(in->pg, in->dnc ? "DELETE FROM dnc" : "DELETE FROM brandname", e);
	if (rc == RC_OK)
		rc = read_rows(in, path, text, c, e);
	if (rc == RC_OK)
		rc = pg_run(in->pg,
			"INSERT INTO loaded_file VALUES ($1::text, $2, $3) ON CONFLICT (what) DO"
			" UPDATE SET sha256 = excluded.sha256, at = excluded.at",
			loaded, 3, NULL, e);
	if (rc == RC_OK)
		rc = pg_commit(in->pg, e);
	if (rc != RC_OK)
		pg_rollback(in->pg);
	return rc;
}

enum rc adverts_load(struct pg *pg, const struct keys *k, bool dnc, const char *path,
	int64_t now_us, struct complaints *c, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;
	struct rows_in in = {.pg = pg, .keys = k, .dnc = dnc};
	BUF_OWN struct buf text;
	uint8_t sha[SHA256_LEN];
	enum rc rc;

	buf_init(&text, FILE_CAP);
	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (file_read(path, false, &text, e) != RC_OK) {
		complain_text(c, e->text);
		return RC_INVALID;
	}
	sha256(buf_slice(&text), sha);
	struct pg_param p[] = {pg_p_str(dnc ? "dnc" : "brandnames"),
		pg_p_bytes(slice_of((const char *)sha, SHA256_LEN)), pg_p_time(now_us, a)};
	if (pg != NULL) {
		rc = pg_run(pg, "SELECT 1 FROM loaded_file WHERE what = $1::text AND sha256 = $2",
			p, 2, &r, e);
		if (rc != RC_OK || pg_rows(r) > 0)
			return rc;
	}
	pg_array_init(&in.a, dnc ? PG_BYTEA : PG_TEXT);
	pg_array_init(&in.b, dnc ? PG_INT2 : PG_TEXT);
	pg_array_init(&in.c, PG_TIMESTAMPTZ);
	pg_array_init(&in.d, PG_TIMESTAMPTZ);
	rc = pg != NULL ? exchange(&in, path, buf_slice(&text), p, c, e)
			: read_rows(&in, path, buf_slice(&text), c, e);
	pg_array_done(&in.a);
	pg_array_done(&in.b);
	pg_array_done(&in.c);
	pg_array_done(&in.d);
	return rc;
}

enum rc adverts_json(struct pg *c, const char *case_id, struct buf *out, struct err *e)
{
	static const char sql[] = "SELECT fact, yes, no, unknown, violates, nullif(limit_of, '') "
				  "FROM advert_facts($1::text)";
	static const struct col cols[] = {{"fact", COL_TEXT}, {"yes", COL_INT}, {"no", COL_INT},
		{"unknown", COL_INT}, {"violates", COL_INT}, {"limit", COL_TEXT}};
	struct pg_param p[] = {pg_p_str(case_id)};

	return query_json(c, sql, p, 1, "adverts", cols, ARRAY_LEN(cols), out, e);
}
