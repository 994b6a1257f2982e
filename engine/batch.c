/* Turns records into filings (decode, classify, class of the report) and votes into decisions (score, ladder, state of each episode), as
 * docs/judgement.md sections 1 to 5 define. Leaves out what needs the ledger: claims, merges, cases. */
#include "engine/batch.h"

/* [{"name":"X","weight":1.5,"at":12,"len":7}]: where it matched in the raw content, never the text itself. */
static struct slice terms_json(const struct verdict *v, struct arena *a)
{
	BUF_OWN struct buf b = {0};

	if (v->terms + v->shadows == 0 && !v->undecided)
		return SLICE("[]");
	buf_init(&b, 8192);
	buf_byte(&b, '[');
	for (size_t i = 0; i < v->terms; i++) {
		buf_fmt(&b, "%s{\"name\":\"%s\",\"weight\":%.3f", i > 0 ? "," : "", v->term[i].name,
			v->term[i].weight);
		if (v->term[i].match.len > 0)
			buf_fmt(&b, ",\"at\":%u,\"len\":%zu", v->term[i].raw_at,
				v->term[i].match.len);
		buf_byte(&b, '}');
	}
	if (v->undecided)
		buf_fmt(&b, "%s{\"name\":\"UNDECIDED\",\"weight\":0}", v->terms > 0 ? "," : "");
	for (size_t i = 0; i < v->shadows; i++)
		buf_fmt(&b, "%s{\"name\":\"%s\",\"weight\":%.3f,\"shadow\":true}",
			b.len > 1 ? "," : "", v->shadow[i].name, v->shadow[i].weight);
	buf_byte(&b, ']');
	return arena_copy(a, buf_slice(&b));
}

/* Section 3: what the report is about. In a call report the text is the accuser's description; it decides nothing here. */
static enum report_class class_of(
	const struct report *r, const struct verdict *v, const struct policy *p)
{
	if (r->kind == KIND_LD || policy_scam_category(p, r->category))
		return CLASS_SCAM;
	if (r->kind == KIND_S && v->label == LABEL_SCAM && v->score >= p->text_scam_at)
		return CLASS_SCAM;
	return CLASS_NUISANCE;
}

