/* The whole Redis copy: written anew from one consistent state of the ledger, and checked against the list by digest. While it is being
 * written there is no blk:gen, so whoever asks for it knows that nothing is known; entries that stay listed are overwritten, not
 * removed, so that not even a careless reader sees a block vanish. The writer who began last wins: one that was stopped meanwhile
 * writes nothing more. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blocklist/redis_copy.h"

#define PAGE_ROWS 5000
#define SCAN_COUNT SLICE("5000")
#define MARKER_KEY SLICE("blk:rebuild") /* who is writing the copy; the last one to say so wins */
#define KEYS_CAP (16UL * 1024 * 1024)   /* of one answer of SCAN */

/* ---- a set of keys, by 64 bits of their hash */

struct keyset {
	uint64_t *at;
	size_t n, room;
};

static void keyset_done(struct keyset *s)
{
	free(s->at);
}
#define KEYSET_OWN __attribute__((cleanup(keyset_done)))

static uint64_t key_hash(struct slice key)
{
	uint8_t sum[SHA256_LEN];
	uint64_t h;

	sha256(key, sum);
	memcpy(&h, sum, sizeof(h));
	return h != 0 ? h : 1;
}

static size_t keyset_slot(const uint64_t *at, size_t room, uint64_t h)
{
	size_t i = (size_t)h & (room - 1);

	while (at[i] != 0 && at[i] != h)
		i = (i + 1) & (room - 1);
	return i;
}

static bool keyset_has(const struct keyset *s, uint64_t h)
{
	return s->room > 0 && s->at[keyset_slot(s->at, s->room, h)] == h;
}

/* False: out of memory. */
static bool keyset_add(struct keyset *s, uint64_t h)
{
	if (2 * s->n >= s->room) {
		size_t room = s->room == 0 ? 1024 : 2 * s->room;
		uint64_t *at = calloc(room, sizeof(*at));

		if (at == NULL)
			return false;
		for (size_t i = 0; i < s->room; i++)
			if (s->at[i] != 0)
				at[keyset_slot(at, room, s->at[i])] = s->at[i];
		free(s->at);
		s->at = at;
		s->room = room;
	}
	size_t i = keyset_slot(s->at, s->room, h);

	s->n += s->at[i] == 0 ? 1 : 0;
	s->at[i] = h;
	return true;
}

/* ---- walking the keys of the copy */

/* Reads "blk:<service>:<scope>:<value>" into e; value is written NUL-terminated. */
static bool key_parse(struct slice key, struct entry *e, char value[SENDER_TEXT])
{
	struct slice word, rest = key;

	if (!slice_cut(&rest, ':', &word) || !slice_eq(word, SLICE("blk")))
		return false;
	if (!slice_cut(&rest, ':', &word) || !service_parse(word, &e->service))
		return false;
	if (!slice_cut(&rest, ':', &word) || (e->scope = scope_parse(word)) == SCOPE_NONE)
		return false;
	if (rest.len == 0 || rest.len >= SENDER_TEXT || memchr(rest.ptr, '\0', rest.len) != NULL)
		return false;
	memcpy(value, rest.ptr, rest.len);
	value[rest.len] = '\0';
	e->value = value;
	return true;
}

static bool is_entry_key(struct slice key)
{
	return slice_starts(key, SLICE("blk:sms:")) || slice_starts(key, SLICE("blk:voice:"));
}

struct page {
	struct buf text; /* the keys, one after the other */
	size_t *lens, n, room;
};

static void page_done(struct page *g)
{
	buf_done(&g->text);
	free(g->lens);
}
#define PAGE_OWN __attribute__((cleanup(page_done)))

static bool page_add(struct page *g, struct slice key)
{
	if (g->n == g->room) {
		size_t room = g->room == 0 ? 2048 : 2 * g->room;
		size_t *lens = realloc(g->lens, room * sizeof(*lens));

		if (lens == NULL)
			return false;
		g->lens = lens;
		g->room = room;
	}
	buf_add(&g->text, key);
	g->lens[g->n++] = key.len;
	return !g->text.failed;
}

