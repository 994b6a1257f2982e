/* Any bytes as a record: decoding ends in one of its dispositions, with a reason, and what it says was understood is inside its bounds. The
 * first byte 0x00 makes the rest the text of a report-sms/1, so that the fuzzer need not find JSON first; 0x01 to 0x06 put the rest on one of
 * the topics beside the reports. */
#include "ingest/ingest.h"

#include <assert.h>
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct ingest_rules rules;
static struct decoder *decoder;
static struct arena *arena;

static void begin(void)
{
	static struct plan *plan;
	static struct keys *keys;
	char dir[] = "/tmp/khien-fuzz-XXXXXX", path[64];
	static const char *const names[] = {"mac.key", "wrap.key", "token.key"};
	struct complaints c;
	struct err e;

	__lsan_disable(); /* keys live in locked pages, where the leak checker does not look */
	complaints_init(&c);
	if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &plan, &e) != RC_OK ||
		mkdtemp(dir) == NULL || keys_create(dir, &e) != RC_OK ||
		keys_open(dir, &keys, &e) != RC_OK)
		abort();
	complaints_done(&c);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
	rules = (struct ingest_rules){plan, keys, 168 * 3600};
	decoder = decoder_new(&rules);
	arena = arena_new((size_t)8 << 20);
	__lsan_enable();
}

static void check(const struct report *r)
{
	assert(r->reason != NULL && r->reason[0] != '\0');
	assert(r->disposition != DISP_DUPLICATE);
	assert(strnlen(r->detail, sizeof(r->detail)) < sizeof(r->detail));
	assert(slice_utf8_valid(slice_str(r->detail)));
	assert(r->report_id.len <= BOUND_REPORT_ID);
	if (r->disposition == DISP_QUARANTINED) {
		assert(r->detail[0] != '\0' && !r->counts);
		return;
	}
	if (r->fact != NULL) {
		assert(r->disposition == DISP_ACCEPTED && !r->counts);
		return;
	}
	assert(r->report_id.len > 0 && r->reporter.scope == SCOPE_NUMBER);
	assert(r->content.len == 0 || memchr(r->content.ptr, '\0', r->content.len) == NULL);
	assert(slice_utf8_valid(r->content) && slice_utf8_valid(r->extra));
	assert((r->disposition == DISP_ROUTED) == (r->route_to != NULL));
	assert(!r->counts || (r->disposition == DISP_ACCEPTED && r->sender.scope != SCOPE_NONE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BUF_OWN struct buf b;
	struct kafka_record record = {
		.topic = "complaints", .value = slice_of((const char *)data, size)};
	enum feed of = FEED_COMPLAINTS;
	struct report report;

	if (decoder == NULL)
		begin();
	buf_init(&b, (size_t)1 << 20);
	if (size > 0 && data[0] == 0) {
		buf_add(&b,
			SLICE("{\"schema\":\"report-sms/"
			      "1\",\"report_id\":\"f\",\"from\":\"0912345678\",\"to\":\"156\","
			      "\"received_at\":\"2026-08-31T09:15:02Z\",\"text\":"));
		buf_json(&b, slice_of((const char *)data + 1, size - 1));
		buf_byte(&b, '}');
		record.value = buf_slice(&b);
	} else if (size > 0 && data[0] < FEED_COUNT) {
		of = (enum feed)data[0];
		record.value = slice_of((const char *)data + 1, size - 1);
	}
	arena_reset(arena);
	if (decode(decoder, of, &record, arena, &report) == RC_OK)
		check(&report);
	return 0;
}
