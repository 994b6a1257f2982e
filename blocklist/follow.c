/* Following the list over HTTP, as docs/clients.md tells any follower to: a snapshot that proves itself, then changes, each answer checked by
 * the digest of what is then held, and acknowledged with that digest. Whatever fails, the list that was proved last stays in force, and an
 * alarm says for how long nothing was heard. Leaves out the HTTP client (wire/http.h), the lines (follow_list.c), the questions
 * (follow_socket.c). */
#include "blocklist/follow.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "blocklist/follow_socket.h"

#define LINE_CAP 8192
#define CHANGES_CAP ((size_t)BOUND_CHANGES_BYTES) /* a larger answer is fetched as a snapshot */
#define ACK_AGAIN_US (60 * US_PER_S)
#define SILENCE_S 30

struct follow {
	const struct follow_settings *s;
	struct http *http;
	struct json_parser *json;
	struct follow_list list;
	struct follow_socket *socket;
	struct buf answer, problem;
	int64_t synced_us, acked_us; /* monotonic; when what we hold was known to be current */
	bool dirty;                  /* held, and not yet in the file */
	bool anew;                   /* what is held is of another list, or too old */
	bool alarmed, ack_missing;
	unsigned failures;
};

/* ---- one snapshot, line by line as it comes */

struct snapshot_in {
	struct follow *f;
	struct follow_list list;
	struct list_mark head;
	struct buf line;
	bool has_head, has_tail;
	enum rc rc;
	struct err e;
};

static bool mark_of_json(struct json doc, struct list_mark *out)
{
	struct slice list = json_text(json_get(doc, "list"));

	*out = (struct list_mark){.release = json_int(json_get(doc, "release")),
		.count = json_int(json_get(doc, "count"))};
	if (!list_name_fits(list) || json_get(doc, "release").kind != JSON_INT || out->release < 0)
		return false;
	memcpy(out->list, list.ptr, list.len);
	return digest_parse(json_text(json_get(doc, "digest")), &out->digest) == RC_OK;
}

static enum rc take_line(struct snapshot_in *in)
{
	struct list_mark mark;
	struct entry_text one;
	struct json doc;
	enum rc rc = json_parse(in->f->json, buf_slice(&in->line), &doc, &in->e);

	if (rc != RC_OK)
		return err_wrap(&in->e, RC_RETRY, "snapshot");
	if (in->has_tail)
		return err_set(&in->e, RC_RETRY, "snapshot: a line behind its end");
	if (json_get(doc, "list").kind != JSON_NONE) {
		if (!mark_of_json(doc, &mark) || (in->has_head && !mark_same(&mark, &in->head)))
			return err_set(&in->e, RC_RETRY, "snapshot: head and tail differ");
		in->has_tail = in->has_head;
		in->has_head = true;
		in->head = mark;
		return RC_OK;
	}
	if (!in->has_head || !entry_of_json(doc, &one))
		return err_set(&in->e, RC_RETRY, "snapshot: a line that is no entry");
	return follow_list_add(&in->list, &one.entry, &in->e);
}

static bool on_snapshot(void *arg, struct slice piece)
{
	struct snapshot_in *in = arg;

	while (in->rc == RC_OK && piece.len > 0) {
		const char *end = memchr(piece.ptr, '\n', piece.len);
		size_t n = end != NULL ? (size_t)(end - piece.ptr) : piece.len;

		buf_add(&in->line, slice_of(piece.ptr, n));
		if (in->line.failed)
			in->rc = err_set(&in->e, RC_RETRY, "snapshot: a line without end");
		else if (end != NULL)
			in->rc = take_line(in);
		if (end == NULL)
			break;
		buf_clear(&in->line);
		piece = slice_of(end + 1, piece.len - n - 1);
	}
	return in->rc == RC_OK;
}

/* An answer that is none of ours. RC_DENIED: the key is refused. */
static enum rc other_status(struct follow *f, int status, const char *what, struct err *e)
{
	return err_set(e, status == 401 || status == 403 ? RC_DENIED : RC_RETRY,
		"%s: HTTP %d%s%.200s", what, status, f->problem.len > 0 ? ": " : "",
		f->problem.len > 0 ? f->problem.ptr : "");
}

