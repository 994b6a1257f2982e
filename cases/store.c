/* The rest of what a batch leaves behind: reports by binary COPY, quarantined records, messages out, what is known of senders, the
 * partitions' counters, and the audit row. */
#include "cases/ledger.h"

enum { ACCEPTED, REJECTED, DUPLICATES, ROUTED, QUARANTINED, COUNTERS };
_Static_assert(COUNTERS == DISPOSITIONS && (int)QUARANTINED == (int)DISP_QUARANTINED,
	"counters are in the order of enum disposition");

static enum rc full(struct err *e)
{
	return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
}

/* ---- reports ---- */

static bool is_stored(const struct filing *f)
{
	return f->fact == NULL &&
		(f->disposition == DISP_ACCEPTED || f->disposition == DISP_REJECTED ||
			f->disposition == DISP_ROUTED);
}

static struct slice text_or_empty(struct slice s)
{
	return s.ptr != NULL ? s : SLICE("");
}

static void copy_case(
	struct pg *c, const struct work *w, const struct filing *f, const struct filed *x)
{
	const struct kase *k;

	if (f->disposition != DISP_ACCEPTED) {
		pg_copy_null(c);
		return;
	}
	if (x->touched == NOBODY) {
		pg_copy_text(c, slice_str(w->shared[f->service][f->cls].id));
		return;
	}
	k = case_of(w, x->touched, f->cls);
	assert(k != NULL);
	pg_copy_text(c, slice_str(k->id));
}

static void copy_report(struct pg *c, const struct ledger_settings *s, const struct work *w,
	const struct ledger_batch *b, size_t i, int32_t month, int64_t now_us)
{
	const struct filing *f = &b->filings[i];
	const struct filed *x = &w->filed[i];
	bool routed = f->disposition == DISP_ROUTED;
	/* Who reported himself is not repeated in clear. */
	bool self = !routed && f->sender.scope != SCOPE_NONE && x->party == NOBODY;

	pg_copy_row(c);
	pg_copy_date(c, month);
	pg_copy_text(c, slice_of((const char *)f->id_hash, MAC_LEN));
	pg_copy_text(c, f->report_id);
	pg_copy_int2(c, (int16_t)f->disposition);
	pg_copy_text(c, slice_str(f->reason));
	pg_copy_int4(c, b->parts[f->part].part->part);
	pg_copy_int8(c, f->offset);
	pg_copy_int2(c, (int16_t)f->channel);
	pg_copy_int2(c, (int16_t)f->kind);
	pg_copy_int2(c, (int16_t)f->service);
	pg_copy_int2(c, (int16_t)f->cls);
	pg_copy_time(c, f->received_at);
	pg_copy_time(c, routed ? TIME_NONE : f->occurred_at);
	pg_copy_time(c, now_us);
	pg_copy_int8(c, w->people[x->person].id);
	pg_copy_bool(c, f->verified);
	pg_copy_int8(c, x->party != NOBODY ? w->parties[x->party].id : 0);
	pg_copy_text(c, self ? SLICE("") : text_or_empty(f->sender_raw));
	pg_copy_text(c, text_or_empty(f->hint));
	copy_case(c, w, f, x);
	pg_copy_real4(c, x->weight);
	pg_copy_bool(c, x->merged);
	pg_copy_int2(c, (int16_t)f->matched);
	pg_copy_int2(c, (int16_t)f->origin);
	if (routed || f->duration_s < 0)
		pg_copy_null(c);
	else
		pg_copy_int4(c, f->duration_s);
	pg_copy_int2(c, (int16_t)f->label);
	pg_copy_real4(c, f->text_score);
	pg_copy_text(c, f->terms.len > 0 ? f->terms : SLICE("[]"));
	pg_copy_int8(c, (int64_t)f->fingerprint);
	pg_copy_text(c, slice_str(s->rules_version));
	pg_copy_text(c, text_or_empty(f->category));
	pg_copy_text(c, text_or_empty(routed ? f->registry_text : f->content));
	pg_copy_text(c, text_or_empty(f->extra));
}

