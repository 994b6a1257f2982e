/* What the tests of cases share: a ledger on a schema of its own, the shipped policy, fresh keys, and reports in one line each. A batch
 * goes the way of the engine's worker: claim, judge, settle. */
#pragma once

#include "engine/batch.h"
#include "tests/unit/pgtest.h"

#define HOURS(n) ((n)*US_PER_HOUR)
#define T0 INT64_C(1790000000000000) /* 2026-09-21T14:13:20Z */

struct ledger_world {
	struct pg *c; /* for looking */
	struct ledger *l;
	struct keys *keys;
	struct judge judge;
	struct arena *arena;
	struct part part;
	int64_t now_us;
	const char *mode;
	char dir[CHECK_PATH], dsn[512];
	uint8_t policy[SHA256_LEN];
};

/* One report: who says what of whom. Zero means the usual: kind S, accepted, verified, counted. */
struct says {
	const char *id;
	int reporter;
	const char *sender; /* "849…", "#9029", "@vietcombank"; NULL: withheld */
	int64_t at;         /* after T0 */
	enum kind kind;
	enum matched matched;
	bool unverified, scam, weightless, spoofed;
	float text_score;
	enum disposition disposition;
	const char *reason, *category;
};

static inline void world_control(struct ledger_world *w, const char *mode)
{
	struct err e = {.text = ""};

	w->mode = mode;
	pgtest_need(control_activate(w->c, mode, w->policy, w->policy, NULL, w->now_us, "test", &e),
		&e, "control");
}

static inline struct ledger *world_ledger(const struct ledger_world *w)
{
	struct pg_options o = {.dsn = w->dsn, .name = "khien-test-ledger"};
	struct ledger *l = NULL;
	struct err e = {.text = ""};

	pgtest_need(ledger_open(&o, &l, &e), &e, "ledger_open");
	return l;
}

static inline void world_acquire(struct ledger_world *w, int32_t part, const char *me)
{
	struct err e = {.text = ""};

	pgtest_need(part_acquire(ledger_pg(w->l), "test", "complaints", part, me, &w->part, &e), &e,
		"part_acquire");
}

/* False: there is no PostgreSQL for tests. */
static inline bool ledger_world_init(struct ledger_world *w)
{
	static const char *const policy_path = SOURCE_DIR "/etc/policy.yaml";
	struct err e = {.text = ""};
	struct complaints complaints;

	memset(w, 0, sizeof(*w));
	w->c = pgtest_begin();
	if (w->c == NULL)
		return false;
	w->now_us = T0 + HOURS(24);
	pgtest_do(w->c, "SELECT report_partitions('2026-09-01', 3)");
	(void)snprintf(w->dsn, sizeof(w->dsn), "%s options='-csearch_path=%s'",
		getenv("KHIEN_TEST_PG"), pgtest_schema);
	check_dir(w->dir);
	pgtest_need(keys_create(w->dir, &e), &e, "keys_create");
	pgtest_need(keys_open(w->dir, &w->keys, &e), &e, "keys_open");
	complaints_init(&complaints);
	pgtest_need(policy_load(policy_path, &complaints, &w->judge.policy, &e), &e, "policy");
	complaints_done(&complaints);
	pgtest_need(
		artifact_store(w->c, "policy", "test", &policy_path, 1, w->now_us, w->policy, &e),
		&e, "artifact_store");
	world_control(w, "auto");
	w->arena = arena_new(256u << 20);
	w->l = world_ledger(w);
	world_acquire(w, 0, "me");
	return true;
}

static inline void ledger_world_done(struct ledger_world *w)
{
	static const char *const names[] = {"mac.key", "wrap.key", "token.key"};
	char path[CHECK_PATH * 2];

	ledger_close(w->l);
	policy_free(w->judge.policy);
	keys_free(w->keys);
	arena_free(w->arena);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(w->dir);
	pgtest_end(w->c);
}

static inline void world_sender(const char *text, struct filing *f)
{
	struct sender s = {.scope = SCOPE_NONE};

	f->attribution = ATTR_UNATTRIBUTED;
	f->carrier = f->number_class = "";
	if (text == NULL) {
		f->sender = s;
		return;
	}
	s.scope = *text == '#' ? SCOPE_SHORT : *text == '@' ? SCOPE_NAME : SCOPE_NUMBER;
	f->attribution = *text == '#' ? ATTR_SHORT : *text == '@' ? ATTR_BRANDNAME : ATTR_OTHER;
	(void)snprintf(s.value, sizeof(s.value), "%s", s.scope == SCOPE_NUMBER ? text : text + 1);
	f->sender = s;
	f->sender_raw = slice_str(s.scope == SCOPE_NUMBER ? text : text + 1);
}