static void put32(uint8_t *out, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The sketch as the ledger keeps it. */
static bool pack_sketch(const struct sketch *s, struct filing *f, struct arena *a)
{
	uint8_t *low = arena_alloc(a, 4 * SKETCH_KEPT), *band = arena_alloc(a, 8 * SKETCH_BANDS);
	uint64_t key = s->fingerprint ^ UINT64_C(14695981039346656037);

	if (low == NULL || band == NULL)
		return false;
	for (uint32_t i = 0; i < s->kept; i++) {
		put32(low + 4 * (size_t)i, s->low[i]);
		key = (key ^ s->low[i]) * UINT64_C(1099511628211);
		key ^= key >> 29;
	}
	for (size_t i = 0; i < SKETCH_BANDS; i++) {
		put32(band + 8 * i, (uint32_t)(s->band[i] >> 32));
		put32(band + 8 * i + 4, (uint32_t)s->band[i]);
	}
	f->sketch = slice_of((const char *)low, 4 * (size_t)s->kept);
	f->bands = slice_of((const char *)band, 8 * SKETCH_BANDS);
	f->text_key = key;
	return true;
}

double sketches_packed_alike(struct slice a, struct slice b)
{
	struct slice of[] = {a, b};
	struct sketch s[2];

	for (size_t k = 0; k < 2; k++) {
		const uint8_t *p = (const uint8_t *)of[k].ptr;

		s[k] = (struct sketch){.bands = SKETCH_BANDS};
		for (size_t i = 0; i + 4 <= of[k].len && s[k].kept < SKETCH_KEPT; i += 4)
			s[k].low[s[k].kept++] = (uint32_t)p[i] << 24 | (uint32_t)p[i + 1] << 16 |
				(uint32_t)p[i + 2] << 8 | p[i + 3];
	}
	return sketch_alike(&s[0], &s[1]);
}

/* What lives only until the scan's next text is copied. */
static bool keep_clues(const struct verdict *v, struct filing *f, struct arena *a)
{
	struct clue *c = arena_array(a, v->evidences, sizeof(*c));

	if (v->evidences > 0 && c == NULL)
		return false;
	for (size_t i = 0; i < v->evidences; i++) {
		c[i] = (struct clue){(int)v->evidence[i].kind, v->evidence[i].flags,
			arena_copy(a, v->evidence[i].value)};
		if (c[i].value.ptr == NULL)
			return false;
	}
	f->clues = c;
	f->n_clues = v->evidences;
	return true;
}

/* Counted when judged, so a batch that is judged twice counts twice. */
static void count_verdict(const struct verdict *v)
{
	if (v->undecided)
		metric_add(metric_at(metric_family(METRIC_COUNTER, "khien_undecided_total", "",
					     "Texts on which a rule's search was given up."),
				   NULL, NULL, NULL),
			1);
	for (size_t i = 0; i < v->shadows; i++)
		metric_add(metric_at(metric_family(METRIC_COUNTER, "khien_shadow_hits_total",
					     "symbol", "Texts on which a rule on trial fired."),
				   v->shadow[i].name, NULL, NULL),
			1);
}

static bool file_verdict(struct filing *f, const struct report *r, struct scan *s,
	const struct judge *j, struct arena *a)
{
	struct verdict v = {.label = LABEL_NONE};

	if (r->content.len > 0)
		classify(s, r->content, &v);
	count_verdict(&v);
	f->cls = class_of(r, &v, j->policy);
	f->label = v.label;
	f->text_score = v.label == LABEL_SPAM || v.label == LABEL_SCAM ? (float)v.score : 0;
	f->fingerprint = v.fingerprint;
	f->terms = terms_json(&v, a);
	return (v.sketch.bands == 0 || pack_sketch(&v.sketch, f, a)) && keep_clues(&v, f, a);
}

/* What comes beside the reports has no answer, so the ledger is told no report id. */
static enum rc add_fact(struct filings *fs, const struct report *r, const struct kafka_record *rec,
	int32_t part, struct arena *a)
{
	filings_unread(fs, rec, part, r->reason, arena_copy(a, slice_str(r->detail)).ptr);
	struct filing *f = &fs->at[fs->n - 1];

	f->disposition = r->disposition;
	f->fact = r->fact;
	if (f->detail != NULL)
		return RC_OK;
	fs->n--;
	return RC_LIMIT;
}

enum rc filings_add(struct filings *fs, struct decoder *d, struct scan *s, const struct judge *j,
	const struct plan *plan, enum feed of, const struct kafka_record *rec, int32_t part,
	struct arena *a)
{
	struct report r = {0};
	enum rc rc = decode(d, of, rec, a, &r);

	if (rc != RC_OK)
		return rc;
	if (of != FEED_COMPLAINTS)
		return add_fact(fs, &r, rec, part, a);
	struct filing f = {
		.part = part,
		.offset = rec->offset,
		.bytes = rec->value,
		.trace = rec->trace,
		.stamped_at = rec->timestamp_us,
		.disposition = r.disposition,
		.reason = r.reason,
		.report_id = r.report_id,
		.kind = r.kind,
		.service = r.service,
		.channel = r.channel,
		.received_at = r.received_at,
		.occurred_at = r.occurred_at,
		.verified = r.verified,
		.sender = r.sender,
		.attribution = r.attribution,
		.carrier = "",
		.number_class = "",
		.sender_raw = r.sender_raw,
		.content = r.content,
		.category = r.category,
		.extra = r.extra,
		.matched = r.matched,
		.origin = r.origin,
		.duration_s = r.duration_s,
		.counts = r.counts,
		.spoofed = r.spoofed,
		.registry_text = r.registry_text,
		.terms = SLICE("[]"),
	};
	memcpy(f.id_hash, r.id_hash, MAC_LEN);
	memcpy(f.body_mac, r.body_mac, MAC_LEN);
	memcpy(f.reporter_mac, r.reporter_mac, MAC_LEN);
	f.detail = arena_copy(a, slice_str(r.detail)).ptr;
	f.reporter = arena_copy(a, slice_str(r.reporter.value));
	f.hint = r.sender_hint.scope != SCOPE_NONE ? arena_copy(a, slice_str(r.sender_hint.value))
						   : SLICE("");
	if (r.disposition == DISP_ACCEPTED || r.disposition == DISP_REJECTED) {
		if (r.sender.scope != SCOPE_NONE) {
			const char *carrier = NULL;
			f.attribution = sender_attribution(plan, &r.sender, &carrier, &f.by_table);
			f.carrier = carrier != NULL ? carrier : "";
			f.number_class = number_class_name(sender_class(plan, &r.sender));
		}
		if (!file_verdict(&f, &r, s, j, a))
			return RC_LIMIT;
	}
	if (f.detail == NULL || f.reporter.ptr == NULL || f.hint.ptr == NULL || f.terms.ptr == NULL)
		return RC_LIMIT;
	fs->at[fs->n++] = f;
	return RC_OK;
}

void filings_unread(struct filings *fs, const struct kafka_record *rec, int32_t part,
	const char *reason, const char *detail)
{
	fs->at[fs->n++] = (struct filing){
		.part = part,
		.offset = rec->offset,
		.bytes = rec->value,
		.trace = rec->trace,
		.stamped_at = rec->timestamp_us,
		.disposition = DISP_QUARANTINED,
		.reason = reason,
		.detail = detail,
		.received_at = TIME_NONE,
		.occurred_at = TIME_NONE,
		.carrier = "",
		.number_class = "",
		.terms = SLICE("[]"),
	};
}

static struct slice score_json(const struct score *s, struct arena *a)
{
	BUF_OWN struct buf b;

	buf_init(&b, 2048);
	buf_byte(&b, '[');
	for (size_t i = 0; i < s->terms; i++)
		buf_fmt(&b, "%s{\"name\":\"%s\",\"weight\":%.4f}", i > 0 ? "," : "",
			s->term[i].name, s->term[i].weight);
	buf_byte(&b, ']');
	return arena_copy(a, buf_slice(&b));
}

static enum rc judge_spoofed(const struct judge *j, struct touched *t, struct arena *a)
{
	struct spoofed s;
	enum rc rc = spoofed_look(j->policy, t->votes, t->n_votes, t->floor, a, &s);

	if (rc != RC_OK)
		return rc;
	t->spoofed.any = s.any;
	t->spoofed.is = s.is;
	t->spoofed.first_at = s.first_at;
	t->spoofed.at = s.at;
	t->spoofed.reporters = s.reporters;
	return RC_OK;
}

/* Section 5's table: what becomes of an episode. Only the newest one can still be acted on. */
static void decide(const struct touched *t, const struct control *control, int64_t now_us,
	bool newest, struct decided *d)
{
	d->reason = "";
	if (strcmp(control->mode, "shadow") == 0) {
		d->state = "shadow";
	} else if (!newest || d->until <= now_us) {
		d->state = "expired";
	} else if (t->is_protected) {
		d->state = "held";
		d->reason = "protected";
	} else if (strcmp(d->action, "person") == 0) {
		d->state = "held";
		d->reason = "needs_person";
	} else if (strcmp(control->mode, "review") == 0) {
		d->state = "held";
		d->reason = "review_mode";
	} else {
		d->state = "wanted";
	}
}

static enum rc judge_class(const struct judge *j, const struct control *control, int64_t now_us,
	struct touched *t, enum report_class c, struct arena *a)
{
	const struct policy *p = j->policy;
	struct walk walk, *w = &walk;
	struct ladder ladder;

	policy_ladder(p, c, t->attribution, t->service, &ladder);
	enum rc rc = ladder_walk(&ladder, c, p->window_s, p->contact_yes, t->votes, t->n_votes,
		t->floor, &t->signals, a, w);
	if (rc != RC_OK)
		return rc;
	t->cls[c].peak = w->peak;
	t->cls[c].peak_at = w->peak_at;
	t->cls[c].one_leg = w->one_leg;
	t->cls[c].one_leg_at = w->one_leg_at;
	t->cls[c].n_episodes = w->episodes;
	t->cls[c].earlier = w->earlier;
	t->cls[c].episodes = arena_array(a, w->episodes, sizeof(struct decided));
	if (w->episodes > 0 && t->cls[c].episodes == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < w->episodes; i++) {
		const struct episode *ep = &w->episode[i];
		t->cls[c].episodes[i] = (struct decided){
			.rung = ep->rung,
			.action = rung_action(p, ep->by, t->attribution),
			.decided_at = ep->decided_at,
			.until = ep->until,
			.basis = ep->by->basis != NULL ? ep->by->basis : "",
			.reporters = ep->reporters,
			.matched = ep->yes,
		};
		decide(t, control, now_us, i + 1 == w->episodes, &t->cls[c].episodes[i]);
	}
	return RC_OK;
}

enum rc judge_touched(const struct judge *j, const struct control *control, int64_t now_us,
	struct touched *t, size_t n, struct arena *a)
{
	for (size_t i = 0; i < n; i++) {
		struct score s;

		score_votes(
			&j->policy->score, t[i].votes, t[i].n_votes, t[i].floor, &t[i].signals, &s);
		t[i].score = (float)s.value;
		t[i].as_of = s.as_of;
		t[i].terms = score_json(&s, a);
		if (t[i].terms.ptr == NULL)
			return RC_LIMIT;
		for (enum report_class c = CLASS_NUISANCE; c <= CLASS_SCAM; c++) {
			enum rc rc = judge_class(j, control, now_us, &t[i], c, a);
			if (rc != RC_OK)
				return rc;
		}
		enum rc rc = judge_spoofed(j, &t[i], a);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}