/* The next keys of entries. The server may name one twice, and names every one that was there all the time. *cursor begins and ends
 * with "0". */
static enum rc scan(struct projection *p, char cursor[24], struct page *g, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = copy_do(p,
		ARGV(SLICE("SCAN"), slice_str(cursor), SLICE("MATCH"), SLICE("blk:*"),
			SLICE("COUNT"), SCAN_COUNT),
		&reply, e);

	if (rc != RC_OK)
		return rc;
	buf_clear(&g->text);
	g->n = 0;
	if (reply.kind != REDIS_LIST || reply.count != 2) {
		copy_drop(p);
		return err_set(e, RC_RETRY, "redis: SCAN: an answer of another shape");
	}
	struct redis_reply next = redis_item(&reply, 0), keys = redis_item(&reply, 1);

	if (next.kind != REDIS_TEXT || next.text.len >= 24 || keys.kind != REDIS_LIST) {
		copy_drop(p);
		return err_set(e, RC_RETRY, "redis: SCAN: an answer of another shape");
	}
	memcpy(cursor, next.text.ptr, next.text.len);
	cursor[next.text.len] = '\0';
	for (size_t i = 0; i < keys.count; i++) {
		struct redis_reply key = redis_item(&keys, i);

		if (key.kind == REDIS_TEXT && is_entry_key(key.text) && !page_add(g, key.text))
			return err_set(e, RC_RETRY, "redis: out of memory");
	}
	return RC_OK;
}

/* ---- writing while the copy is ours */

/* RC_CONFLICT: another one began after us. Else its beginning makes the next EXEC fail. */
static enum rc still_ours(struct projection *p, struct slice token, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = copy_do(p, ARGV(SLICE("WATCH"), MARKER_KEY), &reply, e);

	if (rc == RC_OK)
		rc = copy_get(p, MARKER_KEY, &reply, e);
	if (rc == RC_OK && (reply.kind != REDIS_TEXT || !slice_eq(reply.text, token))) {
		copy_drop(p);
		return err_set(e, RC_CONFLICT, "redis: another one rebuilds the copy");
	}
	return rc;
}

/* What is sent from here to copy_exec happens while the copy is still ours, or not at all: a writer that was stopped for a while must not
 * write into what its successor has made. */
static enum rc part_begin(struct projection *p, struct slice token, struct err *e)
{
	enum rc rc = still_ours(p, token, e);

	return rc == RC_OK ? copy_send(p, ARGV(SLICE("MULTI")), e) : rc;
}

/* ---- destinations that are never barred */

/* token "": not as a part of a rebuild. */
static enum rc write_exempt(struct projection *p, struct pg *c, struct slice token, struct err *e)
{
	static const char sql[] = "SELECT destination FROM exempt ORDER BY destination";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc == RC_OK)
		rc = token.len > 0 ? part_begin(p, token, e)
				   : copy_send(p, ARGV(SLICE("MULTI")), e);
	if (rc == RC_OK)
		rc = copy_send(p, ARGV(SLICE("DEL"), SLICE("blk:exempt")), e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		rc = copy_send(p, ARGV(SLICE("SADD"), SLICE("blk:exempt"), pg_text(r, i, 0)), e);
	return rc == RC_OK ? copy_exec(p, e) : rc;
}

/* ---- rebuilding */

static const char page_sql[] =
	"SELECT " ENTRY_COLUMNS
	", release FROM entry WHERE (scope, value, service) > ($1::text, $2::text, $3::smallint)"
	" ORDER BY scope, value, service LIMIT 5000";
_Static_assert(PAGE_ROWS == 5000, "the limit in page_sql");

static enum rc write_rows(struct projection *p, const struct pg_result *r, struct keyset *set,
	struct list_mark *sum, struct err *e)
{
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		struct entry one = entry_of_row(r, i, 0);
		char key[COPY_KEY];

