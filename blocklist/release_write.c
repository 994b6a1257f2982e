/* What a release writes: the changed entries, the release with its changes, count and digest, what became of the wishes, and the
 * traces of that in actions, cases and the audit. Everything is set-based, since one release may hold a hundred thousand changes.
 * Cases come last, sorted, as everywhere. */
#include <assert.h>
#include <inttypes.h>

#include "blocklist/release.h"

#define LINES_CAP (64UL * 1024 * 1024)
#define KEEP_ADMISSIONS_US (2 * US_PER_DAY)

/* Columns of a statement's parameters, in the order of its $n. */
#define COLUMNS 11
struct table {
	struct pg_array at[COLUMNS];
	int n;
};

static void table_done(struct table *t)
{
	for (int i = 0; i < t->n; i++)
		pg_array_done(&t->at[i]);
}
#define TABLE_OWN __attribute__((cleanup(table_done)))

/* One letter a column: i int4, s int2, b int8, t text, z timestamptz. */
static void table_init(struct table *t, const char *types)
{
	for (t->n = 0; types[t->n] != '\0'; t->n++) {
		enum pg_type type = PG_TEXT;

		assert(t->n < COLUMNS);
		switch (types[t->n]) {
		case 'i':
			type = PG_INT4;
			break;
		case 's':
			type = PG_INT2;
			break;
		case 'b':
			type = PG_INT8;
			break;
		case 'z':
			type = PG_TIMESTAMPTZ;
			break;
		default:
			break;
		}
		pg_array_init(&t->at[t->n], type);
	}
}

static enum rc table_run(struct table *t, struct pg *c, const char *sql,
	const struct pg_param *more, int n_more, struct err *e)
{
	struct pg_param p[COLUMNS + 4];
	int n = 0;

	assert(n_more <= 4);
	if (t->at[0].count == 0)
		return RC_OK;
	for (; n < t->n; n++)
		p[n] = pg_p_array(&t->at[n]);
	for (int i = 0; i < n_more; i++)
		p[n++] = more[i];
	return pg_run(c, sql, p, n, NULL, e);
}

static void put_text(struct table *t, int i, const char *s)
{
	pg_array_text(&t->at[i], slice_str(s));
}

/* ---- the list */

static const char changes_sql[] = "INSERT INTO change (ord, op, scope, value, service, action, "
				  "case_id, until, basis, release)"
				  " SELECT *, $10::int8 FROM unnest($1::int4[], $2::text[], "
				  "$3::text[], $4::text[], $5::int2[], $6::text[],"
				  " $7::text[], $8::timestamptz[], $9::text[])";
static const char remove_sql[] =
	"DELETE FROM entry e USING unnest($1::text[], $2::text[], $3::int2[]) k(scope, value, "
	"service)"
	" WHERE e.scope = k.scope AND e.value = k.value AND e.service = k.service";
static const char upsert_sql[] = "INSERT INTO entry (scope, value, service, sender, action, "
				 "case_id, until, basis, origin, release)"
				 " SELECT * FROM unnest($1::text[], $2::text[], $3::int2[], "
				 "$4::int8[], $5::text[], $6::text[], $7::timestamptz[],"
				 " $8::text[], $9::text[], $10::int8[])"
				 " ON CONFLICT (scope, value, service) DO UPDATE SET sender = "
				 "excluded.sender, action = excluded.action,"
				 " case_id = excluded.case_id, until = excluded.until, basis = "
				 "excluded.basis, origin = excluded.origin,"
				 " release = excluded.release";
static const char release_sql[] =
	"INSERT INTO release (n, list, at, added, removed, count, digest, sms_count, sms_digest)"
	" VALUES ($1, $2::uuid, $3, $4, $5, $6, $7, $8, $9)";
static const char head_sql[] = "UPDATE list_head SET release = $1, count = $2, digest = $3, "
			       "sms_count = $4, sms_digest = $5, at = $6"
			       " WHERE list = $7::uuid AND release = $8";

