/* The smaller formats beside the reports: what a sender did on the network, what people answered, what became of requests, and whose a
 * number is now. Each is understood strictly or quarantined; nothing here decides anything. Leaves out contacts (contact.c). */
#include "ingest/decoder.h"

struct fact *fact_new(struct decoder *d, struct arena *a, enum feed of, struct report *out)
{
	struct fact *f = arena_alloc(a, sizeof(*f));

	if (f == NULL || d->full) {
		d->full = true;
		return NULL;
	}
	f->of = of;
	out->fact = f;
	out->disposition = DISP_ACCEPTED;
	out->reason = "noted";
	return f;
}

/* ---- fields that several of them have ---- */

static bool id_field(struct decoder *d, struct json v, const char *name, struct arena *a,
	struct slice *id, struct report *out)
{
	struct slice text = json_text(v);
	bool good = text.len > 0 && text.len <= BOUND_REPORT_ID;

	for (size_t i = 0; good && i < text.len; i++)
		good = text.ptr[i] >= 0x21 && text.ptr[i] <= 0x7e;
	if (!good)
		return quarantine(out, "bad_id",
			"field %s is not 1 to %d printable ASCII characters", name,
			BOUND_REPORT_ID);
	*id = decoder_keep(d, a, text);
	return true;
}

static bool sender_field(
	struct decoder *d, struct json v, int64_t at, struct sender *s, struct report *out)
{
	const char *why = "withheld, or an old number";
	enum sender_found found = sender_parse(d->rules->plan, json_text(v), at, s, &why);

	if (found != SENDER_OK)
		return quarantine(out, "bad_sender", "field sender: %s", why);
	return true;
}

/* A time that is past when the record is written. */
static bool past_field(struct json v, const char *name, int64_t *at, struct report *out)
{
	if (!time_field(v, name, at, out))
		return false;
	if (out->stamped_at != TIME_NONE && *at - out->stamped_at > BOUND_FUTURE_S * US_PER_S)
		return quarantine(
			out, "bad_time", "field %s is after the record's timestamp", name);
	return true;
}

static bool count_field(struct json v, const char *name, int64_t *n, struct report *out)
{
	*n = json_int(v);
	if (*n < 0 || *n > UINT32_MAX)
		return quarantine(
			out, "bad_count", "field %s is not a number of 0 to 4294967295", name);
	return true;
}

static bool word_field(struct json v, const char *name, const char *const *words, size_t n,
	const char **word, struct report *out)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(json_text(v), slice_str(words[i]))) {
			*word = words[i];
			return true;
		}
	return quarantine(out, "bad_status", "field %s is none of the words allowed", name);
}

/* ---- activity/1 ---- */

enum { A_SCHEMA, A_SENDER, A_FROM, A_TO, A_COUNTS, A_FIELDS = A_COUNTS + ACTIVITY_COUNTS };
#define ACTIVITY_SPAN_US (INT64_C(31) * US_PER_DAY)

static void decode_activity(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	static const struct field fields[A_FIELDS] = {
		FIELD("schema", JSON_TEXT, true),
		FIELD("sender", JSON_TEXT, true),
		FIELD("from", JSON_TEXT, true),
		FIELD("to", JSON_TEXT, true),
		[A_COUNTS + ACT_SMS_OUT] = FIELD("sms_out", JSON_INT, false),
		[A_COUNTS + ACT_CALLS_OUT] = FIELD("calls_out", JSON_INT, false),
		[A_COUNTS + ACT_SMS_IN] = FIELD("sms_in", JSON_INT, false),
		[A_COUNTS + ACT_CALLS_IN] = FIELD("calls_in", JSON_INT, false),
		[A_COUNTS + ACT_NEW_CONTACTS] = FIELD("new_contacts", JSON_INT, false),
		[A_COUNTS + ACT_SHORT_CALLS] = FIELD("short_calls", JSON_INT, false),
		[A_COUNTS + ACT_SHORT_GAPS] = FIELD("short_gaps", JSON_INT, false),
		[A_COUNTS + ACT_DISTINCT_PEERS] = FIELD("distinct_peers", JSON_INT, false),
	};
	struct fact_activity act = {0};
	struct json v[A_FIELDS];
	struct fact *f;

	if (!members_sort(d, record, fields, A_FIELDS, v, out) ||
		!time_field(v[A_FROM], "from", &act.from, out) ||
		!past_field(v[A_TO], "to", &act.to, out))
		return;
	if (act.to <= act.from || act.to - act.from > ACTIVITY_SPAN_US) {
		quarantine(out, "bad_span", "to is not within 31 days after from");
		return;
	}
	if (!sender_field(d, v[A_SENDER], act.from, &act.sender, out))
		return;
	for (size_t i = 0; i < ACTIVITY_COUNTS; i++)
		if (!count_field(v[A_COUNTS + i], fields[A_COUNTS + i].name, &act.counts[i], out))
			return;
	f = fact_new(d, a, FEED_ACTIVITY, out);
	if (f != NULL)
		f->activity = act;
}

const struct format_ops format_activity = {
	.schema = "activity/1", .of = FEED_ACTIVITY, .decode = decode_activity};

/* ---- poll-answers/1 ---- */

