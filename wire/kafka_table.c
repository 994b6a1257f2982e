/* A compacted topic as a table. Writing goes through a transactional producer, so that one transaction is seen as a whole, and a writer
 * that was replaced while it slept is refused by the brokers. Reading is a pass over all partitions to their committed end, in no
 * group. Creates no topic: how many partitions and copies it has is for its administrator. */
#include "wire/kafka_rd.h"

#include <stdlib.h>

#define READ_QUEUE_KB "16384"

struct kafka_table {
	rd_kafka_t *rk;
	struct kafka_settings settings; /* borrowed texts are copied below */
	char *topic;
	int partitions, timeout_ms;
	uint64_t failed;
	char why[256];
};

static void error_own(rd_kafka_error_t **error)
{
	if (*error != NULL)
		rd_kafka_error_destroy(*error);
}
static void resource_own(rd_kafka_ConfigResource_t **r)
{
	if (*r != NULL)
		rd_kafka_ConfigResource_destroy(*r);
}
static void message_own(rd_kafka_message_t **m)
{
	if (*m != NULL)
		rd_kafka_message_destroy(*m);
}
static void consumer_own(rd_kafka_t **rk)
{
	kafka_destroy(*rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE, KAFKA_CLOSE_MS); /* in no group */
}
/* --- the topic */

/* All topics are asked for: asking for one by name can create it. */
static enum rc count_partitions(struct kafka_table *t, struct err *e)
{
	CLEAN(kafka_metadata_own_) const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t rk_err = rd_kafka_metadata(t->rk, 1, NULL, &md, t->timeout_ms);

	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(
			e, RC_RETRY, "kafka: topic %s: %s", t->topic, rd_kafka_err2str(rk_err));
	for (int i = 0; i < md->topic_cnt; i++)
		if (strcmp(md->topics[i].topic, t->topic) == 0 && md->topics[i].partition_cnt > 0) {
			t->partitions = md->topics[i].partition_cnt;
			return RC_OK;
		}
	return err_set(e, RC_INVALID,
		"kafka: there is no topic %s: create it with cleanup.policy=compact", t->topic);
}

static enum rc check_policy(struct kafka_table *t, rd_kafka_event_t *ev, struct err *e)
{
	const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(ev);
	const rd_kafka_ConfigResource_t **resources = NULL;
	const rd_kafka_ConfigEntry_t **entries = NULL;
	size_t n = 0;

	if (result != NULL)
		resources = rd_kafka_DescribeConfigs_result_resources(result, &n);
	if (n != 1)
		return err_set(
			e, RC_RETRY, "kafka: topic %s: an answer without its settings", t->topic);
	rd_kafka_resp_err_t rk_err = rd_kafka_ConfigResource_error(resources[0]);

	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e,
			rk_err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ? RC_DENIED
									       : RC_RETRY,
			"kafka: topic %s: its settings (DescribeConfigs): %s", t->topic,
			rd_kafka_err2str(rk_err));
	entries = rd_kafka_ConfigResource_configs(resources[0], &n);
	for (size_t i = 0; i < n; i++) {
		const char *value = rd_kafka_ConfigEntry_value(entries[i]);

		if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") != 0)
			continue;
		if (value != NULL && strcmp(value, "compact") == 0)
			return RC_OK;
		return err_set(e, RC_INVALID,
			"kafka: topic %s has cleanup.policy=%s, so that its records vanish with "
			"time: set cleanup.policy=compact",
			t->topic, value != NULL ? value : "?");
	}
	return err_set(e, RC_RETRY, "kafka: topic %s: no cleanup.policy is told", t->topic);
}

static enum rc ask_policy(struct kafka_table *t, struct err *e)
{
	CLEAN(kafka_queue_own_) rd_kafka_queue_t *q = rd_kafka_queue_new(t->rk);
	CLEAN(kafka_options_own_)
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(t->rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
	CLEAN(resource_own)
	rd_kafka_ConfigResource_t *resource =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, t->topic);
	CLEAN(kafka_event_own_) rd_kafka_event_t *ev = NULL;
	char why[256];