/* The new list takes the place of the old one; what readers of the socket hold meanwhile stays theirs. */
static void take_over(struct follow *f, struct follow_list *fresh)
{
	follow_socket_lock(f->socket);
	follow_list_done(&f->list);
	f->list = *fresh;
	follow_socket_unlock(f->socket);
	*fresh = (struct follow_list){0};
	f->dirty = true;
	f->anew = false;
}

static enum rc check_snapshot(struct snapshot_in *in, struct err *e)
{
	if (!in->has_tail)
		return err_set(e, RC_RETRY, "snapshot: it ends early");
	if (in->list.mark.count != in->head.count ||
		!digest_same(&in->list.mark.digest, &in->head.digest))
		return err_set(e, RC_RETRY,
			"snapshot: %" PRId64 " entries that are not the %" PRId64
			" that it promises",
			in->list.mark.count, in->head.count);
	return follow_list_sort(&in->list, e) == RC_CONFLICT ? RC_RETRY : RC_OK;
}

static enum rc fetch_snapshot(struct follow *f, struct err *e)
{
	struct snapshot_in in = {.f = f};
	char path[192];
	int status = 0;

	buf_init(&in.line, LINE_CAP);
	(void)snprintf(path, sizeof(path), "/v1/feed/snapshot?consumer=%s%s%s", f->s->consumer,
		f->s->service[0] != '\0' ? "&service=" : "", f->s->service);
	enum rc rc = http_get(f->http, path, 0, on_snapshot, &in, &status, &f->problem, e);

	if (in.rc != RC_OK)
		rc = err_set(e, RC_RETRY, "%s", in.e.text);
	else if (rc == RC_OK && status != 200)
		rc = other_status(f, status, "snapshot", e);
	if (rc == RC_OK)
		rc = check_snapshot(&in, e);
	if (rc == RC_OK) {
		in.list.mark = in.head;
		log_info("follow", "snapshot list=%s release=%" PRId64 " count=%" PRId64,
			in.head.list, in.head.release, in.head.count);
		take_over(f, &in.list);
	}
	follow_list_done(&in.list);
	buf_done(&in.line);
	return rc;
}

/* ---- changes */

static bool on_changes(void *arg, struct slice piece)
{
	struct follow *f = arg;

	buf_add(&f->answer, piece);
	return !f->answer.failed;
}

static enum rc read_changes(struct follow_edit *edit, struct json doc, struct err *e)
{
	struct json_iter it = json_iter(json_get(doc, "changes"));
	struct slice key;
	struct json one;
	enum rc rc = RC_OK;

	while (rc == RC_OK && json_next(&it, &key, &one)) {
		struct slice op = json_text(json_get(one, "op"));
		struct entry_text t;

		if (!entry_of_json(one, &t) ||
			(!slice_eq(op, SLICE("add")) && !slice_eq(op, SLICE("remove"))))
			rc = err_set(e, RC_CONFLICT, "a change that is no entry");
		else
			rc = follow_edit_add(edit, &t.entry, slice_eq(op, SLICE("add")), e);
	}
	return rc;
}

/* RC_CONFLICT: what we hold and what came do not go together; what is held stays in force until the list was fetched anew. */
static enum rc take_changes(struct follow *f, bool *more, struct err *e)
{
	FOLLOW_EDIT_OWN struct follow_edit edit = {0};
	struct json doc;
	struct digest promised;
	enum rc rc = json_parse(f->json, buf_slice(&f->answer), &doc, e);

	if (rc != RC_OK)
		return err_wrap(e, RC_CONFLICT, "changes");
	int64_t from = json_int(json_get(doc, "from")), to = json_int(json_get(doc, "to"));

	*more = json_bool(json_get(doc, "more"));
	if (!slice_eq(json_text(json_get(doc, "list")), slice_str(f->list.mark.list)) ||
		from != f->list.mark.release || to < from ||
		digest_parse(json_text(json_get(doc, "digest")), &promised) != RC_OK)
		return err_set(e, RC_CONFLICT, "changes: an answer of another shape");
	if (to == from)
		return RC_OK;
	rc = read_changes(&edit, doc, e);
	if (rc == RC_OK)
		rc = follow_edit_make(&edit, &f->list, e);
	if (rc == RC_OK &&
		(edit.to.mark.count != json_int(json_get(doc, "count")) ||
			!digest_same(&edit.to.mark.digest, &promised)))
		rc = err_set(
			e, RC_CONFLICT, "changes: release %" PRId64 " is not what it promises", to);
	if (rc != RC_OK)
		return rc;
	edit.to.mark.release = to;
	follow_socket_lock(f->socket);
	follow_edit_swap(&edit, &f->list);
	follow_socket_unlock(f->socket);
	f->dirty = true;
	return RC_OK;
}

