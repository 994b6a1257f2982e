/* The policy file (etc/policy.yaml): what is counted, what it weighs, what follows. Read whole or not at all, with every complaint.
 * Besides types and ranges it refuses what no policy may say: an automatic block without an independent leg, a short code or
 * brandname barred without a person. Leaves out when a policy becomes active. */
#include <stdio.h>
#include <stdlib.h>

#include "classifier/classifier.h"

enum field_kind { FIELD_REAL, FIELD_INT, FIELD_SPAN_S, FIELD_SPAN_S_REAL };

/* map NULL: a key of the file itself. */
struct field {
	const char *map, *key;
	enum field_kind kind;
	size_t at;
	double min, max;
	const char *usual; /* of a key that older policies do not have; NULL: it must be there */
};

#define AT(member) offsetof(struct policy, member)
#define YEAR_S (366.0 * 86400)

static const struct field fields[] = {
	{"text", "scam_at", FIELD_REAL, AT(text_scam_at), 0, 1, NULL},
	{"score", "half_life", FIELD_SPAN_S_REAL, AT(score.half_life_s), 60, YEAR_S, NULL},
	{"score", "bias", FIELD_REAL, AT(score.bias), -50, 0, NULL},
	{"score", "reporters", FIELD_REAL, AT(score.reporters), 0, 50, NULL},
	{"score", "scam", FIELD_REAL, AT(score.scam), 0, 50, NULL},
	{"score", "velocity", FIELD_REAL, AT(score.velocity), 0, 50, NULL},
	{"score", "spread", FIELD_REAL, AT(score.spread), 0, 50, NULL},
	{"score", "text", FIELD_REAL, AT(score.text), 0, 50, NULL},
	{"score", "claim", FIELD_REAL, AT(score.claim), 0, 50, NULL},
	{"score", "contact", FIELD_REAL, AT(score.contact), 0, 50, NULL},
	{"score", "campaign", FIELD_REAL, AT(score.campaign), 0, 50, "0.6"},
	{"score", "behaviour", FIELD_REAL, AT(score.behaviour), 0, 50, "0.8"},
	{"score", "poll", FIELD_REAL, AT(score.poll), 0, 50, "0.8"},
	{NULL, "window", FIELD_SPAN_S, AT(window_s), 3600, YEAR_S, NULL},
	{NULL, "late_after", FIELD_SPAN_S, AT(late_after_s), 3600, YEAR_S, NULL},
	{"legs", "contact_yes", FIELD_INT, AT(contact_yes), 2, 1000, NULL},
	{"spoofed_caller", "reporters", FIELD_INT, AT(spoofed_reporters), 1, 1000, NULL},
	{"spoofed_caller", "fewer_yes_than", FIELD_INT, AT(spoofed_fewer_yes), 1, 1000, NULL},
	{"clocks", "scam", FIELD_SPAN_S, AT(clock_s[CLASS_SCAM]), 60, YEAR_S, NULL},
	{"clocks", "nuisance", FIELD_SPAN_S, AT(clock_s[CLASS_NUISANCE]), 60, YEAR_S, NULL},
	{"caps", "per_hour", FIELD_INT, AT(cap_hour), 0, 1000000, NULL},
	{"caps", "per_day", FIELD_INT, AT(cap_day), 0, 10000000, NULL},
	{"caps", "growth_min", FIELD_INT, AT(growth_min), 0, 1000000, NULL},
	{"caps", "growth_share", FIELD_REAL, AT(growth_share), 0, 1, NULL},
	{"polls", "sample", FIELD_INT, AT(poll.sample), 0, 10000, NULL},
	{"polls", "answers", FIELD_INT, AT(poll.answers), 1, 10000, NULL},
	{"polls", "yes_share", FIELD_REAL, AT(poll.yes_share), 0.5, 1, NULL},
	{"polls", "apart", FIELD_SPAN_S, AT(poll.apart_s), 3600, YEAR_S, NULL},
	{"polls", "wait", FIELD_SPAN_S, AT(poll.wait_s), 60, YEAR_S, NULL},
	{"behaviour", "calls", FIELD_REAL, AT(cuts.calls), 1, 1e6, NULL},
	{"behaviour", "messages", FIELD_REAL, AT(cuts.messages), 1, 1e6, NULL},
	{"behaviour", "new_share", FIELD_REAL, AT(cuts.new_share), 0.01, 1, NULL},
	{"behaviour", "short_share", FIELD_REAL, AT(cuts.short_share), 0.01, 1, NULL},
	{"behaviour", "gap_share", FIELD_REAL, AT(cuts.gap_share), 0.01, 1, NULL},
	{"behaviour", "back_share", FIELD_REAL, AT(cuts.back_share), 0, 1, NULL},
	{"behaviour", "signs", FIELD_INT, AT(cuts.signs), 2, 4, NULL},
	{"behaviour", "registered", FIELD_REAL, AT(cuts.registered), 1, 10000, NULL},
	{"registration", "notices", FIELD_INT, AT(registration.notices), 1, 100, NULL},
	{"registration", "every", FIELD_SPAN_S, AT(registration.every_s), 60, YEAR_S, NULL},
	{"registration", "one_way_after", FIELD_SPAN_S, AT(registration.one_way_s), 60, YEAR_S,
		NULL},
	{"people", "confirmed_scam", FIELD_SPAN_S, AT(people.confirmed_s[CLASS_SCAM]), 3600,
		10 * YEAR_S, "180d"},
	{"people", "confirmed_nuisance", FIELD_SPAN_S, AT(people.confirmed_s[CLASS_NUISANCE]), 3600,
		10 * YEAR_S, "30d"},
	{"people", "appeal_automatic", FIELD_SPAN_S, AT(people.appeal_automatic_s), 3600, YEAR_S,
		"24h"},
	{"people", "appeal_confirmed", FIELD_SPAN_S, AT(people.appeal_confirmed_s), 3600, YEAR_S,
		"72h"},
	{"registration", "both_after", FIELD_SPAN_S, AT(registration.both_s), 60, YEAR_S, NULL},
};

