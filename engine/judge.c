/* Loads and shares the active rule pack and policy, and activates configured files: stored by hash in the ledger first, then named in the
 * control row, so that no instance ever judges by a file of its own. */
#include "engine/judge.h"

#include <dirent.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/health.h"

#define MAX_PACK_FILES 250

static struct judge *shared;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Folder for compiled packs, by configuration; read and written under the lock. */
static char cache_dir[512];

void judge_cache_in(const char *dir)
{
	pthread_mutex_lock(&lock);
	(void)snprintf(
		cache_dir, sizeof(cache_dir), "%s", strlen(dir) < sizeof(cache_dir) ? dir : "");
	pthread_mutex_unlock(&lock);
}

static void judge_free(struct judge *j)
{
	pack_free(j->pack);
	model_free(j->model);
	policy_free(j->policy);
	free(j);
}

void judge_drop(struct judge *j)
{
	if (j == NULL)
		return;
	pthread_mutex_lock(&lock);
	bool last = --j->users == 0;
	pthread_mutex_unlock(&lock);
	if (last)
		judge_free(j);
}

bool judge_is(const struct judge *j, const struct control *control)
{
	return j != NULL && memcmp(j->policy_hash, control->policy, SHA256_LEN) == 0 &&
		memcmp(j->rules_hash, control->rules, SHA256_LEN) == 0 &&
		memcmp(j->model_hash, control->model, SHA256_LEN) == 0;
}

enum rc judge_scan(const struct judge *j, struct scan **out, struct err *e)
{
	OWN(scan_free) struct scan *s = NULL;
	enum rc rc = scan_new(j->pack, &s, e);

	if (rc == RC_OK)
		rc = scan_model(s, j->model, e);
	if (rc == RC_OK)
		*out = TAKE(s);
	return rc;
}

static void name_versions(struct judge *j)
{
	(void)snprintf(j->versions, sizeof(j->versions), "%.500s%s%s", pack_version(j->pack),
		j->model != NULL ? "/" : "", j->model != NULL ? model_version(j->model) : "");
}

