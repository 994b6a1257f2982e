/* Any bytes as a model file and as labelled texts; and any text judged by a model whose head is good. The first byte chooses. */
#include "classifier/train.h"

#include <assert.h>
#include <stdlib.h>

static struct pack *pack;

static void open_pack(void)
{
	struct complaints c;
	struct err e;

	complaints_init(&c);
	if (pack_load(SOURCE_DIR "/etc/rules", SOURCE_DIR "/etc/fold/homoglyphs.tsv", &c, &pack,
		    &e) != RC_OK)
		abort();
	complaints_done(&c);
}

static void judge(const struct model *m, struct slice text)
{
	static struct features f;
	struct model_said s;

	model_judge(m, text, &f, &s);
	assert(s.alone >= -100 && s.alone <= 100 && s.scam >= 0 && s.scam <= 1 && s.known >= 0 &&
		s.known <= 1);
	assert(s.from <= s.to && s.to <= text.len);
}

/* The bytes stand for the first of a small model: its checksum is put right, so that what stands behind it is met too. */
static void file(struct slice bytes)
{
	static char whole[MODEL_HEAD + (1 << MODEL_BITS_MIN) / 8 +
		(1 << MODEL_BITS_MIN) * sizeof(struct model_cell)];
	uint8_t sum[SHA256_LEN];
	struct model m;
	struct err e;

	if (model_parse(bytes, &m, &e) == RC_OK)
		judge(&m, SLICE("cho vay tien nhanh"));
	memset(whole, 0, sizeof(whole));
	memcpy(whole, bytes.ptr, bytes.len < sizeof(whole) ? bytes.len : sizeof(whole));
	memset(whole + 24, 0, SHA256_LEN);
	sha256(slice_of(whole, sizeof(whole)), sum);
	memcpy(whole + 24, sum, SHA256_LEN);
	if (model_parse(slice_of(whole, sizeof(whole)), &m, &e) == RC_OK)
		judge(&m, SLICE("cho vay tien nhanh"));
}

static void texts(struct slice bytes)
{
	struct complaints c;
	struct texts *t = NULL;
	struct err e;

	complaints_init(&c);
	if (texts_new(pack, &t, &e) == RC_OK &&
		texts_parse(t, "f", bytes, false, &c, &e) == RC_OK) {
		enum rc rc = texts_settle(t, &e);

		assert(rc == RC_OK && t->n + t->doubles + t->empty <= bytes.len);
	}
	texts_free(t);
	complaints_done(&c);
}

static void text(struct slice bytes)
{
	static struct model *m;
	struct err e;

	if (m == NULL && model_load(SOURCE_DIR "/etc/model/shipped.khm", &m, &e) != RC_OK)
		abort();
	judge(m, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct slice rest = slice_of((const char *)data + 1, size - 1);
	if (pack == NULL)
		open_pack();
	if (data[0] == 'F')
		file(rest);
	else if (data[0] == 'T')
		texts(rest);
	else
		text(rest);
	return 0;
}
