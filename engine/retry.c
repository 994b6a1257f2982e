/* A quarantined record is taken the way of any record once more: decoded with today's plan, policy and packs, claimed, counted. It keeps its
 * place in Kafka; its partition's sum stays what it was, for it leaves one counter and joins another in one transaction. When it would
 * only be quarantined again, nothing changes and the caller is told why. Leaves out who asks (app/quarantine.c). */
#include "engine/batch.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES (16u << 20)

struct retrying {
	struct ledger *ledger;
	struct control control;
	struct judge *judge;
	struct scan *scan;
	struct ingest_rules rules;
	struct decoder *decoder;
	struct arena *arena;
	struct filing filing;
};

static void retrying_done(struct retrying *r)
{
	ledger_close(r->ledger);
	scan_free(r->scan);
	judge_drop(r->judge);
	decoder_free(r->decoder);
	arena_free(r->arena);
}

static enum rc prepare(const struct engine_settings *s, struct retrying *r, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(s->conf, "database.dsn"), .name = "khien-retry"};
	enum rc rc = ledger_open(&o, &r->ledger, e);

	if (rc == RC_OK)
		rc = control_read(ledger_pg(r->ledger), &r->control, e);
	if (rc == RC_NONE)
		rc = err_set(e, RC_RETRY, "no policy is active yet");
	if (rc == RC_OK)
		rc = judge_get(ledger_pg(r->ledger), &r->control, &r->judge, e);
	if (rc == RC_OK)
		rc = judge_scan(r->judge, &r->scan, e);
	if (rc != RC_OK)
		return rc;
	r->rules = (struct ingest_rules){
		.plan = s->plan, .keys = s->keys, .late_after_s = r->judge->policy->late_after_s};
	r->decoder = decoder_new(&r->rules);
	r->arena = arena_new(ARENA_BYTES);
	return r->decoder != NULL && r->arena != NULL ? RC_OK
						      : err_set(e, RC_RETRY, "out of memory");
}

static enum feed feed_of(const struct conf *c, const char *topic)
{
	char name[64];

	for (int f = FEED_CONTACTS; f < FEED_COUNT; f++) {
		(void)snprintf(name, sizeof(name), "kafka.topics.%s", feed_name((enum feed)f));
		if (strcmp(topic, conf_text(c, name)) == 0)
			return (enum feed)f;
	}
	return FEED_COMPLAINTS;
}

static enum rc still_bad(const struct filing *f, struct err *e)
{
	return err_set(e, RC_INVALID, "it would be quarantined again: %s%s%s", f->reason,
		f->detail != NULL && f->detail[0] != '\0' ? ", " : "",
		f->detail != NULL ? f->detail : "");
}

static enum rc through(const struct engine_settings *s, struct retrying *r,
	const struct ledger_settings *ls, struct ledger_batch *b, struct err *e)
{
	int64_t now_us = s->clk->now_us(s->clk);
	struct touched *touched = NULL;
	struct control control = {0};
	size_t n = 0;
	bool fenced = false;
	enum rc rc = ledger_claim(
		r->ledger, ls, b, now_us, r->arena, &control, &touched, &n, &fenced, e);

	if (fenced)
		return err_set(
			e, RC_CONFLICT, "it is not open: somebody has retried or dropped it");
	if (rc == RC_OK && !judge_is(r->judge, &control))
		return err_set(e, RC_CONFLICT, "policy or packs were changed meanwhile; try again");
	if (rc == RC_OK && b->filings[0].disposition == DISP_QUARANTINED)
		return still_bad(&b->filings[0], e);
	if (rc == RC_OK)
		rc = judge_touched(r->judge, &control, now_us, touched, n, r->arena);
	if (rc == RC_OK)
		rc = ledger_settle(r->ledger, ls, b, touched, n, now_us, r->arena, e);
	return rc;
}

