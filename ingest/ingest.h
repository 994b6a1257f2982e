/* ingest: Kafka records in, understood reports out. Formats, numbers, validity; knows no database. docs/judgement.md section 1 is
 * the order of the checks. */
#pragma once

#include "base/base.h"
#include "wire/wire.h"

/* The words of a report (disposition, kind, service, channel, matched, origin) are in base/words.h. */

/* One record after decoding. disposition is what can be said without a database: ACCEPTED (subject to the claim), REJECTED, ROUTED or
 * QUARANTINED. All slices live in the batch's arena or in the Kafka batch. */
struct report {
	/* where it came from */
	const char *topic;
	int32_t partition;
	int64_t offset;
	struct slice bytes; /* the whole record */
	enum disposition disposition;
	const char *reason; /* static text of docs/judgement.md section 1 and 3 */
	char detail[96];    /* "field received_at: 31 February" */
	/* understood fields; valid unless QUARANTINED (report_id is set whenever it was readable) */
	struct slice report_id;
	enum kind kind;
	enum service service;
	enum channel channel;
	int64_t received_at, occurred_at; /* occurred_at TIME_NONE when absent */
	struct sender reporter;		  /* SCOPE_NUMBER */
	bool verified;
	struct sender sender; /* SCOPE_NONE: withheld or old number (sender_hint) */
	struct sender sender_hint;
	struct slice sender_raw;
	enum attribution attribution;
	struct slice content; /* may be empty */
	bool content_cut;     /* longer than BOUND_CONTENT */
	struct slice category;
	enum matched matched;
	enum origin origin;
	int32_t duration_s; /* -1 when absent */
	struct slice message_id, serving_carrier;
	struct slice extra;  /* unknown fields and evidence as one JSON object, or empty */
	const char *route_to; /* of ROUTED: the topic, "registry-requests" */
	struct slice registry_text;
	/* weight of the report before the reporter's trust: 0 or 1; docs/judgement.md section 3 */
	bool counts;
	bool spoofed; /* contact no, or foreign trunk under a domestic number */
	uint8_t id_hash[MAC_LEN];  /* keys_mac("report_id", report_id) */
	uint8_t body_mac[MAC_LEN]; /* keys_mac("body", normalised fields) */
	uint8_t reporter_mac[MAC_LEN]; /* keys_mac("reporter", E.164 digits) */
};

/* Everything decoding needs; immutable, shared by threads. */
struct ingest_rules {
	const struct plan *plan;
	const struct keys *keys;
	int64_t late_after_s;
};

struct decoder; /* a thread's scratch: JSON parser */
struct decoder *decoder_new(const struct ingest_rules *rules);
void decoder_free(struct decoder *d);
OWNER(decoder_free, struct decoder);
/* Understands one record. Never fails on input: what cannot be understood is QUARANTINED with reason and detail. RC_LIMIT only when the arena
 * is full (end the batch there and go on with a fresh one). */
MUST_USE enum rc decode(struct decoder *d, const struct kafka_record *r, struct arena *a, struct report *out);

/* The formats in one table, found by the record's schema. */
struct format_ops {
	const char *schema; /* "complaint/1" */
	void (*decode)(struct decoder *d, struct json record, struct arena *a, struct report *out);
};
extern const struct format_ops *const ingest_formats[]; /* NULL-ended */

/* The citizen's own words of a report SMS, split (contracts: points 8; spellings of the short codes). Used by report-sms/1. */
enum sms_kind { SMS_REPORT, SMS_REGISTRY, SMS_NO_KEYWORD, SMS_NO_SENDER, SMS_TWO_SENDERS };
struct sms_parts {
	enum kind kind;
	struct slice sender_raw, content; /* content may be built in the arena */
};
enum sms_kind sms_split(const struct plan *p, struct slice text, int64_t occurred_us, struct arena *a, struct sms_parts *out);
