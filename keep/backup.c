/* khien backup: pgBackRest makes the database's backups into every repository, and what it does not know of, the state, is sealed beside each. A
 * backup that was never read back is none, so verify reads everything and is red before it is needed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keep/repo.h"
#include "keep/state.h"
#include "keep/tree.h"

#define BACKUP_S (24 * 3600)

enum rc backup_key_create(const char *path, struct err *e)
{
	return key_create(path, e);
}

/* Everything that a backup or verification begins with. */
struct ground {
	struct pgb pgb;
	struct repos repos;
	uint8_t key[KEY_LEN];
};

static enum rc ground(const struct conf *c, struct ground *out, struct err *e)
{
	BUF_OWN struct buf b;
	struct ground g = {.pgb = {conf_text(c, "backup.pgbackrest"), conf_text(c, "backup.stanza"),
				   conf_text(c, "backup.user")}};

	buf_init(&b, 1u << 20);
	enum rc rc = file_read(g.pgb.conf, false, &b, e);
	if (rc == RC_OK)
		rc = repos_read(buf_slice(&b), g.pgb.conf, &g.repos, e);
	if (rc == RC_OK)
		rc = key_read(conf_text(c, "backup.key_file"), g.key, e);
	if (rc == RC_OK && conf_count(c, "backup.state_dirs") == 0)
		rc = err_set(e, RC_INVALID, "backup.state_dirs names no folder");
	if (rc == RC_OK)
		*out = g;
	return rc;
}

static enum rc two_media(const struct conf *c, const struct repos *r)
{
	struct stat first, other;

	(void)c;
	if (r->n < 2) {
		(void)fprintf(stderr, "khien backup: one repository alone is no second copy\n");
		return RC_INVALID;
	}
	if (stat(r->path[0], &first) == 0 && stat(r->path[1], &other) == 0 &&
		first.st_dev == other.st_dev)
		(void)fprintf(stderr, "khien backup: warning: %s and %s are on one medium\n",
			r->path[0], r->path[1]);
	return RC_OK;
}

enum rc backup_make(const struct conf *c, const char *type, struct err *e)
{
	static const char *const create[] = {"stanza-create", NULL};
	static const char *const check[] = {"check", NULL};
	char word[32];
	const char *const backup[] = {word, "--start-fast", "backup", NULL};
	struct ground g;
	struct state s = {0};
	enum rc rc = ground(c, &g, e);

	if (rc != RC_OK)
		return rc;
	if (two_media(c, &g.repos) != RC_OK)
		return err_set(
			e, RC_INVALID, "%s: names one repository, two are needed", g.pgb.conf);
	(void)snprintf(word, sizeof(word), "--type=%s", type);
	rc = state_gather(c, &s, e);
	if (rc == RC_OK)
		rc = pgb_run(&g.pgb, 0, create, 600, NULL, e);
	if (rc == RC_OK)
		rc = pgb_run(&g.pgb, 0, check, 600, NULL, e);
	for (int i = 0; rc == RC_OK && i < g.repos.n; i++) {
		struct pgb_newest n;
		rc = pgb_run(&g.pgb, g.repos.key[i], backup, BACKUP_S, NULL, e);
		if (rc == RC_OK)
			rc = pgb_newest(&g.pgb, g.repos.key[i], &n, e);
		if (rc == RC_OK)
			(void)printf("repository %d: %s, %lld bytes of database\n", g.repos.key[i],
				n.label, (long long)n.bytes);
	}
	for (size_t i = 0; rc == RC_OK && i < conf_count(c, "backup.state_dirs"); i++) {
		rc = state_store(&s, g.key, conf_at(c, "backup.state_dirs", i), e);
		if (rc == RC_OK)
			(void)printf("state: %s\n", conf_at(c, "backup.state_dirs", i));
	}
	state_done(&s);
	explicit_bzero(g.key, sizeof(g.key));
	return rc;
}

/* ---- looking and reading back ---- */

struct findings {
	int bad;
	int64_t now_us;
};

static void complain_of(struct findings *f, const struct err *e)
{
	(void)fprintf(stderr, "khien backup: %s\n", e->text);
	f->bad++;
}

