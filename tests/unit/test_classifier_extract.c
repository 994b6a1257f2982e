/* Evidence in a text: links, numbers, accounts and handles, plain and hidden, what is suspicious of a link, and where it stands. */
#include "base/base.h"
#include "classifier/rules.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static struct pack *pack;
static struct arena *arena;
static char dir[CHECK_PATH];

static const char rules[] =
	"pack: t-1\nbias: -2\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\n"
	"words: [vay]\nspellings: {xacthuc: xac thuc}\n"
	"links:\n"
	"  tlds: [com, vn, me, de]\n"
	"  abused_tlds: [top, vip]\n"
	"  shorteners: [ngan.vn]\n"
	"  brands: {vidubank: [vidubank.com.vn], vdb: [vidubank.com.vn], somomo: [somomo.vn]}\n";

/* All evidence as "kind value [flags] 'raw'", one a line. */
static void list(const char *raw, struct buf *out)
{
	struct evidence e[BOUND_EVIDENCE];
	struct folded f;
	size_t n = 0;

	arena_reset(arena);
	CHECK_INT(fold(pack->fold, slice_str(raw), arena, &f), RC_OK);
	CHECK_INT(pack_extract(pack, &f, arena, e, &n), RC_OK);
	buf_clear(out);
	for (size_t i = 0; i < n; i++) {
		buf_fmt(out, "%s%s ", i > 0 ? "; " : "", evidence_name(e[i].kind));
		buf_add(out, e[i].value);
		for (size_t k = 0; evidence_flag(e[i].flags, k) != NULL; k++)
			buf_fmt(out, " %s", evidence_flag(e[i].flags, k));
		buf_fmt(out, " '%.*s'", (int)e[i].raw_len, raw + e[i].raw_at);
	}
}

static void test_cases(void)
{
	static const struct {
		const char *raw, *want;
	} cases[] = {
		{"", ""},
		{"không có gì ở đây. hẹn gặp lại", ""},
		/* links */
		{"Xem WWW.Vidu.VN nhé", "domain vidu.vn 'WWW.Vidu.VN'"},
		{"vào https://a-b.vidu.com/X1?y=2).",
			"domain a-b.vidu.com 'a-b.vidu.com'; url a-b.vidu.com/x1?y=2 "
			"'a-b.vidu.com/X1?y=2'"},
		{"vidu.com/", "domain vidu.com 'vidu.com'"},
		{"abc.xyz nhe.bạn 3.500 a.b", ""}, /* no top-level domains */
		{"a@vidu.com b.vn@vidu.com", ""},
		{"xong.vn.Em", "domain xong.vn 'xong.vn'"},
		{"-vidu.com vidu-.com", ""},
		{"vidu.top", "domain vidu.top abused_tld 'vidu.top'"},
		{"ngan.vn/Ab",
			"domain ngan.vn shortener 'ngan.vn'; url ngan.vn/ab shortener "
			"'ngan.vn/Ab'"},
		{"http://10.0.0.1/x 10.0.0.1 //1.2.3.256",
			"domain 10.0.0.1 ip_address '10.0.0.1'; url 10.0.0.1/x ip_address "
			"'10.0.0.1/x'"},
		/* hidden ones */
		{"vdb . xacthuc . top ngay",
			"domain vdb.xacthuc.top lookalike abused_tld hidden 'vdb . xacthuc . top'"},
		{"vidu88 .com, vidu77[.]vn (vidu66 (dot) vip)",
			"domain vidu88.com hidden 'vidu88 .com'; domain vidu77.vn hidden "
			"'vidu77[.]vn'; domain "
			"vidu66.vip abused_tld hidden 'vidu66 (dot) vip'"},
		{"w77 chấm com", "domain w77.com hidden 'w77 chấm com'"},
		{"ăn chậm cơm ngon . Com nay nha .com", ""}, /* rice, not a link */
		{"xem vidu.com . Top ten", "domain vidu.com 'vidu.com'"},
		/* imitations */
		{"vidubank.com.vn www.vidubank.com.vn my.vidubank.com.vn",
			"domain vidubank.com.vn 'vidubank.com.vn'; domain my.vidubank.com.vn "
			"'my.vidubank.com.vn'"},
		{"v1dubank.com", "domain v1dubank.com lookalike 'v1dubank.com'"},
		{"vldubank-abc.com", "domain vldubank-abc.com lookalike 'vldubank-abc.com'"},
		{"vidubank.com.vn.abc.com",
			"domain vidubank.com.vn.abc.com lookalike 'vidubank.com.vn.abc.com'"},
		{"vidubamk.de vidubnk.de vidubbank.de", /* one letter apart */
			"domain vidubamk.de lookalike 'vidubamk.de'; domain vidubnk.de lookalike "
			"'vidubnk.de'; "
			"domain vidubbank.de lookalike 'vidubbank.de'"},
		{"vidubomk.de", "domain vidubomk.de 'vidubomk.de'"},
		{"vdb.de my-vdb.de vdbx.de vdbx.top avdb.top",
			"domain vdb.de lookalike 'vdb.de'; domain my-vdb.de lookalike 'my-vdb.de'; "
			"domain vdbx.de "
			"'vdbx.de'; domain vdbx.top lookalike abused_tld 'vdbx.top'; domain "
			"avdb.top abused_tld "
			"'avdb.top'"},
		{"sornomo.vn", "domain sornomo.vn lookalike 'sornomo.vn'"}, /* rn looks like m */
		{"abc.vdb", ""},
		/* numbers */
		{"0912345678 +84 912 345 679 (0084)-38.765.4321 02838880000",
			"phone 84912345678 '0912345678'; phone 84912345679 '84 912 345 679'; phone "
			"84387654321 "
			"'0084)-38.765.4321'; phone 842838880000 '02838880000'"},
		{"09123456789 091234567 0112345678 A0912345678 0912345678x", ""},
		{"19001234 1900123456 1900 1234 18001",
			"phone 19001234 '19001234'; phone 1900123456 '1900123456'"},
		{"0912345678 0912 345 678", "phone 84912345678 '0912345678'"}, /* once */
		{"gọi không chín một hai ba bốn năm sáu bảy tám ngay",
			"phone 84912345678 'không chín một hai ba bốn năm sáu bảy tám'"},
		{"zero 9 one two 34 five six seven eight",
			"phone 84912345678 'zero 9 one two 34 five six seven eight'"},
		{"một hai ba bốn năm sáu bảy tám chín", ""},
		/* accounts */
		{"chuyển vào STK 0123 4567 8901 nhé", "account 012345678901 '0123 4567 8901'"},
		{"so tai khoan: 123456 (vidubank)", "account 123456 '123456'"},
		{"TK 12345 tai khoan 1.500.000d tk 123456x stk 12345678901234567890", ""},
		{"tk zalo 0912345678",
			"phone 84912345678 '0912345678'; handle zalo:84912345678 '0912345678'"},
		/* handles */
		{"t.me/Lan_hr zalo.me/0912345678 m.me/vidu?x wa.me/",
			"domain t.me 't.me'; url t.me/lan_hr 't.me/Lan_hr'; domain zalo.me "
			"'zalo.me'; url "
			"zalo.me/0912345678 'zalo.me/0912345678'; domain m.me 'm.me'; url "
			"m.me/vidu?x 'm.me/vidu?x'; "
			"domain wa.me 'wa.me'; phone 84912345678 '0912345678'; handle "
			"telegram:lan_hr 'Lan_hr'; "
			"handle zalo:84912345678 '0912345678'; handle facebook:vidu 'vidu'"},
		{"telegram: @lan_hr8 hoặc Telegram @abc @quaxa",
			"handle telegram:lan_hr8 '@lan_hr8'"},
		{"zalo 5 gọi 0912345678 viber em Lan: 0387654321",
			"phone 84912345678 '0912345678'; phone 84387654321 '0387654321'; handle "
			"viber:84387654321 "
			"'0387654321'"},
	};
	BUF_OWN struct buf got;

	buf_init(&got, 1 << 16);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].raw);
		list(cases[i].raw, &got);
		CHECK_SLICE(buf_slice(&got), cases[i].want);
	}
}

