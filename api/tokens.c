/* The tokens that are valid, in memory: a thread with a connection of its own reads them every second, so that a request costs no query, a
 * stranger's guesses reach the database only in a trickle, and lookups go on while it is away. A token that was made a moment ago and is not
 * here yet is asked for in the ledger (identify). Holds no token, only its MAC. */
#include <stdlib.h>

#include "api/private.h"

#define TOUCH_EVERY_US (60 * US_PER_S)
#define ASKED_SLOTS 1024
#define BAD_FOR_US (60 * US_PER_S)

struct known {
	uint8_t mac[SHA256_LEN];
	int64_t id, expires_us; /* TIME_NONE: never */
	struct token_who who;
	bool used;
};

/* What the ledger said when it was asked for one. */
struct asked {
	uint8_t mac[SHA256_LEN];
	int64_t at_us; /* 0: empty */
	bool good;
	struct token_who who;
};

struct tokens {
	pthread_mutex_t lock;
	struct known *known; /* sorted by mac */
	size_t n;
	int64_t read_us; /* monotonic; TIME_NONE: never */
	struct asked
		asked[ASKED_SLOTS]; /* apart from the good ones, so that guesses push nothing out */
	int64_t touched_us;
};

struct tokens *tokens_new(void)
{
	struct tokens *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->read_us = TIME_NONE;
	return t;
}

void tokens_free(struct tokens *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->known);
	free(t);
}

static int by_mac(const void *a, const void *b)
{
	return memcmp(((const struct known *)a)->mac, ((const struct known *)b)->mac, SHA256_LEN);
}

static struct asked *slot_of(struct tokens *t, const uint8_t mac[SHA256_LEN])
{
	return &t->asked[((size_t)mac[0] << 8 | mac[1]) % ASKED_SLOTS];
}

/* A good one counts until the next reading, which either has it or does not. */
static enum rc was_asked(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us,
	int64_t old_max_us, struct token_who *out)
{
	const struct asked *s = slot_of(t, mac);
	int64_t age_us = mono_us - s->at_us;

	if (s->at_us == 0 || memcmp(s->mac, mac, SHA256_LEN) != 0)
		return RC_NONE;
	if (!s->good)
		return age_us < BAD_FOR_US ? RC_DENIED : RC_NONE;
	if (s->at_us <= t->read_us || age_us > old_max_us)
		return RC_NONE;
	*out = s->who;
	return RC_OK;
}

