/* A full copy of the list in Redis that follows the release log: docs/blocklist.md has the layout. A release is applied in one
 * transaction that watches blk:gen, so a copy is at one release as a whole, and a second writer cannot slip between. Leaves out the
 * whole copy at once, its writing and its checking: redis_full.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "blocklist/redis_copy.h"

#define CHANGES_MAX 50000 /* of one apply: a rebuild does not hold Redis up as long */
#define STREAM_MAX "100000"

/* ---- commands */

void copy_drop(struct projection *p)
{
	redis_close(p->r);
	p->r = NULL;
}

static enum rc failed(struct projection *p, enum rc rc)
{
	if (rc != RC_OK)
		copy_drop(p);
	return rc;
}

enum rc copy_do(struct projection *p, const struct slice *argv, size_t argc,
	struct redis_reply *out, struct err *e)
{
	return failed(p, redis_do(p->r, argv, argc, out, e));
}

enum rc copy_get(struct projection *p, struct slice key, struct redis_reply *out, struct err *e)
{
	struct redis_reply list;
	enum rc rc = copy_do(p, ARGV(SLICE("MGET"), key), &list, e);

	if (rc != RC_OK)
		return rc;
	if (list.kind != REDIS_LIST || list.count != 1) {
		copy_drop(p);
		return err_set(e, RC_RETRY, "redis: MGET: an answer of another shape");
	}
	*out = redis_item(&list, 0);
	return RC_OK;
}

enum rc copy_drain(struct projection *p, size_t keep, struct err *e)
{
	struct redis_reply reply;

	while (p->r != NULL && redis_pending(p->r) > keep) {
		enum rc rc = redis_recv(p->r, &reply, e);

		if (rc == RC_OK && reply.kind == REDIS_ERROR)
			rc = err_set(
				e, RC_RETRY, "redis: %.*s", (int)reply.text.len, reply.text.ptr);
		if (rc != RC_OK)
			return failed(p, rc);
	}
	return RC_OK;
}

enum rc copy_send(struct projection *p, const struct slice *argv, size_t argc, struct err *e)
{
	enum rc rc = failed(p, redis_send(p->r, argv, argc, e));

	if (rc == RC_OK && redis_pending(p->r) >= COPY_WINDOW)
		rc = copy_drain(p, COPY_WINDOW / 2, e);
	return rc;
}

/* ---- opening */

/* The number behind "name:" in the answer of INFO; false when it is not there. */
static bool info(struct slice text, const char *name, struct slice *out)
{
	for (struct slice line; slice_line(&text, &line);) {
		struct slice key;

		if (slice_cut(&line, ':', &key) && slice_eq(key, slice_str(name))) {
			*out = line;
			return true;
		}
	}
	return false;
}

/* A server that may throw entries away would answer "clean" for what is blocked; one before 6.2 does not know SET … EXAT. */
static enum rc suits(struct slice text, struct err *e)
{
	struct slice max = {0}, policy = {0}, version = {0}, major, minor;
	uint64_t a = 0, b = 0;

	if (info(text, "maxmemory", &max) && !slice_eq(max, SLICE("0")) &&
		info(text, "maxmemory_policy", &policy) && !slice_eq(policy, SLICE("noeviction")))
		return err_set(e, RC_INVALID,
			"redis: maxmemory-policy is %.*s: an entry that is thrown away reads as "
			"not blocked; set noeviction",
			(int)policy.len, policy.ptr);
	if (info(text, "redis_version", &version) && slice_cut(&version, '.', &major) &&
		slice_cut(&version, '.', &minor) && slice_u64(major, &a) == RC_OK &&
		slice_u64(minor, &b) == RC_OK && (a < 6 || (a == 6 && b < 2)))
		return err_set(e, RC_INVALID,
			"redis: version %" PRIu64 ".%" PRIu64 " is too old, 6.2 is needed", a, b);
	return RC_OK;
}

enum rc copy_suits(struct projection *p, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = redis_do(p->r, ARGV(SLICE("INFO")), &reply, e);

	if (rc == RC_DENIED) /* our user may not ask: its administrator knows */
		rc = RC_OK;
	else if (rc == RC_OK)
		rc = suits(reply.text, e);
	return failed(p, rc);
}

