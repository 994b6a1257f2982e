/* What `khien send` remembers between runs: how far each file came, and how much a demonstration broker was given. Small text files, replaced
 * whole. A position belongs to source, topic and file; when the beginning of the file has changed it is another file and starts anew. */
#include "ingest/send.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 4096
#define STATE_CAP 16384

static enum rc state_path(
	const char *dir, const char *what, struct slice id, char out[512], struct err *e)
{
	uint8_t hash[SHA256_LEN];
	int n;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_set(e, RC_INVALID, "state folder %s: %s", dir, strerror(errno));
	sha256(id, hash);
	n = snprintf(out, 512, "%s/%s-%02x%02x%02x%02x%02x%02x%02x%02x", dir, what, hash[0],
		hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]);
	return n > 0 && n < 512 ? RC_OK
				: err_set(e, RC_INVALID, "state folder %s: name too long", dir);
}

static enum rc replace(const char *path, const struct buf *text, struct err *e)
{
	char temp[520];
	bool good;
	FILE *f;

	(void)snprintf(temp, sizeof(temp), "%s.new", path);
	f = fopen(temp, "we");
	if (f == NULL)
		return err_set(e, RC_INVALID, "%s: %s", temp, strerror(errno));
	good = !text->failed && fwrite(text->ptr, 1, text->len, f) == text->len;
	good = fclose(f) == 0 && good;
	if (!good || rename(temp, path) != 0)
		return err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	return RC_OK;
}

/* RC_NONE: there is no such file. */
static enum rc read_state(const char *path, struct buf *out, struct err *e)
{
	FILE *f = fopen(path, "re");
	char part[1024];
	size_t n;

	if (f == NULL)
		return errno == ENOENT ? RC_NONE
				       : err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		buf_add(out, slice_of(part, n));
	(void)fclose(f);
	return out->failed ? err_set(e, RC_INVALID, "%s: damaged; delete it to start anew", path)
			   : RC_OK;
}

/* SHA-256 of the first bytes of the file as it is now, in hex. */
static enum rc head_of(const struct lines *l, uint64_t upto, char out[65], struct err *e)
{
	BUF_OWN struct buf hex;
	uint8_t hash[SHA256_LEN];
	char bytes[HEAD_BYTES];
	size_t want = upto < HEAD_BYTES ? (size_t)upto : HEAD_BYTES;
	ssize_t n = pread(fileno(l->f), bytes, want, 0);

	buf_init(&hex, 65);
	if (n < 0)
		return err_set(e, RC_INVALID, "%s: %s", l->name, strerror(errno));
	sha256(slice_of(bytes, (size_t)n), hash);
	buf_hex(&hex, hash, sizeof(hash));
	(void)snprintf(out, 65, "%s", hex.ptr != NULL ? hex.ptr : "");
	return RC_OK;
}

/* "NAME VALUE" lines. */
static struct slice value_of(struct slice text, const char *name)
{
	struct slice line, word;

	while (slice_line(&text, &line))
		if (slice_cut(&line, ' ', &word) && slice_eq(word, slice_str(name)))
			return line;
	return SLICE("");
}

enum rc position_load(const char *dir, const char *source, const char *topic, const struct lines *l,
	struct position *out, struct err *e)
{
	BUF_OWN struct buf id, text;
	struct position p = {0};
	char head[65], *real = realpath(l->name, NULL);
	enum rc rc;

	buf_init(&id, 8192);
	buf_init(&text, STATE_CAP);
	buf_fmt(&id, "%s|%s|%s", source, topic, real != NULL ? real : l->name);
	free(real);
	rc = state_path(dir, "file", buf_slice(&id), p.path, e);
	if (rc != RC_OK)
		return rc;
	rc = read_state(p.path, &text, e);
	if (rc != RC_OK && rc != RC_NONE)
		return rc;
	if (rc == RC_OK && slice_u64(value_of(buf_slice(&text), "at"), &p.at) == RC_OK &&
		slice_u64(value_of(buf_slice(&text), "line"), &p.line) == RC_OK &&
		slice_u64(value_of(buf_slice(&text), "records"), &p.records) == RC_OK &&
		p.at <= l->size) {
		rc = head_of(l, p.at, head, e);
		if (rc != RC_OK)
			return rc;
		if (!slice_eq(value_of(buf_slice(&text), "head"), slice_str(head)))
			p.at = p.line = p.records = 0;
	} else {
		p.at = p.line = p.records = 0;
	}
	*out = p;
	return RC_OK;
}

enum rc position_save(struct position *p, const struct lines *l, struct err *e)
{
	BUF_OWN struct buf text;
	enum rc rc = head_of(l, p->at, p->head, e);

	buf_init(&text, STATE_CAP);
	if (rc != RC_OK)
		return rc;
	/* the name last: it may hold anything */
	buf_fmt(&text, "at %" PRIu64 "\nline %" PRIu64 "\nrecords %" PRIu64 "\nhead %s\nname %s\n",
		p->at, p->line, p->records, p->head, l->name);
	return replace(p->path, &text, e);
}

enum rc budget_load(const char *dir, const struct kafka_source *s, const char *topic,
	struct budget *out, struct err *e)
{
	BUF_OWN struct buf id, text;
	struct slice rest, line;
	enum rc rc;

	buf_init(&id, 8192);
	buf_init(&text, STATE_CAP);
	memset(out, 0, sizeof(*out));
	if (!s->demo)
		return RC_OK;
	out->partitions = 1; /* not known: as if all came to one */
	for (size_t i = 0; i < s->topic_count; i++)
		if (strcmp(s->topics[i].name, topic) == 0 &&
			s->topics[i].partitions <= BUDGET_PARTITIONS)
			out->partitions = s->topics[i].partitions;
	buf_fmt(&id, "%s|%s|%s", s->source, s->brokers, topic);
	rc = state_path(dir, "demo", buf_slice(&id), out->path, e);
	if (rc != RC_OK || (rc = read_state(out->path, &text, e)) == RC_NONE)
		return rc == RC_NONE ? RC_OK : rc;
	rest = buf_slice(&text);
	for (int i = 0; rc == RC_OK && i < out->partitions && slice_line(&rest, &line); i++)
		if (slice_u64(line, &out->bytes[i]) != RC_OK)
			rc = err_set(
				e, RC_INVALID, "%s: damaged; delete it to start anew", out->path);
	return rc;
}

enum rc budget_save(const struct budget *b, struct err *e)
{
	BUF_OWN struct buf text;

	buf_init(&text, STATE_CAP);
	if (b->partitions == 0)
		return RC_OK;
	for (int i = 0; i < b->partitions; i++)
		buf_fmt(&text, "%" PRIu64 "\n", b->bytes[i]);
	return replace(b->path, &text, e);
}

bool budget_take(struct budget *b, struct slice key, size_t len, int32_t *partition)
{
	uint32_t hash = 2166136261u; /* FNV-1a */
	size_t at;

	*partition = -1;
	if (b->partitions == 0)
		return true;
	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.ptr[i]) * 16777619u;
	at = hash % (unsigned)b->partitions;
	/* what Kafka stores besides key and value: about 70 bytes when batched one by one */
	if (b->bytes[at] + key.len + len + 70 > SEND_DEMO_BYTES)
		return false;
	b->bytes[at] += key.len + len + 70;
	if (b->partitions > 1)
		*partition = (int32_t)at;
	return true;
}