/* What a file without the maps polls, behaviour, people and ladders.registration says. */
static void set_defaults(struct policy *p)
{
	p->poll.sample = 30;
	p->poll.answers = 10;
	p->poll.yes_share = 0.6;
	p->poll.apart_s = 7 * 86400;
	p->poll.wait_s = 2 * 86400;
	p->people.confirmed_s[CLASS_SCAM] = 180 * 86400;
	p->people.confirmed_s[CLASS_NUISANCE] = 30 * 86400;
	p->people.appeal_automatic_s = 24 * 3600;
	p->people.appeal_confirmed_s = 72 * 3600;
	p->cuts = (struct cutoffs){.calls = 100,
		.messages = 200,
		.new_share = 0.8,
		.short_share = 0.6,
		.gap_share = 0.5,
		.back_share = 0.05,
		.signs = 2,
		.registered = 20};
	p->registration.notices = 5;
	p->registration.every_s = 86400;
	p->registration.one_way_s = 15 * 86400;
	p->registration.both_s = 30 * 86400;
	p->registration.basis = "Decree 49/2017/ND-CP Art. 1(7)e";
}

/* What every reader below needs. */
struct reading {
	const char *file;
	struct complaints *c;
	struct policy *p;
};

static const struct yaml *need_map(const struct reading *r, const struct yaml *in, const char *key)
{
	const struct yaml *n = yaml_need(in, r->file, key, r->c);

	if (n != NULL && n->kind != YAML_MAP) {
		complain(r->c, r->file, n->line, "\"%s\" must be a map", key);
		return NULL;
	}
	return n;
}

