/* What a combination's `when` means, and what it may not say. */
#include "base/base.h"
#include "classifier/rules.h"
#include "tests/unit/check.h"
#include "tests/unit/rnd.h"

/* The rules are A, B, … H: numbers 0 to 7. */
static bool find(const void *arg, struct slice name, uint32_t *out)
{
	(void)arg;
	if (name.len != 1 || name.ptr[0] < 'A' || name.ptr[0] > 'H')
		return false;
	*out = (uint32_t)(name.ptr[0] - 'A');
	return true;
}

static bool holds(const char *text, const char *fired)
{
	struct when w;
	struct slice near;
	uint64_t bits = 0;
	const char *why = when_parse(slice_str(text), (struct when_names){find, NULL}, &w, &near);

	CHECK_STR(why, "");
	if (why != NULL)
		return false;
	for (; *fired != '\0'; fired++)
		bit_set(&bits, (size_t)(*fired - 'A'));
	bool yes = when_holds(&w, &bits);
	free(w.op);
	return yes;
}

static void test_meaning(void)
{
	static const struct {
		const char *when, *fired;
		bool want;
	} cases[] = {
		{"A", "A", true},
		{"A", "B", false},
		{"A and B", "A", false},
		{"A and B", "AB", true},
		{"A or B", "B", true},
		{"A and not B", "A", true},
		{"A and not B", "AB", false},
		{"not A", "", true},
		{"not not A", "A", true},
		{"A or B and C", "A", true}, /* and binds more than or */
		{"(A or B) and C", "A", false},
		{"A and B or C", "C", true},
		{"A and (B or C)", "C", false},
		{"not A and B", "B", true}, /* not binds most */
		{"not A and B", "A", false},
		{"not (A and B)", "A", true},
		{"not (A or B) or C", "AC", true},
		{"count(A,B,C) >= 2", "AC", true},
		{"count(A,B,C) >= 2", "C", false},
		{"count(A,A) >= 2", "A", true},
		{"COUNT ( A , B ) >=1 AND NOT C", "B", true},
		{"not count(A,B)>=1", "C", true},
		{"D and count(A,B,C) >= 3 or E", "ABCD", true},
		{"((A))", "A", true},
		{" A  or\n B ", "B", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s of %s", cases[i].when, cases[i].fired);
		CHECK_INT(holds(cases[i].when, cases[i].fired), cases[i].want);
	}
}

static void test_refused(void)
{
	static const char *const texts[] = {"", " ", "A B", "A and", "and A", "A or or B", "not",
		"(A", "A)", "()", "A and ()", "X", "A & B", "count", "count(", "count()", "count(A",
		"count(A)", "count(A) > 1", "count(A) >= ", "count(A) >= 0", "count(A) >= 2",
		"count(A,) >= 1", "count(not A) >= 1", "count(A) >= 1 1", "A >= 1",
		"count(A B) >= 1", "A,B"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct when w = {0};
		struct slice near;

		CHECK_CASE("%s", texts[i]);
		CHECK(when_parse(slice_str(texts[i]), (struct when_names){find, NULL}, &w, &near) !=
			NULL);
		CHECK(w.op == NULL);
		CHECK(near.ptr >= texts[i] && near.ptr + near.len <= texts[i] + strlen(texts[i]));
	}
}

/* Depth and length have bounds, so that no text can exhaust the stack. */
static void test_bounds(void)
{
	BUF_OWN struct buf text;
	struct when w = {0};
	struct slice near;

	for (int over = 0; over < 4; over++) {
		buf_init(&text, 1 << 20);
		for (int i = 0; i < 32 + over % 2; i++)
			buf_fmt(&text, over < 2 ? "not " : "(");
		buf_fmt(&text, "A");
		for (int i = 0; i < 32 + over % 2; i++)
			buf_fmt(&text, over < 2 ? "" : ")");
		const char *why =
			when_parse(buf_slice(&text), (struct when_names){find, NULL}, &w, &near);
		CHECK_CASE("%d", over);
		CHECK_STR(why, over % 2 == 0 ? "" : "nested too deep");
		free(w.op);
		w = (struct when){0};
		buf_done(&text);
	}
	buf_init(&text, 1 << 20);
	for (int i = 0; i < 1000; i++)
		buf_fmt(&text, "A or ");
	buf_fmt(&text, "B");
	CHECK(when_parse(buf_slice(&text), (struct when_names){find, NULL}, &w, &near) != NULL);
}

/* Writes a random expression and answers its value, computed on the way. */
static bool grow(uint64_t *seed, int depth, uint64_t bits, struct buf *out)
{
	uint64_t what = depth == 0 ? 0 : rnd(seed, 6);
	bool a, b;

	switch (what) {
	case 1:
		buf_fmt(out, "not (");
		a = !grow(seed, depth - 1, bits, out);
		buf_fmt(out, ")");
		return a;
	case 2:
	case 3:
		buf_fmt(out, "(");
		a = grow(seed, depth - 1, bits, out);
		buf_fmt(out, ") %s (", what == 2 ? "and" : "or");
		b = grow(seed, depth - 1, bits, out);
		buf_fmt(out, ")");
		return what == 2 ? a && b : a || b;
	case 4: {
		uint64_t x = rnd(seed, 8), y = rnd(seed, 8), n = 1 + rnd(seed, 2);

		buf_fmt(out, "count(%c,%c) >= %d", (char)('A' + x), (char)('A' + y), (int)n);
		return (bits >> x & 1) + (bits >> y & 1) >= n;
	}
	default: {
		uint64_t x = rnd(seed, 8);

		buf_byte(out, (char)('A' + x));
		return (bits >> x & 1) != 0;
	}
	}
}

static void test_random(void)
{
	uint64_t seed = 6;

	for (int round = 0; round < 5000; round++) {
		BUF_OWN struct buf text;
		struct when w;
		struct slice near;
		uint64_t bits = rnd(&seed, 256);

		buf_init(&text, 1 << 16);
		bool want = grow(&seed, 5, bits, &text);
		CHECK_CASE("%s", text.ptr);
		if (!CHECK(when_parse(buf_slice(&text), (struct when_names){find, NULL}, &w,
				   &near) == NULL))
			return;
		CHECK_INT(when_holds(&w, &bits), want);
		free(w.op);
	}
}

int main(void)
{
	RUN(test_meaning);
	RUN(test_refused);
	RUN(test_bounds);
	RUN(test_random);
	return check_done();
}