/* What is compared is a keyed hash that nobody outside can steer: its search need not take constant time. */
static enum rc find(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t now_us,
	int64_t mono_us, int64_t old_max_us, bool used, struct token_who *out)
{
	struct known key;
	enum rc rc = RC_NONE;

	memcpy(key.mac, mac, SHA256_LEN);
	pthread_mutex_lock(&t->lock);
	struct known *k = t->n > 0 ? bsearch(&key, t->known, t->n, sizeof(key), by_mac) : NULL;
	if (k == NULL) {
		rc = was_asked(t, mac, mono_us, old_max_us, out);
	} else if (mono_us - t->read_us <= old_max_us) {
		k->used = k->used || used;
		*out = k->who;
		rc = k->expires_us == TIME_NONE || k->expires_us > now_us ? RC_OK : RC_DENIED;
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

enum rc tokens_get(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t now_us, int64_t mono_us,
	int64_t old_max_us, struct token_who *out)
{
	return find(t, mac, now_us, mono_us, old_max_us, true, out);
}

enum rc tokens_peek(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t now_us,
	int64_t mono_us, int64_t old_max_us, struct token_who *out)
{
	return find(t, mac, now_us, mono_us, old_max_us, false, out);
}

void tokens_forget(struct tokens *t, const uint8_t mac[SHA256_LEN])
{
	struct known key;

	memcpy(key.mac, mac, SHA256_LEN);
	pthread_mutex_lock(&t->lock);
	struct known *k = t->n > 0 ? bsearch(&key, t->known, t->n, sizeof(key), by_mac) : NULL;
	if (k != NULL)
		k->expires_us = 0;
	slot_of(t, mac)->at_us = 0;
	pthread_mutex_unlock(&t->lock);
}

void tokens_put(struct tokens *t, const uint8_t mac[SHA256_LEN], int64_t mono_us, bool good,
	const struct token_who *who)
{
	pthread_mutex_lock(&t->lock);
	struct asked *s = slot_of(t, mac);
	memcpy(s->mac, mac, SHA256_LEN);
	s->at_us = mono_us;
	s->good = good;
	s->who = *who;
	pthread_mutex_unlock(&t->lock);
}

bool token_well_formed(struct slice token)
{
	bool fine = token.len >= 32 && token.len < 64 &&
		(slice_starts(token, SLICE("khn_")) || slice_starts(token, SLICE("khs_")));

	for (size_t i = 4; fine && i < token.len; i++) {
		char c = token.ptr[i];
		fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '-' || c == '_';
	}
	return fine;
}

/* ---- the thread's side ---- */

static void copy_text(char *out, size_t room, struct slice s)
{
	size_t n = s.len < room ? s.len : room - 1;

	memcpy(out, s.ptr, n);
	out[n] = '\0';
}

static void take_row(struct pg_result *r, int row, struct known *k)
{
	struct slice mac = pg_bytes(r, row, 1);

	k->id = pg_int(r, row, 0);
	if (mac.len == SHA256_LEN)
		memcpy(k->mac, mac.ptr, SHA256_LEN);
	copy_text(k->who.name, sizeof(k->who.name), pg_text(r, row, 2));
	copy_text(k->who.role, sizeof(k->who.role), pg_text(r, row, 3));
	k->who.loopback = pg_bool(r, row, 4);
	k->expires_us = pg_time_us(r, row, 5);
	k->who.person = pg_bool(r, row, 6);
}

enum rc tokens_read(struct tokens *t, struct pg *pg, int64_t mono_us, struct err *e)
{
	static const char sql[] = "SELECT id, mac, name, role, loopback, expires_at, person FROM "
				  "asker ORDER BY last_used_at DESC NULLS LAST LIMIT 10000";
	_Static_assert(BOUND_TOKENS == 10000, "the limit in sql");
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(pg, sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	size_t n = (size_t)pg_rows(r);
	struct known *fresh = calloc(n + 1, sizeof(*fresh)), *old;
	if (fresh == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	for (size_t i = 0; i < n; i++)
		take_row(r, (int)i, &fresh[i]);
	qsort(fresh, n, sizeof(*fresh), by_mac);
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0, j = 0; i < t->n && j < n;) { /* both are sorted */
		int order = by_mac(&t->known[i], &fresh[j]);
		if (order == 0)
			fresh[j].used = t->known[i].used;
		i += order <= 0 ? 1 : 0;
		j += order >= 0 ? 1 : 0;
	}
	old = t->known;
	t->known = fresh;
	t->n = n;
	t->read_us = mono_us;
	pthread_mutex_unlock(&t->lock);
	free(old);
	return RC_OK;
}

/* Once a minute is enough to know that a token is in use. */
enum rc tokens_touch(
	struct tokens *t, struct pg *pg, int64_t now_us, int64_t mono_us, struct err *e)
{
	static const char sql[] =
		"WITH t AS (UPDATE token SET last_used_at = $2::timestamptz WHERE id = ANY($1)) "
		"UPDATE session SET last_used_at = $2::timestamptz WHERE -id = ANY($1)";
	struct pg_array ids;

	if (t->touched_us != 0 && mono_us - t->touched_us < TOUCH_EVERY_US)
		return RC_OK;
	OWN(arena_free) struct arena *a = arena_new(4096);
	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	pg_array_init(&ids, PG_INT8);
	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n; i++) {
		if (t->known[i].used)
			pg_array_int(&ids, t->known[i].id);
		t->known[i].used = false;
	}
	pthread_mutex_unlock(&t->lock);
	enum rc rc = RC_OK;
	if (ids.count > 0) {
		struct pg_param p[] = {pg_p_array(&ids), pg_p_time(now_us, a)};
		rc = pg_run(pg, sql, p, ARRAY_LEN(p), NULL, e);
	}
	pg_array_done(&ids);
	t->touched_us = mono_us;
	return rc;
}