/* RC_CONFLICT: a snapshot is needed. */
static enum rc fetch_changes(struct follow *f, bool *more, struct err *e)
{
	int wait_s = f->dirty || f->s->once ? 0 : f->s->wait_s, status = 0;
	char path[192];

	(void)snprintf(path, sizeof(path), "/v1/feed/changes?list=%s&after=%" PRId64 "&wait=%d%s%s",
		f->list.mark.list, f->list.mark.release, wait_s,
		f->s->service[0] != '\0' ? "&service=" : "", f->s->service);
	buf_clear(&f->answer);
	enum rc rc = http_get(f->http, path, wait_s, on_changes, f, &status, &f->problem, e);

	if (rc == RC_LIMIT)
		return err_set(e, RC_CONFLICT, "changes: more than %zu bytes", CHANGES_CAP);
	if (rc != RC_OK)
		return rc;
	if (status == 410)
		return err_set(e, RC_CONFLICT, "changes: HTTP 410: %.200s",
			f->problem.len > 0 ? f->problem.ptr : "");
	return status == 200 ? take_changes(f, more, e) : other_status(f, status, "changes", e);
}

/* ---- telling */

static enum rc acknowledge(struct follow *f, struct err *e)
{
	const struct list_mark *m = &f->list.mark;
	BUF_OWN struct buf body;
	char hex[65];
	int status = 0;

	buf_init(&body, 4096);
	digest_hex(&m->digest, hex);
	buf_add(&body, SLICE("{\"consumer\":"));
	buf_json(&body, slice_str(f->s->consumer));
	buf_fmt(&body,
		",\"list\":\"%s\",\"release\":%" PRId64 ",\"count\":%" PRId64
		",\"digest\":\"%s\"%s%s%s}",
		m->list, m->release, m->count, hex,
		f->s->service[0] != '\0' ? ",\"service\":\"" : "", f->s->service,
		f->s->service[0] != '\0' ? "\"" : "");
	enum rc rc = http_post(f->http, "/v1/feed/acks", buf_slice(&body), &status, &f->problem, e);

	if (rc != RC_OK)
		return rc;
	f->acked_us = clk_system.mono_us(&clk_system);
	if (status == 404) {
		if (!f->ack_missing)
			log_warn("follow", "the server takes no acknowledgements: HTTP 404");
		f->ack_missing = true;
		return RC_OK;
	}
	if (status >= 500)
		return other_status(f, status, "acknowledgement", e);
	if (status >=
		300) /* the proof is refused, not the list: that is no reason to stop following */
		log_error("follow", "alarm=ack_refused status=%d answer=\"%.200s\"", status,
			f->problem.len > 0 ? f->problem.ptr : "");
	return RC_OK;
}

/* The file's time says when it was last known to be current. */
static enum rc write_out(struct follow *f, struct err *e)
{
	enum rc rc = RC_OK;

	if (f->s->out == NULL)
		return RC_OK;
	if (f->dirty)
		rc = follow_list_save(&f->list, f->s->out, f->s->service, e);
	else
		(void)utimensat(AT_FDCWD, f->s->out, NULL, 0);
	return rc;
}

static enum rc synced(struct follow *f, struct err *e)
{
	int64_t now = clk_system.mono_us(&clk_system);
	bool fresh = f->dirty;
	enum rc rc = write_out(f, e);

	if (rc != RC_OK)
		return rc;
	f->dirty = false;
	f->synced_us = now;
	follow_socket_synced(f->socket, now);
	if (f->alarmed)
		log_info("follow", "alarm=over release=%" PRId64, f->list.mark.release);
	f->alarmed = false;
	f->failures = 0;
	if (fresh || f->acked_us == 0 || now - f->acked_us >= ACK_AGAIN_US)
		rc = acknowledge(f, e);
	return rc;
}

