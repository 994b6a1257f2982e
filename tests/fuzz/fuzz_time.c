/* Any bytes as a time: what is understood is within the years that are promised and survives being written and read again. */
#include <assert.h>

#include "base/clk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t us = TIME_NONE, again;
	char text[TIME_TEXT], day[11];

	if (time_parse(slice_of((const char *)data, size), &us) != RC_OK) {
		assert(us == TIME_NONE);
		if (size < sizeof(us))
			return 0;
		memcpy(&us, data, sizeof(us)); /* any number at all can be written */
		time_format(us, text);
		assert(strnlen(text, sizeof(text)) < sizeof(text));
		return 0;
	}
	assert(us >= INT64_C(631065600) * US_PER_S && us < INT64_C(7258204800) * US_PER_S);
	time_format(us, text);
	assert(strlen(text) >= 20);
	/* an offset may lead just out of the years that are read */
	if (time_parse(slice_str(text), &again) == RC_OK)
		assert(again == us);
	day_format(time_day_vn(us), day);
	assert(strlen(day) == 10);
	assert(time_month(us) <= time_day_vn(us) && time_day_vn(us) - time_month(us) <= 31);
	return 0;
}
