/* Who reports and who is reported. A reporter is a random id; the number is sealed under a key of its own, which is wrapped by a key
 * outside the database. Senders are locked here, in one order, until the transaction ends. */
#include <stdlib.h>

#include "cases/ledger.h"

static struct slice mac_slice(const uint8_t mac[MAC_LEN])
{
	return slice_of((const char *)mac, MAC_LEN);
}

static enum rc full(struct err *e)
{
	return err_set(e, RC_LIMIT, "ledger: the batch's memory is used up");
}

/* ---- reporters ---- */

struct mac_ref {
	uint8_t mac[MAC_LEN];
	size_t filing;
};

static int by_mac(const void *a, const void *b)
{
	return memcmp(a, b, MAC_LEN); /* the first member of mac_ref and of person */
}

static enum rc gather_people(
	struct work *w, const struct ledger_batch *b, struct arena *a, struct err *e)
{
	struct mac_ref *refs = arena_array(a, b->n, sizeof(*refs));
	size_t n = 0;

	w->people = arena_array(a, b->n, sizeof(*w->people));
	if (refs == NULL || w->people == NULL)
		return full(e);
	for (size_t i = 0; i < b->n; i++) {
		w->filed[i].person = NOBODY;
		if (b->filings[i].disposition == DISP_QUARANTINED)
			continue;
		memcpy(refs[n].mac, b->filings[i].reporter_mac, MAC_LEN);
		refs[n++].filing = i;
	}
	qsort(refs, n, sizeof(*refs), by_mac);
	for (size_t i = 0; i < n; i++) {
		struct person *p = w->n_people > 0 ? &w->people[w->n_people - 1] : NULL;

		if (p == NULL || memcmp(p->mac, refs[i].mac, MAC_LEN) != 0) {
			p = &w->people[w->n_people++];
			memcpy(p->mac, refs[i].mac, MAC_LEN);
			p->number = b->filings[refs[i].filing].reporter;
		}
		w->filed[refs[i].filing].person = w->n_people - 1;
	}
	return RC_OK;
}

static const char subjects_sql[] =
	"SELECT mac, id, trust FROM subject WHERE mac = ANY($1::bytea[])";

static enum rc send_lookup(struct ledger *l, const struct work *w, bool made, struct err *e)
{
	arrays_begin(l);
	struct pg_array *macs = array_of(l, PG_BYTEA);

	for (size_t i = 0; i < w->n_people; i++)
		if (!made || w->people[i].made)
			pg_array_text(macs, mac_slice(w->people[i].mac));
	struct pg_param p[] = {pg_p_array(macs)};
	return pg_send(l->pg, subjects_sql, p, ARRAY_LEN(p), e);
}

static enum rc recv_lookup(struct ledger *l, struct work *w, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct slice mac = pg_bytes(r, i, 0);
		struct person *p = mac.len != MAC_LEN
			? NULL
			: bsearch(mac.ptr, w->people, w->n_people, sizeof(*w->people), by_mac);

		if (p == NULL)
			return err_set(e, RC_FATAL, "ledger: a reporter nobody asked for");
		p->id = pg_int(r, i, 1);
		p->trust = (float)pg_real(r, i, 2);
	}
	return rc;
}

enum rc people_send(
	struct ledger *l, struct work *w, struct ledger_batch *b, struct arena *a, struct err *e)
{
	enum rc rc = gather_people(w, b, a, e);

	return rc == RC_OK ? send_lookup(l, w, false, e) : rc;
}

enum rc people_recv(struct ledger *l, struct work *w, struct err *e)
{
	return recv_lookup(l, w, e);
}

/* A positive random id: it says nothing about when the reporter came. */
static int64_t random_id(void)
{
	int64_t id;

	do
		id = (int64_t)(random_u64() >> 1);
	while (id == 0);
	return id;
}

