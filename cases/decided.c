/* What the machine decided of the touched senders before this batch: episodes and wishes, read under the senders' locks. Most senders have
 * none, and most of the others nothing new. */
#include <stdlib.h>

#include "cases/ledger.h"

enum rc known_send(struct ledger *l, const struct pg_param touched[3], struct err *e)
{
	static const char sql[] =
		"SELECT t.place, x.* FROM unnest($1::bigint[], $2::smallint[], $3::int[])"
		" t(sender, service, place) CROSS JOIN LATERAL ("
		"SELECT a.class::int, false, a.decided_at, a.until, a.id, a.rung, a.reporters, "
		"a.matched,"
		" a.state, a.reason, a.action FROM action a WHERE a.sender = t.sender"
		" AND a.service = t.service AND a.origin = 'auto' AND a.state <> 'superseded'"
		" UNION ALL SELECT (w.origin = 'auto:scam')::int, true, w.decided_at, w.until, 0, "
		"w.rung, 0, 0,"
		" w.state, w.reason, w.detail FROM wish w WHERE w.sender = t.sender"
		" AND w.service = t.service AND w.origin IN ('auto:nuisance', 'auto:scam')) x";

	return pg_send(l->pg, sql, touched, 3, e);
}

static void copy_word(char *out, size_t room, struct slice s)
{
	size_t n = s.len < room ? s.len : room - 1;

	memcpy(out, s.ptr, n);
	out[n] = '\0';
}

static int by_place(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->touched != y->touched)
		return x->touched < y->touched ? -1 : 1;
	if (x->cls != y->cls)
		return (int)x->cls - (int)y->cls;
	return x->decided_at < y->decided_at ? -1 : x->decided_at > y->decided_at;
}

enum rc known_recv(
	struct ledger *l, struct work *w, size_t n_touched, struct arena *a, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	w->n_known = (size_t)pg_rows(r);
	w->known = arena_array(a, w->n_known, sizeof(*w->known));
	if (w->known == NULL)
		return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
	for (int i = 0; i < pg_rows(r); i++) {
		struct known *k = &w->known[i];

		k->touched = (size_t)pg_int(r, i, 0);
		k->cls = pg_int(r, i, 1) == CLASS_SCAM ? CLASS_SCAM : CLASS_NUISANCE;
		k->wish = pg_bool(r, i, 2);
		k->decided_at = pg_time_us(r, i, 3);
		k->until = pg_time_us(r, i, 4);
		k->id = pg_int(r, i, 5);
		k->rung = (enum rung)pg_int(r, i, 6);
		k->reporters = (int)pg_int(r, i, 7);
		k->matched = (int)pg_int(r, i, 8);
		copy_word(k->state, sizeof(k->state), pg_text(r, i, 9));
		copy_word(k->reason, sizeof(k->reason), pg_text(r, i, 10));
		copy_word(k->action, sizeof(k->action), pg_text(r, i, 11));
		if (k->touched >= n_touched)
			return err_set(e, RC_FATAL, "ledger: a decision nobody asked for");
	}
	qsort(w->known, w->n_known, sizeof(*w->known), by_place);
	return RC_OK;
}
