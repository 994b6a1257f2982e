/* Folds what workers have gleaned from texts into campaigns: texts that share a band (or have one fingerprint) and are alike enough are linked, and a
 * campaign is what hangs together. Which campaigns there are at the end does not depend on the order, as long as no bound is reached. One process
 * at a time does it, so no two new texts can miss each other. Evidence, which needs no comparing, is evidence.c's. docs/judgement.md section 8. */
#include <stdlib.h>

#include "cases/glean.h"

#define FOLD_ROWS 4          /* of `gleaned`, a transaction */
#define ALIKE_FROM 0.3       /* as SKETCH_ALIKE */
#define CANDIDATES "32"      /* of one band: more share only something that everybody says */
#define OVERSIZED "1000"     /* texts */
#define COUNTED_SAYS "20000" /* reporters and senders are counted among that many */

static enum rc run_ids(
	struct pg *c, const char *sql, struct pg_array *ids, struct pg_result **out, struct err *e)
{
	struct pg_param p[] = {pg_p_array(ids)};

	return pg_run(c, sql, p, 1, out, e);
}

/* ---- texts ---- */

/* Answers the keys that nobody has used before. */
static const char texts_sql[] =
	"WITH t AS (SELECT u.* FROM gleaned g, unnest(g.texts) u WHERE g.id = ANY($1::bigint[])),"
	" m AS (INSERT INTO campaign_text AS x (key, fingerprint, sketch, bands, reports, first_at,"
	" last_at) SELECT key, min(fingerprint), (array_agg(sketch))[1], (array_agg(bands))[1], "
	"count(*), min(at), "
	"max(at)"
	" FROM t GROUP BY key ON CONFLICT (key) DO UPDATE SET reports = x.reports + "
	"excluded.reports, first_at = least(x.first_at, excluded.first_at),"
	" last_at = greatest(x.last_at, excluded.last_at) RETURNING x.key, x.campaign)"
	" SELECT key FROM m WHERE campaign IS NULL ORDER BY key";
static const char says_sql[] =
	"INSERT INTO campaign_say AS x (text, sender, service, reporter, verified, reports,"
	" first_at, last_at) SELECT u.key, u.sender, u.service, u.reporter, bool_or(u.verified),"
	" count(*), min(u.at), max(u.at) FROM gleaned g, unnest(g.texts) u"
	" WHERE g.id = ANY($1::bigint[]) GROUP BY 1, 2, 3, 4"
	" ON CONFLICT (text, sender, service, reporter) DO UPDATE SET"
	" verified = x.verified OR excluded.verified, reports = x.reports + excluded.reports,"
	" first_at = least(x.first_at, excluded.first_at),"
	" last_at = greatest(x.last_at, excluded.last_at)";
static const char bands_sql[] =
	"INSERT INTO campaign_band (band, text) SELECT DISTINCT b, t.key FROM campaign_text t,"
	" campaign_bands(t.bands) b WHERE t.key = ANY($1::bigint[]) ON CONFLICT DO NOTHING";
/* Those of one fingerprint are linked whatever they share, so that no two campaigns have one name. */
static const char pairs_sql[] =
	"SELECT DISTINCT f.key, c.key, f.sketch, c.sketch, c.fingerprint = f.fingerprint"
	" FROM campaign_text f CROSS JOIN LATERAL (SELECT x.text FROM campaign_bands(f.bands) b"
	" CROSS JOIN LATERAL (SELECT y.text FROM campaign_band y WHERE y.band = b"
	" ORDER BY y.text LIMIT " CANDIDATES ") x UNION SELECT o.key FROM (SELECT key FROM "
	"campaign_text WHERE fingerprint = f.fingerprint ORDER BY key LIMIT " CANDIDATES ") o) n"
	" JOIN campaign_text c ON c.key = n.text"
	" WHERE f.key = ANY($1::bigint[]) AND c.key <> f.key";

/* ---- what hangs together: a small union-find over the keys that this fold has seen ---- */

struct node {
	int64_t key;
	size_t up;        /* itself: the root */
	int64_t campaign; /* 0: none yet */
};

struct forest {
	struct node *at; /* by key */
	size_t n;
};

static int by_key(const void *a, const void *b)
{
	int64_t x = ((const struct node *)a)->key, y = ((const struct node *)b)->key;

	return x < y ? -1 : x > y;
}

static size_t place(const struct forest *f, int64_t key)
{
	struct node want = {.key = key};
	const struct node *n = bsearch(&want, f->at, f->n, sizeof(*f->at), by_key);

	assert(n != NULL);
	return (size_t)(n - f->at);
}

