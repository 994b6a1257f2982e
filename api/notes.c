/* Who was given what, in memory until the next second: written for every answer, kept in the ledger in one go. What is lost when a process ends is
 * given again, which does no harm. Leaves out proofs: those are told by the consumer, acks.c. */
#include <stdio.h>
#include <stdlib.h>

#include "api/private.h"

#define SLOTS 4096 /* a power of two */
#define FULL (SLOTS * 3 / 4)
#define FULL_NAMES (FULL / 2) /* a client names itself as it likes: positions keep the other half */

struct notes {
	pthread_mutex_t lock;
	size_t used, names;
	struct note slot[SLOTS];
};

struct notes *notes_new(void)
{
	struct notes *n = calloc(1, sizeof(*n));

	if (n != NULL)
		pthread_mutex_init(&n->lock, NULL);
	return n;
}

void notes_free(struct notes *n)
{
	if (n == NULL)
		return;
	pthread_mutex_destroy(&n->lock);
	free(n);
}

static bool same(const struct note *a, const struct note *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
		strcmp(a->address, b->address) == 0;
}

/* Under lock: its place, or a free one. */
static struct note *place(struct notes *n, const struct note *like)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ (uint64_t)like->kind;

	for (const char *p = like->name; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
	for (const char *p = like->address; *p != '\0'; p++)
		h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
	for (size_t i = (size_t)(h ^ h >> 31) % SLOTS;; i = (i + 1) % SLOTS)
		if (n->slot[i].name[0] == '\0' || same(&n->slot[i], like))
			return &n->slot[i];
}

void notes_put(struct notes *n, const struct note *one)
{
	pthread_mutex_lock(&n->lock);
	struct note *at = place(n, one);
	bool is_name = one->kind == NOTE_FETCHED;
	if (at->name[0] != '\0' || (n->used < FULL && (!is_name || n->names < FULL_NAMES))) {
		n->used += at->name[0] == '\0';
		n->names += at->name[0] == '\0' && is_name;
		*at = *one;
		at->fresh = true;
	}
	pthread_mutex_unlock(&n->lock);
}

bool notes_get(struct notes *n, struct note *inout)
{
	pthread_mutex_lock(&n->lock);
	const struct note *at = place(n, inout);
	bool found = at->name[0] != '\0';
	if (found)
		*inout = *at;
	pthread_mutex_unlock(&n->lock);
	return found;
}

void notes_fetched(struct api *a, struct exchange *x, const char *list, int64_t release)
{
	struct request *r = request_of(x);
	struct note one = {
		.kind = NOTE_FETCHED, .release = release, .at_us = a->s.clk->now_us(a->s.clk)};

	if (!r->known || r->who.name[0] == '\0')
		return;
	snprintf(one.name, sizeof(one.name), "%s",
		r->consumer[0] != '\0' ? r->consumer : r->who.name);
	snprintf(one.list, sizeof(one.list), "%s", list);
	snprintf(one.address, sizeof(one.address), "%s", r->who.name);
	one.said = r->consumer[0] != '\0';
	notes_put(a->notes, &one);
}

/* ---- into the ledger ---- */

/* A name that belongs to another token stays as it is. Of several that give a name for the first time one counts; new ones come in while there is
 * room for them, $7 of a token and $8 in all. */
static const char fetched_sql[] =
	"INSERT INTO consumer (name, token, named, fetched_list, fetched_release, fetched_at)"
	" SELECT name, token, named, list, release, at FROM ("
	"SELECT u.*, count(*) FILTER (WHERE new) OVER (PARTITION BY token ORDER BY name) AS nth,"
	" count(*) FILTER (WHERE new) OVER (ORDER BY name) AS nth_of_all FROM ("
	"SELECT DISTINCT ON (n.name) n.name, n.token, said = 1 AS named, n.list, n.release, n.at,"
	" said = 1 AND c.named IS NOT TRUE AS new FROM unnest($1::text[], $2::text[], "
	"$3::bigint[], "
	"$4::text[]::uuid[], $5::bigint[], $6::timestamptz[]) n (name, token, said, list, release, "
	"at)"
	" LEFT JOIN consumer c ON c.name = n.name WHERE c.name IS NULL OR c.token IN ('', n.token)"
	" ORDER BY n.name, n.at) u) v"
	" WHERE NOT new OR (nth_of_all + (SELECT count(*) FROM consumer WHERE named) <= $8"
	" AND nth + (SELECT count(*) FROM consumer c WHERE c.token = v.token AND c.named) <= $7)"
	" ORDER BY name ON CONFLICT (name) DO UPDATE SET token = excluded.token,"
	" named = consumer.named OR excluded.named, fetched_list = excluded.fetched_list,"
	" fetched_release = excluded.fetched_release, fetched_at = excluded.fetched_at"
	" WHERE consumer.token IN ('', excluded.token)";
