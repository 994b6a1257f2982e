/* The decisions of a release, without a database: who is let in, in which order, what caps and protection hold back, and which wish
 * stands for its key. */
#include <stdio.h>

#include "blocklist/release.h"
#include "tests/unit/check.h"

#define NOW (INT64_C(1790000000) * US_PER_S)
#define HOUR_S 3600

static const struct caps wide = {1000, 10000, 1000, 0.02};
static struct arena *arena;
static struct key keys[64];
static struct release rel;

static void begin(const struct caps *caps)
{
	arena_reset(arena);
	memset(keys, 0, sizeof(keys));
	rel = (struct release){
		.keys = keys, .now_us = NOW, .caps = caps, .mode = "auto", .arena = arena};
}

static struct key *add_key(const char *value)
{
	struct key *k = &keys[rel.n++];

	k->sender = (int64_t)rel.n;
	k->now.scope = SCOPE_NUMBER;
	k->now.value = value;
	k->wishes = arena_array(arena, 8, sizeof(struct wish));
	return k;
}

static struct wish *add_wish(struct key *k, const char *origin, const char *action, int64_t until_s,
	enum wish_state state)
{
	struct wish *w = &k->wishes[k->n++];

	*w = (struct wish){.origin = origin,
		.action = action,
		.detail = "bar_in",
		.case_id = "c-7k3q9w2m4x5zt",
		.basis = "",
		.reason = "",
		.until_s = until_s,
		.score = 0.9,
		.first_at = NOW - US_PER_HOUR,
		.decided_at = NOW,
		.state = state};
	return w;
}

static void list(struct key *k, const char *origin, const char *action, int64_t until_s)
{
	k->now.action = action;
	k->now.case_id = "c-0000000000001";
	k->now.basis = "";
	k->now.until_s = until_s;
	k->now_origin = origin;
}

static void judge(void)
{
	struct err e = {0};

	CHECK_RC(release_judge(&rel, &e), RC_OK, &e);
}

static void check_fate(const struct wish *w, enum wish_state state, const char *why)
{
	CHECK_INT(w->then, state);
	if (state == WISH_HELD)
		CHECK_STR(w->why, why);
}

#define LATER (NOW / US_PER_S + HOUR_S)

static void test_strongest_wins(void)
{
	static const struct {
		const char *a, *a_action;
		int64_t a_until;
		const char *b, *b_action;
		int64_t b_until;
		const char *want;
	} cases[] = {
		{"auto:scam", "bar", LATER, "order:1", "label", 0, "auto:scam"},
		{"auto:scam", "throttle", 0, "order:1", "label", 0, "auto:scam"},
		{"auto:scam", "label", 0, "order:1", "throttle", LATER, "order:1"},
		{"auto:scam", "bar", LATER, "order:1", "bar", 0, "order:1"},
		{"auto:scam", "bar", LATER, "order:1", "bar", LATER + 1, "order:1"},
		{"auto:scam", "bar", LATER + 1, "order:1", "bar", LATER, "auto:scam"},
		{"order:2", "bar", 0, "order:1", "bar", 0, "order:1"},
		{"person:an", "bar", LATER, "auto:scam", "bar", LATER, "auto:scam"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s %s, %s %s", cases[i].a, cases[i].a_action, cases[i].b,
			cases[i].b_action);
		for (int swap = 0; swap < 2; swap++) {
			begin(&wide);
			struct key *k = add_key("84900000001");

			if (swap == 0)
				add_wish(k, cases[i].a, cases[i].a_action, cases[i].a_until,
					WISH_ADMITTED);
			add_wish(k, cases[i].b, cases[i].b_action, cases[i].b_until, WISH_ADMITTED);
			if (swap == 1)
				add_wish(k, cases[i].a, cases[i].a_action, cases[i].a_until,
					WISH_ADMITTED);
			judge();
			CHECK_STR(k->then_origin, cases[i].want);
		}
	}
}

