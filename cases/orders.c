/* What an authority's order does. It bypasses score and caps, so it becomes wishes that the keeper admits at once, in one transaction with its
 * document, its cases and its audit entry: whole or not at all. Senders are locked in the order of everybody, then everything is a
 * statement over all of them. Leaves out reading the file (order_file.c) and what people decide afterwards (order_people.c). */
#include <stdio.h>

#include "cases/orders.h"

static struct pg_param p_slice(struct slice s)
{
	return s.len > 0 ? (struct pg_param){s.ptr, (int)s.len, 1} : pg_p_none();
}

/* ---- the document and its items ---- */

static enum rc known_already(
	struct pg *c, struct slice document_no, const uint8_t sha[SHA256_LEN], struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {p_slice(document_no)};
	enum rc rc = pg_run(
		c, "SELECT file_sha256 FROM order_doc WHERE document_no = $1::text", p, 1, &r, e);

	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	if (slice_eq(pg_bytes(r, 0, 0), slice_of((const char *)sha, SHA256_LEN)))
		return err_set(e, RC_NONE, "order %.*s is in already", (int)document_no.len,
			document_no.ptr);
	return err_set(e, RC_CONFLICT, "another order has the document_no %.*s",
		(int)document_no.len, document_no.ptr);
}

static enum rc put_document(struct pg *c, const struct keys *k, const struct order *o,
	struct slice file, const uint8_t sha[SHA256_LEN], const char *actor, int64_t now_us,
	struct arena *a, struct err *e)
{
	static const char sql[] =
		"INSERT INTO order_doc (document_no, issuer, legal_basis, signed_at, received_at, "
		"deadline,"
		" until, action, sms, voice, class, list_sha256, amends, revokes, file, "
		"file_sha256,"
		" imported_at, imported_by) VALUES ($1::text, $2::text, $3::text, $4, $5, $6, $7, "
		"$8::text,"
		" $9, $10, $11, $12, $13::text, $14::text, $15, $16, $17, $18)";
	uint8_t *sealed = arena_alloc(a, file.len + SEAL_EXTRA);
	const char *aad = arena_fmt(a, "order/%.*s", (int)o->document_no.len, o->document_no.ptr);

	if (sealed == NULL || aad == NULL)
		return err_set(e, RC_LIMIT, "the order is too long");
	keys_seal(k, slice_str(aad), file, sealed);
	struct pg_param p[] = {p_slice(o->document_no), p_slice(o->issuer), p_slice(o->legal_basis),
		pg_p_time(o->signed_at, a), pg_p_time(o->received_at, a), pg_p_time(o->deadline, a),
		pg_p_time(o->until, a), p_slice(o->action), pg_p_bool(o->service[SERVICE_SMS]),
		pg_p_bool(o->service[SERVICE_VOICE]), pg_p_int(o->cls, a),
		pg_p_bytes(slice_of((const char *)o->list_sha256, SHA256_LEN)), p_slice(o->amends),
		p_slice(o->revokes),
		pg_p_bytes(slice_of((const char *)sealed, file.len + SEAL_EXTRA)),
		pg_p_bytes(slice_of((const char *)sha, SHA256_LEN)), pg_p_time(now_us, a),
		pg_p_str(actor)};
	return pg_run(c, sql, p, ARRAY_LEN(p), NULL, e);
}

static void copy_item(struct pg *c, const struct order *o, const struct order_item *i)
{
	pg_copy_row(c);
	pg_copy_text(c, o->document_no);
	pg_copy_int4(c, i->line);
	pg_copy_text(c, i->shown);
	if (i->fault != NULL)
		pg_copy_text(c, slice_str(i->fault));
	else
		pg_copy_null(c);
	if (i->same_as != 0)
		pg_copy_int4(c, i->same_as);
	else
		pg_copy_null(c);
	if (i->fault != NULL) {
		for (int n = 0; n < 6; n++)
			pg_copy_null(c);
	} else {
		pg_copy_text(c, slice_str(scope_name(i->sender.scope)));
		pg_copy_text(c, slice_str(i->sender.value));
		pg_copy_text(c, slice_str(attribution_name(i->attribution)));
		pg_copy_text(c, slice_str(i->carrier != NULL ? i->carrier : ""));
		pg_copy_bool(c, i->by_table);
		pg_copy_text(c, slice_str(i->number_class != NULL ? i->number_class : ""));
	}
	pg_copy_bool(c, i->emergency);
}

