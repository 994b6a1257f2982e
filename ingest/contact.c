/* What is known of the contact that a report is about: the words of a report's `contact`, and contacts/1, the same facts when they come
 * by themselves, before or after the report. Leaves out what follows from them (validity.c, and the ledger for what came later). */
#include "ingest/decoder.h"

const struct field contact_parts[CONTACT_PARTS] = {
	[CONTACT_SERVICE] = FIELD("service", JSON_TEXT, false),
	[CONTACT_MATCHED] = FIELD("matched", JSON_TEXT, false),
	[CONTACT_ORIGIN] = FIELD("origin", JSON_TEXT, false),
	[CONTACT_DURATION] = FIELD("duration_s", JSON_NONE, false), /* bad_contact */
	[CONTACT_MESSAGE_ID] = FIELD("message_id", JSON_TEXT, false),
};

static bool bad_part(struct report *out, const char *of, size_t i, const char *want)
{
	return quarantine(
		out, "bad_contact", "field %s%s is not %s", of, contact_parts[i].name, want);
}

static bool duration_field(
	struct json v, const char *of, struct contact_words *c, struct report *out)
{
	double s;

	if (v.kind == JSON_NONE)
		return true;
	s = json_real(v);
	if ((v.kind != JSON_INT && v.kind != JSON_REAL) || !(s >= 0 && s <= INT32_MAX))
		return bad_part(out, of, CONTACT_DURATION, "a number of seconds");
	c->duration_s = (int32_t)s;
	return true;
}

bool contact_field(const struct json values[CONTACT_PARTS], const char *of, struct contact_words *c,
	struct report *out)
{
	*c = (struct contact_words){.duration_s = -1};
	c->has_service = values[CONTACT_SERVICE].kind != JSON_NONE;
	if (c->has_service && !service_parse(json_text(values[CONTACT_SERVICE]), &c->service))
		return bad_part(out, of, CONTACT_SERVICE, "one of sms, voice");
	if (values[CONTACT_MATCHED].kind != JSON_NONE &&
		!matched_parse(json_text(values[CONTACT_MATCHED]), &c->matched))
		return bad_part(out, of, CONTACT_MATCHED, "one of yes, no, unchecked");
	if (values[CONTACT_ORIGIN].kind != JSON_NONE &&
		!origin_parse(json_text(values[CONTACT_ORIGIN]), &c->origin))
		return bad_part(out, of, CONTACT_ORIGIN, "one of own, other, foreign, unknown");
	return duration_field(values[CONTACT_DURATION], of, c, out);
}

enum { SCHEMA, REPORT_ID, PARTS_FROM, FIELDS = PARTS_FROM + CONTACT_PARTS };

static void decode_contacts(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	struct field fields[FIELDS] = {
		[SCHEMA] = FIELD("schema", JSON_TEXT, true),
		[REPORT_ID] = FIELD("report_id", JSON_TEXT, true),
	};
	struct json v[FIELDS];
	struct contact_words c;
	struct fact *f;

	memcpy(fields + PARTS_FROM, contact_parts, sizeof(contact_parts));
	if (!fields_sort(d, record, fields, FIELDS, v, a, out) ||
		!report_id_field(v[REPORT_ID], out) || !contact_field(v + PARTS_FROM, "", &c, out))
		return;
	if (c.has_service)
		extra_add(d, SLICE("service"), v[PARTS_FROM + CONTACT_SERVICE]);
	if (v[PARTS_FROM + CONTACT_MESSAGE_ID].kind == JSON_TEXT)
		extra_add(d, SLICE("message_id"), v[PARTS_FROM + CONTACT_MESSAGE_ID]);
	extra_close(d, a, out);
	f = fact_new(d, a, FEED_CONTACTS, out);
	if (f == NULL)
		return;
	f->contact = (struct fact_contact){
		.report_id = out->report_id,
		.matched = c.matched,
		.origin = c.origin,
		.duration_s = c.duration_s,
		.extra = out->extra,
	};
	memcpy(f->contact.id_hash, out->id_hash, MAC_LEN);
}

const struct format_ops format_contacts = {
	.schema = "contacts/1", .of = FEED_CONTACTS, .decode = decode_contacts};