static void line_of(struct buf *b, const char *op, const struct entry *e)
{
	char masked[MASKED_TEXT], until[TIME_TEXT] = "open";

	if (e->until_s != 0)
		time_format(e->until_s * US_PER_S, until);
	buf_fmt(b, "%s %s/%s %s %s %s until=%s\n", op, scope_name(e->scope),
		e->scope == SCOPE_NUMBER ? log_mask(slice_str(e->value), masked) : e->value,
		service_name(e->service), e->action, e->case_id, until);
}

struct changes {
	struct table change, gone, set;
	struct buf lines; /* of the audit */
};

static void changes_done(struct changes *ch)
{
	table_done(&ch->change);
	table_done(&ch->gone);
	table_done(&ch->set);
	buf_done(&ch->lines);
}
#define CHANGES_OWN __attribute__((cleanup(changes_done)))

static void count_change(struct release *r, const struct entry *e, int by)
{
	void (*sum)(struct digest *, const struct entry *) = by > 0 ? digest_add : digest_sub;

	r->mark.count += by;
	sum(&r->mark.digest, e);
	if (e->service == SERVICE_SMS) {
		r->sms_then.count += by;
		sum(&r->sms_then.digest, e);
	}
}

static void add_change(struct release *r, struct changes *ch, bool add, const struct entry *e)
{
	struct table *t = &ch->change;

	pg_array_int(&t->at[0], r->added + r->removed);
	put_text(t, 1, add ? "add" : "remove");
	put_text(t, 2, scope_name(e->scope));
	put_text(t, 3, e->value);
	pg_array_int(&t->at[4], (int64_t)e->service);
	put_text(t, 5, e->action);
	put_text(t, 6, e->case_id);
	pg_array_time(&t->at[7], until_us_of(e->until_s));
	put_text(t, 8, e->basis);
	line_of(&ch->lines, add ? "add" : "remove", e);
	count_change(r, e, add ? 1 : -1);
	r->added += add ? 1 : 0;
	r->removed += add ? 0 : 1;
}

static bool same_entry(const struct entry *a, const struct entry *b)
{
	return strcmp(a->action, b->action) == 0 && strcmp(a->case_id, b->case_id) == 0 &&
		a->until_s == b->until_s && strcmp(a->basis, b->basis) == 0;
}

static void put_key(struct table *t, const struct entry *e)
{
	put_text(t, 0, scope_name(e->scope));
	put_text(t, 1, e->value);
	pg_array_int(&t->at[2], (int64_t)e->service);
}

static void compare(struct release *r, struct changes *ch, const struct key *k)
{
	const struct entry *now = &k->now, *then = &k->then;
	bool same = now->action != NULL && then->action != NULL && same_entry(now, then);

	if (now->action == NULL && then->action == NULL)
		return;
	if (same && strcmp(k->now_origin, k->then_origin) == 0)
		return;
	if (now->action != NULL && !same)
		add_change(r, ch, false, now);
	if (then->action == NULL) {
		put_key(&ch->gone, now);
		return;
	}
	if (!same)
		add_change(r, ch, true, then);
	put_key(&ch->set, then);
	pg_array_int(&ch->set.at[3], k->sender);
	put_text(&ch->set, 4, then->action);
	put_text(&ch->set, 5, then->case_id);
	pg_array_time(&ch->set.at[6], until_us_of(then->until_s));
	put_text(&ch->set, 7, then->basis);
	put_text(&ch->set, 8, k->then_origin);
	pg_array_int(&ch->set.at[9], same ? now->release : r->mark.release);
}

static struct pg_param p_digest(const struct digest *d)
{
	return pg_p_bytes(slice_of((const char *)d->sum, sizeof(d->sum)));
}

static enum rc write_head(struct release *r, struct pg *c, struct err *e)
{
	OWN(pg_free) struct pg_result *res = NULL;
	struct pg_param release[] = {pg_p_int(r->mark.release, r->arena), pg_p_str(r->mark.list),
		pg_p_time(r->now_us, r->arena), pg_p_int(r->added, r->arena),
		pg_p_int(r->removed, r->arena), pg_p_int(r->mark.count, r->arena),
		p_digest(&r->mark.digest), pg_p_int(r->sms_then.count, r->arena),
		p_digest(&r->sms_then.digest)};
	struct pg_param head[] = {release[0], release[5], release[6], release[7], release[8],
		release[2], release[1], pg_p_int(r->head.release, r->arena)};
	enum rc rc = pg_run(c, release_sql, release, ARRAY_LEN(release), NULL, e);

