/* complaint/1: a report as the national system, a portal or a carrier's care line passes it on, all fields apart. Leaves out numbers and
 * validity (validity.c). */
#include "ingest/decoder.h"

enum {
	SCHEMA,
	REPORT_ID,
	CHANNEL,
	KIND,
	RECEIVED_AT,
	REPORTER,
	SENDER, /* required, in the order of check 6 */
	OCCURRED_AT,
	VERIFIED,
	CONTENT,
	CATEGORY,
	CONTACT,
	CARRIER,
	FIELDS
};

static const struct field fields[FIELDS] = {
	[SCHEMA] = FIELD("schema", JSON_TEXT, true),
	[REPORT_ID] = FIELD("report_id", JSON_TEXT, true),
	[CHANNEL] = FIELD("channel", JSON_TEXT, true),
	[KIND] = FIELD("kind", JSON_TEXT, true),
	[RECEIVED_AT] = FIELD("received_at", JSON_TEXT, true),
	[REPORTER] = FIELD("reporter", JSON_TEXT, true),
	[SENDER] = FIELD("sender", JSON_TEXT, true),
	[OCCURRED_AT] = FIELD("occurred_at", JSON_TEXT, false),
	[VERIFIED] = FIELD("reporter_verified", JSON_BOOL, false),
	[CONTENT] = FIELD("content", JSON_TEXT, false),
	[CATEGORY] = FIELD("category", JSON_TEXT, false),
	[CONTACT] = FIELD("contact", JSON_MAP, false),
	[CARRIER] = FIELD("serving_carrier", JSON_TEXT, false),
};

/* Sorts the members of `contact`; the message id and those we do not know go to extra as "contact":{…}. */
static void contact_sort(struct decoder *d, struct json contact, struct json values[CONTACT_PARTS])
{
	struct json_iter it = json_iter(contact);
	struct json_raw raw = json_raw(d->inner);
	size_t kept = 0;
	struct slice key, raw_key, raw_value;
	struct json value;

	while (json_next(&it, &key, &value) && json_raw_next(&raw, &raw_key, &raw_value)) {
		size_t i = 0;

		while (i < CONTACT_PARTS &&
			!slice_eq(key, slice_of(contact_parts[i].name, contact_parts[i].len)))
			i++;
		if (i < CONTACT_PARTS) {
			values[i] = value.kind != JSON_NULL ? value : (struct json){0};
			if (i != CONTACT_MESSAGE_ID || value.kind != JSON_TEXT)
				continue;
		}
		if (kept++ == 0) {
			buf_byte(&d->extra, d->extra.len == 0 ? '{' : ',');
			buf_add(&d->extra, SLICE("\"contact\":{"));
		} else {
			buf_byte(&d->extra, ',');
		}
		buf_add(&d->extra, raw_key);
		buf_byte(&d->extra, ':');
		buf_add(&d->extra, raw_value);
	}
	if (kept > 0)
		buf_byte(&d->extra, '}');
}

/* The contact part of check 8. */
static bool contact_of_report(const struct json values[CONTACT_PARTS], struct report *out)
{
	struct contact_words c;

	if (!contact_field(values, "contact.", &c, out))
		return false;
	out->service = out->kind == KIND_S ? SERVICE_SMS : SERVICE_VOICE;
	if (out->kind == KIND_LD && c.has_service)
		out->service = c.service;
	out->matched = c.matched;
	out->origin = c.origin;
	out->duration_s = c.duration_s;
	return true;
}

static bool verified_by_channel(enum channel c)
{
	return c == CH_SMS156 || c == CH_SMS5656 || c == CH_VOICE156 || c == CH_CARE;
}

static void decode_complaint(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	struct json v[FIELDS], contact[CONTACT_PARTS] = {0};

	if (!fields_sort(d, record, fields, FIELDS, v, a, out))
		return;
	contact_sort(d, v[CONTACT], contact);
	if (!fields_check(contact_parts, CONTACT_PARTS, contact, "contact.", out) ||
		!report_id_field(v[REPORT_ID], out))
		return;
	if (!channel_parse(json_text(v[CHANNEL]), &out->channel)) {
		quarantine(out, "bad_channel",
			"field channel is none of sms156 sms5656 voice156 portal app care "
			"authority network");
		return;
	}
	if (!kind_parse(json_text(v[KIND]), &out->kind)) {
		quarantine(out, "bad_kind", "field kind is none of S, V, LD");
		return;
	}
	if (!contact_of_report(contact, out) ||
		!time_field(v[RECEIVED_AT], "received_at", &out->received_at, out) ||
		(v[OCCURRED_AT].kind == JSON_TEXT &&
			!time_field(v[OCCURRED_AT], "occurred_at", &out->occurred_at, out)) ||
		!not_in_future(out) || !reporter_field(d, v[REPORTER], "reporter", out))
		return;
	out->verified = v[VERIFIED].kind != JSON_NONE ? json_bool(v[VERIFIED])
						      : verified_by_channel(out->channel);
	out->sender_raw = decoder_keep(d, a, json_text(v[SENDER]));
	out->content = decoder_keep(d, a, json_text(v[CONTENT]));
	out->category = text_or_extra(d, a, "category", v[CATEGORY]);
	if (v[CARRIER].kind == JSON_TEXT)
		extra_add(d, SLICE("serving_carrier"), v[CARRIER]);
	extra_close(d, a, out);
	if (!d->full)
		judge(d, out);
}

const struct format_ops format_complaint = {
	.schema = "complaint/1", .of = FEED_COMPLAINTS, .decode = decode_complaint};
