/* khien user: people who log in to the console. A password comes from the terminal, unseen, or from standard input; a secret for one-time
 * codes is printed alone, once, as the address that their apps take. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

struct user_args {
	const char *conf, *name, *role;
	bool totp, off;
};

static const struct option options[] = {
	{"name", required_argument, NULL, 'n'},
	{"role", required_argument, NULL, 'r'},
	{"totp", no_argument, NULL, 't'},
	{"off", no_argument, NULL, 'o'},
	{NULL, 0, NULL, 0},
};

static bool parse(int argc, char **argv, struct user_args *out)
{
	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'c')
			out->conf = optarg;
		else if (o == 'n')
			out->name = optarg;
		else if (o == 'r')
			out->role = optarg;
		else if (o == 't')
			out->totp = true;
		else if (o == 'o')
			out->off = true;
		else
			return false;
	}
	if (out->name == NULL && optind < argc)
		out->name = argv[optind++];
	return optind == argc;
}

/* One line; on a terminal it is not shown. */
static struct slice ask_password(char room[PASSWORD_MAX + 3])
{
	struct termios was, quiet;
	bool terminal = tcgetattr(STDIN_FILENO, &was) == 0;

	if (terminal) {
		(void)fprintf(stderr, "New password: ");
		quiet = was;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	room[0] = '\0';
	if (fgets(room, PASSWORD_MAX + 3, stdin) == NULL)
		room[0] = '\0';
	if (terminal) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
		(void)fprintf(stderr, "\n");
	}
	room[strcspn(room, "\r\n")] = '\0';
	return slice_str(room);
}

static enum rc totp(struct pg *c, const struct keys *k, const struct user_args *u,
	const char *actor, int64_t now_us, struct err *e)
{
	char secret[TOTP_TEXT];
	enum rc rc = person_totp(c, k, u->name, !u->off, actor, now_us, secret, e);

	if (rc == RC_OK && !u->off)
		(void)printf("otpauth://totp/Khien:%s?secret=%s&issuer=Khien\n", u->name, secret);
	return rc;
}

static enum rc list(struct pg *c, struct err *e)
{
	BUF_OWN struct buf b;

	buf_init(&b, 64u << 20);
	enum rc rc = person_list_json(c, &b, e);
	if (rc == RC_OK)
		(void)printf("%s\n", buf_slice(&b).ptr);
	return rc;
}

static enum rc act(const char *what, struct pg *c, const struct keys *k, const struct user_args *u,
	struct err *e)
{
	int64_t now_us = clk_system.now_us(&clk_system);
	char actor[80], room[PASSWORD_MAX + 3];

	app_actor(actor);
	if (strcmp(what, "list") == 0)
		return list(c, e);
	if (strcmp(what, "create") == 0) {
		enum rc rc =
			person_create(c, u->name, u->role, ask_password(room), actor, now_us, e);
		return rc == RC_OK && u->totp ? totp(c, k, u, actor, now_us, e) : rc;
	}
	if (strcmp(what, "password") == 0)
		return person_password(c, u->name, ask_password(room), actor, now_us, e);
	if (strcmp(what, "totp") == 0)
		return totp(c, k, u, actor, now_us, e);
	if (strcmp(what, "role") == 0)
		return person_role(c, u->name, u->role, actor, now_us, e);
	return person_disable(c, u->name, strcmp(what, "disable") == 0, actor, now_us, e);
}

int verb_user(int argc, char **argv)
{
	static const char *const verbs[] = {
		"create", "list", "disable", "enable", "role", "password", "totp"};
	OWN(conf_free) struct conf *conf = NULL;
	OWN(keys_free) struct keys *k = NULL;
	OWN(pg_close) struct pg *c = NULL;
	struct user_args u = {.conf = NULL};
	struct err e = {.text = ""};
	const char *what = NULL;

	for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++)
		if (strcmp(argv[1], verbs[i]) == 0)
			what = verbs[i];
	if (what == NULL)
		return app_usage(
			"user", "create, list, disable, enable, role, password or totp is needed");
	if (!parse(argc - 1, argv + 1, &u))
		return app_wrong_option("user");
	if (strcmp(what, "list") != 0 && u.name == NULL)
		return app_usage("user", "--name is needed");
	if (u.role == NULL && (strcmp(what, "create") == 0 || strcmp(what, "role") == 0))
		return app_usage("user", "--role is needed");
	if (app_conf(u.conf, &conf) != RC_OK)
		return EXIT_USAGE;
	if (app_open(conf, &k, NULL, &c, "khien-user") != RC_OK)
		return EXIT_REFUSED;
	enum rc rc = act(what, c, k, &u, &e);
	if (rc != RC_OK)
		(void)fprintf(stderr, "khien user: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