/* One line of the audit, whatever somebody typed. */
static const char *one_line(const char *why, struct arena *a)
{
	char *copy = arena_fmt(a, "%s", why);

	for (char *at = copy; at != NULL && *at != '\0'; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = ' ';
	return copy != NULL ? copy : "";
}

static enum rc retry(const struct engine_settings *s, struct retrying *r,
	const struct retry_order *o, struct retry_answer *out, struct err *e)
{
	struct filings fs = {.at = &r->filing, .room = 1};
	struct quarantine_place place = o->place;
	struct quarantined q;
	enum rc rc = quarantine_read(ledger_pg(r->ledger), s->keys, &place, r->arena, &q, e);

	if (rc != RC_OK)
		return rc;
	if (o->edited.ptr == NULL && q.size > (int64_t)q.bytes.len)
		return err_set(e, RC_INVALID,
			"only the first %zu of its %lld bytes were kept: it can be retried with a "
			"file only",
			q.bytes.len, (long long)q.size);
	struct kafka_record rec = {
		.topic = place.topic,
		.partition = place.part,
		.offset = place.offset,
		/* the record's own is not kept, and was not later */
		.timestamp_us = q.at,
		.trace = slice_str(q.trace),
		.value = o->edited.ptr != NULL               ? o->edited
			: strcmp(q.reason, "tombstone") == 0 ? slice_of(NULL, 0)
							     : q.bytes,
	};
	enum feed of = feed_of(s->conf, place.topic);
	rc = filings_add(&fs, r->decoder, r->scan, r->judge, s->plan, of, &rec, 0, r->arena);
	if (rc != RC_OK)
		return err_set(e, RC_LIMIT, "the record does not fit into memory");
	if (r->filing.disposition == DISP_QUARANTINED)
		return still_bad(&r->filing, e);
	struct part part = {.part = place.part};
	(void)snprintf(part.topic, sizeof(part.topic), "%s", place.topic);
	struct batch_part bp = {.part = &part};
	struct retry mark = {.offset = place.offset, .why = one_line(o->why, r->arena)};
	struct ledger_batch b = {.retry = &mark,
		.of = of,
		.parts = &bp,
		.n_parts = 1,
		.filings = &r->filing,
		.n = 1};
	const struct policy *p = r->judge->policy;
	struct ledger_settings ls = {
		.source = q.source,
		.actor = o->actor,
		.keys = s->keys,
		.rules_version = pack_version(r->judge->pack),
		.policy_version = p->version,
		.clock_s = {p->clock_s[CLASS_NUISANCE], p->clock_s[CLASS_SCAM]},
		.quarantine_keep_s = conf_int(s->conf, "quarantine.keep"),
	};
	rc = through(s, r, &ls, &b, e);
	if (rc != RC_OK) {
		ledger_abort(r->ledger);
		return rc;
	}
	out->disposition = r->filing.disposition;
	(void)snprintf(out->reason, sizeof(out->reason), "%s", r->filing.reason);
	return RC_OK;
}

enum rc engine_retry(const struct engine_settings *s, const struct retry_order *o,
	struct retry_answer *out, struct err *e)
{
	struct retrying *r = calloc(1, sizeof(*r));
	enum rc rc;

	if (r == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = prepare(s, r, e);
	if (rc == RC_OK)
		rc = retry(s, r, o, out, e);
	retrying_done(r);
	free(r);
	return rc;
}

enum rc engine_retry_json(void *settings, const struct quarantine_place *place, const char *actor,
	const char *why, struct slice record, char *answer, size_t room, struct err *e)
{
	struct retry_order o = {.place = *place, .edited = record, .actor = actor, .why = why};
	struct retry_answer got;
	enum rc rc = engine_retry(settings, &o, &got, e);

	if (rc == RC_OK)
		(void)snprintf(answer, room, "{\"disposition\":\"%s\",\"reason\":\"%s\"}\n",
			disposition_name(got.disposition), got.reason);
	return rc;
}
