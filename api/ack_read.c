/* An acknowledgement as a consumer wrote it. Leaves out who may tell, and whether it is so. */
#include <stdio.h>

#include "api/ack_read.h"

static enum rc take_buckets(struct json list, struct digest out[256], struct err *e)
{
	struct slice key;
	struct json one;
	size_t i = 0;

	if (list.kind != JSON_LIST || json_count(list) != 256)
		return err_set(e, RC_INVALID, "buckets: a list of 256 sums");
	for (struct json_iter it = json_iter(list); json_next(&it, &key, &one); i++)
		if (one.kind != JSON_TEXT || digest_parse(json_text(one), &out[i]) != RC_OK)
			return err_set(
				e, RC_INVALID, "buckets: each is 64 lower-case hexadecimal digits");
	return RC_OK;
}

enum rc ack_read(struct json body, struct ack_told *t, struct err *e)
{
	struct slice consumer = json_text(json_get(body, "consumer"));
	struct slice list = json_text(json_get(body, "list"));
	struct json release = json_get(body, "release"), count = json_get(body, "count");
	struct json service = json_get(body, "service"), buckets = json_get(body, "buckets");
	enum service only;

	t->ack = (struct feed_ack){.consumer = t->consumer,
		.list = t->list,
		.service = -1,
		.release = json_int(release),
		.count = json_int(count)};
	if (body.kind != JSON_MAP)
		return err_set(e, RC_INVALID, "the body is no JSON object");
	if (!consumer_well_formed(consumer))
		return err_set(e, RC_INVALID,
			"consumer: a name of at most 63 letters, digits, dots, dashes and "
			"underscores");
	if (list.len == 0 || list.len >= sizeof(t->list))
		return err_set(e, RC_INVALID, "list: the uuid of the list that you follow");
	if (release.kind != JSON_INT || t->ack.release < 0)
		return err_set(e, RC_INVALID, "release: a whole number");
	if (count.kind != JSON_INT || t->ack.count < 0)
		return err_set(e, RC_INVALID, "count: a whole number");
	if (digest_parse(json_text(json_get(body, "digest")), &t->ack.digest) != RC_OK)
		return err_set(e, RC_INVALID, "digest: 64 lower-case hexadecimal digits");
	if (service.kind != JSON_NONE && service.kind != JSON_NULL) {
		if (service.kind != JSON_TEXT || !service_parse(json_text(service), &only))
			return err_set(e, RC_INVALID, "service: sms or voice");
		t->ack.service = (int)only;
	}
	if (buckets.kind != JSON_NONE && buckets.kind != JSON_NULL) {
		if (take_buckets(buckets, t->buckets, e) != RC_OK)
			return RC_INVALID;
		t->ack.buckets = t->buckets;
	}
	snprintf(t->consumer, sizeof(t->consumer), "%.*s", (int)consumer.len, consumer.ptr);
	snprintf(t->list, sizeof(t->list), "%.*s", (int)list.len, list.ptr);
	return RC_OK;
}
