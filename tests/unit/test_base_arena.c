/* arena: zeroed, aligned, bounded, and zeroed again after a reset. */
#include "base/arena.h"
#include "tests/unit/check.h"

static bool zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void test_zeroed_again(void)
{
	OWN(arena_free) struct arena *a = arena_new(4096);

	for (int round = 0; round < 3; round++) {
		size_t size = round == 0 ? 100 : 300;
		char *p = arena_alloc(a, size), *q = arena_alloc(a, 1);

		CHECK_CASE("round %d", round);
		CHECK(p != NULL && q != NULL);
		CHECK(zero(p, size) && zero(q, 1));
		CHECK_INT((uintptr_t)p % _Alignof(max_align_t), 0);
		CHECK_INT((uintptr_t)q % _Alignof(max_align_t), 0);
		memset(p, 'x', size);
		*q = 'y';
		CHECK_INT(p[size - 1], 'x');
		arena_reset(a);
		CHECK_INT(arena_used(a), 0);
	}
}

static void test_bounded(void)
{
	OWN(arena_free) struct arena *a = arena_new(1024);

	CHECK(arena_alloc(a, 1025) == NULL);
	CHECK(arena_alloc(a, SIZE_MAX) == NULL);
	CHECK(arena_array(a, SIZE_MAX / 2, 3) == NULL);
	CHECK(arena_array(a, 64, 16) != NULL);
	CHECK_INT(arena_used(a), 1024);
	CHECK(arena_alloc(a, 0) == NULL);
	arena_reset(a);
	CHECK(arena_alloc(a, 0) != NULL);
	CHECK(arena_alloc(a, 0) != arena_alloc(a, 0));
	arena_free(NULL);
}

static void test_text(void)
{
	OWN(arena_free) struct arena *a = arena_new(256);
	struct slice s = arena_copy(a, SLICE("abc"));
	char *f = arena_fmt(a, "%s-%d", "x", 7);

	CHECK_SLICE(s, "abc");
	CHECK_STR(s.ptr, "abc");
	CHECK_STR(f, "x-7");
	CHECK(arena_copy(a, slice_str(NULL)).ptr != NULL);
	CHECK(arena_fmt(a, "%300d", 1) == NULL);
	CHECK(arena_copy(a, slice_of(s.ptr, SIZE_MAX)).ptr == NULL);
}

int main(void)
{
	RUN(test_zeroed_again);
	RUN(test_bounded);
	RUN(test_text);
	return check_done();
}