enum rc judge_from_files(const char *policy_file, const char *rules_dir, const char *homoglyphs,
	const char *cache, const char *model_file, struct judge **out, struct err *e)
{
	struct judge *j = calloc(1, sizeof(*j));
	struct complaints c;

	if (j == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	j->users = 1;
	complaints_init(&c);
	enum rc rc = policy_load(policy_file, &c, &j->policy, e);
	enum rc rules_rc = pack_load_cached(rules_dir, homoglyphs, cache, &c, &j->pack, e);
	if (rc == RC_OK)
		rc = rules_rc;
	if (rc != RC_OK && c.count > 0)
		err_set(e, rc, "%.*s", (int)c.text.len, c.text.ptr);
	complaints_done(&c);
	if (rc == RC_OK && model_file[0] != '\0')
		rc = model_load(model_file, &j->model, e);
	if (rc == RC_NONE)
		rc = RC_INVALID;
	if (rc != RC_OK) {
		judge_free(j);
		return rc;
	}
	name_versions(j);
	*out = j;
	return RC_OK;
}

static void remove_folder(const char *dir)
{
	DIR *d = opendir(dir);

	if (d == NULL)
		return;
	for (struct dirent *f; (f = readdir(d)) != NULL;) {
		char path[512];
		snprintf(path, sizeof(path), "%s/%s", dir, f->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(dir);
}

/* The one file of a fetched folder that matches; its name is whatever its owner called it. */
static enum rc only_file(const char *dir, const char *ending, char out[512], struct err *e)
{
	char pattern[300];
	glob_t g;

	snprintf(pattern, sizeof(pattern), "%s/*.%s", dir, ending);
	if (glob(pattern, 0, NULL, &g) != 0)
		return err_set(e, RC_INVALID, "the stored artifact holds no *.%s", ending);
	snprintf(out, 512, "%s", g.gl_pathv[0]);
	globfree(&g);
	return RC_OK;
}

static enum rc private_folder(char dir[200], struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, 200, "%s/khien-judge-XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	return mkdtemp(dir) != NULL ? RC_OK : err_set(e, RC_RETRY, "cannot make a folder %s", dir);
}

enum rc judge_policy(
	struct pg *c, const struct control *control, struct policy **out, struct err *e)
{
	char dir[200], sub[256], file[512];
	struct complaints complaints;

	if (private_folder(dir, e) != RC_OK)
		return RC_RETRY;
	snprintf(sub, sizeof(sub), "%s/policy", dir);
	enum rc rc = artifact_fetch(c, control->policy, sub, e);
	if (rc == RC_OK)
		rc = only_file(sub, "yaml", file, e);
	complaints_init(&complaints);
	if (rc == RC_OK && (rc = policy_load(file, &complaints, out, e)) != RC_OK &&
		complaints.count > 0)
		err_set(e, rc, "%.*s", (int)complaints.text.len, complaints.text.ptr);
	complaints_done(&complaints);
	remove_folder(sub);
	remove_folder(dir);
	return rc;
}

/* Brings the artifacts into a private folder, loads them, removes the folder. */
static enum rc load_from_ledger(
	struct pg *c, const struct control *control, struct judge **out, struct err *e)
{
	char dir[200], rules[256], policy_dir[256], policy[512], homoglyphs[512];
	char model_dir[256], model[512] = "";

	if (private_folder(dir, e) != RC_OK)
		return RC_RETRY;
	snprintf(model_dir, sizeof(model_dir), "%s/model", dir);
	snprintf(rules, sizeof(rules), "%s/rules", dir);
	snprintf(policy_dir, sizeof(policy_dir), "%s/policy", dir);

	enum rc rc = artifact_fetch(c, control->rules, rules, e);
	if (rc == RC_OK)
		rc = artifact_fetch(c, control->policy, policy_dir, e);
	if (rc == RC_OK)
		rc = only_file(policy_dir, "yaml", policy, e);
	if (rc == RC_OK && control->has_model)
		rc = artifact_fetch(c, control->model, model_dir, e);
	if (rc == RC_OK && control->has_model)
		rc = only_file(model_dir, "khm", model, e);
	if (rc == RC_OK)
		rc = only_file(rules, "tsv", homoglyphs, e);
	if (rc == RC_OK)
		rc = judge_from_files(policy, rules, homoglyphs, cache_dir, model, out, e);
	remove_folder(rules);
	remove_folder(model_dir); /* it stays mapped */
	remove_folder(policy_dir);
	remove_folder(dir);
	if (rc == RC_OK) {
		memcpy((*out)->policy_hash, control->policy, SHA256_LEN);
		memcpy((*out)->rules_hash, control->rules, SHA256_LEN);
		memcpy((*out)->model_hash, control->model, SHA256_LEN);
	}
	return rc;
}

enum rc judge_get(struct pg *c, const struct control *control, struct judge **out, struct err *e)
{
	enum rc rc = RC_OK;

	pthread_mutex_lock(&lock); /* one loads, the others wait and share */
	if (!judge_is(shared, control)) {
		struct judge *fresh = NULL;
		rc = load_from_ledger(c, control, &fresh, e);
		if (rc == RC_OK) {
			struct judge *old = shared;
			shared = fresh;
			if (old != NULL && --old->users == 0)
				judge_free(old);
			log_info("engine", "judge rules=%s policy=%s generation=%lld",
				fresh->versions, fresh->policy->version,
				(long long)control->generation);
		}
	}
	if (rc == RC_OK) {
		shared->users++;
		*out = shared;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

/* The pack files in byte order, then the homoglyph table (the only *.tsv). */
static enum rc store_rules(struct pg *c, const struct conf *conf, const char *version,
	int64_t now_us, uint8_t hash[SHA256_LEN], struct err *e)
{
	const char *paths[MAX_PACK_FILES + 1];
	char pattern[512];
	glob_t g;
	size_t n = 0;

	snprintf(pattern, sizeof(pattern), "%s/*.yaml", conf_text(conf, "rules.dir"));
	if (glob(pattern, 0, NULL, &g) != 0)
		return err_set(e, RC_INVALID, "no rule packs in %s", conf_text(conf, "rules.dir"));
	if (g.gl_pathc > MAX_PACK_FILES) {
		enum rc rc = err_set(e, RC_INVALID, "%s: %zu rule packs, at most %d",
			conf_text(conf, "rules.dir"), g.gl_pathc, MAX_PACK_FILES);
		globfree(&g);
		return rc;
	}
	for (; n < g.gl_pathc; n++)
		paths[n] = g.gl_pathv[n];
	paths[n++] = conf_text(conf, "rules.homoglyphs");
	enum rc rc = artifact_store(c, "rules", version, paths, n, now_us, hash, e);
	globfree(&g);
	return rc;
}

enum rc judge_store_policy(struct pg *c, const struct policy *p, const char *file, int64_t now_us,
	uint8_t hash[SHA256_LEN], struct err *e)
{
	struct people_terms t = {.appeal_automatic_s = p->people.appeal_automatic_s,
		.appeal_confirmed_s = p->people.appeal_confirmed_s,
		.appeal_working = p->people.appeal_working};
	enum rc rc = artifact_store(c, "policy", p->version, &file, 1, now_us, hash, e);

	memcpy(t.confirmed_s, p->people.confirmed_s, sizeof(t.confirmed_s));
	return rc == RC_OK ? people_terms_store(c, hash, &t, e) : rc;
}

enum rc engine_activate(const struct engine_settings *s, bool force, struct err *e)
{
	const char *policy_file = conf_text(s->conf, "policy.file");
	struct pg_options o = {.dsn = conf_text(s->conf, "database.dsn"), .name = "khien-activate"};
	OWN(judge_drop) struct judge *j = NULL;
	OWN(pg_close) struct pg *c = NULL;
	const char *dot = strrchr(conf_text(s->conf, "model.file"), '.');
	uint8_t policy[SHA256_LEN], rules[SHA256_LEN], model[SHA256_LEN] = {0};
	const char *model_file = conf_text(s->conf, "model.file");
	int64_t now_us = s->clk->now_us(s->clk);
	struct control active;

	if (model_file[0] != '\0' && (dot == NULL || strcmp(dot, ".khm") != 0))
		return err_set(e, RC_INVALID, "model.file: %s does not end in .khm", model_file);
	enum rc rc = judge_from_files(policy_file, conf_text(s->conf, "rules.dir"),
		conf_text(s->conf, "rules.homoglyphs"), conf_text(s->conf, "rules.cache_dir"),
		model_file, &j, e);
	if (rc == RC_OK)
		rc = pg_open(&o, &c, e);
	if (rc != RC_OK)
		return rc;
	rc = control_read(c, &active, e);
	if (rc != RC_OK && rc != RC_NONE)
		return rc;
	bool nothing_yet = rc == RC_NONE;
	rc = judge_store_policy(c, j->policy, policy_file, now_us, policy, e);
	if (rc == RC_OK)
		rc = store_rules(c, s->conf, pack_version(j->pack), now_us, rules, e);
	if (rc == RC_OK && j->model != NULL)
		rc = artifact_store(
			c, "model", model_version(j->model), &model_file, 1, now_us, model, e);
	if (rc != RC_OK)
		return rc;
	const char *mode = conf_text(s->conf, "mode");
	bool same = !nothing_yet && memcmp(active.policy, policy, SHA256_LEN) == 0 &&
		memcmp(active.rules, rules, SHA256_LEN) == 0 &&
		memcmp(active.model, model, SHA256_LEN) == 0 && strcmp(active.mode, mode) == 0;
	if (same)
		return RC_OK;
	if (!nothing_yet && !force) {
		log_warn("engine",
			"the configured policy, packs, model or mode differ from the active ones; "
			"`khien "
			"activate -c FILE` or SIGHUP "
			"makes them active");
		return RC_OK;
	}
	rc = control_activate(
		c, mode, policy, rules, j->model != NULL ? model : NULL, now_us, s->instance, e);
	if (rc == RC_OK)
		log_info("engine", "activated mode=%s rules=%s policy=%s", mode, j->versions,
			j->policy->version);
	return rc;
}

static enum rc prepare_once(
	const struct engine_settings *s, const char *sql_dir, bool activate, struct err *e)
{
	struct pg_options o = {.dsn = conf_text(s->conf, "database.dsn"), .name = "khien-prepare"};
	OWN(pg_close) struct pg *c = NULL;
	enum rc rc = pg_open(&o, &c, e);

	if (rc == RC_OK)
		rc = schema_check(c, sql_dir, e);
	if (rc == RC_OK && activate)
		rc = engine_activate(s, false, e);
	return rc;
}

enum rc engine_prepare(
	const struct engine_settings *s, const char *sql_dir, bool activate, struct err *e)
{
	struct health_slot *health = health_slot("prepare", 0);

	judge_cache_in(conf_text(s->conf, "rules.cache_dir"));
	for (unsigned n = 0; !engine_stopping(s); n += n < 16) {
		enum rc rc = prepare_once(s, sql_dir, activate, e);

		if (rc == RC_OK)
			health_gone(health);
		if (rc != RC_RETRY && rc != RC_CONFLICT)
			return rc;
		health_bad(health, e->text);
		wait_ms(backoff_ms(n, 100, 2000), s->stop);
	}
	return RC_OK;
}
