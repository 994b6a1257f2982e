/* Before 2.2 librdkafka's fetch sleeps up to a second when it finds its queue full, however soon that is empty, and no setting shortens the nap
 * (librdkafka #2879; 2.2 has fetch.queue.backoff.ms). What wakes it is anything to do with the partition's leader: the cheapest question there is,
 * for the end of the partition, whose answer nobody waits for. */
#include "wire/kafka_rd.h"

#define WAIT_MS 1 /* an answer that comes later is dropped */

void kafka_sleep_less(rd_kafka_conf_t *conf)
{
	static const char name[] = "fetch.queue.backoff.ms";
	char value[32], why[128];
	size_t size = sizeof(value);

	/* unless kafka.extra says another */
	if (rd_kafka_conf_get(conf, name, value, &size) == RD_KAFKA_CONF_OK &&
		strcmp(value, "1000") == 0)
		(void)rd_kafka_conf_set(conf, name, "20", why, sizeof(why));
}

bool kafka_oversleeps(void)
{
	static const int mended = 0x02020000;

	return rd_kafka_version() < mended;
}

void kafka_wake(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++)
		list->elems[i].offset = RD_KAFKA_OFFSET_END;
	(void)rd_kafka_offsets_for_times(rk, list, WAIT_MS);
}