static void test_fates(void)
{
	static const struct {
		const char *what, *origin, *reason, *detail, *mode;
		bool is_protected, kill;
		int64_t until_s;
		enum wish_state state, want;
		const char *why;
	} cases[] = {
		{"wanted", "auto:scam", "", "bar_in", "auto", 0, 0, LATER, WISH_WANTED,
			WISH_ADMITTED, ""},
		{"kill switch", "auto:scam", "", "bar_in", "auto", 0, 1, LATER, WISH_WANTED,
			WISH_WANTED, ""},
		{"kill switch, admitted", "auto:scam", "", "bar_in", "auto", 0, 1, LATER,
			WISH_ADMITTED, WISH_ADMITTED, ""},
		{"kill switch, a person's", "person:an", "", "bar_in", "auto", 0, 1, LATER,
			WISH_WANTED, WISH_ADMITTED, ""},
		{"protected", "auto:scam", "", "bar_in", "auto", 1, 0, LATER, WISH_WANTED,
			WISH_HELD, "protected"},
		{"protected later", "auto:scam", "", "bar_in", "auto", 1, 0, LATER, WISH_ADMITTED,
			WISH_HELD, "protected"},
		{"protected, an order", "order:7", "", "bar_in", "auto", 1, 0, LATER, WISH_WANTED,
			WISH_ADMITTED, ""},
		{"protected, a held order", "order:7", "protected", "bar_in", "auto", 0, 0, 0,
			WISH_HELD, WISH_HELD, "protected"},
		{"ended", "auto:scam", "", "bar_in", "auto", 0, 0, NOW / US_PER_S, WISH_ADMITTED,
			WISH_ENDED, ""},
		{"ended, an order", "order:7", "", "bar_in", "auto", 0, 0, 5, WISH_ADMITTED,
			WISH_ENDED, ""},
		{"one second left", "auto:scam", "", "bar_in", "auto", 0, 0, NOW / US_PER_S + 1,
			WISH_ADMITTED, WISH_ADMITTED, ""},
		{"held for people", "auto:scam", "one_leg", "bar_in", "auto", 0, 0, LATER,
			WISH_HELD, WISH_HELD, "one_leg"},
		{"no longer protected", "auto:scam", "protected", "bar_in", "auto", 0, 0, LATER,
			WISH_HELD, WISH_ADMITTED, ""},
		{"wanted, review since", "auto:scam", "", "bar_in", "review", 0, 0, LATER,
			WISH_WANTED, WISH_HELD, "review_mode"},
		{"wanted, shadow since", "auto:scam", "", "bar_in", "shadow", 0, 0, LATER,
			WISH_WANTED, WISH_HELD, "review_mode"},
		{"wanted by a person, review", "person:an", "", "bar_in", "review", 0, 0, LATER,
			WISH_WANTED, WISH_ADMITTED, ""},
		{"admitted, review since", "auto:scam", "", "bar_in", "review", 0, 0, LATER,
			WISH_ADMITTED, WISH_ADMITTED, ""},
		{"no longer protected, kill switch", "auto:scam", "protected", "bar_in", "auto", 0,
			1, LATER, WISH_HELD, WISH_WANTED, ""},
		{"no longer protected, review", "auto:scam", "protected", "bar_in", "review", 0, 0,
			LATER, WISH_HELD, WISH_HELD, "review_mode"},
		{"no longer protected, person", "auto:scam", "protected", "person", "auto", 0, 0,
			LATER, WISH_HELD, WISH_HELD, "needs_person"},
		{"no longer protected, too late", "auto:scam", "protected", "bar_in", "auto", 0, 0,
			5, WISH_HELD, WISH_HELD, "protected"},
		{"still protected", "auto:scam", "protected", "bar_in", "auto", 1, 0, LATER,
			WISH_HELD, WISH_HELD, "protected"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].what);
		begin(&wide);
		struct key *k = add_key("84900000001");
		struct wish *w =
			add_wish(k, cases[i].origin, "bar", cases[i].until_s, cases[i].state);

		w->reason = cases[i].reason;
		w->detail = cases[i].detail;
		k->is_protected = cases[i].is_protected;
		rel.kill_switch = cases[i].kill;
		rel.mode = cases[i].mode;
		judge();
		check_fate(w, cases[i].want, cases[i].why);
		CHECK(k->then.action == NULL || cases[i].want == WISH_ADMITTED);
		CHECK(k->then.action != NULL || cases[i].want != WISH_ADMITTED);
	}
}