static void read_field(const struct reading *r, const struct yaml *map, const struct field *f)
{
	const struct yaml usual = {
		.kind = YAML_SCALAR, .value = slice_str(f->usual != NULL ? f->usual : "")};
	const struct yaml *n = yaml_get(map, f->key);
	char *at = (char *)r->p + f->at;
	int64_t v;

	if (n == NULL)
		n = f->usual != NULL ? &usual : yaml_need(map, r->file, f->key, r->c);
	if (n == NULL)
		return;
	switch (f->kind) {
	case FIELD_REAL:
		(void)yaml_real(n, r->file, f->min, f->max, (double *)(void *)at, r->c);
		return;
	case FIELD_INT:
		if (yaml_int(n, r->file, (int64_t)f->min, (int64_t)f->max, &v, r->c))
			*(int *)(void *)at = (int)v;
		return;
	case FIELD_SPAN_S:
	case FIELD_SPAN_S_REAL:
		if (!yaml_span_s(n, r->file, &v, r->c))
			return;
		if ((double)v < f->min || (double)v > f->max)
			complain(r->c, r->file, n->line, "\"%s\" must be from %.0f s to %.0f s",
				f->key, f->min, f->max);
		else if (f->kind == FIELD_SPAN_S)
			*(int64_t *)(void *)at = v;
		else
			*(double *)(void *)at = (double)v;
		return;
	}
}

/* All fields of one map, and no other keys. map_key NULL: the fields of the file itself. */
static void read_fields(const struct reading *r, const struct yaml *root, const char *map_key)
{
	const struct yaml *map = map_key != NULL ? need_map(r, root, map_key) : root;
	const char *keys[ARRAY_LEN(fields) + 2];
	size_t n = 0;

	if (map == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *of = fields[i].map;

		if (of != map_key && (of == NULL || map_key == NULL || strcmp(of, map_key) != 0))
			continue;
		keys[n++] = fields[i].key;
		read_field(r, map, &fields[i]);
	}
	if (map_key != NULL && strcmp(map_key, "registration") == 0)
		keys[n++] = "basis";
	if (map_key != NULL && strcmp(map_key, "people") == 0)
		keys[n++] = "appeal_time";
	keys[n] = NULL;
	if (map_key != NULL)
		(void)yaml_only(map, r->file, keys, r->c);
}

/* The same of a map that may be missing. */
static void read_optional(const struct reading *r, const struct yaml *in, const char *map_key)
{
	if (yaml_get(in, map_key) != NULL)
		read_fields(r, in, map_key);
}

static void read_terms(const struct reading *r, const struct yaml *n, struct ladder_rung *out)
{
	if (n->kind != YAML_LIST || n->count == 0 || n->count > ARRAY_LEN(out->terms_s)) {
		complain(r->c, r->file, n->line, "\"terms\" must be a list of 1 to %zu spans",
			ARRAY_LEN(out->terms_s));
		return;
	}
	for (const struct yaml *t = n->child; t != NULL; t = t->next) {
		int64_t s;

		if (!yaml_span_s(t, r->file, &s, r->c))
			continue;
		if (s < 60 || (double)s > YEAR_S)
			complain(r->c, r->file, t->line, "a term must be from 60s to 366d");
		out->terms_s[out->terms++] = s;
	}
}

/* ---- rungs ---- */

#define EVERYBODY ((1u << ATTRIBUTIONS) - 1)
#define BOTH_SERVICES ((1u << SERVICES) - 1)

/* There is a sender, a service and a time that both are for. */
static bool meet(const struct ladder_rung *a, const struct ladder_rung *b)
{
	return (a->who & b->who) != 0 && (a->services & b->services) != 0 &&
		(a->to_us == 0 || b->from_us < a->to_us) &&
		(b->to_us == 0 || a->from_us < b->to_us);
}

static void check_order(
	const struct reading *r, int line, const struct ladder *l, const struct ladder_rung *rung)
{
	for (size_t i = 0; i < l->rungs; i++) {
		const struct ladder_rung *before = &l->rung[i];

		if (!meet(before, rung))
			continue;
		if (rung->rung <= before->rung)
			complain(r->c, r->file, line,
				"rungs must ascend: %s does not come after %s",
				rung_name(rung->rung), rung_name(before->rung));
		if (rung->reporters < before->reporters)
			complain(
				r->c, r->file, line, "a higher rung must not need fewer reporters");
	}
}

