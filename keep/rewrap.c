/* After a new wrap key: everything that the old one sealed is sealed again, in pieces beside a running engine. Nobody's identity changes, so that no
 * reporter becomes two. Each kind of row is one line of a table: how it is found, and what its seal is bound to. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/audit.h"
#include "keep/keep.h"

#define SEALED_MAX ((size_t)64 << 20)

/* select: key as text, what it is bound to, the sealed bytes; after $1, in order. put: $1 key, $2 new, $3 old bytes. */
struct sealed {
	const char *select, *put;
};
static const struct sealed kinds[] = {
	{"SELECT encode(mac, 'hex'), mac, wrapped_key FROM subject WHERE mac > decode($1, 'hex')"
	 " ORDER BY mac LIMIT 2000",
		"UPDATE subject SET wrapped_key = $2 WHERE mac = decode($1, 'hex') AND wrapped_key "
		"= "
		"$3"},
	{"SELECT source || '/' || topic || '/' || part || '/' || \"offset\", convert_to("
	 "'quarantine/' || source || '/' || topic || '/' || part || '/' || \"offset\", 'UTF8'), "
	 "bytes"
	 " FROM quarantine WHERE source || '/' || topic || '/' || part || '/' || \"offset\" > $1 "
	 "ORDER BY 1 LIMIT 200",
		"UPDATE quarantine SET bytes = $2 WHERE source || '/' || topic || '/' || part || "
		"'/' || "
		"\"offset\" = $1 AND bytes = $3"},
	{"SELECT document_no, convert_to('order/' || document_no, 'UTF8'), file FROM order_doc"
	 " WHERE document_no > $1 ORDER BY 1 LIMIT 20",
		"UPDATE order_doc SET file = $2 WHERE document_no = $1 AND file = $3"},
	{"SELECT name, convert_to('totp ' || name, 'UTF8'), totp FROM person"
	 " WHERE name > $1 AND totp IS NOT NULL ORDER BY 1 LIMIT 200",
		"UPDATE person SET totp = $2 WHERE name = $1 AND totp = $3"},
};

static enum rc again(struct pg *c, const struct keys *k, const struct sealed *s,
	struct pg_result *r, int i, int64_t *n, struct err *e)
{
	struct slice key = pg_text(r, i, 0), aad = pg_bytes(r, i, 1), old = pg_bytes(r, i, 2);
	bool by_old = false;

	if (old.len < SEAL_EXTRA)
		return RC_OK; /* its bytes have gone already */
	OWN(arena_free) struct arena *a = arena_new(2 * old.len + 4096);
	uint8_t *plain = a != NULL ? arena_alloc(a, old.len) : NULL;
	uint8_t *fresh = a != NULL ? arena_alloc(a, old.len) : NULL;
	if (plain == NULL || fresh == NULL || old.len > SEALED_MAX)
		return err_set(e, RC_LIMIT, "out of memory");
	if (keys_unseal_by(k, aad, old, plain, &by_old) != RC_OK)
		return err_set(e, RC_INVALID,
			"%.*s: neither wrap key opens it; the old one must stay", (int)key.len,
			key.ptr);
	if (!by_old)
		return RC_OK;
	keys_seal(k, aad, slice_of((char *)plain, old.len - SEAL_EXTRA), fresh);
	explicit_bzero(plain, old.len);
	struct pg_param p[] = {
		pg_p_text(key, a), pg_p_bytes(slice_of((char *)fresh, old.len)), pg_p_bytes(old)};
	*n += 1;
	return pg_run(c, s->put, p, ARRAY_LEN(p), NULL, e);
}

static enum rc piece(struct pg *c, const struct keys *k, const struct sealed *s, struct buf *after,
	int *rows, int64_t *n, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	OWN(arena_free) struct arena *a = arena_new(1u << 16);

	if (a == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	struct pg_param p[] = {pg_p_text(buf_slice(after), a)};
	enum rc rc = pg_run(c, s->select, p, 1, &r, e);
	*rows = rc == RC_OK ? pg_rows(r) : 0;
	if (rc == RC_OK)
		rc = pg_script(c, "BEGIN", e);
	for (int i = 0; rc == RC_OK && i < *rows; i++)
		rc = again(c, k, s, r, i, n, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	if (*rows > 0) {
		buf_clear(after);
		buf_add(after, pg_text(r, *rows - 1, 0));
	}
	return RC_OK;
}

enum rc rewrap_run(struct pg *c, const struct keys *k, const char *actor, int64_t now_us,
	int64_t *rewrapped, struct err *e)
{
	char line[64];
	enum rc rc = RC_OK;

	*rewrapped = 0;
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(kinds); i++) {
		BUF_OWN struct buf after;
		int rows = 1;
		buf_init(&after, 4096);
		while (rc == RC_OK && rows > 0)
			rc = piece(c, k, &kinds[i], &after, &rows, rewrapped, e);
	}
	if (rc != RC_OK || *rewrapped == 0)
		return rc;
	(void)snprintf(line, sizeof(line), "keys.rewrap rows=%" PRId64 "\n", *rewrapped);
	rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "keys.rewrap", slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}
