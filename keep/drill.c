/* khien drill: a backup that was never restored is a hope. The copies are read back, restored on a scratch stand, served by an engine and a Redis of
 * its own, and asked as a subscriber would; what it took and what was lost is the report. Nothing outside the scratch folder changes: the
 * engine there knows no broker, no syslog and no other Redis. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/keep.h"
#include "keep/spawn.h"
#include "keep/tree.h"

#define PATH_CAP 4096
#define SERVE_S 30

struct drill {
	const struct drill_order *o;
	char top[PATH_CAP], root[PATH_CAP], pgdata[PATH_CAP], yaml[PATH_CAP], log[PATH_CAP];
	char sockets[64], url[128], token_file[PATH_CAP], token[64];
	int redis, engine;
	int64_t begun_us, verify_ms, serve_ms;
	struct restore_order order;
	struct restore_done done;
};

static int64_t mono_ms(void)
{
	return clk_system.mono_us(&clk_system) / 1000;
}

static enum rc folders(struct drill *d, struct err *e)
{
	const char *dir = d->o->dir != NULL ? d->o->dir : "/var/tmp";

	(void)snprintf(d->top, sizeof(d->top), "%.3800s/khien-drill-XXXXXX", dir);
	if (mkdtemp(d->top) == NULL)
		return err_set(e, RC_INVALID, "%s: %s", d->top, strerror(errno));
	if (chmod(d->top, 0711) != 0) /* the database's user passes through */
		return err_set(e, RC_INVALID, "%s: %s", d->top, strerror(errno));
	(void)snprintf(d->sockets, sizeof(d->sockets), "/tmp/khien-drill-XXXXXX");
	if (mkdtemp(d->sockets) == NULL)
		return err_set(e, RC_INVALID, "%s: %s", d->sockets, strerror(errno));
	(void)snprintf(d->root, sizeof(d->root), "%.3900s/root", d->top);
	(void)snprintf(d->pgdata, sizeof(d->pgdata), "%.3900s/pg", d->top);
	(void)snprintf(d->yaml, sizeof(d->yaml), "%.3900s/khien.yaml", d->top);
	(void)snprintf(d->log, sizeof(d->log), "%.3900s/engine.log", d->top);
	return make_dirs(d->root, 0700, e);
}

/* A path of the restored configuration, where it was unpacked. */
static void put_path(struct buf *b, const struct drill *d, const char *key, const char *path)
{
	buf_fmt(b, "  %s: ", key);
	if (path[0] != '\0' && strncmp(path, d->root, strlen(d->root)) != 0) {
		BUF_OWN struct buf full;
		buf_init(&full, 2 * PATH_CAP);
		buf_fmt(&full, "%s%s", d->root, path);
		buf_json(b, buf_slice(&full));
	} else {
		buf_json(b, slice_str(path));
	}
	buf_byte(b, '\n');
}

static enum rc write_conf(const struct drill *d, const struct conf *c, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 1u << 20);
	buf_fmt(&b, "source: drill\nmode: review\nkafka:\n  brokers: 127.0.0.1:1\n");
	buf_fmt(&b, "database:\n  dsn: \"%s\"\n", d->done.dsn);
	buf_fmt(&b, "redis:\n  urls: [\"%s\"]\n", d->url);
	buf_fmt(&b, "api:\n  listen: 127.0.0.1:0\n");
	buf_fmt(&b, "audit:\n  heads_file: \"%s/heads.log\"\n  syslog: false\nkeys:\n", d->top);
	put_path(&b, d, "dir", conf_text(c, "keys.dir"));
	buf_add(&b, SLICE("policy:\n"));
	put_path(&b, d, "file", conf_text(c, "policy.file"));
	buf_add(&b, SLICE("rules:\n"));
	put_path(&b, d, "dir", conf_text(c, "rules.dir"));
	put_path(&b, d, "homoglyphs", conf_text(c, "rules.homoglyphs"));
	if (conf_text(c, "model.file")[0] != '\0') {
		buf_add(&b, SLICE("model:\n"));
		put_path(&b, d, "file", conf_text(c, "model.file"));
	}
	buf_add(&b, SLICE("numbers:\n"));
	put_path(&b, d, "dir", conf_text(c, "numbers.dir"));
	buf_fmt(&b, "  own_carrier: \"%s\"\n", conf_text(c, "numbers.own_carrier"));
	if (b.failed)
		return err_set(e, RC_LIMIT, "out of memory");
	return file_write_new(d->yaml, 0600, buf_slice(&b), e);
}

