/* The life of a case as a table: which event is permitted in which state, where it leads, who may, and what is done on the way. Decisions look
 * their step up here and docs/cases.md is drawn from here. Leaves out how a step is carried out. */
#include "cases/cases.h"

#define ANALYST "analyst|supervisor|admin"
#define SUPERVISOR "supervisor|admin"
#define CARE "care|analyst|supervisor|admin"
#define WAITING (LIFE_OPEN | LIFE_VERIFYING | LIFE_HELD)
#define LIVE (WAITING | LIFE_ENFORCED)

const struct life_step life_steps[] = {
	/* the machine */
	{LIVE | LIFE_APPEALED, "report", LIFE_SAME, "", "machine", false, "",
		"the report joins, votes and score are counted anew"},
	{LIFE_CLOSED, "report", LIFE_OPEN, "", "machine", false, "",
		"the case reopens with its history, its clock starts again"},
	{LIFE_OPEN | LIFE_HELD | LIFE_ENFORCED, "climb", LIFE_VERIFYING, "", "machine", false, "",
		"a rung above observe, nothing to be listed"},
	{LIFE_VERIFYING | LIFE_HELD | LIFE_ENFORCED, "fall", LIFE_OPEN, "", "machine", false, "",
		"the ladder is back at observe"},
	{LIFE_OPEN | LIFE_VERIFYING | LIFE_ENFORCED, "hold", LIFE_HELD, "", "machine", false, "",
		"a wish waits for people"},
	{WAITING, "admit", LIFE_ENFORCED, "", "machine", false, "", "the wish is in a release"},
	{LIFE_ENFORCED, "expire", LIFE_CLOSED, "expired", "keeper", false, "",
		"the block's time is over; of a scam case only after a person had decided"},
	{LIFE_ENFORCED, "recheck", LIFE_VERIFYING, "", "keeper", false, "",
		"the block of a scam case is over and nobody has decided: people look"},
	{LIFE_OPEN | LIFE_VERIFYING, "quiet", LIFE_CLOSED, "no_action", "keeper", true, "",
		"nuisance only: after its clock, without a report for the quiet time"},
	{LIFE_APPEALED, "appeal_lapse", LIFE_CLOSED, "lifted", "keeper", true, "",
		"as appeal_grant, because nobody decided in time"},
	/* people */
	{LIVE, "uphold", LIFE_ENFORCED, "", ANALYST, true, "right",
		"what the machine wished for is wished for by a person, for that person's term"},
	{LIVE, "bar", LIFE_ENFORCED, "", ANALYST, true, "right", "a wish for a bar"},
	{LIVE, "throttle", LIFE_ENFORCED, "", ANALYST, true, "right", "a wish for a throttle"},
	{LIVE, "label", LIFE_ENFORCED, "", ANALYST, true, "right", "a wish for a label"},
	{LIVE, "lift", LIFE_CLOSED, "lifted", ANALYST, true, "wrong",
		"wishes end, a floor under earlier votes, reports hear `reversed`"},
	{WAITING, "no_action", LIFE_CLOSED, "no_action", ANALYST, true, "wrong",
		"wishes end, a floor under earlier votes, reports hear `no_action`"},
	{WAITING, "refer", LIFE_CLOSED, "referred", ANALYST "|liaison", true, "right",
		"a message on the topic referrals"},
	{LIFE_ENFORCED, "refer", LIFE_ENFORCED, "", ANALYST "|liaison", true, "right",
		"a message on the topic referrals; the block stays"},
	{LIFE_CLOSED, "reopen", LIFE_OPEN, "", ANALYST, false, "", "the clock starts again"},
	{LIFE_ENFORCED, "appeal", LIFE_APPEALED, "", CARE, false, "",
		"a deadline of 24 h, or 72 h when a person had confirmed the block"},
	{LIFE_APPEALED, "appeal_reject", LIFE_ENFORCED, "", SUPERVISOR, true, "right",
		"the block stays"},
	{LIFE_APPEALED, "appeal_grant", LIFE_CLOSED, "lifted", SUPERVISOR, true, "wrong",
		"wishes end, a floor under earlier votes, reports hear `reversed`"},
	{LIVE, "merge", LIFE_CLOSED, "merged", SUPERVISOR, false, "",
		"reports are shown with the other case; blocks stay"},
	{LIFE_CLOSED, "split", LIFE_FORMER, "", SUPERVISOR, false, "",
		"of a merged case: as it was before"},
	{LIVE | LIFE_APPEALED | LIFE_CLOSED, "assign", LIFE_SAME, "", ANALYST "|liaison", false, "",
		"somebody takes it"},
	{LIVE | LIFE_APPEALED | LIFE_CLOSED, "note", LIFE_SAME, "", ANALYST "|liaison", false, "",
		"a note is kept"},
};
const size_t life_steps_count = ARRAY_LEN(life_steps);

