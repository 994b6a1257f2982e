/* One batch in memory, with the shipped packs and policy: what a record becomes, and what the votes of a sender lead to. Leaves out what decoder,
 * classifier, score and ladder know themselves: this is how they are put together. */
#include "engine/batch.h"
#include "tests/unit/ingest_world.h"

#define SCAM_TEXT "VCB: Tai khoan cua ban bi khoa. Dang nhap https://vcb-baomat.vip de xac thuc"
#define RECORD(kind, more)                                                                       \
	"{\"schema\":\"complaint/1\",\"report_id\":\"r1\",\"channel\":\"care\",\"kind\":\"" kind \
	"\",\"received_at\":\"2026-08-31T09:15:02+07:00\",\"reporter\":\"+84912345678\"," more "}"
#define FROM "\"sender\":\"0812341213\""

static struct world w;
static struct judge *judge;
static struct scan *scan;
static struct filing room[4];

static enum rc add(struct filings *fs, const char *value, struct arena *a)
{
	struct kafka_record r = {
		.topic = "complaints", .partition = 3, .offset = 77, .value = slice_str(value)};

	return filings_add(fs, w.decoder, scan, judge, w.plan, FEED_COMPLAINTS, &r, 1, a);
}

static const struct filing *one(const char *value)
{
	struct filings fs = {.at = room, .room = ARRAY_LEN(room)};

	CHECK_INT(add(&fs, value, w.arena), RC_OK);
	CHECK_INT(fs.n, 1);
	return &room[0];
}

/* Kind, text and category make the class; what a caller's victim writes makes it only by category. */
static void test_class(void)
{
	static const struct {
		const char *value;
		enum report_class cls;
		enum label label;
		bool scored;
	} cases[] = {
		{RECORD("S", FROM), CLASS_NUISANCE, LABEL_NONE, false},
		{RECORD("S", FROM ",\"content\":\"" SCAM_TEXT "\""), CLASS_SCAM, LABEL_SCAM, true},
		{RECORD("S", FROM ",\"content\":\"hen gap nhau luc 8h nhe\""), CLASS_NUISANCE,
			LABEL_HAM, false},
		{RECORD("V", FROM ",\"content\":\"" SCAM_TEXT "\""), CLASS_NUISANCE, LABEL_SCAM,
			true},
		{RECORD("V", FROM ",\"category\":\"scam\""), CLASS_SCAM, LABEL_NONE, false},
		{RECORD("LD", FROM), CLASS_SCAM, LABEL_NONE, false},
		{RECORD("LD", FROM ",\"content\":\"hen gap nhau luc 8h nhe\""), CLASS_SCAM,
			LABEL_HAM, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].value);
		const struct filing *f = one(cases[i].value);
		CHECK_INT(f->disposition, DISP_ACCEPTED);
		CHECK_INT(f->cls, cases[i].cls);
		CHECK_INT(f->label, cases[i].label);
		CHECK_INT(f->text_score > 0, cases[i].scored);
		CHECK_INT(f->offset, 77);
		CHECK_INT(f->part, 1);
	}
}

/* Terms say where they matched, never what. */
static void test_terms(void)
{
	const struct filing *f = one(RECORD("S", FROM ",\"content\":\"" SCAM_TEXT "\""));

	CHECK_HAS(f->terms.ptr, "[{\"name\":\"");
	CHECK_HAS(f->terms.ptr, ",\"at\":");
	CHECK(strstr(f->terms.ptr, "vcb") == NULL && strstr(f->terms.ptr, "VCB") == NULL);
	CHECK(f->fingerprint != 0);
	CHECK_SLICE(one(RECORD("S", FROM))->terms, "[]");
	CHECK_SLICE(one("{")->terms, "[]");
}

