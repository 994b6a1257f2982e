/* What the tests of ingest share: the shipped number plan, fresh keys, and one record through the decoder. */
#pragma once

#include "ingest/ingest.h"
#include "tests/unit/check.h"

struct world {
	struct plan *plan;
	struct keys *keys;
	struct ingest_rules rules;
	struct decoder *decoder;
	struct arena *arena;
	char dir[CHECK_PATH];
};

static inline void world_done(struct world *w)
{
	static const char *const names[] = {"mac.key", "wrap.key", "token.key"};
	char path[CHECK_PATH * 2];

	decoder_free(w->decoder);
	arena_free(w->arena);
	keys_free(w->keys);
	plan_free(w->plan);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(w->dir);
}

static inline void world_init(struct world *w)
{
	struct complaints c;
	struct err e = {0};

	memset(w, 0, sizeof(*w));
	complaints_init(&c);
	check_dir(w->dir);
	if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &w->plan, &e) != RC_OK ||
		keys_create(w->dir, &e) != RC_OK || keys_open(w->dir, &w->keys, &e) != RC_OK) {
		printf("cannot begin: %s\n%.*s\n", e.text, (int)c.text.len, buf_slice(&c.text).ptr);
		exit(1);
	}
	complaints_done(&c);
	w->rules = (struct ingest_rules){w->plan, w->keys, 168 * 3600};
	w->decoder = decoder_new(&w->rules);
	w->arena = arena_new((size_t)8 << 20);
	if (w->decoder == NULL || w->arena == NULL)
		exit(1);
}

static inline void world_decode(struct world *w, struct slice value, struct report *out)
{
	struct kafka_record r = {
		.topic = "complaints", .partition = 3, .offset = 77, .value = value};

	CHECK_INT(decode(w->decoder, FEED_COMPLAINTS, &r, w->arena, out), RC_OK);
}
