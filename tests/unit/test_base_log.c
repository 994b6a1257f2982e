/* log: one unforgeable line, cut at its bound; numbers masked. Standard error is a pipe here. */
#include <fcntl.h>

#include "base/log.h"
#include "tests/unit/check.h"

static char line[8192];

/* What the call wrote; the time is checked for its shape and cut off. */
#define LOGGED(call)     \
	({               \
		begin(); \
		call;    \
		end();   \
	})

static int pipe_fd[2], saved_err;

static void begin(void)
{
	(void)fflush(stderr);
	saved_err = dup(STDERR_FILENO);
	CHECK_INT(pipe2(pipe_fd, O_NONBLOCK), 0);
	(void)dup2(pipe_fd[1], STDERR_FILENO);
}

static const char *end(void)
{
	ssize_t n = read(pipe_fd[0], line, sizeof(line) - 1);
	const char *rest;

	line[n > 0 ? n : 0] = '\0';
	(void)dup2(saved_err, STDERR_FILENO);
	(void)close(saved_err);
	(void)close(pipe_fd[0]);
	(void)close(pipe_fd[1]);
	if (n <= 0)
		return "";
	rest = strchr(line, ' ');
	CHECK(strncmp(line, "time=20", 7) == 0 && rest != NULL);
	return rest != NULL ? rest + 1 : "";
}

static void test_shape(void)
{
	CHECK_STR(LOGGED(log_info("ingest", "partition=%d offset=%d", 3, 17)),
		"level=info area=ingest partition=3 offset=17\n");
	CHECK_STR(LOGGED(log_warn("db", "connection lost, trying again host=%s wait_ms=5", "h1")),
		"level=warn area=db msg=\"connection lost, trying again\" host=h1 wait_ms=5\n");
	CHECK_STR(LOGGED(log_error("app", "stopped")), "level=error area=app msg=\"stopped\"\n");
	CHECK_STR(LOGGED(log_error("app", "a \"b\" a=b\nlevel=info x=\x1b[0m")),
		"level=error area=app msg=\"a \\\"b\\\"\" a=b\\nlevel=info x=\\x1b[0m\n");
	CHECK_STR(LOGGED(log_error("app", "2=3 is wrong")),
		"level=error area=app msg=\"2=3 is wrong\"\n");
	CHECK_STR(LOGGED(log_error("app", "%s", "")), "level=error area=app\n");
}

static void test_level(void)
{
	CHECK_STR(LOGGED(log_debug("a", "x=1")), "");
	log_set_level(LOG_DEBUG);
	CHECK_STR(LOGGED(log_debug("a", "x=1")), "level=debug area=a x=1\n");
	log_set_level(LOG_ERROR);
	CHECK_STR(LOGGED(log_warn("a", "x=1")), "");
	log_set_level(LOG_INFO);
}

static void test_long_line(void)
{
	char big[5000];
	const char *got;

	memset(big, '\n', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	got = LOGGED(log_info("a", "x=%s", big));
	CHECK_INT(strlen(line), 2048);
	CHECK_INT(line[2047], '\n');
	CHECK(strchr(got, '\n') == line + 2047);
}

static void test_mask(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"84912345678", "8491*****78"},
		{"+84912345678", "+849******78"},
		{"0912345678", "0912****78"},
		{"912345678", "912******"},
		{"156", "1**"},
		{"5656", "5***"},
		{"1", "*"},
		{"", ""},
		{"\n12345678901", "*123******01"},
		{"1234567890123456789012345678901234567890123456789012345",
			"1234*****************************************67"},
	};
	char out[MASKED_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].in);
		CHECK_STR(log_mask(slice_str(cases[i].in), out), cases[i].want);
	}
}

int main(void)
{
	RUN(test_shape);
	RUN(test_level);
	RUN(test_long_line);
	RUN(test_mask);
	return check_done();
}
