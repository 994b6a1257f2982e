/* Fetched records become committed transactions: decoded and judged into a batch, settled in the ledger, and whatever happens there taught
 * what to do next - the same again, fewer, or drop it all and ask the ledger where we are. A record that the database refuses, or at which
 * processes died, is found by taking fewer, and kept in quarantine. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/bell.h"
#include "engine/worker.h"

#define CONFLICTS_MAX 64 /* passing ones in a row before the batch is given back */
#define TURN_US \
	(60 * US_PER_S) /* Kafka is polled at least this often, far inside max.poll.interval.ms */
#define CRASHES 2       /* at one offset: from then on record by record */
#define DEATHS \
	2 /* of processes with one record alone in their hands: it is not looked into again */

/* What one try at a batch taught. */
enum lesson {
	DONE,    /* committed */
	POISON,  /* a record in it is refused by the database: take fewer */
	AGAIN,   /* a passing conflict, or the judge changed: the same batch again */
	DROPPED, /* fenced, stopped or connection lost: what was fetched is void */
};

static struct metric *records_metric, *batch_seconds, *retries_metric;

static void make_metrics(void)
{
	records_metric = metric_family(METRIC_COUNTER, "khien_records_total",
		"topic,partition,disposition", "Records committed, by what became of them.");
	batch_seconds = metric_family(
		METRIC_HISTOGRAM, "khien_batch_seconds", "", "Time of one batch transaction.");
	retries_metric = metric_family(METRIC_COUNTER, "khien_batch_retries_total", "cause",
		"Batches that were tried again, taken in smaller parts or given back.");
}

void worker_metrics(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_metrics);
}

void count_retry(const char *why)
{
	metric_add(metric_at(retries_metric, why, NULL, NULL), 1);
}

static void count_dispositions(const struct part *p, const size_t n[DISPOSITIONS])
{
	char number[12];

	snprintf(number, sizeof(number), "%d", p->part);
	for (size_t d = 0; d < DISPOSITIONS; d++)
		if (n[d] > 0)
			metric_add(metric_at(records_metric, p->topic, number,
					   disposition_name((enum disposition)d)),
				(double)n[d]);
}

/* What the batch's filings from *i on count of their partition; *i is then at the next one's. */
static void tally(const struct ledger_batch *b, size_t *i, size_t n[DISPOSITIONS])
{
	int32_t part = b->filings[*i].part;

	memset(n, 0, DISPOSITIONS * sizeof(*n));
	for (; *i < b->n && b->filings[*i].part == part; ++*i)
		n[b->filings[*i].disposition]++;
}

static void count_records(const struct ledger_batch *b)
{
	size_t n[DISPOSITIONS];

	for (size_t i = 0; i < b->n;) {
		const struct part *p = b->parts[b->filings[i].part].part;

		tally(b, &i, n);
		count_dispositions(p, n);
	}
}

/* The connection was lost, perhaps with the answer to COMMIT. Whoever acquires the partitions next learns where they stand. */
static void note_doubt(struct turn *t)
{
	for (size_t i = 0; i < t->b.n;) {
		int32_t part = t->b.filings[i].part;
		struct owned *o = t->owned[part];

		tally(&t->b, &i, o->doubt);
		o->doubt_next = t->parts[part].next;
	}
}

void count_doubtful(struct owned *o)
{
	if (o->doubt_next != 0 && o->part.next_offset == o->doubt_next)
		count_dispositions(&o->part, o->doubt);
	o->doubt_next = 0;
}

static void park_all(struct worker *w, const struct turn *t, int64_t ms)
{
	for (size_t i = 0; i < t->b.n_parts; i++)
		park(w, t->owned[i], ms);
}

static enum lesson stop_all(struct worker *w, const struct turn *t, const char *cause)
{
	for (size_t i = 0; i < t->b.n_parts; i++)
		stop_partition(w, t->owned[i], t->b.parts[i].from, cause);
	return DROPPED;
}

static enum lesson learn(
	struct worker *w, struct turn *t, enum rc rc, bool fenced, const struct err *e)
{
	if (pg_broken(ledger_pg(w->ledger))) {
		log_warn("engine",
			"worker=%d batch given up, the ledger will say what became of it: %s",
			w->index, e->text);
		note_doubt(t);
		database_away(w, e->text);
		return DROPPED;
	}
	ledger_abort(w->ledger);
	if (fenced) {
		log_warn("engine", "worker=%d fenced: another owner took the partition", w->index);
		count_retry("fenced");
		park_all(w, t, 1000); /* the group will say whether it is still ours */
		return DROPPED;
	}
	switch (rc) {
	case RC_CONFLICT:
		count_retry("conflict");
		wait_ms(backoff_ms(0, 20, 100), w->s.stop);
		return AGAIN;
	case RC_INVALID: /* SQLSTATE 22, 23, 54 */
	case RC_LIMIT:   /* too much for the memory of one batch */
		count_retry("poison");
		return POISON;
	case RC_RETRY:
		log_warn("engine", "worker=%d waiting for the database: %s", w->index, e->text);
		database_away(w, e->text);
		return DROPPED;
	default:
		return stop_all(w, t, e->text);
	}
}

