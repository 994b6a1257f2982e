/* `khien send`: report files onto the topic. Reads, keys, queues; every so often waits until all is acknowledged and writes the position
 * down, so that what a crash repeats is bounded and nothing is left out. Leaves out the options (app/send.c) and the files' format
 * (lines.c). */
#include "ingest/send.h"

#define FLUSH_RECORDS 5000
#define FLUSH_US US_PER_S
#define STEP_MS 1000 /* how long one wait for acknowledgements is, between two looks at *stop */
#define STOP_US (10 * US_PER_S) /* how long a stopped run still waits for them */

struct sending {
	const struct send_options *o;
	struct kafka_source source;
	const char *topic, *dir;
	struct kafka_producer *producer;
	struct key_maker *keys;
	struct budget budget;
	struct send_progress p;
	uint64_t queued; /* records since the last flush */
	uint64_t bytes;  /* theirs */
	int64_t started_us, flushed_us;
	uint64_t taken; /* records of this run, for the rate */
	uint64_t
		before; /* records acknowledged up to the start of this file, less those of its earlier runs */
};

static int64_t now(void)
{
	return clk_system.mono_us(&clk_system);
}

static bool stopped(const struct sending *s)
{
	return s->o->stop != NULL && *s->o->stop != 0;
}

static void tell(struct sending *s)
{
	if (s->o->progress != NULL)
		s->o->progress(s->o->arg, &s->p);
}

static void refuse(struct sending *s, const struct lines *l, const char *why)
{
	s->p.refused++;
	if (s->o->complain != NULL)
		s->o->complain(s->o->arg, l->name, l->line, why);
}

/* Waits for all acknowledgements. A delivery that failed for good ends the run; brokers that are away are waited for. */
static enum rc flush(struct sending *s, struct err *e)
{
	int64_t give_up = 0;
	enum rc rc;

	while ((rc = kafka_producer_flush(s->producer, STEP_MS, e)) == RC_RETRY) {
		if (kafka_failed(s->producer) > 0)
			return rc;
		if (stopped(s) && give_up == 0)
			give_up = now() + STOP_US;
		if (give_up != 0 && now() > give_up)
			return err_set(e, RC_RETRY, "stopped while the brokers were away");
		s->p.waiting = true;
		tell(s);
	}
	s->p.waiting = false;
	if (rc != RC_OK)
		return rc;
	s->p.records += s->queued;
	s->p.bytes += s->bytes;
	s->queued = s->bytes = 0;
	s->flushed_us = now();
	return RC_OK;
}

/* All up to line l is with the brokers: writes it down. */
static enum rc settle(struct sending *s, struct lines *l, struct position *at, struct err *e)
{
	enum rc rc = flush(s, e);

	if (rc != RC_OK)
		return rc;
	s->p.file_at = l->at;
	tell(s);
	rc = budget_save(&s->budget, e);
	if (rc != RC_OK || l->piped)
		return rc;
	at->at = l->at;
	at->line = l->line;
	at->records = s->p.records - s->before;
	return position_save(at, l, e);
}

static enum rc queue(struct sending *s, const struct lines *l, struct slice key,
	struct slice record, struct err *e)
{
	int32_t partition;
	enum rc rc;

	if (!budget_take(&s->budget, key, record.len, &partition))
		return err_set(e, RC_LIMIT,
			"%s:%llu: the demonstration broker forgets what is beyond about 5 MB a "
			"partition, and it has 4 "
			"MB; start it anew with more partitions, or use a real broker",
			l->name, (unsigned long long)l->line);
	while ((rc = kafka_send(s->producer, s->topic, partition, key, record, NULL, e)) ==
		RC_LIMIT) {
		enum rc full = flush(s, e);

		if (full != RC_OK)
			return full;
	}
	if (rc == RC_OK) {
		s->queued++;
		s->bytes += record.len;
		s->taken++;
	}
	return rc;
}

static void pace(const struct sending *s)
{
	int64_t due;

	if (s->o->rate == 0)
		return;
	due = s->started_us + (int64_t)((double)s->taken * (double)US_PER_S / (double)s->o->rate);
	if (due - now() > 1000)
		wait_ms((due - now()) / 1000, s->o->stop);
}

/* Lines until the end of the file, a stop or a failure. */
static enum rc each_line(struct sending *s, struct lines *l, struct position *at, struct err *e)
{
	enum line_kind kind = LINE_RECORD;
	enum rc rc = RC_OK;

	while (rc == RC_OK && !stopped(s)) {
		uint64_t from = l->at, line = l->line;
		struct slice record;
		const char *why;

		rc = lines_next(l, &kind, &record, &why, e);
		if (rc != RC_OK || kind == LINE_END)
			break;
		if (kind == LINE_EMPTY)
			s->p.empty_lines++;
		else if (kind == LINE_BAD)
			refuse(s, l, why);
		else
			rc = queue(s, l, key_of(s->keys, record), record, e);
		if (rc == RC_LIMIT) { /* this line is still to be sent, those before are */
			struct err ignored;

			l->at = from;
			l->line = line;
			(void)settle(s, l, at, &ignored);
			return RC_LIMIT;
		}
		if (rc == RC_OK &&
			(s->queued >= FLUSH_RECORDS || now() - s->flushed_us >= FLUSH_US))
			rc = settle(s, l, at, e);
		pace(s);
	}
	if (rc == RC_OK)
		rc = settle(s, l, at, e);
	if (rc == RC_OK && kind != LINE_END && stopped(s))
		rc = err_set(e, RC_RETRY, "stopped at %s:%llu; run it again to go on there",
			l->name, (unsigned long long)l->line);
	return rc;
}

static enum rc one_file(struct sending *s, const char *name, struct err *e)
{
	struct position at = {0};
	struct lines l;
	enum rc rc = lines_open(&l, name, e);

	if (rc != RC_OK)
		return rc;
	s->p.file = name;
	s->p.file_size = l.size;
	if (!l.piped) {
		rc = position_load(s->dir, s->source.source, s->topic, &l, &at, e);
		if (rc == RC_OK && s->o->from_start)
			at.at = at.line = at.records = 0;
		if (rc == RC_OK)
			rc = lines_seek(&l, &at, e);
	}
	s->p.file_at = l.at;
	s->p.resumed += at.records;
	s->before = s->p.records - at.records; /* may wrap; the difference is right again */
	if (rc == RC_OK)
		rc = each_line(s, &l, &at, e);
	lines_close(&l);
	return rc;
}

enum rc send_files(const struct conf *c, const struct send_options *o, char *const *files, size_t n,
	struct send_progress *out, struct err *e)
{
	OWN(kafka_producer_close) struct kafka_producer *producer = NULL;
	OWN(key_maker_free) struct key_maker *keys = NULL;
	struct sending s = {.o = o};
	enum rc rc;

	s.topic = o->topic != NULL ? o->topic : conf_text(c, "kafka.topics.complaints");
	s.dir = o->state_dir != NULL ? o->state_dir : conf_text(c, "send.state_dir");
	rc = kafka_source_of(c, &s.source, e);
	if (rc == RC_OK)
		rc = budget_load(s.dir, &s.source, s.topic, &s.budget, e);
	if (rc == RC_OK && (keys = key_maker_new(o->plan)) == NULL)
		rc = err_set(e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = kafka_producer_open(&s.source.settings, &producer, e);
	s.producer = producer;
	s.keys = keys;
	s.started_us = s.flushed_us = now();
	for (size_t i = 0; rc == RC_OK && i < n; i++)
		rc = one_file(&s, files[i], e);
	tell(&s);
	*out = s.p;
	return rc;
}
