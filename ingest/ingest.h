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
	int64_t stamped_at; /* the Kafka record's timestamp; TIME_NONE when it has none */
	struct slice bytes; /* the whole record */
	enum disposition disposition;
	const char *reason; /* static text of docs/judgement.md section 1 and 3 */
	char detail[96];    /* "field received_at: 31 February" */
	const struct fact *
		fact; /* of a record beside the reports, once understood: then nothing below is set */
	/* understood fields; valid unless QUARANTINED (report_id is set whenever it was readable) */
	struct slice report_id;
	enum kind kind;
	enum service service;
	enum channel channel;
	int64_t received_at, occurred_at; /* occurred_at TIME_NONE when absent */
	struct sender reporter;           /* SCOPE_NUMBER */
	bool verified;
	struct sender sender; /* SCOPE_NONE: withheld or old number (sender_hint) */
	struct sender sender_hint;
	struct slice sender_raw; /* as written; at most BOUND_SENDER_RAW bytes */
	enum attribution attribution;
	struct slice content; /* may be empty */
	bool content_cut;     /* longer than BOUND_CONTENT */
	struct slice category;
	enum matched matched;
	enum origin origin;
	int32_t duration_s; /* -1 when absent */
	struct slice
		extra; /* what has no place above, as one JSON object, or empty: unknown fields, evidence,
	                     * contact.message_id, serving_carrier */
	const char *route_to; /* of ROUTED: the topic, "registry-requests" */
	struct slice registry_text;
	/* weight of the report before the reporter's trust: 0 or 1; docs/judgement.md section 3 */
	bool counts;
	bool spoofed;                  /* contact no, or foreign trunk under a domestic number */
	uint8_t id_hash[MAC_LEN];      /* keys_mac("report_id", report_id) */
	uint8_t body_mac[MAC_LEN];     /* keys_mac("body", normalised fields) */
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
/* Understands one record of a topic. Never fails on input: what cannot be understood is QUARANTINED with reason and detail. RC_LIMIT only when the arena
 * is full (end the batch there and go on with a fresh one). */
MUST_USE enum rc decode(struct decoder *d, enum feed of, const struct kafka_record *r,
	struct arena *a, struct report *out);

/* The formats in one table, found by the topic and the record's schema. */
struct format_ops {
	const char *schema; /* "complaint/1" */
	enum feed of;
	void (*decode)(struct decoder *d, struct json record, struct arena *a, struct report *out);
};
extern const struct format_ops *const ingest_formats[]; /* NULL-ended */

/* The citizen's own words of a report SMS, split (contracts: points 8; spellings of the short codes). Used by report-sms/1. */
enum sms_kind { SMS_REPORT, SMS_REGISTRY, SMS_NO_KEYWORD, SMS_NO_SENDER, SMS_TWO_SENDERS };
struct sms_parts {
	enum kind kind;
	struct slice sender_raw,
		content; /* content may be built in the arena; its ptr is NULL when that is full */
};
enum sms_kind sms_split(const struct plan *p, struct slice text, int64_t occurred_us,
	struct arena *a, struct sms_parts *out);

/* kafka.brokers, kafka.group, kafka.client_id, kafka.extra, kafka.topics.complaints, numbers.dir, numbers.own_carrier, source … */
extern const struct conf_table ingest_conf;

/* Where the records come from: what the configuration says, or the file that `khien broker` wrote. Keep it as long as `settings` is
 * used. */
#define KAFKA_EXTRAS 64
#define KAFKA_OWN 8
#define KAFKA_DEMO_TOPICS 16
struct kafka_source {
	struct kafka_settings settings; /* points into this struct and the configuration */
	char brokers[256];
	char source
		[64]; /* id of the cluster in the ledger; the demonstration broker has a new one at every start */
	bool demo; /* forgets everything, keeps about 5 MB a partition */
	struct {
		char name[64];
		int partitions;
	} topics[KAFKA_DEMO_TOPICS]; /* of the demonstration broker, as far as it said */
	size_t topic_count;
	char own[KAFKA_OWN][1024]; /* properties of kafka.security, kafka.tls and kafka.sasl */
	const char *extra[KAFKA_OWN + KAFKA_EXTRAS + 1];
};
/* RC_INVALID: no brokers are configured, or the broker's file is damaged. RC_RETRY: the broker's file is not there yet. */
MUST_USE enum rc kafka_source_of(const struct conf *c, struct kafka_source *out, struct err *e);
/* Writes that file, whole or not at all. */
MUST_USE enum rc kafka_source_write(const char *path, const struct kafka_source *s, struct err *e);

/* The Kafka key of a record: its normalised sender, else its report id, else nothing. What is no report has no key. */
struct key_maker;
struct key_maker *key_maker_new(const struct plan *p);
void key_maker_free(struct key_maker *k);
OWNER(key_maker_free, struct key_maker);
struct slice key_of(
	struct key_maker *k, struct slice record); /* ptr NULL: none; valid until the next call */

/* XARF v4 messaging/spam of a stored report, one JSON object, appended. Who reported it is left out; org is who we are. */
struct xarf_org {
	const char *org, *contact, *domain; /* contact: an e-mail address */
};
struct xarf_report {
	struct slice report_id, content; /* content may be empty */
	int64_t at;                      /* when it happened, else when it was received */
	enum kind kind;
	enum service service;
	struct sender sender; /* not SCOPE_NONE: XARF needs a source */
	double confidence;    /* 0 to 1; negative: left out */
};
void xarf_write(const struct xarf_org *org, const struct xarf_report *r, struct buf *out);

/* Report files onto a topic, for `khien send`; the file format is in docs/formats.md. */
struct send_progress {
	const char *file;
	uint64_t file_at, file_size; /* bytes; size 0: unknown (standard input) */
	uint64_t records, bytes;     /* acknowledged by the brokers, of all files of this run */
	uint64_t empty_lines,
		refused;  /* refused: lines that are no record, or larger than a broker takes */
	uint64_t resumed; /* records that an earlier run had sent */
	bool waiting;     /* the brokers are away */
};
struct send_options {
	const struct plan *plan; /* for the keys */
	const char *topic;       /* NULL: kafka.topics.complaints */
	const char *state_dir;   /* NULL: send.state_dir */
	bool from_start;         /* ignore the positions of earlier runs */
	uint64_t rate;           /* records a second; 0: as fast as it goes */
	const volatile int *stop;
	void (*progress)(
		void *arg, const struct send_progress *p); /* about every second, and at the end */
	void (*complain)(void *arg, const char *file, uint64_t line, const char *what);
	void *arg;
};
/* Sends the files in order ("-": standard input, which is not resumed). Every 5,000 records or each second it waits until all is
 * acknowledged and then writes the position, so that a run cut off goes on there; records may repeat, none is left out. RC_RETRY:
 * stopped, or records could not be delivered; run it again. RC_LIMIT: the demonstration broker would begin to forget. RC_INVALID: a file
 * cannot be read. */
MUST_USE enum rc send_files(const struct conf *c, const struct send_options *o, char *const *files,
	size_t n, struct send_progress *out, struct err *e);