/* Whatever comes: values are not empty, places lie inside, and there are never too many. */
static void test_any_text(void)
{
	static const char *const parts[] = {"vdb", "a", "-", ".", " . ", "[.]", " dot ", "//", "/",
		"@", "_", "t.me/", "zalo", "telegram", "stk", "tk", " ", "0", "09", "84", "+",
		"1900", "345678", "0912345678", "khong", "chin mot hai", "ế", "о", "\xFF", "top",
		"com", "vn", "(", "\u200B"};
	uint64_t seed = 21;

	for (int round = 0; round < 20000; round++) {
		char text[400];
		size_t len = 0, n = rnd(&seed, 40);
		struct evidence e[BOUND_EVIDENCE];
		struct folded f;

		for (size_t i = 0; i < n; i++) {
			const char *p = parts[rnd(&seed, ARRAY_LEN(parts))];

			memcpy(text + len, p, strlen(p));
			len += strlen(p);
		}
		CHECK_CASE("%.*s", (int)len, text);
		arena_reset(arena);
		CHECK_INT(fold(pack->fold, slice_of(text, len), arena, &f), RC_OK);
		CHECK_INT(pack_extract(pack, &f, arena, e, &n), RC_OK);
		if (!CHECK(n <= BOUND_EVIDENCE))
			return;
		for (size_t i = 0; i < n; i++)
			if (!CHECK(e[i].value.len > 0 && e[i].raw_len > 0 &&
				    e[i].raw_at + e[i].raw_len <= len))
				return;
	}
}

static void test_many(void)
{
	BUF_OWN struct buf raw;
	BUF_OWN struct buf got;
	size_t items = 1;

	buf_init(&raw, 8192);
	buf_init(&got, 1 << 16);
	for (int i = 0; i < 100; i++)
		buf_fmt(&raw, "a%d.com 09123%05d ", i, i);
	list(raw.ptr, &got);
	for (size_t i = 0; i < got.len; i++)
		items += got.ptr[i] == ';';
	CHECK_INT(items, BOUND_EVIDENCE);
	struct folded f;
	struct evidence e[BOUND_EVIDENCE];
	size_t n;
	OWN(arena_free) struct arena *small = arena_new(64);
	CHECK_INT(fold(pack->fold, buf_slice(&raw), arena, &f), RC_OK);
	CHECK_INT(pack_extract(pack, &f, small, e, &n), RC_LIMIT);
}

int main(void)
{
	struct complaints c;
	struct err e = {0};
	char path[CHECK_PATH * 2];

	check_dir(dir);
	check_file(dir, "t.yaml", slice_str(rules), path);
	complaints_init(&c);
	arena = arena_new(4 << 20);
	if (pack_load(dir, SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack, &e) != RC_OK) {
		printf("%s\n%s", e.text, c.text.ptr != NULL ? c.text.ptr : "");
		return 1;
	}
	RUN(test_cases);
	RUN(test_any_text);
	RUN(test_many);
	pack_free(pack);
	arena_free(arena);
	complaints_done(&c);
	(void)unlink(path);
	(void)rmdir(dir);
	return check_done();
}
