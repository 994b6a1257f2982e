/* khien follow: a file or a socket of this machine kept equal to the list behind the HTTP feed. What is said on the command line goes before the
 * file. Needs no other part of the engine: an SMSC's machine has this program and a token. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#define KEY_CAP 1024
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct given {
	const char *conf, *key_file;
	struct follow_settings s;
};

static const struct option options[] = {
	{"url", required_argument, NULL, 'u'},
	{"key", required_argument, NULL, 'k'},
	{"ca", required_argument, NULL, 'a'},
	{"consumer", required_argument, NULL, 'n'},
	{"service", required_argument, NULL, 's'},
	{"out", required_argument, NULL, 'o'},
	{"socket", required_argument, NULL, 'x'},
	{"wait", required_argument, NULL, 'w'},
	{"stale", required_argument, NULL, 't'},
	{"once", no_argument, NULL, '1'},
	{NULL, 0, NULL, 0},
};

static bool seconds(const char *text, uint64_t least, uint64_t most, int *out)
{
	uint64_t n = 0;

	if (slice_u64(slice_str(text), &n) != RC_OK || n < least || n > most)
		return false;
	*out = (int)n;
	return true;
}

/* NULL, or what is wrong. */
static const char *take_option(struct given *g, int c)
{
	const char **texts[] = {['u'] = &g->s.url,
		['k'] = &g->key_file,
		['a'] = &g->s.ca_file,
		['n'] = &g->s.consumer,
		['s'] = &g->s.service,
		['o'] = &g->s.out,
		['x'] = &g->s.socket,
		['c'] = &g->conf};

	if (c == '1')
		g->s.once = true;
	else if (c == 'w')
		return seconds(optarg, 0, 60, &g->s.wait_s) ? NULL : "--wait is seconds, 0 to 60";
	else if (c == 't')
		return seconds(optarg, 1, 86400, &g->s.stale_s) ? NULL
								: "--stale is seconds, 1 to 86400";
	else if (c < 0 || (size_t)c >= ARRAY_LEN(texts) || texts[c] == NULL)
		return "unknown option";
	else
		*texts[c] = optarg;
	return NULL;
}

static void fill(const char **to, const struct conf *c, const char *name)
{
	if (*to == NULL && conf_text(c, name)[0] != '\0')
		*to = conf_text(c, name);
}

static void take_conf(struct given *g, const struct conf *c)
{
	fill(&g->s.url, c, "follow.url");
	fill(&g->key_file, c, "follow.key_file");
	fill(&g->s.ca_file, c, "follow.ca_file");
	fill(&g->s.consumer, c, "follow.consumer");
	fill(&g->s.service, c, "follow.service");
	fill(&g->s.out, c, "follow.out");
	fill(&g->s.socket, c, "follow.socket");
	if (g->s.wait_s < 0)
		g->s.wait_s = (int)conf_int(c, "follow.wait");
	if (g->s.stale_s < 0)
		g->s.stale_s = (int)conf_int(c, "follow.stale");
}

static const char *complete(struct given *g, const char *host)
{
	if (g->s.url == NULL || g->key_file == NULL)
		return "--url and --key are needed, or a configuration that has them";
	if (g->s.out == NULL && g->s.socket == NULL)
		return "--out FILE or --socket PATH is needed";
	if (g->s.service == NULL || strcmp(g->s.service, "both") == 0)
		g->s.service = "";
	if (g->s.service[0] != '\0' && strcmp(g->s.service, "sms") != 0 &&
		strcmp(g->s.service, "voice") != 0)
		return "--service is both, sms or voice";
	if (g->s.consumer == NULL)
		g->s.consumer = host;
	if (*g->s.consumer == '\0' || strlen(g->s.consumer) > 63 ||
		strspn(g->s.consumer, NAME_CHARS) != strlen(g->s.consumer))
		return "--consumer is 1 to 63 letters, digits, dots, _ and -";
	if (g->s.wait_s < 0)
		g->s.wait_s = 30;
	if (g->s.stale_s < 0)
		g->s.stale_s = 60;
	if (g->s.stale_s <= g->s.wait_s)
		return "--stale must be longer than --wait";
	return NULL;
}

int verb_follow(int argc, char **argv)
{
	struct given g = {.s = {.wait_s = -1, .stale_s = -1, .stop = &app_stop}};
	OWN(conf_free) struct conf *conf = NULL;
	BUF_OWN struct buf key;
	char host[128] = "host", token[KEY_CAP];
	const char *wrong = NULL;
	struct err e = {0};

	buf_init(&key, KEY_CAP);
	for (int c; wrong == NULL && (c = getopt_long(argc, argv, "c:", options, NULL)) != -1;)
		wrong = take_option(&g, c);
	if (wrong == NULL && g.conf != NULL) {
		if (app_conf(g.conf, &conf) != RC_OK)
			return EXIT_USAGE;
		take_conf(&g, conf);
	}
	(void)gethostname(host, sizeof(host) - 1);
	if (wrong == NULL)
		wrong = complete(&g, host);
	if (wrong != NULL)
		return app_usage("follow", "%s", wrong);
	enum rc rc = file_read(g.key_file, true, &key, &e);

	(void)snprintf(token, sizeof(token), "%.*s", (int)slice_trim(buf_slice(&key)).len,
		slice_trim(buf_slice(&key)).ptr);
	g.s.key = token;
	if (rc == RC_OK) {
		app_signals();
		rc = follow_run(&g.s, &e);
	}
	if (rc != RC_OK)
		fprintf(stderr, "khien follow: %s\n", e.text);
	return rc == RC_OK ? EXIT_DONE : EXIT_REFUSED;
}