static size_t root(struct forest *f, size_t i)
{
	while (f->at[i].up != i) {
		f->at[i].up = f->at[f->at[i].up].up;
		i = f->at[i].up;
	}
	return i;
}

static void join(struct forest *f, size_t a, size_t b)
{
	a = root(f, a);
	b = root(f, b);
	if (a < b)
		f->at[b].up = a;
	else
		f->at[a].up = b;
}

/* All keys of the pairs and the new ones, each once. */
static enum rc plant(const struct pg_result *fresh, const struct pg_result *pairs,
	struct forest *out, struct err *e)
{
	size_t n = 0, kept = 0, most = (size_t)pg_rows(fresh) + 2 * (size_t)pg_rows(pairs);
	struct node *at = calloc(most + 1, sizeof(*at));

	if (at == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (int i = 0; i < pg_rows(fresh); i++)
		at[n++].key = pg_int(fresh, i, 0);
	for (int i = 0; i < pg_rows(pairs); i++) {
		at[n++].key = pg_int(pairs, i, 0);
		at[n++].key = pg_int(pairs, i, 1);
	}
	qsort(at, n, sizeof(*at), by_key);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || at[kept - 1].key != at[i].key)
			at[kept++] = at[i];
	for (size_t i = 0; i < kept; i++)
		at[i].up = i;
	*out = (struct forest){at, kept};
	return RC_OK;
}

static void link_pairs(struct forest *f, struct pg_result *pairs, sketches_alike *alike)
{
	for (int i = 0; i < pg_rows(pairs); i++)
		if (pg_bool(pairs, i, 4) ||
			alike(pg_bytes(pairs, i, 2), pg_bytes(pairs, i, 3)) >= ALIKE_FROM)
			join(f, place(f, pg_int(pairs, i, 0)), place(f, pg_int(pairs, i, 1)));
}

/* Which campaign each of the keys is in so far, and how large those are. */
static enum rc read_campaigns(struct pg *c, struct forest *f, struct err *e)
{
	static const char sql[] = "SELECT key, campaign FROM campaign_text"
				  " WHERE key = ANY($1::bigint[]) AND campaign IS NOT NULL";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_array keys;

	pg_array_init(&keys, PG_INT8);
	for (size_t i = 0; i < f->n; i++)
		pg_array_int(&keys, f->at[i].key);
	enum rc rc = run_ids(c, sql, &keys, &r, e);
	pg_array_done(&keys);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		f->at[place(f, pg_int(r, i, 0))].campaign = pg_int(r, i, 1);
	return rc;
}

static int by_campaign(const void *a, const void *b)
{
	int64_t x = (*(struct node *const *)a)->campaign, y = (*(struct node *const *)b)->campaign;

	return x < y ? -1 : x > y;
}

/* Texts of one campaign hang together already: taken for two, one of them could take the campaign away from under the other. */
static enum rc link_known(struct forest *f, struct err *e)
{
	struct node **known = calloc(f->n + 1, sizeof(struct node *));
	size_t n = 0;

	if (known == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < f->n; i++)
		if (f->at[i].campaign != 0)
			known[n++] = &f->at[i];
	qsort(known, n, sizeof(struct node *), by_campaign);
	for (size_t i = 1; i < n; i++)
		if (known[i]->campaign == known[i - 1]->campaign)
			join(f, (size_t)(known[i] - f->at), (size_t)(known[i - 1] - f->at));
	free(known);
	return RC_OK;
}

/* $1: keys, $2: for each the key of its root. Of what hangs together the campaign with the most texts takes in the others; without any there is a new
 * one. Answers the campaigns that have changed. */
