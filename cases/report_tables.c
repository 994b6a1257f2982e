/* The weekly and monthly tables, with Vietnamese titles, as the ministry's and the carriers' own publications have them: shares of kinds, own and other
 * networks, numbers barred and how long that took, what is unresolved, clocks that were not kept, appeals. Leaves out whom they go to. */
#include <stdio.h>

#include "cases/rows.h"

#define MOST_COLUMNS 8
#define IN_SPAN                                                                                 \
	"r.received_at >= $1 AND r.received_at < $2 AND r.stored_month >= date_trunc('month', " \
	"$1)::date AND r.disposition = 0"
#define BARRED                                                                                 \
	"SELECT a.case_id, a.sender, a.service, min(a.executed_at) AS at FROM action a WHERE " \
	"a.rung >= 3"                                                                          \
	" AND a.action <> 'person' AND a.state IN ('admitted', 'ended', 'lifted') AND "        \
	"a.decided_at >= $1"                                                                   \
	" AND a.decided_at < $2 GROUP BY 1, 2, 3"
#define NETWORK                                                                                                \
	"CASE s.attribution WHEN 'own' THEN 'Nội mạng' WHEN 'other' THEN 'Ngoại mạng' WHEN "           \
	"'foreign'"                                                                                            \
	" THEN 'Quốc tế' WHEN 'brandname' THEN 'Tên định danh' WHEN 'short' THEN 'Đầu số ngắn'" \
	" ELSE 'Chưa xác định' END"

