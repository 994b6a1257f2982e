/* Folding: what each step does, that folding twice changes nothing, that the way back to the raw text is true, and what one
 * character may become at most, over all of Unicode. */
#include "base/base.h"
#include "classifier/fold.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

static struct fold_table *table; /* without words */
static struct fold_table *wordy; /* with some */
static struct arena *arena;

static struct folded folded(struct slice raw)
{
	struct folded f = {0};

	CHECK_INT(fold(table, raw, arena, &f), RC_OK);
	return f;
}

/* Words in disguise, over a table of a few words and spellings. */
static void test_words(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"vay tien", "vay tien"},
		{"va.y t/ien (v@y) \"T,i,e.n\"!", "vay tien (vay) \"tien\"!"},
		{"tr0 0 hotr0 8ank vu1", "tro 0 ho tro bank vui"},
		{"ko, KO! k.o ko.",
			"khong, khong! k.o khong."}, /* two letters are too few when read */
		{"v a y t i e n nhanh", "vay tien nhanh"},
		{"tjen tieefn vaay ddaangf tinff", "tien tien vay dang tinff"},
		{"tieens tients tiens", "tien tients tiens"}, /* no Telex without a sign of it */
		{"http://va.y/tien va.y/x v-a.y.vn", "http://va.y/tien va.y/x v-a.y.vn"},
		{"n-ap n.-ap n\xC2\xB7"
		 "ap",
			"n-ap n.-ap n\xC2\xB7"
			"ap"}, /* no word of the table */
		{"5tien 0912vay t1en2", "5tien 0912vay tien2"},
		{"vaaaaaaaaaaaaaaaaaaaaaaaaaaay", "vaaaaaaaaaaaaaaaaaaaaaaaaaaay"},
		{"TRAlNGHlEM saIe lI Il", "trainghiem sale li il"},
		{"...... (!) ''", "...... (!) ''"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct folded f = {0};

		CHECK_CASE("%s", cases[i].in);
		arena_reset(arena);
		CHECK_INT(fold(wordy, slice_str(cases[i].in), arena, &f), RC_OK);
		CHECK_SLICE(f.text, cases[i].want);
	}
}

/* The raw text behind a word that was read. */
static void test_words_way_back(void)
{
	static const char raw[] = "xin ko, V.ay-Ti\xE1\xBB\x81n";
	struct folded f = {0};

	arena_reset(arena);
	CHECK_INT(fold(wordy, slice_str(raw), arena, &f), RC_OK);
	CHECK_SLICE(f.text, "xin khong, vay tien");
	CHECK_INT(f.map[4], 4);
	CHECK_INT(f.map[8], 4);
	CHECK_INT(f.map[9], 6); /* the comma */
	CHECK_INT(f.map[11], 8);
	CHECK_INT(f.map[f.text.len], sizeof(raw) - 1);
}

static void test_bad_words(void)
{
	static const struct {
		const char *key, *value, *says;
	} cases[] = {
		{"x", "x", "is not 2 to 24"}, {"t1en", "tien", "is not 2 to 24"},
		{"abcdefghijklmnopqrstuvwxy", "tien", "is not 2 to 24"},
		{"vtvt", "vay  tien", "1 to 6 words"}, {"vt", " vay", "1 to 6 words"},
		{"vt", "vay ", "four times"}, {"vt", "khongkhong", "four times"},
		{"vtvtvtvt", "aa bb cc dd ee ff gg", "1 to 6 words"}, {"vt", "", "four times"},
		{"vay", "tien", "another way"},
		{"xxx", "ko", "another way"}, /* ko is a spelling already */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *why =
			fold_table_word(wordy, slice_str(cases[i].key), slice_str(cases[i].value));

		CHECK_CASE("%s: %s", cases[i].key, cases[i].value);
		CHECK_HAS(why != NULL ? why : "", cases[i].says);
	}
}

