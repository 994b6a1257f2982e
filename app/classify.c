/* khien classify: JSON lines in, one verdict line out each, in order. Needs no service and no configuration: rule packs from --rules and the
 * token model from --model, or the shipped ones; --model '' is without a model. A line that is no report gives an error line, and the run goes on. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/app.h"
#include "wire/wire.h"

/* What judges, and how it is told. */
struct source {
	const char *rules, *model; /* versions; model NULL: none */
	bool explain;
};

static void write_line(
	struct json id, const struct verdict *v, const struct source *by, struct buf *out)
{
	buf_fmt(out, "{\"id\":");
	if (id.kind != JSON_NONE)
		json_write(id, out);
	else
		buf_fmt(out, "null");
	buf_byte(out, ',');
	verdict_write(v, by->explain, out);
	buf_fmt(out, ",\"rules\":\"%s\",\"model\":", by->rules);
	buf_fmt(out, by->model != NULL ? "\"%s\"}\n" : "null}\n", by->model);
}

/* Answers why the line is no report; NULL: its verdict was written. */
static const char *judge(struct json_parser *parser, struct scan *scan, const struct source *by,
	struct slice line, struct buf *out, struct err *e)
{
	struct json report, content;
	struct verdict v;

	if (json_parse(parser, line, &report, e) != RC_OK)
		return e->text;
	if (report.kind != JSON_MAP)
		return "not a JSON object";
	content = json_get(report, "content");
	if (content.kind != JSON_TEXT)
		return content.kind == JSON_NONE ? "\"content\" is missing"
						 : "\"content\" is not a text";
	classify(scan, json_text(content), &v);
	write_line(json_get(report, "id"), &v, by, out);
	return NULL;
}

static int run(struct scan *scan, const struct source *by)
{
	OWN(json_parser_free) struct json_parser *parser = json_parser_new();
	BUF_OWN struct buf out;
	unsigned long long number = 0, errors = 0;
	char *line = NULL;
	size_t room = 0;

	buf_init(&out, (size_t)256 << 20);
	for (ssize_t n; parser != NULL && !out.failed && (n = getline(&line, &room, stdin)) >= 0;) {
		struct slice text = slice_of(line, (size_t)n - (n > 0 && line[n - 1] == '\n'));
		struct err e = {0};
		const char *wrong = judge(parser, scan, by, text, &out, &e);

		number++;
		if (wrong != NULL) {
			errors++;
			buf_fmt(&out, "{\"error\":");
			buf_json(&out, slice_str(wrong));
			buf_fmt(&out, ",\"line\":%llu}\n", number);
		}
		if (fwrite(out.ptr, 1, out.len, stdout) != out.len)
			break;
		buf_clear(&out);
	}
	free(line);
	if (feof(stdin) == 0 || out.len > 0 || fflush(stdout) != 0) {
		fprintf(stderr,
			"khien classify: stopped after line %llu: cannot read, write or get "
			"memory\n",
			number);
		return EXIT_REFUSED;
	}
	return errors == 0 ? EXIT_DONE : EXIT_REFUSED;
}

int verb_classify(int argc, char **argv)
{
	static const struct option options[] = {{"rules", required_argument, NULL, 'r'},
		{"model", required_argument, NULL, 'm'}, {"explain", no_argument, NULL, 'e'},
		{NULL, 0, NULL, 0}};
	OWN(pack_free) struct pack *pack = NULL;
	OWN(model_free) struct model *model = NULL;
	OWN(scan_free) struct scan *scan = NULL;
	const char *rules = NULL, *model_file = NULL;
	struct source by = {0};
	struct err e = {0};

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == '?')
			return app_usage("classify", "unknown option");
		by.explain = by.explain || o == 'e';
		model_file = o == 'm' ? optarg : model_file;
		rules = o == 'r' ? optarg : rules;
	}
	if (optind < argc)
		return app_usage("classify", "reports are read from standard input, not from %s",
			argv[optind]);
	if (app_pack(rules, &pack, &e) != RC_OK || app_model(model_file, &model, &e) != RC_OK ||
		scan_new(pack, &scan, &e) != RC_OK || scan_model(scan, model, &e) != RC_OK) {
		fprintf(stderr, "khien classify: %s\n", e.text);
		return EXIT_REFUSED;
	}
	by.rules = pack_version(pack);
	by.model = model != NULL ? model_version(model) : NULL;
	return run(scan, &by);
}
