/* The manual-offset consumer: a member of a group that fetches exactly from the offsets its owner
 * gives. Every change of what is fetched - a rebalance, a pause, another offset - is one whole
 * rd_kafka_assign with the position of each partition: seek and pause can lose an offset when they
 * meet an assign (librdkafka #2190), and an eager group allows nothing else. What was prefetched is
 * dropped by that, and what a rebalance overtakes while a batch is gathered is dropped here. While the
 * owner is busy with a batch (kafka_keep) a rebalance waits for the next poll.
 * Offsets are not stored in Kafka, but for the courtesy commit. */
#include "wire/kafka_rd.h"

#include <assert.h>
#include <stdlib.h>

#define TEXT(x) #x
#define NUMBER(x) TEXT(x)
#define STASH 64 /* records that came out while the owner was busy */

/* A partition that the group gave to us. */
struct part {
	char *topic;
	int32_t partition;
	int64_t next; /* the offset to fetch from; <0 when the owner left it out */
	bool parked;  /* not fetched: left out, paused, or out of range */
	bool bad;     /* out of range, and the owner does not know yet */
	char why[160];
};

struct kafka_consumer {
	rd_kafka_t *rk;
	kafka_rebalance *cb;
	void *arg;
	struct part *parts;
	size_t count;
	struct kafka_batch *batches;   /* those that hold messages of ours */
	struct kafka_batch *gathering; /* the one that kafka_poll fills */
	bool oversleeps;
	size_t since_woken; /* records that came out */
	bool kept;          /* the owner is busy: a rebalance waits */
	bool overflowed;    /* more came out meanwhile than is put aside: it is fetched again */
	int64_t kept_us;
	rd_kafka_message_t *stash[STASH];
	size_t stashed;
	bool closing;
	rd_kafka_topic_partition_list_t
		*waiting; /* a rebalance that came while the owner was busy */
	rd_kafka_resp_err_t waiting_event;
	bool fatal;    /* this member cannot go on */
	bool down;     /* all brokers were away when last heard of */
	bool refused;  /* certificate or password: said in the log */
	bool troubled; /* an error since the last record */
	char trouble[256];
};

static void note_trouble(struct kafka_consumer *c, const char *text)
{
	c->troubled = true;
	(void)snprintf(c->trouble, sizeof(c->trouble), "%.255s", text);
	log_debug("kafka", "trouble=\"%s\"", c->trouble);
}

/* --- partitions */

static struct part *find(struct kafka_consumer *c, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->parts[i].partition == partition && strcmp(c->parts[i].topic, topic) == 0)
			return &c->parts[i];
	return NULL;
}

static void forget_parts(struct kafka_consumer *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->parts[i].topic);
	free(c->parts);
	c->parts = NULL;
	c->count = 0;
}

static void drop_stash(struct kafka_consumer *c)
{
	for (size_t i = 0; i < c->stashed; i++)
		rd_kafka_message_destroy(c->stash[i]);
	c->stashed = 0;
}

/* Makes librdkafka fetch what is not parked, each from its position. */
static enum rc assign(struct kafka_consumer *c, struct err *e)
{
	KAFKA_PARTS_OWN rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)c->count);
	rd_kafka_resp_err_t rk_err;

	if (c->waiting != NULL) /* it would be taken for the answer to the rebalance */
		return RC_OK;
	drop_stash(c); /* it is fetched again */
	for (size_t i = 0; i < c->count; i++)
		if (!c->parts[i].parked)
			rd_kafka_topic_partition_list_add(
				list, c->parts[i].topic, c->parts[i].partition)
				->offset = c->parts[i].next;
	rk_err = rd_kafka_assign(c->rk, list);
	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_RETRY, "kafka: assign: %s", rd_kafka_err2str(rk_err));
	return RC_OK;
}

/* --- rebalance */

static bool take_parts(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	c->parts = calloc((size_t)list->cnt + 1, sizeof(*c->parts));
	if (c->parts == NULL)
		return false;
	for (int i = 0; i < list->cnt; i++) {
		struct part *p = &c->parts[c->count];

		p->topic = strdup(list->elems[i].topic);
		p->partition = list->elems[i].partition;
		p->next = -1;
		if (p->topic == NULL)
			return false;
		c->count++;
	}
	return true;
}