/* What no policy may say of a rung, whatever its numbers. */
static void check_rung(
	const struct reading *r, int line, const struct ladder *l, const struct ladder_rung *rung)
{
	if (l->rungs == 0 &&
		(rung->rung != RUNG_OBSERVE || rung->who != EVERYBODY ||
			rung->services != BOTH_SERVICES || rung->from_us != 0 || rung->to_us != 0))
		complain(r->c, r->file, line, "the first rung must be observe, for everybody");
	check_order(r, line, l, rung);
	if (rung->terms > 0 && rung->rung != RUNG_THROTTLE && rung->rung != RUNG_BAR)
		complain(r->c, r->file, line, "%s never acts by itself: no \"terms\" here",
			rung_name(rung->rung));
	if (rung->terms > 0 && (!rung->leg || rung->reporters < 2))
		complain(r->c, r->file, line,
			"a rung that acts needs \"leg: true\" and two reporters or more: reports "
			"alone never block");
	if (rung->terms > 0 && rung->basis == NULL)
		complain(r->c, r->file, line, "a rung that acts needs a \"basis\"");
	if (rung->rung >= RUNG_BAR_BOTH && rung->approval == APPROVAL_AUTO)
		complain(r->c, r->file, line, "%s needs \"approval: person\" or two",
			rung_name(rung->rung));
	if (rung->to_us != 0 && rung->to_us <= rung->from_us)
		complain(r->c, r->file, line, "\"until\" must be after \"from\"");
	if (rung->action != NULL && rung->rung != RUNG_BAR)
		complain(r->c, r->file, line, "only a bar has an \"action\" of its own");
	if (rung->action != NULL && strcmp(rung->action, "person") != 0 &&
		(rung->who & (1u << ATTR_SHORT | 1u << ATTR_BRANDNAME)) != 0)
		complain(r->c, r->file, line,
			"a short code or brandname is never barred without a person: say \"for\"");
}

/* Which of `words` the scalar is; -1 after a complaint. */
static int word_of(
	const struct reading *r, const struct yaml *n, const char *key, const char *const *words)
{
	for (int w = 0; words[w] != NULL; w++)
		if (n->kind == YAML_SCALAR && slice_eq(n->value, slice_str(words[w])))
			return w;
	complain(r->c, r->file, n->line, "\"%s\" has a word that it cannot have", key);
	return -1;
}

/* A list of attributions, or one. */
static void read_who(const struct reading *r, const struct yaml *n, unsigned *out)
{
	const char *words[ATTRIBUTIONS + 1] = {NULL};
	int w;

	for (int i = 0; i < ATTRIBUTIONS; i++)
		words[i] = attribution_name((enum attribution)i);
	*out = 0;
	if (n->kind == YAML_SCALAR) {
		w = word_of(r, n, "for", words);
		*out = w >= 0 ? 1u << w : EVERYBODY;
		return;
	}
	for (const struct yaml *x = n->child; x != NULL; x = x->next)
		if ((w = word_of(r, x, "for", words)) >= 0)
			*out |= 1u << w;
}

/* A date, from its beginning in Vietnam, or an RFC 3339 time. */
static void read_when(const struct reading *r, const struct yaml *n, const char *key, int64_t *out)
{
	char full[] = "YYYY-MM-DDT00:00:00+07:00";
	struct slice s = n->value;

	if (n->kind == YAML_SCALAR && s.len == 10) {
		memcpy(full, s.ptr, 10);
		s = slice_str(full);
	}
	if (n->kind != YAML_SCALAR || time_parse(s, out) != RC_OK)
		complain(r->c, r->file, n->line, "\"%s\" is neither a date nor an RFC 3339 time",
			key);
}

