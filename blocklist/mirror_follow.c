/* Brings a mirror up to the ledger's head: the changes of the releases in between, or the whole list when there is no way from what
 * it has (first load, another lineage, a gap, a digest that differs). What was loaded is believed only when its count and digest are
 * the head's. */
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>

#include "blocklist/mirror.h"

#define PIECE_ROWS 100000  /* of a full load */
#define CHANGES_MAX 300000 /* more than that: a full load is cheaper */

static const char head_sql[] =
	"SELECT list, release, count, digest, sms_count, sms_digest FROM list_head";
static const char gap_sql[] = "SELECT count(*), coalesce(sum(added + removed), 0) FROM release "
			      "WHERE n > $1 AND n <= $2 AND list = $3::uuid";
static const char changes_sql[] =
	"SELECT " ENTRY_COLUMNS
	", release, op FROM change WHERE release > $1 AND release <= $2 ORDER BY release, ord";
static const char entries_sql[] =
	"SELECT " ENTRY_COLUMNS ", release, 'add' FROM entry WHERE (scope, value, service) > "
	"($1::text, $2::text, $3::smallint)"
	" ORDER BY scope, value, service LIMIT 100000";
_Static_assert(PIECE_ROWS == 100000, "the limit in entries_sql");

struct head {
	struct list_mark mark, sms;
};

static enum rc read_head(struct pg *c, struct head *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, head_sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return RC_NONE;
	mark_of_row(r, 0, 0, &out->mark);
	out->sms = (struct list_mark){
		.count = pg_int(r, 0, 4), .digest = digest_of_bytes(pg_bytes(r, 0, 5))};
	return RC_OK;
}

static void count_in(struct list_mark *all, struct list_mark *sms, const struct entry *e, bool add)
{
	struct digest one = {{0}};

	digest_add(&one, e);
	(add ? digest_join : digest_part)(&all->digest, &one);
	all->count += add ? 1 : -1;
	if (e->service != SERVICE_SMS)
		return;
	(add ? digest_join : digest_part)(&sms->digest, &one);
	sms->count += add ? 1 : -1;
}

/* *t with the result's rows as edits, count and digest carried along. *t is replaced by its successor; `borrowed` tells that its
 * shards belong to a published table. */
static enum rc edit_with(
	struct table **t, const struct table *from, const struct pg_result *r, struct err *e)
{
	size_t n = (size_t)pg_rows(r);
	struct edit *edits = calloc(n + 1, sizeof(*edits));
	struct list_mark mark = from != NULL ? from->mark : (struct list_mark){0};
	struct list_mark sms = from != NULL ? from->sms : (struct list_mark){0};

	if (edits == NULL)
		return err_set(e, RC_RETRY, "mirror: out of memory");
	for (size_t i = 0; i < n; i++) {
		struct edit *x = &edits[i];

		x->e = entry_of_row(r, (int)i, 0);
		x->e.release = pg_int(r, (int)i, 7);
		x->add = pg_text(r, (int)i, 8).ptr[0] == 'a';
		x->ord = (uint32_t)i;
		x->key = shard_key(x->e.scope, x->e.service, slice_str(x->e.value));
		x->shard = shard_index(x->key);
		count_in(&mark, &sms, &x->e, x->add);
	}
	enum rc rc = table_edit(from, edits, n, t);

	free(edits);
	if (rc != RC_OK)
		return err_set(e, rc, "mirror: out of memory");
	(*t)->mark = mark;
	(*t)->sms = sms;
	return RC_OK;
}

static bool as_head_says(const struct table *t, const struct head *head)
{
	return t->mark.count == head->mark.count &&
		digest_same(&t->mark.digest, &head->mark.digest) &&
		t->sms.count == head->sms.count && digest_same(&t->sms.digest, &head->sms.digest);
}

/* ---- changes */

static bool gapless(
	struct pg *c, const struct list_mark *from, const struct list_mark *to, struct arena *a)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {
		pg_p_int(from->release, a), pg_p_int(to->release, a), pg_p_str(to->list)};
	struct err ignored;

	return pg_run(c, gap_sql, p, ARRAY_LEN(p), &r, &ignored) == RC_OK &&
		pg_int(r, 0, 0) == to->release - from->release && pg_int(r, 0, 1) <= CHANGES_MAX;
}

