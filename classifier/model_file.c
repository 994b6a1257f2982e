/* The model's file: mapped read-only, checked whole before anything of it is believed. Little-endian on every machine this runs on. The layout
 * is docs/model.md section 3. */
#include "classifier/model.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	AT_BITS = 8,
	AT_SEEN_BITS = 12,
	AT_LEN = 16,
	AT_SUM = 24,
	AT_VERSION = 56,
	AT_BANKS = 96,
	AT_BANK = 104
};

#define NUMBERS 10
#define FILE_MAX (256 * 1024 * 1024)
#define BANK_HEAD (8 + NUMBERS * sizeof(double))
_Static_assert(AT_BANK + MODEL_BANKS * BANK_HEAD <= MODEL_HEAD, "the head has room");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is read as it lies");

static size_t seen_bytes(const struct model *m)
{
	return ((size_t)1 << m->seen_bits) / 8;
}

static size_t cell_bytes(const struct model *m)
{
	return ((size_t)1 << m->bits) * sizeof(struct model_cell);
}

static size_t size_of(const struct model *m)
{
	return MODEL_HEAD + m->banks * (seen_bytes(m) + cell_bytes(m));
}

/* SHA-256 over the file with the sum's own place read as zeros. */
static bool sum_of(struct slice file, uint8_t out[SHA256_LEN])
{
	char *copy = malloc(file.len);

	if (copy == NULL)
		return false;
	memcpy(copy, file.ptr, file.len);
	memset(copy + AT_SUM, 0, SHA256_LEN);
	sha256(slice_of(copy, file.len), out);
	free(copy);
	return true;
}

static bool version_good(const char v[40])
{
	size_t n = strnlen(v, 40);

	for (size_t i = 0; i < n; i++)
		if (!((v[i] >= 'a' && v[i] <= 'z') || (v[i] >= '0' && v[i] <= '9') || v[i] == '.' ||
			    v[i] == '-'))
			return false;
	for (size_t i = n; i < 40; i++)
		if (v[i] != '\0')
			return false;
	return n > 0 && n < 40;
}

static void numbers_of(struct model_bank *b, double n[NUMBERS], bool write)
{
	double *const field[NUMBERS] = {&b->bias[HEAD_BAD], &b->unit[HEAD_BAD], &b->bias[HEAD_SCAM],
		&b->unit[HEAD_SCAM], &b->known_none, &b->known_all, &b->words_all, &b->cap,
		&b->share_bad, &b->share_ham};

	for (size_t i = 0; i < NUMBERS; i++)
		if (write)
			n[i] = *field[i];
		else
			*field[i] = n[i];
}

static const char *bank_wrong(const struct model_bank *b)
{
	for (size_t i = 0; i < sizeof(b->lang); i++)
		if (b->lang[i] != '\0' && !(b->lang[i] >= 'a' && b->lang[i] <= 'z'))
			return "the language of a bank is not written in a-z";
	if (b->lang[sizeof(b->lang) - 1] != '\0')
		return "the language of a bank is too long";
	for (size_t k = 0; k < MODEL_HEADS; k++)
		if (!(fabs(b->bias[k]) <= 100) || !(b->unit[k] >= 0 && b->unit[k] <= 100))
			return "a bias or unit is out of range";
	if (!(b->known_none >= 0 && b->known_none < b->known_all && b->known_all <= 1))
		return "the gate is out of range";
	if (!(b->words_all >= 1 && b->words_all <= 1000) || !(b->cap > 0 && b->cap <= 100))
		return "the gate or the cap is out of range";
	if (!(b->share_bad >= 0 && b->share_bad <= 1) || !(b->share_ham >= 0 && b->share_ham <= 1))
		return "a share is out of range";
	return NULL;
}

static const char *read_bank(struct slice file, struct model *m, size_t k)
{
	const char *head = file.ptr + AT_BANK + k * BANK_HEAD;
	const char *body = file.ptr + MODEL_HEAD + k * (seen_bytes(m) + cell_bytes(m));
	struct model_bank *b = &m->bank[k];
	double number[NUMBERS];

	memcpy(b->lang, head, sizeof(b->lang));
	memcpy(number, head + 8, sizeof(number));
	numbers_of(b, number, false);
	b->seen = (const uint8_t *)body;
	b->cell = (const struct model_cell *)(const void *)(body + seen_bytes(m));
	return bank_wrong(b);
}

enum rc model_parse(struct slice file, struct model *out, struct err *e)
{
	struct model m = {0};
	uint64_t len;
	uint8_t sum[SHA256_LEN];

