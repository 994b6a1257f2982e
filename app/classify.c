/* khien classify: JSON lines in, one verdict line out each, in order. Needs no service and no configuration: rule packs from --rules, or
 * the shipped ones. A line that is no report gives an error line, and the run goes on. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "wire/wire.h"

/* The shipped packs: beside the schema, in a checkout or as installed. NULL: there are none. */
static const char *shipped(void)
{
	static const char *const places[] = {
		KHIEN_SQL_DIR "/../etc/rules", KHIEN_SQL_DIR "/../rules"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

/* The look-alikes stand beside a folder of packs, or are the shipped ones. */
static enum rc load(const char *rules, struct pack **out, struct err *e)
{
	const char *own = shipped();
	char homoglyphs[600];
	struct complaints c;
	enum rc rc;

	if (rules == NULL && own == NULL)
		return err_set(e, RC_INVALID, "no rule packs were shipped: say --rules DIR");
	rules = rules != NULL ? rules : own;
	(void)snprintf(homoglyphs, sizeof(homoglyphs), "%.500s/../fold/homoglyphs.tsv", rules);
	if (own != NULL && access(homoglyphs, R_OK) != 0)
		(void)snprintf(
			homoglyphs, sizeof(homoglyphs), "%.500s/../fold/homoglyphs.tsv", own);
	complaints_init(&c);
	rc = pack_load(rules, homoglyphs, &c, out, e);
	if (c.count > 0)
		fprintf(stderr, "%.*s", (int)c.text.len, c.text.ptr);
	complaints_done(&c);
	return rc;
}

static void write_line(
	struct json id, const struct verdict *v, const char *rules, bool explain, struct buf *out)
{
	buf_fmt(out, "{\"id\":");
	if (id.kind != JSON_NONE)
		json_write(id, out);
	else
		buf_fmt(out, "null");
	buf_byte(out, ',');
	verdict_write(v, explain, out);
	buf_fmt(out, ",\"rules\":\"%s\",\"model\":null}\n", rules);
}

/* Answers why the line is no report; NULL: its verdict was written. */
static const char *judge(struct json_parser *parser, struct scan *scan, const char *rules,
	struct slice line, bool explain, struct buf *out, struct err *e)
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
	write_line(json_get(report, "id"), &v, rules, explain, out);
	return NULL;
}

static int run(struct scan *scan, const char *rules, bool explain)
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
		const char *wrong = judge(parser, scan, rules, text, explain, &out, &e);

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
	OWN(scan_free) struct scan *scan = NULL;
	const char *rules = NULL;
	bool explain = false;
	struct err e = {0};

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == '?' || o == 'm')
			return app_usage("classify",
				o == 'm' ? "this build has no token model" : "unknown option");
		explain = explain || o == 'e';
		rules = o == 'r' ? optarg : rules;
	}
	if (optind < argc)
		return app_usage("classify", "reports are read from standard input, not from %s",
			argv[optind]);
	if (load(rules, &pack, &e) != RC_OK || scan_new(pack, &scan, &e) != RC_OK) {
		fprintf(stderr, "khien classify: %s\n", e.text);
		return EXIT_REFUSED;
	}
	return run(scan, pack_version(pack), explain);
}
