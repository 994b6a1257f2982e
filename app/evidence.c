/* khien evidence: a case as one signed archive, and the public key that verifies all of them. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

static enum rc write_bundle(struct pg *c, const struct keys *k, const char *id, struct err *e)
{
	int64_t now_us = clk_system.now_us(&clk_system);
	char actor[80], line[64];
	BUF_OWN struct buf b;

	buf_init(&b, 1UL << 30);
	app_actor(actor);
	(void)snprintf(line, sizeof(line), "read.bundle %.32s", id);
	enum rc rc = case_bundle(c, k, id, now_us, &b, e);
	if (rc == RC_OK)
		rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, actor, "read.bundle", slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc == RC_OK && fwrite(b.ptr, 1, b.len, stdout) != b.len)
		rc = err_set(e, RC_FATAL, "the archive cannot be written");
	return rc;
}

int verb_evidence(int argc, char **argv)
{
	static const struct option options[] = {{"case", required_argument, NULL, 'k'},
		{"public", no_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	const char *path = NULL, *id = NULL;
	struct err e = {.text = ""};
	bool public = false;

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			path = optarg;
		else if (o == 'k')
			id = optarg;
		else if (o == 'p')
		public = true;
		else return app_wrong_option("evidence");
	}
	if ((id == NULL) == !public)
		return app_usage("evidence", "--case ID or --public is needed");
	OWN(conf_free) struct conf *conf = NULL;
	if (app_conf(path, &conf) != RC_OK)
		return EXIT_USAGE;
	OWN(pg_close) struct pg *c = NULL;
	OWN(keys_free) struct keys *keys = NULL;
	if (app_open(conf, &keys, NULL, public ? NULL : &c, "khien-evidence") != RC_OK)
		return EXIT_REFUSED;
	if (public) {
		char pem[SIGN_PEM];
		keys_sign_public(keys, pem);
		(void)fputs(pem, stdout);
		return EXIT_DONE;
	}
	enum rc rc = write_bundle(c, keys, id, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien evidence: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
