/* One line of the list in its written forms: the line that is hashed, the contract's JSON object, its bucket, and a row of the
 * ledger. Leaves out what the list holds and why: the keeper's release decides that. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "blocklist/list.h"

size_t entry_line(const struct entry *e, char *out, size_t room)
{
	int n = snprintf(out, room, "%s|%s|%s|%s|%s|%" PRId64, scope_name(e->scope), e->value,
		service_name(e->service), e->action, e->case_id, e->until_s);

	assert(n > 0 && (size_t)n < room); /* a cut line would have another hash */
	return (size_t)n;
}

size_t entry_key(const struct entry *e, char *out, size_t room)
{
	int n = snprintf(
		out, room, "%s|%s|%s", service_name(e->service), scope_name(e->scope), e->value);

	assert(n > 0 && (size_t)n < room);
	return (size_t)n;
}

uint8_t entry_bucket(const struct entry *e)
{
	char key[ENTRY_LINE];
	uint8_t hash[SHA256_LEN];
	int n = snprintf(key, sizeof(key), "%s|%s|%s", scope_name(e->scope), e->value,
		service_name(e->service));

	assert(n > 0 && (size_t)n < sizeof(key));
	sha256(slice_of(key, (size_t)n), hash);
	return hash[0];
}

void entry_json_open(const struct entry *e, struct buf *out)
{
	char until[TIME_TEXT];

	buf_fmt(out, "{\"scope\":\"%s\",\"value\":", scope_name(e->scope));
	buf_json(out, slice_str(e->value));
	buf_fmt(out, ",\"service\":\"%s\",\"action\":", service_name(e->service));
	buf_json(out, slice_str(e->action));
	buf_add(out, SLICE(",\"case\":"));
	buf_json(out, slice_str(e->case_id));
	if (e->until_s == 0) {
		buf_add(out, SLICE(",\"until\":null"));
	} else {
		time_format(e->until_s * US_PER_S, until);
		buf_fmt(out, ",\"until\":\"%s\"", until);
	}
	buf_add(out, SLICE(",\"basis\":"));
	buf_json(out, slice_str(e->basis));
}

void entry_json(const struct entry *e, struct buf *out)
{
	entry_json_open(e, out);
	buf_byte(out, '}');
}

int64_t until_s_of(int64_t us)
{
	if (us == TIME_NONE)
		return 0;
	return us >= US_PER_S ? us / US_PER_S : 1; /* 0 would be open-ended */
}

int64_t until_us_of(int64_t until_s)
{
	return until_s == 0 ? TIME_NONE : until_s * US_PER_S;
}

struct entry entry_of_row(const struct pg_result *r, int row, int at)
{
	return (struct entry){
		.scope = scope_parse(pg_text(r, row, at)),
		.value = pg_text(r, row, at + 1).ptr, /* libpq ends every value with a NUL */
		.service = pg_int(r, row, at + 2) == SERVICE_VOICE ? SERVICE_VOICE : SERVICE_SMS,
		.action = pg_text(r, row, at + 3).ptr,
		.case_id = pg_text(r, row, at + 4).ptr,
		.until_s = until_s_of(pg_time_us(r, row, at + 5)),
		.basis = pg_text(r, row, at + 6).ptr,
	};
}