	if (rc == RC_OK)
		rc = pg_run(c, head_sql, head, ARRAY_LEN(head), &res, e);
	if (rc == RC_OK && pg_affected(res) != 1)
		rc = err_set(e, RC_RETRY, "release %" PRId64 ": the head moved under it",
			r->mark.release);
	return rc;
}

static enum rc write_list(struct release *r, struct pg *c, struct changes *ch, struct err *e)
{
	struct pg_param n = pg_p_int(r->mark.release, r->arena);
	enum rc rc = table_run(&ch->change, c, changes_sql, &n, 1, e);

	if (rc == RC_OK)
		rc = table_run(&ch->gone, c, remove_sql, NULL, 0, e);
	if (rc == RC_OK)
		rc = table_run(&ch->set, c, upsert_sql, NULL, 0, e);
	if (rc == RC_OK && r->added + r->removed > 0)
		rc = write_head(r, c, e);
	return rc;
}

/* ---- wishes, and what hangs on them */

static const char wish_set_sql[] =
	"UPDATE wish w SET state = k.state, reason = k.reason"
	" FROM unnest($1::int8[], $2::int2[], $3::text[], $4::text[], $5::text[]) k(sender, "
	"service, origin, state, reason)"
	" WHERE w.sender = k.sender AND w.service = k.service AND w.origin = k.origin";
static const char wish_end_sql[] =
	"DELETE FROM wish w USING unnest($1::int8[], $2::int2[], $3::text[]) k(sender, service, "
	"origin)"
	" WHERE w.sender = k.sender AND w.service = k.service AND w.origin = k.origin";
/* What is decided is found first, one by one: left to choose, the planner reads every action there is for every wish, because it thinks that
 * so many conditions leave only one. An automatic wish's action has the origin auto and the class of the wish's name: the words of the
 * index action_episode. */
#define SET_FOUND                                                                    \
	" LIMIT 1) f) UPDATE action a SET state = x.state, reason = x.reason FROM x" \
	" WHERE a.id = x.id AND (a.state, a.reason) IS DISTINCT FROM (x.state, x.reason)"
static const char episode_sql[] =
	"WITH x AS MATERIALIZED (SELECT f.id, k.state, k.reason FROM unnest($1::int8[], $2::int2[],"
	" $3::text[], $4::timestamptz[], $5::text[], $6::text[])"
	" k(sender, service, origin, decided_at, state, reason) CROSS JOIN LATERAL"
	" (SELECT id FROM action a WHERE a.sender = k.sender AND a.service = k.service"
	" AND a.class = CASE k.origin WHEN 'auto:scam' THEN 1 ELSE 0 END"
	" AND a.decided_at = k.decided_at AND a.origin = 'auto' AND a.state <> 'superseded'"
	" AND a.state IN ('wanted', 'admitted', 'held')" SET_FOUND;
/* A person's or an order's is found by its case. */
static const char action_sql[] =
	"WITH x AS MATERIALIZED (SELECT f.id, k.state, k.reason FROM unnest($1::int8[], $2::int2[],"
	" $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[])"
	" k(sender, service, origin, decided_at, state, reason, case_id) CROSS JOIN LATERAL"
	" (SELECT id FROM action a WHERE a.case_id = k.case_id AND a.sender = k.sender"
	" AND a.service = k.service AND a.decided_at = k.decided_at AND a.origin = k.origin"
	" AND a.state IN ('wanted', 'admitted', 'held')" SET_FOUND;
static const char case_lock_sql[] = "SELECT c.id FROM (SELECT DISTINCT unnest($1::text[]) AS id) k "
				    "JOIN case_file c ON c.id = k.id"
				    " ORDER BY c.id FOR NO KEY UPDATE OF c";
