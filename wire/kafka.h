/* Kafka over librdkafka: a manual-offset consumer, an idempotent producer, and the embedded demonstration broker. */
#pragma once

#include "base/base.h"

struct kafka_settings {
	const char *brokers; /* host:port,… */
	const char *client_id;
	const char *group; /* consumer */
	const char
		*instance; /* consumer: group.instance.id of a static member; NULL: a dynamic one */
	const char *const *extra; /* "property=value", NULL-ended: TLS, SASL, tuning; may be NULL */
};

/* One record as fetched; borrowed from its batch. */
struct kafka_record {
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t timestamp_us; /* of the record, TIME_NONE when absent */
	struct slice key;
	struct slice value; /* ptr NULL: a tombstone */
	struct slice
		trace; /* header traceparent, when it is of the form of W3C Trace Context; else empty */
};
#define KAFKA_TRACE "traceparent"

enum kafka_event {
	KAFKA_ASSIGNED, /* the partitions named are ours now; the callback acquires them and answers start offsets */
	KAFKA_REVOKED, /* they are ours no longer */
};

struct kafka_part {
	const char *topic;
	int32_t partition;
	int64_t offset; /* in: set by the callback on KAFKA_ASSIGNED; <0: leave this partition out */
};

struct kafka_consumer;

/* Called inside kafka_poll and kafka_consumer_close on the owner's thread; it must not call back into the consumer. Partitions the callback left out (offset < 0) are not fetched; kafka_resume_at
 * brings them in later. */
typedef void kafka_rebalance(void *arg, enum kafka_event event, struct kafka_part *parts, size_t n);

/* Subscribes with eager range assignment, auto commit off, auto.offset.reset=error, and rd_kafka_assign at exactly the offsets that the
 * callback gives. */
MUST_USE enum rc kafka_consumer_open(const struct kafka_settings *s, const char *const *topics,
	size_t n, kafka_rebalance *cb, void *arg, struct kafka_consumer **out, struct err *e);
void kafka_consumer_close(struct kafka_consumer *c); /* leaves the group; watchdog of 10 s */
OWNER(kafka_consumer_close, struct kafka_consumer);

struct kafka_batch; /* owns its records' memory */
struct kafka_batch *kafka_batch_new(void);
void kafka_batch_free(
	struct kafka_batch *b); /* also after its consumer is closed, which empties it */
OWNER(kafka_batch_free, struct kafka_batch);
void kafka_batch_reset(struct kafka_batch *b);
size_t kafka_batch_count(const struct kafka_batch *b);
const struct kafka_record *kafka_batch_at(const struct kafka_batch *b, size_t i);
/* Gathers records of one call until max_records, max_bytes or linger_ms after the first one; waits at most wait_ms for the first.
 * Records of several partitions may be mixed, each partition in order. RC_NONE: nothing came. RC_CONFLICT: a partition's offset is out of
 * range or its next record fails its checksum: *bad names it, it is paused and left to the caller (alarm, record the gap,
 * kafka_resume_at). RC_RETRY: brokers away. RC_FATAL: this consumer cannot go on: close it. The batch is reset first. */
MUST_USE enum rc kafka_poll(struct kafka_consumer *c, int wait_ms, int linger_ms,
	size_t max_records, size_t max_bytes, struct kafka_batch *b, struct kafka_part *bad,
	struct err *e);
/* For an owner that is busy with a batch: the group hears that we live (max.poll.interval.ms), and a rebalance waits for the next
 * kafka_poll. What is fetched meanwhile is bounded by queued.max.messages.kbytes. Inside a callback it does nothing. */
void kafka_keep(struct kafka_consumer *c);
/* Drops what was prefetched for the partition and fetches from `offset` (re-assigns; never seek). Also un-parks a left-out one.
 * RC_CONFLICT: not assigned to us. */
MUST_USE enum rc kafka_resume_at(struct kafka_consumer *c, const char *topic, int32_t partition,
	int64_t offset, struct err *e);
/* A pause drops what was prefetched; going on fetches again after the last record handed over. RC_CONFLICT: not assigned to us. */
MUST_USE enum rc kafka_pause(
	struct kafka_consumer *c, const char *topic, int32_t partition, bool pause, struct err *e);
/* Commits the offset to Kafka as a courtesy for lag tools; asynchronous, failures are ignored. */
void kafka_courtesy_commit(
	struct kafka_consumer *c, const char *topic, int32_t partition, int64_t next_offset);