static enum rc put_items(struct pg *c, const struct order *o, struct err *e)
{
	static const char sql[] =
		"COPY order_item (document_no, line, raw, fault, same_as, scope, value, "
		"attribution, carrier,"
		" by_table, number_class, emergency) FROM STDIN (FORMAT binary)";
	enum rc rc = pg_copy_begin(c, sql, 12, e);

	for (size_t i = 0; rc == RC_OK && i < o->n; i++)
		copy_item(c, o, &o->items[i]);
	if (rc == RC_OK)
		rc = pg_copy_end(c, NULL, e);
	/* A plan made for a handful of rows would not do for 100,000. Only the orders' own tables: others are in use. */
	return rc == RC_OK ? pg_script(c, "ANALYZE order_item", e) : rc;
}

/* ---- the senders of an order, one statement for each thing that is done ---- */

/* Known ones are locked, new ones made, then those that somebody else has made meanwhile: the order of the workers. */
static const char lock_sql[] =
	"SELECT count(*) FROM (SELECT s.id FROM sender s WHERE s.id IN (SELECT t.sender FROM "
	"order_doc d"
	" JOIN order_target t ON t.document_no IN (d.amends, d.revokes) WHERE d.document_no = $1"
	" UNION SELECT x.id FROM order_item i JOIN sender x ON x.scope = i.scope AND x.value = "
	"i.value"
	" WHERE i.document_no = $1 AND i.fault IS NULL AND i.same_as IS NULL)"
	" ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s) locked";
static const struct order_step lock_steps[] = {
	{lock_sql, 1},
	{"INSERT INTO sender (scope, value, attribution, carrier, by_table, class, created_at)"
	 " SELECT scope, value, attribution, carrier, by_table, number_class, $2 FROM order_item"
	 " WHERE document_no = $1 AND fault IS NULL AND same_as IS NULL"
	 " ORDER BY scope COLLATE \"C\", value ON CONFLICT (scope, value) DO NOTHING",
		2},
	{lock_sql, 1},
};

#define TARGETS(state)                                              \
	" FROM order_target t JOIN order_doc d USING (document_no)" \
	" WHERE t.document_no = $1 AND t.state IN (" state ")"
#define RUNG "CASE d.action WHEN 'recall' THEN 5 WHEN 'bar_both' THEN 4 ELSE 3 END"
static const char target_sql[] =
	"INSERT INTO order_target (document_no, line, service, sender, case_id, state)"
	" SELECT document_no, line, service, sender,"
	" CASE WHEN state IN ('wished', 'held') THEN coalesce(known, case_id()) ELSE '' END, state"
	" FROM (SELECT i.document_no, i.line, v.service, s.id AS sender, k.id AS known,"
	" CASE WHEN d.until <= $2 THEN 'expired' WHEN d.action IN ('bar_out', 'recall')"
	" AND i.attribution IN ('other', 'foreign', 'unattributed') THEN 'not_ours'"
	" WHEN i.emergency OR " PROTECTED_EXISTS("v.service",
		"$2") " THEN 'held' ELSE 'wished' END AS state"
		      " FROM order_doc d JOIN order_item i USING (document_no)"
		      " JOIN sender s ON s.scope = i.scope AND s.value = i.value"
		      " CROSS JOIN LATERAL (VALUES (0::smallint, d.sms), (1::smallint, d.voice)) "
		      "v(service, listed)"
		      " LEFT JOIN case_file k ON k.sender = s.id AND k.service = v.service AND "
		      "k.class = d.class"
		      " AND " CASE_OPEN(
			      "k") " WHERE d.document_no = $1 AND v.listed AND i.fault IS NULL"
				   " AND i.same_as IS NULL) x";
