/* khien partition list, resume: what each partition waits for, and a person's word that a stopped one may go on. Leaves out what stops one: the
 * engine does. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

static const struct option options[] = {{"from", required_argument, NULL, 'f'},
	{"all", no_argument, NULL, 'a'}, {NULL, 0, NULL, 0}};

struct partition_args {
	const char *conf, *topic;
	int64_t part, from; /* from -1: where the gap ends */
	bool all;
};

static bool parse(int argc, char **argv, struct partition_args *out)
{
	out->from = out->part = -1;
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			out->conf = optarg;
		else if (o == 'a')
			out->all = true;
		else if (o != 'f' || slice_i64(slice_str(optarg), &out->from) != RC_OK ||
			out->from < 0)
			return false;
	}
	if (optind < argc)
		out->topic = argv[optind++];
	if (optind < argc &&
		(slice_i64(slice_str(argv[optind++]), &out->part) != RC_OK || out->part < 0 ||
			out->part > INT32_MAX))
		return false;
	return optind == argc;
}

static enum rc list(struct pg *c, const char *source, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 64u << 20);
	enum rc rc = part_list_json(c, source, &b, e);
	if (rc == RC_OK)
		(void)fwrite(b.ptr, 1, buf_slice(&b).len, stdout);
	return rc;
}

static enum rc resume(
	struct pg *c, const char *source, const struct partition_args *p, struct err *e)
{
	int64_t from = p->from;
	char actor[80];

	app_actor(actor);
	enum rc rc = part_resume(c, source, p->topic, (int32_t)p->part, &from,
		clk_system.now_us(&clk_system), actor, e);
	if (rc == RC_OK)
		(void)printf("%s/%s/%lld goes on from offset %lld\n", source, p->topic,
			(long long)p->part, (long long)from);
	return rc;
}

int verb_partition(int argc, char **argv)
{
	OWN(conf_free) struct conf *conf = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct partition_args p = {.conf = NULL};
	struct kafka_source source;
	struct err e = {.text = ""};
	const char *what = argc > 1 ? argv[1] : "";
	bool listing = strcmp(what, "list") == 0;

	if (!listing && strcmp(what, "resume") != 0)
		return app_usage("partition", "list or resume is needed");
	if (!parse(argc - 1, argv + 1, &p))
		return app_wrong_option("partition");
	if (!listing && (p.topic == NULL || p.part < 0))
		return app_usage("partition", "TOPIC and PARTITION are needed");
	if (listing && p.topic != NULL)
		return app_usage("partition", "list takes no TOPIC");
	if (app_conf(p.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	enum rc rc = listing && p.all ? RC_OK : kafka_source_of(conf, &source, &e);
	if (rc == RC_OK && app_open(conf, NULL, NULL, &c, "khien-partition") != RC_OK)
		return EXIT_REFUSED;
	if (rc == RC_OK)
		rc = listing ? list(c, p.all ? NULL : source.source, &e)
			     : resume(c, source.source, &p, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien partition: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