	(void)rd_kafka_AdminOptions_set_request_timeout(options, t->timeout_ms, why, sizeof(why));
	rd_kafka_DescribeConfigs(t->rk, &resource, 1, options, q);
	ev = rd_kafka_queue_poll(q, t->timeout_ms + 1000);
	if (ev == NULL)
		return err_set(e, RC_RETRY, "kafka: topic %s: no answer", t->topic);
	if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_RETRY, "kafka: topic %s: %s", t->topic,
			rd_kafka_event_error_string(ev));
	return check_policy(t, ev, e);
}

/* --- writing */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct kafka_table *t = opaque;

	(void)rk;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	t->failed++;
	(void)snprintf(t->why, sizeof(t->why), "%s", rd_kafka_err2str(m->err));
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct kafka_table *t = opaque;

	(void)rk;
	log_debug("kafka", "code=%d trouble=\"%s\"", code, reason);
	(void)snprintf(t->why, sizeof(t->why), "%s", reason);
}

static enum rc refused(
	const struct kafka_table *t, const char *what, const rd_kafka_error_t *error, struct err *e)
{
	switch (rd_kafka_error_code(error)) {
	case RD_KAFKA_RESP_ERR__FENCED:
	case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
	case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
		return err_set(
			e, RC_RETRY, "kafka: topic %s: another writer took our place", t->topic);
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return err_set(e, RC_DENIED, "kafka: topic %s: %s: %s", t->topic, what,
			rd_kafka_error_string(error));
	default:
		return err_set(e, RC_RETRY, "kafka: topic %s: %s: %s%s%s", t->topic, what,
			rd_kafka_error_string(error), t->why[0] != '\0' ? ": " : "", t->why);
	}
}

