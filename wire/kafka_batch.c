/* A batch of fetched records. The records are views of librdkafka's own messages, which the batch
 * keeps until it is reset: nothing is copied. */
#include "wire/kafka_rd.h"

#include <assert.h>
#include <stdlib.h>

struct kafka_batch *kafka_batch_new(void)
{
	return calloc(1, sizeof(struct kafka_batch));
}

void kafka_batch_free(struct kafka_batch *b)
{
	if (b == NULL)
		return;
	kafka_batch_reset(b);
	free(b->records);
	free(b->messages);
	free(b);
}

void kafka_batch_reset(struct kafka_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		rd_kafka_message_destroy(b->messages[i]);
	b->count = b->bytes = 0;
	if (b->list == NULL)
		return;
	if (b->prev != NULL)
		b->prev->next = b->next;
	else
		*b->list = b->next;
	if (b->next != NULL)
		b->next->prev = b->prev;
	b->list = NULL;
	b->prev = b->next = NULL;
}

size_t kafka_batch_count(const struct kafka_batch *b)
{
	return b->count;
}

const struct kafka_record *kafka_batch_at(const struct kafka_batch *b, size_t i)
{
	assert(i < b->count);
	return &b->records[i];
}

/* version-trace-parent-flags in lower-case hexadecimal; versions to come may be longer. */
static bool is_trace(struct slice s)
{
	static const char shape[] = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";

	if (s.len != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		bool hex = (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
			(s.ptr[i] >= 'a' && s.ptr[i] <= 'f');

		if (shape[i] == 'h' ? !hex : s.ptr[i] != shape[i])
			return false;
	}
	return true;
}

/* Borrowed from the message. */
static struct slice trace_of(rd_kafka_message_t *m)
{
	rd_kafka_headers_t *headers = NULL;
	const void *value = NULL;
	size_t len = 0;

	if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		rd_kafka_header_get_last(headers, KAFKA_TRACE, &value, &len) !=
			RD_KAFKA_RESP_ERR_NO_ERROR ||
		value == NULL || !is_trace(slice_of(value, len)))
		return SLICE("");
	return slice_of(value, len);
}

static bool grow(struct kafka_batch *b)
{
	size_t room = b->room == 0 ? 256 : b->room * 2;
	struct kafka_record *records;
	rd_kafka_message_t **messages;

	if (b->count < b->room)
		return true;
	records = reallocarray(b->records, room, sizeof(*records));
	if (records != NULL)
		b->records = records;
	messages = reallocarray(b->messages, room, sizeof(rd_kafka_message_t *));
	if (messages != NULL)
		b->messages = messages;
	if (records == NULL || messages == NULL)
		return false;
	b->room = room;
	return true;
}

enum rc kafka_batch_add(
	struct kafka_batch *b, struct kafka_batch **list, rd_kafka_message_t *m, struct err *e)
{
	rd_kafka_timestamp_type_t kind;
	int64_t ms = rd_kafka_message_timestamp(m, &kind);

	if (!grow(b)) {
		rd_kafka_message_destroy(m);
		return err_set(e, RC_RETRY, "out of memory");
	}
	if (b->list == NULL) {
		b->list = list;
		b->next = *list;
		if (b->next != NULL)
			b->next->prev = b;
		*list = b;
	}
	assert(b->list == list);
	b->messages[b->count] = m;
	b->records[b->count++] = (struct kafka_record){
		.topic = rd_kafka_topic_name(m->rkt),
		.partition = m->partition,
		.offset = m->offset,
		.timestamp_us = ms >= 0 && kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
			? ms * (US_PER_S / 1000)
			: TIME_NONE,
		.key = slice_of(m->key, m->key_len),
		.value = slice_of(m->payload, m->len),
		.trace = trace_of(m),
	};
	b->bytes += m->key_len + m->len;
	return RC_OK;
}
