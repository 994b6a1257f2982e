/* The same set of reports, in any order, in any batches and by two workers at once, leaves the same dispositions, votes, scores, cases,
 * decisions and wishes; and every stored vote is what docs/judgement.md says, merged by the classifier's own rule. Skipped without
 * KHIEN_TEST_PG. */
#include <pthread.h>

#include "tests/unit/ledger_world.h"
#include "tests/unit/rnd.h"

#define REPORTS 600
#define SENDERS 9
#define REPORTERS 24
#define SECTION 65536 /* of a dump */

static struct ledger_world w;
static struct says reports[REPORTS];

static void make_reports(uint64_t seed)
{
	static const char *const senders[SENDERS] = {"84911111111", "#9029", "84922222222",
		"84933333333", "84944444444", "84955555555", "@vietbank", "84966666666", NULL};
	static char ids[REPORTS][16];

	for (size_t i = 0; i < REPORTS; i++) {
		struct says *s = &reports[i];
		size_t of = rnd(&seed, SENDERS) * rnd(&seed, SENDERS) / SENDERS;

		(void)snprintf(ids[i], sizeof(ids[i]), "o%zu", i);
		*s = (struct says){
			.id = ids[i],
			.disposition = i == 3 ? DISP_REJECTED
				: i == 4      ? DISP_ROUTED
					      : DISP_ACCEPTED,
			.reporter = (int)rnd(&seed, REPORTERS),
			.sender = senders[of],
			.at = (int64_t)rnd(&seed, 40 * 24 * 3600) * US_PER_S,
			.kind = rnd(&seed, 3) == 0   ? KIND_LD
				: rnd(&seed, 2) == 0 ? KIND_S
						     : KIND_V,
			.matched = (enum matched)rnd(&seed, 3),
			.unverified = rnd(&seed, 5) == 0,
			.scam = rnd(&seed, 4) == 0,
			.spoofed = rnd(&seed, 9) == 0,
			.text_score = rnd(&seed, 2) == 0 ? 0 : (float)rnd(&seed, 1000) / 1000,
		};
		s->weightless = s->matched == MATCHED_NO || s->spoofed || rnd(&seed, 7) == 0;
		if (i % 20 == 10) { /* a bar that needs a person */
			*s = (struct says){.id = ids[i],
				.reporter = s->reporter,
				.sender = "#9029",
				.at = HOURS(39 * 24) + s->at / 40,
				.kind = KIND_LD,
				.matched = MATCHED_YES};
		}
		if (i % 20 == 11) { /* many, but nothing else speaks against it */
			*s = (struct says){.id = ids[i],
				.reporter = s->reporter,
				.sender = "84977777777",
				.at = s->at / 5,
				.kind = KIND_LD};
		}
		if (i > 20 && rnd(&seed, 12) == 0) {
			*s = reports[rnd(&seed, i)]; /* sent twice */
		}
	}
}

static void shuffle(struct says *out, uint64_t seed)
{
	memcpy(out, reports, sizeof(reports));
	for (size_t i = REPORTS - 1; i > 0; i--) {
		size_t k = rnd(&seed, i + 1);
		struct says s = out[i];

		out[i] = out[k];
		out[k] = s;
	}
}

static void wipe(void)
{
	pgtest_do(w.c,
		"TRUNCATE report, report_key, quarantine, subject, vote, standing, outcome, "
		"case_file,"
		" action, outbox, wish, dirty, audit_pending; DELETE FROM sender WHERE id <> 0;"
		" DELETE FROM part; DELETE FROM audit");
	w.now_us = T0 + HOURS(40 * 24 + 1);
	world_acquire(&w, 0, "me");
}