/* A block's time is over: the case closes, but a scam case that nobody has decided goes back to people. */
#define ENDS "k.state = 'closed' AND (c.class = 0 OR c.settled_at IS NOT NULL)"
static const char case_set_sql[] =
	"UPDATE case_file c SET state = CASE WHEN k.state <> 'closed' THEN k.state"
	" WHEN " ENDS " THEN 'closed' ELSE 'verifying' END, version = version + 1,"
	" outcome = CASE WHEN " ENDS " THEN CASE WHEN c.settled_how IN ('single', 'bulk')"
	" THEN 'upheld' ELSE 'expired' END ELSE c.outcome END,"
	" closed_at = CASE WHEN " ENDS " THEN $3::timestamptz ELSE c.closed_at END"
	" FROM (SELECT DISTINCT ON (id) id, state FROM unnest($1::text[], $2::text[]) u(id, state)"
	" ORDER BY id, state = 'enforced' DESC, state = 'held' DESC) k WHERE c.id = k.id AND "
	"c.state <> k.state"
	" AND c.state IN ('open', 'verifying', 'held', 'enforced') AND (k.state <> 'closed' OR "
	"c.state = 'enforced')";
static const char admission_sql[] = "INSERT INTO admission (sender, service, at) SELECT *, "
				    "$3::timestamptz FROM unnest($1::int8[], $2::int2[])";
static const char admission_old_sql[] = "DELETE FROM admission WHERE at < $1";

struct fates {
	struct table set, end, episode, action, file, admission;
};

static void fates_done(struct fates *f)
{
	table_done(&f->set);
	table_done(&f->end);
	table_done(&f->episode);
	table_done(&f->action);
	table_done(&f->file);
	table_done(&f->admission);
}
#define FATES_OWN __attribute__((cleanup(fates_done)))

static void put_wish(struct table *t, const struct key *k, const struct wish *w)
{
	pg_array_int(&t->at[0], k->sender);
	pg_array_int(&t->at[1], (int64_t)k->now.service);
	put_text(t, 2, w->origin);
}

/* What an action says of a wish; one that ended without ever being listed has expired. */
static const char *action_state(const struct wish *w)
{
	switch (w->then) {
	case WISH_ADMITTED:
		return "admitted";
	case WISH_HELD:
		return "held";
	case WISH_WANTED:
		return "wanted";
	case WISH_ENDED:
		break;
	}
	return w->state == WISH_ADMITTED ? "ended" : "expired";
}

/* What the wishes of one case say of it together. */
static const char *case_state(const struct key *k, const char *case_id)
{
	bool alive = false, held = false;

	for (size_t i = 0; i < k->n; i++) {
		const struct wish *w = &k->wishes[i];

		if (strcmp(w->case_id, case_id) != 0)
			continue;
		if (w->then == WISH_ADMITTED)
			return "enforced";
		held = held || w->then == WISH_HELD;
		alive = alive || w->then != WISH_ENDED;
	}
	if (held)
		return "held";
	return alive ? NULL : "closed";
}

static void put_action(struct fates *f, const struct key *k, const struct wish *w)
{
	struct table *t = is_automatic(w->origin) ? &f->episode : &f->action;

	put_wish(t, k, w);
	pg_array_time(&t->at[3], w->decided_at);
	put_text(t, 4, action_state(w));
	put_text(t, 5, w->then == WISH_HELD ? w->why : "");
	if (t == &f->action)
		put_text(t, 6, w->case_id);
}

static void fate_of(struct fates *f, struct changes *ch, const struct key *k, const struct wish *w)
{
	const char *state = action_state(w), *why = w->then == WISH_HELD ? w->why : "";
	const char *of_case;
	char masked[MASKED_TEXT];

	if (w->then == w->state && strcmp(why, w->reason) == 0) {
		/* An admitted wish may have come to stand for another episode. */
		if (w->then == WISH_ADMITTED && is_automatic(w->origin))
			put_action(f, k, w);
		return;
	}
	if (w->then == WISH_ENDED) {
		put_wish(&f->end, k, w);
	} else {
		put_wish(&f->set, k, w);
		put_text(&f->set, 3, state);
		put_text(&f->set, 4, why);
	}
	put_action(f, k, w);
	of_case = case_state(k, w->case_id);
	if (of_case != NULL) {
		put_text(&f->file, 0, w->case_id);
		put_text(&f->file, 1, of_case);
	}
	buf_fmt(&ch->lines, "%s %s/%s %s %s %s%s%s\n", state, scope_name(k->now.scope),
		k->now.scope == SCOPE_NUMBER ? log_mask(slice_str(k->now.value), masked)
					     : k->now.value,
		service_name(k->now.service), w->origin, w->case_id, why[0] != '\0' ? " " : "",
		why);
}

