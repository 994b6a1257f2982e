/* What consumers of the list prove to hold. A consumer tells count and digest of its own copy; they are compared with ours at that release, and
 * nothing else is proof. With its 256 sums a copy that differs can be told where, and often which entry. Leaves out who may tell. */
#include <inttypes.h>
#include <stdlib.h>

#include "blocklist/list.h"

#define FIND_LINES 20000 /* that are looked at to find the one that is missing or too many */
#define FIND_CHANGES 50000
#define FIND_NAMED 50
#define DRIFT_ROWS "1000"
_Static_assert(BOUND_CONSUMERS <= 1000, "DRIFT_ROWS");

static const char at_sql[] =
	"SELECT h.list, h.release, r.count, r.digest, r.sms_count, r.sms_digest,"
	" $1::bigint = 0 AND (h.release = 0 OR EXISTS (SELECT FROM release f WHERE f.n = 1 AND "
	"f.list = h.list))"
	" FROM list_head h LEFT JOIN release r ON r.n = $1 AND r.list = h.list";
static const char put_sql[] =
	"UPDATE consumer SET named = true, service = $2::smallint, list = $3::uuid, release = $4, "
	"count = $5, digest = $6,"
	" good = $7::boolean, findings = $8, acked_at = $9::timestamptz,"
	" good_list = CASE WHEN $7::boolean THEN $3::uuid ELSE good_list END,"
	" good_release = CASE WHEN $7::boolean THEN $4::bigint ELSE good_release END,"
	" good_at = CASE WHEN $7::boolean THEN $9::timestamptz ELSE good_at END WHERE name = $1";
static const char proof_sql[] =
	"INSERT INTO proof (consumer, list, release, service, at)"
	" VALUES ($1, $2::uuid, $3, $4::smallint, $5) ON CONFLICT DO NOTHING";
static const char changes_sql[] =
	"SELECT " ENTRY_COLUMNS ", op, release FROM change WHERE release <= $1"
	" ORDER BY release DESC, ord DESC LIMIT 50000";
_Static_assert(FIND_CHANGES == 50000, "the limit in changes_sql");

/* ---- where a copy differs */

struct line {
	struct digest hash;
	uint8_t bucket;
	bool old; /* is no longer on the list */
	char text[ENTRY_LINE];
};

struct finding {
	struct digest theirs[256], ours[256]; /* ours: at their release */
	bool differs[256], located[256];
	int service;
	struct line *lines;
	size_t n;
};

static void note_line(struct finding *f, const struct entry *e, bool old)
{
	uint8_t bucket = entry_bucket(e);
	struct line *l = &f->lines[f->n];

	if (!f->differs[bucket] || f->n == FIND_LINES)
		return;
	*l = (struct line){.bucket = bucket, .old = old};
	digest_add(&l->hash, e);
	(void)entry_line(e, l->text, sizeof(l->text));
	f->n++;
}

static bool note_listed(void *arg, const struct entry *e)
{
	note_line(arg, e, false);
	return true;
}

/* Walks back from the list in memory to their release; what went away on the whole is kept as candidates. RC_LIMIT: it is too far. */
static enum rc walk_back(
	struct finding *f, struct pg *c, int64_t from, int64_t to, bool lines, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p = pg_p_int(from, a);
	enum rc rc = pg_run(c, changes_sql, &p, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == FIND_CHANGES && pg_int(r, FIND_CHANGES - 1, 8) > to)
		return err_set(e, RC_LIMIT, "ack: more than %d changes ago", FIND_CHANGES);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct entry one = entry_of_row(r, i, 0);
		bool added = pg_text(r, i, 7).ptr[0] == 'a';
		struct digest hash = {{0}};

		if (f->service >= 0 && one.service != (enum service)f->service)
			continue;
		if (lines && !added)
			note_line(f, &one, true);
		if (lines || pg_int(r, i, 8) <= to)
			continue;
		digest_add(&hash, &one);
		(added ? digest_part : digest_join)(&f->ours[entry_bucket(&one)], &hash);
	}
	return rc;
}

static void put_line(struct buf *out, const struct line *l, int *n)
{
	if ((*n)++ < FIND_NAMED) {
		if (*n > 1)
			buf_byte(out, ',');
		buf_json(out, slice_str(l->text));
	}
}

static int by_bucket(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->bucket != y->bucket)
		return x->bucket < y->bucket ? -1 : 1;
	return x->old != y->old ? (x->old ? 1 : -1) : strcmp(x->text, y->text);
}

/* The one line that explains a bucket's difference, or a line that they kept in place of its newer form. Pairs are looked for within a bucket
 * only, which is a 256th of them: the sums of all buckets can be made up. */