static enum rc make_token(struct drill *d, const struct conf *c, struct err *e)
{
	OWN(keys_free) struct keys *k = NULL;
	OWN(pg_close) struct pg *pg = NULL;
	struct pg_options po = {.dsn = d->done.dsn, .name = "khien-drill"};
	char dir[2 * PATH_CAP];
	const char *keys = conf_text(c, "keys.dir");
	bool ours = strncmp(keys, d->root, strlen(d->root)) == 0;

	(void)snprintf(dir, sizeof(dir), "%s%s", ours ? "" : d->root, keys);
	enum rc rc = keys_open(dir, &k, e);
	if (rc == RC_OK)
		rc = pg_open(&po, &pg, e);
	char name[48];
	(void)snprintf(name, sizeof(name), "drill-%lld", (long long)d->begun_us);
	if (rc == RC_OK)
		rc = token_create(pg, k, name, "feed", 3600, true, d->begun_us, d->token, e);
	return rc;
}

static enum rc start_stand(struct drill *d, struct err *e)
{
	OWN(conf_free) struct conf *c = NULL;
	struct complaints all;
	struct command redis = {0}, engine = {0};
	char socket[96], log[PATH_CAP];

	complaints_init(&all);
	enum rc rc = conf_load(d->done.conf_path, d->o->tables, d->o->n_tables, &all, &c, e);
	if (rc != RC_OK && all.count > 0)
		err_set(e, rc, "%.*s", (int)(all.text.len < 400 ? all.text.len : 400),
			all.text.ptr);
	complaints_done(&all);
	(void)snprintf(socket, sizeof(socket), "%s/redis", d->sockets);
	(void)snprintf(d->url, sizeof(d->url), "unix://%s", socket);
	(void)snprintf(log, sizeof(log), "%.3900s/redis.log", d->top);
	if (rc == RC_OK)
		rc = write_conf(d, c, e);
	if (rc == RC_OK)
		rc = make_token(d, c, e);
	const char *r[] = {"redis-server", "--port", "0", "--unixsocket", socket, "--save", "",
		"--appendonly", "no", "--dir", d->sockets, NULL};
	const char *k[] = {d->o->program, "run", "-c", d->yaml, "--role", "keeper,api", NULL};
	for (size_t i = 0; i < ARRAY_LEN(r); i++)
		command_add(&redis, r[i]);
	for (size_t i = 0; i < ARRAY_LEN(k); i++)
		command_add(&engine, k[i]);
	if (rc == RC_OK)
		rc = command_start(&redis, log, &d->redis, e);
	return rc == RC_OK ? command_start(&engine, d->log, &d->engine, e) : rc;
}

/* ---- asking it ---- */

static int port_of(const char *log)
{
	BUF_OWN struct buf b;
	struct err e;
	int port = 0;

	buf_init(&b, 16u << 20);
	if (file_read(log, false, &b, &e) == RC_OK && b.ptr != NULL) {
		const char *at = strstr(b.ptr, "\"listening\" port=");
		if (at != NULL)
			(void)sscanf(at, "\"listening\" port=%d", &port);
	}
	return port;
}

static bool sink(void *arg, struct slice piece)
{
	(void)arg, (void)piece;
	return true;
}

