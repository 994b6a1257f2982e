/* The list as its readers fetch it: a whole snapshot as JSON lines, and the changes since a release. Both say what the list then
 * counts and sums up to, for the service that was asked for, so that a reader can prove what it holds. Leaves out transport, and the
 * forms of particular clients. */
#include <inttypes.h>

#include "blocklist/list.h"

#define PIECE_BYTES (64 * 1024)
#define RELEASES_PER_ANSWER 10000

static const char head_sql[] =
	"SELECT list, release, count, digest, sms_count, sms_digest FROM list_head";

/* What one service's part of a list counts and sums up to: sms is stored, voice is the rest. */
void feed_part(struct list_mark *m, int service, int64_t sms_count, const struct digest *sms)
{
	if (service == SERVICE_SMS) {
		m->count = sms_count;
		m->digest = *sms;
	} else if (service == SERVICE_VOICE) {
		m->count -= sms_count;
		digest_part(&m->digest, sms);
	}
}

/* The head of the whole list and of the part asked for. */
static enum rc read_head(
	struct pg *c, int service, struct list_mark *whole, struct list_mark *part, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, head_sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_RETRY, "there is no list yet");
	struct digest sms = digest_of_bytes(pg_bytes(r, 0, 5));

	mark_of_row(r, 0, 0, whole);
	*part = *whole;
	feed_part(part, service, pg_int(r, 0, 4), &sms);
	return RC_OK;
}

/* ---- snapshot: from the list in memory, whose count and digest were the ledger's when it was loaded */

struct stream {
	feed_put *put;
	void *arg;
	struct buf piece;
	bool stopped;
};

static bool flush(struct stream *s)
{
	if (s->piece.failed || (s->piece.len > 0 && !s->put(s->arg, buf_slice(&s->piece))))
		s->stopped = true;
	buf_clear(&s->piece);
	return !s->stopped;
}

static bool send_entry(void *arg, const struct entry *e)
{
	struct stream *s = arg;

	entry_json(e, &s->piece);
	buf_byte(&s->piece, '\n');
	return s->piece.len < PIECE_BYTES || flush(s);
}

static void send_mark(struct stream *s, const struct list_mark *m, const char *at)
{
	mark_json_open(m, &s->piece);
	buf_fmt(&s->piece, ",\"at\":\"%s\"}\n", at);
}

bool feed_snapshot(const struct table *t, int service, int64_t now_s, feed_put *put, void *arg)
{
	struct stream s = {.put = put, .arg = arg};
	struct list_mark part;
	char at[TIME_TEXT];

	table_mark(t, service, &part);
	time_format(now_s * US_PER_S, at);
	buf_init(&s.piece, 4 * PIECE_BYTES);
	send_mark(&s, &part, at);
	bool whole = table_each(t, service, send_entry, &s);

	if (whole)
		send_mark(&s, &part, at);
	whole = whole && flush(&s);
	buf_done(&s.piece);
	return whole;
}

/* ---- changes */

static const char releases_sql[] =
	"SELECT n, added + removed, count, digest, sms_count, sms_digest FROM release"
	" WHERE n > $1 AND n <= $2 ORDER BY n LIMIT 10000";
_Static_assert(RELEASES_PER_ANSWER == 10000, "the limit in releases_sql");
static const char changes_sql[] =
	"SELECT " ENTRY_COLUMNS ", op, release FROM change WHERE release > $1 AND release <= $2"
	" ORDER BY release, ord";

/* How far one answer goes: whole releases, up to the bound, one at least. part: the list as it then was. RC_CONFLICT: the log
 * does not begin early enough. */
static enum rc reach(struct pg *c, int64_t after, int service, struct arena *a,
	struct list_mark *part, int64_t *changes, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_int(after, a), pg_p_int(part->release, a)};
	int64_t want = after, sum = 0;
	enum rc rc = pg_run(c, releases_sql, p, ARRAY_LEN(p), &r, e);
	int i;

	if (rc != RC_OK)
		return rc;
	for (i = 0; i < pg_rows(r); i++) {
		if (pg_int(r, i, 0) != ++want)
			break;
		if (i > 0 && sum + pg_int(r, i, 1) > BOUND_CHANGES_PER_ANSWER)
			break;
		sum += pg_int(r, i, 1);
	}
	if (i == 0)
		return err_set(e, RC_CONFLICT, "changes: release %" PRId64 " is no longer kept",
			after + 1);
	struct digest sms = digest_of_bytes(pg_bytes(r, i - 1, 5));

	part->release = pg_int(r, i - 1, 0);
	part->count = pg_int(r, i - 1, 2);
	part->digest = digest_of_bytes(pg_bytes(r, i - 1, 3));
	feed_part(part, service, pg_int(r, i - 1, 4), &sms);
	*changes = sum;
	return RC_OK;
}

