/* khien train: labelled texts in, one model file out, and a report on texts left out in turn. The file appears whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"

static enum rc write_whole(const char *path, struct slice bytes, struct err *e)
{
	char fresh[1024];
	int n = snprintf(fresh, sizeof(fresh), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(fresh))
		return err_set(e, RC_INVALID, "--out: the name is too long");
	FILE *f = fopen(fresh, "wb");
	if (f == NULL)
		return err_set(e, RC_INVALID, "%s: %s", fresh, strerror(errno));
	bool ok = fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len && fflush(f) == 0 &&
		fsync(fileno(f)) == 0;

	ok = fclose(f) == 0 && ok;
	if (ok && rename(fresh, path) == 0)
		return RC_OK;
	err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	(void)unlink(fresh);
	return RC_INVALID;
}

static enum rc run(const char *path, const char *rules, const struct train_options *o, char **files,
	char **with, struct err *e)
{
	OWN(pack_free) struct pack *pack = NULL;
	OWN(texts_free) struct texts *t = NULL;
	BUF_OWN struct buf model, report;
	enum rc rc = app_pack(rules, &pack, e);

	buf_init(&model, (size_t)256 << 20);
	buf_init(&report, (size_t)64 << 20);
	if (rc == RC_OK)
		rc = app_texts(pack, files, with, &t, e);
	if (rc == RC_OK)
		rc = model_train(t, o, &model, &report, e);
	if (rc == RC_OK)
		rc = write_whole(path, buf_slice(&model), e);
	if (rc == RC_OK)
		printf("%s%s: version %s, %zu bytes\n", report.ptr, path, o->version, model.len);
	return rc;
}

int verb_train(int argc, char **argv)
{
	static const struct option options[] = {{"out", required_argument, NULL, 'o'},
		{"version", required_argument, NULL, 'v'}, {"rules", required_argument, NULL, 'r'},
		{"with", required_argument, NULL, 'w'}, {"bits", required_argument, NULL, 'b'},
		{"cost", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
	struct train_options o = TRAIN_OPTIONS;
	const char *path = NULL, *rules = NULL;
	char *with[APP_FILES + 1] = {0};
	size_t n_with = 0;
	struct err e = {0};
	uint64_t bits = o.bits;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == '?')
			return app_usage("train", "unknown option");
		path = c == 'o' ? optarg : path;
		rules = c == 'r' ? optarg : rules;
		if (c == 'w' && n_with == APP_FILES)
			return app_usage("train", "--with at most %d times", APP_FILES);
		if (c == 'w')
			with[n_with++] = optarg;
		o.version = c == 'v' ? optarg : o.version;
		if (c == 'b' &&
			(slice_u64(slice_str(optarg), &bits) != RC_OK || bits < 10 || bits > 22))
			return app_usage("train", "--bits is 10 to 22, not %s", optarg);
		if (c == 'c' &&
			(yaml_as_real(slice_str(optarg), &o.cost) != RC_OK ||
				!(o.cost > 0 && o.cost <= 1000)))
			return app_usage(
				"train", "--cost is more than 0 and at most 1000, not %s", optarg);
	}
	o.bits = (unsigned)bits;
	if (path == NULL || optind >= argc)
		return app_usage("train", "say --out FILE and the files to learn from");
	if (strspn(o.version, "abcdefghijklmnopqrstuvwxyz0123456789.-") != strlen(o.version) ||
		o.version[0] == '\0' || strlen(o.version) > 39)
		return app_usage("train", "--version is 1 to 39 of a-z 0-9 . -");
	if (run(path, rules, &o, argv + optind, with, &e) == RC_OK)
		return EXIT_DONE;
	fprintf(stderr, "khien train: %s\n", e.text);
	return EXIT_REFUSED;
}