static void add_words(void)
{
	static const char *const words[][2] = {{"vay", "vay"}, {"tien", "tien"}, {"tro", "tro"},
		{"bank", "bank"}, {"dang", "dang"}, {"vui", "vui"}, {"ko", "khong"},
		{"hotro", "ho tro"}, {"vaytien", "vay tien"}, {"ab", "aa bb"}, {"aboo", "ab oo"},
		{"iii", "iiiiii vv"}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		(void)fold_table_word(wordy, slice_str(words[i][0]), slice_str(words[i][1]));
}

static void test_steps(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"", ""},
		{"   ", ""},
		{"Hello, World", "hello, world"},
		/* Vietnamese, composed and with combining marks */
		{"Tài khoản của QUÝ KHÁCH đã bị khoá ĐỎ", "tai khoan cua quy khach da bi khoa do"},
		{"Vie\xCC\xA3\xCC\x82t Nam tie\xCC\x82\xCC\x81ng", "viet nam tieng"},
		{"ước ưỡn ặc Ệ ỗn", "uoc uon ac e on"},
		/* compatibility forms, mathematical and enclosed letters, small capitals */
		{"ｖａｙ ｔｉềｎ", "vay tien"},
		{"𝐯𝐚𝐲 𝓽𝓲𝓮𝓷 ①②", "vay tien 12"},
		{"🅥🅐🅨 🇻🇦🇾 ᴠᴀʏ", "vay vay vay"},
		{"½ ﬁ ㎏", "1/2 fi kg"},
		/* look-alikes: Cyrillic, Greek, strokes, digits of other scripts */
		{"Däi H0c, Sø D0", "dai hoc, so d0"},
		{"ТеӏеɡrаМ СОК", "telegram cok"},
		{"ΒΑΝΚ ΟΤΡ", "bavk otp"},
		{"٠٩١٢ ०१२", "0912 012"},
		{"500.000₫", "500.000d"},
		{"“vay” – ‘tiền’…", "\"vay\" - 'tien'..."},
		/* zero width, bidi, soft hyphen, variation selectors, keycaps, fillers */
		{"v\u200Ba\u200Dy\u2060 \u202Etien\u202C \u00ADok\uFE0F", "vay tien ok"},
		{"1\uFE0F\u20E3 v\u3164ay", "1 vay"},
		/* white space of all kinds */
		{"a b\tc d\r\n\r\n  de\u00A0\u3000\u2003f\u2028g h", "abcd de fgh"},
		{"\u2800vay\x01\x7Ftien", "vay tien"},
		/* letters spaced apart */
		{"v a y t i e n nhanh", "vaytien nhanh"},
		{"V.A.Y v-a-y v_a_y v*a*y v·a·y", "vay vay vay vay vay"},
		{"V..N...D v....n.d", "vnd v....n.d"},
		{"v-a.y v--a--y", "v-a.y v--a--y"},
		{"a b", "a b"},
		{"1 2 3 4", "1 2 3 4"},
		{"1.2.3 4-5-a", "1.2.3 4-5-a"},
		{"a 1 b", "aib"}, /* joined, then the sign */
		{"a.b.c d e", "abc d e"},
		{"(v.a.y) v.a.y,", "(v.a.y) v.a.y,"},
		{"x a.b.c", "x abc"},
		/* signs for letters */
		{"ng4n h4ng v@y", "ngan hang vay"},
		{"b4nk. Vi3tc0mb@nk!", "bank. vietcombank!"},
		{"c$n $on", "csn $on"},
		{"l1nk t!en |vay|", "link tien |vay|"},
		{"http://b4nk.vn b4nk.vn/l0g1n a:b4c", "http://b4nk.vn b4nk.vn/l0g1n a:b4c"},
		{"a00b 50k 8h30", "a00b 50k 8h30"},
		{"a@b", "aab"},
		/* not UTF-8 */
		{"a\xFFo\xC3 \xE1\xBA vay", "a o vay"},
		{"\xED\xA0\x80vay\xF4\x90\x80\x80", "vay"},
		{"\xC0\xAFx", "x"},
		/* others stay as they are */
		{"贷款 カード", "贷款 カート"},
		{"😀", "😀"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].in);
		arena_reset(arena);
		CHECK_SLICE(folded(slice_str(cases[i].in)).text, cases[i].want);
	}
}

