/* The list in a compacted Kafka topic: key service|scope|value, value the entry, a tombstone when it is gone; headers list, release, count and
 * digest say what the topic holds once all of that release is read. One fenced writer; a release, or a rebuild, is one
 * transaction. Where the copy is stands in the topic itself: it is read from end to end when the copy is opened and by every sweep, and
 * what its entries sum up to must be what the newest of them says. So the last release always leaves an entry with its headers, unless
 * the list is empty. A rebuild writes differences only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blocklist/kafka_rows.h"

#define CHANGES_MAX 200000
#define PAGE_ROWS 5000
#define VALUE_CAP 8192

struct projection {
	struct kafka_table *t;
	bool known; /* mark is what the topic holds */
	struct list_mark mark;
};

/* What is written with every record of one transaction. */
struct writer {
	struct kafka_table *t;
	struct buf value;
	char release[24], count[24], digest[65];
	const char *headers[9];
	int64_t puts; /* entries */
	int64_t all;
};

static void writer_init(struct writer *w, struct kafka_table *t, const struct list_mark *m)
{
	*w = (struct writer){.t = t};
	buf_init(&w->value, VALUE_CAP);
	(void)snprintf(w->release, sizeof(w->release), "%" PRId64, m->release);
	(void)snprintf(w->count, sizeof(w->count), "%" PRId64, m->count);
	digest_hex(&m->digest, w->digest);
	const char *const headers[9] = {"list", m->list, "release", w->release, "count", w->count,
		"digest", w->digest, NULL};

	memcpy(w->headers, headers, sizeof(headers));
}

/* The first record begins the transaction. */
static enum rc put(
	struct writer *w, int32_t partition, struct slice key, struct slice value, struct err *e)
{
	enum rc rc = w->all == 0 ? kafka_table_begin(w->t, e) : RC_OK;

	if (rc == RC_OK)
		rc = kafka_table_put(w->t, partition, key, value, w->headers, e);
	w->all++;
	w->puts += value.ptr != NULL;
	return rc;
}

static enum rc put_entry(struct writer *w, const struct entry *one, bool gone, struct err *e)
{
	char key[ENTRY_LINE];
	struct slice k = slice_of(key, entry_key(one, key, sizeof(key)));
	int32_t home = kafka_table_home(w->t, k);

	if (gone)
		return put(w, home, k, slice_of(NULL, 0), e);
	buf_clear(&w->value);
	entry_json(one, &w->value);
	if (w->value.failed)
		return err_set(e, RC_INVALID, "kafka: an entry is too long");
	return put(w, home, k, buf_slice(&w->value), e);
}

static enum rc finish(struct writer *w, struct err *e)
{
	return w->all > 0 ? kafka_table_commit(w->t, e) : RC_OK;
}

/* ---- operations */

static void topic_close(struct projection *p)
{
	if (p == NULL)
		return;
	kafka_table_close(p->t);
	free(p);
}
OWNER(topic_close, struct projection);

static enum rc topic_open(const struct projection_target *t, struct projection **out, struct err *e)
{
	OWN(topic_close) struct projection *p = calloc(1, sizeof(*p));
	char id[300];

	if (p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	(void)snprintf(id, sizeof(id), "khien-%s", t->topic); /* one writer of a topic at a time */
	enum rc rc = kafka_table_open(t->kafka, t->topic, id, t->timeout_ms, &p->t, e);

	if (rc == RC_OK)
		*out = TAKE(p);
	return rc;
}

static enum rc topic_at(struct projection *p, struct list_mark *out, struct err *e)
{
	ROWS_OWN struct rows r;
	enum rc rc = rows_init(&r, e);

	if (p->known) {
		*out = p->mark;
		return RC_OK;
	}
	if (rc == RC_OK)
		rc = kafka_table_read(p->t, rows_add, &r, e);
	if (rc == RC_OK)
		rc = rows_mark(&r, &p->mark);
	if (rc != RC_OK)
		return rc;
	p->known = true;
	*out = p->mark;
	return RC_OK;
}

/* An entry that is on the list as it was at this release, written once more, so that the topic says how far it is. */
static enum rc put_any(struct writer *w, struct pg *c, int64_t release, struct err *e)
{
	static const char sql[] = "SELECT " ENTRY_COLUMNS " FROM entry WHERE release <= $1"
				  " ORDER BY scope, value, service LIMIT 1";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p = pg_p_int(release, a);
	enum rc rc = pg_run(c, sql, &p, 1, &r, e);

	if (rc != RC_OK || pg_rows(r) == 0) /* then the next release follows at once */
		return rc;
	struct entry one = entry_of_row(r, 0, 0);

	return put_entry(w, &one, false, e);
}

static enum rc topic_apply(struct projection *p, struct pg *c, const struct list_mark *from,
	const struct list_mark *to, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct writer w;
	enum rc rc = changes_read(c, from, to, CHANGES_MAX, &r, e);

	if (rc != RC_OK)
		return rc;
	if (!p->known || !mark_same(&p->mark, from))
		return err_set(e, RC_CONFLICT, "kafka: the topic is not at release %" PRId64,
			from->release);
	writer_init(&w, p->t, to);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct entry one = entry_of_row(r, i, 0);

		if (change_is_add(r, i) || !change_overtaken(r, i))
			rc = put_entry(&w, &one, !change_is_add(r, i), e);
	}
	if (rc == RC_OK && !change_leaves_one(r))
		rc = put_any(&w, c, to->release, e);
	if (rc == RC_OK)
		rc = finish(&w, e);
	buf_done(&w.value);
	p->known = rc == RC_OK;
	if (rc == RC_OK)
		p->mark = *to;
	return rc == RC_CONFLICT ? RC_RETRY : rc;
}