/* ---- the loop */

static enum rc one_turn(struct follow *f, bool *current, struct err *e)
{
	bool more = false;
	enum rc rc = RC_OK;

	*current = false;
	if (f->anew || f->list.mark.list[0] == '\0')
		return fetch_snapshot(f, e);
	rc = fetch_changes(f, &more, e);
	if (rc == RC_CONFLICT) {
		log_warn("follow", "fetching the list anew: %s", e->text);
		f->anew = true;
		return fetch_snapshot(f, e);
	}
	if (rc != RC_OK)
		return rc;
	*current = !more;
	return more ? RC_OK : synced(f, e);
}

/* At once when the list is refused, else when it grows old; once. */
static void alarm_of(struct follow *f, enum rc rc, const struct err *e)
{
	int64_t age_s = (clk_system.mono_us(&clk_system) - f->synced_us) / US_PER_S;

	if (f->alarmed || (rc != RC_DENIED && rc != RC_INVALID && age_s < f->s->stale_s)) {
		log_debug("follow", "waiting: %s", e->text);
		if (f->failures == 0)
			log_warn("follow", "waiting cause=\"%s\"", e->text);
		return;
	}
	f->alarmed = true;
	bool none = f->list.mark.list[0] == '\0';
	log_error("follow", "%s alarm=stale age_s=%" PRId64 " release=%" PRId64 " cause=\"%s\"",
		none ? "no list is known: nothing is blocked" : "what is held stays in force",
		age_s, f->list.mark.release, e->text);
}

static bool stopping(const struct follow *f)
{
	return f->s->stop != NULL && __atomic_load_n(f->s->stop, __ATOMIC_RELAXED) != 0;
}

static enum rc loop(struct follow *f, struct err *e)
{
	while (!stopping(f)) {
		bool current = false;
		enum rc rc = one_turn(f, &current, e);

		if (rc == RC_OK && current && f->s->once)
			return RC_OK;
		if (rc == RC_OK || stopping(f))
			continue;
		alarm_of(f, rc, e);
		if (f->s->once && (rc == RC_DENIED || rc == RC_INVALID))
			return RC_INVALID;
		if (f->s->once && f->alarmed) /* the list has been out of reach for stale_s */
			return RC_RETRY;
		wait_ms(backoff_ms(f->failures, 200, rc == RC_DENIED ? 30000 : 5000), f->s->stop);
		if (f->failures < 16)
			f->failures++;
	}
	return RC_OK;
}

static enum rc begin(struct follow *f, struct err *e)
{
	struct http_settings h = {.base = f->s->url,
		.key = f->s->key,
		.ca_file = f->s->ca_file,
		.agent = "khien-follow/1",
		.connect_ms = 5000,
		.silence_s = SILENCE_S,
		.stop = f->s->stop};
	enum rc rc = http_open(&h, &f->http, e);

	if (rc == RC_OK && (f->json = json_parser_new()) == NULL)
		rc = err_set(e, RC_RETRY, "out of memory");
	if (rc != RC_OK || f->s->out == NULL)
		return rc;
	rc = follow_list_load(&f->list, f->s->out, f->s->service, e);
	if (rc == RC_OK)
		log_info("follow", "resuming list=%s release=%" PRId64 " count=%" PRId64,
			f->list.mark.list, f->list.mark.release, f->list.mark.count);
	else if (rc == RC_NONE)
		log_info("follow", "beginning anew: %s", e->text);
	return rc == RC_NONE ? RC_OK : rc;
}

enum rc follow_run(const struct follow_settings *s, struct err *e)
{
	struct follow f = {.s = s, .synced_us = clk_system.mono_us(&clk_system)};

	buf_init(&f.answer, CHANGES_CAP);
	buf_init(&f.problem, 4096);
	enum rc rc = begin(&f, e);

	if (rc == RC_OK)
		rc = follow_socket_open(s->socket, &f.list, s->service, s->stale_s, &f.socket, e);
	if (rc == RC_OK)
		rc = loop(&f, e);
	follow_socket_close(f.socket);
	follow_list_done(&f.list);
	http_close(f.http);
	json_parser_free(f.json);
	buf_done(&f.answer);
	buf_done(&f.problem);
	return rc;
}
