/* report-sms/1: a report that is still the citizen's own text message to 156 or 5656. Leaves out the spellings (sms_split.c) and validity
 * (validity.c). */
#include "ingest/decoder.h"
#include "ingest/sms.h"

enum { SCHEMA, REPORT_ID, FROM, TO, RECEIVED_AT, TEXT, PARTS, CODING, FIELDS };

static const struct field fields[FIELDS] = {
	[SCHEMA] = FIELD("schema", JSON_TEXT, true),
	[REPORT_ID] = FIELD("report_id", JSON_TEXT, true),
	[FROM] = FIELD("from", JSON_TEXT, true),
	[TO] = FIELD("to", JSON_TEXT, true),
	[RECEIVED_AT] = FIELD("received_at", JSON_TEXT, true),
	[TEXT] = FIELD("text", JSON_TEXT, false),
	[PARTS] = FIELD("parts", JSON_LIST, false),
	[CODING] = FIELD("coding", JSON_TEXT, false),
};

static bool channel_of(struct slice to, enum channel *out)
{
	to = slice_trim(to);
	if (slice_eq(to, SLICE("5656")))
		*out = CH_SMS5656;
	else if (slice_eq(to, SLICE("156")))
		*out = CH_SMS156;
	else
		return false;
	return true;
}

static void registry(struct decoder *d, struct slice text, struct report *out)
{
	out->disposition = DISP_ROUTED;
	out->reason = "registry";
	out->route_to = "registry-requests";
	out->registry_text = text;
	identity_of_body(d, out);
}

/* Checks 11 and 12. */
static void split(struct decoder *d, struct slice text, struct arena *a, struct report *out)
{
	struct sms_parts parts = {0};

	switch (sms_split(d->rules->plan, text, out->received_at, a, &parts)) {
	case SMS_REPORT:
		break;
	case SMS_REGISTRY:
		registry(d, text, out);
		return;
	case SMS_NO_KEYWORD:
		quarantine(out, "no_keyword", "field text does not begin with S, V or LD");
		return;
	case SMS_NO_SENDER:
		quarantine(out, "no_sender", "field text names no sender");
		return;
	case SMS_TWO_SENDERS:
		quarantine(out, "two_senders",
			"field text names two different senders, or can be read so");
		return;
	}
	if (parts.content.ptr == NULL) {
		d->full = true;
		return;
	}
	out->kind = parts.kind;
	out->service = parts.kind == KIND_S ? SERVICE_SMS : SERVICE_VOICE;
	out->sender_raw = parts.sender_raw;
	out->content = parts.content;
	judge(d, out);
}

#define PARTS_MAX 16

/* Check 10a: the message, of one text or of its parts in order, in the coding it came in. False: quarantined. */
static bool text_field(struct decoder *d, const struct json v[FIELDS], struct arena *a,
	struct slice *out, struct report *r)
{
	struct slice coding = v[CODING].kind == JSON_TEXT ? json_text(v[CODING]) : SLICE("text");
	struct json_iter it = json_iter(v[PARTS]);
	struct slice key;
	struct json part;
	bool good;

	if ((v[TEXT].kind == JSON_NONE) == (v[PARTS].kind == JSON_NONE))
		return quarantine(
			r, "missing_field", "field text is missing, or parts is there, too");
	if (!slice_eq(coding, SLICE("text")) && !slice_eq(coding, SLICE("gsm7")) &&
		!slice_eq(coding, SLICE("ucs2")))
		return quarantine(r, "bad_text", "field coding is none of text, gsm7, ucs2");
	buf_clear(&d->scratch);
	good = v[TEXT].kind == JSON_NONE || sms_coding(coding, json_text(v[TEXT]), &d->scratch);
	if (v[PARTS].kind == JSON_LIST)
		good = json_count(v[PARTS]) >= 1 && json_count(v[PARTS]) <= PARTS_MAX;
	while (good && v[PARTS].kind == JSON_LIST && json_next(&it, &key, &part))
		good = part.kind == JSON_TEXT && sms_coding(coding, json_text(part), &d->scratch);
	if (!good)
		return quarantine(r, "bad_text",
			"field text or parts is not what the coding says, or not 1 to %d texts",
			PARTS_MAX);
	d->full = d->full || d->scratch.failed;
	*out = decoder_keep(d, a, buf_slice(&d->scratch));
	return true;
}

static void decode_report_sms(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	struct json v[FIELDS];
	struct slice text;

	if (!fields_sort(d, record, fields, FIELDS, v, a, out) ||
		!report_id_field(v[REPORT_ID], out))
		return;
	if (!channel_of(json_text(v[TO]), &out->channel)) {
		quarantine(out, "bad_channel", "field to is neither 156 nor 5656");
		return;
	}
	if (!time_field(v[RECEIVED_AT], "received_at", &out->received_at, out) ||
		!not_in_future(out) || !reporter_field(d, v[FROM], "from", out) ||
		!text_field(d, v, a, &text, out))
		return;
	out->verified = true; /* the network says who sent it */
	extra_close(d, a, out);
	if (!d->full)
		split(d, text, a, out);
}

const struct format_ops format_report_sms = {
	.schema = "report-sms/1", .of = FEED_COMPLAINTS, .decode = decode_report_sms};