static const char *find(struct slice in, const char *part)
{
	size_t len = strlen(part);

	for (; in.len >= len; in.ptr++, in.len--)
		if (memcmp(in.ptr, part, len) == 0)
			return in.ptr;
	return NULL;
}

/* The raw text behind a part of the folded one. */
static void test_way_back(void)
{
	static const struct {
		const char *in, *part, *raw;
	} cases[] = {
		{"xin v a y tiền", "vay", "v a y"},
		{"Tài khoản bị KHÓA ngay", "bi khoa ngay", "bị KHÓA ngay"},
		{"Tài khoản bị KHO\xCC\x81"
		 "A ngay",
			"bi khoa",
			"bị KHO\xCC\x81"
			"A"},
		{"a \u200B\u200B  vay", "vay", "vay"},
		{"a   vay   b", " vay", "   vay"},
		{"x v\u200Ba\u200By x", "vay", "v\u200Ba\u200By"},
		{"x ½ x", "1/2", "½"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		arena_reset(arena);
		struct folded f = folded(slice_str(cases[i].in));
		const char *at = find(f.text, cases[i].part);

		CHECK_CASE("%s", cases[i].in);
		if (!CHECK(at != NULL))
			continue;
		size_t from = (size_t)(at - f.text.ptr), to = from + strlen(cases[i].part);
		CHECK_SLICE(
			slice_of(cases[i].in + f.map[from], f.map[to] - f.map[from]), cases[i].raw);
	}
}

static bool map_is_sound(struct folded f, size_t raw_len)
{
	for (size_t i = 0; i < f.text.len; i++)
		if (f.map[i] > f.map[i + 1])
			return false;
	return f.map[f.text.len] <= raw_len;
}

static bool blanks_are_single(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] == ' ' && (i == 0 || i + 1 == s.len || s.ptr[i + 1] == ' '))
			return false;
	return true;
}

static bool folds_twice(struct slice raw)
{
	arena_reset(arena);
	struct folded once = folded(raw);
	bool ok = map_is_sound(once, raw.len) && slice_utf8_valid(once.text) &&
		blanks_are_single(once.text);

	if (once.text.len > BOUND_CONTENT)
		return ok; /* the second time only a part would be read */
	struct folded twice = folded(once.text);
	if (!slice_eq(once.text, twice.text))
		printf("once \"%.*s\" twice \"%.*s\"\n", (int)once.text.len, once.text.ptr,
			(int)twice.text.len, twice.text.ptr);
	return ok && slice_eq(once.text, twice.text);
}

static void test_idempotent_on_every_character(void)
{
	size_t longest = 0, bad = 0;

	for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
		char raw[4], room[FOLD_CHAR_MAX], again[FOLD_CHAR_MAX];

		if (cp >= 0xD800 && cp <= 0xDFFF)
			continue;
		size_t own = utf8_put(cp, raw);
		struct slice s = fold_char(table, cp, room), rest = s;
		longest = s.len > longest ? s.len : longest;
		bad += s.len > FOLD_GROWTH * own;
		bad += s.len > fold_rooms(table)[(unsigned char)raw[0]];
		/* every character of what came out folds to itself */
		while (rest.len > 0) {
			struct slice part = rest;
			uint32_t c;

			bad += !utf8_next(&rest, &c);
			part.len -= rest.len;
			bad += !slice_eq(part, fold_char(table, c, again));
		}
	}
	CHECK_INT(bad, 0);
	CHECK(longest <= FOLD_CHAR_MAX);
}

