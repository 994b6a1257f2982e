/* Who was forgotten, kept outside the database so that no restore brings anybody back: one line "TIME MAC" a person, appended and synced. The MAC
 * says nothing to whoever has no mac.key. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "keep/persons.h"
#include "keep/tree.h"

#define LIST_MAX ((size_t)256 << 20)

enum rc person_forget(struct pg *c, struct slice mac, int64_t at_us, const char *actor,
	const char *why, int64_t *reports, struct err *e)
{
	static const char find[] =
		"SELECT id FROM subject WHERE mac = $1 AND created_at <= $2 FOR UPDATE";
	static const char content[] =
		"UPDATE report SET content = '', extra = '', sender_raw = '' WHERE reporter = $1";
	static const char gone[] = "DELETE FROM subject WHERE id = $1";
	static const char note[] = "INSERT INTO erasure (mac, at, actor, reason) VALUES ($1, $2, "
				   "$3, $4) ON CONFLICT DO NOTHING";
	OWN(arena_free) struct arena *a = arena_new(8192);
	OWN(pg_free) struct pg_result *r = NULL, *done = NULL;

	if (a == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	struct pg_param p[] = {
		pg_p_bytes(mac), pg_p_time(at_us, a), pg_p_str(actor), pg_p_str(why)};
	enum rc rc = pg_run(c, find, p, 2, &r, e);
	*reports = -1;
	if (rc == RC_OK && pg_rows(r) > 0) {
		struct pg_param id[] = {pg_p_int(pg_int(r, 0, 0), a)};
		rc = pg_run(c, content, id, 1, &done, e);
		if (rc == RC_OK)
			*reports = pg_affected(done);
		if (rc == RC_OK)
			rc = pg_run(c, gone, id, 1, NULL, e);
	}
	return rc == RC_OK ? pg_run(c, note, p, ARRAY_LEN(p), NULL, e) : rc;
}

static enum rc append(const char *path, struct slice line, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = fd >= 0 && write(fd, line.ptr, line.len) == (ssize_t)line.len && fsync(fd) == 0;
	enum rc rc = good ? RC_OK : err_set(e, RC_INVALID, "%s: %s", path, strerror(errno));

	if (fd >= 0)
		(void)close(fd);
	return rc;
}

enum rc erasures_append(const struct conf *c, struct slice mac, int64_t at_us, struct err *e)
{
	char at[TIME_TEXT];
	BUF_OWN struct buf b;
	enum rc rc = RC_OK;

	time_format(at_us, at);
	buf_init(&b, 256);
	buf_fmt(&b, "%s ", at);
	buf_hex(&b, mac.ptr, mac.len);
	buf_byte(&b, '\n');
	for (size_t i = 0; i < conf_count(c, "privacy.erasure_files"); i++) {
		struct err one;
		if (append(conf_at(c, "privacy.erasure_files", i), buf_slice(&b), &one) != RC_OK)
			rc = err_set(e, RC_INVALID, "%s", one.text);
	}
	return rc;
}

static bool parse(struct slice line, int64_t *at_us, uint8_t mac[MAC_LEN])
{
	struct slice at;

	if (!slice_cut(&line, ' ', &at) || time_parse(at, at_us) != RC_OK ||
		line.len != 2 * MAC_LEN)
		return false;
	for (size_t i = 0; i < MAC_LEN; i++) {
		unsigned v;
		char two[3] = {line.ptr[2 * i], line.ptr[2 * i + 1], '\0'};
		if (strspn(two, "0123456789abcdef") != 2 || sscanf(two, "%x", &v) != 1)
			return false;
		mac[i] = (uint8_t)v;
	}
	return true;
}

enum rc erasures_replay(struct pg *c, const char *path, int64_t *erased, struct err *e)
{
	BUF_OWN struct buf b;
	uint8_t mac[MAC_LEN];
	int64_t at_us = 0, n = 0;
	int line_no = 0;

	buf_init(&b, LIST_MAX);
	enum rc rc = file_read(path, false, &b, e);
	if (rc != RC_OK)
		return rc;
	struct slice rest = buf_slice(&b);
	for (struct slice line; rc == RC_OK && slice_line(&rest, &line);) {
		line_no++;
		if (!parse(line, &at_us, mac))
			return err_set(
				e, RC_INVALID, "%s:%d: no line of an erasure list", path, line_no);
		rc = person_forget(
			c, slice_of((char *)mac, MAC_LEN), at_us, "restore", "erasure list", &n, e);
		*erased += rc == RC_OK && n >= 0;
	}
	return rc;
}
