/* What care staff tell a subscriber: whether the number is blocked, since when, why in a citizen's words, and what one can do. One exact number at a
 * time; never a reporter, a text, a score. And access tokens, which are made and ended here too. */
#include <stdio.h>

#include "api/private.h"

/* $1 scope, $2 value. */
static const char care_sql[] =
	"SELECT jsonb_build_object('sender', jsonb_build_object('scope', $1::text, 'value', "
	"$2::text),"
	" 'blocked', coalesce((SELECT jsonb_agg(jsonb_build_object('service', "
	"service_word(n.service),"
	" 'since', iso(r.at), 'until', iso(n.until), 'case', n.case_id, 'by', b.by, 'can_appeal', "
	"b.by ="
	" 'carrier' AND k.state = 'enforced', 'appeal', (SELECT jsonb_build_object('opened_at',"
	" iso(p.opened_at), 'due_at', iso(p.due_at), 'decision', p.decision) FROM appeal p WHERE"
	" p.case_id = n.case_id ORDER BY p.id DESC LIMIT 1), 'text', jsonb_build_object("
	" 'vi', 'Số này đang bị ' || CASE n.action WHEN 'bar' THEN 'chặn' WHEN 'throttle' THEN "
	"'hạn chế'"
	" ELSE 'gắn nhãn cảnh báo' END || CASE n.service WHEN 0 THEN ' gửi tin nhắn' ELSE ' thực "
	"hiện"
	" cuộc gọi' END || CASE WHEN b.by = 'authority' THEN ' theo yêu cầu của cơ quan có thẩm "
	"quyền.'"
	" WHEN k.class = 1 THEN ' vì có nhiều phản ánh về dấu hiệu lừa đảo.' ELSE ' vì có nhiều "
	"phản ánh'"
	" || CASE n.service WHEN 0 THEN ' tin nhắn rác.' ELSE ' cuộc gọi rác.' END END,"
	" 'en', 'This number is ' || CASE n.action WHEN 'bar' THEN 'barred from' WHEN 'throttle' "
	"THEN"
	" 'limited in' ELSE 'labelled when' END || CASE n.service WHEN 0 THEN ' sending messages' "
	"ELSE"
	" ' making calls' END || CASE WHEN b.by = 'authority' THEN ' by order of an authority.'"
	" WHEN k.class = 1 THEN ' because many people reported signs of fraud.' ELSE"
	" ' because many people reported' || CASE n.service WHEN 0 THEN ' spam messages.' ELSE"
	" ' spam calls.' END END)) ORDER BY n.service) FROM entry n LEFT JOIN release r ON r.n ="
	" n.release LEFT JOIN case_file k ON k.id = n.case_id CROSS JOIN LATERAL (SELECT CASE WHEN"
	" n.origin LIKE 'order:%' THEN 'authority' ELSE 'carrier' END AS by) b WHERE n.scope = $1"
	" AND n.value = $2), '[]'::jsonb), 'text', CASE WHEN EXISTS (SELECT FROM entry n WHERE "
	"n.scope"
	" = $1 AND n.value = $2) THEN jsonb_build_object('vi', 'Chủ thuê bao có thể khiếu nại qua "
	"tổng"
	" đài chăm sóc khách hàng; nhà mạng trả lời trong 24 hoặc 72 giờ.', 'en', 'The subscriber "
	"may"
	" appeal through customer care; an answer is due within 24 or 72 hours.') ELSE"
	" jsonb_build_object('vi', 'Số này không bị chặn.', 'en', 'This number is not blocked.') "
	"END"
	")::text";

void handle_care(struct api *a, struct pg *pg, struct exchange *x)
{
	char masked[MASKED_TEXT], whom[MASKED_TEXT + 16];
	BUF_OWN struct buf b;
	struct err e = {0};
	struct sender s;
	const char *why;

	buf_init(&b, 1u << 20);
	if (parse_sender(a, slice_str(request_of(x)->variable), &s, &why) != SENDER_OK) {
		http_problem(x, 400, "Bad Request", "this is no sender: %s", why);
		return;
	}
	struct pg_param p[] = {pg_p_str(scope_name(s.scope)), pg_p_str(s.value)};
	enum rc rc = read_value(pg, care_sql, p, ARRAY_LEN(p), &b, &e);
	snprintf(whom, sizeof(whom), "%s/%s", scope_name(s.scope),
		s.scope == SCOPE_NUMBER ? log_mask(slice_str(s.value), masked) : s.value);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "read.care", whom, &e);
	answer_json(x, rc, &b, &e);
}

/* ---- tokens ---- */

/* The token is in the answer once and nowhere else. */
void handle_token_create(struct api *a, struct pg *pg, struct exchange *x)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	char name[64], role[16], token[64], whom[128];
	struct json body = {0}, loopback;
	BUF_OWN struct buf b;
	struct err e = {0};

	buf_init(&b, 4096);
	enum rc rc = p != NULL ? json_parse(p, x_body(x), &body, &e)
			       : err_set(&e, RC_RETRY, "out of memory");
	struct slice n = json_text(json_get(body, "name")), r = json_text(json_get(body, "role"));
	snprintf(name, sizeof(name), "%.*s", (int)n.len, n.ptr != NULL ? n.ptr : "");
	snprintf(role, sizeof(role), "%.*s", (int)r.len, r.ptr != NULL ? r.ptr : "");
	loopback = json_get(body, "loopback");
	snprintf(whom, sizeof(whom), "%s role=%s", name, role);
	if (rc == RC_OK)
		rc = note_reading(a, pg, x, "token.create", whom, &e);
	if (rc == RC_OK)
		rc = token_create(pg, a->s.keys, name, role, json_int(json_get(body, "ttl_s")),
			loopback.kind == JSON_BOOL && json_bool(loopback),
			a->s.clk->now_us(a->s.clk), token, &e);
	if (rc == RC_CONFLICT) {
		http_problem(x, 409, "Conflict", "%s", e.text);
		return;
	}
	if (rc != RC_OK) {
		answer_failure(x, rc, &e);
		return;
	}
	buf_fmt(&b, "{\"name\":");
	buf_json(&b, slice_str(name));
	buf_fmt(&b, ",\"role\":\"%s\",\"token\":\"%s\"}\n", role, token);
	http_answer(x, 201, "application/json", buf_slice(&b));
}

void handle_token_revoke(struct api *a, struct pg *pg, struct exchange *x)
{
	struct err e = {0};
	char actor[80];

	actor_of(request_of(x), actor);
	enum rc rc =
		token_revoke(pg, request_of(x)->variable, actor, a->s.clk->now_us(a->s.clk), &e);
	if (rc != RC_OK)
		answer_failure(x, rc, &e);
	else
		http_answer(x, 204, NULL, SLICE(""));
}