		one.release = pg_int(r, i, 7);
		digest_add(&sum->digest, &one);
		sum->count++;
		if (!keyset_add(set, key_hash(slice_of(key, copy_key(&one, key)))))
			return err_set(e, RC_RETRY, "redis: out of memory");
		rc = copy_set(p, &one, e);
	}
	return rc;
}

/* A page is a part; its EXEC is waited for when the next rows are there, so that the server takes in the one while the ledger reads the other. */
static enum rc write_entries(struct projection *p, struct pg *c, struct slice token,
	struct keyset *set, struct list_mark *sum, struct err *e)
{
	OWN(pg_free) struct pg_result *last = NULL;
	struct pg_param q[] = {pg_p_str(""), pg_p_str(""), pg_p_str("0")};
	bool open = false;

	do {
		OWN(pg_free) struct pg_result *r = NULL;
		enum rc rc = pg_run(c, page_sql, q, ARRAY_LEN(q), &r, e);

		if (rc == RC_OK && open)
			rc = copy_exec(p, e);
		if (rc == RC_OK)
			rc = part_begin(p, token, e);
		if (rc == RC_OK)
			rc = write_rows(p, r, set, sum, e);
		if (rc != RC_OK)
			return rc;
		open = true;
		pg_free(TAKE(last));
		last = TAKE(r);
		for (int i = 0; i < 3 && pg_rows(last) > 0; i++)
			q[i] = pg_p_str(pg_text(last, pg_rows(last) - 1, i).ptr);
	} while (pg_rows(last) == PAGE_ROWS);
	return copy_exec(p, e);
}

static enum rc remove_page(struct projection *p, struct slice token, const struct keyset *set,
	const struct page *g, struct err *e)
{
	enum rc rc = RC_OK;
	bool open = false;

	for (size_t i = 0, at = 0; rc == RC_OK && i < g->n; at += g->lens[i++]) {
		struct slice key = slice_of(g->text.ptr + at, g->lens[i]);

		if (keyset_has(set, key_hash(key)))
			continue;
		if (!open)
			rc = part_begin(p, token, e);
		open = true;
		if (rc == RC_OK)
			rc = copy_send(p, ARGV(SLICE("UNLINK"), key), e);
	}
	return rc == RC_OK && open ? copy_exec(p, e) : rc;
}

static enum rc remove_stale(
	struct projection *p, struct slice token, const struct keyset *set, struct err *e)
{
	PAGE_OWN struct page g = {0};
	char cursor[24] = "0";
	enum rc rc;

	buf_init(&g.text, KEYS_CAP);
	do {
		rc = scan(p, cursor, &g, e);
		if (rc == RC_OK)
			rc = remove_page(p, token, set, &g, e);
	} while (rc == RC_OK && strcmp(cursor, "0") != 0);
	return rc;
}

/* Everything but blk:gen, as of *head. */
static enum rc write_all(struct projection *p, struct pg *c, struct slice token,
	struct list_mark *head, struct err *e)
{
	KEYSET_OWN struct keyset set = {0};
	struct list_mark sum = {0};
	enum rc rc = pg_script(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", e);

	if (rc == RC_OK)
		rc = head_read(c, head, e);
	if (rc == RC_OK)
		rc = write_entries(p, c, token, &set, &sum, e);
	if (rc == RC_OK)
		rc = write_exempt(p, c, token, e);
	pg_rollback(c);
	if (rc == RC_OK && (sum.count != head->count || !digest_same(&sum.digest, &head->digest)))
		rc = err_set(e, RC_RETRY,
			"redis: release %" PRId64 " is not what its head says: %" PRId64
			" entries, want %" PRId64,
			head->release, sum.count, head->count);
	return rc == RC_OK ? remove_stale(p, token, &set, e) : rc;
}

static enum rc begin(struct projection *p, struct slice token, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = copy_do(
		p, ARGV(SLICE("SET"), MARKER_KEY, token, SLICE("EX"), SLICE("3600")), &reply, e);

	return rc == RC_OK ? copy_do(p, ARGV(SLICE("DEL"), GEN_KEY), &reply, e) : rc;
}

/* blk:gen last, if nobody began after us. */
static enum rc finish(
	struct projection *p, struct slice token, const struct list_mark *head, struct err *e)
{
	char gen[GEN_TEXT], release[24];
	enum rc rc = part_begin(p, token, e);