static const char unite_sql[] =
	"WITH n AS MATERIALIZED (SELECT u.key, u.root, t.campaign FROM"
	" unnest($1::bigint[], $2::bigint[]) u(key, root) JOIN campaign_text t ON t.key = u.key),"
	" had AS MATERIALIZED (SELECT DISTINCT n.root, c.id, c.texts FROM n JOIN campaign c ON "
	"c.id "
	"= n.campaign),"
	" keep AS MATERIALIZED (SELECT DISTINCT ON (root) root, id FROM had ORDER BY root, texts "
	"DESC, id),"
	" made AS MATERIALIZED (SELECT r.root, nextval(pg_get_serial_sequence('campaign', 'id')) "
	"AS id"
	" FROM (SELECT DISTINCT root FROM n WHERE root NOT IN (SELECT root FROM keep)) r),"
	" born AS (INSERT INTO campaign (id, name) OVERRIDING SYSTEM VALUE SELECT id, 0 FROM made),"
	" now AS (SELECT * FROM keep UNION ALL SELECT * FROM made),"
	" gone AS MATERIALIZED (SELECT h.id, k.id AS into_id FROM had h JOIN keep k ON k.root = "
	"h.root"
	" WHERE h.id <> k.id),"
	" moved AS (UPDATE campaign_text t SET campaign = x.id FROM (SELECT n.key, now.id FROM n"
	" JOIN now ON now.root = n.root UNION SELECT t.key, g.into_id FROM gone g"
	" JOIN campaign_text t ON t.campaign = g.id) x"
	" WHERE t.key = x.key AND t.campaign IS DISTINCT FROM x.id),"
	" ended AS (DELETE FROM campaign c USING gone g WHERE c.id = g.id),"
	/* so that its level counts as changed for all its senders */
	" grown AS (UPDATE campaign SET level = -1 WHERE id IN (SELECT into_id FROM gone))"
	" SELECT id FROM now";

static enum rc unite(struct pg *c, struct forest *f, struct pg_array *changed, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_array key, up;

	pg_array_init(&key, PG_INT8);
	pg_array_init(&up, PG_INT8);
	for (size_t i = 0; i < f->n; i++) {
		pg_array_int(&key, f->at[i].key);
		pg_array_int(&up, f->at[root(f, i)].key);
	}
	struct pg_param p[] = {pg_p_array(&key), pg_p_array(&up)};
	enum rc rc = pg_run(c, unite_sql, p, ARRAY_LEN(p), &r, e);
	pg_array_done(&key);
	pg_array_done(&up);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		pg_array_int(changed, pg_int(r, i, 0));
	return rc;
}

static enum rc link_fresh(struct pg *c, struct pg_result *fresh, sketches_alike *alike,
	struct pg_array *changed, struct err *e)
{
	OWN(pg_free) struct pg_result *pairs = NULL;
	struct forest f = {NULL, 0};
	struct pg_array keys;

	pg_array_init(&keys, PG_INT8);
	for (int i = 0; i < pg_rows(fresh); i++)
		pg_array_int(&keys, pg_int(fresh, i, 0));
	enum rc rc = run_ids(c, bands_sql, &keys, NULL, e);
	if (rc == RC_OK)
		rc = run_ids(c, pairs_sql, &keys, &pairs, e);
	pg_array_done(&keys);
	if (rc == RC_OK)
		rc = plant(fresh, pairs, &f, e);
	if (rc == RC_OK) {
		link_pairs(&f, pairs, alike);
		rc = read_campaigns(c, &f, e);
	}
	if (rc == RC_OK)
		rc = link_known(&f, e);
	if (rc == RC_OK)
		rc = unite(c, &f, changed, e);
	free(f.at);
	return rc;
}

/* ---- what a campaign amounts to ---- */

/* Reporters who say it are those whose word is verified; 3, 6, 12 and 24 of them make its levels. Fingerprints have no sign. Senders whose judgement
 * hangs on a campaign that changed its level, or who are named with one for the first time, are judged again. */
static const char amounts_sql[] =
	"WITH t AS (SELECT c.id, c.level AS was, x.* FROM campaign c CROSS JOIN LATERAL (SELECT"
	" count(*) AS texts, sum(reports) AS reports, min(first_at) AS first_at, max(last_at) AS "
	"last_at, (min(fingerprint # (-9223372036854775808)) # (-9223372036854775808)) AS name"
	" FROM campaign_text WHERE campaign = c.id) x WHERE c.id = ANY($1::bigint[])),"
	" n AS (SELECT t.*, y.reporters, y.senders, CASE WHEN t.texts > " OVERSIZED
	" OR y.reporters "
	"< 3 THEN 0 WHEN y.reporters < 6 THEN 1 WHEN y.reporters < 12 THEN 2 WHEN y.reporters < 24"
	" THEN 3 ELSE 4 END AS level FROM t CROSS JOIN LATERAL (SELECT count(DISTINCT s.reporter)"
	" FILTER (WHERE s.verified) AS reporters, count(DISTINCT s.sender) AS senders FROM"
	" (SELECT s.* FROM campaign_text k JOIN campaign_say s ON s.text = k.key WHERE k.campaign "
	"= "
	"t.id LIMIT " COUNTED_SAYS ") s) y),"
	" stored AS (UPDATE campaign c SET name = n.name, texts = n.texts, reports = n.reports,"
	" reporters = n.reporters, senders = n.senders, level = n.level, first_at = n.first_at,"
	" last_at = n.last_at, oversized = n.texts > " OVERSIZED " FROM n WHERE c.id = n.id)"
	" INSERT INTO rejudge (sender, service) SELECT s.sender, s.service FROM n"
	" JOIN campaign_text k ON k.campaign = n.id JOIN campaign_say s ON s.text = k.key"
	" WHERE n.level <> n.was AND n.level <> coalesce((SELECT x.campaign FROM signal x"
	" WHERE x.sender = s.sender AND x.service = s.service), 0) UNION SELECT u.sender, "
	"u.service FROM gleaned g,"
	" unnest(g.texts) u JOIN campaign_text k ON k.key = u.key JOIN n ON n.id = k.campaign"
	" WHERE g.id = ANY($2::bigint[]) AND (k.upheld_at IS NOT NULL OR n.level > coalesce((SELECT"
	" x.campaign FROM signal x WHERE x.sender = u.sender AND x.service = u.service), 0))";

