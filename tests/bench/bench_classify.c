/* How long one core takes to judge a message, stage by stage, with the shipped packs and with 200 and 1,000 rules; beside it, over the same
 * folded texts, what others would do with the same patterns: a bare libhs scan (all matches wanted, none confirmed), and PCRE2 asked for each by
 * itself. The messages are invented, of about 160 characters: notices and chat, loans, a locked account, a disguised bet; half of them with
 * diacritics. Last, the longest that a hostile text takes: every example of every rule, and what searches hate, repeated to the full 4,096 bytes.
 *
 *	bench_classify [SECONDS of each measurement]
 *	bench_classify texts       the messages, one a line, for other programs
 *	bench_classify ours        nothing but messages a second with 1,000 rules and the model */
#include <hs/hs.h>

#include "classifier/fold.h"
#include "classifier/model.h"
#include "classifier/rules.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *const messages[] = {
	"[TB] Quý khách còn 1,2GB data tốc độ cao, hạn dùng đến 23:59 ngày 30/06. Để mua thêm, "
	"soạn MUA gửi 191 hoặc truy cập My "
	"Viettel. Chi tiết LH 198 (0đ). Trân trọng!",
	"Me oi chieu nay con hoc them den 6h moi ve, me nau com truoc di nhe, nho de phan con it "
	"canh chua, con dem theo hop "
	"com roi. Toi con rua bat cho, me nghi di",
	"Tài khoản của quý khách đã bị tạm khóa do đăng nhập trên thiết bị lạ. Vui lòng truy cập "
	"https://vidu-xacthuc.top để xác "
	"thực ngay hôm nay, quá hạn sẽ không được hỗ trợ",
	"Ho tro vay tien nhanh tu 10tr den 100tr, khong the chap, chi can CCCD, no xau van duyet, "
	"giai ngan trong ngay, lai suat "
	"thap. Lien he Lan 0912345678 (zalo) de duoc tu van",
	"D/Ki t.a.ng 88K, n-ap lan dau thuong 1OO%, hoan tra khong gioi han, rut tien cuc nhanh, "
	"no hu ban ca tai xiu du ca. Vao "
	"ngay vidu88.vip chuc ae thang lon nhe",
	"Ngân hàng Ví Dụ: TK 0123xxx789 -1,500,000VND lúc 10:15 31/08. SD 12,345,678VND. ND: thanh "
	"toán tiền điện tháng 8. Quý khách "
	"không chia sẻ mã OTP cho bất kỳ ai",
};

/* Time on the processor, so that a busy machine changes little. */
static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- packs of any size ---- */

#define ROOM 600

static void add_quoted(struct buf *b, struct slice s)
{
	buf_byte(b, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '\'')
			buf_byte(b, '\'');
		buf_byte(b, s.ptr[i]);
	}
	buf_byte(b, '\'');
}

static void add_rule(struct buf *b, const struct rule *r, size_t id)
{
	buf_fmt(b, "  - {id: %zu, symbol: %s, class: %s, weight: %.3f, description: x, %spattern: ",
		id, r->symbol, label_name(r->label), r->weight, r->raw ? "text: raw, " : "");
	add_quoted(b, r->pattern);
	buf_fmt(b, ", match: [");
	add_quoted(b, r->match->child->value);
	buf_fmt(b, "], nomatch: ['0']}\n");
}

/* A rule of the kind that packs are made of: two or three words near one another. */
static void add_made(struct buf *b, size_t i)
{
	static const char *const verb[] = {"vay", "nhan", "xac thuc", "nang cap", "chuyen",
		"thanh toan", "trung", "tuyen", "dau tu", "kich hoat", "mo khoa", "hoan", "nap",
		"rut", "dang ky"};
	static const char *const what[] = {"tien mat", "the tin dung", "giai thuong", "tai khoan",
		"cong tac vien", "ho so", "can cuoc", "phi van chuyen", "khoan vay", "sim",
		"hoa don", "phat nguoi", "co phieu", "qua tang", "don hang", "bao hiem",
		"hop dong"};
	static const char *const how[] = {
		"lien ket", "hom nay", "mien phi", "lai thap", "trong 24h"};
	const char *x = verb[i % 15], *y = what[i / 15 % 17], *z = how[i / 255 % 5];

	buf_fmt(b,
		"  - {id: %zu, symbol: MADE_%zu, class: scam, weight: 0.5, description: x, "
		"pattern: '\\b%s "
		"(?:\\w{1,8} )?%s\\b.{0,30}\\b%s\\b', match: ['%s %s thi %s'], nomatch: ['0']}\n",
		500000 + i, i, x, y, z, x, y, z);
}

