/* Offline copies: a repository and the newest state, in a folder of their own that can be carried away. MANIFEST has the hash of every file as
 * sha256sum reads it; MANIFEST.seal is its own hash, time and repository under the backup key, so that nobody can write another one. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keep/repo.h"
#include "keep/state.h"
#include "keep/tree.h"

#define PATH_CAP 4096
#define MANIFEST_MAX ((size_t)1 << 30)

static const struct slice aad = {"khien-copy/1", 12};

enum rc offline_find(const char *dir, char out[4096], struct err *e)
{
	char best[256] = "", path[PATH_CAP + 64];

	(void)snprintf(path, sizeof(path), "%s/" MANIFEST, dir);
	if (access(path, F_OK) == 0) {
		(void)snprintf(out, PATH_CAP, "%s", dir);
		return RC_OK;
	}
	DIR *d = opendir(dir);
	if (d == NULL)
		return err_set(
			e, errno == ENOENT ? RC_NONE : RC_INVALID, "%s: %s", dir, strerror(errno));
	for (struct dirent *f; (f = readdir(d)) != NULL;)
		if (strncmp(f->d_name, COPY_PREFIX, sizeof(COPY_PREFIX) - 1) == 0 &&
			strchr(f->d_name, '.') == NULL && strcmp(f->d_name, best) > 0)
			(void)snprintf(best, sizeof(best), "%s", f->d_name);
	(void)closedir(d);
	if (best[0] == '\0')
		return err_set(e, RC_NONE, "%s: holds no offline copy", dir);
	(void)snprintf(out, PATH_CAP, "%s/%.255s", dir, best);
	return RC_OK;
}

static enum rc seal_manifest(const char *dir, struct slice manifest, int repo, int64_t made_us,
	const uint8_t key[KEY_LEN], struct err *e)
{
	char path[PATH_CAP + 64], text[160];
	uint8_t sum[SHA256_LEN], sealed[sizeof(text) + SEAL_EXTRA];
	BUF_OWN struct buf hex;

	sha256(manifest, sum);
	buf_init(&hex, 65);
	buf_hex(&hex, sum, sizeof(sum));
	int n = snprintf(text, sizeof(text), "%s %d %" PRId64 "\n", hex.ptr, repo, made_us);
	seal(key, aad, slice_of(text, (size_t)n), sealed);
	(void)snprintf(path, sizeof(path), "%s/" MANIFEST, dir);
	enum rc rc = file_write_new(path, 0644, manifest, e);
	(void)snprintf(path, sizeof(path), "%s/" MANIFEST_SEAL, dir);
	return rc == RC_OK
		? file_write_new(path, 0644, slice_of((char *)sealed, (size_t)n + SEAL_EXTRA), e)
		: rc;
}

/* The manifest, when it is the one that was sealed. */
static enum rc open_manifest(const char *dir, const uint8_t key[KEY_LEN], struct buf *manifest,
	struct offline *out, struct err *e)
{
	char path[PATH_CAP + 64], hex[65] = "";
	uint8_t sum[SHA256_LEN];
	BUF_OWN struct buf sealed, want;
	char text[200] = "";

	buf_init(&sealed, sizeof(text) + SEAL_EXTRA);
	buf_init(&want, 65);
	(void)snprintf(path, sizeof(path), "%s/" MANIFEST, dir);
	enum rc rc = file_read(path, false, manifest, e);
	(void)snprintf(path, sizeof(path), "%s/" MANIFEST_SEAL, dir);
	if (rc == RC_OK)
		rc = file_read(path, false, &sealed, e);
	if (rc != RC_OK)
		return err_set(e, RC_INVALID, "%s: no manifest, or no seal on it", dir);
	if (sealed.len <= SEAL_EXTRA || sealed.len - SEAL_EXTRA >= sizeof(text) ||
		unseal(key, aad, buf_slice(&sealed), (uint8_t *)text) != RC_OK)
		return err_set(e, RC_INVALID,
			"%s: the seal does not open: another backup key, or it was changed", dir);
	if (sscanf(text, "%64s %d %" SCNd64, hex, &out->repo, &out->made_us) != 3)
		return err_set(e, RC_INVALID, "%s: the seal is none of ours", dir);
	sha256(buf_slice(manifest), sum);
	buf_hex(&want, sum, sizeof(sum));
	if (strcmp(hex, want.ptr) != 0)
		return err_set(
			e, RC_INVALID, "%s: the manifest was changed after it was sealed", dir);
	return RC_OK;
}