/* The control row names another judge than the one that judged this batch. */
static enum lesson change_judge(struct worker *w, const struct control *control)
{
	struct err e = {0};

	ledger_abort(w->ledger);
	w->control = *control;
	if (follow_control(w, &e) == RC_OK)
		return AGAIN;
	/* No record is to blame: wait until what is active can be loaded. */
	log_error("engine", "worker=%d the active policy and packs cannot be loaded: %s", w->index,
		e.text);
	database_away(w, e.text);
	return DROPPED;
}

static struct ledger_settings settings_of(const struct worker *w)
{
	const struct policy *p = w->judge->policy;

	return (struct ledger_settings){
		.source = w->kafka.source,
		.actor = w->actor,
		.keys = w->s.keys,
		.rules_version = w->judge->versions,
		.policy_version = p->version,
		.clock_s = {p->clock_s[CLASS_NUISANCE], p->clock_s[CLASS_SCAM]},
		.quarantine_keep_s = conf_int(w->s.conf, "quarantine.keep"),
	};
}

static bool suspicious(const struct owned *o)
{
	return o->part.attempts >= CRASHES;
}

/* One transaction. */
static enum lesson settle(struct worker *w, struct turn *t, struct err *e)
{
	int64_t now_us = w->s.clk->now_us(w->s.clk), begun = worker_mono(w);
	struct ledger_settings ls = settings_of(w);
	struct touched *touched = NULL;
	struct control control = {0};
	size_t n_touched = 0;
	bool fenced = false;
	enum rc rc = RC_OK;

	if (t->b.n == 1 && suspicious(t->owned[0]))
		rc = note_alone(w, t->owned[0], e);
	if (rc == RC_OK)
		rc = ledger_claim(w->ledger, &ls, &t->b, now_us, w->arena, &control, &touched,
			&n_touched, &fenced, e);
	if (rc == RC_OK && !judge_is(w->judge, &control))
		return change_judge(w, &control);
	if (rc == RC_OK) {
		w->control = control;
		rc = judge_touched(w->judge, &control, now_us, touched, n_touched, w->arena);
		if (rc != RC_OK)
			err_set(e, rc, "the memory of a batch is used up");
	}
	if (rc == RC_OK)
		rc = ledger_settle(w->ledger, &ls, &t->b, touched, n_touched, now_us, w->arena, e);
	if (rc != RC_OK)
		return learn(w, t, rc, fenced, e);
	metric_observe(
		metric_at(batch_seconds, NULL, NULL, NULL), (double)(worker_mono(w) - begun) / 1e6);
	return DONE;
}

/* ---- gathering ---- */

static void put_part(struct turn *t, struct owned *o)
{
	t->owned[t->b.n_parts] = o;
	t->parts[t->b.n_parts++] =
		(struct batch_part){.part = &o->part, .from = o->part.next_offset};
}

/* The record as the next filing. One at which processes died, or that alone fills the memory, is kept in quarantine unread. */
static enum rc put_record(
	struct worker *w, struct turn *t, const struct owned *o, const struct kafka_record *r)
{
	int32_t part = (int32_t)t->b.n_parts - 1;

	if (o->crashed_alone >= DEATHS) {
		log_error("engine",
			"topic=%s partition=%d offset=%lld quarantined unread: %d processes died "
			"with it",
			r->topic, r->partition, (long long)r->offset, o->crashed_alone);
		filings_unread(&w->filings, r, part, "crashes_engine",
			"processes died while they worked on it alone");
		return RC_OK;
	}
	enum rc rc = filings_add(
		&w->filings, w->decoder, w->scan, w->judge, w->s.plan, o->of, r, part, w->arena);
	if (rc == RC_OK || w->filings.n > 0)
		return rc;
	filings_unread(
		&w->filings, r, part, "too_large", "it does not fit into the memory of a batch");
	return RC_OK;
}

/* Decodes records [0, n) that are still wanted into one ledger batch, fewer when the arena is full; a batch holds reports, or facts of one
 * kind. */
