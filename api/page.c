/* The read-only status page at /, in English and Vietnamese: counts and states only, no number of anybody, no script. It needs no token, so
 * that it is made at most once in a few seconds, whoever asks. */
#include <stdio.h>

#include "api/private.h"

#define MADE_EVERY_US (3 * US_PER_S)

struct bilingual {
	const char *en, *vi;
};

struct section {
	struct bilingual title;
	struct bilingual column[12];
	const char *sql; /* one text column per label, no personal data */
};

static const struct section sections[] = {
	{{"Blocklist", "Danh sách chặn"},
		{{"release", "bản phát hành"}, {"at (UTC)", "lúc (UTC)"}, {"entries", "số mục"},
			{"SMS", "SMS"}, {"voice", "thoại"}, {"list", "danh sách"},
			{"digest", "mã băm"}},
		"SELECT release::text, to_char(at, 'YYYY-MM-DD HH24:MI:SS'), count::text, "
		"sms_count::text, (count - sms_count)::text, list::text, encode(digest, 'hex') "
		"FROM list_head"},
	{{"Records in", "Bản ghi nhận được"},
		{{"topic", "chủ đề"}, {"partition", "phân vùng"}, {"records", "bản ghi"},
			{"accepted", "chấp nhận"}, {"rejected", "từ chối"},
			{"duplicates", "trùng lặp"}, {"routed", "chuyển tiếp"},
			{"quarantined", "cách ly"}, {"missing", "thiếu"}, {"stopped", "đã dừng"}},
		"SELECT topic, part::text, records::text, accepted::text, rejected::text, "
		"duplicates::text, routed::text, quarantined::text, (records - accepted - rejected "
		"- duplicates - routed - quarantined)::text, CASE WHEN stopped <> '' THEN "
		"'stopped' "
		"ELSE '' END FROM part ORDER BY source, topic, part LIMIT 200"},
	{{"Cases", "Vụ việc"}, {{"class", "loại"}, {"state", "trạng thái"}, {"cases", "số vụ"}},
		"SELECT CASE class WHEN 1 THEN 'scam' ELSE 'nuisance' END, state, count(*)::text "
		"FROM case_file GROUP BY 1, 2 ORDER BY 1 DESC, 2"},
	{{"Waiting for people", "Chờ người quyết định"},
		{{"reason", "lý do"}, {"senders", "người gửi"}},
		"SELECT reason, count(*)::text FROM wish WHERE state = 'held' GROUP BY 1 "
		"ORDER BY count(*) DESC, 1"},
	{{"Quarantine", "Cách ly"}, {{"reason", "lý do"}, {"records", "bản ghi"}},
		"SELECT reason, count(*)::text FROM quarantine WHERE state = 'open' GROUP BY 1 "
		"ORDER BY count(*) DESC, 1"},
};

/* Words of the ledger that a reader meets in cells. */
static const struct bilingual words[] = {{"scam", "lừa đảo"}, {"nuisance", "quấy rối"},
	{"open", "đang mở"}, {"verifying", "đang xác minh"}, {"held", "tạm giữ"},
	{"enforced", "đã áp dụng"}, {"appealed", "bị khiếu nại"}, {"closed", "đã đóng"},
	{"stopped", "đã dừng"}, {"protected", "được bảo vệ"}, {"needs_person", "cần người duyệt"},
	{"review_mode", "chế độ duyệt"}, {"one_leg", "thiếu tín hiệu độc lập"},
	{"cap_hour", "vượt hạn mức giờ"}, {"cap_day", "vượt hạn mức ngày"},
	{"conflict", "trùng mã, khác nội dung"}, {"not_json", "không phải JSON"},
	{"unknown_schema", "lược đồ lạ"}, {"wrong_type", "sai kiểu dữ liệu"},
	{"too_large", "quá lớn"}};

static const char style[] =
	":root{color-scheme:light dark}\n"
	"body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:1rem auto;padding:0 1rem}\n"
	"table{border-collapse:collapse;display:block;overflow-x:auto}\n"
	"th,td{padding:.25rem .9rem .25rem 0;text-align:left;vertical-align:top;"
	"border-bottom:1px solid #8886;font-variant-numeric:tabular-nums}\n"
	"small{font-weight:400;opacity:.75}th small{display:block}\n"
	".bad{font-weight:700}\n";