/* RC_NONE: no way from here, load everything. */
static enum rc by_changes(
	struct mirror *m, struct pg *c, const struct head *head, int64_t now_mono_us, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;
	const struct table *was = mirror_table(m);
	struct table *t = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "mirror: out of memory");
	if (was == NULL || strcmp(was->mark.list, head->mark.list) != 0 ||
		was->mark.release >= head->mark.release || !gapless(c, &was->mark, &head->mark, a))
		return RC_NONE;
	struct pg_param p[] = {pg_p_int(was->mark.release, a), pg_p_int(head->mark.release, a)};
	enum rc rc = pg_run(c, changes_sql, p, ARRAY_LEN(p), &r, e);

	if (rc == RC_OK)
		rc = edit_with(&t, was, r, e);
	if (rc != RC_OK)
		return rc;
	if (!as_head_says(t, head)) {
		table_free_old(t, was); /* what it does not share with the present one */
		return RC_NONE;
	}
	t->mark = head->mark;
	mirror_publish(m, t, now_mono_us);
	return RC_OK;
}

/* ---- everything */

static enum rc load_pieces(struct pg *c, struct table **t, struct err *e)
{
	OWN(pg_free) struct pg_result *last = NULL;
	struct pg_param p[] = {pg_p_str(""), pg_p_str(""), pg_p_str("0")};
	enum rc rc;

	do {
		OWN(pg_free) struct pg_result *r = NULL;
		struct table *more = NULL;

		rc = pg_run(c, entries_sql, p, ARRAY_LEN(p), &r, e);
		if (rc == RC_OK)
			rc = edit_with(&more, *t, r, e);
		if (rc != RC_OK)
			return rc;
		if (*t != NULL)
			table_free_old(*t, more);
		*t = more;
		pg_free(TAKE(last));
		last = TAKE(r);
		if (pg_rows(last) > 0)
			for (int i = 0; i < 3; i++)
				p[i] = pg_p_str(pg_text(last, pg_rows(last) - 1, i).ptr);
	} while (pg_rows(last) == PIECE_ROWS);
	return RC_OK;
}

static enum rc load(struct pg *c, struct head *head, struct table **t, struct err *e)
{
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);

	if (rc == RC_OK)
		rc = read_head(c, head, e);
	if (rc == RC_OK)
		rc = load_pieces(c, t, e);
	pg_rollback(c);
	return rc;
}

static enum rc by_all(struct mirror *m, struct pg *c, int64_t now_mono_us, struct err *e)
{
	OWN(table_free) struct table *t = NULL;
	struct head head;
	enum rc rc = load(c, &head, &t, e);

	if (rc != RC_OK)
		return rc;
	if (!as_head_says(t, &head))
		return err_set(e, RC_RETRY,
			"mirror: release %" PRId64 " is not what its head says: %" PRId64
			" entries, want %" PRId64,
			head.mark.release, t->mark.count, head.mark.count);
	t->mark = head.mark;
	mirror_publish(m, TAKE(t), now_mono_us);
	(void)malloc_trim(0); /* pieces and half-made tables took several times the list */
	return RC_OK;
}

enum rc mirror_follow(struct mirror *m, struct pg *c, int64_t now_mono_us, struct err *e)
{
	const struct table *t = mirror_table(m);
	struct head head;
	enum rc rc = read_head(c, &head, e);

	if (rc != RC_OK) /* also RC_NONE: there is no list yet, and so nothing is known */
		return rc;
	if (t != NULL && strcmp(t->mark.list, head.mark.list) == 0 &&
		t->mark.release == head.mark.release &&
		digest_same(&t->mark.digest, &head.mark.digest)) {
		mirror_synced(m, now_mono_us);
		return RC_NONE;
	}
	rc = by_changes(m, c, &head, now_mono_us, e);
	return rc == RC_NONE ? by_all(m, c, now_mono_us, e) : rc;
}