/* What is listed stays until its time is over when its stronger successor has to wait for people. */
static void test_a_throttle_stays_in_review(void)
{
	begin(&wide);
	struct key *k = add_key("84900000001");
	struct wish *w = add_wish(k, "auto:scam", "bar", LATER, WISH_WANTED);

	list(k, "auto:scam", "throttle", LATER - 60);
	rel.mode = "review";
	judge();
	check_fate(w, WISH_HELD, "review_mode");
	CHECK_STR(k->then.action, "throttle");
	rel.now_us = NOW + HOUR_S * US_PER_S;
	judge();
	CHECK(k->then.action == NULL);
}

/* Ten numbers of score 0.90, 0.91, …: the best ones get what the caps leave. */
static void ten(const struct caps *caps)
{
	static const char *const values[] = {"84900000000", "84900000001", "84900000002",
		"84900000003", "84900000004", "84900000005", "84900000006", "84900000007",
		"84900000008", "84900000009"};

	begin(caps);
	for (int i = 0; i < 10; i++)
		add_wish(add_key(values[i]), "auto:scam", "bar", LATER, WISH_WANTED)->score =
			0.9 + i / 100.0;
}

static void test_caps(void)
{
	static const struct {
		struct caps caps;
		int64_t hour_used, day_used, count;
		int admitted, held, overflow;
		const char *why;
	} cases[] = {
		{{4, 100, 100, 0}, 0, 0, 0, 4, 6, 0, "cap_hour"},
		{{4, 100, 100, 0}, 3, 3, 0, 1, 9, 0, "cap_hour"},
		{{100, 5, 100, 0}, 0, 2, 0, 3, 7, 0, "cap_day"},
		{{4, 4, 100, 0}, 4, 4, 0, 0, 10, 0, "cap_day"},
		{{4, 4, 100, 0}, 9, 9, 0, 0, 10, 0, "cap_day"}, /* the caps were lowered */
		{{100, 100, 3, 0}, 0, 0, 0, 3, 0, 7, ""},
		{{100, 100, 3, 0.02}, 0, 0, 400, 8, 0, 2, ""},
		{{100, 100, 0, 0}, 0, 0, 0, 1, 0, 9, ""}, /* never stuck */
		{{5, 100, 3, 0}, 0, 0, 0, 3, 0, 7,
			""}, /* growth waits; the hour is asked again then */
		{{5, 100, 3, 0}, 5, 5, 0, 0, 10, 0, "cap_hour"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int admitted = 0;

		CHECK_CASE("%zu", i);
		ten(&cases[i].caps);
		rel.hour_used = cases[i].hour_used;
		rel.day_used = cases[i].day_used;
		rel.head.count = cases[i].count;
		judge();
		for (int j = 9; j >= 0; j--) {
			const struct wish *w = &keys[j].wishes[0];

			CHECK_INT(w->then == WISH_ADMITTED, admitted < cases[i].admitted);
			admitted += w->then == WISH_ADMITTED;
			CHECK_INT(keys[j].admitted, w->then == WISH_ADMITTED);
			if (w->then == WISH_HELD)
				CHECK_STR(w->why, cases[i].why);
		}
		CHECK_INT(admitted, cases[i].admitted);
		CHECK_INT(rel.held, cases[i].held);
		CHECK_INT(rel.overflow, cases[i].overflow);
	}
}

static void test_order_of_admission(void)
{
	static const struct caps one = {1, 1, 1, 0};
	struct wish *w[3];

	begin(&one);
	for (int i = 0; i < 3; i++)
		w[i] = add_wish(add_key(i == 0           ? "84900000003"
						: i == 1 ? "84900000001"
							 : "84900000002"),
			"auto:scam", "bar", LATER, WISH_WANTED);
	judge();
	CHECK_INT(w[1]->then, WISH_ADMITTED); /* the same score and time: the lowest value */
	w[2]->first_at--;
	rel.held = 0;
	judge();
	CHECK_INT(w[2]->then, WISH_ADMITTED); /* the earliest */
	w[0]->score = 0.95;
	judge();
	CHECK_INT(w[0]->then, WISH_ADMITTED); /* the highest */
}

/* No caps are left at all. */
static void test_what_is_no_addition(void)
{
	static const struct caps none = {0, 0, 1, 0};
	struct key *k;
	struct wish *w;

	CHECK_CASE("a new episode of a listed key");
	begin(&none);
	k = add_key("84900000001");
	list(k, "auto:scam", "bar", LATER);
	w = add_wish(k, "auto:scam", "bar", LATER + HOUR_S, WISH_WANTED);
	judge();
	check_fate(w, WISH_ADMITTED, "");
	CHECK_INT(k->then.until_s, LATER + HOUR_S);
	CHECK(!k->admitted);

	CHECK_CASE("beside a person's bar");
	begin(&none);
	k = add_key("84900000001");
	add_wish(k, "person:an", "bar", 0, WISH_WANTED);
	w = add_wish(k, "auto:scam", "bar", LATER, WISH_WANTED);
	judge();
	check_fate(w, WISH_ADMITTED, "");
	CHECK_STR(k->then_origin, "person:an");

	CHECK_CASE("stronger than the person's label");
	begin(&none);
	k = add_key("84900000001");
	add_wish(k, "person:an", "label", 0, WISH_ADMITTED);
	w = add_wish(k, "auto:scam", "bar", LATER, WISH_WANTED);
	judge();
	check_fate(w, WISH_HELD, "cap_day");
	CHECK_STR(k->then.action, "label");

	CHECK_CASE("the order that listed it is gone");
	begin(&none);
	rel.kill_switch = true;
	k = add_key("84900000001");
	list(k, "order:1", "bar", 0);
	w = add_wish(k, "auto:scam", "bar", LATER, WISH_WANTED);
	judge();
	check_fate(w, WISH_WANTED, "");
	CHECK(k->then.action == NULL);
}

static void test_a_cap_sets_nobody_free(void)
{
	static const struct caps none = {0, 0, 1, 0};
	struct key *k;
	struct wish *w;

	CHECK_CASE("a throttle that was to become a bar");
	begin(&none);
	k = add_key("84900000001");
	list(k, "auto:scam", "throttle", LATER);
	w = add_wish(k, "auto:scam", "bar", LATER + HOUR_S, WISH_WANTED);
	judge();
	check_fate(w, WISH_HELD, "cap_day");
	CHECK_STR(k->then.action, "throttle");
	CHECK_STR(k->then.case_id, "c-0000000000001");

	CHECK_CASE("the same, looked at again");
	w->state = WISH_HELD;
	w->reason = "cap_day";
	judge();
	CHECK_STR(k->then.action, "throttle");

	CHECK_CASE("its time is over");
	k->now.until_s = NOW / US_PER_S;
	judge();
	CHECK(k->then.action == NULL);

	CHECK_CASE("a person decided against it");
	k->now.until_s = LATER;
	w->reason = "needs_person";
	judge();
	CHECK(k->then.action == NULL);

	CHECK_CASE("protected");
	w->reason = "cap_day";
	k->is_protected = true;
	judge();
	CHECK(k->then.action == NULL);
}

static void test_two_automatic_wishes_are_one_addition(void)
{
	static const struct caps one = {1, 1, 1, 0};
	struct key *k;

	begin(&one);
	k = add_key("84900000001");
	add_wish(k, "auto:nuisance", "bar", LATER + HOUR_S, WISH_WANTED);
	add_wish(k, "auto:scam", "bar", LATER, WISH_WANTED)->score = 0.99;
	judge();
	check_fate(&k->wishes[0], WISH_ADMITTED, "");
	check_fate(&k->wishes[1], WISH_ADMITTED, "");
	CHECK_STR(k->then_origin, "auto:nuisance");
}

int main(void)
{
	arena = arena_new(1 << 20);
	if (arena == NULL)
		return 1;
	RUN(test_strongest_wins);
	RUN(test_fates);
	RUN(test_a_throttle_stays_in_review);
	RUN(test_caps);
	RUN(test_order_of_admission);
	RUN(test_what_is_no_addition);
	RUN(test_a_cap_sets_nobody_free);
	RUN(test_two_automatic_wishes_are_one_addition);
	arena_free(arena);
	return check_done();
}