static void name_lines(struct finding *f, struct buf *missing, struct buf *extra)
{
	int lacks = 0, has = 0;
	size_t first = 0; /* of the bucket */

	qsort(f->lines, f->n, sizeof(*f->lines), by_bucket);
	for (size_t i = 0; i < f->n; i++) {
		if (f->lines[i].bucket != f->lines[first].bucket)
			first = i;
		const struct line *l = &f->lines[i];
		struct digest less = f->ours[l->bucket], more = f->theirs[l->bucket];

		if (f->located[l->bucket])
			continue;
		digest_part(&less, &f->theirs[l->bucket]);
		digest_part(&more, &f->ours[l->bucket]);
		if (!l->old && digest_same(&less, &l->hash)) {
			put_line(missing, l, &lacks);
			f->located[l->bucket] = true;
		} else if (digest_same(&more, &l->hash)) {
			put_line(extra, l, &has);
			f->located[l->bucket] = true;
		}
		/* what is listed stands before what is not any more */
		for (size_t j = first;
			l->old && j < i && !f->lines[j].old && !f->located[l->bucket]; j++) {
			struct digest pair = l->hash;

			digest_part(&pair, &f->lines[j].hash);
			if (!digest_same(&pair, &more))
				continue;
			put_line(extra, l, &has);
			put_line(missing, &f->lines[j], &lacks);
			f->located[l->bucket] = true;
		}
	}
}

static enum rc find(struct finding *f, struct pg *c, const struct table *t, int64_t release,
	struct buf *out, struct err *e)
{
	struct list_mark mark;
	BUF_OWN struct buf missing;
	BUF_OWN struct buf extra;
	bool first = true;

	buf_init(&missing, 64 * 1024);
	buf_init(&extra, 64 * 1024);
	table_mark(t, -1, &mark);
	if (mark.release < release)
		return RC_OK; /* we are behind ourselves: next time */
	feed_buckets(t, f->service, f->ours);
	enum rc rc = walk_back(f, c, mark.release, release, false, e);
	if (rc == RC_LIMIT) {
		buf_add(out, SLICE(",\"too_far\":true"));
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < 256; i++)
		f->differs[i] = !digest_same(&f->ours[i], &f->theirs[i]);
	(void)table_each(t, f->service, note_listed, f);
	rc = walk_back(f, c, mark.release, release, true, e);
	if (rc != RC_OK)
		return rc;
	name_lines(f, &missing, &extra);
	buf_add(out, SLICE(",\"buckets\":["));
	for (int i = 0; i < 256; i++)
		if (f->differs[i]) {
			buf_fmt(out, "%s%d", first ? "" : ",", i);
			first = false;
		}
	buf_fmt(out, "],\"missing\":[%s],\"extra\":[%s],\"unlocated\":[", buf_slice(&missing).ptr,
		buf_slice(&extra).ptr);
	first = true;
	for (int i = 0; i < 256; i++)
		if (f->differs[i] && !f->located[i]) {
			buf_fmt(out, "%s%d", first ? "" : ",", i);
			first = false;
		}
	buf_byte(out, ']');
	return RC_OK;
}

static void finding_free(struct finding *f)
{
	if (f != NULL)
		free(f->lines);
	free(f);
}
OWNER(finding_free, struct finding);

