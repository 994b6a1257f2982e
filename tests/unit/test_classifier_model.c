/* The token model: its features, what it says of texts known and unknown, its file, and what training does with texts. */
#include "classifier/train.h"
#include "tests/unit/check.h"

static struct pack *pack;

static const char rules[] =
	"pack: t-1\nbias: -2\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\nrules:\n"
	"  - {id: 1, symbol: SCAM_TWO, class: scam, weight: 2, pattern: 'zzz', description: d, "
	"match: [zzz], nomatch: [z]}\n";

static void test_features(void)
{
	static struct features a, b;
	static const struct {
		const char *text;
		size_t words;
	} cases[] = {{"", 0}, {"vay", 1}, {"vay tien", 2}, {"vay, tien!", 3}, {"http://a.b/c", 6},
		{"1.500.000", 3}, {"50%", 2}, {"a . b", 2}, {"a@b", 3}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("\"%s\"", cases[i].text);
		features_of(slice_str(cases[i].text), 17, &a);
		CHECK_INT((long long)a.words, (long long)cases[i].words);
		CHECK(a.all <= MODEL_FEATURES && a.of_words <= a.all);
	}
	CHECK_CASE("the value of a number does not count");
	features_of(SLICE("tk 0912345678 co 50tr"), 17, &a);
	features_of(SLICE("tk 0387654321 co 99tr"), 17, &b);
	CHECK(a.all == b.all && memcmp(a.bucket, b.bucket, a.all * sizeof(*a.bucket)) == 0);
	features_of(SLICE("tk 091234567 co 50tr"), 17, &b);
	CHECK(a.all != b.all || memcmp(a.bucket, b.bucket, a.all * sizeof(*a.bucket)) != 0);
}

/* The longest texts of the worst kinds fit. */
static void test_bounds(void)
{
	static struct features f;
	static char text[MODEL_TEXT + 100];
	static const char *const unit[] = {
		"a", "1", "1%", "a.", "a ", "://", "1a", "\xc3\xa9", "!", "a1.a@"};

	for (size_t u = 0; u < ARRAY_LEN(unit); u++)
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = unit[u][i % strlen(unit[u])],
			i + 1 == sizeof(text) ? features_of(slice_of(text, sizeof(text)), 20, &f)
					      : (void)0;
	for (unsigned seed = 1; seed < 200; seed++) {
		uint64_t r = seed;

		for (size_t i = 0; i < sizeof(text); i++) {
			r = r * 6364136223846793005u + 1442695040888963407u;
			text[i] = (char)(r >> 56);
		}
		features_of(slice_of(text, sizeof(text)), 22, &f);
		CHECK(f.words <= MODEL_WORDS && f.all <= MODEL_FEATURES);
	}
}

static struct texts *texts_of(const char *tsv, enum rc want, size_t bad)
{
	struct complaints c;
	struct texts *t = NULL;
	struct err e = {0};

	complaints_init(&c);
	CHECK_RC(texts_new(pack, &t, &e), RC_OK, &e);
	CHECK_RC(texts_parse(t, "t.tsv", slice_str(tsv), false, &c, &e), want, &e);
	CHECK_INT((long long)c.count, (long long)bad);
	complaints_done(&c);
	if (want == RC_OK)
		CHECK_RC(texts_settle(t, &e), RC_OK, &e);
	return t;
}

static void test_reading(void)
{
	OWN(texts_free)
	struct texts *t = texts_of("\xEF\xBB\xBFtext\tlabel\tmore\r\nMẹ ơi\tham\tx\r\n\nme oi "
				   "12\tspam\ty\nvay tiền\tspam\tz\n \tham\t\n",
		RC_OK, 0);

	CHECK_INT((long long)texts_count(t),
		2); /* a double without its marks and digits, one without text */
	CHECK_INT((long long)t->doubles, 1);
	CHECK_INT((long long)t->conflicts, 1);
	CHECK_INT((long long)t->empty, 1);
	CHECK_SLICE(t->at[1].folded, "vay tien");
	static const struct {
		const char *tsv;
		size_t bad;
	} cases[] = {{"", 1}, {"text\n", 1}, {"label\ttext\ttext\n", 1},
		{"label\ttext\nham\nspam\ta\tb\nwhat\ta\nham\t\xff\n", 4},
		{"label\ttext\tlang\nham\ta\tVI\n", 1}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("file %zu", i);
		texts_free(texts_of(cases[i].tsv, RC_INVALID, cases[i].bad));
	}
}