static void read_rung_more(const struct reading *r, const struct yaml *n, struct ladder_rung *rung)
{
	static const char *const services[] = {"sms", "voice", "both", NULL};
	static const char *const approvals[] = {"auto", "person", "two", NULL};
	static const char *const actions[] = {"bar_in", "bar_out", "person", NULL};
	const struct yaml *x;
	int64_t repeats;
	int w;

	if ((x = yaml_get(n, "for")) != NULL)
		read_who(r, x, &rung->who);
	if ((x = yaml_get(n, "service")) != NULL && (w = word_of(r, x, "service", services)) >= 0)
		rung->services = w == 2 ? BOTH_SERVICES : 1u << w;
	if ((x = yaml_get(n, "approval")) != NULL &&
		(w = word_of(r, x, "approval", approvals)) >= 0)
		rung->approval = (enum approval)w;
	if ((x = yaml_get(n, "action")) != NULL && (w = word_of(r, x, "action", actions)) >= 0)
		rung->action = actions[w];
	if ((x = yaml_get(n, "from")) != NULL)
		read_when(r, x, "from", &rung->from_us);
	if ((x = yaml_get(n, "until")) != NULL)
		read_when(r, x, "until", &rung->to_us);
	if ((x = yaml_get(n, "repeats")) != NULL && yaml_int(x, r->file, 0, 1000, &repeats, r->c))
		rung->repeats = (int)repeats;
}

static void read_rung(const struct reading *r, const struct yaml *n, struct ladder *l)
{
	static const char *const keys[] = {"rung", "reporters", "leg", "terms", "basis", "for",
		"service", "from", "until", "repeats", "approval", "action", NULL};
	struct ladder_rung rung = {.who = EVERYBODY, .services = BOTH_SERVICES};
	const struct yaml *name = yaml_need(n, r->file, "rung", r->c);
	const struct yaml *leg = yaml_get(n, "leg"), *terms = yaml_get(n, "terms"),
			  *basis = yaml_get(n, "basis");
	int64_t reporters;

	if (!yaml_only(n, r->file, keys, r->c) || name == NULL)
		return;
	if (name->kind != YAML_SCALAR || !rung_parse(name->value, &rung.rung)) {
		complain(r->c, r->file, name->line,
			"\"rung\" must be observe, verify, throttle, bar, bar_both or recall");
		return;
	}
	if (yaml_int(yaml_need(n, r->file, "reporters", r->c), r->file, 1, 1000000, &reporters,
		    r->c))
		rung.reporters = (int)reporters;
	if (leg != NULL)
		(void)yaml_bool(leg, r->file, &rung.leg, r->c);
	if (terms != NULL)
		read_terms(r, terms, &rung);
	if (basis != NULL && basis->kind == YAML_SCALAR)
		rung.basis = basis->value.ptr;
	if (rung.rung >= RUNG_BAR_BOTH)
		rung.approval = APPROVAL_PERSON;
	read_rung_more(r, n, &rung);
	check_rung(r, n->line, l, &rung);
	l->rung[l->rungs++] = rung;
}

void policy_ladder(const struct policy *p, enum report_class c, enum attribution a, enum service s,
	struct ladder *out)
{
	const struct ladder *l = &p->ladder[c];

	*out = (struct ladder){.good_time_s = l->good_time_s};
	for (size_t i = 0; i < l->rungs; i++)
		if ((l->rung[i].who & 1u << a) != 0 && (l->rung[i].services & 1u << s) != 0)
			out->rung[out->rungs++] = l->rung[i];
}