/* Everything that must not depend on the order, as one text. */
static char *dump(void)
{
	static const char *const sqls[] = {
		"SELECT string_agg(d || '=' || n, ' ' ORDER BY d) FROM (SELECT disposition || "
		"reason AS d, count(*)"
		" AS n FROM report GROUP BY 1 UNION ALL SELECT 'q' || reason, count(*) FROM "
		"quarantine GROUP BY 1"
		" UNION ALL SELECT 'p', sum(records) FROM part UNION ALL SELECT 'dup', "
		"sum(duplicates) FROM part"
		" UNION ALL SELECT 'missing', sum(missing) FROM conservation) x",
		"SELECT md5(string_agg(concat_ws(' ', s.value, v.service, v.day, encode(p.mac, "
		"'hex'), weight, scam,"
		" text_score, claim_score, 'f', first_at, 'l', last_at, 'v', verified_at, 's', "
		"scam_at, 'y', yes_at,"
		" 'x', spoof_at), E'\\n' ORDER BY s.value, v.service, v.day, p.mac)) FROM vote v "
		"JOIN sender s ON"
		" s.id = v.sender JOIN subject p ON p.id = v.reporter",
		"SELECT string_agg(concat_ws(' ', s.value, t.service, score, as_of, terms, votes), "
		"E'\\n' ORDER BY"
		" s.value, t.service) FROM standing t JOIN sender s ON s.id = t.sender",
		"SELECT string_agg(concat_ws(' ', s.value, c.service, c.class, c.kind, "
		"state, rung, peak_at, reports, first_at,"
		" due_at), E'\\n' ORDER BY s.value, c.service, c.class, c.kind) FROM case_file c"
		" JOIN sender s ON s.id = c.sender"
		/* one that was withdrawn is another order's that never was */
		" WHERE state <> 'closed' OR kind = 'reports'",
		"SELECT string_agg(concat_ws(' ', s.value, a.service, a.class, rung, action, "
		"decided_at, until, state,"
		" reason, reporters, matched), E'\\n' ORDER BY s.value, a.service, a.class, "
		"decided_at) FROM action a"
		" JOIN sender s ON s.id = a.sender WHERE state <> 'superseded'",
		"SELECT string_agg(concat_ws(' ', s.value, w.service, origin, action, detail, "
		"until, rung, decided_at,"
		" state, reason), E'\\n' ORDER BY s.value, w.service, origin) FROM wish w JOIN "
		"sender s ON s.id ="
		" w.sender",
		"SELECT md5(string_agg(concat_ws(' ', r.report_id, s.value, c.service, c.class, "
		"weight), ',' ORDER BY"
		" r.report_id)) FROM report r JOIN sender s ON s.id = r.sender LEFT JOIN case_file "
		"c ON c.id ="
		" r.case_id",
	};
	char *out = calloc(1, ARRAY_LEN(sqls) * SECTION);

	for (size_t i = 0; i < ARRAY_LEN(sqls); i++) {
		OWN(pg_free) struct pg_result *r = NULL;
		struct err e;

		pgtest_need(pg_run(w.c, sqls[i], NULL, 0, &r, &e), &e, sqls[i]);
		(void)snprintf(out + strlen(out), SECTION, "--%zu\n%s\n", i, pg_text(r, 0, 0).ptr);
	}
	return out;
}

/* Names the first line that differs. */
static void check_same(const char *got, const char *wanted)
{
	struct slice a = slice_str(got), b = slice_str(wanted), x = {NULL, 0}, y = {NULL, 0};

	for (bool more = true; more;) {
		bool m = slice_line(&a, &x), n = slice_line(&b, &y);

		more = m && n;
		if (m != n || (more && !slice_eq(x, y))) {
			check_text(m ? x : SLICE("(end)"), n ? y : SLICE("(end)"), "dump", __FILE__,
				__LINE__);
			return;
		}
	}
	CHECK_INT(strlen(got), strlen(wanted));
}

/* In batches of random size up to `most`. */
static void feed(const struct says *says, uint64_t seed, size_t most)
{
	for (size_t at = 0; at < REPORTS;) {
		size_t n = 1 + rnd(&seed, most);

		if (n > REPORTS - at)
			n = REPORTS - at;
		world_batch(&w, says + at, n);
		at += n;
	}
}

static char *want;

static void test_any_order(void)
{
	static const char *const kinds[] = {
		"wanted", "one_leg", "expired", "needs_person", "verifying"};
	static const size_t sizes[] = {1, 7, 60, REPORTS};
	static struct says says[REPORTS];

	wipe();
	feed(reports, 1, REPORTS);
	want = dump();
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		CHECK_HAS(want, kinds[i]); /* or the reports prove too little */
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CHECK_CASE("batches up to %zu", sizes[i]);
		wipe();
		shuffle(says, i + 5);
		feed(says, i, sizes[i]);
		char *got = dump();
		check_same(got, want);
		free(got);
	}
}

/* ---- two at once ---- */

struct half {
	struct ledger_world w;
	struct says says[REPORTS];
	size_t n;
	int retries;
};

static void *work_half(void *arg)
{
	struct half *h = arg;
	uint64_t seed = h->n;

	for (size_t at = 0; at < h->n;) {
		size_t n = 1 + rnd(&seed, 20);
		struct err e = {.text = ""};
		bool fenced;

		if (n > h->n - at)
			n = h->n - at;
		enum rc rc = world_try(&h->w, h->says + at, n, NULL, &fenced, &e);
		if (rc == RC_CONFLICT && !fenced && h->retries++ < 1000)
			continue;
		CHECK_RC(rc, RC_OK, &e);
		at += n;
	}
	return NULL;
}

static void test_two_at_once(void)
{
	static struct half half[2];
	pthread_t thread[2];

	for (int round = 0; round < 3; round++) {
		static struct says says[REPORTS];

		CHECK_CASE("round %d", round);
		wipe();
		shuffle(says, (uint64_t)round + 100);
		for (int i = 0; i < 2; i++) {
			half[i].w = w;
			half[i].w.arena = arena_new(64u << 20);
			half[i].w.l = world_ledger(&w);
			half[i].n = 0;
			world_acquire(&half[i].w, i + 1, "half");
		}
		for (size_t i = 0; i < REPORTS; i++) {
			struct half *h = &half[i % 2];
			h->says[h->n++] = says[i];
		}
		for (int i = 0; i < 2; i++)
			CHECK(pthread_create(&thread[i], NULL, work_half, &half[i]) == 0);
		for (int i = 0; i < 2; i++) {
			(void)pthread_join(thread[i], NULL);
			ledger_close(half[i].w.l);
			arena_free(half[i].w.arena);
		}
		char *got = dump();
		check_same(got, want);
		free(got);
	}
	printf("retries %d %d\n", half[0].retries, half[1].retries);
}

