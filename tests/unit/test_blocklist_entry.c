/* entry: the written forms of a line are the contract's, byte for byte. */
#include "blocklist/blocklist.h"
#include "tests/unit/check.h"

static const struct entry number = {.scope = SCOPE_NUMBER,
	.value = "84912345678",
	.service = SERVICE_SMS,
	.action = "bar",
	.case_id = "c-7k3q9w2m4x5zt",
	.until_s = 1790000000,
	.basis = "Decree 91/2020/ND-CP",
	.release = 7};
static const struct entry name = {.scope = SCOPE_NAME,
	.value = "vietcombank-tb",
	.service = SERVICE_SMS,
	.action = "bar",
	.case_id = "c-0000000000001",
	.basis = "a \"quoted\" one"};

static void test_line(void)
{
	char line[ENTRY_LINE];

	CHECK_INT(entry_line(&number, line, sizeof(line)), 53);
	CHECK_STR(line, "number|84912345678|sms|bar|c-7k3q9w2m4x5zt|1790000000");
	(void)entry_line(&name, line, sizeof(line));
	CHECK_STR(line, "name|vietcombank-tb|sms|bar|c-0000000000001|0");
}

static void test_bucket(void)
{
	struct entry voice = number;

	/* SHA-256("number|84912345678|sms") and the same with voice, computed elsewhere */
	CHECK_INT(entry_bucket(&number), 0x56);
	voice.service = SERVICE_VOICE;
	CHECK_INT(entry_bucket(&voice), 0x32);
	voice.action = "label"; /* the key alone decides */
	CHECK_INT(entry_bucket(&voice), 0x32);
}

static void test_json(void)
{
	BUF_OWN struct buf b;

	buf_init(&b, 4096);
	entry_json(&number, &b);
	CHECK_SLICE(buf_slice(&b),
		"{\"scope\":\"number\",\"value\":\"84912345678\",\"service\":\"sms\",\"action\":"
		"\"bar\","
		"\"case\":\"c-7k3q9w2m4x5zt\",\"until\":\"2026-09-21T14:13:20Z\","
		"\"basis\":\"Decree 91/2020/ND-CP\"}");
	buf_clear(&b);
	entry_json(&name, &b);
	CHECK_HAS(b.ptr, "\"until\":null,\"basis\":\"a \\\"quoted\\\" one\"}");
}

int main(void)
{
	RUN(test_line);
	RUN(test_bucket);
	RUN(test_json);
	return check_done();
}