static void write_file(const char *dir, const char *name, struct slice text)
{
	char path[ROOM];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (f == NULL || fwrite(text.ptr, 1, text.len, f) != text.len || fclose(f) != 0)
		abort();
}

static void copy_file(const char *dir, const char *name)
{
	BUF_OWN struct buf b;
	char from[ROOM];
	struct err e = {0};

	buf_init(&b, (size_t)8 << 20);
	(void)snprintf(from, sizeof(from), SOURCE_DIR "/etc/rules/%s", name);
	if (file_read(from, false, &b, &e) != RC_OK)
		abort();
	write_file(dir, name, buf_slice(&b));
}

static void remove_folder(const char *dir)
{
	char path[ROOM];
	DIR *d = opendir(dir);

	for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, f->d_name);
		(void)unlink(path);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
}

/* The shipped patterns, fewer of them or with made ones after them, the shipped words and links beside them. */
static struct pack *pack_of(const struct pack *shipped, size_t rules, const char *homoglyphs)
{
	char dir[] = "/tmp/bench-classify-XXXXXX";
	struct pack *p = NULL;
	struct complaints c;
	struct err e = {0};
	BUF_OWN struct buf b;
	size_t n = 0;

	if (mkdtemp(dir) == NULL)
		abort();
	complaints_init(&c);
	buf_init(&b, (size_t)8 << 20);
	buf_fmt(&b,
		"pack: bench\nbias: %f\nscam_share: 0.5\ncaps: {scam: 9, spam: 7, ham: "
		"7}\nrules:\n",
		shipped->bias);
	for (size_t i = 0; i < shipped->rules && n < rules; i++)
		if (shipped->rule[i].fact == FACT_NONE)
			add_rule(&b, &shipped->rule[i], ++n);
	for (size_t i = 0; n < rules; i++, n++)
		add_made(&b, i);
	write_file(dir, "bench.yaml", buf_slice(&b));
	copy_file(dir, "links.yaml");
	copy_file(dir, "vn-words.yaml");
	if (pack_load(dir, homoglyphs, &c, &p, &e) != RC_OK) {
		fprintf(stderr, "%s\n%s", e.text, c.text.ptr != NULL ? c.text.ptr : "");
		abort();
	}
	complaints_done(&c);
	remove_folder(dir);
	return p;
}

/* ---- what is measured ---- */

struct world {
	const struct pack *p;
	const struct model *model;
	struct arena *arena; /* of one message */
	struct folded folded[ARRAY_LEN(messages)];
	struct prefilter_scratch *hs;
	struct re_scratch *re;
	uint64_t *candidate[ARRAY_LEN(messages)];
	struct span *span[ARRAY_LEN(messages)];
	struct features *features;
	struct scan *scan;
	hs_database_t *bare;
	hs_scratch_t *bare_scratch;
	double limit_us;
};

static void step_fold(struct world *w, size_t i)
{
	struct folded f;

	arena_reset(w->arena);
	if (fold(w->p->fold, slice_str(messages[i]), w->arena, &f) != RC_OK)
		abort();
}

static void step_extract(struct world *w, size_t i)
{
	static struct evidence found[BOUND_EVIDENCE];
	size_t n;

	arena_reset(w->arena);
	if (extract(w->p->links, &w->folded[i], w->arena, found, &n) != RC_OK)
		abort();
}

static void step_scan(struct world *w, size_t i)
{
	memset(w->candidate[i], 0, (w->p->rules / 64 + 1) * sizeof(uint64_t));
	prefilter_scan(w->p->folded, w->hs, w->folded[i].text, w->candidate[i], w->span[i]);
	if (w->p->raw != NULL)
		prefilter_scan(
			w->p->raw, w->hs, slice_str(messages[i]), w->candidate[i], w->span[i]);
}