enum rc kafka_table_open(const struct kafka_settings *s, const char *topic,
	const char *transactional_id, int timeout_ms, struct kafka_table **out, struct err *e)
{
	const struct kafka_property defaults[] = {
		{"message.timeout.ms", "30000"},
		{"transaction.timeout.ms", "300000"},
		{"queue.buffering.max.kbytes", "65536"},
		{"linger.ms", "5"},
		{NULL, NULL},
	};
	const struct kafka_property fixed[] = {
		{"enable.idempotence", "true"},
		{"acks", "all"},
		{"transactional.id", transactional_id},
		{NULL, NULL},
	};
	OWN(kafka_table_close) struct kafka_table *t = calloc(1, sizeof(*t));
	CLEAN(error_own) rd_kafka_error_t *error = NULL;
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = NULL;
	enum rc rc;

	if (t == NULL || (t->topic = strdup(topic)) == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	t->settings = *s;
	t->timeout_ms = timeout_ms;
	rc = kafka_conf_make(s, defaults, fixed, t, &conf, e);
	if (rc != RC_OK)
		return rc;
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_error_cb(conf, on_error);
	rc = kafka_handle(RD_KAFKA_PRODUCER, TAKE(conf), &t->rk, e);
	if (rc == RC_OK)
		rc = count_partitions(t, e);
	if (rc == RC_OK)
		rc = ask_policy(t, e);
	if (rc != RC_OK)
		return rc;
	error = rd_kafka_init_transactions(t->rk, timeout_ms);
	if (error != NULL)
		return refused(t, "transactions", error, e);
	*out = TAKE(t);
	return RC_OK;
}

void kafka_table_close(struct kafka_table *t)
{
	if (t == NULL)
		return;
	if (t->rk != NULL) {
		(void)rd_kafka_purge(t->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		(void)rd_kafka_poll(t->rk, 0);
		kafka_destroy(t->rk, 0, KAFKA_CLOSE_MS);
	}
	free(t->topic);
	free(t);
}

enum rc kafka_table_begin(struct kafka_table *t, struct err *e)
{
	CLEAN(error_own) rd_kafka_error_t *error = rd_kafka_begin_transaction(t->rk);

	t->failed = 0;
	t->why[0] = '\0';
	return error == NULL ? RC_OK : refused(t, "begin", error, e);
}

int32_t kafka_table_home(const struct kafka_table *t, struct slice key)
{
	return rd_kafka_msg_partitioner_murmur2(NULL, key.ptr, key.len, t->partitions, NULL, NULL);
}

static enum rc put(struct kafka_table *t, int32_t partition, struct slice key, struct slice value,
	const char *const *headers, struct err *e)
{
	CLEAN(kafka_headers_own_) rd_kafka_headers_t *h = rd_kafka_headers_new(8);
	CLEAN(error_own) rd_kafka_error_t *error = NULL;

	for (; headers != NULL && headers[0] != NULL; headers += 2)
		if (rd_kafka_header_add(h, headers[0], -1, headers[1], -1) !=
			RD_KAFKA_RESP_ERR_NO_ERROR)
			return err_set(e, RC_INVALID, "kafka: header %s", headers[0]);
	rd_kafka_vu_t vus[] = {
		{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = t->topic},
		{.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
		{.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
		{.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key.ptr, key.len}},
		{.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value.ptr, value.len}},
		{.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = h},
	};
	error = rd_kafka_produceva(t->rk, vus, ARRAY_LEN(vus));
	if (error == NULL) {
		h = NULL; /* librdkafka's now */
		return RC_OK;
	}
	if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return err_set(e, RC_LIMIT, "kafka: the queue of unsent records is full");
	return refused(t, "put", error, e);
}

enum rc kafka_table_put(struct kafka_table *t, int32_t partition, struct slice key,
	struct slice value, const char *const *headers, struct err *e)
{
	int64_t end_us = clk_system.mono_us(&clk_system) + 30 * US_PER_S;
	enum rc rc;

	(void)rd_kafka_poll(t->rk, 0);
	while ((rc = put(t, partition, key, value, headers, e)) == RC_LIMIT) {
		if (clk_system.mono_us(&clk_system) > end_us)
			return err_set(e, RC_RETRY, "kafka: topic %s: the brokers take nothing: %s",
				t->topic, t->why);
		(void)rd_kafka_poll(t->rk, 50);
	}
	return rc;
}

enum rc kafka_table_commit(struct kafka_table *t, struct err *e)
{
	CLEAN(error_own) rd_kafka_error_t *error = NULL;
	int64_t end_us = clk_system.mono_us(&clk_system) + 60 * US_PER_S;

	/* A time-out says that it is still under way. */
	do {
		if (error != NULL)
			rd_kafka_error_destroy(error);
		error = rd_kafka_commit_transaction(t->rk, t->timeout_ms);
	} while (error != NULL && rd_kafka_error_is_retriable(error) &&
		clk_system.mono_us(&clk_system) < end_us);
	if (error != NULL)
		return refused(t, "commit", error, e);
	if (t->failed > 0)
		return err_set(e, RC_RETRY, "kafka: topic %s: %llu records were not taken: %s",
			t->topic, (unsigned long long)t->failed, t->why);
	return RC_OK;
}

/* --- reading */

struct slice kafka_row_header(const struct kafka_row *r, const char *name)
{
	const void *value = NULL;
	size_t len = 0;

	if (r->private_headers == NULL ||
		rd_kafka_header_get_last(r->private_headers, name, &value, &len) !=
			RD_KAFKA_RESP_ERR_NO_ERROR ||
		value == NULL)
		return SLICE("");
	return slice_of(value, len);
}

static enum rc open_reader(const struct kafka_table *t, rd_kafka_t **out, struct err *e)
{
	static const struct kafka_property fixed[] = {
		{"group.id", "khien-table"}, /* never joined: the library asks for one */
		{"isolation.level", "read_committed"},
		{"enable.auto.commit", "false"},
		{"auto.offset.reset", "error"},
		{"enable.partition.eof", "true"},
		{"queued.max.messages.kbytes", READ_QUEUE_KB},
		{NULL, NULL},
	};
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = NULL;
	enum rc rc = kafka_conf_make(&t->settings, NULL, fixed, NULL, &conf, e);

	if (rc == RC_OK)
		rc = kafka_handle(RD_KAFKA_CONSUMER, TAKE(conf), out, e);
	if (rc == RC_OK)
		(void)rd_kafka_poll_set_consumer(*out);
	return rc;
}

static enum rc assign_all(const struct kafka_table *t, rd_kafka_t *rk, struct err *e)
{
	KAFKA_PARTS_OWN rd_kafka_topic_partition_list_t *list =
		rd_kafka_topic_partition_list_new(t->partitions);

	for (int p = 0; p < t->partitions; p++) {
		int64_t low = 0, high = 0;
		rd_kafka_resp_err_t rk_err = rd_kafka_query_watermark_offsets(
			rk, t->topic, p, &low, &high, t->timeout_ms);

		if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return err_set(e, RC_RETRY, "kafka: topic %s: %s", t->topic,
				rd_kafka_err2str(rk_err));
		rd_kafka_topic_partition_list_add(list, t->topic, p)->offset = low;
	}
	rd_kafka_resp_err_t rk_err = rd_kafka_assign(rk, list);

	return rk_err == RD_KAFKA_RESP_ERR_NO_ERROR
		? RC_OK
		: err_set(e, RC_RETRY, "kafka: assign: %s", rd_kafka_err2str(rk_err));
}

static enum rc hand_over(const struct kafka_table *t, const rd_kafka_message_t *m,
	kafka_table_row *each, void *arg, struct err *e)
{
	rd_kafka_headers_t *headers = NULL;

	(void)rd_kafka_message_headers(m, &headers);
	struct kafka_row r = {.key = slice_of(m->key, m->key_len),
		.value = slice_of(m->payload, m->len),
		.partition = m->partition,
		.home = kafka_table_home(t, slice_of(m->key, m->key_len)),
		.private_headers = headers};

	return each(arg, &r, e);
}

/* A connection that ended is made again by the library. */
static bool passes(rd_kafka_resp_err_t rk_err)
{
	return rk_err == RD_KAFKA_RESP_ERR__TRANSPORT ||
		rk_err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

enum rc kafka_table_read(struct kafka_table *t, kafka_table_row *each, void *arg, struct err *e)
{
	CLEAN(consumer_own) rd_kafka_t *rk = NULL;
	int64_t wait_us = 2 * t->timeout_ms * INT64_C(1000), end_us, ask_us;
	enum rc rc = count_partitions(t, e); /* there may be more than there were */
	int left = t->partitions;

	if (rc == RC_OK)
		rc = open_reader(t, &rk, e);
	if (rc == RC_OK)
		rc = assign_all(t, rk, e);
	end_us = clk_system.mono_us(&clk_system) + wait_us;
	ask_us = end_us - wait_us + US_PER_S;
	while (rc == RC_OK && left > 0) {
		CLEAN(message_own) rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);

		int64_t now_us = clk_system.mono_us(&clk_system);

		if (m == NULL || passes(m->err)) {
			if (now_us > end_us)
				rc = err_set(e, RC_RETRY, "kafka: topic %s: no answer", t->topic);
			else if (now_us > ask_us) /* it may be gone */
				rc = count_partitions(t, e);
			if (now_us > ask_us)
				ask_us = now_us + US_PER_S;
			continue;
		}
		end_us = now_us + wait_us;
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			left--;
		else if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
			rc = err_set(e, RC_RETRY, "kafka: topic %s: %s", t->topic,
				rd_kafka_message_errstr(m));
		else
			rc = hand_over(t, m, each, arg, e);
	}
	if (rk != NULL)
		(void)rd_kafka_assign(rk, NULL);
	return rc;
}
