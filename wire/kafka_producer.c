/* The idempotent producer: copies are queued, acknowledgements are counted on the owner's thread.
 * What is not acknowledged in 30 seconds counts as failed; it may still have arrived, so whatever is
 * sent must be harmless when repeated. */
#include "wire/kafka_rd.h"

#include <stdlib.h>

#define FLUSH_AT_CLOSE_MS 5000

struct kafka_producer {
	rd_kafka_t *rk;
	uint64_t delivered, failed;
	uint64_t failed_told; /* what flush has reported */
	char why[256];        /* the last failure */
};

static const struct kafka_property producer_defaults[] = {
	{"message.timeout.ms", "30000"},
	{"queue.buffering.max.kbytes", "65536"},
	/* As the Java clients, so that one key lands in one partition whoever sends it. */
	{"partitioner", "murmur2_random"},
	{NULL, NULL},
};

static const struct kafka_property producer_fixed[] = {
	{"enable.idempotence", "true"},
	{"acks", "all"},
	{NULL, NULL},
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct kafka_producer *p = opaque;

	(void)rk;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		p->delivered++;
		return;
	}
	p->failed++;
	(void)snprintf(p->why, sizeof(p->why), "%s: %s", rd_kafka_topic_name(m->rkt),
		rd_kafka_err2str(m->err));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_producer *p = opaque;

	(void)rk;
	log_debug("kafka", "code=%d trouble=\"%s\"", code, reason);
	(void)snprintf(p->why, sizeof(p->why), "%s", reason);
}

enum rc kafka_producer_open(
	const struct kafka_settings *s, struct kafka_producer **out, struct err *e)
{
	OWN(kafka_producer_close) struct kafka_producer *p = calloc(1, sizeof(*p));
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = NULL;
	enum rc rc;

	if (p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = kafka_conf_make(s, producer_defaults, producer_fixed, p, &conf, e);
	if (rc != RC_OK)
		return rc;
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rc = kafka_handle(RD_KAFKA_PRODUCER, TAKE(conf), &p->rk, e);
	if (rc == RC_OK)
		*out = TAKE(p);
	return rc;
}

void kafka_producer_close(struct kafka_producer *p)
{
	if (p == NULL)
		return;
	if (p->rk != NULL) {
		if (rd_kafka_flush(p->rk, FLUSH_AT_CLOSE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
			(void)rd_kafka_purge(
				p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
			(void)rd_kafka_poll(p->rk, 0);
		}
		kafka_destroy(p->rk, 0, KAFKA_CLOSE_MS);
	}
	free(p);
}

static enum rc refused(
	struct kafka_producer *p, rd_kafka_error_t *error, const char *topic, struct err *e)
{
	rd_kafka_resp_err_t code = rd_kafka_error_code(error);
	char why[256];

	(void)snprintf(why, sizeof(why), "%s", rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	switch (code) {
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
		return err_set(e, RC_LIMIT, "kafka: the queue of unsent records is full");
	case RD_KAFKA_RESP_ERR__FATAL:
		(void)rd_kafka_fatal_error(p->rk, why, sizeof(why));
		return err_set(e, RC_FATAL, "kafka: %s", why);
	default:
		return err_set(e, RC_INVALID, "kafka: %s: %s", topic, why);
	}
}

enum rc kafka_send(struct kafka_producer *p, const char *topic, int32_t partition, struct slice key,
	struct slice value, const char *const *headers, struct err *e)
{
	CLEAN(kafka_headers_own_) rd_kafka_headers_t *h = NULL;
	rd_kafka_vu_t vus[6];
	size_t n = 0;
	rd_kafka_error_t *error;

	(void)rd_kafka_poll(p->rk, 0);
	if (headers != NULL && headers[0] != NULL) {
		h = rd_kafka_headers_new(8);
		for (; headers[0] != NULL && headers[1] != NULL; headers += 2)
			if (rd_kafka_header_add(h, headers[0], -1, headers[1], -1) !=
				RD_KAFKA_RESP_ERR_NO_ERROR)
				return err_set(e, RC_INVALID, "kafka: header %s", headers[0]);
	}
	vus[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic};
	vus[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION,
		.u.i32 = partition >= 0 ? partition : RD_KAFKA_PARTITION_UA};
	vus[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
	vus[n++] = (rd_kafka_vu_t){
		.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.ptr, key.len}};
	vus[n++] = (rd_kafka_vu_t){
		.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.ptr, value.len}};
	if (h != NULL)
		vus[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = h};
	error = rd_kafka_produceva(p->rk, vus, n);
	if (error != NULL)
		return refused(p, error, topic, e);
	h = NULL; /* librdkafka's now */
	return RC_OK;
}

enum rc kafka_producer_flush(struct kafka_producer *p, int wait_ms, struct err *e)
{
	rd_kafka_resp_err_t rk_err = rd_kafka_flush(p->rk, wait_ms);
	uint64_t failed = p->failed - p->failed_told;
	char why[256];

	p->failed_told = p->failed;
	if (rd_kafka_fatal_error(p->rk, why, sizeof(why)) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_FATAL, "kafka: %s", why);
	if (failed > 0)
		return err_set(e, RC_RETRY,
			"kafka: %llu records were not delivered, the last one: %s",
			(unsigned long long)failed, p->why);
	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_RETRY, "kafka: %d records wait after %d ms: %s",
			rd_kafka_outq_len(p->rk), wait_ms,
			p->why[0] != '\0' ? p->why : rd_kafka_err2str(rk_err));
	return RC_OK;
}

uint64_t kafka_delivered(const struct kafka_producer *p)
{
	return p->delivered;
}

uint64_t kafka_failed(const struct kafka_producer *p)
{
	return p->failed;
}
