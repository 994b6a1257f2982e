/* khien quarantine list, show, retry, drop: what the engine did not understand, in the hands of people. Whoever sees bytes, retries or drops
 * says why, and the audit keeps it. Leaves out what becomes of a retried record (engine/retry.c). */
#include "app/quarantine.h"

#include <stdio.h>
#include <unistd.h>

static enum rc list(struct pg *c, const struct quarantine_args *q, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, (size_t)1 << 30);
	enum rc rc = quarantine_page(
		c, q->state, q->reason, q->place.topic, NULL, q->limit, &b, NULL, 0, e);
	if (rc == RC_OK)
		(void)fwrite(b.ptr, 1, buf_slice(&b).len, stdout);
	return rc;
}

/* Byte for byte into a file or pipe. */
static void print(struct slice s)
{
	BUF_OWN struct buf b;

	buf_init(&b, (size_t)1 << 20);
	if (isatty(STDOUT_FILENO) == 1)
		quarantine_printable(s, &b);
	else
		buf_add(&b, s);
	(void)fwrite(b.ptr, 1, buf_slice(&b).len, stdout);
}

static enum rc show_or_drop(struct pg *c, const struct keys *k, bool dropping,
	struct quarantine_args *q, const char *actor, struct err *e)
{
	OWN(arena_free) struct arena *a = arena_new((size_t)1 << 20);
	struct quarantined it = {.source = ""};

	if (a == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	int64_t now_us = clk_system.now_us(&clk_system);
	enum rc rc = quarantine_read(c, k, &q->place, a, &it, e);
	q->place.source = it.source;
	if (rc == RC_OK)
		rc = dropping ? quarantine_drop(c, &q->place, actor, q->why, now_us, e)
			      : quarantine_looked(c, &q->place, actor, q->why, now_us, e);
	if (rc != RC_OK)
		return rc;
	(void)fprintf(stderr, "%s: %s, %s: %s; %lld bytes%s\n", it.source,
		dropping ? "dropped" : it.state, it.reason, it.detail, (long long)it.size,
		it.size > (int64_t)it.bytes.len ? ", only the first were kept" : "");
	if (dropping)
		(void)printf("{\"state\":\"dropped\"}\n");
	else
		print(it.bytes);
	return RC_OK;
}

static enum rc again(const struct conf *c, const struct keys *k, const struct plan *plan,
	const struct quarantine_args *q, const char *actor, struct err *e)
{
	struct engine_settings s = {c, &clk_system, k, plan, "retry", &app_stop};
	struct slice record = {NULL, 0};
	char answer[160];
	BUF_OWN struct buf file;
	enum rc rc = RC_OK;

	buf_init(&file, BOUND_RECORD + 1);
	buf_add(&file, SLICE(""));
	if (q->file != NULL)
		rc = file_read(q->file, false, &file, e);
	if (q->file != NULL)
		record = slice_of(file.ptr != NULL ? file.ptr : "", buf_slice(&file).len);
	if (rc == RC_OK)
		rc = engine_retry_json(
			&s, &q->place, actor, q->why, record, answer, sizeof(answer), e);
	if (rc == RC_OK)
		(void)fputs(answer, stdout);
	return rc;
}

int verb_quarantine(int argc, char **argv)
{
	OWN(conf_free) struct conf *conf = NULL;
	OWN(keys_free) struct keys *k = NULL;
	OWN(plan_free) struct plan *plan = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct quarantine_args q = {.state = "open", .limit = 1000, .place.offset = -1};
	const char *what = argc > 1 ? argv[1] : "";
	bool listing = strcmp(what, "list") == 0, retrying = strcmp(what, "retry") == 0;
	struct err e = {.text = ""};
	char actor[80];

	if (!listing && !retrying && strcmp(what, "show") != 0 && strcmp(what, "drop") != 0)
		return app_usage("quarantine", "list, show, retry or drop is needed");
	if (!quarantine_args(argc - 1, argv + 1, &q))
		return app_wrong_option("quarantine");
	if (!quarantine_state(&q.state))
		return app_usage("quarantine", "--state is open, retried, dropped or all");
	if (!listing && q.place.offset < 0)
		return app_usage("quarantine", "TOPIC PARTITION OFFSET are needed");
	if (!listing && (q.why == NULL || q.why[0] == '\0'))
		return app_usage("quarantine", "--why TEXT is needed: the audit keeps it");
	if (app_conf(q.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	if (app_open(conf, listing ? NULL : &k, retrying ? &plan : NULL, retrying ? NULL : &c,
		    "khien-quarantine") != RC_OK)
		return EXIT_REFUSED;
	app_actor(actor);
	enum rc rc = listing ? list(c, &q, &e)
		: retrying   ? again(conf, k, plan, &q, actor, &e)
			     : show_or_drop(c, k, strcmp(what, "drop") == 0, &q, actor, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien quarantine: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
