/* The append-only log and its chain. Rows are appended by whoever acts, in the transaction of the act; the keeper links them. A
 * link's hash covers the link before it, so a row that is changed, taken out or put in breaks every later one, and a chain that
 * was cut short or made anew shows against a head kept elsewhere. Leaves out where heads are kept. */
#include "audit/audit.h"

#include <inttypes.h>

#define CANON_CAP (256UL * 1024 * 1024)
/* Rows are read in pieces of about this many bytes: one release may hold megabytes of lines. */
#define PIECE_BYTES "8000000"
#define PIECE_ROWS "2000"

const char audit_append_sql[] = "WITH a AS (INSERT INTO audit (at, actor, what, lines) VALUES ($1, "
				"$2, $3, $4) RETURNING id)"
				" INSERT INTO audit_pending SELECT id FROM a";

enum rc audit_append(struct pg *c, int64_t at_us, const char *actor, const char *what,
	struct slice lines, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(lines.len + 4096);

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param p[] = {pg_p_time(at_us, a), pg_p_str(actor), pg_p_str(what),
		pg_p_text(lines.ptr != NULL ? lines : SLICE(""), a)};

	return pg_run(c, audit_append_sql, p, ARRAY_LEN(p), NULL, e);
}

/* hash = SHA-256(previous || canonical row), in place. */
static enum rc link_hash(uint8_t hash[SHA256_LEN], struct buf *b, int64_t id, int64_t at_us,
	struct slice actor, struct slice what, struct slice lines, struct err *e)
{
	char at[TIME_TEXT];

	time_format(at_us, at);
	buf_clear(b);
	buf_add(b, slice_of((const char *)hash, SHA256_LEN));
	buf_fmt(b, "%" PRId64 "\n%s\n", id, at);
	buf_add(b, actor);
	buf_byte(b, '\n');
	buf_add(b, what);
	buf_byte(b, '\n');
	buf_add(b, lines);
	if (b->failed)
		return err_set(e, RC_RETRY, "audit: row %" PRId64 ": out of memory", id);
	sha256(buf_slice(b), hash);
	return RC_OK;
}

/* ---- chaining */

static const char last_sql[] = "SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1";
static const char pending_sql[] =
	"SELECT id, at, actor, what, lines FROM (SELECT id, at, actor, what, lines,"
	" sum(octet_length(lines)) OVER (ORDER BY id) - octet_length(lines) AS before"
	" FROM audit_pending JOIN audit USING (id) ORDER BY id LIMIT " PIECE_ROWS ") x"
	" WHERE before < " PIECE_BYTES " ORDER BY id";
static const char chain_sql[] =
	"WITH d AS (DELETE FROM audit_pending p USING unnest($2::bigint[]) k(id) WHERE p.id = k.id)"
	" INSERT INTO audit_chain (seq, id, hash) SELECT * FROM "
	"unnest($1::bigint[], $2::bigint[], $3::bytea[])";

struct links {
	struct pg_array seq, id, hash;
};

static void links_init(struct links *l)
{
	pg_array_init(&l->seq, PG_INT8);
	pg_array_init(&l->id, PG_INT8);
	pg_array_init(&l->hash, PG_BYTEA);
}

static void links_done(struct links *l)
{
	pg_array_done(&l->seq);
	pg_array_done(&l->id);
	pg_array_done(&l->hash);
}

static enum rc last_link(struct pg *c, int64_t *seq, uint8_t hash[SHA256_LEN], struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, last_sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	*seq = 0;
	memset(hash, 0, SHA256_LEN);
	if (pg_rows(r) == 0)
		return RC_OK;
	struct slice bytes = pg_bytes(r, 0, 1);

	if (bytes.len != SHA256_LEN)
		return err_set(e, RC_INVALID, "audit: the chain's last hash is damaged");
	*seq = pg_int(r, 0, 0);
	memcpy(hash, bytes.ptr, SHA256_LEN);
	return RC_OK;
}

/* Chains one piece; *rows tells how many. */
static enum rc chain_piece(struct pg *c, struct links *l, struct buf *canon, int64_t *seq,
	uint8_t hash[SHA256_LEN], int *rows, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, pending_sql, NULL, 0, &r, e);

	pg_array_clear(&l->seq);
	pg_array_clear(&l->id);
	pg_array_clear(&l->hash);
	*rows = rc == RC_OK ? pg_rows(r) : 0;
	for (int i = 0; rc == RC_OK && i < *rows; i++) {
		rc = link_hash(hash, canon, pg_int(r, i, 0), pg_time_us(r, i, 1), pg_text(r, i, 2),
			pg_text(r, i, 3), pg_text(r, i, 4), e);
		pg_array_int(&l->seq, ++*seq);
		pg_array_int(&l->id, pg_int(r, i, 0));
		pg_array_text(&l->hash, slice_of((const char *)hash, SHA256_LEN));
	}
	if (rc != RC_OK || *rows == 0)
		return rc;
	struct pg_param p[] = {pg_p_array(&l->seq), pg_p_array(&l->id), pg_p_array(&l->hash)};

	return pg_run(c, chain_sql, p, ARRAY_LEN(p), NULL, e);
}

enum rc audit_chain(
	struct pg *c, int64_t *seq, uint8_t head[SHA256_LEN], size_t *chained, struct err *e)
{
	BUF_OWN struct buf canon;
	struct links l;
	uint8_t hash[SHA256_LEN];
	int64_t at = 0;
	size_t sum = 0;
	int rows = 1;
	enum rc rc = last_link(c, &at, hash, e);

