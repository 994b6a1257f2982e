/* Who owns the offset, and which records are new. The fence is the first statement of the transaction; report ids are claimed before
 * anything counts. Several records of one id inside the batch are settled here in their order, as if each had come alone. */
#include <stdlib.h>

#include "cases/ledger.h"

/* Filings of one report id, in batch order: order[first .. first+n). */
struct id_group {
	size_t first, n;
	int32_t claimer; /* which of them, from 1, is the first to claim; 0: all are quarantined */
	int32_t base;    /* outcomes that were counted before this batch */
	const uint8_t *owner; /* body of the report that has the id; NULL: nobody yet */
	bool known;           /* the id was heard of before this batch */
};

struct id_ref {
	uint8_t hash[MAC_LEN];
	size_t filing;
};

struct claims {
	struct id_ref *order;
	size_t n;
	struct id_group *groups;
	size_t n_groups;
};

static int by_hash(const void *a, const void *b)
{
	const struct id_ref *x = a, *y = b;
	int d = memcmp(x->hash, y->hash, MAC_LEN);

	if (d != 0)
		return d;
	return x->filing < y->filing ? -1 : x->filing > y->filing;
}

static struct slice mac_slice(const uint8_t mac[MAC_LEN])
{
	return slice_of((const char *)mac, MAC_LEN);
}

static enum rc full(struct err *e)
{
	return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
}

/* An id that cannot be one is none: nobody waits for an outcome under it. */
static bool id_readable(struct slice id)
{
	for (size_t i = 0; i < id.len; i++)
		if (id.ptr[i] < 0x21 || id.ptr[i] > 0x7e)
			return false;
	return id.len > 0 && id.len <= BOUND_REPORT_ID;
}

static enum rc group_ids(const struct ledger_settings *s, struct ledger_batch *b, struct arena *a,
	struct claims **out, struct err *e)
{
	struct claims *k = arena_alloc(a, sizeof(*k));

	if (k == NULL)
		return full(e);
	k->order = arena_array(a, b->n, sizeof(*k->order));
	k->groups = arena_array(a, b->n, sizeof(*k->groups));
	if (k->order == NULL || k->groups == NULL)
		return full(e);
	for (size_t i = 0; i < b->n; i++) {
		struct filing *f = &b->filings[i];

		if (!id_readable(f->report_id)) {
			f->report_id = slice_of(NULL, 0);
			continue;
		}
		if (f->disposition == DISP_QUARANTINED) /* of the others the decoder made it */
			keys_mac(s->keys, "report_id", f->report_id, f->id_hash);
		memcpy(k->order[k->n].hash, f->id_hash, MAC_LEN);
		k->order[k->n++].filing = i;
	}
	qsort(k->order, k->n, sizeof(*k->order), by_hash);
	for (size_t i = 0; i < k->n; i++) {
		struct id_group *g = k->n_groups > 0 ? &k->groups[k->n_groups - 1] : NULL;

		if (g == NULL || memcmp(k->order[g->first].hash, k->order[i].hash, MAC_LEN) != 0) {
			g = &k->groups[k->n_groups++];
			g->first = i;
		}
		g->n++;
		if (g->claimer == 0 &&
			b->filings[k->order[i].filing].disposition != DISP_QUARANTINED)
			g->claimer = (int32_t)g->n;
	}
	*out = k;
	return RC_OK;
}

static enum rc send_fence(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, struct err *e)
{
	static const char sql[] =
		"UPDATE part p SET next_offset = f.next, records = p.records + f.records, attempts "
		"= 0"
		" FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[],"
		" $7::bigint[]) f(topic, part, epoch, expected, next, records)"
		" WHERE p.source = $1 AND p.topic = f.topic AND p.part = f.part AND p.epoch = "
		"f.epoch"
		" AND p.next_offset = f.expected AND p.stopped = ''";

