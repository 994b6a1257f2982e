/* The names of the shared words, one table per enum. Leaves out any meaning: that is for the rooms. */
#include "base/words.h"

static bool word_index(const char *const *names, size_t n, struct slice s, size_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(s, slice_str(names[i]))) {
			*out = i;
			return true;
		}
	return false;
}

#define WORDS(word, names)                                            \
	const char *word##_name(enum word w)                          \
	{                                                             \
		return (size_t)w < ARRAY_LEN(names) ? names[w] : "?"; \
	}                                                             \
	bool word##_parse(struct slice s, enum word *out)             \
	{                                                             \
		size_t i;                                             \
		if (!word_index(names, ARRAY_LEN(names), s, &i))      \
			return false;                                 \
		*out = (enum word)i;                                  \
		return true;                                          \
	}

static const char *const dispositions[] = {
	"accepted", "rejected", "duplicate", "routed", "quarantined"};
static const char *const kinds[] = {"S", "V", "LD"};
static const char *const services[] = {"sms", "voice"};
static const char *const channels[] = {
	"sms156", "sms5656", "voice156", "portal", "app", "care", "authority", "network"};
static const char *const matches[] = {"unchecked", "yes", "no"};
static const char *const origins[] = {"unknown", "own", "other", "foreign"};
static const char *const classes[] = {"nuisance", "scam"};
static const char *const rungs[] = {"observe", "verify", "throttle", "bar", "bar_both", "recall"};
static const char *const labels[] = {"", "ham", "spam", "scam"};

WORDS(disposition, dispositions)
WORDS(kind, kinds)
WORDS(service, services)
WORDS(channel, channels)
WORDS(matched, matches)
WORDS(origin, origins)
WORDS(rung, rungs)
WORDS(label, labels)

const char *class_name(enum report_class c)
{
	return (size_t)c < ARRAY_LEN(classes) ? classes[c] : "?";
}

bool class_parse(struct slice s, enum report_class *out)
{
	size_t i;

	if (!word_index(classes, ARRAY_LEN(classes), s, &i))
		return false;
	*out = (enum report_class)i;
	return true;
}