static void step_confirm(struct world *w, size_t i)
{
	size_t from, to;

	for (size_t k = 0; k < w->p->rules; k++) {
		const struct rule *r = &w->p->rule[k];

		if (bit_get(w->candidate[i], k) && r->re != NULL)
			(void)re_find_near(r->re, w->re,
				r->raw ? slice_str(messages[i]) : w->folded[i].text, w->span[i][k],
				&from, &to);
	}
}

static void step_model(struct world *w, size_t i)
{
	struct model_said said;

	model_judge(w->model, w->folded[i].text, w->features, &said);
}

static void step_sketch(struct world *w, size_t i)
{
	struct sketch s;

	sketch_make(w->folded[i].text, &s);
}

static void step_verdict(struct world *w, size_t i)
{
	static struct verdict v;

	classify(w->scan, slice_str(messages[i]), &v);
}

static int on_match(
	unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg)
{
	(void)from;
	(void)to;
	(void)flags;
	bit_set(arg, id);
	return 0;
}

static void step_bare(struct world *w, size_t i)
{
	if (hs_scan(w->bare, w->folded[i].text.ptr, (unsigned)w->folded[i].text.len, 0,
		    w->bare_scratch, on_match, w->candidate[i]) != HS_SUCCESS)
		abort();
}

static void step_one_by_one(struct world *w, size_t i)
{
	size_t from, to;

	for (size_t k = 0; k < w->p->rules; k++)
		if (w->p->rule[k].re != NULL && !w->p->rule[k].raw)
			(void)re_find(w->p->rule[k].re, w->re, w->folded[i].text, &from, &to);
}

/* Microseconds a message, of the best of three runs: what else the machine does is left out. */
static double measure(struct world *w, void (*step)(struct world *, size_t))
{
	double best = 1e12;

	for (int run = 0; run < 3; run++) {
		double start = now_us(), us;
		size_t n = 0;

		do {
			for (size_t i = 0; i < ARRAY_LEN(messages) * 8; i++, n++)
				step(w, i % ARRAY_LEN(messages));
			us = now_us() - start;
		} while (us < w->limit_us / 3);
		best = us / (double)n < best ? us / (double)n : best;
	}
	return best;
}

/* Every pattern as it is written; looking around is weakened by the library itself. */
static void compile_bare(struct world *w)
{
	const char **text = calloc(w->p->rules + 1, sizeof(*text));
	unsigned *flags = calloc(w->p->rules + 1, sizeof(*flags)),
		 *id = calloc(w->p->rules + 1, sizeof(*id)), n = 0;
	hs_compile_error_t *why;

	if (text == NULL || flags == NULL || id == NULL)
		abort();
	for (size_t i = 0; i < w->p->rules; i++) {
		const struct rule *r = &w->p->rule[i];

		if (r->re == NULL || r->raw)
			continue;
		text[n] = strndup(r->pattern.ptr, r->pattern.len);
		flags[n] = HS_FLAG_CASELESS | HS_FLAG_PREFILTER;
		id[n++] = (unsigned)i;
	}
	hs_error_t rc;
	while ((rc = hs_compile_multi(text, flags, id, n, HS_MODE_BLOCK, NULL, &w->bare, &why)) !=
			HS_SUCCESS &&
		why != NULL && why->expression >= 0 && n > 1) {
		unsigned at = (unsigned)why->expression;

		printf("  without %s: %s\n", w->p->rule[id[at]].symbol, why->message);
		(void)hs_free_compile_error(why);
		free((void *)(uintptr_t)text[at]);
		n--;
		text[at] = text[n];
		flags[at] = flags[n];
		id[at] = id[n];
	}
	if (rc != HS_SUCCESS || hs_alloc_scratch(w->bare, &w->bare_scratch) != HS_SUCCESS) {
		fprintf(stderr, "bare scan: %s\n",
			rc != HS_SUCCESS && why != NULL ? why->message : "no scratch");
		abort();
	}
	for (unsigned i = 0; i < n; i++)
		free((void *)(uintptr_t)text[i]);
	free((void *)text);
	free(flags);
	free(id);
}