static void read_ladder(const struct reading *r, const struct yaml *abuse, enum report_class c)
{
	const struct yaml *list = yaml_need(abuse, r->file, class_name(c), r->c);
	struct ladder *l = &r->p->ladder[c];

	if (list == NULL)
		return;
	if (list->kind != YAML_LIST || list->count == 0 || list->count > ARRAY_LEN(l->rung)) {
		complain(r->c, r->file, list->line, "a ladder must be a list of 1 to %zu rungs",
			ARRAY_LEN(l->rung));
		return;
	}
	for (const struct yaml *n = list->child; n != NULL; n = n->next) {
		if (n->kind == YAML_MAP)
			read_rung(r, n, l);
		else
			complain(r->c, r->file, n->line, "a rung must be a map");
	}
}

static void read_ladders(const struct reading *r, const struct yaml *root)
{
	static const char *const ladders[] = {"abuse", "registration", "good_time", NULL};
	static const char *const classes[] = {"scam", "nuisance", NULL};
	const struct yaml *map = need_map(r, root, "ladders");
	const struct yaml *abuse = map != NULL ? need_map(r, map, "abuse") : NULL;

	if (abuse == NULL)
		return;
	(void)yaml_only(map, r->file, ladders, r->c);
	(void)yaml_only(abuse, r->file, classes, r->c);
	read_ladder(r, abuse, CLASS_SCAM);
	read_ladder(r, abuse, CLASS_NUISANCE);
	const struct yaml *good = yaml_get(map, "good_time");
	int64_t good_s;

	if (good != NULL && yaml_span_s(good, r->file, &good_s, r->c)) {
		if (good_s < 86400 || (double)good_s > 10 * YEAR_S)
			complain(r->c, r->file, good->line,
				"\"good_time\" must be from 1d to ten years");
		for (int c = 0; c < CLASSES; c++)
			r->p->ladder[c].good_time_s = good_s;
	}
	read_optional(r, map, "registration");
	const struct yaml *reg = yaml_get(map, "registration");
	const struct yaml *basis = reg != NULL ? yaml_get(reg, "basis") : NULL;

	if (basis != NULL && basis->kind == YAML_SCALAR)
		r->p->registration.basis = basis->value.ptr;
	if (r->p->registration.both_s <= r->p->registration.one_way_s)
		complain(r->c, r->file, reg != NULL ? reg->line : map->line,
			"\"both_after\" must be longer than \"one_way_after\"");
}

static void read_actions(const struct reading *r, const struct yaml *root)
{
	static const char *const words[] = {"bar_out", "bar_in", "person"};
	const struct yaml *map = need_map(r, root, "actions");
	const char *keys[ARRAY_LEN(r->p->action) + 1] = {NULL};

	if (map == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(r->p->action); i++) {
		enum attribution a = (enum attribution)i;
		const struct yaml *n;
		size_t w = 0;

		keys[i] = attribution_name(a);
		n = yaml_need(map, r->file, keys[i], r->c);
		if (n == NULL)
			continue;
		while (w < ARRAY_LEN(words) &&
			!(n->kind == YAML_SCALAR && slice_eq(n->value, slice_str(words[w]))))
			w++;
		if (w == ARRAY_LEN(words))
			complain(r->c, r->file, n->line, "\"%s\" must be bar_out, bar_in or person",
				keys[i]);
		else if ((a == ATTR_SHORT || a == ATTR_BRANDNAME) && w != 2)
			complain(r->c, r->file, n->line,
				"\"%s\" must be person: it is never barred without one", keys[i]);
		else
			(void)snprintf(r->p->action[i], sizeof(r->p->action[i]), "%s", words[w]);
	}
	(void)yaml_only(map, r->file, keys, r->c);
}

/* Terms and deadlines of what people decide. */
static void read_people(const struct reading *r, const struct yaml *root)
{
	static const char *const words[] = {"clock", "working", NULL};
	const struct yaml *map = yaml_get(root, "people");
	const struct yaml *n = map != NULL ? yaml_get(map, "appeal_time") : NULL;

	read_optional(r, root, "people");
	if (n != NULL)
		r->p->people.appeal_working = word_of(r, n, "appeal_time", words) == 1;
}

