/* khien order import, preview, approve, release, revoke, receipt, list: authority orders by the hand of the liaison. What an order does is in
 * cases. */
#include "app/order.h"

#include <getopt.h>
#include <stdio.h>

#define RECEIPT "line,sender=raw,receipt,reason,at"

static bool parse(int argc, char **argv, struct order_args *out)
{
	static const struct option options[] = {{"accept-valid", no_argument, NULL, 'v'},
		{"columns", required_argument, NULL, 'k'}, {"by", required_argument, NULL, 'b'},
		{NULL, 0, NULL, 0}};

	out->columns = RECEIPT;
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			out->conf = optarg;
		else if (o == 'v')
			out->accept_valid = true;
		else if (o == 'k')
			out->columns = optarg;
		else if (o == 'b')
			out->by = optarg;
		else
			return false;
	}
	out->first = optind < argc ? argv[optind++] : NULL;
	out->second = optind < argc ? argv[optind++] : NULL;
	return optind == argc;
}

static enum rc print(enum rc rc, const struct buf *b)
{
	if (rc == RC_OK && b->len > 0)
		(void)fwrite(b->ptr, 1, b->len, stdout);
	return rc;
}

static enum rc release(struct desk *d, const struct order_args *args, struct err *e)
{
	int64_t line = 0;
	bool waits = false;

	if (slice_i64(slice_str(args->second), &line) != RC_OK || line < 1 || line > INT32_MAX)
		return err_set(e, RC_INVALID, "no line %s", args->second);
	enum rc rc = order_release(
		d->pg, args->first, (int)line, d->actor, d->now_us, d->arena, &waits, e);
	if (rc == RC_OK)
		(void)printf("%s\n", waits ? "asked: a second person must agree" : "let through");
	return rc;
}

static enum rc approve(struct desk *d, const struct order_args *args, struct err *e)
{
	struct order_done done;
	enum rc rc = order_approve(d->pg, args->first, d->actor, d->now_us, d->arena, &done, e);

	if (rc == RC_OK)
		order_tell_done(&done);
	return rc;
}

static enum rc revoke(struct desk *d, const struct order_args *args, struct err *e)
{
	int64_t ended = 0;

	if (args->by == NULL)
		return err_set(
			e, RC_INVALID, "--by is needed: the document_no of the authority's word");
	enum rc rc = order_revoke(
		d->pg, args->first, args->by, d->actor, d->now_us, d->arena, &ended, e);
	if (rc == RC_OK)
		(void)printf("ended: %lld\n", (long long)ended);
	return rc;
}

static enum rc receipt(struct desk *d, const struct order_args *args, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 256u << 20);
	return print(order_receipt_csv(d->pg, args->first, slice_str(args->columns), &b, e), &b);
}

static enum rc list(struct desk *d, const struct order_args *args, struct err *e)
{
	BUF_OWN struct buf b;

	(void)args;
	buf_init(&b, 256u << 20);
	return print(order_list_json(d->pg, &b, e), &b);
}

static const struct {
	const char *name;
	int words; /* that must follow: a file or document_no, a line */
	enum rc (*run)(struct desk *d, const struct order_args *args, struct err *e);
} verbs[] = {{"import", 1, order_take_in}, {"preview", 1, order_preview}, {"approve", 1, approve},
	{"release", 2, release}, {"revoke", 1, revoke}, {"receipt", 1, receipt}, {"list", 0, list}};

int verb_order(int argc, char **argv)
{
	struct order_args args = {.conf = NULL};
	struct desk d = {.now_us = clk_system.now_us(&clk_system)};
	struct err e = {.text = ""};
	size_t at = 0;

	while (at < ARRAY_LEN(verbs) && (argc < 2 || strcmp(argv[1], verbs[at].name) != 0))
		at++;
	if (at == ARRAY_LEN(verbs))
		return app_usage("order",
			"import, preview, approve, release, revoke, receipt or list is needed");
	if (!parse(argc - 1, argv + 1, &args))
		return app_usage("order", "unknown or wrong option");
	if ((args.first != NULL) + (args.second != NULL) != verbs[at].words)
		return app_usage("order", "%s takes %d words: a file or document_no, a line",
			verbs[at].name, verbs[at].words);
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(args.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(arena_free) struct arena *arena = arena_new(192u << 20);
	OWN(keys_free) struct keys *keys = NULL;
	OWN(plan_free) struct plan *plan = NULL;
	OWN(pg_close) struct pg *pg = NULL;
	if (arena == NULL || app_open(conf, &keys, &plan, &pg, "khien-order") != RC_OK)
		return EXIT_REFUSED;
	d.keys = keys;
	d.plan = plan;
	d.pg = pg;
	d.arena = arena;
	app_actor(d.actor);
	enum rc rc = verbs[at].run(&d, &args, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien order: %s\n", e.text);
	bool in_already = rc == RC_NONE && verbs[at].run == order_take_in;
	return rc == RC_OK || in_already ? EXIT_DONE : EXIT_REFUSED;
}
