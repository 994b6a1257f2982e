/* check: what a unit test needs. A failed check says where, "got X, want Y" and the case of the table it was in; the test goes
 * on, and check_done() counts and gives the exit code. A test binary is:
 *
 *	static void test_trim(void)
 *	{
 *		static const struct { const char *in, *want; } cases[] = { { " a ", "a" }, { "", "" } };
 *
 *		for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
 *			CHECK_CASE("\"%s\"", cases[i].in);
 *			CHECK_SLICE(slice_trim(slice_str(cases[i].in)), cases[i].want);
 *		}
 *	}
 *	int main(void)
 *	{
 *		RUN(test_trim);
 *		return check_done();
 *	}
 *
 * Checks may be made from several threads; CHECK_CASE is per thread. Leaves out: mocks, fixtures, selection by name. */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/slice.h"

static atomic_uint check_made, check_failed;
static const char *check_test = "";
static _Thread_local char check_case_text[200];

static inline void PRINTF(1, 2) check_case(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(check_case_text, sizeof(check_case_text), fmt, ap);
	va_end(ap);
}

/* Counts one check; when it failed prints the place, the message and the case. Returns `ok`. */
static inline bool PRINTF(4, 5)
	check_that(bool ok, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	atomic_fetch_add(&check_made, 1);
	if (ok)
		return true;
	atomic_fetch_add(&check_failed, 1);
	flockfile(stdout);
	printf("%s:%d: %s: ", file, line, check_test);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	if (check_case_text[0] != '\0')
		printf(" [case %s]", check_case_text);
	printf("\n");
	(void)fflush(stdout);
	funlockfile(stdout);
	return false;
}

static inline bool check_int(
	int64_t got, int64_t want, const char *what, const char *file, int line)
{
	return check_that(
		got == want, file, line, "%s: got %" PRId64 ", want %" PRId64, what, got, want);
}

static inline bool check_u64(
	uint64_t got, uint64_t want, const char *what, const char *file, int line)
{
	return check_that(
		got == want, file, line, "%s: got %" PRIu64 ", want %" PRIu64, what, got, want);
}

static inline bool check_text(
	struct slice got, struct slice want, const char *what, const char *file, int line)
{
	return check_that(slice_eq(got, want), file, line, "%s: got \"%.*s\", want \"%.*s\"", what,
		(int)got.len, got.len > 0 ? got.ptr : "", (int)want.len,
		want.len > 0 ? want.ptr : "");
}

static inline bool check_near(
	double got, double want, double within, const char *what, const char *file, int line)
{
	return check_that(
		fabs(got - want) <= within, file, line, "%s: got %.9g, want %.9g", what, got, want);
}

static inline bool check_has(
	const char *got, const char *part, const char *what, const char *file, int line)
{
	return check_that(got != NULL && strstr(got, part) != NULL, file, line,
		"%s: got \"%s\", want it to contain \"%s\"", what, got != NULL ? got : "(null)",
		part);
}

/* Names the row of a table; it stays until the next CHECK_CASE of this thread or the next RUN. */
#define CHECK_CASE(...) check_case(__VA_ARGS__)
#define CHECK(ok) check_that((ok), __FILE__, __LINE__, "not true: %s", #ok)
#define CHECK_INT(got, want) check_int((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)
#define CHECK_U64(got, want) check_u64((got), (want), #got, __FILE__, __LINE__)
#define CHECK_NEAR(got, want, within) check_near((got), (want), (within), #got, __FILE__, __LINE__)
#define CHECK_STR(got, want) check_text(slice_str(got), slice_str(want), #got, __FILE__, __LINE__)
#define CHECK_SLICE(got, want) check_text((got), slice_str(want), #got, __FILE__, __LINE__)
#define CHECK_HAS(got, part) check_has((got), (part), #got, __FILE__, __LINE__)
/* Result codes by name; `e` (may be NULL) is the cause to show. */
#define CHECK_RC(got, want, e) check_rc((got), (want), (e), #got, __FILE__, __LINE__)

static inline bool check_rc(enum rc got, enum rc want, const struct err *e, const char *what,
	const char *file, int line)
{
	return check_that(got == want, file, line, "%s: got %s, want %s (%s)", what, rc_name(got),
		rc_name(want), e != NULL ? e->text : "");
}

static inline void check_run(void (*test)(void), const char *name)
{
	check_test = name;
	check_case_text[0] = '\0';
	test();
}
#define RUN(test) check_run((test), #test)

/* The exit code of main; prints "N checks, N failed". */
static inline int check_done(void)
{
	printf("%u checks, %u failed\n", atomic_load(&check_made), atomic_load(&check_failed));
	return atomic_load(&check_failed) == 0 && atomic_load(&check_made) > 0 ? 0 : 1;
}

/* A fresh folder below $TMPDIR or /tmp, its path in `out`; removed by check_dir_done with the files directly in it. A test that
 * cannot have one stops. */
#define CHECK_PATH 256
static inline void check_dir(char out[CHECK_PATH])
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(out, CHECK_PATH, "%s/khien-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(out) == NULL) {
		printf("cannot make a folder %s: %s\n", out, strerror(errno));
		exit(1);
	}
}

/* Writes dir/name (replacing it), mode 0600; the path is in `out` when that is not NULL. */
static inline void check_file(const char *dir, const char *name, struct slice text, char *out)
{
	char path[CHECK_PATH * 2];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)umask(077);
	f = fopen(path, "we");
	if (f == NULL || fwrite(text.ptr, 1, text.len, f) != text.len || fclose(f) != 0) {
		printf("cannot write %s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (out != NULL)
		memcpy(out, path, CHECK_PATH);
}