static enum rc put_changes(struct pg *c, int64_t after, int64_t to, int64_t want, int service,
	struct arena *a, struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_int(after, a), pg_p_int(to, a)};
	bool first = true;
	enum rc rc = pg_run(c, changes_sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) != want) /* old ones were removed meanwhile */
		return err_set(
			e, RC_RETRY, "changes: %d of %" PRId64 " are there", pg_rows(r), want);
	for (int i = 0; i < pg_rows(r) && !out->failed; i++) {
		struct entry one = entry_of_row(r, i, 0);

		if (service >= 0 && one.service != (enum service)service)
			continue;
		if (!first)
			buf_byte(out, ',');
		first = false;
		entry_json_open(&one, out);
		buf_fmt(out, ",\"op\":\"%s\",\"release\":%" PRId64 "}", pg_text(r, i, 7).ptr,
			pg_int(r, i, 8));
	}
	return RC_OK;
}

static enum rc answer(struct pg *c, int64_t after, int service, const struct list_mark *head,
	struct list_mark *part, struct buf *out, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new(4096);
	int64_t changes = 0;
	char hex[65];
	enum rc rc = a != NULL ? RC_OK : err_set(e, RC_RETRY, "out of memory");

	if (rc == RC_OK && after < head->release)
		rc = reach(c, after, service, a, part, &changes, e);
	if (rc != RC_OK)
		return rc;
	digest_hex(&part->digest, hex);
	buf_fmt(out,
		"{\"list\":\"%s\",\"from\":%" PRId64 ",\"to\":%" PRId64
		",\"more\":%s,\"count\":%" PRId64 ",\"digest\":\"%s\",\"changes\":[",
		part->list, after, part->release, part->release < head->release ? "true" : "false",
		part->count, hex);
	if (changes > 0)
		rc = put_changes(c, after, part->release, changes, service, a, out, e);
	buf_add(out, SLICE("]}"));
	if (rc == RC_OK && out->failed)
		rc = err_set(e, RC_LIMIT, "changes: the answer is larger than %zu bytes", out->cap);
	return rc;
}

enum rc feed_changes(struct pg *c, const char *list, int64_t after, int service, struct buf *out,
	struct list_mark *mark, struct err *e)
{
	struct list_mark head, part;
	size_t before = out->len;
	enum rc rc = read_head(c, service, &head, &part, e);

	if (rc != RC_OK)
		return rc;
	*mark = head;
	if (strcmp(list, head.list) != 0)
		return err_set(e, RC_CONFLICT, "changes: the list is another one, %s", head.list);
	if (after > head.release || after < 0)
		return err_set(e, RC_CONFLICT, "changes: release %" PRId64 " is ahead of %" PRId64,
			after, head.release);
	rc = answer(c, after, service, &head, &part, out, e);
	if (rc != RC_OK && out->ptr != NULL) {
		out->len = before;
		out->ptr[before] = '\0';
	}
	return rc;
}

/* ---- destinations that are never barred */

enum rc feed_exempt(struct pg *c, struct buf *out, struct err *e)
{
	static const char sql[] = "SELECT destination, why FROM exempt ORDER BY destination";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	buf_add(out, SLICE("{\"destinations\":["));
	for (int i = 0; i < pg_rows(r); i++) {
		buf_add(out, i > 0 ? SLICE(",{\"value\":") : SLICE("{\"value\":"));
		buf_json(out, pg_text(r, i, 0));
		buf_add(out, SLICE(",\"why\":"));
		buf_json(out, pg_text(r, i, 1));
		buf_byte(out, '}');
	}
	buf_add(out, SLICE("]}"));
	return out->failed ? err_set(e, RC_LIMIT, "exempt: the answer is too large") : RC_OK;
}
