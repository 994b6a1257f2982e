/* Lists and single things that the abuse team reads: the queue, a case and what hangs on it, what waits for a second person, the audit log, and the
 * registers. Parameters were held to the contract before. What names somebody is noted in the audit before it is shown. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/private.h"

#define PAGE_CAP (16UL << 20)

struct slice arg_or_none(const struct exchange *x, const char *name)
{
	struct slice s = {0};

	(void)x_query(x, name, &s);
	return s;
}

int64_t arg_limit(const struct exchange *x)
{
	int64_t n = 50;

	return slice_i64(arg_or_none(x, "limit"), &n) == RC_OK ? n : 50;
}

static int64_t arg_time(const struct exchange *x, const char *name)
{
	int64_t us = TIME_NONE;

	return time_parse(arg_or_none(x, name), &us) == RC_OK ? us : TIME_NONE;
}

bool arg_cursor(struct exchange *x, int64_t *us, struct slice *id)
{
	struct slice rest = arg_or_none(x, "cursor"), first;

	*us = TIME_NONE;
	*id = (struct slice){0};
	if (rest.len == 0)
		return true;
	if (slice_cut(&rest, '.', &first) && slice_i64(first, us) == RC_OK && rest.len > 0 &&
		*us > -US_PER_DAY * 800000 && *us < US_PER_DAY * 800000) {
		*id = rest;
		return true;
	}
	http_problem(x, 400, "Bad Request", "cursor is none that this list has given");
	return false;
}

bool role_is(const struct exchange *x, const char *roles)
{
	struct slice rest = slice_str(roles), one;

	while (slice_cut(&rest, '|', &one))
		if (slice_eq(one, slice_str(request_of((struct exchange *)x)->who.role)))
			return true;
	return false;
}

static int64_t now_of(const struct api *a)
{
	return a->s.clk->now_us(a->s.clk);
}

/* ---- the queue ---- */

static bool case_query_of(struct exchange *x, struct case_query *q)
{
	*q = (struct case_query){.states = arg_or_none(x, "state"),
		.service = arg_or_none(x, "service"),
		.cls = arg_or_none(x, "class"),
		.kind = arg_or_none(x, "kind"),
		.outcome = arg_or_none(x, "outcome"),
		.assignee = arg_or_none(x, "assignee"),
		.clock = arg_or_none(x, "clock"),
		.attribution = arg_or_none(x, "attribution"),
		.sender = arg_or_none(x, "sender"),
		.text = arg_or_none(x, "text"),
		.domain = arg_or_none(x, "domain"),
		.order = arg_or_none(x, "order"),
		.from = arg_time(x, "from"),
		.to = arg_time(x, "to"),
		.limit = arg_limit(x)};
	return arg_cursor(x, &q->after_us, &q->after_id);
}

void handle_cases(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(arena_free) struct arena *arena = arena_new(1 << 16);
	struct case_query q;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, PAGE_CAP);
	if (!case_query_of(x, &q))
		return;
	enum rc rc = arena != NULL ? case_list(pg, &q, now_of(a), arena, &b, &e)
				   : err_set(&e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.cases", "list", &e);
	answer_json(x, rc, &b, &e);
}

/* ---- one case ---- */