static void read_version(const struct reading *r, const struct yaml *root)
{
	const struct yaml *n = yaml_need(root, r->file, "policy", r->c);

	if (n == NULL)
		return;
	if (n->kind != YAML_SCALAR || n->value.len == 0 || n->value.len >= sizeof(r->p->version))
		complain(r->c, r->file, n->line, "\"policy\" must be a name of 1 to %zu bytes",
			sizeof(r->p->version) - 1);
	else
		memcpy(r->p->version, n->value.ptr, n->value.len + 1);
}

static void read_categories(const struct reading *r, const struct yaml *root)
{
	const struct yaml *list = yaml_need(root, r->file, "scam_categories", r->c);

	if (list == NULL)
		return;
	if (list->kind != YAML_LIST || list->count > ARRAY_LEN(r->p->scam_category)) {
		complain(r->c, r->file, list->line,
			"\"scam_categories\" must be a list of at most %zu words",
			ARRAY_LEN(r->p->scam_category));
		return;
	}
	for (const struct yaml *n = list->child; n != NULL; n = n->next) {
		if (n->kind == YAML_SCALAR && n->value.len > 0)
			r->p->scam_category[r->p->scam_categories++] = n->value;
		else
			complain(r->c, r->file, n->line, "a category must be a word");
	}
}

static void read_policy(const struct reading *r, const struct yaml *root)
{
	static const char *const keys[] = {"policy", "scam_categories", "text", "score", "window",
		"late_after", "legs", "spoofed_caller", "clocks", "ladders", "actions", "caps",
		"polls", "behaviour", "people", NULL};
	static const char *const maps[] = {
		NULL, "text", "score", "legs", "spoofed_caller", "clocks", "caps"};

	if (root->kind != YAML_MAP) {
		complain(r->c, r->file, root->line, "the file must be a map");
		return;
	}
	(void)yaml_only(root, r->file, keys, r->c);
	read_version(r, root);
	read_categories(r, root);
	for (size_t i = 0; i < ARRAY_LEN(maps); i++)
		read_fields(r, root, maps[i]);
	read_optional(r, root, "polls");
	read_people(r, root);
	read_optional(r, root, "behaviour");
	r->p->cuts.poll_answers = r->p->poll.answers;
	r->p->cuts.poll_share = r->p->poll.yes_share;
	read_ladders(r, root);
	read_actions(r, root);
}

const char *rung_action(const struct policy *p, const struct ladder_rung *r, enum attribution a)
{
	const char *bar = r->action != NULL ? r->action : p->action[a];

	if (r->approval != APPROVAL_AUTO)
		return "person";
	return r->rung == RUNG_THROTTLE && strcmp(bar, "person") != 0 ? "throttle" : bar;
}

enum rc policy_load(const char *path, struct complaints *c, struct policy **out, struct err *e)
{
	OWN(policy_free) struct policy *p = calloc(1, sizeof(*p));
	BUF_OWN struct buf text;
	size_t before = c->count;
	enum rc rc;

	buf_init(&text, BOUND_CONFIG_FILE);
	if (p == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	set_defaults(p);
	rc = file_read(path, false, &text, e);
	if (rc != RC_OK)
		return rc;
	rc = yaml_parse(path, buf_slice(&text), &p->doc, e);
	if (rc == RC_INVALID)
		complain_text(c, e != NULL ? e->text : path);
	if (rc != RC_OK)
		return rc;
	read_policy(&(struct reading){.file = path, .c = c, .p = p}, yaml_root(p->doc));
	if (c->count != before)
		return err_set(e, RC_INVALID, "%s: %zu error%s", path, c->count - before,
			c->count - before == 1 ? "" : "s");
	sha256(buf_slice(&text), p->hash);
	*out = TAKE(p);
	return RC_OK;
}

void policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	yaml_free(p->doc);
	free(p);
}

bool policy_scam_category(const struct policy *p, struct slice category)
{
	for (size_t i = 0; i < p->scam_categories; i++)
		if (slice_eq_nocase(p->scam_category[i], category))
			return true;
	return false;
}
