/* The report formats in one table, and the way of one record up to its format: size, text, JSON, schema. Also the steps that formats
 * share. Leaves out what a format means (complaint.c, report_sms.c) and what is a valid report (validity.c). */
#include "ingest/decoder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define STAMP_MAX_US (INT64_C(7258118400) * US_PER_S) /* 2200-01-01 */

const struct format_ops *const ingest_formats[] = {&format_complaint, &format_report_sms,
	&format_contacts, &format_activity, &format_poll_answers, &format_provisioning_results,
	&format_notice_results, &format_subscriptions, NULL};

struct decoder *decoder_new(const struct ingest_rules *rules)
{
	OWN(decoder_free) struct decoder *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->rules = rules;
	/* the longest JSON escape of a byte has six; two more for a MAC's framing would do */
	buf_init(&d->extra, (size_t)8 * BOUND_RECORD);
	buf_init(&d->scratch, (size_t)2 * BOUND_RECORD);
	d->json = json_parser_new();
	return d->json != NULL ? TAKE(d) : NULL;
}

void decoder_free(struct decoder *d)
{
	if (d == NULL)
		return;
	json_parser_free(d->json);
	buf_done(&d->extra);
	buf_done(&d->scratch);
	free(d);
}

struct slice decoder_keep(struct decoder *d, struct arena *a, struct slice s)
{
	struct slice copy = arena_copy(a, s);

	if (copy.ptr != NULL)
		return copy;
	d->full = true;
	return SLICE("");
}

/* A text that was cut inside a character loses the rest of it; control characters are kept out of logs and columns. */
static void tidy(char *text)
{
	size_t len = strlen(text);

	for (size_t cut = 0; cut < 3 && len > 0 && !slice_utf8_valid(slice_of(text, len)); cut++)
		len--;
	text[len] = '\0';
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = ' ';
	if (!slice_utf8_valid(slice_of(text, len)))
		for (size_t i = 0; i < len; i++)
			if ((unsigned char)text[i] >= 0x80)
				text[i] = '?';
}

bool quarantine(struct report *out, const char *reason, const char *fmt, ...)
{
	va_list ap;

	out->disposition = DISP_QUARANTINED;
	out->reason = reason;
	va_start(ap, fmt);
	(void)vsnprintf(out->detail, sizeof(out->detail), fmt, ap);
	va_end(ap);
	tidy(out->detail);
	return false;
}

static const char *kind_text(enum json_kind k)
{
	static const char *const names[] = {"nothing", "null", "a boolean", "a number", "a number",
		"a text", "a list", "an object"};

	return (size_t)k < ARRAY_LEN(names) ? names[k] : "?";
}

static bool printable_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e)
			return false;
	return true;
}

static bool report_id_good(struct json v)
{
	struct slice id = json_text(v);

	return v.kind == JSON_TEXT && id.len > 0 && id.len <= BOUND_REPORT_ID &&
		printable_ascii(id);
}

/* Sets report_id when it is readable, whatever else is wrong with the record: its reporter gets an answer. */
static void report_id_take(struct decoder *d, struct json v, struct arena *a, struct report *out)
{
	if (!report_id_good(v))
		return;
	out->report_id = decoder_keep(d, a, json_text(v));
	identity_of_id(d, out);
}

void extra_add(struct decoder *d, struct slice key, struct json value)
{
	buf_byte(&d->extra, d->extra.len == 0 ? '{' : ',');
	buf_json(&d->extra, key);
	buf_byte(&d->extra, ':');
	json_write(value, &d->extra);
}

void extra_keep(struct decoder *d, struct slice key, struct slice value)
{
	buf_byte(&d->extra, d->extra.len == 0 ? '{' : ',');
	buf_add(&d->extra, key);
	buf_byte(&d->extra, ':');
	buf_add(&d->extra, value);
}

struct slice text_or_extra(struct decoder *d, struct arena *a, const char *key, struct json v)
{
	struct slice text = json_text(v);

	if (text.len == 0)
		return SLICE("");
	if (text.len <= BOUND_WORD && memchr(text.ptr, '\0', text.len) == NULL)
		return decoder_keep(d, a, text);
	extra_add(d, slice_str(key), v);
	return SLICE("");
}

void extra_close(struct decoder *d, struct arena *a, struct report *out)
{
	out->extra = SLICE("");
	if (d->extra.len == 0)
		return;
	buf_byte(&d->extra, '}');
	if (d->extra.failed)
		d->full = true; /* out of memory: 8 times a record is room for any */
	else
		out->extra = decoder_keep(d, a, buf_slice(&d->extra));
}

static size_t field_find(const struct field *fields, size_t n, struct slice key)
{
	size_t i = 0;

	while (i < n && (fields[i].len != key.len || memcmp(fields[i].name, key.ptr, key.len) != 0))
		i++;
	return i;
}

static void sort(struct decoder *d, struct json record, const struct field *fields, size_t n,
	struct json *values)
{
	struct json_iter it = json_iter(record);
	struct json_raw raw = json_raw(d->text);
	struct slice key, raw_key, raw_value;
	struct json value;

	memset(values, 0, n * sizeof(*values));
	buf_clear(&d->extra);
	d->inner = SLICE("");
	while (json_next(&it, &key, &value) && json_raw_next(&raw, &raw_key, &raw_value)) {
		size_t i = field_find(fields, n, key);

		if (i == n)
			extra_keep(d, raw_key, raw_value);
		else if (value.kind != JSON_NULL || fields[i].required)
			values[i] = value;
		if (i < n && value.kind == JSON_MAP)
			d->inner = raw_value;
	}
}

