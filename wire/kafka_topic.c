/* Making sure that a topic is there. The brokers are asked for the list of all topics first: asking
 * for one by name can create it with somebody else's settings, and the demonstration broker cannot
 * create topics on request. */
#include "wire/kafka_rd.h"

static void new_topic_own(rd_kafka_NewTopic_t **t)
{
	if (*t != NULL)
		rd_kafka_NewTopic_destroy(*t);
}

static void handle_own(rd_kafka_t **rk)
{
	kafka_destroy(*rk, 0, KAFKA_ASK_MS);
}

/* RC_NONE: the brokers answer and do not have it. */
static enum rc topic_there(rd_kafka_t *rk, const char *topic, struct err *e)
{
	CLEAN(kafka_metadata_own_) const struct rd_kafka_metadata *md = NULL;
	rd_kafka_resp_err_t rk_err = rd_kafka_metadata(rk, 1, NULL, &md, KAFKA_ASK_MS);

	if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(e, RC_RETRY, "kafka: topic %s: %s", topic, rd_kafka_err2str(rk_err));
	for (int i = 0; i < md->topic_cnt; i++) {
		const struct rd_kafka_metadata_topic *t = &md->topics[i];

		if (strcmp(t->topic, topic) == 0 && t->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
			t->partition_cnt > 0)
			return RC_OK;
	}
	return RC_NONE;
}

static enum rc describe(const char *topic, int partitions, const char *const *config,
	rd_kafka_NewTopic_t **out, struct err *e)
{
	char why[256];
	/* -1: as many copies as the brokers are set to */
	CLEAN(new_topic_own)
	rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(topic, partitions, -1, why, sizeof(why));

	if (t == NULL)
		return err_set(e, RC_INVALID, "kafka: topic %s: %s", topic, why);
	for (; config != NULL && *config != NULL; config++) {
		struct slice rest = slice_str(*config), name = {0};
		char key[128];

		if (!slice_cut(&rest, '=', &name) || name.len == 0 || name.len >= sizeof(key) ||
			rest.ptr == NULL || (*config)[name.len] != '=')
			return err_set(
				e, RC_INVALID, "kafka: \"%s\" is not property=value", *config);
		memcpy(key, name.ptr, name.len);
		key[name.len] = '\0';
		if (rd_kafka_NewTopic_set_config(t, key, rest.ptr) != RD_KAFKA_RESP_ERR_NO_ERROR)
			return err_set(e, RC_INVALID, "kafka: topic property %s", key);
	}
	*out = TAKE(t);
	return RC_OK;
}

static enum rc create(rd_kafka_t *rk, rd_kafka_NewTopic_t *t, const char *topic, struct err *e)
{
	CLEAN(kafka_queue_own_) rd_kafka_queue_t *q = rd_kafka_queue_new(rk);
	CLEAN(kafka_options_own_)
	rd_kafka_AdminOptions_t *options =
		rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	CLEAN(kafka_event_own_) rd_kafka_event_t *ev = NULL;
	const rd_kafka_CreateTopics_result_t *result;
	const rd_kafka_topic_result_t **topics = NULL;
	rd_kafka_resp_err_t rk_err;
	size_t n = 0;
	char why[256];

	(void)rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_ASK_MS, why, sizeof(why));
	rd_kafka_CreateTopics(rk, &t, 1, options, q);
	ev = rd_kafka_queue_poll(q, 2 * KAFKA_ASK_MS);
	if (ev == NULL)
		return err_set(e, RC_RETRY, "kafka: topic %s: no answer", topic);
	if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return err_set(
			e, RC_RETRY, "kafka: topic %s: %s", topic, rd_kafka_event_error_string(ev));
	result = rd_kafka_event_CreateTopics_result(ev);
	if (result != NULL)
		topics = rd_kafka_CreateTopics_result_topics(result, &n);
	if (n != 1)
		return err_set(e, RC_RETRY, "kafka: topic %s: an answer without it", topic);
	rk_err = rd_kafka_topic_result_error(topics[0]);
	switch (rk_err) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return RC_OK;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return err_set(
			e, RC_DENIED, "kafka: topic %s: %s", topic, rd_kafka_err2str(rk_err));
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
	case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
	case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
		return err_set(e, RC_INVALID, "kafka: topic %s: %s", topic,
			rd_kafka_topic_result_error_string(topics[0]));
	default:
		return err_set(e, RC_RETRY, "kafka: topic %s: %s", topic, rd_kafka_err2str(rk_err));
	}
}

enum rc kafka_topic_ensure(const struct kafka_settings *s, const char *topic, int partitions,
	const char *const *config, struct err *e)
{
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = NULL;
	CLEAN(handle_own) rd_kafka_t *rk = NULL;
	CLEAN(new_topic_own) rd_kafka_NewTopic_t *t = NULL;
	int64_t end_us = clk_system.mono_us(&clk_system) + KAFKA_ASK_MS * (US_PER_S / 1000);
	enum rc rc = kafka_conf_make(s, NULL, NULL, NULL, &conf, e);

	if (rc == RC_OK)
		rc = kafka_handle(RD_KAFKA_PRODUCER, TAKE(conf), &rk, e);
	if (rc == RC_OK)
		rc = describe(topic, partitions, config, &t, e);
	if (rc == RC_OK)
		rc = topic_there(rk, topic, e);
	if (rc != RC_NONE)
		return rc;
	rc = create(rk, t, topic, e);
	/* The controller knows it before the brokers do. */
	while (rc == RC_OK && (rc = topic_there(rk, topic, e)) == RC_NONE) {
		if (clk_system.mono_us(&clk_system) > end_us)
			return err_set(e, RC_RETRY, "kafka: topic %s is made and not seen", topic);
		wait_ms(20, NULL);
		rc = RC_OK;
	}
	return rc;
}
