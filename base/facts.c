/* The names of the topics beside the reports, and what a contact says of a report's weight. */
#include "base/facts.h"

const char *feed_name(enum feed f)
{
	static const char *const names[FEED_COUNT] = {"complaints", "contacts", "activity",
		"poll_answers", "provisioning_results", "notice_results", "subscriptions"};

	return (size_t)f < FEED_COUNT ? names[f] : "?";
}

static bool domestic(const struct sender *s)
{
	return s->scope == SCOPE_NUMBER && s->value[0] == '8' && s->value[1] == '4';
}

const char *contact_reason(enum matched m, enum origin o, const struct sender *about, bool *spoofed)
{
	bool foreign_trunk = o == ORIGIN_FOREIGN && domestic(about);

	*spoofed = about->scope != SCOPE_NONE && (m == MATCHED_NO || foreign_trunk);
	return m == MATCHED_NO ? "no_contact" : foreign_trunk ? "spoofed" : "counted";
}
