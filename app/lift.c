/* khien lift: undoes blocks. Without --apply it only shows what would be lifted. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

struct lift_args {
	const char *conf, *sender, *service, *why;
	struct lift_which which;
	bool apply;
};

static bool span(const char *text, int64_t *from, int64_t *to)
{
	struct slice rest = slice_str(text), first;

	if (!slice_cut(&rest, '-', &first) || slice_i64(first, from) != RC_OK || *from < 1)
		return false;
	*to = *from;
	return rest.len == 0 || (slice_i64(rest, to) == RC_OK && *to >= *from);
}

static bool option_of(struct lift_args *out, int o)
{
	struct lift_which *w = &out->which;

	switch (o) {
	case 'c':
		out->conf = optarg;
		return true;
	case 's':
		out->sender = optarg;
		return true;
	case 'v':
		w->service = strcmp(optarg, "voice") == 0 ? SERVICE_VOICE : SERVICE_SMS;
		return strcmp(optarg, "voice") == 0 || strcmp(optarg, "sms") == 0;
	case 'k':
		w->case_id = optarg;
		return true;
	case 'r':
		w->rule = optarg;
		return true;
	case 'p':
		w->rules = optarg;
		return true;
	case 'o':
		w->policy = optarg;
		return true;
	case 'm':
		w->model = optarg;
		return true;
	case 'f':
		return time_parse(slice_str(optarg), &w->since) == RC_OK;
	case 't':
		return time_parse(slice_str(optarg), &w->until) == RC_OK;
	case 'n':
		return span(optarg, &w->from_release, &w->to_release);
	case 'w':
		out->why = optarg;
		return true;
	case 'a':
		out->apply = true;
		return true;
	default:
		return false;
	}
}

static bool parse(int argc, char **argv, struct lift_args *out)
{
	static const struct option options[] = {{"sender", required_argument, NULL, 's'},
		{"service", required_argument, NULL, 'v'}, {"case", required_argument, NULL, 'k'},
		{"rule", required_argument, NULL, 'r'}, {"pack", required_argument, NULL, 'p'},
		{"policy", required_argument, NULL, 'o'}, {"model", required_argument, NULL, 'm'},
		{"since", required_argument, NULL, 'f'}, {"until", required_argument, NULL, 't'},
		{"release", required_argument, NULL, 'n'}, {"why", required_argument, NULL, 'w'},
		{"apply", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};

	*out = (struct lift_args){.which = {.since = TIME_NONE, .until = TIME_NONE, .service = -1}};
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;)
		if (!option_of(out, o))
			return false;
	return optind == argc;
}

static enum rc preview(struct pg *c, const struct lift_args *args, struct arena *a, struct err *e)
{
	BUF_OWN struct buf b;
	int64_t n = 0;

	buf_init(&b, 256u << 20);
	enum rc rc = lift_preview(c, &args->which, a, &b, &n, e);
	if (rc != RC_OK)
		return rc;
	if (b.len > 0)
		(void)fwrite(b.ptr, 1, b.len, stdout);
	(void)fprintf(stderr, "khien lift: %lld would be lifted; --apply --why REASON does it\n",
		(long long)n);
	return RC_OK;
}

static enum rc apply(struct pg *c, const struct lift_args *args, int64_t alone_max, struct arena *a,
	struct err *e)
{
	struct lift_done d;
	char actor[80];

	app_actor(actor);
	enum rc rc = lift_carry_out(c, &args->which, args->why, alone_max, actor,
		clk_system.now_us(&clk_system), a, &d, e);
	if (rc == RC_OK && d.waits)
		(void)printf("asked for %lld: a second person must ask for the same\n",
			(long long)d.wishes);
	else if (rc == RC_OK)
		(void)printf("lifted %lld of %lld senders; %lld reports will be told\n",
			(long long)d.wishes, (long long)d.senders, (long long)d.reports);
	return rc;
}

int verb_lift(int argc, char **argv)
{
	struct lift_args args;
	struct sender sender;
	struct err e = {.text = ""};
	const char *why = NULL;

	if (!parse(argc, argv, &args))
		return app_wrong_option("lift");
	if (args.apply && (args.why == NULL || *args.why == '\0'))
		return app_usage("lift", "--why REASON is needed with --apply");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(args.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(plan_free) struct plan *plan = NULL;
	OWN(pg_close) struct pg *c = NULL;
	OWN(arena_free) struct arena *a = arena_new(1u << 20);
	if (a == NULL || app_open(conf, NULL, &plan, &c, "khien-lift") != RC_OK)
		return EXIT_REFUSED;
	if (args.sender != NULL &&
		sender_parse(plan, slice_str(args.sender), clk_system.now_us(&clk_system), &sender,
			&why) != SENDER_OK)
		return app_usage(
			"lift", "--sender %s: %s", args.sender, why != NULL ? why : "no sender");
	args.which.sender = args.sender != NULL ? &sender : NULL;
	enum rc rc = args.apply ? apply(c, &args, conf_int(conf, "lift.alone_max"), a, &e)
				: preview(c, &args, a, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien lift: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