	arrays_begin(l);
	struct pg_array *topic = array_of(l, PG_TEXT), *part = array_of(l, PG_INT4),
			*epoch = array_of(l, PG_INT8), *from = array_of(l, PG_INT8),
			*next = array_of(l, PG_INT8), *records = array_of(l, PG_INT8);
	for (size_t i = 0; i < b->n_parts; i++) {
		const struct batch_part *p = &b->parts[i];

		pg_array_text(topic, slice_str(p->part->topic));
		pg_array_int(part, p->part->part);
		pg_array_int(epoch, p->part->epoch);
		pg_array_int(from, p->from);
		pg_array_int(next, p->next);
		pg_array_int(records, p->records);
	}
	struct pg_param p[] = {pg_p_str(s->source), pg_p_array(topic), pg_p_array(part),
		pg_p_array(epoch), pg_p_array(from), pg_p_array(next), pg_p_array(records)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* Of a record out of quarantine: it leaves there and is counted anew, once, whoever else tries it. */
static enum rc send_retry(struct ledger *l, const struct ledger_settings *s,
	const struct ledger_batch *b, struct arena *a, struct err *e)
{
	static const char sql[] = "WITH q AS (UPDATE quarantine SET state = 'retried' WHERE source "
				  "= $1 AND topic = $2"
				  " AND part = $3 AND \"offset\" = $4 AND state = 'open' RETURNING "
				  "source, topic, part)"
				  " UPDATE part p SET quarantined = p.quarantined - 1 FROM q WHERE "
				  "p.source = q.source"
				  " AND p.topic = q.topic AND p.part = q.part";
	struct pg_param p[] = {pg_p_str(s->source), pg_p_str(b->parts[0].part->topic),
		pg_p_int(b->parts[0].part->part, a), pg_p_int(b->retry->offset, a)};

	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* Takes the numbers seq+1 … seq+n for the outcomes of the n filings of an id, and the id itself when it is free. Answers only for
 * ids that were known. */
static enum rc send_claims(struct ledger *l, const struct claims *k, const struct ledger_batch *b,
	int64_t now_us, struct err *e)
{
	static const char sql[] =
		"WITH c AS (INSERT INTO report_key AS k (id_hash, body_mac, stored_month, seq, "
		"claimed)"
		" SELECT u.id_hash, u.body_mac, $2::date, u.seq, u.claimed"
		" FROM unnest($1::claim_row[]) u"
		" ON CONFLICT (id_hash) DO UPDATE SET seq = k.seq + excluded.seq,"
		" body_mac = coalesce(k.body_mac, excluded.body_mac),"
		" claimed = CASE WHEN k.body_mac IS NULL AND excluded.body_mac IS NOT NULL"
		" THEN k.seq + excluded.claimed ELSE k.claimed END,"
		" stored_month = CASE WHEN k.body_mac IS NULL THEN excluded.stored_month"
		" ELSE k.stored_month END"
		" RETURNING k.id_hash, k.body_mac, k.seq, k.claimed, k.xmax <> 0 AS known)"
		" SELECT id_hash, body_mac, seq, claimed FROM c WHERE known";
	char month[11];

	arrays_begin(l);
	struct pg_array *rows = rows_of(l, ROW_CLAIM);
	for (size_t i = 0; i < k->n_groups; i++) {
		const struct id_group *g = &k->groups[i];
		size_t claimer = g->first + (size_t)g->claimer - 1;

		pg_array_row(rows);
		pg_array_text(rows, mac_slice(k->order[g->first].hash));
		if (g->claimer == 0)
			pg_array_null(rows);
		else
			pg_array_text(
				rows, mac_slice(b->filings[k->order[claimer].filing].body_mac));
		pg_array_int(rows, (int64_t)g->n);
		pg_array_int(rows, g->claimer);
	}
	day_format(time_month(now_us), month);
	struct pg_param p[] = {pg_p_array(rows), pg_p_str(month)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

enum rc claims_send(struct ledger *l, const struct ledger_settings *s, struct ledger_batch *b,
	int64_t now_us, struct arena *a, struct claims **out, struct err *e)
{
	enum rc rc = group_ids(s, b, a, out, e);

	if (rc == RC_OK)
		rc = pg_send(l->pg, "BEGIN", NULL, 0, e);
	if (rc == RC_OK)
		rc = b->retry != NULL ? send_retry(l, s, b, a, e) : send_fence(l, s, b, e);
	if (rc == RC_OK)
		rc = pg_send(l->pg, control_read_sql, NULL, 0, e);
	if (rc == RC_OK && (*out)->n_groups > 0)
		rc = send_claims(l, *out, b, now_us, e);
	return rc;
}

/* ---- answers ---- */

static int group_by_hash(const void *key, const void *at)
{
	return memcmp(key, at, MAC_LEN);
}

/* The group of an id that was known; its place in `order` is found first. */
static struct id_group *find_group(struct claims *k, struct slice hash)
{
	struct id_ref *r = hash.len != MAC_LEN
		? NULL
		: bsearch(hash.ptr, k->order, k->n, sizeof(*k->order), group_by_hash);

	if (r == NULL)
		return NULL;
	size_t at = (size_t)(r - k->order), low = 0, high = k->n_groups;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (k->groups[mid].first <= at)
			low = mid;
		else
			high = mid;
	}
	return &k->groups[low];
}

static enum rc learn_known(struct claims *k, struct pg_result *r, struct err *e)
{
	for (int i = 0; i < pg_rows(r); i++) {
		struct id_group *g = find_group(k, pg_bytes(r, i, 0));
		struct slice body = pg_bytes(r, i, 1);
		int32_t seq = (int32_t)pg_int(r, i, 2), claimed = (int32_t)pg_int(r, i, 3);

		if (g == NULL || (body.ptr != NULL && body.len != MAC_LEN))
			return err_set(
				e, RC_FATAL, "ledger: a claim was answered for no id of ours");
		g->known = true;
		g->base = seq - (int32_t)g->n;
		/* Claimed by a record of this batch: then it is for settle_group to say which. */
		if (claimed > 0 && claimed <= g->base)
			g->owner = (const uint8_t *)body.ptr;
	}
	return RC_OK;
}

static void settle_group(const struct claims *k, const struct id_group *g, struct ledger_batch *b,
	struct filed *filed)
{
	const uint8_t *owner = g->owner;

	for (size_t i = 0; i < g->n; i++) {
		size_t at = k->order[g->first + i].filing;
		struct filing *f = &b->filings[at];

		filed[at].seq = g->base + (int32_t)i + 1;
		if (f->disposition == DISP_QUARANTINED)
			continue;
		if (owner == NULL) {
			owner = f->body_mac;
			filed[at].known = g->known;
			continue;
		}
		if (memcmp(owner, f->body_mac, MAC_LEN) == 0) {
			f->disposition = DISP_DUPLICATE;
			f->reason = "duplicate";
			continue;
		}
		f->disposition = DISP_QUARANTINED;
		f->reason = "conflict";
		f->detail = "the report id belongs to a report with other fields";
		filed[at].seq = 0; /* the first report keeps its own outcomes */
	}
}

enum rc claims_recv(struct ledger *l, struct claims *k, struct ledger_batch *b,
	struct control *control, bool *fenced, struct err *e)
{
	OWN(pg_free) struct pg_result *fence = NULL, *active = NULL, *known = NULL;
	enum rc rc = pg_recv(l->pg, NULL, e); /* BEGIN */

	if (rc == RC_OK)
		rc = pg_recv(l->pg, &fence, e);
	if (rc == RC_OK && pg_affected(fence) != (int)b->n_parts) {
		*fenced = true;
		rc = err_set(e, RC_CONFLICT, "fenced: the partition has another owner or offset");
	}
	if (rc == RC_OK)
		rc = pg_recv(l->pg, &active, e);
	if (rc == RC_OK)
		rc = control_of(active, control, e);
	if (rc == RC_NONE)
		rc = err_set(e, RC_RETRY, "ledger: no policy is active");
	if (rc == RC_OK && k->n_groups > 0)
		rc = pg_recv(l->pg, &known, e);
	if (rc == RC_OK && known != NULL)
		rc = learn_known(k, known, e);
	if (rc != RC_OK)
		return rc;
	for (size_t i = 0; i < k->n_groups; i++)
		settle_group(k, &k->groups[i], b, l->work->filed);
	return RC_OK;
}
