/* Private to ingest: the parts of `khien send`. */
#pragma once

#include "ingest/import.h"

#include <stdio.h>

/* What clients and brokers take in one record by default (1,000,000 bytes) less room for the key. */
#define SEND_RECORD_MAX 990000
/* A demonstration broker begins to forget above about 5 MB a partition. */
#define SEND_DEMO_BYTES ((uint64_t)4 * 1000 * 1000)

/* One file, read line by line. */
struct lines {
	FILE *f;
	const char *name;
	uint64_t at;                   /* bytes behind us */
	uint64_t line;                 /* lines behind us */
	uint64_t size;                 /* 0: unknown */
	uint64_t first_at, first_line; /* behind the first line of this row, and before it */
	struct buf text, decoded;
	struct import_table table; /* ops NULL: each line is a record as it stands */
	struct json_parser *json;
	bool piped; /* standard input or another thing without a position */
};
enum line_kind { LINE_RECORD, LINE_EMPTY, LINE_BAD, LINE_END };
MUST_USE enum rc lines_open(struct lines *l, const char *name, struct err *e);
void lines_close(struct lines *l);
/* The next record; `out` is valid until the next call, its ptr NULL for a tombstone. LINE_BAD: `why` (static) says what is wrong with line
 * l->line. RC_INVALID: the file cannot be read. */
MUST_USE enum rc lines_next(
	struct lines *l, enum line_kind *kind, struct slice *out, const char **why, struct err *e);

/* Standard base64 with padding into `out`. False when it is none, or too much. */
bool decode64(struct slice s, struct buf *out);

/* How far a file was sent to one topic of one source. Kept as a small text file in the state folder. */
struct position {
	char path[512]; /* of the position file */
	uint64_t at, line, records;
	char head[65]; /* SHA-256 of the file's first bytes, up to 4,096 and not behind `at` */
};
/* RC_OK: *out holds where to go on, zeros when nothing was sent or the file is another one now. */
MUST_USE enum rc position_load(const char *dir, const char *source, const char *topic,
	const struct lines *l, struct position *out, struct err *e);
MUST_USE enum rc position_save(struct position *p, const struct lines *l, struct err *e);
/* Moves the file to the position. */
MUST_USE enum rc lines_seek(struct lines *l, const struct position *p, struct err *e);

/* Bytes that a demonstration broker was given, per partition, over all runs. */
#define BUDGET_PARTITIONS 256
struct budget {
	char path[512];
	int partitions; /* 0: not a demonstration, nothing is counted */
	uint64_t bytes[BUDGET_PARTITIONS];
};
MUST_USE enum rc budget_load(const char *dir, const struct kafka_source *s, const char *topic,
	struct budget *out, struct err *e);
MUST_USE enum rc budget_save(const struct budget *b, struct err *e);
/* The partition of this key, or -1 when the brokers shall choose; false when it has no room for `len` bytes more. */
bool budget_take(struct budget *b, struct slice key, size_t len, int32_t *partition);
