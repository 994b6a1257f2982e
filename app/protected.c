/* khien protected add, import, remove, list, reports: senders that automatic blocks never touch, by the hand of two people. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

struct protected_args {
	const char *conf, *scope, *value, *service, *owner, *reason, *until, *what;
};

static bool parse(int argc, char **argv, struct protected_args *out)
{
	static const struct option options[] = {{"scope", required_argument, NULL, 's'},
		{"value", required_argument, NULL, 'v'}, {"service", required_argument, NULL, 'S'},
		{"owner", required_argument, NULL, 'o'}, {"reason", required_argument, NULL, 'r'},
		{"until", required_argument, NULL, 'u'}, {NULL, 0, NULL, 0}};

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		const char **to = o == 'c' ? &out->conf
			: o == 's'         ? &out->scope
			: o == 'v'         ? &out->value
			: o == 'S'         ? &out->service
			: o == 'o'         ? &out->owner
			: o == 'r'         ? &out->reason
			: o == 'u'         ? &out->until
					   : NULL;
		if (to == NULL)
			return false;
		*to = optarg;
	}
	out->what = optind < argc ? argv[optind++] : NULL;
	return optind == argc;
}

static void field(struct buf *b, const char *text)
{
	buf_byte(b, '"');
	for (; text != NULL && *text != '\0'; text++) {
		if (*text == '"')
			buf_byte(b, '"');
		buf_byte(b, *text);
	}
	buf_byte(b, '"');
}

/* What `add` says, as the file would say it. */
static void as_csv(const struct protected_args *a, struct buf *out)
{
	const char *f[] = {a->scope, a->value, a->service, a->owner, a->reason, a->until};

	buf_fmt(out, "scope,value,service,owner,reason,until\n");
	for (size_t i = 0; i < ARRAY_LEN(f); i++) {
		if (i > 0)
			buf_byte(out, ',');
		field(out, f[i]);
	}
	buf_byte(out, '\n');
}

static enum rc add(struct pg *c, const struct protected_args *args, const char *actor,
	int64_t now_us, struct err *e)
{
	BUF_OWN struct buf text;
	struct complaints all;
	bool waits = false;
	size_t n = 0;
	enum rc rc = RC_OK;

	buf_init(&text, 64u << 20);
	complaints_init(&all);
	if (args->what != NULL)
		rc = file_read(args->what, false, &text, e);
	else
		as_csv(args, &text);
	if (rc == RC_OK)
		rc = protect_add(c, args->what != NULL ? args->what : "protected add",
			buf_slice(&text), actor, now_us, &all, &waits, &n, e);
	if (all.count > 0)
		(void)fprintf(stderr, "%.*s", (int)all.text.len, all.text.ptr);
	complaints_done(&all);
	if (rc == RC_OK)
		(void)printf("%s%zu\n",
			waits ? "asked: a second person must ask for the same: " : "protected: ",
			n);
	return rc;
}

static enum rc drop(struct pg *c, const struct protected_args *args, const char *actor,
	int64_t now_us, struct err *e)
{
	bool waits = false;
	int64_t id;

	if (slice_i64(slice_str(args->what), &id) != RC_OK)
		return err_set(e, RC_INVALID, "no id %s", args->what);
	enum rc rc = protect_remove(c, id, actor, now_us, &waits, e);
	if (rc == RC_OK)
		(void)printf(
			"%s\n", waits ? "asked: a second person must ask for the same" : "removed");
	return rc;
}

static enum rc show(struct pg *c, bool reports, int64_t now_us, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 256u << 20);
	enum rc rc = reports ? protect_reports_json(c, now_us, &b, e)
			     : protect_list_json(c, now_us, &b, e);
	if (rc == RC_OK && b.len > 0)
		(void)fwrite(b.ptr, 1, b.len, stdout);
	return rc;
}

int verb_protected(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct protected_args args = {.conf = NULL};
	struct err e = {.text = ""};
	int64_t now_us = clk_system.now_us(&clk_system);
	char actor[80];
	enum rc rc;

	if (argc > 1 && !parse(argc - 1, argv + 1, &args))
		return app_wrong_option("protected");
	bool adds = strcmp(verb, "add") == 0, imports = strcmp(verb, "import") == 0;
	bool removes = strcmp(verb, "remove") == 0, reports = strcmp(verb, "reports") == 0;
	if (!adds && !imports && !removes && !reports && strcmp(verb, "list") != 0)
		return app_usage("protected", "add, import, remove, list or reports is needed");
	if ((imports || removes) != (args.what != NULL))
		return app_usage("protected", imports ? "a file is needed" : "an id is needed");
	if (adds &&
		(args.scope == NULL || args.value == NULL || args.owner == NULL ||
			args.reason == NULL))
		return app_usage("protected", "--scope, --value, --owner and --reason are needed");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(args.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	if (app_open(conf, NULL, NULL, &c, "khien-protected") != RC_OK)
		return EXIT_REFUSED;
	app_actor(actor);
	if (adds || imports)
		rc = add(c, &args, actor, now_us, &e);
	else
		rc = removes ? drop(c, &args, actor, now_us, &e) : show(c, reports, now_us, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien protected: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