/* Tells the owner; on an assignment takes the offsets it answers. */
static bool tell(struct kafka_consumer *c, enum kafka_event event)
{
	struct kafka_part *list = calloc(c->count + 1, sizeof(*list));

	if (list == NULL)
		return false;
	for (size_t i = 0; i < c->count; i++)
		list[i] = (struct kafka_part){
			c->parts[i].topic, c->parts[i].partition, c->parts[i].next};
	c->cb(c->arg, event, list, c->count);
	if (event == KAFKA_ASSIGNED)
		for (size_t i = 0; i < c->count; i++) {
			c->parts[i].next = list[i].offset;
			c->parts[i].parked = list[i].offset < 0;
		}
	free(list);
	return true;
}

static void revoked(struct kafka_consumer *c)
{
	if (c->count > 0)
		(void)!tell(c, KAFKA_REVOKED);
	forget_parts(c);
}

/* Answers the rebalance: librdkafka waits for its rd_kafka_assign. */
static void rebalance(
	struct kafka_consumer *c, rd_kafka_resp_err_t event, rd_kafka_topic_partition_list_t *list)
{
	struct err e;

	/* Not handed over yet, and fetched under an ownership that ends here. */
	if (c->gathering != NULL)
		kafka_batch_reset(c->gathering);
	revoked(c);
	if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && take_parts(c, list) &&
		tell(c, KAFKA_ASSIGNED)) {
		if (assign(c, &e) != RC_OK)
			note_trouble(c, e.text);
		return;
	}
	forget_parts(c);
	(void)rd_kafka_assign(c->rk, NULL);
	if (event != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
		note_trouble(c, rd_kafka_err2str(event));
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t event,
	rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct kafka_consumer *c = opaque;

	(void)rk;
	if (c->kept && !c->closing) {
		if (c->waiting != NULL)
			rd_kafka_topic_partition_list_destroy(c->waiting);
		c->waiting = rd_kafka_topic_partition_list_copy(list);
		c->waiting_event = event;
		return;
	}
	rebalance(c, event, list);
}

/* What waited while the owner was busy. */
static void go_on(struct kafka_consumer *c)
{
	KAFKA_PARTS_OWN rd_kafka_topic_partition_list_t *list = c->waiting;
	struct err e;

	if (!c->kept)
		return;
	c->kept = false;
	c->waiting = NULL;
	if (list != NULL)
		drop_stash(c);
	if (list != NULL)
		rebalance(c, c->closing ? RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS : c->waiting_event,
			list);
	else if (c->overflowed && assign(c, &e) != RC_OK)
		note_trouble(c, e.text);
	c->overflowed = false;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_consumer *c = opaque;

	(void)rk;
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
		code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		c->down = true;
	note_trouble(c, reason);
	/* Nobody mends these but a person: they are said, once. */
	if (code != RD_KAFKA_RESP_ERR__AUTHENTICATION && code != RD_KAFKA_RESP_ERR__SSL)
		return;
	if (!c->refused)
		log_warn("kafka", "the brokers are not reached cause=\"%s%s\"", reason,
			kafka_scram_hint(reason));
	c->refused = true;
}

/* --- open and close */

static const struct kafka_property consumer_defaults[] = {
	{"session.timeout.ms", "10000"},
	{"topic.metadata.refresh.interval.ms", "10000"},
	{"queued.min.messages", NUMBER(KAFKA_QUEUE)},
	{"queued.max.messages.kbytes", "32768"},
	{NULL, NULL},
};

static const struct kafka_property consumer_fixed[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"auto.offset.reset", "error"},
	{"enable.partition.eof", "false"},
	{"check.crcs", "true"},
	{"partition.assignment.strategy", "range"},
	{NULL, NULL},
};

static enum rc subscribe(
	struct kafka_consumer *c, const char *const *topics, size_t n, struct err *e)
{
	KAFKA_PARTS_OWN rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new((int)n);
	rd_kafka_resp_err_t rk_err;

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
	rk_err = rd_kafka_subscribe(c->rk, list);
	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_INVALID, "kafka: subscribe: %s", rd_kafka_err2str(rk_err));
	return RC_OK;
}