/* A text on which a search was given up is filed by what the other rules say, with the term, and counted. */
static void test_undecided(void)
{
	static const char rules[] =
		"pack: t-1\nbias: -2\nscam_share: 0.5\ncaps: {scam: 6, spam: 5, ham: 4}\nrules:\n"
		"  - {id: 1, symbol: ENDLESS, class: scam, weight: 1, text: raw, pattern: "
		"'(?:\u20AC{1,9}\u20AC{1,9}){1,9}z(?=q)', description: d, match: "
		"[\u20AC\u20ACzq], nomatch: [zz]}\n"
		"  - {id: 2, symbol: OTHER, class: scam, weight: 4, pattern: 'xin', description: "
		"d, "
		"match: [xin], nomatch: [zz]}\n";
	OWN(pack_free) struct pack *pack = NULL;
	struct scan *shipped = scan, *own = NULL;
	char dir[CHECK_PATH], path[CHECK_PATH * 2];
	BUF_OWN struct buf value;
	struct complaints c;
	struct err e = {.text = ""};

	check_dir(dir);
	check_file(dir, "a.yaml", slice_str(rules), path);
	complaints_init(&c);
	CHECK_RC(pack_load(dir, SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack, &e), RC_OK, &e);
	complaints_done(&c);
	(void)unlink(path);
	(void)rmdir(dir);
	CHECK_RC(scan_new(pack, &own, &e), RC_OK, &e);
	struct metric_cell *count =
		metric_at(metric_family(METRIC_COUNTER, "khien_undecided_total", "",
				  "Texts on which a rule's search was given up."),
			NULL, NULL, NULL);
	double before = metric_get(count);
	buf_init(&value, 4096);
	buf_fmt(&value, "%s", RECORD("S", FROM ",\"content\":\"xin "));
	value.len -= 1; /* the brace that ends the record comes after the text */
	for (int i = 0; i < 60; i++)
		buf_fmt(&value, "\u20AC");
	buf_fmt(&value, "z\"}");
	scan = own;
	const struct filing *f = one(value.ptr);
	CHECK_INT(f->disposition, DISP_ACCEPTED);
	CHECK_INT(f->label, LABEL_SCAM);
	CHECK_HAS(f->terms.ptr, "\"UNDECIDED\"");
	CHECK_NEAR(metric_get(count) - before, 1, 0);
	(void)one(RECORD("S", FROM ",\"content\":\"xin\""));
	CHECK_NEAR(metric_get(count) - before, 1, 0);
	scan = shipped;
	scan_free(own);
}

static void test_senders(void)
{
	const struct filing *f = one(RECORD("V", FROM));

	CHECK_INT(f->attribution, ATTR_OTHER);
	CHECK_STR(f->carrier, "vinaphone");
	CHECK_STR(f->number_class, "mobile");
	CHECK_INT(one(RECORD("V", "\"sender\":\"0962341213\""))->attribution, ATTR_OWN);
	CHECK_INT(one(RECORD("V", "\"sender\":\"+37529123456\""))->attribution, ATTR_FOREIGN);
	CHECK_INT(one(RECORD("S", "\"sender\":\"SAOVANG\""))->attribution, ATTR_BRANDNAME);
	CHECK_INT(one(RECORD("S", "\"sender\":\"8077\""))->attribution, ATTR_SHORT);
	f = one(RECORD("V", "\"sender\":\"anonymous\""));
	CHECK_STR(f->reason, "withheld");
	CHECK_INT(f->sender.scope, SCOPE_NONE);
	CHECK_STR(f->carrier, "");
}

/* What is not understood keeps its bytes and its cause, and the id when that much is readable. */
static void test_not_understood(void)
{
	const struct filing *f = one(RECORD("X", FROM));

	CHECK_INT(f->disposition, DISP_QUARANTINED);
	CHECK_STR(f->reason, "bad_kind");
	CHECK_HAS(f->detail, "kind");
	CHECK_SLICE(f->report_id, "r1");
	CHECK_SLICE(f->bytes, RECORD("X", FROM));
	struct filings fs = {.at = room, .room = ARRAY_LEN(room)};
	struct kafka_record r = {.offset = 9, .value = SLICE("boom")};
	filings_unread(&fs, &r, 2, "crashes_engine", "why");
	CHECK_INT(fs.n, 1);
	CHECK_INT(room[0].disposition, DISP_QUARANTINED);
	CHECK_STR(room[0].reason, "crashes_engine");
	CHECK_STR(room[0].detail, "why");
	CHECK_SLICE(room[0].bytes, "boom");
	CHECK_INT(room[0].offset, 9);
	CHECK_INT(room[0].report_id.len, 0);
	CHECK_INT(room[0].received_at, TIME_NONE);
}