/* ---- the votes themselves ---- */

/* What one report alone counts: the table of section 3, written again. */
static struct vote alone(const struct says *s)
{
	bool sms = s->kind == KIND_S, counts = !s->weightless;
	int64_t at = T0 + s->at;
	struct vote v = {
		.day = time_day_vn(at),
		.weight = counts ? 1 : 0,
		.scam = s->scam || s->kind == KIND_LD,
		.text_score = counts && sms && s->matched == MATCHED_YES ? s->text_score : 0,
		.claim_score = counts && !(sms && s->matched == MATCHED_YES) ? s->text_score : 0,
		.first_at = counts ? at : TIME_NONE,
		.last_at = counts ? at : TIME_NONE,
		.verified_at = counts && !s->unverified ? at : TIME_NONE,
		.spoof_at = s->spoofed ? at : TIME_NONE,
	};

	v.scam_at = v.scam ? v.verified_at : TIME_NONE;
	v.yes_at = s->matched == MATCHED_YES ? v.verified_at : TIME_NONE;
	return v;
}

static int64_t time_at(const struct pg_result *r, int col)
{
	return pg_null(r, 0, col) ? TIME_NONE : pg_int(r, 0, col);
}

static void check_stored(const struct says *s, const struct vote *v)
{
	static const char sql[] = "SELECT weight, scam, text_score, claim_score, first_at, "
				  "last_at, verified_at, scam_at, yes_at,"
				  " spoof_at FROM vote v JOIN sender s ON s.id = v.sender JOIN "
				  "subject p ON p.id = v.reporter"
				  " WHERE s.value = $1 AND v.service = $2 AND v.day = DATE "
				  "'1970-01-01' + $3::int AND p.mac = $4";
	OWN(pg_free) struct pg_result *r = NULL;
	struct filing f = world_filing(&w, s, 0);
	struct err e = {.text = ""};
	struct pg_param p[] = {pg_p_str(f.sender.value), pg_p_int(f.service, w.arena),
		pg_p_int(v->day, w.arena),
		pg_p_bytes(slice_of((const char *)f.reporter_mac, MAC_LEN))};

	CHECK_CASE("%s of %d", s->sender, s->reporter);
	pgtest_need(pg_run(w.c, sql, p, 4, &r, &e), &e, sql);
	if (!CHECK_INT(pg_rows(r), 1))
		return;
	CHECK_NEAR(pg_real(r, 0, 0), v->weight, 0);
	CHECK_INT(pg_bool(r, 0, 1), v->scam);
	CHECK_NEAR(pg_real(r, 0, 2), v->text_score, 1e-6);
	CHECK_NEAR(pg_real(r, 0, 3), v->claim_score, 1e-6);
	CHECK_INT(time_at(r, 4), v->first_at);
	CHECK_INT(time_at(r, 5), v->last_at);
	CHECK_INT(time_at(r, 6), v->verified_at);
	CHECK_INT(time_at(r, 7), v->scam_at);
	CHECK_INT(time_at(r, 8), v->yes_at);
	CHECK_INT(time_at(r, 9), v->spoof_at);
}

static bool votes_for(const struct says *s)
{
	return s->sender != NULL && s->disposition == DISP_ACCEPTED;
}

static bool same_vote(const struct says *a, const struct says *b)
{
	return votes_for(b) && strcmp(a->sender, b->sender) == 0 && a->reporter == b->reporter &&
		(a->kind == KIND_S) == (b->kind == KIND_S) &&
		time_day_vn(T0 + a->at) == time_day_vn(T0 + b->at);
}

static void test_votes_merge_as_defined(void)
{
	size_t votes = 0;

	for (size_t i = 0; i < REPORTS; i++) {
		if (!votes_for(&reports[i]))
			continue;
		struct vote v = alone(&reports[i]);
		bool first = true;
		for (size_t k = 0; k < REPORTS; k++) {
			if (!same_vote(&reports[i], &reports[k]))
				continue;
			struct vote other = alone(&reports[k]);
			vote_merge(&v, &other);
			first = first && k >= i;
		}
		if (!first)
			continue;
		votes++;
		check_stored(&reports[i], &v);
		arena_reset(w.arena);
	}
	CHECK_CASE("all");
	CHECK_STR(pgtest_get(w.c, "SELECT count(*) FROM vote"), arena_fmt(w.arena, "%zu", votes));
}

int main(void)
{
	if (!ledger_world_init(&w))
		return 0;
	make_reports(2026);
	RUN(test_any_order);
	RUN(test_votes_merge_as_defined);
	RUN(test_two_at_once);
	free(want);
	ledger_world_done(&w);
	return check_done();
}
