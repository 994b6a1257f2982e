/* Tables of people's own making: comma-separated lines with a header. `#` begins a comment line, blank lines are skipped, fields are
 * trimmed; a field may stand in double quotes ("" is a quote inside), but not run over a line end. */
#pragma once

#include "base/yaml.h"

#define CSV_COLUMNS 16

struct csv {
	struct slice field[CSV_COLUMNS]; /* of the row; valid until the next csv_next */
	int line;                        /* of the row, 1-based */
	/* private */
	const char *name;
	struct slice rest;
	size_t columns;
	struct complaints *c;
	struct buf unquoted;
};

/* `text` and `c` must outlive the reader. False when the header is not `header` ("code,class,owner"): complained. Call csv_done in
 * any case. */
bool csv_begin(struct csv *r, const char *name, struct slice text, const char *header,
	struct complaints *c);
/* The next row with as many fields as the header; others are complained about and skipped. False at the end. */
bool csv_next(struct csv *r);
void csv_done(struct csv *r);
