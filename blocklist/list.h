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
void digest_join(struct digest *d, const struct digest *other); /* d += other */
void digest_part(struct digest *d, const struct digest *other); /* d -= other */
bool digest_same(const struct digest *a, const struct digest *b);
struct digest digest_of_bytes(struct slice bytes); /* zeros when there are not 32 */
/* One of the head's forms: list, release, count, digest (bytea) in columns at, at + 1, … */
void mark_of_row(struct pg_result *r, int row, int at, struct list_mark *out);
/* {"list":…,"release":…,"count":…,"digest":… without its closing brace. */
void mark_json_open(const struct list_mark *m, struct buf *out);