static void decode_poll(struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	enum { SCHEMA, POLL_ID, SENDER, YES, NO, SILENT, FIELDS };
	static const struct field fields[FIELDS] = {
		[SCHEMA] = FIELD("schema", JSON_TEXT, true),
		[POLL_ID] = FIELD("poll_id", JSON_TEXT, true),
		[SENDER] = FIELD("sender", JSON_TEXT, true),
		[YES] = FIELD("yes", JSON_INT, true),
		[NO] = FIELD("no", JSON_INT, true),
		[SILENT] = FIELD("silent", JSON_INT, true),
	};
	struct fact_poll poll = {0};
	struct json v[FIELDS];
	struct fact *f;

	if (!members_sort(d, record, fields, FIELDS, v, out) ||
		!id_field(d, v[POLL_ID], "poll_id", a, &poll.poll_id, out) ||
		!sender_field(d, v[SENDER], TIME_NONE, &poll.sender, out) ||
		!count_field(v[YES], "yes", &poll.yes, out) ||
		!count_field(v[NO], "no", &poll.no, out) ||
		!count_field(v[SILENT], "silent", &poll.silent, out))
		return;
	f = fact_new(d, a, FEED_POLL_ANSWERS, out);
	if (f != NULL)
		f->poll = poll;
}

const struct format_ops format_poll_answers = {
	.schema = "poll-answers/1", .of = FEED_POLL_ANSWERS, .decode = decode_poll};

/* ---- provisioning-results/1, notice-results/1 ---- */

static void decode_provisioning(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	enum { SCHEMA, REQUEST_ID, STATUS, AT, FIELDS };
	static const struct field fields[FIELDS] = {
		[SCHEMA] = FIELD("schema", JSON_TEXT, true),
		[REQUEST_ID] = FIELD("request_id", JSON_TEXT, true),
		[STATUS] = FIELD("status", JSON_TEXT, true),
		[AT] = FIELD("at", JSON_TEXT, true),
	};
	static const char *const words[] = {"done", "failed", "not_ours"};
	struct fact_result result = {0};
	struct json v[FIELDS];
	struct fact *f;

	if (!members_sort(d, record, fields, FIELDS, v, out) ||
		!id_field(d, v[REQUEST_ID], "request_id", a, &result.request_id, out) ||
		!word_field(v[STATUS], "status", words, ARRAY_LEN(words), &result.status, out) ||
		!past_field(v[AT], "at", &result.at, out))
		return;
	f = fact_new(d, a, FEED_PROVISIONING_RESULTS, out);
	if (f != NULL)
		f->result = result;
}

static void decode_notice(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	enum { SCHEMA, REQUEST_ID, DELIVERED, AT, FIELDS };
	static const struct field fields[FIELDS] = {
		[SCHEMA] = FIELD("schema", JSON_TEXT, true),
		[REQUEST_ID] = FIELD("request_id", JSON_TEXT, true),
		[DELIVERED] = FIELD("delivered", JSON_BOOL, true),
		[AT] = FIELD("at", JSON_TEXT, true),
	};
	struct fact_result result = {0};
	struct json v[FIELDS];
	struct fact *f;

	if (!members_sort(d, record, fields, FIELDS, v, out) ||
		!id_field(d, v[REQUEST_ID], "request_id", a, &result.request_id, out) ||
		!past_field(v[AT], "at", &result.at, out))
		return;
	result.status = json_bool(v[DELIVERED]) ? "delivered" : "undelivered";
	f = fact_new(d, a, FEED_NOTICE_RESULTS, out);
	if (f != NULL)
		f->result = result;
}

const struct format_ops format_provisioning_results = {.schema = "provisioning-results/1",
	.of = FEED_PROVISIONING_RESULTS,
	.decode = decode_provisioning};
const struct format_ops format_notice_results = {
	.schema = "notice-results/1", .of = FEED_NOTICE_RESULTS, .decode = decode_notice};

/* ---- subscriptions/1 ---- */

static void decode_subscription(
	struct decoder *d, struct json record, struct arena *a, struct report *out)
{
	enum { SCHEMA, MSISDN, EVENT, CARRIER, AT, FIELDS };
	static const struct field fields[FIELDS] = {
		[SCHEMA] = FIELD("schema", JSON_TEXT, true),
		[MSISDN] = FIELD("msisdn", JSON_TEXT, true),
		[EVENT] = FIELD("event", JSON_TEXT, true),
		[CARRIER] = FIELD("carrier", JSON_TEXT, false),
		[AT] = FIELD("at", JSON_TEXT, true),
	};
	static const char *const words[] = {"reassigned", "ported_in", "ported_out", "terminated"};
	struct fact_subscription sub = {.carrier = SLICE("")};
	struct json v[FIELDS];
	struct fact *f;

	if (!members_sort(d, record, fields, FIELDS, v, out))
		return;
	if (!msisdn_parse(d->rules->plan, json_text(v[MSISDN]), &sub.number)) {
		quarantine(out, "bad_number", "field msisdn is no subscriber number");
		return;
	}
	if (!word_field(v[EVENT], "event", words, ARRAY_LEN(words), &sub.event, out))
		return;
	if (v[CARRIER].kind == JSON_TEXT) {
		struct slice c = json_text(v[CARRIER]);

		if (c.len > 63 || (c.len > 0 && memchr(c.ptr, '\0', c.len) != NULL)) {
			quarantine(out, "bad_carrier", "field carrier is no carrier's name");
			return;
		}
		sub.carrier = decoder_keep(d, a, c);
	}
	if (!past_field(v[AT], "at", &sub.at, out))
		return;
	/* A clock that runs ahead must not take away the votes of the day to come. */
	if (out->stamped_at != TIME_NONE && sub.at > out->stamped_at)
		sub.at = out->stamped_at;
	f = fact_new(d, a, FEED_SUBSCRIPTIONS, out);
	if (f != NULL)
		f->subscription = sub;
}

const struct format_ops format_subscriptions = {
	.schema = "subscriptions/1", .of = FEED_SUBSCRIPTIONS, .decode = decode_subscription};
