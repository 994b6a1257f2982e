/* Private to ingest: a decoder's scratch and the steps that every report format shares. */
#pragma once

#include "ingest/ingest.h"

struct decoder {
	const struct ingest_rules *rules;
	struct json_parser *json;
	struct buf extra;   /* what the format does not know, as the inside of a JSON object */
	struct slice text;  /* of the record, which was parsed */
	struct slice inner; /* its known member that is an object, as it was written */
	struct buf scratch; /* the normalised fields */
	bool full;          /* an arena allocation failed: the record is to be read again */
};

/* A copy in the arena; on failure the empty slice and d->full. */
struct slice decoder_keep(struct decoder *d, struct arena *a, struct slice s);

/* Ends the record as quarantined. `reason` is static; the cause is cut to fit at a character border. Always false. */
bool quarantine(struct report *out, const char *reason, const char *fmt, ...) PRINTF(3, 4);

/* One field that a format knows. JSON_NONE as kind: any, the format looks itself. */
struct field {
	const char *name;
	size_t len;
	enum json_kind kind;
	bool required;
};
#define FIELD(text, json, need)                                                             \
	{                                                                                   \
		.name = (text), .len = sizeof(text) - 1, .kind = (json), .required = (need) \
	}

/* Sorts the record's members: known ones into `values` (JSON_NONE when absent, an optional one also when null), the others into
 * d->extra. Sets report_id when it is readable, then makes check 6. False: quarantined. fields[0] is "schema", fields[1]
 * "report_id". */
bool fields_sort(struct decoder *d, struct json record, const struct field *fields, size_t n,
	struct json *values, struct arena *a, struct report *out);
/* The same of a record that is no report: no report id is looked for. */
bool members_sort(struct decoder *d, struct json record, const struct field *fields, size_t n,
	struct json *values, struct report *out);
/* Check 6 of values that are sorted; `of` stands before a field's name ("contact."). False: quarantined. */
bool fields_check(const struct field *fields, size_t n, const struct json *values, const char *of,
	struct report *out);
/* Check 7. False: quarantined. */
bool report_id_field(struct json v, struct report *out);
/* Appends a member to d->extra as it was written, both with their quotes. */
void extra_keep(struct decoder *d, struct slice key, struct slice value);
/* Appends "key":value to d->extra. */
void extra_add(struct decoder *d, struct slice key, struct json value);
/* The optional word `v` in the arena. One that holds NUL or is longer than BOUND_WORD goes to d->extra unchanged instead: no column could hold
 * it, or it is no word. */
struct slice text_or_extra(struct decoder *d, struct arena *a, const char *key, struct json v);
/* Closes d->extra into out->extra. */
void extra_close(struct decoder *d, struct arena *a, struct report *out);

/* Check 9 of one time; `field` names it. False: quarantined. */
bool time_field(struct json v, const char *field, int64_t *out_us, struct report *out);
/* Check 9a: received_at against the record's own timestamp, never against now. False: quarantined. */
bool not_in_future(struct report *out);
/* Check 10. False: quarantined. */
bool reporter_field(const struct decoder *d, struct json v, const char *field, struct report *out);

/* The record is a fact of this kind, understood and accepted; the caller fills the rest. NULL: d->full. */
struct fact *fact_new(struct decoder *d, struct arena *a, enum feed of, struct report *out);

/* contact.c: the facts of one contact, in a report's `contact` or by themselves. */
enum {
	CONTACT_SERVICE,
	CONTACT_MATCHED,
	CONTACT_ORIGIN,
	CONTACT_DURATION,
	CONTACT_MESSAGE_ID,
	CONTACT_PARTS
};
extern const struct field contact_parts[CONTACT_PARTS];
struct contact_words {
	enum service service;
	bool has_service;
	enum matched matched;
	enum origin origin;
	int32_t duration_s; /* -1: absent */
};
/* The contact part of check 8; `of` stands before a field's name. False: quarantined. */
bool contact_field(const struct json values[CONTACT_PARTS], const char *of, struct contact_words *c,
	struct report *out);

/* validity.c: checks 13, 14 and 17 to 20 of a report whose fields are set (sender_raw, content, times, contact), and its weight. */
void judge(struct decoder *d, struct report *out);

/* identity.c: the report's MACs, of what is set. */
void identity_of_id(const struct decoder *d, struct report *out);
void identity_of_reporter(const struct decoder *d, struct report *out);
void identity_of_body(struct decoder *d, struct report *out);

extern const struct format_ops format_complaint, format_report_sms, format_contacts,
	format_activity, format_poll_answers, format_provisioning_results, format_notice_results,
	format_subscriptions;