bool fields_sort(struct decoder *d, struct json record, const struct field *fields, size_t n,
	struct json *values, struct arena *a, struct report *out)
{
	sort(d, record, fields, n, values);
	report_id_take(d, values[1], a, out);
	return fields_check(fields, n, values, "", out);
}

bool members_sort(struct decoder *d, struct json record, const struct field *fields, size_t n,
	struct json *values, struct report *out)
{
	sort(d, record, fields, n, values);
	return fields_check(fields, n, values, "", out);
}

bool fields_check(const struct field *fields, size_t n, const struct json *values, const char *of,
	struct report *out)
{
	for (size_t i = 0; i < n; i++) {
		enum json_kind kind = values[i].kind;

		if (kind == JSON_NONE && fields[i].required)
			return quarantine(
				out, "missing_field", "field %s%s is missing", of, fields[i].name);
		if (kind != JSON_NONE && fields[i].kind != JSON_NONE && kind != fields[i].kind)
			return quarantine(out, "wrong_type", "field %s%s is %s, not %s", of,
				fields[i].name, kind_text(kind), kind_text(fields[i].kind));
	}
	return true;
}

bool report_id_field(struct json v, struct report *out)
{
	if (!report_id_good(v))
		return quarantine(out, "bad_report_id",
			"field report_id is not 1 to %d printable ASCII characters",
			BOUND_REPORT_ID);
	return true;
}

bool time_field(struct json v, const char *field, int64_t *out_us, struct report *out)
{
	if (v.kind != JSON_TEXT || time_parse(json_text(v), out_us) != RC_OK)
		return quarantine(out, "bad_time",
			"field %s is no RFC 3339 time of 1990 to 2199 "
			"with a possible date",
			field);
	return true;
}

bool not_in_future(struct report *out)
{
	int64_t ahead;

	if (out->stamped_at == TIME_NONE)
		return true;
	ahead = out->received_at - out->stamped_at; /* both of the years 1970 to 2199 */
	if (ahead > BOUND_FUTURE_S * US_PER_S)
		return quarantine(out, "received_in_future",
			"field received_at is %lld h after the record's timestamp",
			(long long)(ahead / US_PER_HOUR));
	return true;
}

bool reporter_field(const struct decoder *d, struct json v, const char *field, struct report *out)
{
	if (!msisdn_parse(d->rules->plan, json_text(v), &out->reporter))
		return quarantine(out, "bad_reporter", "field %s is no subscriber number", field);
	identity_of_reporter(d, out);
	return true;
}

static const struct format_ops *format_find(struct json schema, enum feed of)
{
	if (schema.kind == JSON_TEXT)
		for (const struct format_ops *const *f = ingest_formats; *f != NULL; f++)
			if ((*f)->of == of && slice_eq(json_text(schema), slice_str((*f)->schema)))
				return *f;
	return NULL;
}

/* Checks 1 to 5. RC_RETRY: no memory to parse with. */
static enum rc open_record(struct decoder *d, enum feed of, struct arena *a, struct report *out)
{
	const struct format_ops *format;
	struct json record;
	struct err e;
	enum rc rc;

	if (out->bytes.ptr == NULL)
		return (void)quarantine(out, "tombstone", "the record has no value"), RC_OK;
	if (out->bytes.len > BOUND_RECORD)
		return (void)quarantine(out, "too_large", "the record has %zu bytes, more than %d",
			       out->bytes.len, BOUND_RECORD),
		       RC_OK;
	e.text[0] = '\0';
	rc = json_parse(d->json, out->bytes, &record, &e);
	if (rc != RC_OK && rc != RC_INVALID)
		return rc;
	if (rc != RC_OK && !slice_utf8_valid(out->bytes))
		return (void)quarantine(out, "not_utf8", "the record is not UTF-8"), RC_OK;
	if (rc != RC_OK)
		return (void)quarantine(out, "not_json", "%s", e.text), RC_OK;
	if (json_widened(record)) /* it could not be kept as it is */
		return (void)quarantine(out, "not_json", "an integer beyond 64 bits"), RC_OK;
	if (record.kind != JSON_MAP)
		return (void)quarantine(out, "not_json", "the record is %s, not an object",
			       kind_text(record.kind)),
		       RC_OK;
	format = format_find(json_get(record, "schema"), of);
	if (format == NULL) {
		if (of == FEED_COMPLAINTS)
			report_id_take(d, json_get(record, "report_id"), a, out);
		return (void)quarantine(out, "unknown_schema",
			       "field schema is none of the topic %s", feed_name(of)),
		       RC_OK;
	}
	format->decode(d, record, a, out);
	return RC_OK;
}

enum rc decode(struct decoder *d, enum feed of, const struct kafka_record *r, struct arena *a,
	struct report *out)
{
	memset(out, 0, sizeof(*out));
	out->topic = r->topic;
	out->partition = r->partition;
	out->offset = r->offset;
	out->bytes = d->text = r->value;
	/* a broker's clock that stands before 1970 or after 2199 is none */
	out->stamped_at =
		r->timestamp_us > 0 && r->timestamp_us < STAMP_MAX_US ? r->timestamp_us : TIME_NONE;
	out->disposition = DISP_QUARANTINED;
	out->occurred_at = TIME_NONE;
	out->duration_s = -1;
	d->full = false;
	if (open_record(d, of, a, out) != RC_OK || d->full)
		return RC_LIMIT;
	return RC_OK;
}
