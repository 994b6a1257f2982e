/* khien audit verify: walks the chain and holds it to heads that were kept outside the database. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

#define HEADS_BYTES (512UL << 20)

static enum rc read_heads(
	const char *path, struct arena *a, struct audit_head **heads, size_t *n, struct err *e)
{
	BUF_OWN struct buf text;

	buf_init(&text, HEADS_BYTES);
	enum rc rc = file_read(path, false, &text, e);
	return rc == RC_OK ? audit_heads_read(buf_slice(&text), a, heads, n, e) : rc;
}

static enum rc verify(struct pg *c, const char *path, struct arena *a, struct err *e)
{
	struct audit_head *heads = NULL;
	int64_t links = 0, from = clk_system.mono_us(&clk_system);
	size_t n = 0;
	enum rc rc = path[0] != '\0' ? read_heads(path, a, &heads, &n, e) : RC_OK;

	if (rc == RC_NONE)
		return err_set(e, RC_NONE,
			"%s is not there: without heads kept outside, a chain that"
			" was cut or made anew looks whole; --heads none checks the rest",
			path);
	if (rc == RC_OK)
		rc = audit_verify_heads(c, heads, n, &links, e);
	if (rc != RC_OK)
		return rc;
	double s = (double)(clk_system.mono_us(&clk_system) - from) / (double)US_PER_S;
	(void)printf("%lld links hold, %zu heads agree\n", (long long)links, n);
	(void)fprintf(stderr, "khien audit: %.3f s, %.0f links a second\n", s,
		s > 0 ? (double)links / s : 0);
	return RC_OK;
}

int verb_audit(int argc, char **argv)
{
	static const struct option options[] = {
		{"heads", required_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *path = NULL, *heads = NULL;
	struct err e = {.text = ""};

	if (argc < 2 || strcmp(argv[1], "verify") != 0)
		return app_usage("audit", "verify is needed");
	for (int o; (o = getopt_long(argc - 1, argv + 1, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			path = optarg;
		else if (o == 'h')
			heads = optarg;
		else
			return app_wrong_option("audit");
	}
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	OWN(arena_free) struct arena *a = arena_new(HEADS_BYTES);
	/* answers in binary form: times and hashes as text cost a quarter more */
	struct pg_options o = {.dsn = conf_text(conf, "database.dsn"),
		.name = "khien-audit",
		.statement_timeout_ms = -1,
		.binary = true};
	if (heads == NULL)
		heads = conf_text(conf, "audit.heads_file");
	enum rc rc = a != NULL ? pg_open(&o, &c, &e) : err_set(&e, RC_RETRY, "out of memory");
	if (rc == RC_OK)
		rc = verify(c, strcmp(heads, "none") == 0 ? "" : heads, a, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien audit: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
