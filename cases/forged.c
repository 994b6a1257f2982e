/* Cases against forged senders: somebody else uses a number (spoofed caller) or a brandname (fake base station). Opened beside the cases of reports,
 * for people only: nothing here wishes for a block, since the sender is the victim. docs/judgement.md section 6 says when. Leaves out how that
 * is seen in the votes: spoofed_look does. */
#include <stdlib.h>

#include "cases/ledger.h"

static const char *kind_of(const struct touched *t)
{
	return t->sender.scope == SCOPE_NAME && t->service == SERVICE_SMS ? "fake_station"
									  : "spoofed_caller";
}

/* What people have closed is opened again only by what came after it. */
static const char put_sql[] =
	"INSERT INTO case_file AS c (id, sender, service, class, kind, reports, first_at, due_at,"
	" peak_at, opened_at) SELECT u.id, u.sender, u.service, 1, u.kind, u.reports, u.first_at,"
	" u.due_at, u.peak_at, $9 FROM unnest($1::text[], $2::bigint[], $3::smallint[], $4::text[],"
	" $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])"
	" u(id, sender, service, kind, reports, first_at, due_at, peak_at)"
	" WHERE NOT EXISTS (SELECT FROM case_file d WHERE d.sender = u.sender"
	" AND d.service = u.service AND d.state = 'closed' AND d.kind <> 'reports' AND d.kind <> "
	"'registration'"
	" AND d.peak_at >= u.peak_at)"
	" ON CONFLICT (sender, service, kind) WHERE state <> 'closed' AND kind <> 'reports'"
	" DO UPDATE SET reports = excluded.reports, first_at = excluded.first_at,"
	" due_at = c.due_at + (excluded.first_at - c.first_at), peak_at = excluded.peak_at,"
	" version = c.version + 1"
	" WHERE (c.reports, c.first_at, c.peak_at) IS DISTINCT FROM"
	" (excluded.reports, excluded.first_at, excluded.peak_at)"
	" RETURNING c.id, c.sender, c.service, c.xmax = 0";
/* Its time is forgotten, so that it stands in nobody's way when the votes tell it again. */
static const char drop_sql[] =
	"UPDATE case_file c SET state = 'closed', outcome = 'no_action', closed_at = $3,"
	" peak_at = NULL, version = version + 1 FROM unnest($1::bigint[], $2::smallint[])"
	" u(sender, service) WHERE c.sender = u.sender AND c.service = u.service"
	" AND c.state <> 'closed' AND c.kind <> 'reports' AND c.kind <> 'registration' AND c.state "
	"= 'open'"
	" RETURNING c.id, c.sender, c.service, false";

static enum rc send_put(struct ledger *l, const struct ledger_settings *s, const struct touched *t,
	size_t n, int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	char fresh[CASE_ID];

	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_TEXT), *sender = array_of(l, PG_INT8),
			*service = array_of(l, PG_INT2), *kind = array_of(l, PG_TEXT),
			*reports = array_of(l, PG_INT8), *first = array_of(l, PG_TIMESTAMPTZ),
			*due = array_of(l, PG_TIMESTAMPTZ), *peak = array_of(l, PG_TIMESTAMPTZ);
	for (size_t i = 0; i < n; i++) {
		if (!t[i].spoofed.is)
			continue;
		case_new_id(fresh);
		pg_array_text(id, slice_str(fresh));
		pg_array_int(sender, t[i].sender_id);
		pg_array_int(service, t[i].service);
		pg_array_text(kind, slice_str(kind_of(&t[i])));
		pg_array_int(reports, t[i].spoofed.reporters);
		pg_array_time(first, t[i].spoofed.first_at);
		pg_array_time(due, t[i].spoofed.first_at + s->clock_s[CLASS_SCAM] * US_PER_S);
		pg_array_time(peak, t[i].spoofed.at);
	}
	if (id->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(id), pg_p_array(sender), pg_p_array(service),
		pg_p_array(kind), pg_p_array(reports), pg_p_array(first), pg_p_array(due),
		pg_p_array(peak), pg_p_time(now_us, a)};
	*sent += 1;
	return pg_send(l->pg, put_sql, p, ARRAY_LEN(p), e);
}

/* Contact facts may have taken the last vote that said so. */
static enum rc send_drop(struct ledger *l, const struct work *w, const struct touched *t, size_t n,
	int64_t now_us, struct arena *a, int *sent, struct err *e)
{
	arrays_begin(l);
	struct pg_array *sender = array_of(l, PG_INT8), *service = array_of(l, PG_INT2);

	for (size_t i = 0; i < n; i++) {
		if (t[i].spoofed.is || !(t[i].spoofed.any || w->facts))
			continue;
		pg_array_int(sender, t[i].sender_id);
		pg_array_int(service, t[i].service);
	}
	if (sender->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(sender), pg_p_array(service), pg_p_time(now_us, a)};
	*sent += 1;
	return pg_send(l->pg, drop_sql, p, ARRAY_LEN(p), e);
}

enum rc forged_send(struct ledger *l, const struct ledger_settings *s, const struct work *w,
	const struct touched *t, size_t n, int64_t now_us, struct arena *a, int *sent,
	struct err *e)
{
	enum rc rc = send_put(l, s, t, n, now_us, a, sent, e);

	return rc == RC_OK ? send_drop(l, w, t, n, now_us, a, sent, e) : rc;
}

enum rc forged_recv(struct ledger *l, const struct touched *t, size_t n, int sent, struct err *e)
{
	enum rc rc = RC_OK;

	for (int k = 0; rc == RC_OK && k < sent; k++) {
		OWN(pg_free) struct pg_result *r = NULL;
		rc = pg_recv(l->pg, &r, e);
		for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
			const struct touched *at =
				touched_at(t, n, pg_int(r, i, 1), (enum service)pg_int(r, i, 2));
			struct slice id = pg_text(r, i, 0);
			bool opened = pg_bool(r, i, 3);
			char masked[MASKED_TEXT];

			if (at == NULL)
				return err_set(e, RC_FATAL, "ledger: a case nobody touched");
			if (!opened && at->spoofed.is)
				continue; /* it only grew */
			buf_fmt(&l->audit, "case.%s %.*s %s/%s %s %s\n", opened ? "open" : "close",
				(int)id.len, id.ptr, scope_name(at->sender.scope),
				masked_sender(&at->sender, masked), service_name(at->service),
				kind_of(at));
		}
	}
	return rc;
}