enum rc offline_verify(
	const char *dir, const uint8_t key[KEY_LEN], struct offline *out, struct err *e)
{
	static const char *const own[] = {MANIFEST, MANIFEST_SEAL};
	char path[PATH_CAP + 64];
	BUF_OWN struct buf manifest;
	struct offline o = {0};
	struct state s = {0};

	buf_init(&manifest, MANIFEST_MAX);
	(void)snprintf(o.dir, sizeof(o.dir), "%s", dir);
	enum rc rc = open_manifest(dir, key, &manifest, &o, e);
	if (rc == RC_OK)
		rc = tree_check(dir, buf_slice(&manifest), own, ARRAY_LEN(own), &o.bytes, e);
	(void)snprintf(path, sizeof(path), "%s/" COPY_STATE, dir);
	if (rc == RC_OK)
		rc = state_load(path, key, &s, e);
	state_done(&s);
	if (rc == RC_OK)
		*out = o;
	return rc;
}

static enum rc copy_state(const struct conf *c, const char *to, struct tree *one, struct err *e)
{
	char newest[PATH_CAP] = "", dir[PATH_CAP], best[PATH_CAP] = "";
	enum rc rc = RC_NONE;

	for (size_t i = 0; i < conf_count(c, "backup.state_dirs"); i++) {
		rc = state_newest(conf_at(c, "backup.state_dirs", i), newest, e);
		if (rc == RC_OK &&
			strcmp(strrchr(newest, '/'), best[0] != '\0' ? strrchr(best, '/') : "") > 0)
			(void)snprintf(best, sizeof(best), "%s", newest);
	}
	if (best[0] == '\0')
		return err_set(e, RC_NONE, "there is no state of a backup: run khien backup");
	BUF_OWN struct buf b;
	buf_init(&b, STATE_MAX + 1024);
	rc = file_read(best, false, &b, e);
	(void)snprintf(dir, sizeof(dir), "%.4000s/" COPY_STATE, to);
	if (rc == RC_OK)
		rc = file_write_new(dir, 0600, buf_slice(&b), e);
	if (rc == RC_OK)
		rc = tree_sum(dir, one->at[0].sum, &one->at[0].size, e);
	return rc;
}

static enum rc copy_all(const struct conf *c, const char *repo_path, int repo, const char *to,
	const uint8_t key[KEY_LEN], int64_t now_us, struct err *e)
{
	struct tree_file state = {.path = (char[]){COPY_STATE}};
	struct tree t = {0}, one = {.at = &state, .count = 1};
	char path[PATH_CAP];
	BUF_OWN struct buf manifest;
	struct offline check;
	enum rc rc = tree_list(repo_path, ".pgbackrest.tmp", &t, e);

	buf_init(&manifest, MANIFEST_MAX);
	if (rc == RC_OK && t.count == 0)
		rc = err_set(e, RC_NONE, "%s: holds nothing", repo_path);
	(void)snprintf(path, sizeof(path), "%.4000s/repo", to);
	if (rc == RC_OK)
		rc = tree_copy(repo_path, path, &t, e);
	if (rc == RC_OK)
		rc = copy_state(c, to, &one, e);
	if (rc == RC_OK) {
		tree_write(&t, "repo/", &manifest);
		tree_write(&one, "", &manifest);
		rc = seal_manifest(to, buf_slice(&manifest), repo, now_us, key, e);
	}
	tree_done(&t);
	return rc == RC_OK ? offline_verify(to, key, &check, e) : rc;
}

enum rc backup_export(const struct conf *c, int repo, const char *to, struct err *e)
{
	char at[TIME_TEXT], name[TIME_TEXT] = "", partial[PATH_CAP], final[PATH_CAP];
	int64_t now_us = clk_system.now_us(&clk_system);
	const char *pgb = conf_text(c, "backup.pgbackrest");
	uint8_t key[KEY_LEN];
	BUF_OWN struct buf b;
	struct repos r;
	int which = 0;
	size_t n = 0;

	buf_init(&b, 1u << 20);
	enum rc rc = file_read(pgb, false, &b, e);
	if (rc == RC_OK)
		rc = repos_read(buf_slice(&b), pgb, &r, e);
	if (rc == RC_OK)
		rc = key_read(conf_text(c, "backup.key_file"), key, e);
	if (rc != RC_OK)
		return rc;
	for (which = r.n - 1; repo > 0 && which >= 0 && r.key[which] != repo; which--)
		;
	if (which < 0)
		return err_set(e, RC_INVALID, "%s: names no repository %d", pgb, repo);
	time_format(now_us - now_us % US_PER_S, at);
	for (const char *p = at; *p != '\0'; p++)
		if (*p != '-' && *p != ':')
			name[n++] = *p;
	(void)snprintf(partial, sizeof(partial), "%.3900s/" COPY_PREFIX "%s.partial", to, name);
	(void)snprintf(final, sizeof(final), "%.3900s/" COPY_PREFIX "%s", to, name);
	rc = make_dirs(partial, 0755, e);
	if (rc == RC_OK)
		rc = copy_all(c, r.path[which], r.key[which], partial, key, now_us, e);
	explicit_bzero(key, sizeof(key));
	if (rc == RC_OK && rename(partial, final) != 0)
		rc = err_set(e, RC_INVALID, "%s: %s", final, strerror(errno));
	if (rc == RC_OK)
		(void)printf("%s\n", final);
	return rc;
}