enum rc reports_copy(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct ledger_batch *b, int64_t now_us, struct err *e)
{
	static const char sql[] =
		"COPY report (stored_month, id_hash, report_id, disposition, reason, topic_part, "
		"\"offset\","
		" channel, kind, service, class, received_at, occurred_at, stored_at, reporter, "
		"verified,"
		" sender, sender_raw, hint, case_id, weight, merged, matched, origin, duration_s, "
		"label, "
		"text_score,"
		" terms, fingerprint, rules, category, content, extra) FROM STDIN (FORMAT binary)";
	int32_t month = time_month(now_us);
	bool any = false;

	for (size_t i = 0; i < b->n; i++)
		any = any || is_stored(&b->filings[i]);
	if (!any)
		return RC_OK;
	enum rc rc = pg_copy_begin(l->pg, sql, 33, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < b->n; i++)
		if (is_stored(&b->filings[i]))
			copy_report(l->pg, s, w, b, i, month, now_us);
	return pg_copy_end(l->pg, NULL, e);
}

/* ---- quarantine ---- */

/* The engine puts the cause of a record that the database refused as "SQLSTATE 22021: …". */
static struct slice state_of(const char *detail)
{
	struct slice s = slice_str(detail);

	if (!slice_starts(s, SLICE("SQLSTATE ")) || s.len < 14)
		return SLICE("");
	return slice_of(s.ptr + 9, 5);
}

/* The bytes are bound to their place, so that rows cannot be exchanged. */
static enum rc seal_record(const struct ledger_settings *s, const struct part *p,
	const struct filing *f, struct arena *a, struct slice *out, struct err *e)
{
	struct slice bytes = f->bytes;

	if (bytes.len > BOUND_QUARANTINE_KEEP)
		bytes.len = BOUND_QUARANTINE_KEEP;
	const char *aad = arena_fmt(
		a, "quarantine/%s/%s/%d/%lld", s->source, p->topic, p->part, (long long)f->offset);
	uint8_t *sealed = arena_alloc(a, bytes.len + SEAL_EXTRA);
	if (aad == NULL || sealed == NULL)
		return full(e);
	keys_seal(s->keys, slice_str(aad), text_or_empty(bytes), sealed);
	*out = slice_of((const char *)sealed, bytes.len + SEAL_EXTRA);
	return RC_OK;
}

