/* err: the text is cut cleanly, wrapped, and its arguments may come from itself. */
#include "base/err.h"
#include "tests/unit/check.h"

static enum rc fails(struct err *e)
{
	return err_set(e, RC_RETRY, "redis: %s", "away");
}

static void test_set_and_wrap(void)
{
	struct err e = {.text = "old", .state = "40001"};

	CHECK_RC(fails(&e), RC_RETRY, &e);
	CHECK_STR(e.text, "redis: away");
	CHECK_STR(e.state, "");
	memcpy(e.state, "57P01", 6);
	CHECK_RC(err_wrap(&e, RC_FATAL, "part %d", 3), RC_FATAL, &e);
	CHECK_STR(e.text, "part 3: redis: away");
	CHECK_STR(e.state, "57P01");
	CHECK_RC(err_set(&e, RC_INVALID, "again: %s", e.text), RC_INVALID, &e);
	CHECK_STR(e.text, "again: part 3: redis: away");
	CHECK_RC(err_set(NULL, RC_NONE, "x"), RC_NONE, NULL);
	CHECK_RC(err_wrap(NULL, RC_NONE, "x"), RC_NONE, NULL);
}

static void test_cut(void)
{
	struct err e;
	char big[2000];

	for (size_t i = 0; i + 2 < sizeof(big); i += 2)
		memcpy(big + i, "\xC3\xA9", 3); /* é: two bytes */
	(void)err_set(&e, RC_INVALID, "%s", big);
	CHECK_INT(strlen(e.text), 510);
	(void)err_set(&e, RC_INVALID, "x%s", big);
	CHECK_INT(strlen(e.text), 511);
	CHECK(slice_utf8_valid(slice_str(e.text)));
	(void)err_wrap(&e, RC_INVALID, "%s", "file");
	CHECK_INT(strlen(e.text),
		511); /* "file: " is 6 bytes and "x" one more: the 252 characters end at 511 */
	CHECK(slice_utf8_valid(slice_str(e.text)));
	(void)err_wrap(&e, RC_INVALID, "%s", big);
	CHECK(slice_utf8_valid(slice_str(e.text)));
	CHECK(strlen(e.text) <= 511);
}

static void test_names(void)
{
	CHECK_STR(rc_name(RC_OK), "ok");
	CHECK_STR(rc_name(RC_FATAL), "fatal");
	CHECK_STR(rc_name((enum rc)99), "unknown");
}

int main(void)
{
	RUN(test_set_and_wrap);
	RUN(test_cut);
	RUN(test_names);
	return check_done();
}