void handle_style(struct api *a, struct pg *pg, struct exchange *x)
{
	(void)a, (void)pg;
	x_set_header(x, "Cache-Control", "public, max-age=3600");
	http_answer(x, 200, "text/css; charset=utf-8", slice_str(style));
}

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

static void cell(struct buf *b, struct slice text)
{
	buf_add(b, SLICE("<td>"));
	html(b, text);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_eq(text, slice_str(words[i].en)))
			buf_fmt(b, " <small lang=vi>%s</small>", words[i].vi);
}

static enum rc section_out(struct pg *pg, const struct section *s, struct buf *b, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(pg, s->sql, NULL, 0, &r, e);
	int columns = 0;

	if (rc != RC_OK)
		return rc;
	buf_fmt(b, "<h2>%s <small lang=vi>%s</small></h2>\n", s->title.en, s->title.vi);
	if (pg_rows(r) == 0) {
		buf_add(b, SLICE("<p>none · <span lang=vi>không có</span></p>\n"));
		return RC_OK;
	}
	buf_add(b, SLICE("<table><thead><tr>"));
	for (; columns < (int)ARRAY_LEN(s->column) && s->column[columns].en != NULL; columns++)
		buf_fmt(b, "<th scope=col>%s<small lang=vi>%s</small>", s->column[columns].en,
			s->column[columns].vi);
	buf_add(b, SLICE("</thead><tbody>\n"));
	for (int row = 0; row < pg_rows(r); row++) {
		buf_add(b, SLICE("<tr>"));
		for (int col = 0; col < columns; col++)
			cell(b, pg_text(r, row, col));
		buf_byte(b, '\n');
	}
	buf_add(b, SLICE("</table>\n"));
	return RC_OK;
}

static void top(const struct api *a, struct buf *b)
{
	BUF_OWN struct buf why;
	char at[TIME_TEXT];

	buf_init(&why, 64 * 1024);
	time_format(a->s.clk->now_us(a->s.clk) / US_PER_S * US_PER_S, at);
	buf_add(b,
		SLICE("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
		      "content=\"width=device-width\"><meta http-equiv=refresh content=5>"
		      "<title>Khiên</title><link rel=stylesheet href=\"/status.css\">"
		      "<h1>Khiên <small>status · <span lang=vi>tình trạng</span></small></h1>\n"));
	if (api_ready(a, false, &why)) {
		buf_fmt(b, "<p>Ready · <span lang=vi>Sẵn sàng</span> · %s</p>\n", at);
		return;
	}
	buf_fmt(b,
		"<p class=bad>Not ready · <span lang=vi>Chưa sẵn sàng</span> · %s</p>"
		"<p>Waiting · <span lang=vi>Đang chờ</span>:</p><pre>",
		at);
	html(b, buf_slice(&why));
	buf_add(b, SLICE("</pre>\n"));
}

static void answer_page(struct exchange *x, struct shared *text)
{
	x_set_header(x, "Content-Security-Policy",
		"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'");
	x_set_header(x, "Referrer-Policy", "no-referrer");
	http_answer_shared(x, 200, "text/html; charset=utf-8", text);
}

void handle_page(struct api *a, struct pg *pg, struct exchange *x)
{
	int64_t moment = api_mono(a) / MADE_EVERY_US;
	OWN(shared_free) struct shared *text = answers_get(a->answers, "page", moment);
	BUF_OWN struct buf b;
	struct err e = {0};
	enum rc rc = RC_OK;

	buf_init(&b, 1u << 20);
	if (text != NULL) {
		answer_page(x, text);
		return;
	}
	top(a, &b);
	for (size_t i = 0; i < ARRAY_LEN(sections) && rc == RC_OK; i++)
		rc = section_out(pg, &sections[i], &b, &e);
	buf_add(&b, SLICE("</html>\n"));
	if (rc == RC_OK && (b.failed || (text = shared_new(&b)) == NULL))
		rc = err_set(&e, RC_LIMIT, "the page is too large");
	if (rc != RC_OK) {
		answer_failure(x, rc, &e);
		return;
	}
	answers_put(a->answers, "page", moment, text);
	answer_page(x, text);
}
