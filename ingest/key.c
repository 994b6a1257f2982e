/* The Kafka key that `khien send` gives a record, so that one sender's reports stay on one partition. Only locality hangs on it; nothing is
 * judged. Leaves out every check: a record that is no report is sent all the same. */
#include "ingest/ingest.h"

#include <stdlib.h>

struct key_maker {
	const struct plan *plan;
	struct json_parser *json;
	struct arena *arena;
	struct sender sender;
};

struct key_maker *key_maker_new(const struct plan *p)
{
	OWN(key_maker_free) struct key_maker *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->plan = p;
	k->json = json_parser_new();
	k->arena = arena_new((size_t)4 * BOUND_RECORD);
	return k->json != NULL && k->arena != NULL ? TAKE(k) : NULL;
}

void key_maker_free(struct key_maker *k)
{
	if (k == NULL)
		return;
	json_parser_free(k->json);
	arena_free(k->arena);
	free(k);
}

static bool sender_text(struct key_maker *k, struct json record, int64_t when, struct slice *out)
{
	struct json v = json_get(record, "sender");
	struct sms_parts parts;

	if (v.kind == JSON_TEXT) {
		*out = json_text(v);
		return true;
	}
	v = json_get(record, "text");
	arena_reset(k->arena);
	if (v.kind != JSON_TEXT ||
		sms_split(k->plan, json_text(v), when, k->arena, &parts) != SMS_REPORT)
		return false;
	*out = parts.sender_raw;
	return true;
}

struct slice key_of(struct key_maker *k, struct slice record)
{
	struct json doc, when_text;
	struct slice raw;
	const char *why;
	int64_t when;
	enum sender_found found;

	if (record.ptr == NULL || record.len > BOUND_RECORD ||
		json_parse(k->json, record, &doc, NULL) != RC_OK)
		return slice_of(NULL, 0);
	when_text = json_get(doc, "occurred_at");
	if (when_text.kind != JSON_TEXT)
		when_text = json_get(doc, "received_at");
	if (time_parse(json_text(when_text), &when) != RC_OK)
		when = TIME_NONE;
	if (sender_text(k, doc, when, &raw)) {
		found = sender_parse(k->plan, raw, when, &k->sender, &why);
		if ((found == SENDER_OK || found == SENDER_OLD) && k->sender.value[0] != '\0')
			return slice_str(k->sender.value);
	}
	raw = json_text(json_get(doc, "report_id"));
	return raw.len > 0 ? raw : slice_of(NULL, 0);
}
