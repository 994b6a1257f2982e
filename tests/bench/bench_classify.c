/* How long one core takes to judge a message with the shipped packs: folding alone, and the whole verdict. The messages are invented, of
 * about 160 characters: notices and chat, loans, a locked account, a disguised bet; half of them with diacritics. Last, the longest
 * that a hostile text takes: every example of every rule, and what searches hate, repeated to the full 4,096 bytes.
 *
 * Beside the rules stand, over the same folded texts, the one scan alone, and PCRE2 asked for each pattern by itself: what the scan saves.
 *
 *	bench_classify [SECONDS] */
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

static void report(const char *what, size_t n, double us, size_t bytes)
{
	printf("%-10s %8.0f messages/s  %6.2f us each  %6.1f MB/s\n", what, (double)n / us * 1e6,
		us / (double)n, (double)bytes / us);
}

static void bench_fold(const struct fold_table *t, double limit_us)
{
	OWN(arena_free) struct arena *a = arena_new((size_t)4 << 20);
	double start = now_us();
	size_t n = 0, bytes = 0;

	for (; now_us() - start < limit_us; n += 600)
		for (size_t i = 0; i < 600; i++) {
			struct slice m = slice_str(messages[i % ARRAY_LEN(messages)]);
			struct folded f;

			arena_reset(a);
			if (fold(t, m, a, &f) != RC_OK)
				abort();
			bytes += m.len;
		}
	report("fold", n, now_us() - start, bytes);
}

static void bench_verdict(struct scan *s, const char *what, double limit_us)
{
	static struct verdict v;
	double start = now_us();
	size_t n = 0, bytes = 0;

	for (; now_us() - start < limit_us; n += 600)
		for (size_t i = 0; i < 600; i++) {
			struct slice m = slice_str(messages[i % ARRAY_LEN(messages)]);

			classify(s, m, &v);
			bytes += m.len;
		}
	report(what, n, now_us() - start, bytes);
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		classify(s, slice_str(messages[i]), &v);
		printf("  %-4s %.3f  %zu terms  %.40s…\n", label_name(v.label), v.score, v.terms,
			messages[i]);
	}
}

/* The folded texts, once for all measurements that begin behind folding. */
static void fold_all(const struct fold_table *t, struct arena *a, struct slice out[])
{
	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		struct folded f;

		if (fold(t, slice_str(messages[i]), a, &f) != RC_OK)
			abort();
		out[i] = f.text;
	}
}

static void bench_scan(
	const struct pack *p, const struct slice text[], const char *what, double limit_us)
{
	OWN(prefilter_scratch_free) struct prefilter_scratch *hs = NULL;
	uint64_t *bits = calloc(p->rules / 64 + 1, sizeof(*bits));
	struct err e = {0};

	if (bits == NULL || prefilter_scratch_new(p->folded, NULL, &hs, &e) != RC_OK)
		abort();
	double start = now_us();
	size_t n = 0, bytes = 0;
	for (; now_us() - start < limit_us; n += 600)
		for (size_t i = 0; i < 600; i++) {
			prefilter_scan(p->folded, hs, text[i % ARRAY_LEN(messages)], bits);
			bytes += text[i % ARRAY_LEN(messages)].len;
		}
	report(what, n, now_us() - start, bytes);
	free(bits);
}

static void bench_one_by_one(
	const struct pack *p, const struct slice text[], const char *what, double limit_us)
{
	OWN(re_scratch_free) struct re_scratch *re = re_scratch_new();
	size_t n = 0, bytes = 0, from, to;
	double start = now_us();

	if (re == NULL)
		abort();
	for (; now_us() - start < limit_us; n += ARRAY_LEN(messages))
		for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
			for (size_t k = 0; k < p->rules; k++)
				if (p->rule[k].re != NULL && !p->rule[k].raw)
					(void)re_find(p->rule[k].re, re, text[i], &from, &to);
			bytes += text[i].len;
		}
	report(what, n, now_us() - start, bytes);
}

/* How long a start takes that finds the packs kept. */
static void bench_kept(const char *homoglyphs)
{
	char dir[] = "/tmp/bench-classify-XXXXXX", path[600];
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
	DIR *d = opendir(dir);
	for (struct dirent *f; d != NULL && (f = readdir(d)) != NULL;) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, f->d_name);
		(void)unlink(path);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
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
	double limit_us = (argc > 1 ? atof(argv[1]) : 2) * 1e6, start = now_us();
	OWN(fold_table_free) struct fold_table *table = NULL;
	OWN(pack_free) struct pack *pack = NULL;
	OWN(model_free) struct model *model = NULL;
	OWN(scan_free) struct scan *scan = NULL;
	struct complaints c;
	struct err e = {0};

	complaints_init(&c);
	if (pack_load(SOURCE_DIR "/etc/rules", homoglyphs, &c, &pack, &e) != RC_OK ||
		scan_new(pack, &scan, &e) != RC_OK ||
		fold_table_load(homoglyphs, &table, &e) != RC_OK) {
		fprintf(stderr, "%s\n%s", e.text, c.text.ptr != NULL ? c.text.ptr : "");
		return 1;
	}
	complaints_done(&c);
	printf("packs %s: %zu rules, loaded and checked in %.0f ms\n", pack_version(pack),
		pack_rules(pack), (now_us() - start) / 1000);
	bench_kept(homoglyphs);
	OWN(arena_free) struct arena *arena = arena_new((size_t)4 << 20);
	struct slice folded[ARRAY_LEN(messages)];
	if (arena == NULL)
		abort();
	fold_all(table, arena, folded);
	bench_fold(table, limit_us);
	bench_scan(pack, folded, "scan only", limit_us);
	bench_one_by_one(pack, folded, "one by one", limit_us);
	bench_verdict(scan, "rules", limit_us);
	if (model_load(SOURCE_DIR "/etc/model/shipped.khm", &model, &e) != RC_OK ||
		scan_model(scan, model, &e) != RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	bench_verdict(scan, "and model", limit_us);
	bench_hostile(pack, scan);
	return 0;
}
