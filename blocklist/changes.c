/* The release log as a copy reads it: all changes from the release that the copy is at to the one it goes to. Leaves out how a copy is
 * written: projection_*.c. */
#include <inttypes.h>

#include "blocklist/list.h"

static const char changes_sql[] =
	"SELECT " ENTRY_COLUMNS ", op, release FROM change WHERE release > $1 AND release <= $2"
	" ORDER BY release, ord";
static const char gap_sql[] =
	"SELECT count(*), coalesce(sum(added + removed), 0) FROM release WHERE n > $1 AND n <= $2";

enum rc changes_read(struct pg *c, const struct list_mark *from, const struct list_mark *to,
	int64_t most, struct pg_result **out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *gap = NULL, *r = NULL;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	if (strcmp(from->list, to->list) != 0 || from->release >= to->release)
		return err_set(e, RC_CONFLICT, "no way from release %" PRId64 " to %" PRId64,
			from->release, to->release);
	struct pg_param p[] = {pg_p_int(from->release, a), pg_p_int(to->release, a)};
	enum rc rc = pg_run(c, gap_sql, p, ARRAY_LEN(p), &gap, e);

	if (rc != RC_OK)
		return rc;
	if (pg_int(gap, 0, 0) != to->release - from->release || pg_int(gap, 0, 1) > most)
		return err_set(
			e, RC_CONFLICT, "%" PRId64 " releases behind", to->release - from->release);
	rc = pg_run(c, changes_sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) != pg_int(gap, 0, 1))
		return err_set(e, RC_CONFLICT, "changes are missing");
	*out = TAKE(r);
	return RC_OK;
}

static bool same_key(const struct pg_result *r, int i, int j)
{
	for (int c = 0; c < 3; c++) /* scope, value, service */
		if (!slice_eq(pg_text(r, i, c), pg_text(r, j, c)))
			return false;
	return true;
}

bool change_overtaken(const struct pg_result *r, int i)
{
	return i + 1 < pg_rows(r) && same_key(r, i, i + 1);
}

bool change_leaves_one(const struct pg_result *r)
{
	int last = pg_rows(r) - 1;

	while (last >= 0 && !change_is_add(r, last))
		last--;
	for (int j = last + 1; last >= 0 && j < pg_rows(r); j++)
		if (same_key(r, last, j))
			return false;
	return last >= 0;
}

bool change_is_add(const struct pg_result *r, int i)
{
	return slice_eq(pg_text(r, i, 7), SLICE("add"));
}
