/* crypto and keys: known answers, every bit of a sealed field counts, and files that others can read are refused. */
#include "base/crypto.h"
#include "tests/unit/check.h"

static char dir[CHECK_PATH];

static const char *hex(const uint8_t *p, size_t len)
{
	static char out[2][200];
	static int turn;
	struct buf b;

	buf_init(&b, 199);
	buf_hex(&b, p, len);
	turn = !turn;
	(void)snprintf(out[turn], sizeof(out[0]), "%s", b.ptr);
	buf_done(&b);
	return out[turn];
}

static void test_sha256(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"number|84912345678|sms|bar|c-7k3q9w2m4x5zt|1790000000",
			"e0610664e425b1fee24d41fee5df43dbd24451e55eb1c9be3156eab6c4665b10"},
		{"name|vietcombank-tb|sms|bar|c-0000000000001|0",
			"e0d67f22555d4ac78cc372878531304157bc5469a87fb777393d5c360a7ee374"},
	};
	uint8_t out[SHA256_LEN];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%s", cases[i].in);
		sha256(slice_str(cases[i].in), out);
		CHECK_STR(hex(out, sizeof(out)), cases[i].want);
	}
	sha256(slice_of(NULL, 0), out);
	CHECK_STR(hex(out, sizeof(out)), cases[0].want);
}

static void test_random(void)
{
	uint8_t a[64] = {0}, b[64] = {0};

	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK(random_u64() != random_u64());
	CHECK(const_time_eq("abc", "abc", 3) && !const_time_eq("abc", "abd", 3));
}

static void test_seal(void)
{
	uint8_t key[KEY_LEN] = {7}, other[KEY_LEN] = {8}, sealed[5 + SEAL_EXTRA] = {0};
	uint8_t again[5 + SEAL_EXTRA], out[5];
	struct slice s = slice_of((const char *)sealed, sizeof(sealed));

	seal(key, SLICE("row 1"), SLICE("plain"), sealed);
	seal(key, SLICE("row 1"), SLICE("plain"), again);
	CHECK(memcmp(sealed, again, sizeof(sealed)) != 0);
	CHECK_RC(unseal(key, SLICE("row 1"), s, out), RC_OK, NULL);
	CHECK_SLICE(slice_of((const char *)out, sizeof(out)), "plain");
	CHECK_RC(unseal(key, SLICE("row 2"), s, out), RC_INVALID, NULL);
	CHECK(memcmp(out, "\0\0\0\0\0", 5) == 0); /* wiped, not half told */
	CHECK_RC(unseal(other, SLICE("row 1"), s, out), RC_INVALID, NULL);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK_CASE("bit %zu", bit);
		CHECK_RC(unseal(key, SLICE("row 1"), s, out), RC_INVALID, NULL);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < sizeof(sealed); len++)
		CHECK_RC(unseal(key, SLICE("row 1"), slice_of(s.ptr, len), out), RC_INVALID, NULL);
	CHECK_RC(unseal(key, SLICE("row 1"), s, out), RC_OK, NULL);

	/* the empty text has a seal too */
	seal(key, slice_str(NULL), slice_str(NULL), sealed);
	CHECK_RC(unseal(key, SLICE(""), slice_of(s.ptr, SEAL_EXTRA), out), RC_OK, NULL);
}