static const struct order_step wish_steps[] = {
	{target_sql, 2},
	{"ANALYZE order_target", 0},
	{"INSERT INTO case_file (id, sender, service, class, state, rung, first_at, due_at, "
	 "opened_at)"
	 " SELECT t.case_id, t.sender, t.service, d.class,"
	 " CASE t.state WHEN 'held' THEN 'held' ELSE 'enforced' END, 0, d.received_at,"
	 " coalesce(d.deadline, d.received_at), $2" TARGETS(
		 "'wished', 'held'") " AND NOT EXISTS (SELECT FROM case_file k WHERE k.id = "
				     "t.case_id) ORDER BY t.case_id",
		2},
	{"INSERT INTO action (case_id, sender, service, class, origin, rung, action, decided_at, "
	 "until,"
	 " state, reason, basis, recorded_at) SELECT t.case_id, t.sender, t.service, d.class,"
	 " 'order:' || d.document_no, " RUNG ", d.action, d.received_at, d.until,"
	 " CASE t.state WHEN 'wished' THEN 'admitted' ELSE t.state END,"
	 " CASE t.state WHEN 'held' THEN 'protected' ELSE '' END,"
	 " d.legal_basis, $2" TARGETS("'wished', 'held', 'expired', 'not_ours'"),
		2},
	{"INSERT INTO wish (sender, service, origin, action, detail, case_id, until, basis, rung, "
	 "score,"
	 " first_at, decided_at, state, reason) SELECT t.sender, t.service, 'order:' || "
	 "d.document_no,"
	 " 'bar', d.action, t.case_id, d.until, d.legal_basis, " RUNG
	 ", 1, d.received_at, d.received_at,"
	 " CASE t.state WHEN 'held' THEN 'held' ELSE 'admitted' END,"
	 " CASE t.state WHEN 'held' THEN 'protected' ELSE '' END" TARGETS("'wished', 'held'"),
		1},
	{"UPDATE case_file k SET state = 'enforced', version = version + 1 FROM order_target t"
	 " WHERE t.document_no = $1 AND t.state = 'wished' AND k.id = t.case_id"
	 " AND k.state IN ('open', 'verifying', 'held')",
		1},
	{"INSERT INTO dirty (sender, service) SELECT t.sender, t.service" TARGETS(
		 "'wished', 'held'"),
		1},
	{"UPDATE order_doc SET applied_at = $2, breach = coalesce($2 > deadline, false)"
	 " WHERE document_no = $1",
		2},
};

/* ---- all of it ---- */

/* The order that this one amends or revokes, "": none. */
static enum rc former_of(
	struct pg *c, const char *document_no, struct arena *a, const char **out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(document_no)};
	enum rc rc = pg_run(c,
		"SELECT coalesce(amends, revokes, '') FROM order_doc WHERE document_no = $1", p, 1,
		&r, e);

	if (rc != RC_OK)
		return rc;
	*out = arena_copy(a, pg_text(r, 0, 0)).ptr;
	return *out != NULL ? RC_OK : err_set(e, RC_LIMIT, "the order is too long");
}

/* What it ends may not be in force here: a paper of before, or ended already. Its own list is carried out all the same. */
static enum rc end_former(struct pg *c, const char *document_no, const char *former, int64_t now_us,
	struct arena *a, struct err *e)
{
	struct pg_param p[] = {pg_p_str(document_no)};
	int64_t ended = 0;
	enum rc rc = order_end(c, former, document_no, now_us, a, &ended, e);

	if (rc != RC_NONE)
		return rc;
	return pg_run(
		c, "UPDATE order_doc SET former_gone = true WHERE document_no = $1", p, 1, NULL, e);
}

static enum rc count_targets(
	struct pg *c, const char *document_no, struct order_done *out, struct err *e)
{
	static const char sql[] = "SELECT count(*) FILTER (WHERE t.state = 'wished'), count(*) "
				  "FILTER (WHERE t.state = 'held'),"
				  " count(*) FILTER (WHERE t.state = 'not_ours'),"
				  " count(*) FILTER (WHERE t.state = 'expired'), "
				  "bool_or(d.breach), bool_or(d.former_gone)"
				  " FROM order_doc d LEFT JOIN order_target t USING (document_no) "
				  "WHERE d.document_no = $1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(document_no)};
	enum rc rc = pg_run(c, sql, p, 1, &r, e);

	if (rc == RC_OK)
		*out = (struct order_done){.wished = pg_int(r, 0, 0),
			.held = pg_int(r, 0, 1),
			.not_ours = pg_int(r, 0, 2),
			.expired = pg_int(r, 0, 3),
			.breach = pg_bool(r, 0, 4),
			.former_gone = pg_bool(r, 0, 5)};
	return rc;
}

