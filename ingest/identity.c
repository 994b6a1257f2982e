/* What makes two records the same report: keyed MACs of the report id, of the reporter and of the normalised fields. The bytes under
 * the body's MAC are the fields in this order, each ended by one NUL byte (no field can hold one):
 *
 *	of a report:    kind, channel, occurred_at in decimal microseconds (empty when absent), reporter (E.164 digits), scope of
 *	                the sender ("number", "short", "name"; "none": withheld; "old": an old number), its value (the mapped
 *	                number of an old one), then the content without a NUL after it
 *	of a routed one: "registry", channel, reporter, then the text without a NUL after it
 *
 * The forms cannot be confused: the first field is S, V, LD or registry. Leaves out the keys themselves (base/crypto.h). */
#include "ingest/decoder.h"

static void field(struct buf *b, const char *text)
{
	buf_add(b, slice_str(text));
	buf_byte(b, '\0');
}

void identity_of_id(const struct decoder *d, struct report *out)
{
	keys_mac(d->rules->keys, "report_id", out->report_id, out->id_hash);
}

void identity_of_reporter(const struct decoder *d, struct report *out)
{
	keys_mac(d->rules->keys, "reporter", slice_str(out->reporter.value), out->reporter_mac);
}

static void of_report(struct buf *b, const struct report *r)
{
	const struct sender *s = r->sender.scope != SCOPE_NONE ? &r->sender : &r->sender_hint;

	field(b, kind_name(r->kind));
	field(b, channel_name(r->channel));
	if (r->occurred_at != TIME_NONE)
		buf_fmt(b, "%lld", (long long)r->occurred_at);
	buf_byte(b, '\0');
	field(b, r->reporter.value);
	field(b,
		r->sender.scope == SCOPE_NONE && s->scope != SCOPE_NONE
			? "old"
			: scope_name(r->sender.scope));
	field(b, s->value);
	buf_add(b, r->content);
}

void identity_of_body(struct decoder *d, struct report *out)
{
	struct buf *b = &d->scratch;

	buf_clear(b);
	if (out->disposition == DISP_ROUTED) {
		field(b, "registry");
		field(b, channel_name(out->channel));
		field(b, out->reporter.value);
		buf_add(b, out->registry_text);
	} else {
		of_report(b, out);
	}
	if (b->failed)
		d->full = true;
	else
		keys_mac(d->rules->keys, "body", buf_slice(b), out->body_mac);
}