	buf_init(&canon, CANON_CAP);
	links_init(&l);
	while (rc == RC_OK && rows > 0) {
		rc = chain_piece(c, &l, &canon, &at, hash, &rows, e);
		sum += (size_t)rows;
	}
	links_done(&l);
	if (rc != RC_OK)
		return rc;
	*chained = sum;
	if (sum > 0) {
		*seq = at;
		memcpy(head, hash, SHA256_LEN);
	}
	return RC_OK;
}

/* ---- verifying */

static const char walk_sql[] = "SELECT seq, hash, id, at, actor, what, lines FROM (SELECT l.seq, "
			       "l.hash, l.id, a.at, a.actor, a.what,"
			       " a.lines, sum(coalesce(octet_length(a.lines), 0)) OVER (ORDER BY "
			       "l.seq) - coalesce(octet_length(a.lines), 0)"
			       " AS before FROM audit_chain l LEFT JOIN audit a USING (id) WHERE "
			       "l.seq > $1 ORDER BY l.seq LIMIT " PIECE_ROWS ") x"
			       " WHERE before < " PIECE_BYTES " ORDER BY seq";
/* A row in no link and not waiting for one: somebody took its link out, or put the row in. */
static const char loose_sql[] =
	"SELECT a.id FROM audit a WHERE NOT EXISTS (SELECT FROM audit_chain l WHERE l.id = a.id)"
	" AND NOT EXISTS (SELECT FROM audit_pending p WHERE p.id = a.id) ORDER BY a.id LIMIT 1";

struct walk {
	int64_t seq;
	uint8_t hash[SHA256_LEN];
	const struct audit_head *heads; /* by seq; those before `next` have been seen */
	size_t n, next;
};

static enum rc walk_link(
	struct walk *w, struct buf *canon, struct pg_result *r, int i, struct err *e)
{
	int64_t seq = pg_int(r, i, 0), id = pg_int(r, i, 2);
	struct slice stored = pg_bytes(r, i, 1);

	if (seq != w->seq + 1)
		return err_set(e, RC_INVALID, "audit: link %" PRId64 " is missing", w->seq + 1);
	if (pg_null(r, i, 3))
		return err_set(e, RC_INVALID,
			"audit: link %" PRId64 ": its row %" PRId64 " is missing", seq, id);
	enum rc rc = link_hash(w->hash, canon, id, pg_time_us(r, i, 3), pg_text(r, i, 4),
		pg_text(r, i, 5), pg_text(r, i, 6), e);

	if (rc != RC_OK)
		return rc;
	if (stored.len != SHA256_LEN || memcmp(stored.ptr, w->hash, SHA256_LEN) != 0)
		return err_set(e, RC_INVALID,
			"audit: link %" PRId64 " does not hold: row %" PRId64
			" or a link before it was changed",
			seq, id);
	for (; w->next < w->n && w->heads[w->next].seq <= seq; w->next++)
		if (memcmp(w->heads[w->next].hash, w->hash, SHA256_LEN) != 0)
			return err_set(e, RC_INVALID,
				"audit: link %" PRId64
				" is not the one whose hash was kept: the chain was made anew",
				seq);
	w->seq = seq;
	return RC_OK;
}

static enum rc walk_piece(struct walk *w, struct pg *c, struct buf *canon, int *rows, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	struct pg_param after = pg_p_int(w->seq, a);
	enum rc rc = pg_run(c, walk_sql, &after, 1, &r, e);

	*rows = rc == RC_OK ? pg_rows(r) : 0;
	for (int i = 0; rc == RC_OK && i < *rows; i++)
		rc = walk_link(w, canon, r, i, e);
	return rc;
}

static enum rc walk_loose(struct pg *c, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, loose_sql, NULL, 0, &r, e);

	if (rc == RC_OK && pg_rows(r) > 0)
		rc = err_set(
			e, RC_INVALID, "audit: row %" PRId64 " is in no link", pg_int(r, 0, 0));
	return rc;
}

static enum rc walk_all(struct walk *w, struct pg *c, struct err *e)
{
	BUF_OWN struct buf canon;
	int rows = 1;
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);

	buf_init(&canon, CANON_CAP);
	while (rc == RC_OK && rows > 0)
		rc = walk_piece(w, c, &canon, &rows, e);
	if (rc == RC_OK)
		rc = walk_loose(c, e);
	if (rc == RC_OK && w->next < w->n)
		rc = err_set(e, RC_INVALID,
			"audit: the chain ends at link %" PRId64 ", before the kept link %" PRId64,
			w->seq, w->heads[w->n - 1].seq);
	return rc;
}

enum rc audit_verify_heads(
	struct pg *c, const struct audit_head *heads, size_t n, int64_t *links, struct err *e)
{
	struct walk w = {.heads = heads, .n = n};
	enum rc rc = walk_all(&w, c, e);

	pg_rollback(c);
	if (rc == RC_OK)
		*links = w.seq;
	return rc;
}

enum rc audit_verify(
	struct pg *c, int64_t known_seq, const uint8_t *known_hash, int64_t *links, struct err *e)
{
	struct audit_head known = {.seq = known_seq};

	if (known_seq > 0)
		memcpy(known.hash, known_hash, SHA256_LEN);
	return audit_verify_heads(c, &known, known_seq > 0 ? 1 : 0, links, e);
}