static enum rc tell_apply(struct pg *c, const char *document_no, const struct order_done *d,
	const char *actor, int64_t now_us, struct arena *a, struct err *e)
{
	const char *line = arena_fmt(a,
		"order.apply %s wished=%lld held=%lld not_ours=%lld expired=%lld%s%s\n",
		document_no, (long long)d->wished, (long long)d->held, (long long)d->not_ours,
		(long long)d->expired, d->breach ? " breach" : "",
		d->former_gone ? " former_not_in_force" : "");

	if (line == NULL)
		return err_set(e, RC_LIMIT, "the order is too long");
	return audit_append(c, now_us, actor, "order.apply", slice_str(line), e);
}

enum rc order_apply(struct pg *c, const char *document_no, const char *actor, int64_t now_us,
	struct arena *a, struct order_done *out, struct err *e)
{
	const char *former = "";
	enum rc rc = former_of(c, document_no, a, &former, e);

	if (rc == RC_OK)
		rc = order_steps(c, lock_steps, ARRAY_LEN(lock_steps), document_no, now_us, a, e);
	if (rc == RC_OK && former[0] != '\0')
		rc = end_former(c, document_no, former, now_us, a, e);
	if (rc == RC_OK)
		rc = order_steps(c, wish_steps, ARRAY_LEN(wish_steps), document_no, now_us, a, e);
	if (rc == RC_OK && former[0] != '\0')
		rc = order_take_back(c, former, now_us, a, e);
	if (rc == RC_OK)
		rc = order_ask(c, document_no, now_us, a, e);
	if (rc == RC_OK)
		rc = count_targets(c, document_no, out, e);
	return rc == RC_OK ? tell_apply(c, document_no, out, actor, now_us, a, e) : rc;
}

static enum rc tell_import(struct pg *c, const struct order *o, const uint8_t sha[SHA256_LEN],
	const char *actor, int64_t now_us, struct arena *a, struct err *e)
{
	struct digest d;
	char hex[65];

	memcpy(d.sum, sha, SHA256_LEN);
	digest_hex(&d, hex);
	const char *line = arena_fmt(a,
		"order.import %.*s items=%zu invalid=%zu duplicates=%zu sha256=%s\n",
		(int)o->document_no.len, o->document_no.ptr, o->n, o->invalid, o->duplicates, hex);
	if (line == NULL)
		return err_set(e, RC_LIMIT, "the order is too long");
	return audit_append(c, now_us, actor, "order.import", slice_str(line), e);
}

static enum rc import_once(struct pg *c, const struct keys *k, const struct order *o,
	struct slice file, const char *actor, int64_t now_us, struct arena *a,
	struct order_done *out, struct err *e)
{
	const char *no = arena_copy(a, o->document_no).ptr;
	uint8_t sha[SHA256_LEN];

	if (no == NULL)
		return err_set(e, RC_LIMIT, "the order is too long");
	sha256(file, sha);
	enum rc rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = known_already(c, o->document_no, sha, e);
	if (rc == RC_OK)
		rc = put_document(c, k, o, file, sha, actor, now_us, a, e);
	if (rc == RC_OK)
		rc = put_items(c, o, e);
	if (rc == RC_OK)
		rc = tell_import(c, o, sha, actor, now_us, a, e);
	*out = (struct order_done){.waits = o->invalid > 0};
	if (rc == RC_OK && !out->waits)
		rc = order_apply(c, no, actor, now_us, a, out, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

enum rc order_import(struct pg *c, const struct keys *k, const struct order *o, struct slice file,
	bool accept_valid, const char *actor, int64_t now_us, struct arena *a,
	struct order_done *out, struct err *e)
{
	enum rc rc;
	int tries = 0;

	if (o->invalid > 0 && !accept_valid)
		return err_set(e, RC_INVALID,
			"%zu of %zu items are no senders: refused whole, nothing was changed",
			o->invalid, o->n);
	/* A worker may win a lock that both wanted: then the whole again. */
	do
		rc = import_once(c, k, o, file, actor, now_us, a, out, e);
	while (pg_collided(rc, e) && ++tries < TRIES);
	return rc;
}
