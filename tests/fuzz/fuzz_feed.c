/* Any bytes as what somebody asks of the feeds: the body of an acknowledgement, a piece of a query or path, a token in Basic authentication. What
 * is taken is within its bounds. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/ack_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json_parser *parser;

static void try_ack(struct slice text)
{
	static struct ack_told t;
	struct json body;
	struct err e = {0};

	if (json_parse(parser, text, &body, &e) != RC_OK)
		return;
	if (ack_read(body, &t, &e) != RC_OK) {
		assert(e.text[0] != '\0');
		return;
	}
	assert(consumer_well_formed(slice_str(t.consumer)) && strlen(t.list) < sizeof(t.list));
	assert(t.ack.release >= 0 && t.ack.count >= 0 && t.ack.service >= -1 && t.ack.service <= 1);
	assert(t.ack.buckets == NULL || t.ack.buckets == t.buckets);
}

static void try_text(struct slice text)
{
	char *room = malloc(text.len + 1);
	const char *why = NULL;

	if (room == NULL)
		abort();
	if (http_decode(text, room, text.len + 1, &why))
		assert(slice_utf8_valid(slice_str(room)) && strlen(room) <= text.len);
	else
		assert(why != NULL);
	if (base64_decode(text, room, text.len + 1))
		assert(strlen(room) <= text.len);
	(void)token_well_formed(text);
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);

	if (parser == NULL && (parser = json_parser_new()) == NULL)
		abort();
	try_ack(text);
	try_text(text);
	return 0;
}