/* Low and high watermark of a partition, asked from the broker. */
MUST_USE enum rc kafka_watermarks(struct kafka_consumer *c, const char *topic, int32_t partition,
	int64_t *low, int64_t *high, struct err *e);

/* The high watermark that came with the last fetch; asks nobody. RC_NONE: none was heard of yet. */
MUST_USE enum rc kafka_high(
	struct kafka_consumer *c, const char *topic, int32_t partition, int64_t *high);

struct kafka_producer;
/* acks=all, idempotent. */
MUST_USE enum rc kafka_producer_open(
	const struct kafka_settings *s, struct kafka_producer **out, struct err *e);
void kafka_producer_close(struct kafka_producer *p); /* flushes up to 5 s */
OWNER(kafka_producer_close, struct kafka_producer);
/* Queues a copy. value.ptr NULL is a tombstone. RC_LIMIT: the local queue is full, call kafka_producer_flush and repeat. partition -1:
 * by key. headers: name, value, …, NULL; may be NULL. */
MUST_USE enum rc kafka_send(struct kafka_producer *p, const char *topic, int32_t partition,
	struct slice key, struct slice value, const char *const *headers, struct err *e);
/* Waits until everything queued is acknowledged. RC_RETRY after wait_ms or on a failed delivery (e says how many failed); what was
 * not acknowledged may still arrive, so a repeat must do no harm. RC_FATAL: this producer cannot go on: close it. */
MUST_USE enum rc kafka_producer_flush(struct kafka_producer *p, int wait_ms, struct err *e);
uint64_t kafka_delivered(const struct kafka_producer *p); /* acknowledged so far */
uint64_t kafka_failed(const struct kafka_producer *p);

/* Creates a topic when it is missing. RC_OK also when it was there. */
MUST_USE enum rc kafka_topic_ensure(const struct kafka_settings *s, const char *topic,
	int partitions, const char *const *config, struct err *e);

/* ---- a compacted topic as a table: one fenced writer, whose transactions are seen as a whole or not at all */
struct kafka_table;
/* The topic must be there with cleanup.policy=compact and nothing else: RC_INVALID says what is to be done about it, nothing is created. From
 * now on every earlier writer of the same transactional id is fenced, and what it left open is undone. RC_RETRY: the brokers are
 * away. timeout_ms is for each question. After any failure but RC_LIMIT close it. Belongs to one thread. */
MUST_USE enum rc kafka_table_open(const struct kafka_settings *s, const char *topic,
	const char *transactional_id, int timeout_ms, struct kafka_table **out, struct err *e);
void kafka_table_close(struct kafka_table *t); /* what is not committed is dropped */
OWNER(kafka_table_close, struct kafka_table);
struct kafka_row {
	struct slice key, value;     /* value.ptr NULL: a tombstone */
	int32_t partition, home;     /* where it is, and where its key belongs */
	const void *private_headers; /* borrowed with the row */
};
/* The header's text; the empty slice when it is not there. */
struct slice kafka_row_header(const struct kafka_row *r, const char *name);
typedef enum rc kafka_table_row(void *arg, const struct kafka_row *r, struct err *e);
/* Hands over every committed record that is there now, each partition in order; anything but RC_OK from `row` ends it. */
MUST_USE enum rc kafka_table_read(
	struct kafka_table *t, kafka_table_row *row, void *arg, struct err *e);
MUST_USE enum rc kafka_table_begin(struct kafka_table *t, struct err *e);
/* The partition of a key, as of the last read or open; the same as the Java clients'. */
int32_t kafka_table_home(const struct kafka_table *t, struct slice key);
/* As kafka_send, inside the transaction; waits while the local queue is full. */
MUST_USE enum rc kafka_table_put(struct kafka_table *t, int32_t partition, struct slice key,
	struct slice value, const char *const *headers, struct err *e);
/* RC_RETRY with "another writer": we were fenced. */
MUST_USE enum rc kafka_table_commit(struct kafka_table *t, struct err *e);

/* The embedded broker for demonstrations: librdkafka's mock cluster in this process. It forgets everything when it ends and silently keeps
 * only about 5 MB a partition. */
struct kafka_demo;
MUST_USE enum rc kafka_demo_open(const char *const *topics, const int *partitions, size_t n,
	struct kafka_demo **out, struct err *e);
const char *kafka_demo_brokers(const struct kafka_demo *d);
void kafka_demo_close(struct kafka_demo *d);
OWNER(kafka_demo_close, struct kafka_demo);