static void of_age(struct findings *f, const char *what, int64_t made_us, int64_t max_s)
{
	int64_t age_s = (f->now_us - made_us) / US_PER_S;
	struct err e;

	if (age_s > max_s)
		err_set(&e, RC_INVALID, "%s: stale, %lld hours old, %lld are allowed", what,
			(long long)age_s / 3600, (long long)max_s / 3600);
	else if (age_s < -300)
		err_set(&e, RC_INVALID, "%s: is from the future; a clock is wrong", what);
	else
		return;
	complain_of(f, &e);
}

static void show(const char *what, int64_t made_us, int64_t bytes, const char *more)
{
	char at[TIME_TEXT];

	time_format(made_us - made_us % US_PER_S, at);
	(void)printf("%s\t%s\t%lld\t%s\n", what, at, (long long)bytes, more);
}

static void look_repo(
	const struct ground *g, const struct conf *c, int repo, bool read, struct findings *f)
{
	static const char *const verify[] = {"verify", "--output=text", NULL};
	BUF_OWN struct buf said;
	struct pgb_newest n;
	char what[32];
	struct err e = {0};

	buf_init(&said, 1u << 20);
	(void)snprintf(what, sizeof(what), "repository %d", repo);
	enum rc rc = pgb_newest(&g->pgb, repo, &n, &e);
	if (rc == RC_OK) {
		show(what, n.stop_us, n.bytes, n.label);
		of_age(f, what, n.stop_us, conf_int(c, "backup.max_age"));
	}
	if (rc == RC_OK && read)
		rc = pgb_run(&g->pgb, repo, verify, BACKUP_S, &said, &e);
	if (rc == RC_OK && said.len > 0)
		rc = err_set(
			&e, RC_INVALID, "%s: damaged: %.*s", what, (int)said.len - 1, said.ptr);
	if (rc != RC_OK)
		complain_of(f, &e);
}

static void look_state(
	const struct ground *g, const struct conf *c, const char *dir, struct findings *f)
{
	char path[4096];
	struct state s = {0};
	struct err e = {0};
	enum rc rc = state_newest(dir, path, &e);

	if (rc == RC_OK)
		rc = state_load(path, g->key, &s, &e);
	if (rc == RC_OK) {
		show("state", s.made_us, (int64_t)s.text.len, path);
		of_age(f, path, s.made_us, conf_int(c, "backup.max_age"));
	} else {
		complain_of(f, &e);
	}
	state_done(&s);
}

static void look_offline(
	const struct ground *g, const struct conf *c, const char *dir, struct findings *f)
{
	char path[4096];
	struct offline o;
	struct err e = {0};
	enum rc rc = offline_find(dir, path, &e);

	if (rc == RC_OK)
		rc = offline_verify(path, g->key, &o, &e);
	if (rc != RC_OK) {
		complain_of(f, &e);
		return;
	}
	show("offline", o.made_us, o.bytes, path);
	of_age(f, path, o.made_us, conf_int(c, "backup.offline_max_age"));
}

static enum rc look(const struct conf *c, const char *offline, bool read, struct err *e)
{
	struct findings f = {.now_us = clk_system.now_us(&clk_system)};
	struct ground g;
	enum rc rc = ground(c, &g, e);

	if (rc != RC_OK)
		return rc;
	for (int i = 0; i < g.repos.n; i++)
		look_repo(&g, c, g.repos.key[i], read, &f);
	for (size_t i = 0; i < conf_count(c, "backup.state_dirs"); i++)
		look_state(&g, c, conf_at(c, "backup.state_dirs", i), &f);
	if (offline != NULL)
		look_offline(&g, c, offline, &f);
	explicit_bzero(g.key, sizeof(g.key));
	return f.bad == 0 ? RC_OK
			  : err_set(e, RC_INVALID, "%d of the copies cannot be relied on", f.bad);
}

enum rc backup_list(const struct conf *c, const char *offline, struct err *e)
{
	return look(c, offline, false, e);
}

enum rc backup_verify(const struct conf *c, const char *offline, struct err *e)
{
	return look(c, offline, true, e);
}