static const struct {
	enum life_state state;
	const char *name;
} names[] = {{LIFE_OPEN, "open"}, {LIFE_VERIFYING, "verifying"}, {LIFE_HELD, "held"},
	{LIFE_ENFORCED, "enforced"}, {LIFE_APPEALED, "appealed"}, {LIFE_CLOSED, "closed"}};

const char *life_name(enum life_state s)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].state == s)
			return names[i].name;
	return s == LIFE_SAME ? "as it was" : "as before";
}

unsigned life_parse(struct slice s)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_eq(s, slice_str(names[i].name)))
			return names[i].state;
	return 0;
}

const struct life_step *life_find(enum life_state from, struct slice event)
{
	for (size_t i = 0; i < life_steps_count; i++)
		if ((life_steps[i].from & from) != 0 &&
			slice_eq(event, slice_str(life_steps[i].event)))
			return &life_steps[i];
	return NULL;
}

bool life_permits(enum life_state from, enum life_state to)
{
	for (size_t i = 0; i < life_steps_count; i++) {
		const struct life_step *s = &life_steps[i];

		if ((s->from & from) == 0)
			continue;
		if (s->to == to || (s->to == LIFE_SAME && from == to) ||
			(s->to == LIFE_FORMER && to != LIFE_CLOSED && to != LIFE_APPEALED))
			return true;
	}
	return false;
}

/* ---- drawn ---- */

static void draw_from(unsigned from, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if ((from & names[i].state) != 0) {
			buf_fmt(out, "%s%s", any ? ", " : "", names[i].name);
			any = true;
		}
}

static void draw_who(const char *roles, struct buf *out)
{
	struct slice rest = slice_str(roles), one;
	bool any = false;

	while (slice_cut(&rest, '|', &one)) {
		buf_fmt(out, "%s%.*s", any ? ", " : "", (int)one.len, one.ptr);
		any = true;
	}
}

static void draw_table(struct buf *out)
{
	buf_fmt(out,
		"| event | in | leads to | who | clock | on the way |\n"
		"|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < life_steps_count; i++) {
		const struct life_step *s = &life_steps[i];

		buf_fmt(out, "| %s | ", s->event);
		draw_from(s->from, out);
		buf_fmt(out, " | %s%s%s | ", life_name(s->to), *s->outcome != '\0' ? ": " : "",
			s->outcome);
		draw_who(s->who, out);
		buf_fmt(out, " | %s | %s |\n", s->stops ? "stops" : "", s->entry);
	}
}

/* The events between two states, once; false: there are none. */
static bool draw_arrow(enum life_state from, enum life_state to, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < life_steps_count; i++) {
		if ((life_steps[i].from & from) == 0 || life_steps[i].to != to || from == to)
			continue;
		if (any)
			buf_fmt(out, ", %s", life_steps[i].event);
		else
			buf_fmt(out, "    %s --> %s: %s", life_name(from), life_name(to),
				life_steps[i].event);
		any = true;
	}
	if (any)
		buf_byte(out, '\n');
	return any;
}

void life_draw(struct buf *out)
{
	draw_table(out);
	buf_fmt(out, "\n```mermaid\nstateDiagram-v2\n    [*] --> open: report\n");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		for (size_t j = 0; j < ARRAY_LEN(names); j++)
			(void)draw_arrow(names[i].state, names[j].state, out);
	buf_fmt(out, "```\n");
}
