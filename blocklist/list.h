/* Private to the room: the list's entries as rows of the ledger, and pieces of their JSON. */
#pragma once

#include "blocklist/blocklist.h"

#define ENTRY_COLUMNS "scope, value, service, action, case_id, until, basis"
/* Whole seconds of a time of the ledger: 0 is open-ended (TIME_NONE). */
int64_t until_s_of(int64_t us);
int64_t until_us_of(int64_t until_s);
/* The entry in columns at, at + 1, … of ENTRY_COLUMNS; texts are borrowed from the result. release stays 0. */
struct entry entry_of_row(const struct pg_result *r, int row, int at);
/* The entry object without its closing brace, for a caller who adds to it. */
void entry_json_open(const struct entry *e, struct buf *out);
/* 36 characters of a uuid: what somebody else calls a list goes into addresses and files. */
bool list_name_fits(struct slice name);
/* An entry with the room for its texts; basis is left out. */
struct entry_text {
	struct entry entry; /* points into this struct */
	char value[SENDER_TEXT], action[17], case_id[65];
};
/* Reads the contract's entry object, also of whom we do not trust: false when it is none. */
bool entry_of_json(struct json map, struct entry_text *out);
/* "service|scope|value", the key of the entry in the topic; answers its length. */
size_t entry_key(const struct entry *e, char *out, size_t room);
void digest_join(struct digest *d, const struct digest *other); /* d += other */
void digest_part(struct digest *d, const struct digest *other); /* d -= other */
/* Of the whole list's mark its part of a service: what sms counts and sums up to is told, voice is the rest. */
void feed_part(struct list_mark *m, int service, int64_t sms_count, const struct digest *sms);
bool digest_same(const struct digest *a, const struct digest *b);
struct digest digest_of_bytes(struct slice bytes); /* zeros when there are not 32 */
/* One of the head's forms: list, release, count, digest (bytea) in columns at, at + 1, … */
void mark_of_row(struct pg_result *r, int row, int at, struct list_mark *out);
/* {"list":…,"release":…,"count":…,"digest":… without its closing brace. */
void mark_json_open(const struct list_mark *m, struct buf *out);

/* ---- the release log, for copies */
/* The changes of the releases (from, to], in order: ENTRY_COLUMNS, op, release. RC_CONFLICT: the log does not lead from one to the other, or
 * there are more than `most`: a rebuild is shorter. */
MUST_USE enum rc changes_read(struct pg *c, const struct list_mark *from,
	const struct list_mark *to, int64_t most, struct pg_result **out, struct err *e);
bool change_is_add(const struct pg_result *r, int i);
/* The old and the new line of one key follow each other: the second alone says it. */
bool change_overtaken(const struct pg_result *r, int i);
/* The newest addition among them is not undone by a later one. False also when another addition may be left. */
bool change_leaves_one(const struct pg_result *r);
bool mark_same(const struct list_mark *a, const struct list_mark *b);
/* The head as the ledger has it. RC_RETRY: there is no list yet. */
MUST_USE enum rc head_read(struct pg *c, struct list_mark *out, struct err *e);

/* ---- whose a consumer is */
/* Inside the caller's transaction: the name is the token's from now on. RC_DENIED: it is another one's; RC_LIMIT: there are enough. */
MUST_USE enum rc consumer_claim(struct pg *c, const char *name, const char *token, struct err *e);
