/* passwords and one-time codes: the RFC's own values, a code is good once and only near its time. */
#include "base/password.h"
#include "tests/unit/check.h"

static void test_totp(void)
{
	/* RFC 6238, appendix B, its last six digits */
	static const struct {
		int64_t at;
		unsigned want;
	} cases[] = {{59, 287082}, {1111111109, 81804}, {1111111111, 50471}, {1234567890, 5924},
		{2000000000, 279037}, {20000000000, 353130}};
	const uint8_t *secret = (const uint8_t *)"12345678901234567890";
	char text[TOTP_TEXT];
	int64_t step = 0;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("at %lld", (long long)cases[i].at);
		CHECK_INT(totp_code(secret, cases[i].at / TOTP_STEP_S), cases[i].want);
	}
	totp_text(secret, text);
	CHECK_STR(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	CHECK(totp_fits(secret, SLICE("287082"), 59, 0, &step));
	CHECK_INT(step, 1);
	CHECK(!totp_fits(secret, SLICE("287082"), 59, 1, &step)); /* once */
	CHECK(totp_fits(secret, SLICE("287082"), 89, 0, &step));
	CHECK(!totp_fits(secret, SLICE("287082"), 119, 0, &step)); /* too late */
	CHECK(!totp_fits(secret, SLICE("28708"), 59, 0, &step));
	CHECK(!totp_fits(secret, SLICE("2870820"), 59, 0, &step));
}

static void test_password(void)
{
	char hash[PASSWORD_HASH], again[PASSWORD_HASH];
	struct err e = {0};

	CHECK_RC(password_good(SLICE("mười hai chữ"), &e), RC_OK, &e); /* 12 characters */
	CHECK_RC(password_good(SLICE("eleven char"), &e), RC_INVALID, NULL);
	CHECK_RC(password_good(SLICE("not utf-8 \xff\xff\xff"), &e), RC_INVALID, NULL);
	CHECK_RC(password_hash(SLICE("mười hai chữ"), hash, &e), RC_OK, &e);
	CHECK_RC(password_hash(SLICE("mười hai chữ"), again, &e), RC_OK, &e);
	CHECK(strcmp(hash, again) != 0);
	CHECK(strncmp(hash, "$argon2id$", 10) == 0);
	CHECK(password_fits(hash, SLICE("mười hai chữ")));
	CHECK(!password_fits(hash, SLICE("mười hai chứ")));
	CHECK(!password_fits(hash, SLICE("")));
	CHECK(!password_fits(NULL, SLICE("mười hai chữ")));
}

int main(void)
{
	RUN(test_totp);
	RUN(test_password);
	return check_done();
}
