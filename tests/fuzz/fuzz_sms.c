/* Any bytes as a citizen's text: splitting ends in one of its answers, the sender lies inside the text, and the content is hardly
 * longer than the text. */
#include "ingest/ingest.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	static struct plan *plan;
	struct slice text = slice_of((const char *)data, size);
	struct sms_parts parts = {0};

	if (plan == NULL) {
		struct complaints c;
		struct err e;

		complaints_init(&c);
		if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &plan, &e) != RC_OK)
			abort();
		complaints_done(&c);
		arena = arena_new((size_t)1 << 20);
	}
	arena_reset(arena);
	if (size > BOUND_RECORD || sms_split(plan, text, 0, arena, &parts) != SMS_REPORT)
		return 0;
	assert(parts.sender_raw.len > 0 && parts.sender_raw.ptr >= text.ptr);
	assert(parts.sender_raw.ptr + parts.sender_raw.len <= text.ptr + text.len);
	assert(parts.content.ptr != NULL &&
		parts.content.len <= size + 8); /* blanks between eight groups */
	return 0;
}