static void idempotent_on_random_text(void)
{
	static const char *const parts[] = {"a", "b", "V", "1", "0", "4", " ", "  ", ".", "..",
		"...", "-", "_", "*", "·", "@", "$", "!", "|", "/", ":", "đ", "ệ", "о", "\u200B",
		"\n", "\xFF", "\xE1\xBA", "ﷺ", "vay", "\u0301", "½", "가", "\u1100\u1161", "ko",
		"I", "l", "j", "tie", "n", "aa", "b", ",", "\"", "(", "ho", "9", "oo"};
	uint64_t seed = 5;

	for (int round = 0; round < 60000; round++) {
		char text[120];
		size_t len = 0, n = rnd(&seed, 14), of = 1 + rnd(&seed, ARRAY_LEN(parts));

		for (size_t i = 0; i < n; i++) {
			const char *p = parts[(rnd(&seed, of) + (size_t)round) % ARRAY_LEN(parts)];

			memcpy(text + len, p, strlen(p));
			len += strlen(p);
		}
		CHECK_CASE("%.*s", (int)len, text);
		if (!CHECK(folds_twice(slice_of(text, len))))
			return;
	}
	for (int round = 0; round < 3000; round++) {
		char text[64];

		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)rnd(&seed, 256);
		if (!CHECK(folds_twice(slice_of(text, rnd(&seed, sizeof(text))))))
			return;
	}
}

static void test_idempotent_on_random_text(void)
{
	struct fold_table *plain = table;

	idempotent_on_random_text();
	table = wordy;
	idempotent_on_random_text();
	table = plain;
}

static void test_long_and_cut(void)
{
	static char text[BOUND_CONTENT + 10];

	memset(text, 'x', sizeof(text));
	arena_reset(arena);
	CHECK_INT(folded(slice_of(text, sizeof(text))).text.len, BOUND_CONTENT);
	memcpy(text + BOUND_CONTENT - 1, "ế", 3); /* over the border: it goes whole */
	struct slice cut = content_cut(slice_of(text, sizeof(text)));
	CHECK_INT(cut.len, BOUND_CONTENT - 1);
	for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
		memcpy(text + i, "ﷺ", 3); /* the character that grows most */
	CHECK(folds_twice(slice_of(text, sizeof(text))));
	OWN(arena_free) struct arena *small = arena_new(4096);
	struct folded f;
	CHECK_INT(fold(table, slice_of(text, sizeof(text)), small, &f), RC_LIMIT);
}

static void test_bad_tables(void)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"0430\ta\n0431\n", "h.tsv:2:"},
		{"# x\n\n41\ta\n", "h.tsv:3:"},
		{"0041\ta\n", "h.tsv:1:"},
		{"D800\ta\n", "h.tsv:1:"},
		{"110000\ta\n", "h.tsv:1:"},
		{"0430\tabcde\n", "h.tsv:1:"},
		{"0430\t\n", "h.tsv:1:"},
		{"0430\tä\n", "h.tsv:1:"},
		{"0430\ta\n0430\tb\n", "0430 stands twice"},
	};
	char dir[CHECK_PATH], path[CHECK_PATH * 2];

	check_dir(dir);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fold_table *t = NULL;
		struct err e;

		CHECK_CASE("%s", cases[i].text);
		check_file(dir, "h.tsv", slice_str(cases[i].text), path);
		CHECK_RC(fold_table_load(path, &t, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, cases[i].says);
		CHECK(t == NULL);
	}
	(void)unlink(path);
	struct fold_table *t = NULL;
	struct err e;
	CHECK_RC(fold_table_load(path, &t, &e), RC_NONE, &e);
	(void)rmdir(dir);
}

int main(void)
{
	struct err e;

	if (fold_table_load(SOURCE_DIR "/etc/fold/homoglyphs.tsv", &table, &e) != RC_OK ||
		fold_table_load(SOURCE_DIR "/etc/fold/homoglyphs.tsv", &wordy, &e) != RC_OK) {
		printf("%s\n", e.text);
		return 1;
	}
	add_words();
	arena = arena_new(8 << 20);
	RUN(test_steps);
	RUN(test_way_back);
	RUN(test_words);
	RUN(test_words_way_back);
	RUN(test_bad_words);
	RUN(test_idempotent_on_every_character);
	RUN(test_idempotent_on_random_text);
	RUN(test_long_and_cut);
	RUN(test_bad_tables);
	arena_free(arena);
	fold_table_free(table);
	fold_table_free(wordy);
	return check_done();
}
