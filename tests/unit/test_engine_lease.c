/* The keeper's lease on a real PostgreSQL: who may take it, when, and what a lost connection or a long release changes. Time is a number. */
#include "engine/lease.h"
#include "tests/unit/pgtest.h"

#define S US_PER_S

static struct pg *a, *b;

static struct lease candidate(const char *name)
{
	return (struct lease){.owner = name, .lease_us = 3 * S};
}

static void tick(struct lease *l, struct pg *c, int64_t at_us)
{
	struct err e;

	pgtest_need(lease_tick(l, c, at_us, &e), &e, "lease_tick");
}

static void vacate(void)
{
	pgtest_do(a, "UPDATE keeper SET owner = '', epoch = epoch + 1");
}

static void test_vacant_and_given_back(void)
{
	struct lease one = candidate("one"), two = candidate("two");

	vacate();
	tick(&one, a, 0);
	tick(&two, b, 0);
	CHECK(one.leads && !two.leads);
	lease_give_back(&one, a);
	CHECK(!one.leads);
	tick(&two, b, 1);
	CHECK(two.leads && two.epoch > one.epoch);
}

static void test_taken_over_when_the_beat_stands_still(void)
{
	struct lease one = candidate("one"), two = candidate("two");

	vacate();
	tick(&one, a, 0);
	for (int64_t t = 0; t < 10 * S; t += S / 2) { /* he beats, we wait */
		tick(&one, a, t);
		tick(&two, b, t);
		CHECK(!two.leads);
	}
	for (int64_t t = 10 * S; t <= 13 * S; t += S / 2)
		tick(&two, b, t);
	CHECK(two.leads);
	tick(&one, a, 14 * S);
	CHECK(!one.leads);
}

static void test_a_long_release_is_a_sign_of_life(void)
{
	struct lease one = candidate("one"), two = candidate("two");

	vacate();
	tick(&one, a, 0);
	tick(&two, b, 0);
	pgtest_do(a, "BEGIN; SELECT epoch FROM keeper FOR UPDATE");
	for (int64_t t = 0; t <= 9 * S; t += S / 2) {
		tick(&two, b, t);
		CHECK(!two.leads);
	}
	pgtest_do(a, "COMMIT");
	tick(&two, b, 9 * S + S / 2); /* and then there is a whole lease to beat in */
	CHECK(!two.leads);
	tick(&one, a, 9 * S + S / 2);
	CHECK(one.leads);
}

static void test_a_lost_connection_is_asked_about_at_once(void)
{
	struct lease one = candidate("one"), two = candidate("two");

	vacate();
	tick(&one, a, 100 * S);
	lease_doubt(&one);
	tick(&one, a, 100 * S + 1);
	CHECK(one.leads); /* nobody was there meanwhile */
	tick(&two, b, 100 * S);
	tick(&two, b, 104 * S);
	CHECK(two.leads);
	lease_doubt(&one);
	tick(&one, a, 104 * S);
	CHECK(!one.leads);
}

static void test_who_was_away_does_not_trust_what_he_saw(void)
{
	struct lease one = candidate("one"), two = candidate("two");

	vacate();
	tick(&one, a, 0);
	tick(&two, b, 0);
	lease_doubt(&two); /* its connection was away for long; so, perhaps, was the leader's */
	tick(&two, b, 60 * S);
	CHECK(!two.leads);
	tick(&two, b, 64 * S);
	CHECK(two.leads);
}

int main(void)
{
	a = pgtest_begin();
	if (a == NULL)
		return 0;
	b = pgtest_open();
	RUN(test_vacant_and_given_back);
	RUN(test_taken_over_when_the_beat_stands_still);
	RUN(test_a_long_release_is_a_sign_of_life);
	RUN(test_a_lost_connection_is_asked_about_at_once);
	RUN(test_who_was_away_does_not_trust_what_he_saw);
	pg_close(b);
	pgtest_end(a);
	return check_done();
}