/* Memory that ends leaves the batch as it was, wherever it ends. */
static void test_full(void)
{
	static const char record[] = RECORD("S", FROM ",\"content\":\"" SCAM_TEXT "\",\"x\":1");
	int refused = 0, taken = 0;

	for (size_t size = 64; size < 8192; size += 64) {
		OWN(arena_free) struct arena *a = arena_new(size);
		struct filings fs = {.at = room, .room = ARRAY_LEN(room)};
		CHECK_CASE("%zu bytes", size);
		enum rc rc = add(&fs, record, a);
		CHECK(rc == RC_OK || rc == RC_LIMIT);
		CHECK_INT(fs.n, rc == RC_OK);
		refused += rc == RC_LIMIT;
		taken += rc == RC_OK;
		CHECK(taken == 0 || rc == RC_OK); /* more memory is never worse */
	}
	CHECK(refused > 0 && taken > 0);
}

/* ---- votes ---- */

#define T0 INT64_C(1790000000000000)

/* `n` reporters, a minute apart; the first `yes` of them were really called. */
static void votes_of(struct vote *v, size_t n, size_t yes)
{
	for (size_t i = 0; i < n; i++) {
		int64_t at = T0 + (int64_t)i * 60 * US_PER_S;

		v[i] = (struct vote){.reporter = (int64_t)i + 1,
			.day = time_day_vn(at),
			.weight = 1,
			.scam = true,
			.first_at = at,
			.last_at = at,
			.verified_at = at,
			.scam_at = at,
			.yes_at = i < yes ? at : TIME_NONE,
			.spoof_at = TIME_NONE};
	}
}

static struct touched judged(const char *mode, enum attribution attribution, bool is_protected,
	size_t n, size_t yes, int64_t now_us)
{
	static struct vote v[64];
	struct control control = {.generation = 1};
	struct touched t = {.sender_id = 1,
		.service = SERVICE_VOICE,
		.attribution = attribution,
		.is_protected = is_protected,
		.floor = TIME_NONE,
		.votes = v,
		.n_votes = n};

	votes_of(v, n, yes);
	(void)snprintf(control.mode, sizeof(control.mode), "%s", mode);
	CHECK_INT(judge_touched(judge, &control, now_us, &t, 1, w.arena), RC_OK);
	return t;
}

