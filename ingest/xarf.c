/* XARF v4 messaging/spam (xarf.org): reports of other carriers and feeds come in as complaint/1 of channel network, and ours go out. An
 * organisation that reports is one reporter, an unverified one: a number of nobody's made from its domain. Ours go out without the reporter. XARF
 * knows no calls: they are protocol "other" with the tag khien:kind-v or khien:kind-ld. Leaves out every other XARF category. */
#include "ingest/import.h"
#include "ingest/send.h"

/* 8-4-4-4-12 hex digits */
static bool is_uuid(struct slice s)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	bool good = s.len == sizeof(shape) - 1;

	for (size_t i = 0; good && i < s.len; i++)
		good = shape[i] == '-' ? s.ptr[i] == '-'
				       : (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
				(s.ptr[i] >= 'a' && s.ptr[i] <= 'f') ||
				(s.ptr[i] >= 'A' && s.ptr[i] <= 'F');
	return good;
}

static bool has_tag(struct json tags, const char *tag)
{
	struct json_iter it = json_iter(tags);
	struct slice key;
	struct json v;

	while (tags.kind == JSON_LIST && json_next(&it, &key, &v))
		if (slice_eq(json_text(v), slice_str(tag)))
			return true;
	return false;
}

static const char *kind_of(struct json doc, const char **why)
{
	struct json tags = json_get(doc, "tags");

	if (has_tag(tags, "khien:kind-ld"))
		return "LD";
	if (has_tag(tags, "khien:kind-v"))
		return "V";
	if (slice_eq(json_text(json_get(doc, "protocol")), SLICE("sms")))
		return "S";
	*why = "XARF: the protocol is not sms, nor is it tagged as a call";
	return NULL;
}

/* The first text among the evidence. */
static bool content_of(struct json doc, struct buf *text, const char **why)
{
	struct json list = json_get(doc, "evidence"), item;
	struct json_iter it = json_iter(list);
	struct slice key;

	buf_clear(text);
	while (list.kind == JSON_LIST && json_next(&it, &key, &item)) {
		if (!slice_starts(json_text(json_get(item, "content_type")), SLICE("text/plain")))
			continue;
		if (decode64(json_text(json_get(item, "payload")), text) &&
			slice_utf8_valid(buf_slice(text)))
			return true;
		*why = "XARF: the payload of the evidence is not base64 of UTF-8 text";
		return false;
	}
	return true;
}

static bool core_good(struct json doc, const char **why)
{
	struct json reporter = json_get(doc, "reporter");

	if (!slice_starts(json_text(json_get(doc, "xarf_version")), SLICE("4.")))
		*why = "XARF: the version is not 4";
	else if (!slice_eq(json_text(json_get(doc, "category")), SLICE("messaging")) ||
		!slice_eq(json_text(json_get(doc, "type")), SLICE("spam")))
		*why = "XARF: not category messaging, type spam";
	else if (!is_uuid(json_text(json_get(doc, "report_id"))))
		*why = "XARF: report_id is no UUID";
	else if (json_text(json_get(doc, "timestamp")).len == 0)
		*why = "XARF: no timestamp";
	else if (json_text(json_get(doc, "source_identifier")).len == 0)
		*why = "XARF: no source_identifier";
	else if (json_text(json_get(reporter, "domain")).len == 0 &&
		json_text(json_get(reporter, "org")).len == 0)
		*why = "XARF: the reporter has neither domain nor org";
	else
		return true;
	return false;
}

enum rc xarf_read(struct json_parser *p, struct slice line, struct buf *out, const char **why)
{
	BUF_OWN struct buf text = {0};
	struct json doc, reporter;
	const char *kind;

