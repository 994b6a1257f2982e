/* Private to keep: pgBackRest as we drive it, and the offline copies made of one of its repositories. */
#pragma once

#include "keep/keep.h"

#define REPOS_MAX 8
#define COPY_PREFIX "khien-"
#define MANIFEST "MANIFEST"
#define MANIFEST_SEAL "MANIFEST.seal"
#define COPY_STATE "state.khs"

/* pgBackRest's own file, as far as we need it. */
struct repos {
	int n, key[REPOS_MAX];
	char path[REPOS_MAX][1024];
};
MUST_USE enum rc repos_read(struct slice text, const char *name, struct repos *out, struct err *e);

struct pgb {
	const char *conf, *stanza, *user;
};
/* pgbackrest with these words, NULL-ended; stdout to out (NULL: none). */
MUST_USE enum rc pgb_run(const struct pgb *p, int repo, const char *const *words, int deadline_s,
	struct buf *out, struct err *e);
/* The newest good backup of a repository. RC_NONE: none; RC_INVALID: pgBackRest says that something is wrong with it. */
struct pgb_newest {
	int64_t stop_us, bytes;
	char label[64];
	int count;
};
MUST_USE enum rc pgb_newest(const struct pgb *p, int repo, struct pgb_newest *out, struct err *e);

struct offline {
	char dir[4096];
	int64_t made_us, bytes;
	int repo;
};
/* The folder itself when it is a copy, else the newest copy in it. RC_NONE: neither. */
MUST_USE enum rc offline_find(const char *dir, char out[4096], struct err *e);
/* Reads every byte of it back. */
MUST_USE enum rc offline_verify(
	const char *dir, const uint8_t key[KEY_LEN], struct offline *out, struct err *e);
