/* What needs no token: health, readiness, metrics, and the read-only status page at / — counts and states only, no number of anybody. */
#include <stdio.h>

#include "api/private.h"

void handle_health(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)a, (void)pg;
	http_answer(x, 200, "text/plain; charset=utf-8", SLICE("ok\n"));
}

void handle_ready(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf why;
	struct list_mark mark;
	int64_t synced = 0;
	bool ready = true;

	(void)pg;
	buf_init(&why, 64 * 1024);
	if (a->s.ready != NULL)
		ready = a->s.ready(&why);
	int64_t age_s = mirror_mark(a->mirror, &mark, &synced)
		? (a->s.clk->mono_us(a->s.clk) - synced) / US_PER_S
		: -1;
	if (age_s < 0 || age_s > conf_int(a->s.conf, "lookup.stale_max_s")) {
		ready = false;
		buf_add(&why,
			age_s < 0 ? SLICE("lookup: no list loaded yet\n")
				  : SLICE("lookup: the list in memory is stale\n"));
	}
	if (ready)
		buf_add(&why, SLICE("ready\n"));
	http_answer(x, ready ? 200 : 503, "text/plain; charset=utf-8", buf_slice(&why));
}

void handle_metrics(struct api *a, struct pg *pg, struct exchange *x)
{
	BUF_OWN struct buf b;

	(void)a, (void)pg;
	buf_init(&b, 16u << 20);
	metrics_write(&b);
	http_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&b));
}

struct section {
	const char *title, *title_vi; /* English and Vietnamese */
	const char *head;             /* table header cells, HTML */
	int columns;
	const char *sql; /* text columns, no personal data */
};

static const struct section sections[] = {
	{"List", "Danh sách chặn", "<th>list<th>release<th>entries<th>digest<th>at (UTC)", 5,
		"SELECT list::text, release::text, count::text, encode(digest, 'hex'), to_char(at, "
		"'YYYY-MM-DD HH24:MI:SS') FROM list_head"},
	{"Records", "Bản ghi nhận được",
		"<th>source<th>topic<th>partition<th>records<th>accepted<th>rejected<th>duplicates<"
		"th>routed<th>quarantined<th>missing<th>stopped",
		11,
		"SELECT p.source, p.topic, p.part::text, p.records::text, p.accepted::text, "
		"p.rejected::text, p.duplicates::text, p.routed::text, "
		"p.quarantined::text, (p.records - p.accepted - p.rejected - p.duplicates - "
		"p.routed - p.quarantined)::text, p.stopped FROM part p "
		"ORDER BY p.source, p.topic, p.part LIMIT 200"},
	{"Cases", "Hồ sơ vụ việc", "<th>class<th>state<th>cases", 3,
		"SELECT CASE class WHEN 1 THEN 'scam' ELSE 'nuisance' END, state, count(*)::text "
		"FROM case_file GROUP BY 1, 2 ORDER BY 1 DESC, 2"},
	{"Listed", "Đang chặn", "<th>service<th>scope<th>action<th>entries", 4,
		"SELECT CASE service WHEN 0 THEN 'sms' ELSE 'voice' END, scope, action, "
		"count(*)::text FROM entry GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"},
	{"Held for people", "Chờ người quyết định", "<th>reason<th>senders", 2,
		"SELECT reason, count(*)::text FROM wish WHERE state = 'held' GROUP BY 1 ORDER BY "
		"2 DESC"},
	{"Quarantine", "Cách ly", "<th>reason<th>records", 2,
		"SELECT reason, count(*)::text FROM quarantine WHERE state = 'open' GROUP BY 1 "
		"ORDER BY 2 DESC"},
};

static void html(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		switch (s.ptr[i]) {
		case '<':
			buf_add(b, SLICE("&lt;"));
			break;
		case '&':
			buf_add(b, SLICE("&amp;"));
			break;
		case '"':
			buf_add(b, SLICE("&quot;"));
			break;
		default:
			buf_byte(b, s.ptr[i]);
		}
}

static enum rc section_out(struct pg *pg, const struct section *s, struct buf *b, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(pg, s->sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	buf_fmt(b, "<h2>%s <small lang=vi>%s</small></h2>\n", s->title, s->title_vi);
	if (pg_rows(r) == 0) {
		buf_add(b, SLICE("<p>none · <span lang=vi>không có</span></p>\n"));
		return RC_OK;
	}
	buf_fmt(b, "<table><thead><tr>%s</thead><tbody>\n", s->head);
	for (int row = 0; row < pg_rows(r); row++) {
		buf_add(b, SLICE("<tr>"));
		for (int col = 0; col < s->columns; col++) {
			buf_add(b, SLICE("<td>"));
			html(b, pg_text(r, row, col));
		}
		buf_byte(b, '\n');
	}
	buf_add(b, SLICE("</table>\n"));
	return RC_OK;
}

void handle_page(struct api *a, struct pg *pg, struct exchange *x)
{
	static const char top[] =
		"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
		"content=\"width=device-width\">"
		"<meta http-equiv=refresh content=5><title>Khiên</title><style>"
		":root{color-scheme:light dark}body{font:16px/1.5 "
		"system-ui,sans-serif;max-width:75rem;margin:1rem auto;padding:0 1rem}"
		"table{border-collapse:collapse;display:block;overflow-x:auto}th,td{padding:.2rem "
		".8rem;text-align:left;"
		"border-bottom:1px solid "
		"#8886;font-variant-numeric:tabular-nums}small{font-weight:400;opacity:.75}</style>"
		"<h1>Khiên <small>status · <span lang=vi>tình trạng</span></small></h1>\n";
	BUF_OWN struct buf b, why;
	struct err e = {0};
	enum rc rc = RC_OK;

	buf_init(&b, 1u << 20);
	buf_init(&why, 64 * 1024);
	buf_add(&b, slice_str(top));
	bool ready = a->s.ready == NULL || a->s.ready(&why);
	buf_add(&b,
		ready ? SLICE("<p>Ready · <span lang=vi>Sẵn sàng</span></p>\n")
		      : SLICE("<p><strong>Not ready · <span lang=vi>Chưa sẵn "
			      "sàng</span></strong></p><pre>"));
	if (!ready) {
		html(&b, buf_slice(&why));
		buf_add(&b, SLICE("</pre>\n"));
	}
	for (size_t i = 0; i < ARRAY_LEN(sections) && rc == RC_OK; i++)
		rc = section_out(pg, &sections[i], &b, &e);
	if (rc != RC_OK) {
		answer_failure(x, rc, &e);
		return;
	}
	buf_add(&b, SLICE("</html>\n"));
	x_set_header(x, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
	x_set_header(x, "Cache-Control", "no-store");
	http_answer(x, 200, "text/html; charset=utf-8", buf_slice(&b));
}
