/* khien token create, list, revoke: a new token is printed alone, once; only its keyed hash is kept. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

struct token_args {
	const char *conf, *name, *role;
	int64_t ttl_s;
	bool loopback;
};

/* "90s", "15m", "24h", "30d" or seconds; -1: none of these. */
static int64_t span_s(const char *text)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	struct slice s = slice_str(text);
	int64_t factor = 1, n = 0;

	for (size_t i = 0; s.len > 0 && i < ARRAY_LEN(units); i++)
		if (s.ptr[s.len - 1] == units[i].unit) {
			factor = units[i].s;
			s.len--;
			break;
		}
	if (slice_i64(s, &n) != RC_OK || n <= 0 || n > 100 * 366 * INT64_C(86400) / factor)
		return -1;
	return n * factor;
}

static const struct option options[] = {
	{"name", required_argument, NULL, 'n'},
	{"role", required_argument, NULL, 'r'},
	{"ttl", required_argument, NULL, 't'},
	{"loopback", no_argument, NULL, 'l'},
	{NULL, 0, NULL, 0},
};

static bool parse(int argc, char **argv, struct token_args *out)
{
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			out->conf = optarg;
		else if (o == 'n')
			out->name = optarg;
		else if (o == 'r')
			out->role = optarg;
		else if (o == 'l')
			out->loopback = true;
		else if (o != 't' || (out->ttl_s = span_s(optarg)) < 0)
			return false;
	}
	if (out->name == NULL && optind < argc)
		out->name = argv[optind++];
	return optind == argc;
}

static enum rc create(struct pg *c, const struct keys *k, const struct token_args *t,
	int64_t now_us, struct err *e)
{
	char token[64];
	enum rc rc = token_create(c, k, t->name, t->role, t->ttl_s, t->loopback, now_us, token, e);

	if (rc == RC_OK)
		(void)printf("%s\n", token);
	return rc;
}

static enum rc list(struct pg *c, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 64u << 20);
	enum rc rc = token_list_json(c, &b, e);
	if (rc == RC_OK)
		(void)printf("%s\n", buf_slice(&b).ptr);
	return rc;
}

static enum rc revoke(struct pg *c, const char *name, int64_t now_us, struct err *e)
{
	char actor[80];

	app_actor(actor);
	return token_revoke(c, name, actor, now_us, e);
}

int verb_token(int argc, char **argv)
{
	OWN(conf_free) struct conf *conf = NULL;
	OWN(keys_free) struct keys *k = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct token_args t = {.conf = NULL};
	struct err e = {.text = ""};
	int64_t now_us = clk_system.now_us(&clk_system);
	const char *what = argc > 1 ? argv[1] : "";
	bool creating = strcmp(what, "create") == 0, listing = strcmp(what, "list") == 0;

	if (!creating && !listing && strcmp(what, "revoke") != 0)
		return app_usage("token", "create, list or revoke is needed");
	if (!parse(argc - 1, argv + 1, &t))
		return app_wrong_option("token");
	if (!listing && t.name == NULL)
		return app_usage("token", "--name is needed");
	if (creating && t.role == NULL)
		return app_usage("token", "--role is needed");
	if (app_conf(t.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	if (app_open(conf, creating ? &k : NULL, NULL, &c, "khien-token") != RC_OK)
		return EXIT_REFUSED;
	enum rc rc = creating ? create(c, k, &t, now_us, &e)
		: listing     ? list(c, &e)
			      : revoke(c, t.name, now_us, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien token: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
