/* khien order import, preview, approve, release, revoke, receipt, list: authority orders by the hand of the liaison. What an order does is in
 * cases. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

#define RECEIPT "line,sender=raw,receipt,reason,at"

struct order_args {
	const char *conf, *what, *first, *second, *columns, *by;
	bool accept_valid;
};

/* What the verbs need in hand. */
struct desk {
	struct conf *conf;
	struct keys *keys;
	struct plan *plan;
	struct pg *pg;
	struct arena *arena;
	char actor[80];
	int64_t now_us;
};

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

static void tell(const struct order *o)
{
	(void)printf("order %.*s of %.*s: %.*s, %zu items, %zu no senders, %zu named twice\n",
		(int)o->document_no.len, o->document_no.ptr, (int)o->issuer.len, o->issuer.ptr,
		(int)o->action.len, o->action.ptr, o->n, o->invalid, o->duplicates);
	for (size_t i = 0; i < o->n; i++) {
		const struct order_item *x = &o->items[i];

		if (x->fault != NULL)
			(void)printf("  line %d: %.*s: %s\n", x->line, (int)x->raw.len, x->raw.ptr,
				x->fault);
		else if (x->same_as != 0)
			(void)printf("  line %d: %.*s: the same sender as line %d\n", x->line,
				(int)x->raw.len, x->raw.ptr, x->same_as);
	}
}

static void tell_done(const struct order_done *d)
{
	if (d->waits)
		(void)printf("it waits: a second person accepts the valid items with khien order "
			     "approve\n");
	else
		(void)printf("to be listed %lld, held %lld, not ours %lld, expired %lld%s\n",
			(long long)d->wished, (long long)d->held, (long long)d->not_ours,
			(long long)d->expired, d->breach ? "; after its deadline" : "");
}

/* Reads, shows, and unless it is only a preview takes the file in. */
static enum rc take_in(struct desk *d, const struct order_args *args, bool preview, struct err *e)
{
	BUF_OWN struct buf file;
	struct complaints c;
	struct order o;
	struct order_done done;

	buf_init(&file, BOUND_ORDER_FILE);
	enum rc rc = file_read(args->first, false, &file, e);
	if (rc != RC_OK)
		return rc;
	complaints_init(&c);
	rc = order_read(d->plan, args->first, buf_slice(&file), d->arena, &c, &o, e);
	(void)fprintf(stderr, "%.*s", (int)c.text.len, c.text.len > 0 ? c.text.ptr : "");
	complaints_done(&c);
	if (rc == RC_OK)
		tell(&o);
	if (rc == RC_OK && !preview) {
		rc = order_import(d->pg, d->keys, &o, buf_slice(&file), args->accept_valid,
			d->actor, d->now_us, d->arena, &done, e);
		if (rc == RC_OK)
			tell_done(&done);
	}
	return rc;
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

static enum rc run(struct desk *d, const struct order_args *args, struct err *e)
{
	BUF_OWN struct buf b;
	struct order_done done;
	int64_t ended = 0;
	enum rc rc;

	buf_init(&b, 256u << 20);
	if (strcmp(args->what, "list") == 0)
		return print(order_list_json(d->pg, &b, e), &b);
	if (strcmp(args->what, "receipt") == 0)
		return print(
			order_receipt_csv(d->pg, args->first, slice_str(args->columns), &b, e), &b);
	if (strcmp(args->what, "release") == 0)
		return release(d, args, e);
	if (strcmp(args->what, "revoke") == 0) {
		rc = order_revoke(
			d->pg, args->first, args->by, d->actor, d->now_us, d->arena, &ended, e);
		if (rc == RC_OK)
			(void)printf("ended: %lld\n", (long long)ended);
		return rc;
	}
	if (strcmp(args->what, "approve") == 0) {
		rc = order_approve(d->pg, args->first, d->actor, d->now_us, d->arena, &done, e);
		if (rc == RC_OK)
			tell_done(&done);
		return rc;
	}
	return take_in(d, args, strcmp(args->what, "preview") == 0, e);
}

static const char *missing(const struct order_args *a)
{
	static const char *const known[] = {
		"import", "preview", "approve", "release", "revoke", "receipt", "list"};
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		found = found || strcmp(a->what, known[i]) == 0;
	if (!found)
		return "import, preview, approve, release, revoke, receipt or list is needed";
	if (strcmp(a->what, "list") != 0 && a->first == NULL)
		return "an order is needed: a file, or its document_no";
	if (strcmp(a->what, "release") == 0 && a->second == NULL)
		return "the line of a held sender is needed";
	if (strcmp(a->what, "revoke") == 0 && a->by == NULL)
		return "--by is needed: the document_no of the authority's word";
	return NULL;
}

int verb_order(int argc, char **argv)
{
	OWN(arena_free) struct arena *arena = arena_new(192u << 20);
	struct order_args args = {.what = argc > 1 ? argv[1] : ""};
	struct desk d = {.arena = arena, .now_us = clk_system.now_us(&clk_system)};
	struct err e = {.text = ""};

	if (argc < 2 || !parse(argc - 1, argv + 1, &args))
		return app_usage("order", "unknown or wrong option");
	if (missing(&args) != NULL)
		return app_usage("order", "%s", missing(&args));
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(args.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(keys_free) struct keys *keys = NULL;
	OWN(plan_free) struct plan *plan = NULL;
	OWN(pg_close) struct pg *pg = NULL;
	if (arena == NULL || app_open(conf, &keys, &plan, &pg, "khien-order") != RC_OK)
		return EXIT_REFUSED;
	d.conf = conf;
	d.keys = keys;
	d.plan = plan;
	d.pg = pg;
	app_actor(d.actor);
	enum rc rc = run(&d, &args, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien order: %s\n", e.text);
	bool in_already = rc == RC_NONE && strcmp(args.what, "import") == 0;
	return rc == RC_OK || in_already ? EXIT_DONE : EXIT_REFUSED;
}
