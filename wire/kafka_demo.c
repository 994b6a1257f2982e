/* The embedded broker of the demonstration: librdkafka's mock cluster inside this process, on a
 * loopback port. Groups, commits and several client processes work; nothing survives the process,
 * about 5 MB a partition are kept, and there is no access control. Never a product default. */
#include "wire/kafka_rd.h"

#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

struct kafka_demo {
	rd_kafka_t *rk; /* only carries the cluster */
	rd_kafka_mock_cluster_t *cluster;
};

enum rc kafka_demo_open(const char *const *topics, const int *partitions, size_t n,
	struct kafka_demo **out, struct err *e)
{
	OWN(kafka_demo_close) struct kafka_demo *d = calloc(1, sizeof(*d));
	KAFKA_CONF_OWN rd_kafka_conf_t *conf = NULL;
	enum rc rc;

	if (d == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	rc = kafka_conf_make(NULL, NULL, NULL, NULL, &conf, e);
	if (rc == RC_OK)
		rc = kafka_handle(RD_KAFKA_PRODUCER, TAKE(conf), &d->rk, e);
	if (rc != RC_OK)
		return rc;
	d->cluster = rd_kafka_mock_cluster_new(d->rk, 1);
	if (d->cluster == NULL)
		return err_set(e, RC_RETRY, "kafka: the demonstration broker does not start");
	for (size_t i = 0; i < n; i++) {
		rd_kafka_resp_err_t rk_err =
			rd_kafka_mock_topic_create(d->cluster, topics[i], partitions[i], 1);

		if (rk_err != RD_KAFKA_RESP_ERR_NO_ERROR)
			return err_set(e, RC_INVALID, "kafka: topic %s with %d partitions: %s",
				topics[i], partitions[i], rd_kafka_err2str(rk_err));
	}
	*out = TAKE(d);
	return RC_OK;
}

const char *kafka_demo_brokers(const struct kafka_demo *d)
{
	return rd_kafka_mock_cluster_bootstraps(d->cluster);
}

void kafka_demo_close(struct kafka_demo *d)
{
	if (d == NULL)
		return;
	if (d->cluster != NULL)
		rd_kafka_mock_cluster_destroy(d->cluster);
	kafka_destroy(d->rk, 0, KAFKA_CLOSE_MS);
	free(d);
}
