/* khien quarantine list, show, retry, drop: what the engine did not understand, in the hands of people. Whoever sees bytes, retries or drops
 * says why, and the audit keeps it. Leaves out what becomes of a retried record (engine/retry.c). */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

struct quarantine_args {
	const char *conf, *state, *reason, *why, *file;
	int64_t limit;
	struct quarantine_place place;
};

static const struct option options[] = {{"state", required_argument, NULL, 's'},
	{"reason", required_argument, NULL, 'r'}, {"topic", required_argument, NULL, 't'},
	{"limit", required_argument, NULL, 'n'}, {"source", required_argument, NULL, 'o'},
	{"why", required_argument, NULL, 'w'}, {"file", required_argument, NULL, 'f'},
	{NULL, 0, NULL, 0}};

/* "all" becomes NULL. */
static bool state_known(const char **state)
{
	if (strcmp(*state, "all") == 0)
		*state = NULL;
	return *state == NULL || strcmp(*state, "open") == 0 || strcmp(*state, "retried") == 0 ||
		strcmp(*state, "dropped") == 0;
}

static bool number(const char *text, int64_t max, int64_t *out)
{
	return slice_i64(slice_str(text), out) == RC_OK && *out >= 0 && *out <= max;
}

static bool parse(int argc, char **argv, struct quarantine_args *q)
{
	int64_t part = 0;

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		const char **text = o == 'c' ? &q->conf
			: o == 's'           ? &q->state
			: o == 'r'           ? &q->reason
			: o == 't'           ? &q->place.topic
			: o == 'o'           ? &q->place.source
			: o == 'w'           ? &q->why
			: o == 'f'           ? &q->file
					     : NULL;
		if (text != NULL)
			*text = optarg;
		else if (o != 'n' || !number(optarg, 1000000, &q->limit))
			return false;
	}
	if (optind == argc)
		return true;
	if (argc - optind != 3 || !number(argv[optind + 1], INT32_MAX, &part) ||
		!number(argv[optind + 2], INT64_MAX, &q->place.offset))
		return false;
	q->place.topic = argv[optind];
	q->place.part = (int32_t)part;
	return true;
}

static enum rc list(struct pg *c, const struct quarantine_args *q, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, (size_t)1 << 30);
	enum rc rc = quarantine_list(c, q->state, q->reason, q->place.topic, q->limit, &b, e);
	if (rc == RC_OK)
		(void)fwrite(b.ptr, 1, buf_slice(&b).len, stdout);
	return rc;
}

/* Byte for byte into a file or pipe; on a terminal nothing that could move its cursor. */
static void print(struct slice s)
{
	if (isatty(STDOUT_FILENO) != 1) {
		(void)fwrite(s.ptr, 1, s.len, stdout);
		return;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < 0x20 && c != '\n') || c == 0x7f || (c >= 0x80 && !slice_utf8_valid(s)))
			(void)printf("\\x%02x", c);
		else
			(void)putchar(c);
	}
	(void)putchar('\n');
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
	if (rc == RC_OK && dropping)
		return quarantine_drop(c, &q->place, actor, q->why, now_us, e);
	if (rc == RC_OK)
		rc = quarantine_looked(c, &q->place, actor, q->why, now_us, e);
	if (rc != RC_OK)
		return rc;
	(void)fprintf(stderr, "%s: %s, %s: %s; %lld bytes%s\n", it.source, it.state, it.reason,
		it.detail, (long long)it.size,
		it.size > (int64_t)it.bytes.len ? ", only the first were kept" : "");
	print(it.bytes);
	return RC_OK;
}

static enum rc again(const struct conf *c, const struct keys *k, const struct plan *plan,
	const struct quarantine_args *q, const char *actor, struct err *e)
{
	struct engine_settings s = {c, &clk_system, k, plan, "retry", &app_stop};
	struct retry_order o = {.place = q->place, .actor = actor, .why = q->why};
	struct retry_answer answer;
	BUF_OWN struct buf file;
	enum rc rc = RC_OK;

	buf_init(&file, BOUND_RECORD + 1);
	buf_add(&file, SLICE(""));
	if (q->file != NULL)
		rc = file_read(q->file, false, &file, e);
	if (q->file != NULL)
		o.edited = slice_of(file.ptr != NULL ? file.ptr : "", buf_slice(&file).len);
	if (rc == RC_OK)
		rc = engine_retry(&s, &o, &answer, e);
	if (rc == RC_OK)
		(void)printf("{\"disposition\":\"%s\",\"reason\":\"%s\"}\n",
			disposition_name(answer.disposition), answer.reason);
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
	if (!parse(argc - 1, argv + 1, &q))
		return app_wrong_option("quarantine");
	if (!state_known(&q.state))
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
