/* Any bytes as a sender: the value fits and ends, is what its scope says, parses back to itself, and a refusal has a reason. */
#include <assert.h>
#include <stdlib.h>

#include "base/clk.h"
#include "base/sender.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct plan *the_plan(void)
{
	static struct plan *plan;
	struct complaints c;
	struct err e;

	if (plan != NULL)
		return plan;
	complaints_init(&c);
	if (plan_load(SOURCE_DIR "/etc/numbers", "viettel", &c, &plan, &e) != RC_OK)
		abort();
	complaints_done(&c);
	return plan;
}

static void well_formed(const struct sender *s)
{
	size_t len = strnlen(s->value, SENDER_TEXT);

	assert(len < SENDER_TEXT && (len == 0) == (s->scope == SCOPE_NONE));
	assert(slice_utf8_valid(slice_of(s->value, len)));
	for (size_t i = 0; i < len; i++) {
		assert((unsigned char)s->value[i] >= ' ' && s->value[i] != '|');
		assert(s->scope == SCOPE_NAME || (s->value[i] >= '0' && s->value[i] <= '9'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t when[] = {0, INT64_C(1788142502) * US_PER_S};
	const struct plan *p = the_plan();
	struct sender s, again;

	for (size_t i = 0; i < ARRAY_LEN(when); i++) {
		const char *why, *carrier;
		char back[SENDER_TEXT + 1];
		enum sender_found f =
			sender_parse(p, slice_of((const char *)data, size), when[i], &s, &why);

		well_formed(&s);
		assert((s.scope == SCOPE_NONE) == (f == SENDER_WITHHELD || f == SENDER_INVALID));
		assert(f != SENDER_INVALID || why[0] != '\0');
		assert(f != SENDER_OLD || i == 1);
		(void)sender_attribution(p, &s, &carrier, NULL);
		assert(sender_class(p, &s) != NUM_UNKNOWN || s.scope == SCOPE_NONE);
		if (s.scope == SCOPE_NONE)
			continue;
		back[0] = '+';
		memcpy(back + 1, s.value, SENDER_TEXT);
		f = sender_parse(p, slice_str(s.scope == SCOPE_NUMBER ? back : s.value), when[1],
			&again, &why);
		assert(f == SENDER_OK && again.scope == s.scope &&
			strcmp(again.value, s.value) == 0);
	}
	(void)msisdn_parse(p, slice_of((const char *)data, size), &s);
	return 0;
}