static const char pulled_sql[] =
	"INSERT INTO pull (token, address, agent, list, release, at)"
	" SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]::uuid[], "
	"$5::bigint[], $6::timestamptz[]) u ORDER BY 1, 2"
	" ON CONFLICT (token, address) DO UPDATE SET agent = excluded.agent, list = excluded.list, "
	"release = excluded.release, at = excluded.at";

static enum rc write_kind(
	struct pg *pg, const struct note *all, size_t n, enum note_kind kind, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	struct pg_array name, address, agent, said, list, release, at;
	enum rc rc = RC_OK;
	int count = 0;

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	pg_array_init(&name, PG_TEXT), pg_array_init(&address, PG_TEXT);
	pg_array_init(&agent, PG_TEXT), pg_array_init(&list, PG_TEXT);
	pg_array_init(&release, PG_INT8), pg_array_init(&at, PG_TIMESTAMPTZ);
	pg_array_init(&said, PG_INT8);
	for (size_t i = 0; i < n; i++) {
		if (all[i].kind != kind)
			continue;
		pg_array_text(&name, slice_str(all[i].name));
		pg_array_text(&address, slice_str(all[i].address));
		pg_array_text(&agent, slice_str(all[i].agent));
		pg_array_int(&said, all[i].said);
		pg_array_text(&list, slice_str(all[i].list));
		pg_array_int(&release, all[i].release);
		pg_array_time(&at, all[i].at_us);
		count++;
	}
	if (count > 0 && kind == NOTE_FETCHED) {
		struct pg_param p[] = {pg_p_array(&name), pg_p_array(&address), pg_p_array(&said),
			pg_p_array(&list), pg_p_array(&release), pg_p_array(&at),
			pg_p_int(BOUND_CONSUMERS_PER_TOKEN, a), pg_p_int(BOUND_CONSUMERS, a)};
		rc = pg_run(pg, fetched_sql, p, ARRAY_LEN(p), NULL, e);
	} else if (count > 0) {
		struct pg_param p[] = {pg_p_array(&name), pg_p_array(&address), pg_p_array(&agent),
			pg_p_array(&list), pg_p_array(&release), pg_p_array(&at)};
		rc = pg_run(pg, pulled_sql, p, ARRAY_LEN(p), NULL, e);
	}
	pg_array_done(&name), pg_array_done(&address), pg_array_done(&agent);
	pg_array_done(&said), pg_array_done(&list), pg_array_done(&release), pg_array_done(&at);
	return rc;
}

/* It could not be written: again later, or what is newer by then. */
static void again(struct notes *n, const struct note *one)
{
	pthread_mutex_lock(&n->lock);
	struct note *at = place(n, one);
	if (at->name[0] != '\0')
		at->fresh = true;
	pthread_mutex_unlock(&n->lock);
}

enum rc notes_write(struct notes *n, struct pg *pg, struct err *e)
{
	size_t count = 0;
	struct note *fresh = calloc(FULL + 1, sizeof(*fresh));

	if (fresh == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < SLOTS; i++)
		if (n->slot[i].fresh) {
			fresh[count++] = n->slot[i];
			n->slot[i].fresh = false;
		}
	if ((n->used >= FULL || n->names >= FULL_NAMES) &&
		count < FULL) { /* those of long ago make room */
		memset(n->slot, 0, sizeof(n->slot));
		n->used = n->names = 0;
	}
	pthread_mutex_unlock(&n->lock);
	enum rc rc = write_kind(pg, fresh, count, NOTE_FETCHED, e);
	if (rc == RC_OK)
		rc = write_kind(pg, fresh, count, NOTE_PULLED, e);
	for (size_t i = 0; rc != RC_OK && i < count; i++)
		again(n, &fresh[i]);
	free(fresh);
	return rc;
}
