/* What of the API needs no connection: percent-decoding, shared bodies, the answers of a moment, and what the ledger said of a token. */
#include "api/private.h"
#include "tests/unit/check.h"

static void test_decode(void)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} cases[] = {{"", ""}, {"abc", "abc"}, {"%41%2f%2F", "A//"}, {"a+b", "a+b"}, {"%25", "%"},
		{"%c3%ad", "í"}, {"í", "í"}, {"%E1%BB%87", "ệ"}, {"%", NULL}, {"%4", NULL},
		{"a%", NULL}, {"%4g", NULL}, {"%g4", NULL}, {"%-1", NULL}, {"%00", NULL},
		{"a%00b", NULL}, {"%ff", NULL}, {"%c3", NULL}, {"%c0%80", NULL},
		{"%ed%a0%80", NULL}, {"%f5%80%80%80", NULL}, {"1234567890123456", NULL},
		{"123456789012345", "123456789012345"}, {"%31234567890123456", NULL}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *why = NULL;
		char out[16];
		CHECK_CASE("\"%s\"", cases[i].in);
		bool ok = http_decode(slice_str(cases[i].in), out, sizeof(out), &why);
		if (cases[i].out == NULL) {
			CHECK(!ok);
			CHECK(why != NULL);
		} else {
			CHECK(ok);
			CHECK_STR(out, cases[i].out);
		}
	}
	const char *why;
	char out[16];
	CHECK(!http_decode(slice_of("a\0b", 3), out, sizeof(out), &why));
	CHECK(!http_decode(slice_of("%41", 2), out, sizeof(out), &why)); /* looks no further */
}

static struct shared *text_of(const char *text)
{
	BUF_OWN struct buf b;

	buf_init(&b, 100);
	buf_add(&b, slice_str(text));
	struct shared *s = shared_new(&b);
	CHECK_INT(b.len, 0);
	return s;
}

static struct shared *text_sized(size_t len)
{
	BUF_OWN struct buf b;

	buf_init(&b, len);
	while (b.len < len)
		buf_byte(&b, 'x');
	return shared_new(&b);
}

static void test_answers(void)
{
	struct answers *a = answers_new();
	char key[16];

	CHECK(answers_get(a, "x", 1) == NULL);
	for (int i = 0; i < 100; i++) {
		struct shared *s = text_of("one");
		snprintf(key, sizeof(key), "k%d", i % 20);
		answers_put(a, key, i, s);
		shared_free(s);
		struct shared *got = answers_get(a, key, i);
		CHECK(got == s);
		CHECK(answers_get(a, key, i + 1) == NULL); /* of another state */
		shared_free(got);
	}
	struct shared *s = text_of("two"), *kept = answers_get(a, "k19", 99);
	answers_put(a, "k19", 100, s);
	CHECK(slice_eq(shared_text(kept), SLICE("one"))); /* outlives its place */
	shared_free(kept);
	shared_free(s);
	answers_free(a);
}

/* However large they are, all together stay within their bound; the oldest go first, and one that is larger than all may be is not kept. */
static void test_answers_are_bounded_in_bytes(void)
{
	struct answers *a = answers_new();
	char key[16];
	int kept = 0;

	for (int i = 0; i < 10; i++) {
		struct shared *s = text_sized(BOUND_ANSWERS / 4);
		snprintf(key, sizeof(key), "k%d", i);
		answers_put(a, key, 1, s);
		shared_free(s);
	}
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		struct shared *s = answers_get(a, key, 1);
		CHECK((s != NULL) == (i >= 6));
		kept += s != NULL;
		shared_free(s);
	}
	CHECK_INT(kept, 4);
	struct shared *s = text_sized(BOUND_ANSWERS + 1);
	answers_put(a, "k9", 2, s);
	shared_free(s);
	CHECK(answers_get(a, "k9", 2) == NULL);
	CHECK(answers_get(a, "k9", 1) == NULL); /* what it replaces is gone all the same */
	s = answers_get(a, "k8", 1);
	CHECK(s != NULL);
	shared_free(s);
	answers_free(a);
}