enum rc copy_connect(struct projection *p, struct err *e)
{
	if (p->r != NULL)
		return RC_OK;
	enum rc rc = redis_open(p->url, p->timeout_ms, &p->r, e);

	return rc == RC_OK ? copy_suits(p, e) : rc;
}

static void redis_copy_close(struct projection *p)
{
	if (p == NULL)
		return;
	copy_drop(p);
	free(p->url);
	free(p);
}
OWNER(redis_copy_close, struct projection);

static enum rc redis_copy_open(
	const struct projection_target *t, struct projection **out, struct err *e)
{
	OWN(redis_copy_close) struct projection *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->url = strdup(t->url)) == NULL)
		return err_set(e, RC_RETRY, "redis: out of memory");
	p->timeout_ms = t->timeout_ms;
	enum rc rc = copy_connect(p, e);

	if (rc == RC_OK)
		*out = TAKE(p);
	return rc;
}

/* ---- keys and values */

size_t copy_key(const struct entry *e, char out[COPY_KEY])
{
	int n = snprintf(out, COPY_KEY, "blk:%s:%s:%s", service_name(e->service),
		scope_name(e->scope), e->value);

	return n > 0 && n < COPY_KEY ? (size_t)n : 0;
}

enum rc copy_set(struct projection *p, const struct entry *e, struct err *e2)
{
	char key[COPY_KEY], value[ENTRY_LINE], at[24];
	struct slice k = slice_of(key, copy_key(e, key));
	int n = snprintf(value, sizeof(value), "%s|%s|%" PRId64 "|%" PRId64, e->action, e->case_id,
		e->until_s, e->release);
	struct slice v = slice_of(value, (size_t)n);

	if (k.len == 0 || n <= 0 || (size_t)n >= sizeof(value))
		return err_set(e2, RC_INVALID, "redis: an entry is too long for its key");
	if (e->until_s == 0)
		return copy_send(p, ARGV(SLICE("SET"), k, v), e2);
	(void)snprintf(at, sizeof(at), "%" PRId64, e->until_s + COPY_TTL_AFTER_S);
	return copy_send(p, ARGV(SLICE("SET"), k, v, SLICE("EXAT"), slice_str(at)), e2);
}

struct slice gen_format(const struct list_mark *m, char out[GEN_TEXT])
{
	char hex[65];

	digest_hex(&m->digest, hex);
	return slice_of(out,
		(size_t)snprintf(out, GEN_TEXT, "%s|%" PRId64 "|%" PRId64 "|%s", m->list,
			m->release, m->count, hex));
}

enum rc gen_parse(struct slice s, struct list_mark *out)
{
	struct list_mark m = {0};
	struct slice list, release, count;
	uint64_t n = 0, c = 0;

	if (!slice_cut(&s, '|', &list) || !slice_cut(&s, '|', &release) ||
		!slice_cut(&s, '|', &count))
		return RC_NONE;
	if (!list_name_fits(list) || slice_u64(release, &n) != RC_OK ||
		slice_u64(count, &c) != RC_OK || n > INT64_MAX || c > INT64_MAX ||
		digest_parse(s, &m.digest) != RC_OK)
		return RC_NONE;
	memcpy(m.list, list.ptr, list.len);
	m.release = (int64_t)n;
	m.count = (int64_t)c;
	*out = m;
	return RC_OK;
}

static enum rc redis_copy_at(struct projection *p, struct list_mark *out, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = copy_connect(p, e);

	if (rc == RC_OK)
		rc = copy_get(p, GEN_KEY, &reply, e);
	if (rc != RC_OK)
		return rc;
	return reply.kind == REDIS_TEXT ? gen_parse(reply.text, out) : RC_NONE;
}

/* ---- applying releases */

/* Watches blk:gen and compares. RC_CONFLICT: the copy is not where it should be. */
static enum rc watch(struct projection *p, const struct list_mark *from, struct err *e)
{
	struct list_mark has;
	struct redis_reply reply;
	enum rc rc = copy_do(p, ARGV(SLICE("WATCH"), GEN_KEY), &reply, e);

