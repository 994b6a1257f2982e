/* The sample reports against their expected outcomes, which were written from docs/judgement.md before there was an engine: every record's
 * disposition, reason, id and weight. The claim of an id, which the ledger makes, is a table here. */
#include "ingest/send.h"
#include "tests/unit/ingest_world.h"

#include <dirent.h>

#define SAMPLES SOURCE_DIR "/tests/data/reports"
#define NOW_US (INT64_C(1788142500) * US_PER_S) /* 2026-08-31T09:15:00+07:00 */
#define CLAIMS 2000

static struct world w;
static struct {
	uint8_t id[MAC_LEN], body[MAC_LEN];
} claims[CLAIMS];
static size_t claimed, records;

/* "{{-1d2h3m4s}}" at the start of `s`: how long it is, 0 when there is none. */
static size_t token(struct slice s, int64_t *ago_us)
{
	int64_t n = 0;

	*ago_us = 0;
	if (!slice_starts(s, SLICE("{{-")))
		return 0;
	for (size_t i = 3; i + 1 < s.len; i++) {
		char c = s.ptr[i];

		if (c >= '0' && c <= '9')
			n = n * 10 + (c - '0');
		else if (c == '}')
			return s.ptr[i + 1] == '}' ? i + 2 : 0;
		else {
			*ago_us += n *
				(c == 'd'                  ? US_PER_DAY
						: c == 'h' ? US_PER_HOUR
						: c == 'm' ? 60 * US_PER_S
							   : US_PER_S);
			n = 0;
		}
	}
	return 0;
}

static struct slice with_times(struct slice record, struct buf *out)
{
	int64_t ago;
	char text[TIME_TEXT];

	buf_clear(out);
	for (size_t i = 0, n; i < record.len; i += n) {
		n = token(slice_of(record.ptr + i, record.len - i), &ago);
		if (n > 0) {
			time_format(NOW_US - ago, text);
			buf_add(out, slice_str(text));
		} else {
			n = 1;
			buf_byte(out, record.ptr[i]);
		}
	}
	return buf_slice(out);
}

/* Checks 15 and 16. */
static void claim(struct report *r)
{
	if (r->disposition == DISP_QUARANTINED)
		return;
	for (size_t i = 0; i < claimed; i++) {
		if (memcmp(claims[i].id, r->id_hash, MAC_LEN) != 0)
			continue;
		r->reason = memcmp(claims[i].body, r->body_mac, MAC_LEN) == 0 ? "duplicate"
									      : "conflict";
		r->disposition = r->reason[0] == 'd' ? DISP_DUPLICATE : DISP_QUARANTINED;
		return;
	}
	if (claimed == CLAIMS)
		exit(1);
	memcpy(claims[claimed].id, r->id_hash, MAC_LEN);
	memcpy(claims[claimed++].body, r->body_mac, MAC_LEN);
}

static const char *weight(const struct report *r)
{
	if (r->disposition != DISP_ACCEPTED || r->sender.scope == SCOPE_NONE)
		return "-";
	return r->counts ? "1" : "0";
}

/* line report_id disposition reason vote_weight why */
static void compare(const struct report *r, struct slice row)
{
	struct slice line = {0}, id = {0}, disposition = {0}, reason = {0}, vote = {0};

	CHECK(slice_cut(&row, '\t', &line) && slice_cut(&row, '\t', &id) &&
		slice_cut(&row, '\t', &disposition) && slice_cut(&row, '\t', &reason) &&
		slice_cut(&row, '\t', &vote));
	CHECK_SLICE(disposition, disposition_name(r->disposition));
	CHECK_SLICE(reason, r->reason);
	CHECK_SLICE(vote, weight(r));
	CHECK(slice_eq(id, r->report_id.len > 0 ? r->report_id : SLICE("-")));
}

static void one_file(const char *name)
{
	BUF_OWN struct buf value;
	struct lines in, want;
	char path[1024];
	struct err e;

	buf_init(&value, (size_t)1 << 20);
	(void)snprintf(path, sizeof(path), "%s/%s.jsonl", SAMPLES, name);
	CHECK_RC(lines_open(&in, path, &e), RC_OK, &e);
	(void)snprintf(path, sizeof(path), "%s/%s.expect.tsv", SAMPLES, name);
	CHECK_RC(lines_open(&want, path, &e), RC_OK, &e);
	for (bool head = true;; head = false) {
		enum line_kind kind;
		struct slice record, row;
		struct report r;
		const char *why;
		bool escaped;

		CHECK_RC(lines_next(&want, &kind, &row, &why, &e), RC_OK, &e);
		if (head)
			continue;
		if (kind == LINE_END)
			break;
		CHECK_RC(lines_next(&in, &kind, &record, &why, &e), RC_OK, &e);
		CHECK_CASE("%s:%d", name, (int)in.line);
		if (!CHECK_INT(kind, LINE_RECORD))
			break;
		escaped = in.text.ptr[0] == '\001';
		arena_reset(w.arena);
		world_decode(&w, escaped ? record : with_times(record, &value), &r);
		claim(&r);
		compare(&r, row);
		records++;
	}
	lines_close(&in);
	lines_close(&want);
}

static int is_sample(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] >= '0' && d->d_name[0] <= '9' && dot != NULL &&
		strcmp(dot, ".jsonl") == 0;
}

static void test_samples(void)
{
	struct dirent **names = NULL;
	int n = scandir(SAMPLES, &names, is_sample, alphasort);

	for (int i = 0; i < n; i++) {
		*strrchr(names[i]->d_name, '.') = '\0';
		one_file(names[i]->d_name);
		free(names[i]);
	}
	free(names);
	CHECK(records >= 600);
}

int main(void)
{
	world_init(&w);
	RUN(test_samples);
	world_done(&w);
	return check_done();
}
