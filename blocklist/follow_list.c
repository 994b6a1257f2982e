/* The list that a follower holds: lines in one sorted array, so that the file is written as they stand and a sender is found by halving. Its
 * count and digest are computed from the lines themselves, never taken from who sent them. Leaves out where they come from, and changes: follow_edit.c. */
#include "blocklist/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEAD_MARK "# "

void follow_list_done(struct follow_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->lines[i]);
	free(l->lines);
	*l = (struct follow_list){0};
}

static bool room_for_one(struct follow_list *l)
{
	if (l->n < l->room)
		return true;
	size_t room = l->room == 0 ? 1024 : 2 * l->room;
	char **lines = realloc(l->lines, room * sizeof(*lines));

	if (lines == NULL)
		return false;
	l->lines = lines;
	l->room = room;
	return true;
}

enum rc follow_list_add(struct follow_list *l, const struct entry *one, struct err *e)
{
	char line[FOLLOW_LINE], *copy = NULL;

	(void)entry_line(one, line, sizeof(line));
	if (!room_for_one(l) || (copy = strdup(line)) == NULL)
		return err_set(e, RC_RETRY, "out of memory");
	l->lines[l->n++] = copy;
	l->mark.count++;
	digest_add(&l->mark.digest, one);
	return RC_OK;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is before the third bar from the end, for a name may hold bars. */
size_t follow_key_len(const char *line)
{
	size_t at = strlen(line);

	for (int bars = 0; at > 0 && bars < 3; at--)
		bars += line[at - 1] == '|';
	return at + 1;
}

static bool same_sender(const char *a, const char *b)
{
	size_t n = follow_key_len(a);

	return n == follow_key_len(b) && memcmp(a, b, n) == 0;
}

enum rc follow_list_sort(struct follow_list *l, struct err *e)
{
	if (l->n > 1)
		qsort(l->lines, l->n, sizeof(*l->lines), by_bytes);
	for (size_t i = 1; i < l->n; i++)
		if (same_sender(l->lines[i - 1], l->lines[i]))
			return err_set(e, RC_CONFLICT, "two entries of one sender");
	return RC_OK;
}

size_t follow_list_at(const struct follow_list *l, const char *text)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(l->lines[mid], text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

char *follow_list_line(const struct follow_list *l, const char *key, size_t n)
{
	for (size_t i = follow_list_at(l, key); i < l->n && strncmp(l->lines[i], key, n) == 0; i++)
		if (follow_key_len(l->lines[i]) == n) /* not of a name that goes on with a bar */
			return l->lines[i];
	return NULL;
}

const char *follow_list_get(
	const struct follow_list *l, const char *scope, const char *value, const char *service)
{
	char key[FOLLOW_LINE];
	int n = snprintf(key, sizeof(key), "%s|%s|%s|", scope, value, service);

	return n > 0 && (size_t)n < sizeof(key) ? follow_list_line(l, key, (size_t)n) : NULL;
}

/* ---- the file */

static bool put_all(const struct follow_list *l, FILE *f, const char *service)
{
	char hex[65];

	digest_hex(&l->mark.digest, hex);
	if (fprintf(f, HEAD_MARK "%s|%" PRId64 "|%" PRId64 "|%s|%s\n", l->mark.list,
		    l->mark.release, l->mark.count, hex, service) < 0)
		return false;
	for (size_t i = 0; i < l->n; i++)
		if (fputs(l->lines[i], f) < 0 || fputc('\n', f) == EOF)
			return false;
	return fflush(f) == 0 && fsync(fileno(f)) == 0;
}

enum rc follow_list_save(
	const struct follow_list *l, const char *path, const char *service, struct err *e)
{
	char beside[4200];
	int why = 0;

	(void)snprintf(beside, sizeof(beside), "%.4096s.new", path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL)
		return err_set(e, RC_RETRY, "%s: %s", beside, strerror(errno));
	if (!put_all(l, f, service))
		why = errno;
	if (fclose(f) != 0 && why == 0)
		why = errno;
	if (why == 0 && rename(beside, path) != 0)
		why = errno;
	if (why == 0)
		return RC_OK;
	(void)unlink(beside);
	return err_set(e, RC_RETRY, "%s: %s", path, strerror(why));
}

/* The part behind the last bar of *s, which stays what is before it. */
static bool cut_last(struct slice *s, struct slice *out)
{
	const char *bar = s->len > 0 ? memrchr(s->ptr, '|', s->len) : NULL;

	if (bar == NULL)
		return false;
	*out = slice_of(bar + 1, (size_t)(s->ptr + s->len - bar - 1));
	s->len = (size_t)(bar - s->ptr);
	return out->len > 0;
}

/* A line back into an entry; the texts are cut in place, in `room`. */
static bool entry_of_line(struct slice line, char room[FOLLOW_LINE], struct entry *out)
{
	struct slice value = {0}, scope, service, action, case_id, until;
	uint64_t until_s = 0;

	if (line.len == 0 || line.len >= FOLLOW_LINE || memchr(line.ptr, '\0', line.len) != NULL)
		return false;
	memcpy(room, line.ptr, line.len);
	room[line.len] = '\0';
	value = slice_of(room, line.len);
	if (!cut_last(&value, &until) || !cut_last(&value, &case_id) ||
		!cut_last(&value, &action) || !cut_last(&value, &service) ||
		!slice_cut(&value, '|', &scope) || value.len == 0 || value.len >= SENDER_TEXT)
		return false;
	room[value.ptr - room + (ptrdiff_t)value.len] = '\0';
	room[action.ptr - room + (ptrdiff_t)action.len] = '\0';
	room[case_id.ptr - room + (ptrdiff_t)case_id.len] = '\0';
	*out = (struct entry){.scope = scope_parse(scope),
		.value = value.ptr,
		.action = action.ptr,
		.case_id = case_id.ptr,
		.basis = ""};
	if (out->scope == SCOPE_NONE || !service_parse(service, &out->service) ||
		slice_u64(until, &until_s) != RC_OK || until_s > INT64_MAX || action.len > 16 ||
		case_id.len > 64)
		return false;
	out->until_s = (int64_t)until_s;
	return true;
}

static bool head_of(struct slice line, const char *service, struct list_mark *out)
{
	struct slice part[5], rest;
	uint64_t release = 0, count = 0;

	if (!slice_starts(line, SLICE(HEAD_MARK)))
		return false;
	rest = slice_of(line.ptr + 2, line.len - 2);
	part[4] = SLICE(""); /* both services: nothing is behind the last bar */
	for (int i = 0; i < 5; i++)
		if (!slice_cut(&rest, '|', &part[i]) && i < 4)
			return false;
	*out = (struct list_mark){0};
	if (!list_name_fits(part[0]) || slice_u64(part[1], &release) != RC_OK ||
		slice_u64(part[2], &count) != RC_OK ||
		digest_parse(part[3], &out->digest) != RC_OK || release > INT64_MAX ||
		count > INT64_MAX || !slice_eq(part[4], slice_str(service)))
		return false;
	memcpy(out->list, part[0].ptr, part[0].len);
	out->release = (int64_t)release;
	out->count = (int64_t)count;
	return true;
}

static enum rc read_lines(struct follow_list *l, struct slice text, struct err *e)
{
	char room[FOLLOW_LINE];
	enum rc rc = RC_OK;

	for (struct slice line; rc == RC_OK && slice_line(&text, &line);) {
		struct entry one;

		if (!entry_of_line(line, room, &one))
			return err_set(e, RC_NONE, "a line that is no entry");
		rc = follow_list_add(l, &one, e);
	}
	return rc == RC_OK ? follow_list_sort(l, e) : rc;
}

enum rc follow_list_read(
	struct follow_list *l, struct slice text, const char *service, struct err *e)
{
	FOLLOW_LIST_OWN struct follow_list read = {0};
	struct list_mark head;
	struct slice line;

	if (!slice_line(&text, &line) || !head_of(line, service, &head))
		return err_set(e, RC_NONE, "its first line is no head of ours");
	enum rc rc = read_lines(&read, text, e);

	if (rc != RC_OK)
		return rc == RC_RETRY ? rc : RC_NONE;
	if (read.mark.count != head.count || !digest_same(&read.mark.digest, &head.digest))
		return err_set(e, RC_NONE, "its lines are not what its head says");
	read.mark = head;
	follow_list_done(l);
	*l = read;
	read = (struct follow_list){0};
	return RC_OK;
}

enum rc follow_list_load(
	struct follow_list *l, const char *path, const char *service, struct err *e)
{
	BUF_OWN struct buf file;

	buf_init(&file, (size_t)1 << 32);
	enum rc rc = file_read(path, false, &file, e);

	if (rc != RC_OK)
		return rc;
	rc = follow_list_read(l, buf_slice(&file), service, e);
	return rc == RC_OK ? rc : err_wrap(e, rc, "%s", path);
}