static enum rc quarantine_send(struct ledger *l, const struct ledger_settings *s,
	const struct work *w, const struct ledger_batch *b, int64_t now_us, struct arena *a,
	int *sent, struct err *e)
{
	static const char sql[] =
		"INSERT INTO quarantine AS q (source, topic, part, \"offset\", at, reason, detail, "
		"sqlstate,"
		" size, bytes, report_id, seq, trace, expires_at)"
		" SELECT $1, u.topic, u.part, u.o, $2, u.reason, u.detail, u.sqlstate, u.size, "
		"u.bytes,"
		" u.report_id, u.seq, u.trace, $3 FROM unnest($4::text[], $5::int[], $6::bigint[], "
		"$7::text[],"
		" $8::text[], $9::text[], $10::bigint[], $11::bytea[], $12::text[], $13::int[],"
		" $14::text[])"
		" u(topic, part, o, reason, detail, sqlstate, size, bytes, report_id, seq, trace)"
		/* only after a person has set the offset back */
		" ON CONFLICT (source, topic, part, \"offset\") DO UPDATE SET at = excluded.at,"
		" reason = excluded.reason, detail = excluded.detail, sqlstate = excluded.sqlstate,"
		" size = excluded.size, bytes = excluded.bytes, report_id = excluded.report_id,"
		" seq = excluded.seq, trace = excluded.trace, expires_at = excluded.expires_at, "
		"state = 'open'";

	arrays_begin(l);
	struct pg_array *topic = array_of(l, PG_TEXT), *part = array_of(l, PG_INT4),
			*offset = array_of(l, PG_INT8), *reason = array_of(l, PG_TEXT),
			*detail = array_of(l, PG_TEXT), *state = array_of(l, PG_TEXT),
			*size = array_of(l, PG_INT8), *bytes = array_of(l, PG_BYTEA),
			*id = array_of(l, PG_TEXT), *seq = array_of(l, PG_INT4),
			*trace = array_of(l, PG_TEXT);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];
		struct slice sealed;

		if (f->disposition != DISP_QUARANTINED)
			continue;
		const struct part *p = b->parts[f->part].part;
		enum rc rc = seal_record(s, p, f, a, &sealed, e);
		if (rc != RC_OK)
			return rc;
		pg_array_text(topic, slice_str(p->topic));
		pg_array_int(part, p->part);
		pg_array_int(offset, f->offset);
		pg_array_text(reason, slice_str(f->reason));
		pg_array_text(detail, slice_str(f->detail != NULL ? f->detail : ""));
		pg_array_text(state, state_of(f->detail));
		pg_array_int(size, (int64_t)f->bytes.len);
		pg_array_text(bytes, sealed);
		pg_array_text(id, f->report_id.len > 0 ? f->report_id : slice_of(NULL, 0));
		pg_array_int(seq, w->filed[i].seq);
		pg_array_text(trace, text_or_empty(f->trace));
	}
	if (topic->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_str(s->source), pg_p_time(now_us, a),
		pg_p_time(now_us + s->quarantine_keep_s * US_PER_S, a), pg_p_array(topic),
		pg_p_array(part), pg_p_array(offset), pg_p_array(reason), pg_p_array(detail),
		pg_p_array(state), pg_p_array(size), pg_p_array(bytes), pg_p_array(id),
		pg_p_array(seq), pg_p_array(trace)};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* ---- messages out ---- */

static const char *status_of(const struct filing *f, const struct filed *x)
{
	switch (f->disposition) {
	case DISP_ACCEPTED:
		return x->merged ? "merged" : "accepted";
	case DISP_REJECTED:
		return "rejected";
	case DISP_DUPLICATE:
		return "duplicate";
	case DISP_ROUTED:
		return "forwarded";
	case DISP_QUARANTINED:
		break;
	}
	return "quarantined";
}

static const char *reason_of(const struct filing *f)
{
	return f->disposition == DISP_ROUTED ? "registry" : f->reason;
}

/* A third column is the message's traceparent. */
static void line_end(struct buf *out, const struct filing *f)
{
	buf_byte(out, '}');
	if (f->trace.len > 0) {
		buf_byte(out, '\t');
		buf_add(out, f->trace);
	}
	buf_byte(out, '\n');
}

static void outcome_line(
	struct buf *out, const struct filing *f, const struct filed *x, const char *at)
{
	buf_add(out, f->report_id);
	buf_fmt(out, "\t{\"report_id\":");
	buf_json(out, f->report_id);
	buf_fmt(out, ",\"seq\":%d,\"status\":\"%s\",\"at\":\"%s\",\"reason\":", x->seq,
		status_of(f, x), at);
	buf_json(out, slice_str(reason_of(f)));
	line_end(out, f);
}

static const char *code_of(enum channel c)
{
	return c == CH_SMS156 ? "156" : c == CH_SMS5656 ? "5656" : channel_name(c);
}

static void registry_line(struct buf *out, const struct filing *f)
{
	char at[TIME_TEXT];

	time_format(f->received_at, at);
	buf_add(out, f->report_id);
	buf_fmt(out, "\t{\"report_id\":");
	buf_json(out, f->report_id);
	buf_fmt(out, ",\"reporter\":");
	buf_json(out, f->reporter);
	buf_fmt(out, ",\"text\":");
	buf_json(out, text_or_empty(f->registry_text));
	buf_fmt(out, ",\"to\":\"%s\",\"received_at\":\"%s\"", code_of(f->channel), at);
	line_end(out, f);
}

