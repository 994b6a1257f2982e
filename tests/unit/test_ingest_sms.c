/* sms_split: what citizens write to 156 and 5656. Content and sender are invented. */
#include "tests/unit/ingest_world.h"

#define NUMBER "84812341213"

static const struct {
	const char *text;
	enum sms_kind want;
	enum kind kind;
	const char *sender, *content; /* sender: normalised; "-" withheld, "!" not understood */
} cases[] = {
	/* the official forms */
	{"S [0812341213] [mua nha gia re]", SMS_REPORT, KIND_S, NUMBER, "mua nha gia re"},
	{"S (0812341213) (mua nha gia re)", SMS_REPORT, KIND_S, NUMBER, "mua nha gia re"},
	{"V [0812341213] [goi quang cao]", SMS_REPORT, KIND_V, NUMBER, "goi quang cao"},
	{"V (0812341213) (goi quang cao)", SMS_REPORT, KIND_V, NUMBER, "goi quang cao"},
	{"LD (0812341213) (gia cong an)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"LD [0812341213] [gia cong an]", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	/* keyword: case, blanks, marks */
	{"ld (0812341213) (gia cong an)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"Ld(0812341213)(gia cong an)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"LĐ (0812341213) (giả công an)", SMS_REPORT, KIND_LD, NUMBER, "giả công an"},
	{"lđ(0812341213) giả công an", SMS_REPORT, KIND_LD, NUMBER, "giả công an"},
	{"s(0812341213)(abc)", SMS_REPORT, KIND_S, NUMBER, "abc"},
	{"  v   (0812341213)   (abc)  ", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V\r\n(0812341213)\r\n(abc)\r\n", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V\xc2\xa0(0812341213)\xe2\x80\x8b(abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"\xef\xbb\xbfV (0812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V: (0812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V0812341213 lua dao", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V+84812341213 lua dao", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	/* brackets: mixed, unbalanced, full width, none */
	{"V [0812341213) (abc]", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V [0812341213] (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (0812341213 (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (0812341213) (abc", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (0812341213 abc", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V 0812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V （0812341213）（abc）", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V 0812341213 (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V 0812341213 abc", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V 0812341213, abc", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V 0812341213: abc", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (0812341213) (abc (d) e)", SMS_REPORT, KIND_V, NUMBER, "abc (d) e"},
	/* content: outside, tail, none, empty */
	{"V(0812341213) lua dao", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V (0812341213) (lua dao) nho xu ly", SMS_REPORT, KIND_V, NUMBER, "lua dao nho xu ly"},
	{"V (0812341213) lua dao (gia cong an)", SMS_REPORT, KIND_V, NUMBER,
		"lua dao (gia cong an)"},
	{"V (0812341213) - (lua dao)", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V (0812341213)(lua dao)(lan 2)", SMS_REPORT, KIND_V, NUMBER, "lua dao (lan 2)"},
	{"V (0812341213)", SMS_REPORT, KIND_V, NUMBER, ""},
	{"V 0812341213", SMS_REPORT, KIND_V, NUMBER, ""},
	{"V (0812341213) ()", SMS_REPORT, KIND_V, NUMBER, ""},
	{"S (0812341213) (50%n %s %d)", SMS_REPORT, KIND_S, NUMBER, "50%n %s %d"},
	{"S (0812341213) (dong 1\r\ndong 2)", SMS_REPORT, KIND_S, NUMBER, "dong 1\r\ndong 2"},
	{"S (0812341213) (\xe2\x80\xaexyz)", SMS_REPORT, KIND_S, NUMBER, "\xe2\x80\xaexyz"},
	/* a dash in one bracket */
	{"LD (0812341213 - gia cong an)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"LD (0812341213-gia cong an)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"LD (0812-341-213 - gia cong an)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"LD [0812341213 – giả công an]", SMS_REPORT, KIND_LD, NUMBER, "giả công an"},
	{"LD 0812341213 - gia cong an", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"LD (gia cong an - 0812341213)", SMS_REPORT, KIND_LD, NUMBER, "gia cong an"},
	{"S (VIETTHANG - trung thuong xe)", SMS_REPORT, KIND_S, "vietthang", "trung thuong xe"},
	/* numbers as people write them */
	{"V (0812 341 213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (0812.341.213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (+84 812 341 213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (84812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (0084812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V ((+84) 812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (+84) 812341213 (abc)", SMS_REPORT, KIND_V, NUMBER, "abc"},
	{"V (024) 3825 1234 lua dao", SMS_REPORT, KIND_V, "842438251234", "lua dao"},
	{"V 0812 341 213 doi 500 trieu", SMS_REPORT, KIND_V, NUMBER, "doi 500 trieu"},
	{"V (0812341213) 500", SMS_REPORT, KIND_V, NUMBER, "500"},
	{"V 0812341213 500 trieu", SMS_REPORT, KIND_V, NUMBER, "500 trieu"},
	{"V (so 0812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "so abc"},
	{"V (0243 825 1234) (abc)", SMS_REPORT, KIND_V, "842438251234", "abc"},
	{"V (+1 202 456 1111) (abc)", SMS_REPORT, KIND_V, "12024561111", "abc"},
	{"V 19001234 quay roi", SMS_REPORT, KIND_V, "19001234", "quay roi"},
	{"V 1900 1234 quay roi", SMS_REPORT, KIND_V, "19001234", "quay roi"},
	/* short codes and sender IDs */
	{"S [9029] [trung thuong]", SMS_REPORT, KIND_S, "9029", "trung thuong"},
	{"S 9029 12 thang trung thuong", SMS_REPORT, KIND_S, "9029", "12 thang trung thuong"},
	{"S (VIETTHANG) (trung thuong)", SMS_REPORT, KIND_S, "vietthang", "trung thuong"},
	{"S (viet thang) (trung thuong)", SMS_REPORT, KIND_S, "viet thang", "trung thuong"},
	{"S [VIET THANG] goi ngay 0812341213", SMS_REPORT, KIND_S, "viet thang",
		"goi ngay 0812341213"},
	{"S (VIETTHANG) (goi ngay 0812341213 nhan xe)", SMS_REPORT, KIND_S, "vietthang",
		"goi ngay 0812341213 nhan xe"},
	{"S VIETTHANG (trung thuong)", SMS_REPORT, KIND_S, "vietthang", "trung thuong"},
	{"S VIETTHANG trung thuong", SMS_REPORT, KIND_S, "vietthang", "trung thuong"},
	{"S (vietthang)", SMS_REPORT, KIND_S, "vietthang", ""},
	{"S (VIET THANG)", SMS_REPORT, KIND_S, "viet thang", ""},
	{"S (VIETTHANG)", SMS_REPORT, KIND_S, "vietthang", ""},
	/* the other way round */
	{"V (lua dao trung thuong) (0812341213)", SMS_REPORT, KIND_V, NUMBER,
		"lua dao trung thuong"},
	{"V (lua dao) (0812341213)", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V (lua dao) 0812341213", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V lua dao (0812341213)", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V goi lua dao 0812341213", SMS_REPORT, KIND_V, NUMBER, "goi lua dao"},
	{"V so 0812341213 goi lua dao", SMS_REPORT, KIND_V, NUMBER, "so goi lua dao"},
	{"V (lua dao trung thuong xe) (so 0812341213)", SMS_REPORT, KIND_V, NUMBER,
		"lua dao trung thuong xe so"},
	{"S (ban trung thuong xe may) (VIETTHANG)", SMS_REPORT, KIND_S, "vietthang",
		"ban trung thuong xe may"},
	/* withheld, and numbers that are none */
	{"V (an danh) (goi luc nua dem)", SMS_REPORT, KIND_V, "-", "goi luc nua dem"},
	{"V (081234121) (lua dao)", SMS_REPORT, KIND_V, "!", "lua dao"},
	{"V (08123412131415161718) (lua dao)", SMS_REPORT, KIND_V, "!", "lua dao"},
	{"V (081234121) (goi lai so 0912345678)", SMS_REPORT, KIND_V, "!", "goi lai so 0912345678"},
	{"V 081234121 lua dao", SMS_REPORT, KIND_V, "!", "lua dao"},
	/* the same twice is one; two are for people */
	{"V (0812341213) (+84812341213)", SMS_REPORT, KIND_V, NUMBER, "+84812341213"},
	{"V (0812341213) (goi lai so 0912345678)", SMS_REPORT, KIND_V, NUMBER,
		"goi lai so 0912345678"},
	{"V (0812341213) (0912345678)", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V (0812341213) 19001234", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V 0812341213 0912345678", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V (0812341213 - 0912345678)", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V (0812341213) (lua dao) (0912345678)", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V goi tu 0812341213 va 0912345678", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"S (VIETTHANG) (0812341213)", SMS_TWO_SENDERS, KIND_S, NULL, NULL},
	/* where a number among other text ends: never in the middle of a word or inside a bracket */
	{"S Nhan qua lon LH 19001255 (1.000d/p)", SMS_REPORT, KIND_S, "19001255",
		"Nhan qua lon LH (1.000d/p)"},
	{"S Nhan qua lon LH 1900 1255 (1.000d/p)", SMS_REPORT, KIND_S, "19001255",
		"Nhan qua lon LH (1.000d/p)"},
	{"S Nhan qua lon LH 1900 1255 1.000d/p", SMS_REPORT, KIND_S, "19001255",
		"Nhan qua lon LH 1.000d/p"},
	{"V 19001255 12 thang", SMS_REPORT, KIND_V, "19001255", "12 thang"},
	{"V 1900 5454 15 quay roi", SMS_REPORT, KIND_V, "1900545415", "quay roi"},
	{"V +12024561111 500 trieu", SMS_REPORT, KIND_V, "12024561111", "500 trieu"},
	{"V +375 29 1234567 500k", SMS_REPORT, KIND_V, "375291234567", "500k"},
	{"V 0812341213lua dao", SMS_REPORT, KIND_V, NUMBER, "lua dao"},
	{"V (0841234567) 500 trieu", SMS_REPORT, KIND_V, "84841234567", "500 trieu"},
	{"V goi 19001234!", SMS_REPORT, KIND_V, "19001234", "goi !"},
	{"V goi 19001234-19001235", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	/* digits in front and another sender in brackets */
	{"V 0812341213 - Nhà cái uy tín - [0912345678]", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"S 9679, lh 0987654321 (+375293303654)", SMS_TWO_SENDERS, KIND_S, NULL, NULL},
	{"V (0812341213 goi moi) (0912345678)", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V (500 trieu vay nhanh) (0812341213)", SMS_REPORT, KIND_V, NUMBER, "500 trieu vay nhanh"},
	{"V 0812341213 goi moi (+84812341213)", SMS_REPORT, KIND_V, NUMBER, "0812341213 goi moi"},
	{"LD 9430 [+84904160516]", SMS_TWO_SENDERS, KIND_LD, NULL, NULL},
	{"S (vay tin chap) (MUA NGAY)", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S (Nhà cái uy tín) SHOP11", SMS_NO_SENDER, KIND_S, NULL, NULL},
	/* pictures and full-width signs are no letters */
	{"V 📞0812341213 lua dao", SMS_REPORT, KIND_V, NUMBER, "📞 lua dao"},
	{"V goi 19001234👉 quay roi", SMS_REPORT, KIND_V, "19001234", "goi 👉 quay roi"},
	{"V📞 (0812341213) (abc)", SMS_REPORT, KIND_V, NUMBER, "📞 (abc)"},
	{"V goi 19001234！", SMS_REPORT, KIND_V, "19001234", "goi ！"},
	{"V goi 19001234đ", SMS_NO_SENDER, KIND_V, NULL, NULL},
	/* amounts of money, accounts and labels are no senders */
	{"S Ban trung thuong 350.000.000 dong", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S Ban trung thuong 350 000 000 dong", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S Ban trung thuong 912345678d", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S Ban trung thuong 1.800.000.000 dong", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S Ban trung thuong 19000000d", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"LD bi lua chuyen vao STK 0071000123456", SMS_NO_SENDER, KIND_LD, NULL, NULL},
	{"V 0071000123456 lua dao", SMS_REPORT, KIND_V, "71000123456", "lua dao"},
	{"S 350.000.000 dong cho ban", SMS_TWO_SENDERS, KIND_S, NULL, NULL},
	{"S 1.800.000.000 dong cho ban", SMS_TWO_SENDERS, KIND_S, NULL, NULL},
	{"S (350.000.000) (dong cho ban)", SMS_REPORT, KIND_S, "84350000000", "dong cho ban"},
	{"V (1900) 1234 quay roi", SMS_REPORT, KIND_V, "19001234", "quay roi"},
	{"S 500.000d cho ban", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S 500k cho ban", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S 100% cho ban", SMS_REPORT, KIND_S, "!", "cho ban"},
	{"S 113/114 gia danh", SMS_REPORT, KIND_S, "!", "gia danh"},
	{"V 912345678 lua dao", SMS_REPORT, KIND_V, "84912345678", "lua dao"},
	{"V 912 345 678 lua dao", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V 0812341213 0912345678 lua dao", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V 0812341213, +84812341213 lua dao", SMS_REPORT, KIND_V, NUMBER, "+84812341213 lua dao"},
	{"S [QC] Vay tien nhanh", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S (SDT: 0812341213) (vay tien)", SMS_REPORT, KIND_S, NUMBER, "SDT vay tien"},
	{"S (Zalo: 0812341213) (vay tien)", SMS_TWO_SENDERS, KIND_S, NULL, NULL},
	{"S (AGRI-BANK - vay tien)", SMS_REPORT, KIND_S, "agri-bank", "vay tien"},
	{"S (VIETTHANG: vay tien)", SMS_REPORT, KIND_S, "vietthang", "vay tien"},
	{"S Alo: vay tien", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S ALO: vay tien", SMS_REPORT, KIND_S, "alo", "vay tien"},
	/* brackets that never close, brackets in words, groups in a row, empty groups */
	{"LD (boss :( buon di) (7510)", SMS_REPORT, KIND_LD, "7510", "boss : buon di"},
	{"LD (boss :( buồn dị) (7510)", SMS_REPORT, KIND_LD, "7510", "boss : buồn dị"},
	{"LD ((QC-VTL2)Mung sinh nhat) (SHOP69)", SMS_REPORT, KIND_LD, "shop69",
		"(QC-VTL2)Mung sinh nhat"},
	{"LD ((QC-VTL2)Mung sinh nhat)", SMS_NO_SENDER, KIND_LD, NULL, NULL},
	{"S (A(1)) (vay tien)", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S (a)(b)(c)(d)(e)(f)(g)(0812341213)", SMS_REPORT, KIND_S, NUMBER,
		"a b (c) (d) (e) (f) (g)"},
	{"S () (Spam)", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S () (0812341213)", SMS_REPORT, KIND_S, NUMBER, ""},
	/* separators at the ends of a group are no part of a sender */
	{"S (SHOP53  - [lh 0987654321]", SMS_REPORT, KIND_S, "shop53", "lh 0987654321"},
	{"LD [SHOP69, ...] (lua dao.)", SMS_REPORT, KIND_LD, "shop69", "lua dao."},
	{"S (ban trung thuong xe may) (SHOP69.)", SMS_REPORT, KIND_S, "shop69",
		"ban trung thuong xe may"},
	{"S (: SHOP69) (0812341213,)", SMS_TWO_SENDERS, KIND_S, NULL, NULL},
	{"V (0812341213,) (0912345678:)", SMS_TWO_SENDERS, KIND_V, NULL, NULL},
	{"V (lua dao) (0912345678:)", SMS_REPORT, KIND_V, "84912345678", "lua dao"},
	{"S (-) (Spam)", SMS_NO_SENDER, KIND_S, NULL, NULL},
	/* in capitals: two at least */
	{"S E ơi vay tien", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S 11A7 (vay tien)", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S CAFà (vay tien)", SMS_REPORT, KIND_S, "cafà", "vay tien"},
	{"S VIETTHANG 500 trieu", SMS_NO_SENDER, KIND_S, NULL, NULL},
	/* nobody named */
	{"V", SMS_NO_SENDER, KIND_V, NULL, NULL},
	{"LD   ", SMS_NO_SENDER, KIND_LD, NULL, NULL},
	{"V () (lua dao)", SMS_NO_SENDER, KIND_V, NULL, NULL},
	{"V (lua dao trung thuong)", SMS_NO_SENDER, KIND_V, NULL, NULL},
	{"V (lua dao)", SMS_NO_SENDER, KIND_V, NULL, NULL},
	{"V goi lua dao", SMS_NO_SENDER, KIND_V, NULL, NULL},
	{"S Ban da trung thuong xe may", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S (20 000 dong mot tin)", SMS_NO_SENDER, KIND_S, NULL, NULL},
	{"S BAN DA TRUNG THUONG XE MAY", SMS_NO_SENDER, KIND_S, NULL, NULL},
	/* no keyword */
	{"", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	{"0812341213 lua dao", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	{"Spam (0812341213)", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	{"Vui long chan 0812341213", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	{"Sự kiện (0812341213)", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	{"DK (0812341213)", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	{"FWD (0812341213)", SMS_NO_KEYWORD, KIND_S, NULL, NULL},
	/* the registry's */
	{"DK DNC", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"dk dnc s", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"DK DNC V", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"HUY DNC", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"HỦY DNC S", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"HU\xcc\x89Y DNC", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"ĐK  DNC", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"FW [mua nha gia re]", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"fw mua nha", SMS_REGISTRY, KIND_S, NULL, NULL},
	{"TCTM example.vn", SMS_REGISTRY, KIND_S, NULL, NULL},
};

static struct world w;

static void sender_text(struct slice raw, char *out, size_t room)
{
	int64_t when = 1788000000 * US_PER_S;
	struct sender s = {.scope = SCOPE_NONE};
	const char *why;
	enum sender_found found = sender_parse(w.plan, raw, when, &s, &why);

	(void)snprintf(out, room, "%s",
		found == SENDER_OK                 ? s.value
			: found == SENDER_WITHHELD ? "-"
			: found == SENDER_OLD      ? "old"
						   : "!");
}

static void test_spellings(void)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sms_parts parts = {0};
		char sender[64];
		enum sms_kind got;

		CHECK_CASE("%s", cases[i].text);
		got = sms_split(
			w.plan, slice_str(cases[i].text), 1788000000 * US_PER_S, w.arena, &parts);
		if (!CHECK_INT(got, cases[i].want) || got != SMS_REPORT)
			continue;
		CHECK_STR(kind_name(parts.kind), kind_name(cases[i].kind));
		sender_text(parts.sender_raw, sender, sizeof(sender));
		CHECK_STR(sender, cases[i].sender);
		CHECK_SLICE(parts.content, cases[i].content);
	}
}

/* Old 11-digit numbers: mapped before the border, a hint after it; a sender in both. */
static void test_old_numbers(void)
{
	struct sms_parts parts;

	CHECK_INT(sms_split(w.plan, SLICE("V (01681234567) (abc)"), 1500000000 * US_PER_S, w.arena,
			  &parts),
		SMS_REPORT);
	CHECK_SLICE(parts.sender_raw, "01681234567");
	CHECK_INT(sms_split(w.plan, SLICE("V (01681234567) (abc)"), 1788000000 * US_PER_S, w.arena,
			  &parts),
		SMS_REPORT);
	CHECK_SLICE(parts.sender_raw, "01681234567");
	CHECK_SLICE(parts.content, "abc");
}

static void test_full_arena(void)
{
	struct arena *small = arena_new(1);
	struct sms_parts parts;

	while (arena_alloc(small, 16) != NULL)
		continue;
	CHECK_INT(
		sms_split(w.plan, SLICE("V (0812341213) (abc) def"), 0, small, &parts), SMS_REPORT);
	CHECK(parts.content.ptr == NULL);
	arena_free(small);
}

int main(void)
{
	world_init(&w);
	RUN(test_spellings);
	RUN(test_old_numbers);
	RUN(test_full_arena);
	world_done(&w);
	return check_done();
}