static void test_families(void)
{
	OWN(texts_free)
	struct texts *t = texts_of(
		"label\ttext\n"
		"spam\tcho vay tien nhanh trong ngay khong can the chap lien he chi Lan\n"
		"ham\thop luc chin gio sang mai tai phong ba\n"
		"spam\tcho vay tien nhanh trong ngay khong can the chap lien he anh Hung\n",
		RC_OK, 0);

	CHECK_INT(t->at[2].family, t->at[0].family);
	CHECK(t->at[1].family != t->at[0].family);
	for (size_t k = 2; k < 9; k++)
		CHECK(text_fold(t, &t->at[0], k) == text_fold(t, &t->at[2], k));
}

/* Words drawn for each class from its own list, and some from both. */
static void learn(struct buf *out, struct buf *report)
{
	static const char *const word[3][6] = {{"me", "con", "hop", "lich", "com", "nha"},
		{"vay", "lai", "nhanh", "cccd", "gop", "zalo"},
		{"khoa", "link", "otp", "xac", "thuc", "phat"}};
	static const char *const both[] = {"ngay", "hom", "nay", "khong", "cua"};
	static const char *const label[] = {"ham", "spam", "scam"};
	struct train_options o = TRAIN_OPTIONS;
	struct err e = {0};
	struct buf tsv;
	uint64_t r = 7;

	buf_init(&tsv, 1 << 20);
	buf_fmt(&tsv, "label\ttext\tlang\n");
	for (int i = 0; i < 300; i++) {
		buf_fmt(&tsv, "%s\t", label[i % 3]);
		for (int k = 0; k < 8; k++) {
			r = r * 6364136223846793005u + 1442695040888963407u;
			buf_fmt(&tsv, "%s ",
				k % 4 == 3 ? both[(r >> 40) % 5] : word[i % 3][(r >> 40) % 6]);
		}
		buf_fmt(&tsv, "\tvi\n");
	}
	OWN(texts_free) struct texts *t = texts_of(tsv.ptr, RC_OK, 0);
	o.version = "t-1";
	o.bits = 12;
	CHECK_RC(model_train(t, &o, out, report, &e), RC_OK, &e);
	buf_done(&tsv);
}

static struct model_said said(const struct model *m, const char *folded)
{
	static struct features f;
	struct model_said s;

	model_judge(m, slice_str(folded), &f, &s);
	return s;
}

static void test_learning(void)
{
	BUF_OWN struct buf one, two, report;
	struct err e = {0};
	struct model m;

	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	buf_init(&report, 1 << 20);
	learn(&one, &report);
	learn(&two, &report);
	CHECK(one.len == two.len && memcmp(one.ptr, two.ptr, one.len) == 0);
	CHECK(strstr(report.ptr, "F1") != NULL);
	CHECK_RC(model_parse(buf_slice(&one), &m, &e), RC_OK, &e);
	CHECK(strcmp(model_version(&m), "t-1") == 0);
	CHECK(said(&m, "vay nhanh cccd gop lai zalo").bad > 1);
	CHECK(said(&m, "vay nhanh cccd gop lai zalo").scam < 0.5);
	CHECK(said(&m, "khoa link xac thuc phat otp").scam > 0.5);
	CHECK(said(&m, "me hop com nha lich con").bad < -0.5);
	/* what is shown are words in a row that people can read, not a sign and not the end of a sentence alone */
	struct model_said where = said(&m, "hom nay cccd gop ! 1 .");
	CHECK(where.bad > 0 && where.from <= 8 && where.to >= 16 && where.to < 18);
	where = said(&m, "cccd");
	CHECK(where.bad <= 0 || (where.from == 0 && where.to == 4));
	CHECK_CASE("what it does not know, it says nothing of");
	CHECK(said(&m, "der hund bellt laut im garten vay").bad == 0);
	CHECK(said(&m, "").bad == 0 && said(&m, "").known == 0);
	CHECK(said(&m, "vay").bad < said(&m, "vay nhanh cccd gop lai zalo").bad);
	for (size_t i = 0; i < 2; i++) {
		static char longest[2][BOUND_CONTENT + 1];

		for (size_t k = 0; k < BOUND_CONTENT; k++)
			longest[i][k] = (i == 0 ? "vay lai " : "me con ")[k % (i == 0 ? 8 : 7)];
		struct model_said s = said(&m, longest[i]);
		CHECK(fabs(s.alone) <= m.bank[0].cap && fabs(s.bad) <= fabs(s.alone));
	}
}