static enum rc outbox_send(struct ledger *l, const char *topic, int messages, struct arena *a,
	int *sent, struct err *e)
{
	static const char sql[] = "INSERT INTO outbox (topic, messages, body) VALUES ($1, $2, $3)";

	if (messages == 0)
		return RC_OK;
	if (l->out.failed)
		return full(e);
	struct pg_param p[] = {
		pg_p_str(topic), pg_p_int(messages, a), pg_p_bytes(buf_slice(&l->out))};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

static enum rc messages_send(struct ledger *l, const struct work *w, const struct ledger_batch *b,
	int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	char at[TIME_TEXT];
	int n = 0;

	time_format(now_us, at);
	buf_clear(&l->out);
	for (size_t i = 0; i < b->n; i++)
		if (w->filed[i].seq > 0) {
			outcome_line(&l->out, &b->filings[i], &w->filed[i], at);
			n++;
		}
	enum rc rc = outbox_send(l, "outcomes", n, a, sent, e);
	buf_clear(&l->out);
	n = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->filings[i].disposition == DISP_ROUTED) {
			registry_line(&l->out, &b->filings[i]);
			n++;
		}
	return rc == RC_OK ? outbox_send(l, "registry-requests", n, a, sent, e) : rc;
}

/* Duplicates are answered each, but kept as the newest one and how many there were: a topic that is read again must not fill the disk. */
static enum rc outcomes_send(struct ledger *l, const struct work *w, const struct ledger_batch *b,
	int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	static const char sql[] =
		"INSERT INTO outcome AS o (id_hash, seq, status, at, reason, times)"
		" SELECT u.id_hash, max(u.seq), 'duplicate', $3, 'duplicate', count(*)"
		" FROM unnest($1::bytea[], $2::int[]) u(id_hash, seq) GROUP BY u.id_hash"
		" ON CONFLICT (id_hash) WHERE status = 'duplicate' DO UPDATE SET"
		" seq = excluded.seq, at = excluded.at, times = o.times + excluded.times";

	arrays_begin(l);
	struct pg_array *hash = array_of(l, PG_BYTEA), *seq = array_of(l, PG_INT4);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		if (f->disposition != DISP_DUPLICATE)
			continue;
		pg_array_text(hash, slice_of((const char *)f->id_hash, MAC_LEN));
		pg_array_int(seq, w->filed[i].seq);
	}
	if (hash->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(hash), pg_p_array(seq), pg_p_time(now_us, a)};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* ---- counters ---- */

static enum rc counters_send(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, struct arena *a, int *sent, struct err *e)
{
	static const char sql[] =
		"UPDATE part p SET accepted = p.accepted + u.accepted, rejected = p.rejected + "
		"u.rejected,"
		" duplicates = p.duplicates + u.duplicates, routed = p.routed + u.routed,"
		" quarantined = p.quarantined + u.quarantined FROM unnest($2::text[], $3::int[],"
		" $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])"
		" u(topic, part, accepted, rejected, duplicates, routed, quarantined)"
		" WHERE p.source = $1 AND p.topic = u.topic AND p.part = u.part";
	int64_t(*counts)[COUNTERS] = arena_array(a, b->n_parts, sizeof(*counts));
	struct pg_array *c[COUNTERS];
	struct pg_param p[3 + COUNTERS];