/* The keys are bytes 0, 1, 2 …; the answers were computed apart from this program. */
static void test_known_macs(void)
{
	char path[CHECK_PATH], bytes[96];
	OWN(keys_free) struct keys *k = NULL;
	uint8_t mac[MAC_LEN], token[SHA256_LEN], sealed[3 + SEAL_EXTRA], out[3];
	struct err e = {.text = ""};

	for (int i = 0; i < 96; i++)
		bytes[i] = (char)i;
	check_file(dir, "mac.key", slice_of(bytes, 32), NULL);
	check_file(dir, "token.key", slice_of(bytes + 32, 32), NULL);
	check_file(dir, "wrap.key", slice_of(bytes + 64, 32), path);
	CHECK_RC(keys_open(dir, &k, &e), RC_OK, &e);
	if (k == NULL)
		return;
	keys_mac(k, "reporter", SLICE("84912345678"), mac);
	CHECK_STR(hex(mac, sizeof(mac)), "5c15d55358ed25cbf5d08a6d38b811f5");
	keys_mac(k, "report", SLICE("er84912345678"), mac);
	CHECK(strcmp(hex(mac, sizeof(mac)), "5c15d55358ed25cbf5d08a6d38b811f5") != 0);
	keys_token_mac(k, SLICE("secret-token"), token);
	CHECK_STR(hex(token, sizeof(token)),
		"0cfb470d831decf618ca92a57976f787ec681bee450d76dea838c0aaf12464f9");
	keys_seal(k, SLICE("a"), SLICE("xyz"), sealed);
	CHECK_RC(unseal((const uint8_t *)bytes + 64, SLICE("a"),
			 slice_of((const char *)sealed, sizeof(sealed)), out),
		RC_OK, NULL);
	CHECK_RC(keys_unseal(k, SLICE("a"), slice_of((const char *)sealed, sizeof(sealed)), out),
		RC_OK, NULL);
	CHECK_SLICE(slice_of((const char *)out, 3), "xyz");
}

static void test_bad_key_files(void)
{
	static const char *const all[] = {"mac.key", "wrap.key", "token.key"};
	char path[CHECK_PATH * 2], bytes[33] = "0123456789012345678901234567890x";
	struct keys *k = NULL;
	struct err e = {.text = ""};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		CHECK_CASE("%s", all[i]);
		check_file(dir, all[i], slice_of(bytes, 31), path);
		CHECK_RC(keys_open(dir, &k, &e), RC_INVALID, &e);
		CHECK_HAS(e.text, all[i]);
		check_file(dir, all[i], slice_of(bytes, 33), path);
		CHECK_RC(keys_open(dir, &k, &e), RC_INVALID, &e);
		check_file(dir, all[i], slice_of(bytes, 32), path);
		CHECK_INT(chmod(path, 0644), 0);
		CHECK_RC(keys_open(dir, &k, &e), RC_DENIED, &e);
		CHECK_HAS(e.text, "0644");
		CHECK_INT(unlink(path), 0);
		CHECK_RC(keys_open(dir, &k, &e), RC_NONE, &e);
		CHECK_RC(keys_create(dir, &e), RC_CONFLICT, &e); /* the other two are there */
		CHECK(k == NULL);
		check_file(dir, all[i], slice_of(bytes, 32), path);
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, all[i]);
		CHECK_INT(unlink(path), 0);
	}
}

static void test_create(void)
{
	static const char *const all[] = {"mac.key", "wrap.key", "token.key"};
	char sub[CHECK_PATH * 2], path[CHECK_PATH * 3];
	OWN(keys_free) struct keys *k = NULL;
	struct err e = {.text = ""};
	struct stat st;

	(void)snprintf(sub, sizeof(sub), "%s/keys", dir);
	(void)umask(0);
	CHECK_RC(keys_create(sub, &e), RC_OK, &e);
	CHECK_RC(keys_open(sub, &k, &e), RC_OK, &e);
	CHECK_RC(keys_create(sub, &e), RC_CONFLICT, &e);
	CHECK_INT(stat(sub, &st), 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", sub, all[i]);
		CHECK_INT(stat(path, &st), 0);
		CHECK_INT(st.st_mode & 07777, 0600);
		CHECK_INT(st.st_size, KEY_LEN);
		CHECK_INT(unlink(path), 0);
		CHECK_RC(keys_create(sub, &e), i + 1 < ARRAY_LEN(all) ? RC_CONFLICT : RC_OK, &e);
	}
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", sub, all[i]);
		CHECK_INT(unlink(path), 0);
	}
	CHECK_INT(rmdir(sub), 0);
	CHECK_RC(keys_create("/proc/none/keys", &e), RC_INVALID, &e);
}

int main(void)
{
	check_dir(dir);
	RUN(test_sha256);
	RUN(test_random);
	RUN(test_seal);
	RUN(test_known_macs);
	RUN(test_bad_key_files);
	RUN(test_create);
	CHECK_INT(rmdir(dir), 0);
	return check_done();
}
