/* Any bytes as what a follower of the list is given: the entry object of a feed, a record of the topic, the file of `khien follow`. Nothing of it
 * is believed: what is taken proves itself, and is written the same again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "blocklist/follow.h"
#include "blocklist/kafka_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_parser *parser;

/* An entry that is read has a line, and its own JSON reads back with that line. */
static void try_entry(struct slice text)
{
	BUF_OWN struct buf again;
	struct entry_text one, two;
	char a[ENTRY_LINE], b[ENTRY_LINE];
	struct json doc;
	struct err e;

	buf_init(&again, 8192);
	if (json_parse(parser, text, &doc, &e) != RC_OK || !entry_of_json(doc, &one))
		return;
	(void)entry_line(&one.entry, a, sizeof(a));
	entry_json(&one.entry, &again);
	assert(json_parse(parser, buf_slice(&again), &doc, &e) == RC_OK);
	if (!entry_of_json(doc, &two)) {
		assert(one.entry.until_s >
			INT64_C(253402300799)); /* a month of 31 days at the end of 9999 */
		return;
	}
	(void)entry_line(&two.entry, b, sizeof(b));
	assert(strcmp(a, b) == 0);
}

static void try_rows(struct slice text)
{
	ROWS_OWN struct rows r;
	struct list_mark mark;
	struct slice line;
	struct err e;

	if (rows_init(&r, &e) != RC_OK)
		return;
	while (slice_line(&text, &line)) {
		struct slice key;

		if (!slice_cut(&line, '\t', &key))
			continue;
		struct kafka_row row = {
			.key = key, .value = line.len > 0 ? line : slice_of(NULL, 0)};

		if (rows_add(&r, &row, &e) != RC_OK)
			continue;
		assert(rows_find(&r, key, 0) != NULL);
	}
	assert(r.count >= 0 && r.odd >= 0 && (size_t)(r.count + r.odd) <= r.n);
	assert(rows_mark(&r, &mark) == RC_NONE); /* no record has headers */
}

static void try_file(struct slice text)
{
	FOLLOW_LIST_OWN struct follow_list l = {0};
	struct err e;

	if (follow_list_read(&l, text, "", &e) != RC_OK)
		return;
	assert(l.n == (size_t)l.mark.count && strlen(l.mark.list) == 36);
	for (size_t i = 1; i < l.n; i++)
		assert(strcmp(l.lines[i - 1], l.lines[i]) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);

	if (parser == NULL && (parser = json_parser_new()) == NULL)
		abort();
	try_entry(text);
	try_rows(text);
	try_file(text);
	return 0;
}