static enum rc findings(struct pg *c, const struct feed_ack *ack, int64_t ours,
	const struct table *t, struct buf *out, struct err *e)
{
	OWN(finding_free) struct finding *f = calloc(1, sizeof(*f));
	enum rc rc = RC_OK;

	buf_fmt(out, "{\"entries\":%" PRId64 ",\"expected\":%" PRId64, ack->count, ours);
	if (f == NULL || (f->lines = calloc(FIND_LINES + 1, sizeof(*f->lines))) == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	f->service = ack->service;
	if (ack->buckets != NULL && t != NULL) {
		memcpy(f->theirs, ack->buckets, sizeof(f->theirs));
		rc = find(f, c, t, ack->release, out, e);
	} else if (ack->buckets != NULL) {
		buf_add(out, SLICE(",\"later\":true"));
	}
	buf_byte(out, '}');
	return rc;
}

/* ---- an acknowledgement */

static enum rc write_ack(struct pg *c, const struct feed_ack *ack, const char *token, bool good,
	const char *found, int64_t now_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(1 << 14);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param service = ack->service < 0 ? pg_p_none() : pg_p_int(ack->service, a);
	struct pg_param p[] = {pg_p_str(ack->consumer), service, pg_p_str(ack->list),
		pg_p_int(ack->release, a), pg_p_int(ack->count, a),
		pg_p_bytes(slice_of((const char *)ack->digest.sum, sizeof(ack->digest.sum))),
		pg_p_bool(good), pg_p_str(found), pg_p_time(now_us, a)};
	struct pg_param q[] = {p[0], p[2], p[3], service, p[8]};
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = consumer_claim(c, ack->consumer, token, e);
	if (rc == RC_OK)
		rc = pg_run(c, put_sql, p, ARRAY_LEN(p), NULL, e);
	if (rc == RC_OK && good)
		rc = pg_run(c, proof_sql, q, ARRAY_LEN(q), NULL, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

/* What the list was at their release, and what it is now. */
static enum rc read_at(struct pg *c, const struct feed_ack *ack, struct list_mark *then,
	struct list_mark *head, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p = pg_p_int(ack->release, a);
	enum rc rc = pg_run(c, at_sql, &p, 1, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_RETRY, "there is no list yet");
	mark_of_row(r, 0, 0, head);
	*then = *head;
	bool known = !pg_null(r, 0, 2) || pg_bool(r, 0, 6);
	struct digest sms = digest_of_bytes(pg_bytes(r, 0, 5));

	if (strcmp(ack->list, head->list) != 0 || ack->release > head->release || !known)
		return err_set(e, RC_CONFLICT, "ack: no such release of this list");
	feed_part(then, ack->service, pg_int(r, 0, 4), &sms);
	return RC_OK;
}

enum rc feed_ack_take(struct pg *c, const struct feed_ack *ack, const char *token,
	const struct table *t, int64_t now_us, struct buf *out, struct list_mark *head,
	struct err *e)
{
	struct list_mark then = {0};
	BUF_OWN struct buf found;
	char hex[65];

	buf_init(&found, 256 * 1024);
	enum rc rc = read_at(c, ack, &then, head, e);
	if (rc != RC_OK)
		return rc;
	bool good = then.count == ack->count && digest_same(&then.digest, &ack->digest);
	if (good)
		buf_add(&found, SLICE("{}"));
	else
		rc = findings(c, ack, then.count, t, &found, e);
	if (rc == RC_OK && found.failed)
		rc = err_set(e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = write_ack(c, ack, token, good, buf_slice(&found).ptr, now_us, e);
	if (rc != RC_OK)
		return rc;
	digest_hex(&then.digest, hex);
	buf_fmt(out,
		"{\"state\":\"%s\",\"release\":%" PRId64 ",\"behind\":%" PRId64
		",\"count\":%" PRId64 ",\"digest\":\"%s\",\"findings\":%s}",
		good ? "confirmed" : "differs", ack->release, head->release - ack->release,
		then.count, hex, buf_slice(&found).ptr);
	return RC_OK;
}

/* ---- how far everybody is */

static const char drift_sql[] =
	"SELECT c.name, c.token, CASE WHEN c.good AND c.list = h.list THEN 'confirmed'"
	" WHEN c.acked_at IS NULL AND c.fetched_list = h.list THEN 'fetched' ELSE 'unknown' END,"
	" c.service, CASE WHEN c.good_list = h.list THEN c.good_release END,"
	" extract(epoch FROM $1::timestamptz - c.good_at)::bigint,"
	" CASE WHEN c.good_list = h.list AND c.good_release < h.release THEN extract(epoch FROM "
	"$1::timestamptz - "
	"coalesce((SELECT r.at FROM release r WHERE r.n = c.good_release + 1), (SELECT r.at FROM "
	"release r ORDER BY r.n LIMIT 1)))::bigint ELSE 0 END,"
	" CASE WHEN c.fetched_list = h.list THEN c.fetched_release END,"
	" extract(epoch FROM $1::timestamptz - c.fetched_at)::bigint, c.findings, h.release, "
	"c.named"
	" FROM list_head h, consumer c ORDER BY c.named DESC, c.name LIMIT " DRIFT_ROWS;

static int64_t seconds(const struct pg_result *r, int row, int col)
{
	int64_t s = pg_int(r, row, col);

	return pg_null(r, row, col) ? -1 : s > 0 ? s : 0;
}

static void row_of(const struct pg_result *r, int i, int64_t alarm_s, struct feed_consumer *out)
{
	*out = (struct feed_consumer){.name = pg_text(r, i, 0).ptr,
		.token = pg_text(r, i, 1).ptr,
		.state = pg_text(r, i, 2).ptr,
		.service = pg_null(r, i, 3) ? -1 : (int)pg_int(r, i, 3),
		.release = pg_null(r, i, 4) ? -1 : pg_int(r, i, 4),
		.age_s = seconds(r, i, 5),
		.behind_s = seconds(r, i, 6),
		.fetched = pg_null(r, i, 7) ? -1 : pg_int(r, i, 7),
		.fetched_age_s = seconds(r, i, 8),
		.findings = pg_text(r, i, 9).ptr,
		.head = pg_int(r, i, 10),
		.named = pg_bool(r, i, 11)};
	out->alarm = out->named &&
		(strcmp(out->state, "confirmed") != 0 || out->age_s > alarm_s ||
			out->behind_s < 0 || out->behind_s > alarm_s);
}

enum rc feed_drift(struct pg *c, int64_t now_us, int64_t alarm_s, feed_consumer_each *each,
	void *arg, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p = pg_p_time(now_us, a);
	enum rc rc = pg_run(c, drift_sql, &p, 1, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct feed_consumer one;

		row_of(r, i, alarm_s, &one);
		each(arg, &one);
	}
	return rc;
}
