/* khien eval: how well the rules, a model and both judge labelled texts. With --folds or --by-source the model is trained on the other texts. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/app.h"

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum rc run(const char *rules, const char *model, struct eval_options *o, char **files,
	char **with, struct err *e)
{
	OWN(texts_free) struct texts *t = NULL;
	OWN(pack_free) struct pack *pack = NULL;
	OWN(model_free) struct model *m = NULL;
	BUF_OWN struct buf report;
	enum rc rc = app_pack(rules, &pack, e);

	buf_init(&report, (size_t)64 << 20);
	if (rc == RC_OK && o->folds == 0 && !o->by_source)
		rc = app_model(model, &m, e);
	if (rc == RC_OK)
		rc = app_texts(pack, files, with, &t, e);
	o->pack = pack;
	o->model = m;
	if (rc == RC_OK)
		rc = model_eval(t, o, &report, e);
	if (rc == RC_OK && fwrite(report.ptr, 1, report.len, stdout) != report.len)
		rc = err_set(e, RC_RETRY, "cannot write");
	return rc;
}

int verb_eval(int argc, char **argv)
{
	static const struct option options[] = {{"rules", required_argument, NULL, 'r'},
		{"model", required_argument, NULL, 'm'}, {"folds", required_argument, NULL, 'k'},
		{"by-source", no_argument, NULL, 's'}, {"with", required_argument, NULL, 'w'},
		{"each", no_argument, NULL, 'e'}, {"cost", required_argument, NULL, 'c'},
		{NULL, 0, NULL, 0}};
	struct eval_options o = {.train = TRAIN_OPTIONS, .now_s = now_s};
	const char *rules = NULL, *model = NULL;
	char *with[APP_FILES + 1] = {0};
	size_t n_with = 0;
	uint64_t folds = 0;
	struct err e = {0};

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == '?')
			return app_usage("eval", "unknown option");
		rules = c == 'r' ? optarg : rules;
		model = c == 'm' ? optarg : model;
		o.each = o.each || c == 'e';
		o.by_source = o.by_source || c == 's';
		if (c == 'k' &&
			(slice_u64(slice_str(optarg), &folds) != RC_OK || folds < 2 || folds > 20))
			return app_usage("eval", "--folds is 2 to 20, not %s", optarg);
		if (c == 'c' &&
			(yaml_as_real(slice_str(optarg), &o.train.cost) != RC_OK ||
				!(o.train.cost > 0 && o.train.cost <= 1000)))
			return app_usage(
				"eval", "--cost is more than 0 and at most 1000, not %s", optarg);
		if (c == 'w' && n_with == APP_FILES)
			return app_usage("eval", "--with at most %d times", APP_FILES);
		if (c == 'w')
			with[n_with++] = optarg;
	}
	o.folds = (size_t)folds;
	if (optind >= argc)
		return app_usage("eval", "say the files to judge");
	if (model != NULL && (folds > 0 || o.by_source))
		return app_usage(
			"eval", "--model judges as it is; --folds and --by-source train their own");
	if (run(rules, model, &o, argv + optind, with, &e) == RC_OK)
		return EXIT_DONE;
	fprintf(stderr, "khien eval: %s\n", e.text);
	return EXIT_REFUSED;
}