/* Thousands of names within a moment leave room for where others stand. */
static void test_names_do_not_crowd_positions_out(void)
{
	struct notes *n = notes_new();
	struct note one = {.kind = NOTE_FETCHED, .address = "token"};

	for (int i = 0; i < 5000; i++) {
		snprintf(one.name, sizeof(one.name), "name-%d", i);
		notes_put(n, &one);
	}
	one = (struct note){
		.kind = NOTE_PULLED, .name = "bouncer", .address = "192.0.2.1", .release = 7};
	notes_put(n, &one);
	one.release = 0;
	CHECK(notes_get(n, &one));
	CHECK_INT(one.release, 7);
	notes_free(n);
}

static void test_tokens_asked_for(void)
{
	struct tokens *t = tokens_new();
	const struct token_who an = {.name = "an", .role = "feed"};
	struct token_who who = {0};
	uint8_t good[SHA256_LEN] = {1}, bad[SHA256_LEN] = {2};
	int64_t now = 1000 * US_PER_S, old = 5 * US_PER_S;

	CHECK_INT(tokens_get(t, good, 0, now, old, &who), RC_NONE);
	tokens_put(t, good, now, true, &an);
	tokens_put(t, bad, now, false, &an);
	CHECK_INT(tokens_get(t, good, 0, now + old, old, &who), RC_OK);
	CHECK_STR(who.role, "feed");
	CHECK_INT(tokens_get(t, good, 0, now + old + 1, old, &who), RC_NONE);
	CHECK_INT(tokens_get(t, bad, 0, now + old + 1, old, &who), RC_DENIED);
	CHECK_INT(tokens_get(t, bad, 0, now + 60 * US_PER_S, old, &who), RC_NONE);
	bad[31] = 1; /* another one in the same place */
	CHECK_INT(tokens_get(t, bad, 0, now, old, &who), RC_NONE);
	tokens_free(t);
}

static void test_well_formed(void)
{
	CHECK(token_well_formed(SLICE("khn_abcdefghijABCDEFGHIJ0123456789-_abcdefgh")));
	CHECK(!token_well_formed(SLICE("khx_abcdefghijABCDEFGHIJ0123456789-_abcdefgh")));
	CHECK(!token_well_formed(SLICE("khn_abcdefghijABCDEFGHIJ0123456789-_abcdef h")));
	CHECK(!token_well_formed(SLICE("khn_abc")));
	CHECK(!token_well_formed(
		SLICE("khn_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
}

static void test_base64(void)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} cases[] = {{"", ""}, {"YQ==", "a"}, {"YQ", "a"}, {"YWI=", "ab"}, {"YWJj", "abc"},
		{"a2FubmVsOmtobl94LV8=", "kannel:khn_x-_"}, {"w60=", "í"}, {"YW\nJj", NULL},
		{"YWJj YWJj", NULL}, {"!", NULL}, {"-_-_", NULL}, {"AA==", NULL}, {"YQBi", NULL},
		{"YWJjZGVmZ2hpamtsbW5vcA==", NULL}, {"YWJjZGVmZ2hpamtsbW5v", "abcdefghijklmno"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char out[16];
		CHECK_CASE("\"%s\"", cases[i].in);
		bool ok = base64_decode(slice_str(cases[i].in), out, sizeof(out));
		CHECK_INT(ok, cases[i].out != NULL);
		if (ok && cases[i].out != NULL)
			CHECK_STR(out, cases[i].out);
	}
}

static void test_gunzip(void)
{
	static const uint8_t packed[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c, 0x4a, 0x06,
		0, 0xc2, 0x41, 0x24, 0x35, 3, 0, 0, 0}; /* "abc" */
	struct slice all = slice_of((const char *)packed, sizeof(packed));

	for (size_t n = 0; n <= all.len; n++) {
		BUF_OWN struct buf b;
		CHECK_CASE("%zu bytes", n);
		buf_init(&b, 3);
		CHECK_INT(gunzip(slice_of(all.ptr, n), &b), n == all.len);
		if (n == all.len)
			CHECK_SLICE(buf_slice(&b), "abc");
	}
	BUF_OWN struct buf b;
	buf_init(&b, 2);
	CHECK_CASE("over the cap");
	CHECK(!gunzip(all, &b));
}

int main(void)
{
	RUN(test_base64);
	RUN(test_gunzip);
	RUN(test_decode);
	RUN(test_names_do_not_crowd_positions_out);
	RUN(test_answers);
	RUN(test_answers_are_bounded_in_bytes);
	RUN(test_tokens_asked_for);
	RUN(test_well_formed);
	return check_done();
}