void handle_case(struct api *a, struct pg *pg, struct exchange *x)
{
	const char *id = request_of(x)->variable;
	int64_t version = 0;
	BUF_OWN struct buf b;
	struct err e = {0};
	char etag[24];

	buf_init(&b, PAGE_CAP);
	enum rc rc = case_read(pg, id, now_of(a), &b, &version, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.case", id, &e);
	snprintf(etag, sizeof(etag), "\"%lld\"", (long long)version);
	if (rc == RC_OK) {
		x_set_header(x, "ETag", etag);
		if (etag_listed(x, etag)) {
			http_answer(x, 304, NULL, SLICE(""));
			return;
		}
	}
	answer_json(x, rc, &b, &e);
}

/* A list that hangs on a case: $1 the case, $2 behind which id, $3 how many. */
static void case_part(struct api *a, struct pg *pg, struct exchange *x, const char *sql)
{
	OWN(arena_free) struct arena *arena = arena_new(1 << 14);
	const char *id = request_of(x)->variable;
	int64_t limit = arg_limit(x), us = 0;
	struct slice after;
	BUF_OWN struct buf b, none;
	struct err e = {0};

	buf_init(&b, PAGE_CAP);
	buf_init(&none, 4096);
	if (!arg_cursor(x, &us, &after))
		return;
	enum rc rc = arena != NULL ? RC_OK : err_set(&e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_text(slice_str(id), arena),
		us != TIME_NONE ? pg_p_int(us, arena) : pg_p_none(), pg_p_int(limit + 1, arena)};
	if (rc == RC_OK)
		rc = read_value(pg, "SELECT id FROM case_file WHERE id = $1", p, 1, &none, &e);
	if (rc == RC_OK)
		rc = read_page(pg, sql, p, ARRAY_LEN(p), limit, &b, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.case", id, &e);
	answer_json(x, rc, &b, &e);
}

void handle_case_events(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('id', id, 'at', iso(at), 'actor', actor, 'event', event,"
		" 'from', from_state, 'to', to_state, 'version', version, 'reason',"
		" nullif(reason, ''), 'detail', detail)::text, id || '.0' FROM case_event"
		" WHERE case_id = $1 AND ($2::bigint IS NULL OR id > $2::bigint) ORDER BY id LIMIT "
		"$3";

	case_part(a, pg, x, sql);
}

void handle_case_notes(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('id', id, 'at', iso(at), 'author', author, 'text',"
		" text)::text, id || '.0' FROM case_note WHERE case_id = $1"
		" AND ($2::bigint IS NULL OR id > $2::bigint) ORDER BY id LIMIT $3";

	case_part(a, pg, x, sql);
}

void handle_case_reports(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(arena_free) struct arena *arena = arena_new(1 << 14);
	const char *id = request_of(x)->variable;
	bool unmask = slice_eq(arg_or_none(x, "unmask"), SLICE("true"));
	struct slice why = arg_or_none(x, "reason"), after;
	int64_t us;
	char whom[300];
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, PAGE_CAP);
	if (unmask && !role_is(x, "supervisor|admin")) {
		http_problem(x, 403, "Forbidden", "the role %s may not see texts unmasked",
			request_of(x)->who.role);
		return;
	}
	if (unmask && why.len == 0) {
		http_problem(x, 400, "Bad Request", "reason is needed with unmask");
		return;
	}
	if (!arg_cursor(x, &us, &after))
		return;
	snprintf(whom, sizeof(whom), unmask ? "%s why=%.*s" : "%s%.*s", id,
		unmask ? (int)(why.len < 200 ? why.len : 200) : 0, unmask ? why.ptr : "");
	enum rc rc = arena != NULL
		? case_reports(pg, id, unmask, us, after, arg_limit(x), arena, &b, &e)
		: err_set(&e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, unmask ? "read.unmasked" : "read.reports", whom, &e);
	answer_json(x, rc, &b, &e);
}

void handle_case_bundle(struct api *a, struct pg *pg, struct exchange *x)
{
	const char *id = request_of(x)->variable;
	char name[80];
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 256UL << 20);
	enum rc rc = case_bundle(pg, a->s.keys, id, now_of(a), &b, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.bundle", id, &e);
	if (rc != RC_OK) {
		answer_failure(x, rc, &e);
		return;
	}
	snprintf(name, sizeof(name), "attachment; filename=\"%.20s.tar\"", id);
	x_set_header(x, "Content-Disposition", name);
	http_answer(x, 200, "application/x-tar", buf_slice(&b));
}

/* ---- what waits for a second person ---- */

static void plain_list(
	struct api *a, struct pg *pg, struct exchange *x, const char *sql, const char *what)
{
	OWN(arena_free) struct arena *arena = arena_new(1 << 14);
	int64_t limit = arg_limit(x), us = 0;
	struct slice after;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, PAGE_CAP);
	if (!arg_cursor(x, &us, &after))
		return;
	enum rc rc = arena != NULL ? RC_OK : err_set(&e, RC_RETRY, "out of memory");
	struct pg_param p[] = {us != TIME_NONE ? pg_p_int(us, arena) : pg_p_none(),
		pg_p_int(limit + 1, arena), pg_p_time(now_of(a), arena)};
	if (rc == RC_OK)
		rc = read_page(pg, sql, p, ARRAY_LEN(p), limit, &b, &e);
	if (rc == RC_OK && what != NULL)
		rc = note_reading(a, pg, x, what, "list", &e);
	answer_json(x, rc, &b, &e);
}

void handle_approvals(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('id', id, 'cases', to_jsonb(cases), 'decision', "
		"decision,"
		" 'why', why, 'asked_by', asked_by, 'asked_at', iso(asked_at), 'ends_at',"
		" iso(asked_at + interval '1 day'))::text, id || '.0' FROM proposal WHERE "
		"decided_at IS"
		" NULL AND asked_at > $3::timestamptz - interval '1 day'"
		" AND ($1::bigint IS NULL OR id > $1::bigint) ORDER BY id LIMIT $2";

	plain_list(a, pg, x, sql, NULL);
}

void handle_orders(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('document_no', d.document_no, 'issuer', d.issuer,"
		" 'action', d.action, 'legal_basis', d.legal_basis, 'received_at', "
		"iso(d.received_at),"
		" 'deadline', iso(d.deadline), 'until', iso(d.until), 'state', CASE WHEN "
		"d.applied_at IS"
		" NULL THEN 'waits' WHEN d.ended_at IS NULL THEN 'in_force' ELSE 'ended' END, "
		"'breach',"
		" d.breach, 'items', (SELECT count(*) FROM order_item i WHERE i.document_no ="
		" d.document_no))::text, (extract(epoch FROM d.imported_at) * 1000000)::bigint || "
		"'.' ||"
		" d.document_no FROM order_doc d WHERE ($1::bigint IS NULL OR d.imported_at <"
		" to_timestamp($1::bigint / 1e6)) AND $3::timestamptz IS NOT NULL"
		" ORDER BY d.imported_at DESC, d.document_no LIMIT $2";

	plain_list(a, pg, x, sql, NULL);
}

void handle_protected(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('id', id, 'scope', scope, 'low', low, 'high', high, "
		"'service',"
		" CASE WHEN service IS NOT NULL THEN service_word(service) END, 'owner', owner, "
		"'reason',"
		" reason, 'until', iso(until), 'origin', origin)::text, id || '.0' FROM protected"
		" WHERE ($1::bigint IS NULL OR id > $1::bigint) AND $3::timestamptz IS NOT NULL"
		" ORDER BY id LIMIT $2";

	plain_list(a, pg, x, sql, NULL);
}

void handle_tokens(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('name', name, 'role', role, 'loopback', loopback,"
		" 'created_at', iso(created_at), 'expires_at', iso(expires_at), 'revoked_at',"
		" iso(revoked_at), 'last_used_at', iso(last_used_at))::text, id || '.0' FROM token"
		" WHERE ($1::bigint IS NULL OR id > $1::bigint) AND $3::timestamptz IS NOT NULL"
		" ORDER BY id LIMIT $2";

	plain_list(a, pg, x, sql, NULL);
}

void handle_audit(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char sql[] =
		"SELECT jsonb_build_object('id', u.id, 'at', iso(u.at), 'actor', u.actor, 'what', "
		"u.what,"
		" 'lines', u.lines, 'link', l.seq, 'hash', encode(l.hash, 'hex'))::text, u.id || "
		"'.0'"
		" FROM audit u LEFT JOIN audit_chain l ON l.id = u.id WHERE ($1::bigint IS NULL OR"
		" u.id < $1::bigint) AND ($4::text IS NULL OR u.actor = $4::text) AND ($5::text IS "
		"NULL"
		" OR u.what = $5::text) AND ($6::timestamptz IS NULL OR u.at >= $6::timestamptz)"
		" AND ($7::timestamptz IS NULL OR u.at < $7::timestamptz) AND $3::timestamptz IS "
		"NOT NULL"
		" ORDER BY u.id DESC LIMIT $2";
	OWN(arena_free) struct arena *arena = arena_new(1 << 14);
	struct slice actor = arg_or_none(x, "actor"), what = arg_or_none(x, "what"), after;
	int64_t limit = arg_limit(x), us = 0;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, PAGE_CAP);
	if (!arg_cursor(x, &us, &after))
		return;
	enum rc rc = arena != NULL ? RC_OK : err_set(&e, RC_RETRY, "out of memory");
	struct pg_param p[] = {us != TIME_NONE ? pg_p_int(us, arena) : pg_p_none(),
		pg_p_int(limit + 1, arena), pg_p_time(now_of(a), arena),
		actor.len > 0 ? pg_p_text(actor, arena) : pg_p_none(),
		what.len > 0 ? pg_p_text(what, arena) : pg_p_none(),
		pg_p_time(arg_time(x, "from"), arena), pg_p_time(arg_time(x, "to"), arena)};
	if (rc == RC_OK)
		rc = read_page(pg, sql, p, ARRAY_LEN(p), limit, &b, &e);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.audit", "list", &e);
	answer_json(x, rc, &b, &e);
}

static void artifact_in_force(struct api *a, struct pg *pg, struct exchange *x, const char *sql)
{
	BUF_OWN struct buf b;
	struct err e = {0};

	(void)a;
	buf_init(&b, PAGE_CAP);
	enum rc rc = read_value(pg, sql, NULL, 0, &b, &e);
	answer_json(x, rc, &b, &e);
}

#define ARTIFACT(column)                                                                       \
	"SELECT jsonb_build_object('version', f.version, 'hash', encode(f.hash, 'hex'),"       \
	" 'stored_at', iso(f.stored_at), 'mode', k.mode, 'kill_switch', k.kill_switch,"        \
	" 'activated_at', iso(k.activated_at), 'activated_by', k.activated_by, 'files',"       \
	" (SELECT jsonb_object_agg(j.key, convert_from(decode(j.value, 'base64'), 'UTF8'))"    \
	" FROM jsonb_each_text(f.files) j))::text FROM control k JOIN artifact f ON f.hash = " \
	"k." column

void handle_policy(struct api *a, struct pg *pg, struct exchange *x)
{
	artifact_in_force(a, pg, x, ARTIFACT("policy"));
}

void handle_rules(struct api *a, struct pg *pg, struct exchange *x)
{
	artifact_in_force(a, pg, x, ARTIFACT("rules"));
}

/* ---- the queue as a file ---- */

/* A cell that a spreadsheet would take for a formula gets an apostrophe before it; quotes are doubled. */
static void csv_cell(struct buf *b, struct slice s, bool last)
{
	buf_byte(b, '"');
	if (s.len > 0 && strchr("=+-@\t\r", s.ptr[0]) != NULL)
		buf_byte(b, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"')
			buf_byte(b, '"');
		buf_byte(b, s.ptr[i]);
	}
	buf_add(b, last ? SLICE("\"\r\n") : SLICE("\","));
}

static void csv_value(struct buf *b, struct json v, bool last)
{
	BUF_OWN struct buf t;

	buf_init(&t, 64 * 1024);
	if (v.kind == JSON_TEXT)
		buf_add(&t, json_text(v));
	else if (v.kind != JSON_NULL && v.kind != JSON_NONE)
		json_write(v, &t);
	csv_cell(b, buf_slice(&t), last);
}

static const char *const csv_columns[] = {"id", "kind", "service", "class", "state", "outcome",
	"reason", "rung", "reports", "assignee", "first_at", "opened_at", "due_at", "clock",
	"settled_at", "settled_by", "closed_at", "merged_into", "reopened"};

static enum rc csv_page(struct json_parser *p, struct slice page, struct scratch *file,
	char next[64], struct err *e)
{
	struct json root, one;
	struct slice key;
	BUF_OWN struct buf b;
	enum rc rc = json_parse(p, page, &root, e);

	buf_init(&b, PAGE_CAP);
	if (rc != RC_OK)
		return rc;
	struct json_iter it = json_iter(json_get(root, "items"));
	while (json_next(&it, &key, &one)) {
		struct json sender = json_get(one, "sender");
		csv_value(&b, json_get(sender, "scope"), false);
		csv_value(&b, json_get(sender, "value"), false);
		for (size_t i = 0; i < ARRAY_LEN(csv_columns); i++)
			csv_value(
				&b, json_get(one, csv_columns[i]), i + 1 == ARRAY_LEN(csv_columns));
	}
	snprintf(next, 64, "%.*s", (int)json_text(json_get(root, "next")).len,
		json_text(json_get(root, "next")).ptr);
	return !b.failed && scratch_put(file, buf_slice(&b))
		? RC_OK
		: err_set(e, RC_RETRY, "the file cannot be written");
}

static enum rc csv_write(
	struct pg *pg, struct case_query *q, int64_t now_us, struct scratch *file, struct err *e)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	OWN(arena_free) struct arena *arena = arena_new(1 << 20);
	char next[64] = "";
	BUF_OWN struct buf b;
	enum rc rc = p != NULL && arena != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");

	buf_init(&b, PAGE_CAP);
	buf_fmt(&b, "scope,sender");
	for (size_t i = 0; i < ARRAY_LEN(csv_columns); i++)
		buf_fmt(&b, ",%s", csv_columns[i]);
	buf_fmt(&b, "\r\n");
	(void)scratch_put(file, buf_slice(&b));
	q->limit = 500;
	do {
		struct slice rest = slice_str(next), first;
		if (slice_cut(&rest, '.', &first) && slice_i64(first, &q->after_us) == RC_OK)
			q->after_id = rest;
		buf_clear(&b);
		arena_reset(arena);
		if (rc == RC_OK)
			rc = case_list(pg, q, now_us, arena, &b, e);
		if (rc == RC_OK)
			rc = csv_page(p, buf_slice(&b), file, next, e);
	} while (rc == RC_OK && next[0] != '\0');
	return rc;
}

void handle_cases_csv(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(scratch_free) struct scratch *file = scratch_new(false);
	struct case_query q;
	struct err e = {0};
	uint64_t size = 0;

	if (!case_query_of(x, &q))
		return;
	enum rc rc = file != NULL ? note_reading(a, pg, x, "read.export", "cases", &e)
				  : err_set(&e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = pg_script(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &e);
	if (rc == RC_OK)
		rc = csv_write(pg, &q, now_of(a), file, &e);
	pg_rollback(pg);
	int fd = rc == RC_OK ? scratch_end(TAKE(file), &size) : -1;
	if (rc == RC_OK && fd < 0)
		rc = err_set(&e, RC_RETRY, "the file cannot be written");
	if (rc != RC_OK) {
		answer_failure(x, rc, &e);
		return;
	}
	x_set_header(x, "Content-Disposition", "attachment; filename=\"cases.csv\"");
	http_answer_file(x, 200, "text/csv; charset=utf-8", fd, size);
}
