/* Private to ingest: report files of others' making, each line or row made into one complaint/1 record on its way to the topic. */
#pragma once

#include "ingest/ingest.h"

#define IMPORT_COLUMNS 40

/* A column of a table: its name in the header in lower case with _ for everything else, other names behind a blank. */
struct import_column {
	const char *names;
	bool needed;
};

/* One table format, found by its header. */
struct import_ops {
	const char *name; /* "ftc" */
	const struct import_column *columns;
	size_t n;
	/* Appends the record of a row; field[i] belongs to columns[i], empty when the table lacks it. False: `why` (static) says what is
	 * wrong; what was appended is dropped. */
	bool (*row)(
		const struct slice *field, struct slice whole, struct buf *out, const char **why);
};
extern const struct import_ops *const import_tables[]; /* NULL-ended */
extern const struct import_ops import_ftc, import_fcc, import_portal;

/* How the columns of one file lie. */
struct import_table {
	const struct import_ops *ops; /* NULL: no table */
	int column
		[IMPORT_COLUMNS]; /* of each field of a row, its place in ops->columns; -1: kept out */
	size_t n;
};
/* True when the line is the header of one of the tables. */
bool import_header(struct slice line, struct import_table *out);
/* A row may go on over line ends inside quotes: true when its quotes are still open. */
bool import_row_open(struct slice row);
/* Makes the record of a row. False: `why` (static) says what is wrong with it. */
bool import_row(const struct import_table *t, struct slice row, struct buf *out, const char **why);

/* ---- pieces of records ---- */
/* Appends ,"name":"text" unless text is empty. */
void import_text(struct buf *out, const char *name, struct slice text);
/* Appends ,"reporter":"+999…": country code 999 is nobody's. One number for one seed. */
void import_nobody(struct buf *out, struct slice seed);
/* Appends the first 32 hex digits of SHA-256(s). */
void import_hash(struct buf *out, struct slice s);

/* XARF v4, one object a line. RC_NONE: the line is no XARF. RC_INVALID: `why` (static) says what is wrong with it. */
struct json_parser;
MUST_USE enum rc xarf_read(
	struct json_parser *p, struct slice line, struct buf *out, const char **why);