/* Ready but for what it must not reach: the broker. */
static bool ready(struct http *h, char why[200])
{
	BUF_OWN struct buf b;
	struct err e = {0};
	int status = 0;

	buf_init(&b, 64 * 1024);
	if (http_get(h, "/readyz", 0, sink, NULL, &status, &b, &e) != RC_OK) {
		(void)snprintf(why, 200, "%.190s", e.text);
		return false;
	}
	struct slice rest = buf_slice(&b);
	for (struct slice line; slice_line(&rest, &line);)
		if (line.len > 0 && !slice_starts(line, SLICE("relay"))) {
			(void)snprintf(
				why, 200, "%.*s", (int)(line.len < 190 ? line.len : 190), line.ptr);
			return false;
		}
	return status == 200 || status == 503;
}

static enum rc ask_redis(const struct drill *d, char head[256], struct err *e)
{
	OWN(redis_close) struct redis *r = NULL;
	struct slice get[] = {SLICE("GET"), SLICE("blk:gen")};
	struct redis_reply reply;
	enum rc rc = redis_open(d->url, 1000, &r, e);

	if (rc == RC_OK)
		rc = redis_do(r, get, 2, &reply, e);
	if (rc == RC_OK && reply.kind != REDIS_TEXT)
		rc = err_set(e, RC_NONE, "Redis has no list yet");
	if (rc == RC_OK)
		(void)snprintf(head, 256, "%.*s", (int)reply.text.len, reply.text.ptr);
	return rc;
}

static enum rc ask_engine(struct drill *d, struct err *e)
{
	static const volatile int go_on = 0;
	OWN(http_close) struct http *h = NULL;
	char base[64], path[128], head[256] = "", why[200] = "it does not listen";
	int64_t until = mono_ms() + SERVE_S * 1000;
	bool up = false, copied = false;
	int port = 0, status = 0;
	enum rc rc = RC_OK;

	for (; (!up || !copied) && mono_ms() < until; wait_ms(20, &go_on)) {
		if (h == NULL && (port = port_of(d->log)) > 0) {
			(void)snprintf(base, sizeof(base), "http://127.0.0.1:%d", port);
			struct http_settings s = {.base = base,
				.key = d->token,
				.agent = "khien-drill",
				.connect_ms = 2000,
				.silence_s = 10};
			rc = http_open(&s, &h, e);
			if (rc != RC_OK)
				return rc;
		}
		up = up || (h != NULL && ready(h, why));
		copied = copied ||
			(ask_redis(d, head, e) == RC_OK &&
				strncmp(head, d->done.list, strlen(d->done.list)) == 0);
	}
	if (!up || !copied)
		return err_set(e, RC_INVALID, "after %d s the %s: %s", SERVE_S,
			!up ? "engine does not serve" : "list is not in Redis", !up ? why : head);
	(void)snprintf(
		path, sizeof(path), "/v1/feed/changes?list=%s&after=1&wait=0", d->done.old_list);
	rc = http_get(h, path, 0, sink, NULL, &status, NULL, e);
	if (rc == RC_OK && status != 410)
		rc = err_set(e, RC_INVALID, "a subscriber of the old list was answered %d, not 410",
			status);
	return rc;
}

/* ---- the report ---- */