static enum rc write_fates(struct release *r, struct pg *c, struct fates *f, struct err *e)
{
	struct pg_param now = pg_p_time(r->now_us, r->arena);
	struct pg_param old = pg_p_time(r->now_us - KEEP_ADMISSIONS_US, r->arena);
	enum rc rc = table_run(&f->set, c, wish_set_sql, NULL, 0, e);

	if (rc == RC_OK)
		rc = table_run(&f->end, c, wish_end_sql, NULL, 0, e);
	if (rc == RC_OK)
		rc = table_run(&f->episode, c, episode_sql, NULL, 0, e);
	if (rc == RC_OK)
		rc = table_run(&f->action, c, action_sql, NULL, 0, e);
	if (rc == RC_OK && f->admission.at[0].count > 0)
		rc = pg_run(c, admission_old_sql, &old, 1, NULL, e);
	if (rc == RC_OK)
		rc = table_run(&f->admission, c, admission_sql, &now, 1, e);
	if (rc == RC_OK && f->file.at[0].count > 0) {
		struct pg_param ids = pg_p_array(&f->file.at[0]);

		rc = pg_run(c, case_lock_sql, &ids, 1, NULL, e);
	}
	if (rc == RC_OK)
		rc = table_run(&f->file, c, case_set_sql, &now, 1, e);
	return rc;
}

/* ---- all of it */

static enum rc write_audit(struct release *r, struct pg *c, struct changes *ch, struct err *e)
{
	BUF_OWN struct buf head = {0};
	char hex[65];

	if (ch->lines.len == 0 && !ch->lines.failed)
		return RC_OK;
	buf_init(&head, LINES_CAP + 1024);
	digest_hex(&r->mark.digest, hex);
	if (r->added + r->removed > 0)
		buf_fmt(&head,
			"release %" PRId64 " list=%s added=%d removed=%d count=%" PRId64
			" digest=%s\n",
			r->mark.release, r->mark.list, r->added, r->removed, r->mark.count, hex);
	buf_add(&head, buf_slice(&ch->lines));
	if (ch->lines.failed || head.failed)
		return err_set(e, RC_RETRY, "release: out of memory");
	return audit_append(c, r->now_us, "keeper", "release", buf_slice(&head), e);
}

enum rc release_write(struct release *r, struct pg *c, struct err *e)
{
	CHANGES_OWN struct changes ch = {0};
	FATES_OWN struct fates f = {0};

	buf_init(&ch.lines, LINES_CAP);
	table_init(&ch.change, "itttsttzt");
	table_init(&ch.gone, "tts");
	table_init(&ch.set, "ttsbttzttb");
	table_init(&f.set, "bsttt");
	table_init(&f.end, "bst");
	table_init(&f.episode, "bstztt");
	table_init(&f.action, "bstzttt");
	table_init(&f.file, "tt");
	table_init(&f.admission, "bs");
	r->mark = r->head;
	r->mark.release++;
	r->sms_then = r->sms;
	for (size_t i = 0; i < r->n; i++) {
		const struct key *k = &r->keys[i];

		compare(r, &ch, k);
		for (size_t j = 0; j < k->n; j++)
			fate_of(&f, &ch, k, &k->wishes[j]);
		if (k->admitted) {
			pg_array_int(&f.admission.at[0], k->sender);
			pg_array_int(&f.admission.at[1], (int64_t)k->now.service);
		}
	}
	enum rc rc = write_list(r, c, &ch, e);

	if (rc == RC_OK)
		rc = write_fates(r, c, &f, e);
	if (rc == RC_OK)
		rc = write_audit(r, c, &ch, e);
	return rc;
}
