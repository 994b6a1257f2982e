/* Names of evidence, and what a rule with `evidence` instead of a pattern asks of it. */
#include "classifier/rules.h"

static const char *const kinds[] = {[EVIDENCE_DOMAIN] = "domain",
	[EVIDENCE_URL] = "url",
	[EVIDENCE_PHONE] = "phone",
	[EVIDENCE_ACCOUNT] = "account",
	[EVIDENCE_HANDLE] = "handle"};
static const struct {
	unsigned flag;
	const char *name;
	enum wanted_fact fact;
} flags[] = {{EVIDENCE_SHORTENER, "shortener", FACT_SHORTENER},
	{EVIDENCE_LOOKALIKE, "lookalike", FACT_LOOKALIKE},
	{EVIDENCE_ABUSED_TLD, "abused_tld", FACT_ABUSED_TLD},
	{EVIDENCE_HIDDEN, "hidden", FACT_HIDDEN}, {EVIDENCE_IP, "ip_address", FACT_IP}};

const char *evidence_name(enum evidence_kind k)
{
	return kinds[k];
}

const char *evidence_flag(unsigned set, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if ((set & flags[i].flag) != 0 && n-- == 0)
			return flags[i].name;
	return NULL;
}

bool fact_parse(struct slice s, enum wanted_fact *out)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_eq(s, slice_str(kinds[i]))) {
			*out = FACT_DOMAIN + (enum wanted_fact)i;
			return true;
		}
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (slice_eq(s, slice_str(flags[i].name))) {
			*out = flags[i].fact;
			return true;
		}
	return false;
}

const struct evidence *fact_find(enum wanted_fact f, const struct evidence *e, size_t n)
{
	unsigned flag = 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		flag |= flags[i].fact == f ? flags[i].flag : 0;
	for (size_t i = 0; i < n; i++)
		if (flag != 0 ? (e[i].flags & flag) != 0
			      : e[i].kind == (enum evidence_kind)(f - FACT_DOMAIN))
			return &e[i];
	return NULL;
}
