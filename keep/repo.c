/* What we ask pgBackRest, and how its answers are read. Its `verify` exits with 0 on damage, so that its words count, too. */
#include "keep/repo.h"

#include <stdio.h>
#include <stdlib.h>

#include "keep/spawn.h"

enum rc repos_read(struct slice text, const char *name, struct repos *out, struct err *e)
{
	struct repos r = {0};

	for (struct slice line; slice_line(&text, &line);) {
		struct slice key, value = slice_trim(line);
		int n = 0, end = 0;
		char word[64];

		if (!slice_starts(value, SLICE("repo")) || !slice_cut(&value, '=', &key))
			continue;
		(void)snprintf(word, sizeof(word), "%.*s", (int)key.len, key.ptr);
		if (sscanf(word, "repo%d-path%n", &n, &end) != 1 || end == 0 || r.n == REPOS_MAX)
			continue;
		value = slice_trim(value);
		r.key[r.n] = n;
		(void)snprintf(r.path[r.n++], sizeof(r.path[0]), "%.*s", (int)value.len, value.ptr);
	}
	if (r.n == 0)
		return err_set(e, RC_INVALID, "%s: names no repository (repo1-path=…)", name);
	*out = r;
	return RC_OK;
}

enum rc pgb_run(const struct pgb *p, int repo, const char *const *words, int deadline_s,
	struct buf *out, struct err *e)
{
	char conf[4200], stanza[80], which[16], group[16];
	struct command c;

	command_init(&c, p->user, group);
	(void)snprintf(conf, sizeof(conf), "--config=%s", p->conf);
	(void)snprintf(stanza, sizeof(stanza), "--stanza=%s", p->stanza);
	(void)snprintf(which, sizeof(which), "--repo=%d", repo);
	command_add(&c, "pgbackrest");
	command_add(&c, conf);
	command_add(&c, stanza);
	if (repo > 0)
		command_add(&c, which);
	for (; *words != NULL; words++)
		command_add(&c, *words);
	command_add(&c, NULL);
	enum rc rc = command_run(&c, deadline_s, out, e);
	return rc == RC_OK || repo <= 0 ? rc : err_wrap(e, rc, "repository %d", repo);
}

static enum rc read_newest(struct slice text, int repo, struct pgb_newest *out, struct err *e)
{
	OWN(json_parser_free) struct json_parser *p = json_parser_new();
	struct json all, one, backup, status;
	struct slice k;

	if (p == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	enum rc rc = json_parse(p, text, &all, e);
	if (rc != RC_OK)
		return err_set(e, RC_INVALID,
			"repository %d: what pgBackRest says of it cannot be read: another cipher "
			"key, or damage",
			repo);
	struct json_iter it = json_iter(all);
	if (!json_next(&it, &k, &one))
		return err_set(e, RC_NONE, "repository %d: knows no such stanza", repo);
	for (struct json_iter r = json_iter(json_get(one, "repo")); json_next(&r, &k, &status);) {
		struct json code = json_get(json_get(status, "status"), "code");
		struct slice why = json_text(json_get(json_get(status, "status"), "message"));
		if (json_int(json_get(status, "key")) == repo && json_int(code) != 0)
			return err_set(
				e, RC_INVALID, "repository %d: %.*s", repo, (int)why.len, why.ptr);
	}
	struct pgb_newest n = {0};
	for (struct json_iter b = json_iter(json_get(one, "backup")); json_next(&b, &k, &backup);) {
		int64_t stop = json_int(json_get(json_get(backup, "timestamp"), "stop"));
		if (json_int(json_get(json_get(backup, "database"), "repo-key")) != repo)
			continue;
		if (json_bool(json_get(backup, "error")))
			return err_set(
				e, RC_INVALID, "repository %d: a backup has page errors", repo);
		n.count++;
		if (stop * US_PER_S <= n.stop_us)
			continue;
		struct slice label = json_text(json_get(backup, "label"));
		n.stop_us = stop * US_PER_S;
		n.bytes = json_int(json_get(json_get(backup, "info"), "size"));
		(void)snprintf(n.label, sizeof(n.label), "%.*s", (int)label.len, label.ptr);
	}
	if (n.count == 0)
		return err_set(e, RC_NONE, "repository %d: holds no backup", repo);
	*out = n;
	return RC_OK;
}

enum rc pgb_newest(const struct pgb *p, int repo, struct pgb_newest *out, struct err *e)
{
	static const char *const words[] = {"--output=json", "info", NULL};
	BUF_OWN struct buf b;

	buf_init(&b, 16u << 20);
	enum rc rc = pgb_run(p, repo, words, 120, &b, e);
	return rc == RC_OK ? read_newest(buf_slice(&b), repo, out, e) : rc;
}