/* Their ids are known as soon as they are sent; `made` counts them. */
static enum rc send_new_people(struct ledger *l, const struct ledger_settings *s, struct work *w,
	int64_t now_us, struct arena *a, int *made, struct err *e)
{
	static const char sql[] = "INSERT INTO subject (id, mac, wrapped_key, sealed, created_at)"
				  " SELECT u.*, $2 FROM unnest($1::subject_row[]) u"
				  " ON CONFLICT (mac) DO NOTHING";

	arrays_begin(l);
	struct pg_array *rows = rows_of(l, ROW_SUBJECT);
	for (size_t i = 0; i < w->n_people; i++) {
		struct person *p = &w->people[i];
		uint8_t key[KEY_LEN], wrapped[KEY_LEN + SEAL_EXTRA], number[64 + SEAL_EXTRA];

		if (!p->wanted || p->id != 0)
			continue;
		if (p->number.len > 64)
			return err_set(
				e, RC_INVALID, "ledger: a reporter of %zu digits", p->number.len);
		random_bytes(key, sizeof(key));
		keys_seal(s->keys, mac_slice(p->mac), slice_of((const char *)key, sizeof(key)),
			wrapped);
		seal(key, mac_slice(p->mac), p->number, number);
		explicit_bzero(key, sizeof(key));
		p->id = random_id();
		p->trust = TRUST_NEW;
		p->made = true;
		*made += 1;
		pg_array_row(rows);
		pg_array_int(rows, p->id);
		pg_array_text(rows, mac_slice(p->mac));
		pg_array_text(rows, slice_of((const char *)wrapped, sizeof(wrapped)));
		pg_array_text(rows, slice_of((const char *)number, p->number.len + SEAL_EXTRA));
	}
	struct pg_param p[] = {pg_p_array(rows), pg_p_time(now_us, a)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* ---- senders ---- */

struct party_ref {
	const struct filing *f;
	size_t filing;
};

static int by_sender(const void *a, const void *b)
{
	const struct filing *x = ((const struct party_ref *)a)->f;
	const struct filing *y = ((const struct party_ref *)b)->f;
	int d = x->sender.scope == y->sender.scope
		? 0
		: strcmp(scope_name(x->sender.scope), scope_name(y->sender.scope));

	if (d == 0)
		d = strcmp(x->sender.value, y->sender.value);
	if (d != 0)
		return d;
	return x < y ? -1 : x > y;
}

static bool same_sender(const struct sender *x, const struct sender *y)
{
	return x->scope == y->scope && strcmp(x->value, y->value) == 0;
}

/* A reporter who named himself is not put among the senders: his number belongs into `subject` alone. */
static bool names_sender(const struct filing *f)
{
	if (f->disposition != DISP_ACCEPTED && f->disposition != DISP_REJECTED)
		return false;
	return f->sender.scope != SCOPE_NONE && !slice_eq(slice_str(f->sender.value), f->reporter);
}

static enum rc gather_parties(
	struct work *w, const struct ledger_batch *b, struct arena *a, struct err *e)
{
	struct party_ref *refs = arena_array(a, b->n, sizeof(*refs));
	size_t n = 0;

	w->parties = arena_array(a, b->n, sizeof(*w->parties));
	if (refs == NULL || w->parties == NULL)
		return full(e);
	for (size_t i = 0; i < b->n; i++) {
		const struct filing *f = &b->filings[i];

		w->filed[i].party = NOBODY;
		if (f->disposition != DISP_DUPLICATE && f->disposition != DISP_QUARANTINED)
			w->people[w->filed[i].person].wanted = true;
		if (names_sender(f))
			refs[n++] = (struct party_ref){f, i};
	}
	qsort(refs, n, sizeof(*refs), by_sender);
	for (size_t i = 0; i < n; i++) {
		struct party *p = w->n_parties > 0 ? &w->parties[w->n_parties - 1] : NULL;

		if (p == NULL || !same_sender(&p->by->sender, &refs[i].f->sender))
			w->parties[w->n_parties++].by = refs[i].f;
		w->filed[refs[i].filing].party = w->n_parties - 1;
	}
	return RC_OK;
}

/* Sorted as everywhere. What another worker has made meanwhile is not answered, and locked afterwards. */
static enum rc send_new_senders(
	struct ledger *l, const struct work *w, int64_t now_us, struct arena *a, struct err *e)
{
	static const char sql[] =
		"INSERT INTO sender (scope, value, attribution, carrier, by_table, class, "
		"created_at)"
		" SELECT u.*, $7 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], "
		"$5::bool[],"
		" $6::text[]) u ON CONFLICT (scope, value) DO NOTHING RETURNING scope, value, id";

	arrays_begin(l);
	struct pg_array *scope = array_of(l, PG_TEXT), *value = array_of(l, PG_TEXT),
			*attribution = array_of(l, PG_TEXT), *carrier = array_of(l, PG_TEXT),
			*by_table = array_of(l, PG_BOOL), *cls = array_of(l, PG_TEXT);
	for (size_t i = 0; i < w->n_parties; i++) {
		const struct filing *f = w->parties[i].by;

		if (w->parties[i].id != 0)
			continue;
		pg_array_text(scope, slice_str(scope_name(f->sender.scope)));
		pg_array_text(value, slice_str(f->sender.value));
		pg_array_text(attribution, slice_str(attribution_name(f->attribution)));
		pg_array_text(carrier, slice_str(f->carrier != NULL ? f->carrier : ""));
		pg_array_int(by_table, f->by_table);
		pg_array_text(cls, slice_str(f->number_class != NULL ? f->number_class : ""));
	}
	struct pg_param p[] = {pg_p_array(scope), pg_p_array(value), pg_p_array(attribution),
		pg_p_array(carrier), pg_p_array(by_table), pg_p_array(cls), pg_p_time(now_us, a)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

static int party_by_name(const void *key, const void *at)
{
	const struct sender *x = key, *y = &((const struct party *)at)->by->sender;
	int d = x->scope == y->scope ? 0 : strcmp(scope_name(x->scope), scope_name(y->scope));

	return d != 0 ? d : strcmp(x->value, y->value);
}

static enum rc recv_new_senders(struct ledger *l, struct work *w, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct sender key = {.scope = scope_parse(pg_text(r, i, 0))};
		struct slice value = pg_text(r, i, 1);

		if (value.len < sizeof(key.value))
			memcpy(key.value, value.ptr, value.len);
		struct party *p =
			bsearch(&key, w->parties, w->n_parties, sizeof(*w->parties), party_by_name);
		if (p == NULL)
			return err_set(e, RC_FATAL, "ledger: a sender nobody asked for");
		p->id = pg_int(r, i, 2);
		p->fresh = true;
	}
	return rc;
}

/* Rows are locked above the sort, so every transaction locks in the same order. */
static enum rc send_lock(struct ledger *l, const struct work *w, struct err *e)
{
	static const char sql[] =
		"SELECT u.place, s.id, s.attribution, s.carrier, s.by_table, s.class"
		" FROM unnest($1::text[], $2::text[], $3::int[]) u(scope, value, place)"
		" JOIN sender s ON s.scope = u.scope AND s.value = u.value"
		" ORDER BY s.scope COLLATE \"C\", s.value FOR NO KEY UPDATE OF s";

	arrays_begin(l);
	struct pg_array *scope = array_of(l, PG_TEXT), *value = array_of(l, PG_TEXT),
			*place = array_of(l, PG_INT4);
	for (size_t i = 0; i < w->n_parties; i++) {
		if (w->parties[i].id != 0)
			continue;
		pg_array_text(scope, slice_str(scope_name(w->parties[i].by->sender.scope)));
		pg_array_text(value, slice_str(w->parties[i].by->sender.value));
		pg_array_int(place, (int64_t)i);
	}
	struct pg_param p[] = {pg_p_array(scope), pg_p_array(value), pg_p_array(place)};
	return pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
}

/* The number plan or the portability table may have changed since the sender was made. */
static bool differs(const struct filing *f, const struct pg_result *r, int row)
{
	return !slice_eq(pg_text(r, row, 2), slice_str(attribution_name(f->attribution))) ||
		!slice_eq(pg_text(r, row, 3), slice_str(f->carrier != NULL ? f->carrier : "")) ||
		pg_bool(r, row, 4) != f->by_table ||
		!slice_eq(pg_text(r, row, 5),
			slice_str(f->number_class != NULL ? f->number_class : ""));
}

static void note_attribution(
	struct ledger *l, const struct filing *f, const struct pg_result *r, int row)
{
	struct slice was = pg_text(r, row, 2), carrier = pg_text(r, row, 3);
	char masked[MASKED_TEXT];

	buf_fmt(&l->audit, "sender.attribution %s/%s %.*s %.*s -> %s %s\n",
		scope_name(f->sender.scope), masked_sender(&f->sender, masked), (int)was.len,
		was.ptr, (int)carrier.len, carrier.ptr, attribution_name(f->attribution),
		f->carrier != NULL ? f->carrier : "");
}

static enum rc update_senders(
	struct ledger *l, const struct work *w, const struct pg_result *r, struct err *e)
{
	static const char sql[] =
		"UPDATE sender s SET attribution = u.attribution, carrier = u.carrier,"
		" by_table = u.by_table, class = u.class"
		" FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bool[], $5::text[])"
		" u(id, attribution, carrier, by_table, class) WHERE s.id = u.id";

	arrays_begin(l);
	struct pg_array *id = array_of(l, PG_INT8), *attribution = array_of(l, PG_TEXT),
			*carrier = array_of(l, PG_TEXT), *by_table = array_of(l, PG_BOOL),
			*cls = array_of(l, PG_TEXT);
	for (int i = 0; i < pg_rows(r); i++) {
		const struct party *party = &w->parties[pg_int(r, i, 0)];
		const struct filing *f = party->by;

		if (!differs(f, r, i))
			continue;
		note_attribution(l, f, r, i);
		pg_array_int(id, party->id);
		pg_array_text(attribution, slice_str(attribution_name(f->attribution)));
		pg_array_text(carrier, slice_str(f->carrier != NULL ? f->carrier : ""));
		pg_array_int(by_table, f->by_table);
		pg_array_text(cls, slice_str(f->number_class != NULL ? f->number_class : ""));
	}
	if (id->count == 0)
		return RC_OK;
	struct pg_param p[] = {pg_p_array(id), pg_p_array(attribution), pg_p_array(carrier),
		pg_p_array(by_table), pg_p_array(cls)};
	enum rc rc = pg_send(l->pg, sql, p, ARRAY_LEN(p), e);
	return rc == RC_OK ? pg_recv(l->pg, NULL, e) : rc;
}

static enum rc recv_lock(struct ledger *l, struct work *w, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < pg_rows(r); i++) {
		size_t place = (size_t)pg_int(r, i, 0);

		if (place >= w->n_parties)
			return err_set(e, RC_FATAL, "ledger: a sender nobody asked for");
		w->parties[place].id = pg_int(r, i, 1);
	}
	return update_senders(l, w, r, e);
}

static size_t unknown_senders(const struct work *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n_parties; i++)
		n += w->parties[i].id == 0;
	return n;
}

/* Known senders are locked in order, then the new ones made in order. When another worker has made one of them in between it is
 * locked out of order: if that ever makes two wait for each other, the server ends one of them, who tries again. */
static enum rc lock_senders(
	struct ledger *l, struct work *w, int64_t now_us, struct arena *a, struct err *e)
{
	enum rc rc = unknown_senders(w) > 0 ? recv_lock(l, w, e) : RC_OK;

	if (rc == RC_OK && unknown_senders(w) > 0) {
		rc = send_new_senders(l, w, now_us, a, e);
		if (rc == RC_OK)
			rc = recv_new_senders(l, w, e);
	}
	if (rc == RC_OK && unknown_senders(w) > 0) {
		rc = send_lock(l, w, e);
		if (rc == RC_OK)
			rc = recv_lock(l, w, e);
	}
	if (rc == RC_OK && unknown_senders(w) > 0)
		rc = err_set(e, RC_CONFLICT, "ledger: a sender vanished while it was locked");
	return rc;
}

/* When another worker has made one of them meanwhile, that one is who he is. */
static enum rc recv_new_people(struct ledger *l, int made, bool *raced, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_recv(l->pg, &r, e);

	if (rc == RC_OK)
		*raced = pg_affected(r) != made;
	return rc;
}

static enum rc look_again(struct ledger *l, struct work *w, struct err *e)
{
	enum rc rc = send_lookup(l, w, true, e);

	for (size_t i = 0; i < w->n_people; i++)
		if (w->people[i].made)
			w->people[i].id = 0;
	if (rc == RC_OK)
		rc = recv_lookup(l, w, e);
	for (size_t i = 0; rc == RC_OK && i < w->n_people; i++)
		if (w->people[i].made && w->people[i].id == 0)
			rc = err_set(e, RC_CONFLICT, "ledger: a reporter vanished");
	return rc;
}

enum rc people_make(struct ledger *l, const struct ledger_settings *s, struct work *w,
	struct ledger_batch *b, int64_t now_us, struct arena *a, struct err *e)
{
	bool missing = false, raced = false;
	int made = 0;
	enum rc rc = gather_parties(w, b, a, e);

	for (size_t i = 0; i < w->n_people; i++)
		missing = missing || (w->people[i].wanted && w->people[i].id == 0);
	if (rc == RC_OK && missing)
		rc = send_new_people(l, s, w, now_us, a, &made, e);
	if (rc == RC_OK && w->n_parties > 0)
		rc = send_lock(l, w, e);
	if (rc == RC_OK && missing)
		rc = recv_new_people(l, made, &raced, e);
	if (rc == RC_OK)
		rc = lock_senders(l, w, now_us, a, e);
	if (rc == RC_OK && raced)
		rc = look_again(l, w, e);
	return rc;
}
