/* Private to keep: folders copied and checked file by file, by SHA-256. */
#pragma once

#include "base/base.h"

struct tree_file {
	char *path; /* below the top */
	int64_t size;
	uint8_t sum[SHA256_LEN];
};
struct tree {
	struct tree_file *at;
	size_t count, room;
	int64_t bytes;
};
void tree_done(struct tree *t);

/* The regular files below `top`, sorted by path; no links are followed. Names that end in `skip` (may be NULL) are left out. */
MUST_USE enum rc tree_list(const char *top, const char *skip, struct tree *out, struct err *e);
/* Copies them to `to`, which is made, with mode and, for root, owner of the original; sums are filled in. Everything is on disk when it returns. */
MUST_USE enum rc tree_copy(const char *top, const char *to, struct tree *t, struct err *e);
/* Hashes one file. */
MUST_USE enum rc tree_sum(const char *path, uint8_t sum[SHA256_LEN], int64_t *size, struct err *e);
/* Lines "hash  path" as sha256sum has them. */
void tree_write(const struct tree *t, const char *prefix, struct buf *out);
/* Every line of a manifest is there, as it says, and nothing besides except `own` names at the top. RC_INVALID: e names the first file. */
MUST_USE enum rc tree_check(const char *top, struct slice manifest, const char *const *own,
	size_t n_own, int64_t *bytes, struct err *e);
/* mkdir -p; the last part gets the mode. */
MUST_USE enum rc make_dirs(const char *path, unsigned mode, struct err *e);
/* Writes a new file (never over one) and syncs it and its folder. */
MUST_USE enum rc file_write_new(const char *path, unsigned mode, struct slice s, struct err *e);
