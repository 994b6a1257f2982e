/* Any bytes as a file of others: the first line as a header, the rest as rows; or, when it is no header of ours, the first line as XARF. What
 * comes out is one JSON object that the parser takes and that names its schema; XARF that goes out again comes in again. */
#include "ingest/import.h"

#include <assert.h>
#include <stdlib.h>

static struct json_parser *parser;

static void check(struct slice record)
{
	struct json doc;
	struct err e;

	assert(json_parse(parser, record, &doc, &e) == RC_OK);
	assert(doc.kind == JSON_MAP);
	assert(slice_eq(json_text(json_get(doc, "schema")), SLICE("complaint/1")));
	assert(json_get(doc, "report_id").kind == JSON_TEXT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of((const char *)data, size), line;
	struct import_table table;
	const char *why = NULL;
	BUF_OWN struct buf out;

	if (parser == NULL && (parser = json_parser_new()) == NULL)
		abort();
	buf_init(&out, (size_t)4 << 20);
	if (!slice_line(&rest, &line))
		return 0;
	if (!import_header(line, &table)) {
		enum rc rc = xarf_read(parser, line, &out, &why);

		assert(rc != RC_INVALID || why != NULL);
		if (rc == RC_OK)
			check(buf_slice(&out));
		return 0;
	}
	while (slice_line(&rest, &line)) {
		why = NULL;
		(void)import_row_open(line);
		if (import_row(&table, line, &out, &why))
			check(buf_slice(&out));
		else
			assert(why != NULL);
	}
	return 0;
}
