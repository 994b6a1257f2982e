/* digest: the contract's check values; adding and removing in any order comes back to the same sum. */
#include <stdio.h>

#include "blocklist/blocklist.h"
#include "tests/unit/check.h"

#define ONE "e0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b10"
#define TWO "e0d67f22555d4ac78cc372878531304157bc5469a87fb777393d5c360a7ee374"
#define BOTH "c13785873982fcc66f10b4866b10741d2a00a64f073181356a9446eccee53e84"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static const struct entry number = {.scope = SCOPE_NUMBER,
	.value = "84912345678",
	.service = SERVICE_SMS,
	.action = "bar",
	.case_id = "c-7k3q9w2m4x5zt",
	.until_s = 1790000000,
	.basis = ""};
static const struct entry name = {.scope = SCOPE_NAME,
	.value = "vietcombank-tb",
	.service = SERVICE_SMS,
	.action = "bar",
	.case_id = "c-0000000000001",
	.basis = "ignored"};

static void check_hex(const struct digest *d, const char *want)
{
	char hex[65];

	digest_hex(d, hex);
	CHECK_STR(hex, want);
}

static void test_check_values(void)
{
	struct digest d = {{0}};

	check_hex(&d, ZEROS);
	digest_add(&d, &number);
	check_hex(&d, ONE);
	digest_add(&d, &name);
	check_hex(&d, BOTH);
	digest_sub(&d, &number);
	check_hex(&d, TWO);
	digest_sub(&d, &name);
	check_hex(&d, ZEROS);
	digest_sub(&d, &number); /* below zero and back: modulo 2^256 */
	digest_add(&d, &name);
	digest_add(&d, &number);
	check_hex(&d, TWO);
}

static void test_carry_over_all_bytes(void)
{
	struct digest d;

	CHECK_RC(digest_parse(
			 SLICE("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
			 &d),
		RC_OK, NULL);
	digest_add(&d, &number); /* minus one */
	check_hex(&d, "e0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b0f");
}

static void test_parse(void)
{
	static const struct {
		const char *hex;
		enum rc want;
	} cases[] = {
		{ONE, RC_OK},
		{ZEROS, RC_OK},
		{"", RC_INVALID},
		{"e0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b1", RC_INVALID},
		{"E0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b10", RC_INVALID},
		{"g0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b10", RC_INVALID},
		{ONE "0", RC_INVALID},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct digest d = {{7}};

		CHECK_CASE("\"%s\"", cases[i].hex);
		CHECK_RC(digest_parse(slice_str(cases[i].hex), &d), cases[i].want, NULL);
		if (cases[i].want == RC_OK)
			check_hex(&d, cases[i].hex);
		else
			CHECK_INT(d.sum[0], 7);
	}
}

int main(void)
{
	RUN(test_check_values);
	RUN(test_carry_over_all_bytes);
	RUN(test_parse);
	return check_done();
}