	if (memmem(line.ptr, line.len, "\"xarf_version\"", 14) == NULL ||
		json_parse(p, line, &doc, NULL) != RC_OK ||
		json_get(doc, "xarf_version").kind == JSON_NONE ||
		json_get(doc, "schema").kind != JSON_NONE)
		return RC_NONE;
	buf_init(&text, SEND_RECORD_MAX);
	kind = core_good(doc, why) && content_of(doc, &text, why) ? kind_of(doc, why) : NULL;
	if (kind == NULL)
		return RC_INVALID;
	reporter = json_get(doc, "reporter");
	buf_clear(out);
	buf_fmt(out, "{\"schema\":\"complaint/1\",\"report_id\":\"xarf:");
	buf_add(out, json_text(json_get(doc, "report_id")));
	buf_fmt(out, "\",\"channel\":\"network\",\"kind\":\"%s\",\"reporter_verified\":false",
		kind);
	import_nobody(out,
		json_text(json_get(reporter, "domain")).len > 0
			? json_text(json_get(reporter, "domain"))
			: json_text(json_get(reporter, "org")));
	import_text(out, "received_at", json_text(json_get(doc, "timestamp")));
	import_text(out, "sender", json_text(json_get(doc, "source_identifier")));
	import_text(out, "content", buf_slice(&text));
	if (strcmp(kind, "LD") == 0 && slice_eq(json_text(json_get(doc, "protocol")), SLICE("sms")))
		buf_add(out, SLICE(",\"contact\":{\"service\":\"sms\"}"));
	import_text(out, "reporter_org", json_text(json_get(reporter, "org")));
	import_text(out, "evidence_source", json_text(json_get(doc, "evidence_source")));
	buf_byte(out, '}');
	if (out->failed)
		*why = "more than a broker takes";
	return out->failed ? RC_INVALID : RC_OK;
}

/* ---- out ---- */

static void uuid_of(struct slice report_id, struct buf *out)
{
	uint8_t h[SHA256_LEN];

	if (slice_starts(report_id, SLICE("xarf:")) &&
		is_uuid(slice_of(report_id.ptr + 5, report_id.len - 5))) {
		buf_add(out, slice_of(report_id.ptr + 5, report_id.len - 5));
		return;
	}
	sha256(report_id, h);
	h[6] = (uint8_t)((h[6] & 0x0f) | 0x40);
	h[8] = (uint8_t)((h[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < 16; i++)
		buf_fmt(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", h[i]);
}

static void base64(struct buf *out, struct slice s)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < s.len; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)s.ptr[i] << 16;

		if (i + 1 < s.len)
			v |= (uint32_t)(uint8_t)s.ptr[i + 1] << 8;
		if (i + 2 < s.len)
			v |= (uint8_t)s.ptr[i + 2];
		buf_byte(out, alphabet[v >> 18 & 63]);
		buf_byte(out, alphabet[v >> 12 & 63]);
		buf_byte(out, i + 1 < s.len ? alphabet[v >> 6 & 63] : '=');
		buf_byte(out, i + 2 < s.len ? alphabet[v & 63] : '=');
	}
}

static void contact(struct buf *out, const char *name, const struct xarf_org *o)
{
	buf_fmt(out, ",\"%s\":{\"org\":", name);
	buf_json(out, slice_str(o->org));
	buf_add(out, SLICE(",\"contact\":"));
	buf_json(out, slice_str(o->contact));
	buf_add(out, SLICE(",\"domain\":"));
	buf_json(out, slice_str(o->domain));
	buf_byte(out, '}');
}

static void text_evidence(struct buf *out, struct slice content)
{
	uint8_t sum[SHA256_LEN];

	if (content.len == 0)
		return;
	sha256(content, sum);
	buf_add(out, SLICE(",\"evidence\":[{\"content_type\":\"text/plain\",\"payload\":\""));
	base64(out, content);
	buf_add(out, SLICE("\",\"hash\":\"sha256:"));
	buf_hex(out, sum, sizeof(sum));
	buf_fmt(out, "\",\"size\":%zu}]", content.len);
}

void xarf_write(const struct xarf_org *org, const struct xarf_report *r, struct buf *out)
{
	static const char *const kinds[] = {"s", "v", "ld"};
	char at[TIME_TEXT];

	time_format(r->at, at);
	buf_add(out, SLICE("{\"xarf_version\":\"4.0.0\",\"report_id\":\""));
	uuid_of(r->report_id, out);
	buf_fmt(out, "\",\"timestamp\":\"%s\"", at);
	contact(out, "reporter", org);
	contact(out, "sender", org);
	buf_fmt(out, ",\"source_identifier\":\"%s", r->sender.scope == SCOPE_NUMBER ? "+" : "");
	buf_add(out, slice_str(r->sender.value)); /* no character of a sender needs an escape */
	buf_fmt(out,
		"\",\"category\":\"messaging\",\"type\":\"spam\",\"evidence_source\":\"user_"
		"complaint\","
		"\"protocol\":\"%s\"",
		r->service == SERVICE_SMS ? "sms" : "other");
	text_evidence(out, r->content);
	if (r->confidence >= 0 && r->confidence <= 1)
		buf_fmt(out, ",\"confidence\":%.3f", r->confidence);
	buf_fmt(out, ",\"tags\":[\"khien:kind-%s\",\"khien:scope-%s\"]}", kinds[r->kind],
		scope_name(r->sender.scope));
}