static const struct report_table {
	const char *title, *columns[MOST_COLUMNS], *sql; /* $1 from, $2 to, $3 now */
} report_table_list[] = {
	{"Phản ánh theo loại", {"Loại", "Số phản ánh", "Tỷ lệ (%)", "Số nguồn bị phản ánh"},
		"SELECT k.title, coalesce(n.reports, 0), coalesce(round(100.0 * n.reports /"
		" nullif(sum(n.reports) OVER (), 0), 1), 0), coalesce(n.senders, 0) FROM (VALUES "
		"(0,"
		" 'Tin nhắn rác'), (1, 'Cuộc gọi rác'), (2, 'Lừa đảo')) k(kind, title) LEFT JOIN "
		"(SELECT"
		" r.kind, count(*) AS reports, count(DISTINCT nullif(r.sender, 0)) AS senders FROM "
		"report"
		" r WHERE " IN_SPAN
		" GROUP BY 1) n ON n.kind = k.kind AND $3::timestamptz IS NOT NULL"
		" ORDER BY k.kind"},
	{"Phản ánh theo mạng",
		{"Thuộc mạng", "Nhà mạng", "Số nguồn", "Tin nhắn rác", "Cuộc gọi rác", "Lừa đảo",
			"Tổng phản ánh"},
		"SELECT " NETWORK " AS owner, coalesce(nullif(s.carrier, ''), '-'), count(DISTINCT"
		" nullif(r.sender, 0)), count(*) FILTER (WHERE r.kind = 0), count(*) FILTER (WHERE"
		" r.kind = 1), count(*) FILTER (WHERE r.kind = 2), count(*) FROM report r JOIN "
		"sender s ON"
		" s.id = r.sender WHERE " IN_SPAN
		" AND $3::timestamptz IS NOT NULL GROUP BY 1, 2 ORDER BY"
		" 7 DESC, 1, 2"},
	{"Số bị chặn",
		{"Thuộc mạng", "Nhà mạng", "Số bị chặn", "Đã có xác nhận thực hiện",
			"Thời gian đến khi chặn, trung vị (phút)",
			"Thời gian đến khi chặn, phân vị 95 (phút)",
			"Cuộc gọi trên mỗi số bị chặn"},
		"SELECT " NETWORK
		", coalesce(nullif(s.carrier, ''), '-'), count(DISTINCT b.sender),"
		" count(DISTINCT b.sender) FILTER (WHERE b.at IS NOT NULL),"
		" round((percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM b.at - "
		"k.first_at)"
		" / 60))::numeric, 1), round((percentile_cont(0.95) WITHIN GROUP (ORDER BY "
		"extract(epoch"
		" FROM b.at - k.first_at) / 60))::numeric, 1), round(sum(c.calls) / "
		"nullif(count(DISTINCT"
		" b.sender) FILTER (WHERE c.calls IS NOT NULL), 0), 1) FROM (" BARRED
		") b JOIN case_file k"
		" ON k.id = b.case_id JOIN sender s ON s.id = b.sender LEFT JOIN LATERAL (SELECT"
		" sum(v.calls_out)::numeric AS calls FROM activity v WHERE b.service = 1 AND "
		"v.scope ="
		" s.scope AND v.value = s.value AND v.from_at >= $1 AND v.from_at < $2) c ON true "
		"WHERE"
		" $3::timestamptz IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"},
	{"Hồ sơ",
		{"Mức", "Mở trong kỳ", "Đóng trong kỳ", "Chưa giải quyết",
			"Quá hạn chưa giải quyết", "Vi phạm thời hạn trong kỳ", "Xử lý hàng loạt",
			"Xử lý tự động"},
		"SELECT CASE k.class WHEN 0 THEN 'Quấy rối' ELSE 'Lừa đảo' END, count(*) FILTER "
		"(WHERE"
		" k.opened_at >= $1 AND k.opened_at < $2), count(*) FILTER (WHERE k.closed_at >= "
		"$1 AND"
		" k.closed_at < $2), count(*) FILTER (WHERE k.state IN ('open', 'verifying', "
		"'held') AND"
		" k.opened_at < $2), count(*) FILTER (WHERE k.state IN ('open', 'verifying', "
		"'held') AND"
		" k.opened_at < $2 AND k.due_at <= least($2, $3)), count(*) FILTER (WHERE "
		"k.breached_at >="
		" $1 AND k.breached_at < $2), count(*) FILTER (WHERE k.settled_how = 'bulk' AND"
		" k.settled_at >= $1 AND k.settled_at < $2), count(*) FILTER (WHERE k.settled_how "
		"= 'auto'"
		" AND k.settled_at >= $1 AND k.settled_at < $2) FROM case_file k GROUP BY k.class "
		"ORDER BY"
		" k.class DESC"},
	{"Kết quả hồ sơ đã đóng", {"Kết quả", "Số hồ sơ", "Tỷ lệ (%)"},
		"SELECT CASE k.outcome WHEN 'upheld' THEN 'Xác nhận vi phạm' WHEN 'lifted' THEN "
		"'Gỡ chặn'"
		" WHEN 'no_action' THEN 'Không xử lý' WHEN 'merged' THEN 'Gộp hồ sơ' WHEN "
		"'referred' THEN"
		" 'Chuyển đơn vị khác' ELSE 'Hết hạn chặn' END, count(*), round(100.0 * count(*) /"
		" sum(count(*)) OVER (), 1) FROM case_file k WHERE k.state = 'closed' AND "
		"k.closed_at >="
		" $1 AND k.closed_at < $2 AND $3::timestamptz IS NOT NULL GROUP BY k.outcome ORDER "
		"BY 2"
		" DESC, 1"},
	{"Khiếu nại",
		{"Tiếp nhận", "Chấp nhận", "Bác", "Quá hạn, tự động gỡ", "Tỷ lệ đảo ngược (%)"},
		"SELECT count(*) FILTER (WHERE p.opened_at >= $1 AND p.opened_at < $2), count(*) "
		"FILTER"
		" (WHERE p.decision = 'granted' AND d.it), count(*) FILTER (WHERE p.decision = "
		"'rejected'"
		" AND d.it), count(*) FILTER (WHERE p.decision = 'lapsed' AND d.it), "
		"coalesce(round(100.0 *"
		" count(*) FILTER (WHERE p.decision IN ('granted', 'lapsed') AND d.it) / "
		"nullif(count(*)"
		" FILTER (WHERE p.decision IS NOT NULL AND d.it), 0), 1), 0) FROM appeal p CROSS "
		"JOIN"
		" LATERAL (SELECT p.decided_at >= $1 AND p.decided_at < $2 AS it) d WHERE"
		" $3::timestamptz IS NOT NULL"},
	{"Yêu cầu của cơ quan có thẩm quyền",
		{"Số văn bản", "Số thuê bao trong danh sách", "Thực hiện sau thời hạn"},
		"SELECT count(*), coalesce(sum((SELECT count(*) FROM order_item i WHERE "
		"i.document_no ="
		" d.document_no AND i.fault IS NULL AND i.same_as IS NULL)), 0), count(*) FILTER "
		"(WHERE"
		" d.breach) FROM order_doc d WHERE d.received_at >= $1 AND d.received_at < $2"
		" AND $3::timestamptz IS NOT NULL"},
};

