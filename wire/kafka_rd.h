/* Private to wire: what the files over librdkafka share. */
#pragma once

#include <librdkafka/rdkafka.h>

#include "wire/kafka.h"

#define KAFKA_CLOSE_MS 10000
#define KAFKA_ASK_MS 5000

#if defined(__SANITIZE_THREAD__)
#define KHIEN_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KHIEN_TSAN
#endif
#endif
#ifdef KHIEN_TSAN
void kafka_tsan(void); /* called so that kafka_tsan.c is linked */
#endif

struct kafka_property {
	const char *name, *value;
};

static inline void kafka_conf_own_(rd_kafka_conf_t **c)
{
	if (*c != NULL)
		rd_kafka_conf_destroy(*c);
}
#define KAFKA_CONF_OWN __attribute__((cleanup(kafka_conf_own_)))

static inline void kafka_parts_own_(rd_kafka_topic_partition_list_t **l)
{
	if (*l != NULL)
		rd_kafka_topic_partition_list_destroy(*l);
}
/* A partition list that is not freed makes rd_kafka_destroy wait for ever. */
#define KAFKA_PARTS_OWN __attribute__((cleanup(kafka_parts_own_)))

/* The others as CLEAN(kafka_queue_own_) rd_kafka_queue_t *q = NULL; */
#define CLEAN(f) __attribute__((cleanup(f)))
static inline void kafka_metadata_own_(const struct rd_kafka_metadata **md)
{
	if (*md != NULL)
		rd_kafka_metadata_destroy(*md);
}
static inline void kafka_headers_own_(rd_kafka_headers_t **h)
{
	if (*h != NULL)
		rd_kafka_headers_destroy(*h);
}
static inline void kafka_queue_own_(rd_kafka_queue_t **q)
{
	if (*q != NULL)
		rd_kafka_queue_destroy(*q);
}
static inline void kafka_event_own_(rd_kafka_event_t **ev)
{
	if (*ev != NULL)
		rd_kafka_event_destroy(*ev);
}
static inline void kafka_options_own_(rd_kafka_AdminOptions_t **o)
{
	if (*o != NULL)
		rd_kafka_AdminOptions_destroy(*o);
}

/* Configuration from settings: first `defaults`, then the settings and their extra properties, then
 * `fixed`, which an extra property must not name. `opaque` reaches the callbacks.
 * `s` NULL: a handle that talks to no broker. */
MUST_USE enum rc kafka_conf_make(const struct kafka_settings *s,
	const struct kafka_property *defaults, const struct kafka_property *fixed, void *opaque,
	rd_kafka_conf_t **out, struct err *e);
/* Takes the configuration. */
MUST_USE enum rc kafka_handle(
	rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out, struct err *e);
/* rd_kafka_destroy with a watchdog: after wait_ms the handle is left to a thread of its own. */
void kafka_destroy(rd_kafka_t *rk, int flags, int64_t wait_ms);
/* What to add to a refused authentication; "" when there is nothing to say. */
const char *kafka_scram_hint(const char *reason);
/* kafka_wake.c: the fetch goes on at once although librdkafka sleeps since its queue was full. `list`: the partitions of which more is there. */
#define KAFKA_QUEUE 20000                     /* records that wait in a consumer's queue */
void kafka_sleep_less(rd_kafka_conf_t *conf); /* where librdkafka has a setting */
bool kafka_oversleeps(void);                  /* where it has none */
void kafka_wake(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list);
/* Can a broker be asked now? */
bool kafka_answers(rd_kafka_t *rk, int wait_ms);

/* A batch is on its consumer's list while it holds messages: they must be gone before the consumer. */
struct kafka_batch {
	struct kafka_record *records;
	rd_kafka_message_t **messages;
	size_t count, room, bytes;
	struct kafka_batch **list, *prev, *next;
};
/* Takes the message. */
MUST_USE enum rc kafka_batch_add(
	struct kafka_batch *b, struct kafka_batch **list, rd_kafka_message_t *m, struct err *e);
