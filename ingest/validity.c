/* What a report that was understood is worth: content and sender checked, the rejections, and the weight before the reporter's trust
 * (docs/judgement.md, checks 13 to 20 and section 3). Leaves out duplicates, which only the ledger can see. */
#include "ingest/decoder.h"
#include "ingest/sms.h"

/* A sender that was understood is short: a long text is blanks and marks around it, of which no more is kept than a column should hold. */
static struct slice without_padding(struct slice s)
{
	if (s.len <= BOUND_SENDER_RAW)
		return s;
	s = sms_skip_blanks(s);
	if (s.len > BOUND_SENDER_RAW)
		s.len = BOUND_SENDER_RAW;
	while (!slice_utf8_valid(s)) /* it was, before the cut: three steps at most */
		s.len--;
	return s;
}

/* Check 13 and 14. False: quarantined. */
static bool content_and_sender(const struct decoder *d, struct report *out)
{
	const char *why = "not understood";
	int64_t when = out->occurred_at != TIME_NONE ? out->occurred_at : out->received_at;
	struct sender found = {.scope = SCOPE_NONE};

	if (out->content.len > BOUND_RECORD)
		return quarantine(
			out, "bad_content", "the content has %zu bytes", out->content.len);
	if (out->content.len > 0 && memchr(out->content.ptr, '\0', out->content.len) != NULL)
		return quarantine(out, "bad_content", "the content holds a NUL character");
	/* "an\0danh" reads as withheld, but no column could hold it */
	if (out->sender_raw.len > 0 &&
		memchr(out->sender_raw.ptr, '\0', out->sender_raw.len) != NULL)
		return quarantine(out, "bad_sender", "the sender holds a NUL character");
	switch (sender_parse(d->rules->plan, out->sender_raw, when, &found, &why)) {
	case SENDER_OK:
		out->sender = found;
		break;
	case SENDER_OLD:
		out->sender_hint = found;
		break;
	case SENDER_WITHHELD:
		break;
	case SENDER_INVALID:
		return quarantine(out, "bad_sender", "the sender: %s", why);
	}
	out->sender_raw = without_padding(out->sender_raw);
	return true;
}

/* Checks 17 to 19: the reason, or NULL. */
static const char *rejection(const struct plan *plan, const struct report *r)
{
	if (r->sender.scope == SCOPE_NONE)
		return NULL;
	if (r->sender.scope == SCOPE_NUMBER && strcmp(r->sender.value, r->reporter.value) == 0)
		return "self_report";
	switch (sender_class(plan, &r->sender)) {
	case NUM_EMERGENCY:
		return "emergency_number";
	case NUM_OWN_SERVICE:
		return "own_service_number";
	default:
		return NULL;
	}
}

static const char *acceptance(struct report *r, int64_t late_after_s)
{
	const char *by_contact = contact_reason(r->matched, r->origin, &r->sender, &r->spoofed);

	if (r->sender_hint.scope != SCOPE_NONE)
		return "old_number";
	if (r->sender.scope == SCOPE_NONE)
		return "withheld";
	/* times are of the years 1990 to 2199: no overflow */
	if (r->occurred_at != TIME_NONE &&
		r->received_at - r->occurred_at > late_after_s * US_PER_S)
		return "late";
	return by_contact;
}

void judge(struct decoder *d, struct report *out)
{
	if (!content_and_sender(d, out))
		return;
	out->content_cut = out->content.len > BOUND_CONTENT;
	out->attribution = ATTR_UNATTRIBUTED;
	if (out->sender.scope != SCOPE_NONE) {
		const char *carrier;
		bool by_table;

		out->attribution =
			sender_attribution(d->rules->plan, &out->sender, &carrier, &by_table);
	}
	out->disposition = DISP_REJECTED;
	out->reason = rejection(d->rules->plan, out);
	if (out->reason == NULL) {
		out->disposition = DISP_ACCEPTED;
		out->reason = acceptance(out, d->rules->late_after_s);
		out->counts = strcmp(out->reason, "counted") == 0;
	}
	identity_of_body(d, out);
}