	(void)snprintf(release, sizeof(release), "%" PRId64, head->release);
	if (rc == RC_OK)
		rc = copy_send(p, ARGV(SLICE("SET"), GEN_KEY, gen_format(head, gen)), e);
	if (rc == RC_OK)
		rc = copy_send(p, ARGV(SLICE("DEL"), MARKER_KEY), e);
	if (rc == RC_OK)
		rc = copy_send(p,
			ARGV(SLICE("XADD"), STREAM_KEY, SLICE("*"), SLICE("op"), SLICE("rebuild"),
				SLICE("line"), SLICE(""), SLICE("release"), slice_str(release)),
			e);
	return rc == RC_OK ? copy_exec(p, e) : rc;
}

enum rc copy_rebuild(struct projection *p, struct pg *c, struct err *e)
{
	struct list_mark head;
	char hex[17] = "";
	struct slice token = slice_of(hex, 16);
	enum rc rc = copy_connect(p, e);

	(void)snprintf(hex, sizeof(hex), "%016" PRIx64, random_u64());
	if (rc == RC_OK)
		rc = begin(p, token, e);
	if (rc == RC_OK)
		rc = write_all(p, c, token, &head, e);
	if (rc == RC_OK)
		rc = finish(p, token, &head, e);
	if (rc != RC_OK) /* with the answers that were not taken */
		copy_drop(p);
	return rc;
}

/* ---- checking */

/* "action|case|until|release" as the rest of an entry. The texts are cut in place. */
static bool value_parse(struct slice s, struct buf *text, struct entry *e)
{
	struct slice action, case_id, until;
	uint64_t until_s = 0, release = 0;

	/* What Redis says is not trusted: a line has bounds. */
	if (!slice_cut(&s, '|', &action) || !slice_cut(&s, '|', &case_id) || action.len > 16 ||
		case_id.len > 64 || !slice_cut(&s, '|', &until) ||
		slice_u64(until, &until_s) != RC_OK || slice_u64(s, &release) != RC_OK ||
		until_s > INT64_MAX)
		return false;
	buf_clear(text);
	buf_add(text, action);
	buf_byte(text, '\0');
	buf_add(text, case_id);
	if (text->failed || memchr(action.ptr, '\0', action.len) != NULL ||
		memchr(case_id.ptr, '\0', case_id.len) != NULL)
		return false;
	e->action = text->ptr;
	e->case_id = text->ptr + action.len + 1;
	e->until_s = (int64_t)until_s;
	return true;
}

struct sum {
	struct keyset seen;
	struct list_mark mark;
	struct buf text;
	bool odd; /* a key or value that no writer of ours makes */
};

static void add_one(struct sum *s, struct slice key, struct slice value)
{
	struct entry one = {0};
	char text[SENDER_TEXT];

	if (!key_parse(key, &one, text) || !value_parse(value, &s->text, &one)) {
		s->odd = true;
		return;
	}
	digest_add(&s->mark.digest, &one);
	s->mark.count++;
}

/* The values of one page's keys, in the same order. */
static enum rc read_values(struct projection *p, const struct page *g, struct sum *s, struct err *e)
{
	struct slice *argv = calloc(g->n + 1, sizeof(*argv));
	struct redis_reply reply;
	size_t n = 1;

	if (argv == NULL)
		return err_set(e, RC_RETRY, "redis: out of memory");
	argv[0] = SLICE("MGET");
	for (size_t i = 0, at = 0; i < g->n; at += g->lens[i++]) {
		struct slice key = slice_of(g->text.ptr + at, g->lens[i]);
		uint64_t h = key_hash(key);

		if (keyset_has(&s->seen, h))
			continue;
		if (!keyset_add(&s->seen, h)) {
			free(argv);
			return err_set(e, RC_RETRY, "redis: out of memory");
		}
		argv[n++] = key;
	}
	enum rc rc = n > 1 ? copy_do(p, argv, n, &reply, e) : RC_OK;