static size_t columns_of(const struct report_table *t)
{
	size_t n = 0;

	while (n < MOST_COLUMNS && t->columns[n] != NULL)
		n++;
	return n;
}

/* ---- as CSV ---- */

static void csv_put(struct buf *out, struct slice s, bool last)
{
	buf_byte(out, '"');
	if (s.len > 0 && strchr("=+-@\t\r", s.ptr[0]) != NULL && !(s.len == 1 && s.ptr[0] == '-'))
		buf_byte(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '"')
			buf_byte(out, '"');
		buf_byte(out, s.ptr[i]);
	}
	buf_add(out, last ? SLICE("\"\r\n") : SLICE("\","));
}

static void csv_table(struct buf *out, const struct report_table *t, const struct pg_result *r)
{
	size_t n = columns_of(t);

	csv_put(out, slice_str(t->title), true);
	for (size_t i = 0; i < n; i++)
		csv_put(out, slice_str(t->columns[i]), i + 1 == n);
	for (int row = 0; row < pg_rows(r); row++)
		for (size_t i = 0; i < n; i++)
			csv_put(out, pg_text(r, row, (int)i), i + 1 == n);
	buf_fmt(out, "\r\n");
}

/* ---- as a page ---- */

static void html_put(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		switch (s.ptr[i]) {
		case '<':
			buf_fmt(out, "&lt;");
			break;
		case '&':
			buf_fmt(out, "&amp;");
			break;
		case '"':
			buf_fmt(out, "&quot;");
			break;
		default:
			buf_byte(out, s.ptr[i]);
		}
}

static void html_table(struct buf *out, const struct report_table *t, const struct pg_result *r)
{
	size_t n = columns_of(t);

	buf_fmt(out, "<table><caption>%s</caption><thead><tr>", t->title);
	for (size_t i = 0; i < n; i++)
		buf_fmt(out, "<th scope=\"col\">%s</th>", t->columns[i]);
	buf_fmt(out, "</tr></thead><tbody>\n");
	for (int row = 0; row < pg_rows(r); row++) {
		buf_fmt(out, "<tr>");
		for (size_t i = 0; i < n; i++) {
			buf_fmt(out, "<td>");
			html_put(out, pg_text(r, row, (int)i));
			buf_fmt(out, "</td>");
		}
		buf_fmt(out, "</tr>\n");
	}
	buf_fmt(out, "</tbody></table>\n");
}

static const char html_head[] =
	"<!doctype html><html lang=\"vi\"><head><meta charset=\"utf-8\"><title>Báo "
	"cáo</title><style>"
	"body{font:14px sans-serif;margin:2em;color:#111}table{border-collapse:collapse;width:100%;"
	"margin:0 0 1.6em;break-inside:avoid}caption{font-weight:bold;text-align:left;padding:.4em "
	"0}"
	"th,td{border:1px solid #555;padding:.3em .5em;text-align:left;vertical-align:top}"
	"@media print{body{margin:0}@page{size:A4 landscape;margin:12mm}}</style></head><body>\n";

static enum rc tables(
	struct pg *c, const struct pg_param p[3], bool html, struct buf *out, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(report_table_list); i++) {
		OWN(pg_free) struct pg_result *r = NULL;
		rc = pg_run(c, report_table_list[i].sql, p, 3, &r, e);
		if (rc == RC_OK && html)
			html_table(out, &report_table_list[i], r);
		else if (rc == RC_OK)
			csv_table(out, &report_table_list[i], r);
	}
	return rc;
}

enum rc report_tables(struct pg *c, int64_t from_us, int64_t to_us, int64_t now_us, bool html,
	struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 14);
	char from[11], to[11];

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(from_us, a), pg_p_time(to_us, a), pg_p_time(now_us, a)};
	day_format(time_day_vn(from_us), from);
	day_format(time_day_vn(to_us - 1), to);
	if (html)
		buf_add(out, slice_str(html_head));
	buf_fmt(out, html ? "<h1>Báo cáo từ %s đến %s</h1>\n" : "\"Báo cáo từ %s đến %s\"\r\n\r\n",
		from, to);
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc == RC_OK)
		rc = tables(c, p, html, out, e);
	pg_rollback(c);
	if (rc == RC_OK && html)
		buf_fmt(out, "</body></html>\n");
	return rc == RC_OK ? buf_fits(out, e) : rc;
}