/* The filing that decoder and classifier would make of it. */
static inline struct filing world_filing(
	const struct ledger_world *w, const struct says *s, int64_t offset)
{
	char *number = arena_fmt(w->arena, "8498%07d", s->reporter);
	char *bytes = arena_fmt(w->arena, "{\"report_id\":\"%s\"}", s->id != NULL ? s->id : "");
	struct filing f = {
		.offset = offset,
		.bytes = slice_str(bytes),
		.disposition = s->disposition,
		.reason = s->reason != NULL                  ? s->reason
			: s->disposition == DISP_QUARANTINED ? "not_json"
			: s->disposition == DISP_ROUTED      ? "registry"
			: s->disposition == DISP_REJECTED    ? "emergency_number"
			: s->sender == NULL                  ? "withheld"
							     : "counted",
		.detail = "",
		.report_id = slice_str(s->id != NULL ? s->id : ""),
		.kind = s->kind,
		.service = s->kind == KIND_S ? SERVICE_SMS : SERVICE_VOICE,
		.channel = CH_SMS5656,
		.received_at = T0 + s->at,
		.occurred_at = TIME_NONE,
		.reporter = slice_str(number),
		.verified = !s->unverified,
		.category = slice_str(s->category != NULL ? s->category : ""),
		.content = SLICE("vay tien nhanh"),
		.terms = SLICE("[]"),
		.extra = SLICE(""),
		.matched = s->matched,
		.duration_s = -1,
		.counts = !s->weightless,
		.spoofed = s->spoofed,
		.registry_text = SLICE("DK DNC"),
		.cls = s->scam || s->kind == KIND_LD ? CLASS_SCAM : CLASS_NUISANCE,
		.label = s->text_score > 0 ? LABEL_SPAM : LABEL_HAM,
		.text_score = s->text_score,
	};
	BUF_OWN struct buf body;

	world_sender(s->sender, &f);
	if (s->disposition == DISP_REJECTED && s->reason != NULL &&
		strcmp(s->reason, "self_report") == 0)
		f.reporter = arena_copy(w->arena, slice_str(f.sender.value));
	keys_mac(w->keys, "report_id", f.report_id, f.id_hash);
	keys_mac(w->keys, "reporter", f.reporter, f.reporter_mac);
	buf_init(&body, 1024);
	buf_fmt(&body, "%d/%s/%s", s->kind, number, s->sender != NULL ? s->sender : "");
	keys_mac(w->keys, "body", buf_slice(&body), f.body_mac);
	buf_done(&body);
	return f;
}

static inline struct ledger_settings world_settings(const struct ledger_world *w)
{
	return (struct ledger_settings){
		.source = "test",
		.actor = "engine/worker-1",
		.keys = w->keys,
		.rules_version = "rules-1",
		.policy_version = "policy-1",
		.clock_s = {24 * 3600, 2 * 3600},
		.quarantine_keep_s = 86400,
	};
}

/* One batch through the ledger; filings come back as the ledger left them when `out` is not NULL. */
static inline enum rc world_try(struct ledger_world *w, const struct says *says, size_t n,
	struct filing *out, bool *fenced, struct err *e)
{
	struct ledger_settings s = world_settings(w);
	struct batch_part part = {.part = &w->part,
		.from = w->part.next_offset,
		.next = w->part.next_offset + (int64_t)n,
		.records = (int64_t)n};
	struct touched *touched = NULL;
	struct control control;
	size_t n_touched = 0;

	arena_reset(w->arena);
	struct filing *f = arena_array(w->arena, n, sizeof(*f));
	for (size_t i = 0; i < n; i++)
		f[i] = world_filing(w, &says[i], part.from + (int64_t)i);
	struct ledger_batch b = {.parts = &part, .n_parts = 1, .filings = f, .n = n};
	enum rc rc = ledger_claim(
		w->l, &s, &b, w->now_us, w->arena, &control, &touched, &n_touched, fenced, e);
	if (rc == RC_OK)
		rc = judge_touched(&w->judge, &control, w->now_us, touched, n_touched, w->arena);
	if (rc == RC_OK)
		rc = ledger_settle(w->l, &s, &b, touched, n_touched, w->now_us, w->arena, e);
	if (rc == RC_OK)
		w->part.next_offset = part.next;
	else
		ledger_abort(w->l);
	if (out != NULL)
		memcpy(out, f, n * sizeof(*f));
	return rc;
}

static inline void world_batch(struct ledger_world *w, const struct says *says, size_t n)
{
	struct err e = {.text = ""};
	bool fenced;

	CHECK_RC(world_try(w, says, n, NULL, &fenced, &e), RC_OK, &e);
}
#define BATCH(w, ...)                                      \
	world_batch(w, (const struct says[]){__VA_ARGS__}, \
		ARRAY_LEN(((const struct says[]){__VA_ARGS__})))
