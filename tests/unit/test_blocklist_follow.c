/* What a followed list becomes by changes: against a list that is made anew each time, over random changes; and what does not fit, which leaves
 * everything as it was. */
#include <stdio.h>

#include "blocklist/follow.h"
#include "tests/unit/check.h"

#define SENDERS 40
#define ROUNDS 400

static uint64_t seed = 20261122;

static unsigned draw(unsigned below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % below;
}

/* Names with bars, so that one sender's key begins with another's. */
static struct entry entry_of(unsigned sender, unsigned form, char room[SENDER_TEXT])
{
	static const char *const actions[] = {"bar", "throttle", "label"};

	(void)snprintf(room, SENDER_TEXT, sender % 3 == 0 ? "84912%06u" : "a|sms|%u", sender / 3);
	if (sender % 3 == 1)
		(void)snprintf(room, SENDER_TEXT, "a");
	return (struct entry){.scope = sender % 3 == 0 ? SCOPE_NUMBER : SCOPE_NAME,
		.value = room,
		.service = sender % 2 == 0 ? SERVICE_SMS : SERVICE_VOICE,
		.action = actions[form % 3],
		.case_id = "c-0000000000001",
		.until_s = (int64_t)(form / 3),
		.basis = ""};
}

static bool same_lists(const struct follow_list *a, const struct follow_list *b)
{
	bool same = a->n == b->n && a->mark.count == b->mark.count &&
		digest_same(&a->mark.digest, &b->mark.digest);

	for (size_t i = 0; same && i < a->n; i++)
		same = strcmp(a->lines[i], b->lines[i]) == 0;
	return same;
}

/* form 0: not listed, else its form + 1. */
static bool build(const unsigned form[SENDERS], struct follow_list *out)
{
	char room[SENDER_TEXT];
	struct err e = {0};
	bool ok = true;

	for (unsigned i = 0; i < SENDERS && ok; i++) {
		if (form[i] == 0)
			continue;
		struct entry one = entry_of(i, form[i] - 1, room);
		ok = follow_list_add(out, &one, &e) == RC_OK;
	}
	return ok && follow_list_sort(out, &e) == RC_OK;
}

/* Senders 1, 4, 7 … of one service would all be called "a". */
static bool twice(unsigned sender)
{
	return sender % 3 == 1 && sender > 4;
}

static void test_random(void)
{
	FOLLOW_LIST_OWN struct follow_list held = {0};
	unsigned form[SENDERS] = {0};
	char room[SENDER_TEXT];
	struct err e = {0};

	for (int round = 0; round < ROUNDS; round++) {
		FOLLOW_EDIT_OWN struct follow_edit edit = {0};
		FOLLOW_LIST_OWN struct follow_list want = {0};

		for (unsigned n = draw(30); n > 0; n--) {
			unsigned i = draw(SENDERS);
			if (twice(i))
				continue;
			if (form[i] != 0) {
				struct entry old = entry_of(i, form[i] - 1, room);
				CHECK_INT(follow_edit_add(&edit, &old, false, &e), RC_OK);
			}
			form[i] = draw(3) == 0 ? 0 : draw(9) + 1;
			if (form[i] != 0) {
				struct entry fresh = entry_of(i, form[i] - 1, room);
				CHECK_INT(follow_edit_add(&edit, &fresh, true, &e), RC_OK);
			}
		}
		CHECK_INT(follow_edit_make(&edit, &held, &e), RC_OK);
		follow_edit_swap(&edit, &held);
		CHECK(build(form, &want));
		CHECK(same_lists(&held, &want));
	}
}

static void test_what_does_not_fit(void)
{
	FOLLOW_LIST_OWN struct follow_list held = {0}, want = {0};
	unsigned form[SENDERS] = {[0] = 1, [3] = 5};
	char room[SENDER_TEXT];
	struct err e = {0};

	CHECK(build(form, &held));
	CHECK(build(form, &want));
	for (int what = 0; what < 3; what++) {
		FOLLOW_EDIT_OWN struct follow_edit edit = {0};
		/* one that fits, and one that is there, is another's, or is not there */
		struct entry good = entry_of(6, 0, room);
		CHECK_INT(follow_edit_add(&edit, &good, true, &e), RC_OK);
		struct entry bad = entry_of(what == 2 ? 9 : 0, what == 1 ? 2 : 0, room);
		CHECK_INT(follow_edit_add(&edit, &bad, what == 0, &e), RC_OK);
		CHECK_INT(follow_edit_make(&edit, &held, &e), RC_CONFLICT);
		CHECK(same_lists(&held, &want));
	}
}

int main(void)
{
	RUN(test_random);
	RUN(test_what_does_not_fit);
	return check_done();
}