static void test_file(void)
{
	BUF_OWN struct buf file, report;
	struct err e = {0};
	struct model m;

	buf_init(&file, 1 << 20);
	buf_init(&report, 1 << 20);
	learn(&file, &report);
	for (size_t at = 0; at < file.len; at += at < MODEL_HEAD ? 1 : 977) {
		CHECK_CASE("bit %zu", at);
		file.ptr[at] = (char)(file.ptr[at] ^ 4);
		CHECK_RC(model_parse(buf_slice(&file), &m, &e), RC_INVALID, &e);
		file.ptr[at] = (char)(file.ptr[at] ^ 4);
	}
	for (size_t len = 0; len < file.len; len += len < 200 ? 1 : 4001) {
		CHECK_CASE("cut to %zu", len);
		CHECK_RC(model_parse(slice_of(file.ptr, len), &m, &e), RC_INVALID, &e);
	}
	CHECK_RC(model_parse(buf_slice(&file), &m, &e), RC_OK, &e);
	struct model *none = NULL;
	CHECK_RC(model_load("/nonexistent/model.khm", &none, &e), RC_NONE, &e);
	CHECK_RC(model_load("/", &none, &e), RC_INVALID, &e);
	CHECK(none == NULL);
}

static void test_nothing_to_learn(void)
{
	BUF_OWN struct buf file, report;
	struct train_options o = TRAIN_OPTIONS;
	struct err e = {0};
	OWN(texts_free) struct texts *t = texts_of("label\ttext\nham\ta b\nham\tc d\n", RC_OK, 0);

	buf_init(&file, 1 << 24);
	buf_init(&report, 1 << 20);
	CHECK_RC(model_train(t, &o, &file, &report, &e), RC_INVALID, &e);
}

/* The model's part of a verdict: terms that add up with the rules to the score. */
static void test_verdict(void)
{
	BUF_OWN struct buf file, report;
	OWN(scan_free) struct scan *s = NULL;
	struct err e = {0};
	struct verdict v;
	struct model m;

	buf_init(&file, 1 << 20);
	buf_init(&report, 1 << 20);
	learn(&file, &report);
	CHECK_RC(model_parse(buf_slice(&file), &m, &e), RC_OK, &e);
	CHECK_RC(scan_new(pack, &s, &e), RC_OK, &e);
	static const char *const texts[] = {"Vay nhanh CCCD góp lãi zalo",
		"mẹ con họp nhà cơm lịch", "zzz khóa link xác thực phát", "der hund bellt laut",
		"zzz"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		double z = -2;
		bool model = false;

		CHECK_CASE("%s", texts[i]);
		CHECK_RC(scan_model(s, &m, &e), RC_OK, &e);
		classify(s, slice_str(texts[i]), &v);
		for (size_t k = 0; k < v.terms; k++) {
			z += v.term[k].weight;
			model = model || strncmp(v.term[k].name, "MODEL_", 6) == 0;
		}
		CHECK(fabs(v.score - 1 / (1 + exp(-z))) < 1e-9);
		CHECK(model == (i < 3));
		CHECK_RC(scan_model(s, NULL, &e), RC_OK, &e);
		classify(s, slice_str(texts[i]), &v);
		CHECK(v.terms == (strstr(texts[i], "zzz") != NULL));
	}
}

int main(void)
{
	char dir[CHECK_PATH], path[CHECK_PATH * 2];
	struct complaints c;
	struct err e = {0};

	check_dir(dir);
	check_file(dir, "t.yaml", slice_str(rules), NULL);
	complaints_init(&c);
	if (pack_load(dir, SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack, &e) != RC_OK)
		printf("%s", c.text.ptr);
	complaints_done(&c);
	RUN(test_features);
	RUN(test_bounds);
	RUN(test_reading);
	RUN(test_families);
	RUN(test_learning);
	RUN(test_file);
	RUN(test_nothing_to_learn);
	RUN(test_verdict);
	pack_free(pack);
	(void)snprintf(path, sizeof(path), "%s/t.yaml", dir);
	(void)unlink(path);
	(void)rmdir(dir);
	return check_done();
}