	if (rc == RC_OK && n > 1 && (reply.kind != REDIS_LIST || reply.count != n - 1)) {
		copy_drop(p);
		rc = err_set(e, RC_RETRY, "redis: MGET: an answer of another shape");
	}
	for (size_t i = 1; rc == RC_OK && i < n; i++) {
		struct redis_reply value = redis_item(&reply, i - 1);

		if (value.kind == REDIS_TEXT) /* else its time was over, or it is no text of ours */
			add_one(s, argv[i], value.text);
	}
	free(argv);
	return rc;
}

static enum rc add_up(struct projection *p, struct sum *s, struct err *e)
{
	PAGE_OWN struct page g = {0};
	char cursor[24] = "0";
	enum rc rc;

	buf_init(&g.text, KEYS_CAP);
	do {
		rc = scan(p, cursor, &g, e);
		if (rc == RC_OK)
			rc = read_values(p, &g, s, e);
	} while (rc == RC_OK && strcmp(cursor, "0") != 0);
	return rc;
}

static enum rc read_gen(struct projection *p, struct list_mark *out, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = copy_get(p, GEN_KEY, &reply, e);

	if (rc == RC_OK && (reply.kind != REDIS_TEXT || gen_parse(reply.text, out) != RC_OK))
		rc = err_set(e, RC_CONFLICT, "redis: there is no blk:gen, or it is none of ours");
	return rc;
}

/* What the ledger says that the list was at this release. RC_CONFLICT: something else. */
static enum rc check_gen(struct pg *c, const struct list_mark *gen, struct err *e)
{
	static const char sql[] =
		"SELECT r.list, r.n, r.count, r.digest FROM release r JOIN list_head h USING "
		"(list) WHERE r.n = $1"
		" UNION ALL SELECT list, release, count, digest FROM list_head ORDER BY n LIMIT 1";
	OWN(arena_free) struct arena *a = arena_new(4096);
	OWN(pg_free) struct pg_result *r = NULL;
	struct list_mark want;

	if (a == NULL)
		return err_set(e, RC_RETRY, "redis: out of memory");
	struct pg_param q = pg_p_int(gen->release, a);
	enum rc rc = pg_run(c, sql, &q, 1, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_RETRY, "there is no list yet");
	mark_of_row(r, 0, 0, &want);
	/* a release that is no longer kept cannot be compared */
	if (strcmp(want.list, gen->list) != 0 || want.release < gen->release ||
		(want.release == gen->release && !mark_same(&want, gen)))
		return err_set(e, RC_CONFLICT,
			"redis: blk:gen is not what the ledger says of release %" PRId64,
			gen->release);
	return RC_OK;
}

enum rc copy_sweep(struct projection *p, struct pg *c, struct err *e)
{
	struct sum s = {0};
	struct list_mark gen, again;
	enum rc rc = copy_connect(p, e);

	buf_init(&s.text, 4096);
	if (rc == RC_OK)
		rc = copy_suits(p, e);
	if (rc == RC_OK)
		rc = read_gen(p, &gen, e);
	if (rc == RC_OK)
		rc = check_gen(c, &gen, e);
	if (rc == RC_OK)
		rc = add_up(p, &s, e);
	if (rc == RC_OK)
		rc = read_gen(p, &again, e);
	if (rc == RC_OK && !mark_same(&gen, &again))
		rc = err_set(e, RC_RETRY, "redis: the copy moved while it was checked");
	if (rc == RC_OK &&
		(s.odd || s.mark.count != gen.count || !digest_same(&s.mark.digest, &gen.digest)))
		rc = err_set(e, RC_CONFLICT,
			"redis: the copy holds %" PRId64 " entries that are not the %" PRId64
			" of release %" PRId64,
			s.mark.count, gen.count, gen.release);
	if (rc == RC_OK)
		rc = write_exempt(p, c, SLICE(""), e);
	keyset_done(&s.seen);
	buf_done(&s.text);
	return rc;
}
