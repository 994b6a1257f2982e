/* Private to cases: rows of an answer as JSON objects, described by a table of columns. */
#pragma once

#include "cases/cases.h"

/* How a column is written. Numbers of enums are written as their words. SQL NULL is null. */
enum col_kind {
	COL_TEXT,
	COL_INT,
	COL_REAL,
	COL_BOOL,
	COL_TIME,
	COL_JSON, /* is JSON already */
	COL_KIND,
	COL_SERVICE,
	COL_CHANNEL,
	COL_CLASS,
	COL_RUNG,
	COL_LABEL,
	COL_MATCHED,
	COL_ORIGIN,
	COL_DISPOSITION,
	COL_WHY, /* a reason, followed by the same in words as "NAME_text" */
};

struct col {
	const char *name;
	enum col_kind kind;
};

void json_time(struct buf *out, int64_t us); /* "…" or null */
void row_json(struct buf *out, struct pg_result *r, int row, const struct col *cols, size_t n);
void rows_json(struct buf *out, struct pg_result *r, const struct col *cols, size_t n);
/* Runs the query and appends `"name":[…]`. */
MUST_USE enum rc query_json(struct pg *c, const char *sql, const struct pg_param *p, int n_params,
	const char *name, const struct col *cols, size_t n, struct buf *out, struct err *e);
/* The same of at most one row: `"name":{…}` or null. */
MUST_USE enum rc query_one_json(struct pg *c, const char *sql, const struct pg_param *p,
	int n_params, const char *name, const struct col *cols, size_t n, struct buf *out,
	struct err *e);
/* campaign_read.c: evidence, with $1 a sender's id or a report's id_hash. */
#define EVIDENCE_COLS 8
extern const struct col evidence_cols[EVIDENCE_COLS];
extern const char evidence_of_sender_sql[], evidence_of_report_sql[];
/* Why something waits, for a duty officer; "" when there is no more to say than the word. */
const char *reason_words(struct slice reason);
MUST_USE enum rc buf_fits(const struct buf *out, struct err *e);

/* The sender's row: RC_NONE when nobody ever reported it. */
struct sender_row {
	int64_t id;
	char attribution[16], carrier[64], cls[32];
	bool by_table;
};
MUST_USE enum rc sender_find(struct pg *c, const struct sender *s, struct sender_row *out,
	struct arena *a, struct err *e);