enum rc kafka_consumer_open(const struct kafka_settings *s, const char *const *topics, size_t n,
	kafka_rebalance *cb, void *arg, struct kafka_consumer **out, struct err *e)
{
	OWN(kafka_consumer_close) struct kafka_consumer *c = calloc(1, sizeof(*c));
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = NULL;
	enum rc rc;
	char why[256];

	if (c == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (s->group == NULL || n == 0)
		return err_set(e, RC_INVALID, "kafka: a consumer needs a group and topics");
	c->cb = cb;
	c->arg = arg;
	c->oversleeps = kafka_oversleeps();
	rc = kafka_conf_make(s, consumer_defaults, consumer_fixed, c, &conf, e);
	if (rc != RC_OK)
		return rc;
	if (rd_kafka_conf_set(conf, "group.id", s->group, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		return err_set(e, RC_INVALID, "kafka: %s", why);
	if (s->instance != NULL &&
		rd_kafka_conf_set(conf, "group.instance.id", s->instance, why, sizeof(why)) !=
			RD_KAFKA_CONF_OK)
		return err_set(e, RC_INVALID, "kafka: %s", why);
	kafka_sleep_less(conf);
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rc = kafka_handle(RD_KAFKA_CONSUMER, TAKE(conf), &c->rk, e);
	if (rc != RC_OK)
		return rc;
	(void)rd_kafka_poll_set_consumer(c->rk);
	rc = subscribe(c, topics, n, e);
	if (rc == RC_OK)
		*out = TAKE(c);
	return rc;
}

/* Leaves the group; the owner is told that its partitions are gone. False when that does not end. */
static bool leave(struct kafka_consumer *c)
{
	rd_kafka_queue_t *q = rd_kafka_queue_new(c->rk);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(c->rk, q);
	int64_t end_us = clk_system.mono_us(&clk_system) + KAFKA_CLOSE_MS * (US_PER_S / 1000);
	bool closed = false;

	while (error == NULL && !closed && clk_system.mono_us(&clk_system) < end_us) {
		/* Serves the rebalance; what was prefetched comes out too. */
		rd_kafka_message_t *m = rd_kafka_consume_queue(q, 50);

		if (m != NULL)
			rd_kafka_message_destroy(m);
		closed = rd_kafka_consumer_closed(c->rk) != 0;
	}
	if (error != NULL)
		rd_kafka_error_destroy(error);
	rd_kafka_queue_destroy(q);
	return closed;
}

void kafka_consumer_close(struct kafka_consumer *c)
{
	if (c == NULL)
		return;
	while (c->batches != NULL)
		kafka_batch_reset(c->batches);
	c->closing = true;
	drop_stash(c);
	if (c->rk != NULL) {
		go_on(c);
		bool closed = leave(c);

		if (!closed)
			log_debug("kafka", "the group was not left in %d ms", KAFKA_CLOSE_MS);
		revoked(c);
		kafka_destroy(c->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE,
			closed ? KAFKA_CLOSE_MS : 1000);
	}
	forget_parts(c);
	free(c);
}

/* --- poll */

/* A partition stops here: its owner is told by the next poll. */
static void spoil(struct kafka_consumer *c, const rd_kafka_message_t *m)
{
	struct part *p = m->rkt != NULL ? find(c, rd_kafka_topic_name(m->rkt), m->partition) : NULL;

	note_trouble(c, rd_kafka_message_errstr(m));
	if (p == NULL || p->parked)
		return;
	p->parked = p->bad = true;
	(void)snprintf(p->why, sizeof(p->why), "%s", rd_kafka_message_errstr(m));
}

static enum rc on_message_error(
	struct kafka_consumer *c, const rd_kafka_message_t *m, struct err *e)
{
	char why[256];

	switch (m->err) {
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
	case RD_KAFKA_RESP_ERR__BAD_MSG: /* a record that fails its checksum would be passed over */
		spoil(c, m);
		return RC_OK;
	case RD_KAFKA_RESP_ERR__FATAL:
		(void)rd_kafka_fatal_error(c->rk, why, sizeof(why));
		c->fatal = true;
		return err_set(e, RC_FATAL, "kafka: %s", why);
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
		c->down = true;
		break;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART: /* found once it is there; the others go on */
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		log_warn("kafka", "cause=\"%s\"", rd_kafka_message_errstr(m));
		return RC_OK;
	default:
		break;
	}
	note_trouble(c, rd_kafka_message_errstr(m));
	return RC_OK;
}

/* Into the batch, unless it is not ours any more or comes again. */
static enum rc keep(
	struct kafka_consumer *c, struct kafka_batch *b, rd_kafka_message_t *m, struct err *e)
{
	struct part *p = find(c, rd_kafka_topic_name(m->rkt), m->partition);
	enum rc rc;
	int64_t next = m->offset + 1;

	if (p == NULL || p->parked || m->offset < p->next) {
		rd_kafka_message_destroy(m);
		return RC_OK;
	}
	rc = kafka_batch_add(b, &c->batches, m, e);
	if (rc == RC_OK)
		p->next = next;
	c->since_woken++;
	return rc;
}

/* Half a queue came out: it is time to fetch, where more is there. */
static void see_to_fetch(struct kafka_consumer *c)
{
	KAFKA_PARTS_OWN rd_kafka_topic_partition_list_t *list = NULL;
	int64_t high;

	if (!c->oversleeps || c->since_woken < KAFKA_QUEUE / 2)
		return;
	c->since_woken = 0;
	list = rd_kafka_topic_partition_list_new((int)c->count);
	for (size_t i = 0; i < c->count; i++) {
		const struct part *p = &c->parts[i];

		if (!p->parked && kafka_high(c, p->topic, p->partition, &high) == RC_OK &&
			p->next < high)
			(void)rd_kafka_topic_partition_list_add(list, p->topic, p->partition);
	}
	if (list->cnt > 0)
		kafka_wake(c->rk, list);
}

static enum rc gather(struct kafka_consumer *c, int wait_ms, int linger_ms, size_t max_records,
	size_t max_bytes, struct kafka_batch *b, struct err *e)
{
	int64_t end_us = clk_system.mono_us(&clk_system) + wait_ms * (US_PER_S / 1000);
	bool lingering = false;

	while (b->count < max_records && b->bytes < max_bytes) {
		int64_t left_us = end_us - clk_system.mono_us(&clk_system);
		int left_ms = left_us > 0 ? (int)((left_us + 999) / 1000) : 0;
		rd_kafka_message_t *m;
		enum rc rc;

		see_to_fetch(c);
		m = rd_kafka_consumer_poll(c->rk, left_ms);

		if (m == NULL) {
			if (left_ms == 0 || b->count > 0)
				return RC_OK;
			continue; /* a callback may have used the time */
		}
		if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
			rc = on_message_error(c, m, e);
			rd_kafka_message_destroy(m);
			if (left_ms == 0 && rc == RC_OK)
				return RC_OK;
		} else {
			rc = keep(c, b, m, e);
		}
		if (rc != RC_OK)
			return rc;
		if (b->count == 0) /* a rebalance took back what was gathered */
			lingering = false;
		if (b->count > 0 && !lingering) {
			lingering = true;
			end_us = clk_system.mono_us(&clk_system) + linger_ms * (US_PER_S / 1000);
		}
	}
	return RC_OK;
}

static enum rc tell_bad(struct kafka_consumer *c, struct kafka_part *bad, struct err *e)
{
	for (size_t i = 0; i < c->count; i++) {
		struct part *p = &c->parts[i];

		if (!p->bad)
			continue;
		p->bad = false;
		*bad = (struct kafka_part){p->topic, p->partition, p->next};
		return err_set(e, RC_CONFLICT, "kafka: %s/%d at offset %lld: %s", p->topic,
			(int)p->partition, (long long)p->next, p->why);
	}
	return RC_OK;
}

/* Nothing came: is that because nobody is there? */
static enum rc why_nothing(struct kafka_consumer *c, struct err *e)
{
	if (c->down && kafka_answers(c->rk, 1000)) {
		c->down = false;
		c->troubled = false;
	}
	if (c->down)
		return err_set(e, RC_RETRY, "kafka: %s", c->trouble);
	if (c->troubled && c->count == 0)
		return err_set(e, RC_NONE, "kafka: %s", c->trouble);
	return err_set(e, RC_NONE, "kafka: no records");
}

/* A record that comes out while the owner is busy is put aside for the next kafka_poll: one a second, for every call would be as many as a queue
 * holds. Stopping and starting the fetch instead, over and over, is more than librdkafka 2.0 bears. */
void kafka_keep(struct kafka_consumer *c)
{
	int64_t now_us = clk_system.mono_us(&clk_system);
	rd_kafka_message_t *m;
	struct err e;

	if (c->gathering != NULL || c->closing || (c->kept && now_us - c->kept_us < US_PER_S))
		return;
	c->kept = true;
	c->kept_us = now_us;
	m = rd_kafka_consumer_poll(c->rk, 0);
	if (m != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR && c->stashed < STASH) {
		c->stash[c->stashed++] = m;
		return;
	}
	if (m != NULL && m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		c->overflowed = true;
	if (m != NULL && m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		(void)!on_message_error(c, m, &e);
	if (m != NULL)
		rd_kafka_message_destroy(m);
}

/* In the order in which they came out. */
static enum rc take_stash(struct kafka_consumer *c, struct kafka_batch *b, struct err *e)
{
	enum rc rc = RC_OK;
	size_t n = c->stashed;

	c->stashed = 0;
	for (size_t i = 0; i < n; i++) {
		if (rc == RC_OK)
			rc = keep(c, b, c->stash[i], e);
		else
			rd_kafka_message_destroy(c->stash[i]);
	}
	return rc;
}

enum rc kafka_poll(struct kafka_consumer *c, int wait_ms, int linger_ms, size_t max_records,
	size_t max_bytes, struct kafka_batch *b, struct kafka_part *bad, struct err *e)
{
	enum rc rc;

	kafka_batch_reset(b);
	c->gathering = b;
	go_on(c);
	c->gathering = NULL;
	if (c->fatal) {
		char why[256] = "";

		(void)rd_kafka_fatal_error(c->rk, why, sizeof(why));
		return err_set(e, RC_FATAL, "kafka: %s", why);
	}
	rc = tell_bad(c, bad, e);
	if (rc != RC_OK)
		return rc;
	c->gathering = b;
	rc = take_stash(c, b, e);
	if (rc == RC_OK)
		rc = gather(c, b->count > 0 ? 0 : wait_ms, linger_ms, max_records, max_bytes, b, e);
	c->gathering = NULL;
	if (b->count > 0) {
		c->down = c->troubled = c->refused = false;
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = tell_bad(c, bad, e);
	return rc == RC_OK ? why_nothing(c, e) : rc;
}

/* --- the owner's wishes */

static enum rc ours(struct kafka_consumer *c, const char *topic, int32_t partition,
	struct part **out, struct err *e)
{
	assert(c->gathering == NULL); /* not from inside the rebalance callback */
	*out = find(c, topic, partition);
	if (*out == NULL)
		return err_set(e, RC_CONFLICT, "kafka: %s/%d is not assigned to us", topic,
			(int)partition);
	return RC_OK;
}

enum rc kafka_resume_at(struct kafka_consumer *c, const char *topic, int32_t partition,
	int64_t offset, struct err *e)
{
	struct part *p = NULL;
	enum rc rc = ours(c, topic, partition, &p, e);

	if (rc != RC_OK)
		return rc;
	if (offset < 0)
		return err_set(e, RC_INVALID, "kafka: offset %lld", (long long)offset);
	p->next = offset;
	p->parked = p->bad = false;
	return assign(c, e);
}

enum rc kafka_pause(
	struct kafka_consumer *c, const char *topic, int32_t partition, bool pause, struct err *e)
{
	struct part *p = NULL;
	enum rc rc = ours(c, topic, partition, &p, e);

	if (rc != RC_OK || p->parked == pause)
		return rc;
	if (p->next < 0)
		return err_set(e, RC_INVALID, "kafka: %s/%d has no offset to go on from", topic,
			(int)partition);
	p->parked = pause;
	return assign(c, e);
}

void kafka_courtesy_commit(
	struct kafka_consumer *c, const char *topic, int32_t partition, int64_t next_offset)
{
	KAFKA_PARTS_OWN rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = next_offset;
	(void)rd_kafka_commit(c->rk, list, 1);
}

enum rc kafka_watermarks(struct kafka_consumer *c, const char *topic, int32_t partition,
	int64_t *low, int64_t *high, struct err *e)
{
	int64_t lo = 0, hi = 0;
	rd_kafka_resp_err_t rk_err =
		rd_kafka_query_watermark_offsets(c->rk, topic, partition, &lo, &hi, KAFKA_ASK_MS);

	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_RETRY, "kafka: watermarks of %s/%d: %s", topic, (int)partition,
			rd_kafka_err2str(rk_err));
	*low = lo;
	*high = hi;
	return RC_OK;
}

enum rc kafka_high(struct kafka_consumer *c, const char *topic, int32_t partition, int64_t *high)
{
	int64_t lo = 0, hi = 0;

	if (rd_kafka_get_watermark_offsets(c->rk, topic, partition, &lo, &hi) !=
			RD_KAFKA_RESP_ERR_NO_ERROR ||
		hi < 0)
		return RC_NONE;
	*high = hi;
	return RC_OK;
}