static void open_world(struct world *w)
{
	struct err e = {0};

	w->arena = arena_new((size_t)8 << 20);
	w->re = re_scratch_new();
	w->features = malloc(sizeof(*w->features));
	if (w->arena == NULL || w->re == NULL || w->features == NULL ||
		prefilter_scratch_new(w->p->folded, w->p->raw, &w->hs, &e) != RC_OK ||
		scan_new(w->p, &w->scan, &e) != RC_OK || scan_model(w->scan, w->model, &e) != RC_OK)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		struct folded f;

		arena_reset(w->arena);
		w->candidate[i] = calloc(w->p->rules / 64 + 1, sizeof(uint64_t));
		w->span[i] = calloc(w->p->rules + 1, sizeof(struct span));
		if (w->candidate[i] == NULL || w->span[i] == NULL ||
			fold(w->p->fold, slice_str(messages[i]), w->arena, &f) != RC_OK)
			abort();
		char *text = malloc(f.text.len + 1);
		uint32_t *map = calloc(f.text.len + 1, sizeof(*map));
		if (text == NULL || map == NULL)
			abort();
		memcpy(text, f.text.ptr, f.text.len);
		memcpy(map, f.map, (f.text.len + 1) * sizeof(*map));
		w->folded[i] = (struct folded){slice_of(text, f.text.len), map};
	}
}

static void close_world(struct world *w)
{
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		free((void *)(uintptr_t)w->folded[i].text.ptr);
		free((void *)(uintptr_t)w->folded[i].map);
		free(w->candidate[i]);
		free(w->span[i]);
	}
	scan_free(w->scan);
	free(w->features);
	re_scratch_free(w->re);
	prefilter_scratch_free(w->hs);
	arena_free(w->arena);
	(void)hs_free_scratch(w->bare_scratch);
	(void)hs_free_database(w->bare);
}

static void bench_pack(
	const char *name, const struct pack *p, const struct model *m, double limit_us)
{
	static const struct {
		const char *name;
		void (*step)(struct world *, size_t);
	} stages[] = {{"fold", step_fold}, {"extract", step_extract}, {"scan", step_scan},
		{"confirm", step_confirm}, {"model", step_model}, {"sketch", step_sketch}};
	struct world w = {.p = p, .model = m, .limit_us = limit_us};
	struct err e = {0};
	double all, bare, single;

	open_world(&w);
	printf("%s: %zu rules\n  us a message:", name, pack_rules(p));
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		double us = measure(&w, stages[i].step);

		printf(" %s %.2f", stages[i].name, us);
	}
	all = measure(&w, step_verdict);
	if (scan_model(w.scan, NULL, &e) != RC_OK)
		abort();
	printf(", all %.2f, without model %.2f\n", all, measure(&w, step_verdict));
	compile_bare(&w);
	bare = measure(&w, step_bare);
	single = measure(&w, step_one_by_one);
	printf("  messages/s: all of it %.0f, bare libhs scan %.0f (%.2f of it), PCRE2 one by one "
	       "%.0f "
	       "(%.0f times it)\n",
		1e6 / all, 1e6 / bare, bare / all, 1e6 / single, single / all);
	close_world(&w);
}

/* How long a start takes that finds the packs kept. */
static void bench_kept(const char *homoglyphs)
{
	char dir[] = "/tmp/bench-classify-XXXXXX";
	struct complaints c;
	struct err e = {0};

	if (mkdtemp(dir) == NULL)
		abort();
	complaints_init(&c);
	for (int i = 0; i < 2; i++) {
		OWN(pack_free) struct pack *p = NULL;
		double start = now_us();

		if (pack_load_cached(SOURCE_DIR "/etc/rules", homoglyphs, dir, &c, &p, &e) != RC_OK)
			abort();
		printf("%s in %.0f ms\n", i == 0 ? "loaded and kept" : "taken from what was kept",
			(now_us() - start) / 1000);
	}
	complaints_done(&c);
	remove_folder(dir);
}