	if (rc == RC_OK)
		rc = copy_get(p, GEN_KEY, &reply, e);
	if (rc != RC_OK)
		return rc;
	if (reply.kind == REDIS_TEXT && gen_parse(reply.text, &has) == RC_OK &&
		mark_same(&has, from))
		return RC_OK;
	copy_drop(p); /* with its WATCH */
	return err_set(e, RC_CONFLICT, "redis: blk:gen is another one");
}

static enum rc send_change(struct projection *p, const struct pg_result *r, int i, struct err *e)
{
	struct entry one = entry_of_row(r, i, 0);
	struct slice op = pg_text(r, i, 7), release = pg_text(r, i, 8);
	char key[COPY_KEY], line[ENTRY_LINE];
	struct slice k = slice_of(key, copy_key(&one, key)),
		     l = slice_of(line, entry_line(&one, line, sizeof(line)));
	enum rc rc = RC_OK;

	if (k.len == 0)
		return err_set(e, RC_INVALID, "redis: an entry is too long for its key");
	one.release = pg_int(r, i, 8);
	if (slice_eq(op, SLICE("add")))
		rc = copy_set(p, &one, e);
	else if (!change_overtaken(r, i))
		rc = copy_send(p, ARGV(SLICE("DEL"), k), e);
	if (rc == RC_OK)
		rc = copy_send(p,
			ARGV(SLICE("XADD"), STREAM_KEY, SLICE("MAXLEN"), SLICE("~"),
				SLICE(STREAM_MAX), SLICE("*"), SLICE("op"), op, SLICE("line"), l,
				SLICE("release"), release),
			e);
	return rc;
}

enum rc copy_exec(struct projection *p, struct err *e)
{
	struct redis_reply reply;
	enum rc rc = copy_drain(p, 0, e);

	if (rc == RC_OK)
		rc = copy_do(p, ARGV(SLICE("EXEC")), &reply, e);
	if (rc != RC_OK)
		return rc;
	if (reply.kind != REDIS_LIST)
		return err_set(e, RC_CONFLICT, "redis: another one wrote meanwhile");
	for (size_t i = 0; i < reply.count; i++) {
		struct redis_reply one = redis_item(&reply, i);

		if (one.kind != REDIS_ERROR)
			continue;
		/* Half of it happened. Nobody may read this copy until it is rebuilt; what is of another type than ours can only be the
		 * stream, for SET takes the place of anything. */
		(void)err_set(e, RC_CONFLICT, "redis: %.*s", (int)one.text.len, one.text.ptr);
		return copy_do(p, ARGV(SLICE("DEL"), GEN_KEY, STREAM_KEY), &reply, NULL) == RC_OK
			? RC_CONFLICT
			: RC_RETRY;
	}
	return RC_OK;
}

static enum rc redis_copy_apply(struct projection *p, struct pg *c, const struct list_mark *from,
	const struct list_mark *to, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	char gen[GEN_TEXT];
	enum rc rc = changes_read(c, from, to, CHANGES_MAX, &r, e);

	if (rc == RC_OK)
		rc = copy_connect(p, e);
	if (rc == RC_OK)
		rc = watch(p, from, e);
	if (rc == RC_OK)
		rc = copy_send(p, ARGV(SLICE("MULTI")), e);
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++)
		rc = send_change(p, r, i, e);
	if (rc == RC_OK)
		rc = copy_send(p, ARGV(SLICE("SET"), GEN_KEY, gen_format(to, gen)), e);
	if (rc == RC_OK)
		rc = copy_exec(p, e);
	if (rc == RC_INVALID) /* of one entry: the transaction must not stay open */
		copy_drop(p);
	return rc;
}

const struct projection_ops projection_redis = {
	.name = "redis",
	.open = redis_copy_open,
	.close = redis_copy_close,
	.at = redis_copy_at,
	.apply = redis_copy_apply,
	.rebuild = copy_rebuild,
	.sweep = copy_sweep,
};