static enum rc fold_texts(struct pg *c, struct pg_array *rows, sketches_alike *alike, struct err *e)
{
	static const char known_sql[] =
		"SELECT DISTINCT t.campaign FROM gleaned g, unnest(g.texts) u JOIN "
		"campaign_text t"
		" ON t.key = u.key WHERE g.id = ANY($1::bigint[])";
	OWN(pg_free) struct pg_result *fresh = NULL, *known = NULL;
	struct pg_array changed;
	enum rc rc = run_ids(c, texts_sql, rows, &fresh, e);

	pg_array_init(&changed, PG_INT8);
	if (rc == RC_OK)
		rc = run_ids(c, says_sql, rows, NULL, e);
	if (rc == RC_OK && pg_rows(fresh) > 0)
		rc = link_fresh(c, fresh, alike, &changed, e);
	if (rc == RC_OK)
		rc = run_ids(c, known_sql, rows, &known, e);
	for (int i = 0; rc == RC_OK && i < pg_rows(known); i++)
		pg_array_int(&changed, pg_int(known, i, 0));
	if (rc == RC_OK && changed.count > 0) {
		struct pg_param p[] = {pg_p_array(&changed), pg_p_array(rows)};
		rc = pg_run(c, amounts_sql, p, ARRAY_LEN(p), NULL, e);
	}
	pg_array_done(&changed);
	return rc;
}

/* ---- the fold ---- */

enum rc glean_lock(struct pg *c, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, "SELECT pg_try_advisory_xact_lock(461263627632)", NULL, 0, &r, e);

	if (rc == RC_OK && !pg_bool(r, 0, 0))
		return err_set(e, RC_NONE, "another process does it");
	return rc;
}

static enum rc fold_some(struct pg *c, sketches_alike *alike, bool *left, struct err *e)
{
	static const char sql[] = "SELECT id FROM gleaned ORDER BY id LIMIT $1";
	OWN(pg_free) struct pg_result *r = NULL;
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct pg_array rows;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	enum rc rc = glean_lock(c, e);
	struct pg_param p[] = {pg_p_int(FOLD_ROWS + 1, a)};
	if (rc == RC_OK)
		rc = pg_run(c, sql, p, 1, &r, e);
	if (rc == RC_OK && pg_rows(r) == 0)
		return err_set(e, RC_NONE, "nothing was gleaned");
	if (rc != RC_OK)
		return rc;
	*left = pg_rows(r) > FOLD_ROWS;
	pg_array_init(&rows, PG_INT8);
	for (int i = 0; i < pg_rows(r) && i < FOLD_ROWS; i++)
		pg_array_int(&rows, pg_int(r, i, 0));
	rc = fold_texts(c, &rows, alike, e);
	if (rc == RC_OK)
		rc = evidence_fold(c, &rows, e);
	if (rc == RC_OK)
		rc = run_ids(c, "DELETE FROM gleaned WHERE id = ANY($1::bigint[])", &rows, NULL, e);
	pg_array_done(&rows);
	return rc;
}

enum rc glean_fold(struct pg *c, sketches_alike *alike, bool *left, struct err *e)
{
	enum rc rc = pg_script(c, "BEGIN", e);

	*left = false;
	if (rc == RC_OK)
		rc = fold_some(c, alike, left, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}