/* Section 5's table, row by row and in its order. */
static void test_what_becomes(void)
{
	static const int64_t soon = T0 + US_PER_HOUR, late = T0 + 30 * US_PER_DAY;
	static const struct {
		const char *mode;
		enum attribution attribution;
		bool is_protected;
		int64_t now;
		const char *state, *reason, *action;
	} cases[] = {
		{"auto", ATTR_OTHER, false, soon, "wanted", "", "bar_in"},
		{"auto", ATTR_OWN, false, soon, "wanted", "", "bar_out"},
		{"auto", ATTR_FOREIGN, false, soon, "wanted", "", "bar_in"},
		{"auto", ATTR_SHORT, false, soon, "held", "needs_person", "person"},
		{"auto", ATTR_BRANDNAME, false, soon, "held", "needs_person", "person"},
		{"auto", ATTR_BRANDNAME, true, soon, "held", "protected", "person"},
		{"review", ATTR_OTHER, false, soon, "held", "review_mode", "bar_in"},
		{"review", ATTR_SHORT, false, soon, "held", "needs_person", "person"},
		{"review", ATTR_OTHER, true, soon, "held", "protected", "bar_in"},
		{"auto", ATTR_OTHER, true, late, "expired", "", "bar_in"},
		{"shadow", ATTR_OTHER, true, soon, "shadow", "", "bar_in"},
		{"shadow", ATTR_OTHER, false, late, "shadow", "", "bar_in"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%zu %s %s", i, cases[i].mode, cases[i].state);
		struct touched t = judged(cases[i].mode, cases[i].attribution,
			cases[i].is_protected, 5, 2, cases[i].now);
		const struct decided *d = &t.cls[CLASS_SCAM].episodes[0];
		CHECK_INT(t.cls[CLASS_SCAM].n_episodes, 1);
		CHECK_STR(d->state, cases[i].state);
		CHECK_STR(d->reason, cases[i].reason);
		CHECK_STR(d->action, cases[i].action);
		CHECK_INT(d->decided_at, T0 + INT64_C(4) * 60 * US_PER_S);
		CHECK_INT(d->until - d->decided_at, US_PER_DAY);
		CHECK_INT(d->reporters, 5);
		CHECK_INT(d->matched, 2);
		CHECK(d->basis[0] != '\0');
	}
}

static void test_score_and_legs(void)
{
	struct touched t = judged("auto", ATTR_OTHER, false, 5, 1, T0);

	CHECK(t.score > 0.5F && t.score < 1);
	CHECK_INT(t.as_of, T0 + INT64_C(4) * 60 * US_PER_S);
	CHECK_HAS(t.terms.ptr, "{\"name\":\"REPORTERS\",\"weight\":");
	CHECK_INT(t.cls[CLASS_SCAM].peak, RUNG_VERIFY);
	CHECK_INT(t.cls[CLASS_SCAM].n_episodes, 0);
	CHECK(t.cls[CLASS_SCAM].one_leg);
	CHECK_INT(t.cls[CLASS_SCAM].one_leg_at, T0 + INT64_C(4) * 60 * US_PER_S);
	CHECK(!t.cls[CLASS_NUISANCE].one_leg && !t.spoofed.any);
	t = judged("auto", ATTR_OTHER, false, 2, 2, T0);
	CHECK_INT(t.cls[CLASS_SCAM].peak, RUNG_OBSERVE);
	CHECK(!t.cls[CLASS_SCAM].one_leg);
}

/* Only the newest episode can be acted on; the ones before are over, whatever the mode. */
static void test_newest(void)
{
	struct vote v[10];
	struct control control = {.mode = "auto"};
	struct touched t = {
		.attribution = ATTR_OTHER, .floor = TIME_NONE, .votes = v, .n_votes = 10};

	votes_of(v, 10, 10);
	for (int i = 5; i < 10; i++) {
		int64_t at = T0 + 20 * US_PER_DAY + i;

		v[i].day = time_day_vn(at);
		v[i].first_at = v[i].last_at = v[i].verified_at = v[i].scam_at = v[i].yes_at = at;
	}
	CHECK_INT(judge_touched(judge, &control, T0 + 20 * US_PER_DAY, &t, 1, w.arena), RC_OK);
	CHECK_INT(t.cls[CLASS_SCAM].n_episodes, 2);
	CHECK_STR(t.cls[CLASS_SCAM].episodes[0].state, "expired");
	CHECK_STR(t.cls[CLASS_SCAM].episodes[1].state, "wanted");
}

/* A batch of 4,000 senders, as a backlog has them: what one costs must not be what the largest would. */
static void test_memory_of_a_sender(void)
{
	struct vote v[3];
	struct control control = {.mode = "auto"};
	OWN(arena_free) struct arena *a = arena_new(8u << 20);

	votes_of(v, 3, 0);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		v[i].spoof_at = v[i].first_at; /* the victim of a forged number */
	for (int i = 0; i < 1000; i++) {
		struct touched t = {
			.attribution = ATTR_OTHER, .floor = TIME_NONE, .votes = v, .n_votes = 3};

		CHECK_INT(judge_touched(judge, &control, T0, &t, 1, a), RC_OK);
	}
	CHECK(arena_used(a) < 1000 * 4096);
}

static void test_judging_in_little_memory(void)
{
	struct vote v[8];
	struct control control = {.mode = "auto"};
	int refused = 0;

	for (size_t size = 256; size < (2u << 20); size *= 2) {
		OWN(arena_free) struct arena *a = arena_new(size);
		struct touched t = {
			.attribution = ATTR_OTHER, .floor = TIME_NONE, .votes = v, .n_votes = 8};

		votes_of(v, 8, 8);
		enum rc rc = judge_touched(judge, &control, T0, &t, 1, a);
		CHECK(rc == RC_OK || rc == RC_LIMIT);
		refused += rc == RC_LIMIT;
	}
	CHECK(refused > 0 && refused < 13);
}

int main(void)
{
	struct err e = {.text = ""};

	world_init(&w);
	if (judge_from_files(SOURCE_DIR "/etc/policy.yaml", SOURCE_DIR "/etc/rules",
		    SOURCE_DIR "/etc/fold/homoglyphs.tsv", "", "", &judge, &e) != RC_OK ||
		scan_new(judge->pack, &scan, &e) != RC_OK) {
		printf("cannot begin: %s\n", e.text);
		return 1;
	}
	RUN(test_class);
	RUN(test_terms);
	RUN(test_undecided);
	RUN(test_senders);
	RUN(test_not_understood);
	RUN(test_full);
	RUN(test_what_becomes);
	RUN(test_score_and_legs);
	RUN(test_newest);
	RUN(test_memory_of_a_sender);
	RUN(test_judging_in_little_memory);
	scan_free(scan);
	judge_drop(judge);
	world_done(&w);
	return check_done();
}