	if (file.len < MODEL_HEAD || memcmp(file.ptr, MODEL_MAGIC, 8) != 0)
		return err_set(e, RC_INVALID,
			"not a model of this program (it does not begin with " MODEL_MAGIC ")");
	memcpy(&m.bits, file.ptr + AT_BITS, 4);
	memcpy(&m.seen_bits, file.ptr + AT_SEEN_BITS, 4);
	memcpy(&m.banks, file.ptr + AT_BANKS, 4);
	memcpy(&len, file.ptr + AT_LEN, 8);
	if (m.bits < MODEL_BITS_MIN || m.bits > MODEL_BITS_MAX || m.seen_bits < MODEL_BITS_MIN ||
		m.seen_bits > MODEL_BITS_MAX || m.banks < 1 || m.banks > MODEL_BANKS)
		return err_set(e, RC_INVALID, "the head is damaged: sizes out of range");
	if (file.len != len || len != size_of(&m))
		return err_set(e, RC_INVALID, "cut or damaged: %zu bytes instead of %zu", file.len,
			size_of(&m));
	if (!sum_of(file, sum))
		return err_set(e, RC_RETRY, "out of memory");
	if (memcmp(sum, file.ptr + AT_SUM, SHA256_LEN) != 0)
		return err_set(e, RC_INVALID, "damaged: the checksum does not match");
	memcpy(m.version, file.ptr + AT_VERSION, sizeof(m.version));
	if (!version_good(m.version))
		return err_set(e, RC_INVALID, "the version is not 1 to 39 of a-z 0-9 . -");
	for (size_t k = 0; k < m.banks; k++) {
		const char *wrong = read_bank(file, &m, k);

		if (wrong != NULL)
			return err_set(e, RC_INVALID, "%s", wrong);
	}
	memcpy(m.hash, sum, SHA256_LEN);
	*out = m;
	return RC_OK;
}

enum rc model_format(const struct model *m, struct buf *out, struct err *e)
{
	char head[MODEL_HEAD] = MODEL_MAGIC;
	uint64_t len = size_of(m);
	uint8_t sum[SHA256_LEN];

	memcpy(head + AT_BITS, &m->bits, 4);
	memcpy(head + AT_SEEN_BITS, &m->seen_bits, 4);
	memcpy(head + AT_BANKS, &m->banks, 4);
	memcpy(head + AT_LEN, &len, 8);
	memcpy(head + AT_VERSION, m->version, sizeof(m->version));
	for (size_t k = 0; k < m->banks; k++) {
		struct model_bank b = m->bank[k];
		double number[NUMBERS];

		numbers_of(&b, number, true);
		memcpy(head + AT_BANK + k * BANK_HEAD, b.lang, sizeof(b.lang));
		memcpy(head + AT_BANK + k * BANK_HEAD + 8, number, sizeof(number));
	}
	buf_clear(out);
	buf_add(out, slice_of(head, sizeof(head)));
	for (size_t k = 0; k < m->banks; k++) {
		buf_add(out, slice_of((const char *)m->bank[k].seen, seen_bytes(m)));
		buf_add(out, slice_of((const char *)m->bank[k].cell, cell_bytes(m)));
	}
	if (out->failed || !sum_of(buf_slice(out), sum))
		return err_set(e, RC_RETRY, "out of memory");
	memcpy(out->ptr + AT_SUM, sum, sizeof(sum));
	return RC_OK;
}

/* ---- loading ---- */

static enum rc map_file(const char *path, void **map, size_t *len, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	enum rc rc = RC_OK;

	if (fd < 0)
		return err_set(
			e, errno == EACCES ? RC_DENIED : RC_NONE, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = err_set(e, RC_INVALID, "%s: not a regular file", path);
	else if (st.st_size < MODEL_HEAD || st.st_size > FILE_MAX)
		rc = err_set(
			e, RC_INVALID, "%s: %lld bytes are no model", path, (long long)st.st_size);
	else if ((*map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) ==
		MAP_FAILED)
		rc = err_set(e, RC_RETRY, "%s: %s", path, strerror(errno));
	else
		*len = (size_t)st.st_size;
	close(fd);
	return rc;
}

enum rc model_load(const char *path, struct model **out, struct err *e)
{
	OWN(model_free) struct model *m = calloc(1, sizeof(*m));
	void *map = NULL;
	size_t len = 0;
	enum rc rc =
		m != NULL ? map_file(path, &map, &len, e) : err_set(e, RC_RETRY, "out of memory");

	if (rc != RC_OK)
		return rc;
	rc = model_parse(slice_of(map, len), m, e);
	m->map = map;
	m->map_len = len;
	if (rc != RC_OK)
		return err_wrap(e, rc, "%s", path);
	*out = TAKE(m);
	return RC_OK;
}

void model_free(struct model *m)
{
	if (m == NULL)
		return;
	if (m->map != NULL)
		munmap(m->map, m->map_len);
	free(m);
}

const char *model_version(const struct model *m)
{
	return m->version;
}

void model_hash(const struct model *m, uint8_t out[SHA256_LEN])
{
	memcpy(out, m->hash, SHA256_LEN);
}
