/* A verdict as JSON, for people and programs. */
#include "classifier/classifier.h"

static void write_terms(const struct term *term, size_t n, bool explain, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct term *t = &term[i];

		buf_fmt(out, "%s{\"name\":\"%s\",\"weight\":%.9g,\"match\":", i > 0 ? "," : "",
			t->name, t->weight);
		buf_json(out, t->match);
		if (explain)
			buf_fmt(out, ",\"class\":\"%s\",\"at\":%u", label_name(t->label),
				(unsigned)t->raw_at);
		buf_byte(out, '}');
	}
}

static void write_evidence(const struct evidence *e, struct buf *out)
{
	buf_fmt(out, "{\"kind\":\"%s\",\"value\":", evidence_name(e->kind));
	buf_json(out, e->value);
	buf_fmt(out, ",\"at\":%u,\"len\":%u", (unsigned)e->raw_at, (unsigned)e->raw_len);
	if (e->flags != 0) {
		buf_fmt(out, ",\"flags\":[");
		for (size_t i = 0; evidence_flag(e->flags, i) != NULL; i++)
			buf_fmt(out, "%s\"%s\"", i > 0 ? "," : "", evidence_flag(e->flags, i));
		buf_byte(out, ']');
	}
	buf_byte(out, '}');
}

static void write_explanation(const struct verdict *v, struct buf *out)
{
	buf_fmt(out, ",\"cut\":%s,\"undecided\":%s,\"folded\":", v->cut ? "true" : "false",
		v->undecided ? "true" : "false");
	buf_json(out, v->folded.text);
	buf_fmt(out, ",\"evidence\":[");
	for (size_t i = 0; i < v->evidences; i++) {
		if (i > 0)
			buf_byte(out, ',');
		write_evidence(&v->evidence[i], out);
	}
	buf_fmt(out, "],\"bands\":[");
	for (size_t i = 0; i < v->sketch.bands; i++)
		buf_fmt(out, "%s\"%016llx\"", i > 0 ? "," : "",
			(unsigned long long)v->sketch.band[i]);
	buf_byte(out, ']');
}

void verdict_write(const struct verdict *v, bool explain, struct buf *out)
{
	buf_fmt(out, v->label == LABEL_NONE ? "\"label\":null" : "\"label\":\"%s\"",
		label_name(v->label));
	buf_fmt(out, ",\"score\":%.9g,\"terms\":[", v->score);
	write_terms(v->term, v->terms, explain, out);
	if (v->undecided)
		buf_fmt(out, "%s{\"name\":\"UNDECIDED\",\"weight\":0,\"match\":\"\"}",
			v->terms > 0 ? "," : "");
	buf_fmt(out, "]");
	if (v->shadows > 0) {
		buf_fmt(out, ",\"shadow\":[");
		write_terms(v->shadow, v->shadows, explain, out);
		buf_byte(out, ']');
	}
	buf_fmt(out, ",\"fingerprint\":\"%016llx\"", (unsigned long long)v->fingerprint);
	if (explain)
		write_explanation(v, out);
}