static void write_report(const struct drill *d, enum rc rc, const struct err *why, struct buf *b)
{
	char at[TIME_TEXT], newest[TIME_TEXT] = "none";
	const struct restore_done *t = &d->done;
	double s = (double)t->database_ms / 1000;

	time_format(d->begun_us - d->begun_us % US_PER_S, at);
	if (t->newest_us != TIME_NONE && t->newest_us != 0)
		time_format(t->newest_us, newest);
	buf_fmt(b, "drill %s\nresult %s\n", at, rc == RC_OK ? "good" : "FAILED");
	if (rc != RC_OK)
		buf_fmt(b, "cause %s\n", why->text);
	buf_fmt(b, "from %s\n",
		d->order.offline != NULL ? "the offline copy alone" : "the repositories");
	buf_fmt(b, "rto_s %.1f\n",
		(double)(t->files_ms + t->database_ms + t->checks_ms + d->serve_ms) / 1000);
	if (t->newest_us != TIME_NONE && t->newest_us != 0)
		buf_fmt(b, "rpo_s %.1f\n", (double)(d->begun_us - t->newest_us) / 1e6);
	buf_fmt(b, "newest %s\nverify_s %.1f\nfiles_s %.1f\ndatabase_s %.1f\n", newest,
		(double)d->verify_ms / 1000, (double)t->files_ms / 1000, s);
	buf_fmt(b, "checks_s %.1f\nserving_s %.1f\n", (double)t->checks_ms / 1000,
		(double)d->serve_ms / 1000);
	buf_fmt(b,
		"database_bytes %" PRId64 "\nrestore_mb_s %.1f\nrecords %" PRId64
		"\nentries %" PRId64 "\naudit_links %" PRId64 "\nerased_again %" PRId64 "\n",
		t->bytes, s > 0 ? (double)t->bytes / 1e6 / s : 0, t->records, t->entries, t->links,
		t->erased);
}

static enum rc all_steps(struct drill *d, struct err *e)
{
	int64_t at = mono_ms();
	enum rc rc = RC_OK;

	if (d->order.conf != NULL && d->order.offline == NULL)
		rc = backup_verify(d->order.conf, NULL, e);
	d->verify_ms = mono_ms() - at;
	if (rc == RC_OK)
		rc = folders(d, e);
	if (rc == RC_OK)
		rc = restore_run(&d->order, &d->done, e);
	at = mono_ms();
	if (rc == RC_OK)
		rc = start_stand(d, e);
	if (rc == RC_OK)
		rc = ask_engine(d, e);
	d->serve_ms = mono_ms() - at;
	return rc;
}

/* What the scratch engine said last; its log goes with the stand. */
static void show_log(const struct drill *d)
{
	BUF_OWN struct buf b;
	struct err e;

	buf_init(&b, 16u << 20);
	if (d->log[0] == '\0' || file_read(d->log, false, &b, &e) != RC_OK || b.len == 0)
		return;
	size_t from = b.len > 2000 ? b.len - 2000 : 0;
	(void)fprintf(stderr, "%.*s\n", (int)(b.len - from), b.ptr + from);
}

/* The scratch stand holds keys and everybody's numbers: it goes whatever came. */
static void remove_stand(const struct drill *d)
{
	const char *of[] = {d->top, d->sockets};
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		struct command c = {.argv = {"rm", "-rf", "--", of[i], NULL}, .n = 5};
		if (of[i][0] == '/' && strstr(of[i], "khien-drill-") != NULL &&
			command_run(&c, 600, NULL, &e) != RC_OK)
			(void)fprintf(stderr, "khien drill: %s stays: %s\n", of[i], e.text);
	}
}

enum rc drill_run(const struct drill_order *o, struct err *e)
{
	struct drill d = {.o = o, .order = o->restore, .begun_us = clk_system.now_us(&clk_system)};
	BUF_OWN struct buf b;
	struct err why = {0};

	d.order.root = d.root;
	d.order.pgdata = d.pgdata;
	d.order.keep_running = true;
	enum rc rc = all_steps(&d, &why);
	if (rc != RC_OK)
		show_log(&d);
	command_end(d.engine);
	command_end(d.redis);
	if (d.done.started)
		restore_stop(&d.order, d.pgdata);
	remove_stand(&d);
	buf_init(&b, 1u << 16);
	write_report(&d, rc, &why, &b);
	if (o->report == NULL)
		(void)fwrite(b.ptr, 1, b.len, stdout);
	else if (file_write_new(o->report, 0640, buf_slice(&b), e) != RC_OK)
		return RC_INVALID;
	return rc == RC_OK ? RC_OK : err_set(e, RC_INVALID, "%s", why.text);
}
