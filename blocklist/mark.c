/* The mark of a list: which one, its release, how many entries and their digest; read from the ledger, compared, written as the head of
 * a feed. Leaves out the entries: entry.c. */
#include <inttypes.h>

#include "blocklist/list.h"

void mark_of_row(struct pg_result *r, int row, int at, struct list_mark *out)
{
	struct slice list = pg_text(r, row, at);

	memset(out, 0, sizeof(*out));
	if (list.len < sizeof(out->list))
		memcpy(out->list, list.ptr, list.len);
	out->release = pg_int(r, row, at + 1);
	out->count = pg_int(r, row, at + 2);
	out->digest = digest_of_bytes(pg_bytes(r, row, at + 3));
}

bool mark_same(const struct list_mark *a, const struct list_mark *b)
{
	return strcmp(a->list, b->list) == 0 && a->release == b->release && a->count == b->count &&
		digest_same(&a->digest, &b->digest);
}

enum rc head_read(struct pg *c, struct list_mark *out, struct err *e)
{
	static const char sql[] = "SELECT list, release, count, digest FROM list_head";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_RETRY, "there is no list yet");
	mark_of_row(r, 0, 0, out);
	return RC_OK;
}

void mark_json_open(const struct list_mark *m, struct buf *out)
{
	char hex[65];

	digest_hex(&m->digest, hex);
	buf_fmt(out,
		"{\"list\":\"%s\",\"release\":%" PRId64 ",\"count\":%" PRId64 ",\"digest\":\"%s\"",
		m->list, m->release, m->count, hex);
}
