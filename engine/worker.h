/* Private to the worker: worker.c is its loop, partitions.c takes partitions and gives them back, settle.c turns fetched records into
 * committed transactions. */
#pragma once

#include <pthread.h>

#include "engine/batch.h"
#include "engine/engine.h"
#include "engine/health.h"

#define MAX_PARTS 1024
#define RETRY_MS 5000 /* how often a stopped partition is looked at again */

/* A partition that the group gave to us. */
struct owned {
	struct part part;
	enum feed of;      /* what its topic holds */
	bool live;         /* acquired in the ledger and being fetched */
	bool told;         /* that it is stopped was said */
	int crashed_alone; /* processes that died with its next record alone in their hands */
	int64_t retry_us;  /* monotonic: when to try to acquire it (again) */
	int64_t doubt_next; /* where it stands when the batch whose COMMIT was not answered counts; 0: there is none */
	size_t doubt[DISPOSITIONS]; /* what it would count */
	unsigned failures;
};

/* One ledger batch and where it came from. */
struct turn {
	struct ledger_batch b;
	struct batch_part parts[MAX_PARTS];
	struct owned *owned[MAX_PARTS]; /* beside parts */
	size_t taken;                   /* records it covers, with those that were not wanted */
};

struct worker {
	struct engine_settings s;
	int index;
	pthread_t thread;
	char member[216]; /* of a static member */
	char me[96], actor[112], client_id[96], dsn_name[64];
	struct health_slot *health;

	struct ledger *ledger; /* NULL while the database is away */
	int64_t ledger_at_us;  /* monotonic: when to try it again */
	unsigned db_failures;
	int64_t asked_at_us; /* when the ledger last answered */

	struct kafka_source kafka;
	struct kafka_consumer *consumer;
	int64_t consumer_at_us;
	int64_t fatal_us; /* monotonic: when the group last told us that we cannot go on */
	unsigned kafka_failures;
	bool assigned;     /* the group has answered us */
	char trouble[208]; /* why a partition is not acquired */
	struct kafka_batch *batch;
	const struct kafka_record **records; /* of the batch, in order */

	struct ingest_rules rules;
	struct decoder *decoder;
	struct judge *judge;
	struct scan *scan;
	struct control control;
	struct arena *arena;
	struct filings filings;
	size_t take; /* most records of one transaction: halved around what the database refuses */

	struct owned owned[MAX_PARTS];
	size_t n_owned;
	struct turn turn;
};

int64_t worker_mono(const struct worker *w);
void worker_metrics(void); /* makes the families, once */
void count_retry(const char *why);
/* The ledger has told where the partition stands: the batch whose COMMIT was not answered is counted when it is in there. */
void count_doubtful(struct owned *o);

/* ---- worker.c ---- */
/* The connection is given up; every partition is acquired again once there is another. */
void database_away(struct worker *w, const char *cause);
/* Brings the judge in line with the control row; RC_OK when it already was. */
MUST_USE enum rc follow_control(struct worker *w, struct err *e);

/* What a topic that we subscribed to holds. */
enum feed feed_of(const struct worker *w, const char *topic);

/* ---- partitions.c ---- */
struct owned *find_owned(struct worker *w, const char *topic, int32_t part);
/* The kafka_rebalance of the worker. */
void on_rebalance(void *arg, enum kafka_event event, struct kafka_part *parts, size_t n);
/* Not inside on_rebalance: nothing more is fetched until it was acquired again, at the earliest in about `ms`, twice that after each failure. */
void park(struct worker *w, struct owned *o, int64_t ms);
/* Everything fetched of it is dropped and fetched again from where the ledger says. */
void acquire_parked(struct worker *w);
void release_all(struct worker *w);
/* Nobody may take it until a person has seen to it. */
void stop_partition(struct worker *w, struct owned *o, int64_t to, const char *cause);
/* Kafka cannot give what the ledger wants next. */
void out_of_range(struct worker *w, const struct kafka_part *bad, const char *why);
/* Notes in the ledger that the partition's next record is about to be tried alone, after crashes at it. */
MUST_USE enum rc note_alone(struct worker *w, struct owned *o, struct err *e);
void measure_lag(struct worker *w);

/* ---- settle.c ---- */
void work_off(struct worker *w, const struct kafka_record **records, size_t n);