/* The fastest of three, so that what else the machine does is left out. */
static double longest_us(struct scan *s, struct slice unit, double *worst, bool *undecided)
{
	static char text[BOUND_CONTENT];
	static struct verdict v;
	double best = 1e12;
	size_t len = 0;

	while (unit.len > 0 && len + unit.len <= sizeof(text)) {
		memcpy(text + len, unit.ptr, unit.len);
		len += unit.len;
	}
	for (int i = 0; i < 3; i++) {
		double start = now_us();

		classify(s, slice_of(text, len), &v);
		best = now_us() - start < best ? now_us() - start : best;
	}
	*undecided = v.undecided;
	*worst = best > *worst ? best : *worst;
	return best;
}

static void bench_hostile(const struct pack *p, struct scan *s)
{
	static const char *const units[] = {"a", "1", " ", ".", "a ", "1 ", "a.", "1.",
		"0912345678 ", "500.000d ", "http://a.", "a.a/", "!@#$", "vay tien ", "v.a.y ",
		"v a y  ", "ế", "ﷺ", "о", "http://vcb-", "zalo ", "stk 1", "khong mot hai ",
		"telegram @"};
	double worst = 0, slow_us = 5000;
	size_t texts = 0, slow = 0, given_up = 0;
	bool undecided;

	for (size_t i = 0; i < ARRAY_LEN(units); i++, texts++) {
		slow += longest_us(s, slice_str(units[i]), &worst, &undecided) > slow_us;
		given_up += undecided;
	}
	for (size_t i = 0; i < p->rules; i++)
		for (const struct yaml *x = p->rule[i].match->child; x != NULL;
			x = x->next, texts++) {
			struct slice half = slice_of(x->value.ptr, x->value.len / 2);

			slow += longest_us(s, x->value, &worst, &undecided) > slow_us;
			given_up += undecided;
			while (half.len > 0 && !slice_utf8_valid(half))
				half.len--;
			slow += longest_us(s, half, &worst, &undecided) > slow_us;
			given_up += undecided;
		}
	printf("hostile   %zu texts of 4096 bytes, two kinds of each example: worst %.2f ms, %zu "
	       "over %.0f "
	       "ms, %zu undecided\n",
		texts, worst / 1000, slow, slow_us / 1000, given_up);
}

int main(int argc, char **argv)
{
	static const char homoglyphs[] = SOURCE_DIR "/etc/fold/homoglyphs.tsv";
	double limit_us = (argc > 1 && atof(argv[1]) > 0 ? atof(argv[1]) : 1) * 1e6;
	bool ours = argc > 1 && strcmp(argv[1], "ours") == 0;
	OWN(pack_free) struct pack *pack = NULL;
	OWN(model_free) struct model *model = NULL;
	OWN(scan_free) struct scan *scan = NULL;
	struct complaints c;
	struct err e = {0};

	if (argc > 1 && strcmp(argv[1], "texts") == 0) {
		for (size_t i = 0; i < ARRAY_LEN(messages); i++)
			puts(messages[i]);
		return 0;
	}
	complaints_init(&c);
	double start = now_us();
	if (pack_load(SOURCE_DIR "/etc/rules", homoglyphs, &c, &pack, &e) != RC_OK ||
		model_load(SOURCE_DIR "/etc/model/shipped.khm", &model, &e) != RC_OK ||
		scan_new(pack, &scan, &e) != RC_OK || scan_model(scan, model, &e) != RC_OK) {
		fprintf(stderr, "%s\n%s", e.text, c.text.ptr != NULL ? c.text.ptr : "");
		return 1;
	}
	complaints_done(&c);
	double loaded_ms = (now_us() - start) / 1000;
	OWN(pack_free) struct pack *large = pack_of(pack, 1000, homoglyphs);
	if (ours) {
		struct world w = {.p = large, .model = model, .limit_us = limit_us};

		open_world(&w);
		printf("%.0f\n", 1e6 / measure(&w, step_verdict));
		close_world(&w);
		return 0;
	}
	printf("packs %s: %zu rules, loaded and checked in %.0f ms\n", pack_version(pack),
		pack_rules(pack), loaded_ms);
	bench_kept(homoglyphs);
	OWN(pack_free) struct pack *small = pack_of(pack, 200, homoglyphs);
	bench_pack("shipped", pack, model, limit_us);
	bench_pack("200", small, model, limit_us);
	bench_pack("1,000", large, model, limit_us);
	bench_hostile(pack, scan);
	return 0;
}