	if (counts == NULL)
		return full(e);
	for (size_t i = 0; i < b->n; i++)
		counts[b->filings[i].part][b->filings[i].disposition]++;
	arrays_begin(l);
	struct pg_array *topic = array_of(l, PG_TEXT), *part = array_of(l, PG_INT4);
	for (int k = 0; k < COUNTERS; k++)
		c[k] = array_of(l, PG_INT8);
	for (size_t i = 0; i < b->n_parts; i++) {
		pg_array_text(topic, slice_str(b->parts[i].part->topic));
		pg_array_int(part, b->parts[i].part->part);
		for (int k = 0; k < COUNTERS; k++)
			pg_array_int(c[k], counts[i][k]);
	}
	p[0] = pg_p_str(s->source);
	p[1] = pg_p_array(topic);
	p[2] = pg_p_array(part);
	for (int k = 0; k < COUNTERS; k++)
		p[3 + k] = pg_p_array(c[k]);
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

enum rc records_send(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct ledger_batch *b, int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	enum rc rc = counters_send(l, s, b, a, sent, e);

	if (rc == RC_OK)
		rc = quarantine_send(l, s, w, b, now_us, a, sent, e);
	if (rc == RC_OK)
		rc = outcomes_send(l, w, b, now_us, a, sent, e);
	if (rc == RC_OK)
		rc = messages_send(l, w, b, now_us, a, sent, e);
	return rc;
}

/* ---- standing ---- */

static int64_t counting_votes(const struct touched *t)
{
	int64_t n = 0;

	for (size_t i = 0; i < t->n_votes; i++)
		n += t->votes[i].weight > 0;
	return n;
}

enum rc standing_send(struct ledger *l, const struct ledger_settings *s, const struct touched *t,
	size_t n, int *sent, struct err *e)
{
	static const char sql[] =
		"INSERT INTO standing AS s (sender, service, score, as_of, terms, votes, rules, "
		"policy)"
		" SELECT u.*, $2, $3 FROM unnest($1::standing_row[]) u"
		" ON CONFLICT (sender, service) DO UPDATE SET score = excluded.score,"
		" as_of = excluded.as_of, terms = excluded.terms, votes = excluded.votes,"
		" rules = excluded.rules, policy = excluded.policy";

	if (n == 0)
		return RC_OK;
	arrays_begin(l);
	struct pg_array *rows = rows_of(l, ROW_STANDING);
	for (size_t i = 0; i < n; i++) {
		pg_array_row(rows);
		pg_array_int(rows, t[i].sender_id);
		pg_array_int(rows, t[i].service);
		pg_array_real(rows, t[i].score);
		pg_array_time(rows, t[i].as_of);
		pg_array_text(rows, t[i].terms.len > 0 ? t[i].terms : SLICE("[]"));
		pg_array_int(rows, counting_votes(&t[i]));
	}
	struct pg_param p[] = {
		pg_p_array(rows), pg_p_str(s->rules_version), pg_p_str(s->policy_version)};
	*sent += 1;
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* ---- audit ---- */

enum rc audit_send(struct ledger *l, const struct ledger_settings *s, const struct ledger_batch *b,
	int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	bool again = b->retry != NULL;

	if (again)
		buf_fmt(&l->audit, "retry %s/%s/%d %lld %s %s\n", s->source,
			b->parts[0].part->topic, b->parts[0].part->part,
			(long long)b->retry->offset, disposition_name(b->filings[0].disposition),
			b->retry->why);
	for (size_t i = 0; !again && i < b->n_parts; i++)
		buf_fmt(&l->audit, "records %s/%s/%d %lld..%lld\n", s->source,
			b->parts[i].part->topic, b->parts[i].part->part,
			(long long)b->parts[i].from, (long long)b->parts[i].next - 1);
	if (l->audit.failed)
		return full(e);
	if (l->audit.len == 0)
		return RC_OK; /* judged again, and nothing came of it */
	struct pg_param p[] = {pg_p_time(now_us, a), pg_p_str(s->actor),
		pg_p_str(again ? "quarantine.retry" : "batch"), pg_p_bytes(buf_slice(&l->audit))};
	*sent += 1;
	return pg_send(l->pg, audit_append_sql, p, ARRAY_LEN(p), e);
}