/* ---- rebuilding */

static const char page_sql[] =
	"SELECT " ENTRY_COLUMNS
	" FROM entry WHERE (scope, value, service) > ($1::text, $2::text, $3::smallint)"
	" ORDER BY scope, value, service LIMIT 5000";
_Static_assert(PAGE_ROWS == 5000, "the limit in page_sql");

/* Is this what the topic says already, of this list? */
static bool there(struct writer *w, struct rows *r, const struct entry *one, const char *list)
{
	char key[ENTRY_LINE];
	struct slice k = slice_of(key, entry_key(one, key, sizeof(key)));
	struct row *row = rows_find(r, k, kafka_table_home(w->t, k));

	if (row == NULL)
		return false;
	row->kept = true;
	buf_clear(&w->value);
	entry_json(one, &w->value);
	return row->live && !row->odd && row->list < ROWS_LISTS &&
		strcmp(r->lists[row->list], list) == 0 &&
		row->value == rows_hash(buf_slice(&w->value));
}

static enum rc put_missing(struct writer *w, struct rows *rows, const struct pg_result *r,
	const char *list, struct list_mark *sum, struct err *e)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct entry one = entry_of_row(r, i, 0);

		digest_add(&sum->digest, &one);
		sum->count++;
		if (!there(w, rows, &one, list))
			rc = put_entry(w, &one, false, e);
	}
	return rc;
}

static enum rc put_list(struct writer *w, struct rows *rows, struct pg *c,
	const struct list_mark *head, struct list_mark *sum, struct err *e)
{
	OWN(pg_free) struct pg_result *last = NULL;
	struct pg_param q[] = {pg_p_str(""), pg_p_str(""), pg_p_str("0")};

	do {
		OWN(pg_free) struct pg_result *r = NULL;
		enum rc rc = pg_run(c, page_sql, q, ARRAY_LEN(q), &r, e);

		if (rc == RC_OK)
			rc = put_missing(w, rows, r, head->list, sum, e);
		if (rc != RC_OK)
			return rc;
		pg_free(TAKE(last));
		last = TAKE(r);
		for (int i = 0; i < 3 && pg_rows(last) > 0; i++)
			q[i] = pg_p_str(pg_text(last, pg_rows(last) - 1, i).ptr);
	} while (pg_rows(last) == PAGE_ROWS);
	return RC_OK;
}

static enum rc put_tombstones(struct writer *w, const struct rows *rows, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < rows->room; i++) {
		const struct row *one = &rows->at[i];

		if (one->hash != 0 && one->live && !one->kept)
			rc = put(w, one->partition, rows_key(rows, one), slice_of(NULL, 0), e);
	}
	return rc;
}

/* One consistent state of the ledger into one transaction. */
static enum rc write_all(struct projection *p, struct rows *rows, struct pg *c,
	struct list_mark *head, struct err *e)
{
	struct list_mark sum = {0};
	struct writer w = {0};
	enum rc rc = head_read(c, head, e);

	if (rc != RC_OK)
		return rc;
	writer_init(&w, p->t, head);
	rc = put_list(&w, rows, c, head, &sum, e);
	if (rc == RC_OK)
		rc = put_tombstones(&w, rows, e);
	if (rc == RC_OK && w.puts == 0)
		rc = put_any(&w, c, head->release, e);
	if (rc == RC_OK && (sum.count != head->count || !digest_same(&sum.digest, &head->digest)))
		rc = err_set(e, RC_RETRY,
			"kafka: release %" PRId64 " is not what its head says: %" PRId64
			" entries, want %" PRId64,
			head->release, sum.count, head->count);
	if (rc == RC_OK)
		rc = finish(&w, e);
	buf_done(&w.value);
	return rc;
}

static enum rc topic_rebuild(struct projection *p, struct pg *c, struct err *e)
{
	ROWS_OWN struct rows r;
	struct list_mark head = {0};
	enum rc rc = rows_init(&r, e);

	p->known = false;
	if (rc == RC_OK)
		rc = kafka_table_read(p->t, rows_add, &r, e);
	if (rc == RC_OK)
		rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);
	if (rc != RC_OK)
		return rc;
	rc = write_all(p, &r, c, &head, e);
	pg_rollback(c);
	p->known = rc == RC_OK;
	if (rc == RC_OK)
		p->mark = head;
	return rc;
}

static enum rc topic_sweep(struct projection *p, struct pg *c, struct err *e)
{
	ROWS_OWN struct rows r;
	struct list_mark has = {0};
	enum rc rc = rows_init(&r, e);

	(void)c;
	if (rc == RC_OK)
		rc = kafka_table_read(p->t, rows_add, &r, e);
	if (rc != RC_OK)
		return rc;
	if (r.count == 0 && r.odd == 0 && p->known && p->mark.count == 0)
		return RC_OK;
	if (!p->known || rows_mark(&r, &has) != RC_OK || !mark_same(&has, &p->mark))
		return err_set(e, RC_CONFLICT,
			"kafka: the topic holds %" PRId64 " entries and %" PRId64
			" other records that are not the %" PRId64 " of release %" PRId64,
			r.count, r.odd, p->mark.count, p->mark.release);
	return RC_OK;
}

const struct projection_ops projection_kafka = {
	.name = "kafka",
	.open = topic_open,
	.close = topic_close,
	.at = topic_at,
	.apply = topic_apply,
	.rebuild = topic_rebuild,
	.sweep = topic_sweep,
};
