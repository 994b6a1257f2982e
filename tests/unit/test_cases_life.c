/* The table of a case's life: nothing leads nowhere, nothing is said twice, and docs/cases.md shows this very table. With KHIEN_DRAW=1 in the
 * environment the page is drawn anew. */
#include <stdlib.h>

#include "cases/cases.h"
#include "tests/unit/check.h"

#define PAGE SOURCE_DIR "/docs/cases.md"
#define FROM "<!-- drawn from cases/life.c: KHIEN_DRAW=1 build/test_cases_life -->\n"
#define TO "<!-- end -->\n"

static void test_each_state_and_event_once(void)
{
	for (size_t i = 0; i < life_steps_count; i++)
		for (size_t j = i + 1; j < life_steps_count; j++)
			check_that((life_steps[i].from & life_steps[j].from) == 0 ||
					strcmp(life_steps[i].event, life_steps[j].event) != 0,
				__FILE__, __LINE__, "%s twice", life_steps[i].event);
}

static void test_closing_has_an_outcome(void)
{
	for (size_t i = 0; i < life_steps_count; i++)
		check_that((life_steps[i].to == LIFE_CLOSED) == (*life_steps[i].outcome != '\0'),
			__FILE__, __LINE__, "%s: outcome %s", life_steps[i].event,
			life_steps[i].outcome);
}

static void test_looked_up(void)
{
	CHECK_STR(life_find(LIFE_HELD, SLICE("uphold"))->event, "uphold");
	CHECK(life_find(LIFE_CLOSED, SLICE("uphold")) == NULL);
	CHECK(life_find(LIFE_OPEN, SLICE("appeal")) == NULL);
	CHECK(life_find(LIFE_APPEALED, SLICE("lift")) == NULL);
	CHECK_INT(life_find(LIFE_ENFORCED, SLICE("refer"))->to, LIFE_ENFORCED);
	CHECK_INT(life_find(LIFE_HELD, SLICE("refer"))->to, LIFE_CLOSED);
	CHECK_INT(life_parse(SLICE("appealed")), LIFE_APPEALED);
	CHECK_INT(life_parse(SLICE("lost")), 0);
	CHECK(life_permits(LIFE_CLOSED, LIFE_OPEN));
	CHECK(!life_permits(LIFE_CLOSED, LIFE_APPEALED));
	CHECK(!life_permits(LIFE_OPEN, LIFE_APPEALED));
}

static void test_the_page_shows_it(void)
{
	BUF_OWN struct buf page, want;
	struct err e;

	buf_init(&page, 1 << 20);
	buf_init(&want, 1 << 20);
	CHECK_INT(file_read(PAGE, false, &page, &e), RC_OK);
	char *from = strstr(page.ptr, FROM), *to = strstr(page.ptr, TO);
	CHECK(from != NULL && to != NULL && to > from);
	buf_add(&want, slice_of(page.ptr, (size_t)(from - page.ptr) + strlen(FROM)));
	life_draw(&want);
	buf_add(&want, slice_str(to));
	if (getenv("KHIEN_DRAW") != NULL) {
		FILE *f = fopen(PAGE, "w");
		CHECK(f != NULL && fwrite(want.ptr, 1, want.len, f) == want.len);
		(void)fclose(f);
		return;
	}
	CHECK_STR(page.ptr, want.ptr);
}

int main(void)
{
	RUN(test_each_state_and_event_once);
	RUN(test_closing_has_an_outcome);
	RUN(test_looked_up);
	RUN(test_the_page_shows_it);
	return check_done();
}