static void gather(struct worker *w, const struct kafka_record **records, size_t n, struct turn *t)
{
	struct owned *o = NULL;

	w->filings.n = 0;
	t->b = (struct ledger_batch){.parts = t->parts};
	arena_reset(w->arena);
	for (t->taken = 0; t->taken < n; t->taken++) {
		const struct kafka_record *r = records[t->taken];

		if (o == NULL || o->part.part != r->partition ||
			strcmp(o->part.topic, r->topic) != 0)
			o = find_owned(w, r->topic, r->partition);
		if (o == NULL || !o->live || r->offset < o->part.next_offset)
			continue; /* revoked meanwhile, or fetched before a re-assignment */
		bool alone = suspicious(o);
		if (w->filings.n > 0 && (alone || o->of != t->b.of))
			break;
		t->b.of = o->of;
		bool fresh = t->b.n_parts == 0 || t->owned[t->b.n_parts - 1] != o;
		if (fresh)
			put_part(t, o);
		if (put_record(w, t, o, r) != RC_OK) {
			t->b.n_parts -= fresh;
			break;
		}
		struct batch_part *bp = &t->parts[t->b.n_parts - 1];
		bp->next = r->offset + 1;
		bp->records++;
		if (alone) {
			t->taken++;
			break;
		}
	}
	t->b.filings = w->filings.at;
	t->b.n = w->filings.n;
}

/* A single record that the database refuses is kept in quarantine with its SQLSTATE. */
static void make_quarantined(struct filing *f, const struct err *e, struct arena *a)
{
	char text[201];

	snprintf(text, sizeof(text), "%.200s", e->text);
	while (text[0] != '\0' && !slice_utf8_valid(slice_str(text)))
		text[strlen(text) - 1] = '\0'; /* the cut may have gone through a character */
	f->disposition = DISP_QUARANTINED;
	f->reason = "refused_by_database";
	f->detail = arena_fmt(a, "SQLSTATE %s: %s", e->state[0] != '\0' ? e->state : "none", text);
	if (f->detail == NULL)
		f->detail = "";
}

static void committed(struct worker *w, const struct turn *t)
{
	for (size_t i = 0; i < t->b.n_parts; i++) {
		struct owned *o = t->owned[i];
		o->part.next_offset = t->parts[i].next;
		o->part.attempts = o->crashed_alone = 0;
		kafka_courtesy_commit(
			w->consumer, o->part.topic, o->part.part, o->part.next_offset);
	}
	count_records(&t->b);
	w->db_failures = 0;
	w->asked_at_us = worker_mono(w);
	bell_ring();
}

/* What is left is fetched again: its time is over, not its turn. */
static void give_back(struct worker *w, const struct kafka_record **records, size_t n)
{
	count_retry("turn");
	for (size_t i = 0; i < n; i++) {
		struct owned *o = find_owned(w, records[i]->topic, records[i]->partition);
		if (o == NULL || !o->live)
			continue;
		park(w, o, 1);
		o->failures = 0;
	}
}

/* Works through what was fetched: whole, then in halves around a record that the database refuses, down to the record. How far that went is
 * remembered in w->take when the turn ends first. */
void work_off(struct worker *w, const struct kafka_record **records, size_t n)
{
	int64_t begun = worker_mono(w);
	struct turn *t = &w->turn;
	bool quarantine_next = false;
	unsigned conflicts = 0;
	struct err cause = {0};

	for (size_t at = 0; at < n && !engine_stopping(&w->s);) {
		struct err e = {0};

		if (!quarantine_next && worker_mono(w) - begun > TURN_US) {
			give_back(w, records + at, n - at);
			return;
		}
		gather(w, records + at, w->take < n - at ? w->take : n - at, t);
		if (t->b.n == 0) { /* none of them is wanted any more */
			at += t->taken;
			continue;
		}
		bool last_resort = quarantine_next && t->b.n == 1;
		if (last_resort)
			make_quarantined(&t->b.filings[0], &cause, w->arena);
		quarantine_next = false;
		switch (settle(w, t, &e)) {
		case DONE:
			committed(w, t);
			at += t->taken;
			conflicts = 0;
			w->take = w->take < BOUND_BATCH_RECORDS ? w->take * 2 : BOUND_BATCH_RECORDS;
			break;
		case POISON:
			if (last_resort) {
				(void)stop_all(w, t, e.text);
				return;
			}
			if (t->b.n == 1) {
				quarantine_next = true;
				cause = e;
			}
			w->take = t->b.n > 1 ? t->b.n / 2 : 1;
			break;
		case AGAIN:
			quarantine_next = last_resort; /* it was not its fault this time */
			if (++conflicts > CONFLICTS_MAX) {
				database_away(w, e.text);
				return;
			}
			break;
		case DROPPED:
			return;
		}
	}
}
