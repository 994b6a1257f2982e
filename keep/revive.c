/* A restored database is behind the world: other people hold later releases, and the dead engine's fences. It gets a new lineage, so that a
 * subscriber of the old list starts again instead of trusting numbers that will be given twice. */
#include "keep/revive.h"

#include <inttypes.h>
#include <stdio.h>

#include "audit/audit.h"
#include "keep/persons.h"

/* The log of releases begins anew with what the list is now. */
static const char lineage_sql[] =
	"UPDATE keeper SET epoch = epoch + 1, owner = '', beat = beat + 1;"
	" UPDATE part SET epoch = epoch + 1, owner = '';"
	" UPDATE list_head SET list = gen_random_uuid(), release = release + 1;"
	" DELETE FROM change; DELETE FROM release;"
	" INSERT INTO release (n, list, at, added, removed, count, digest, sms_count, sms_digest)"
	" SELECT release, list, at, 0, 0, count, digest, sms_count, sms_digest FROM list_head";

static enum rc lineage(struct pg *c, struct restore_done *out, struct err *e)
{
	static const char sql[] = "SELECT list FROM list_head";
	static const char newest[] =
		"SELECT greatest((SELECT max(at) FROM audit), (SELECT max(stored_at) FROM report))";
	OWN(pg_free) struct pg_result *old = NULL, *fresh = NULL, *last = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &old, e);

	if (rc == RC_OK)
		rc = pg_run(c, newest, NULL, 0, &last, e);
	if (rc == RC_OK && pg_rows(old) > 0)
		(void)snprintf(out->old_list, sizeof(out->old_list), "%s", pg_text(old, 0, 0).ptr);
	if (rc == RC_OK) {
		out->newest_us = pg_time_us(last, 0, 0);
		rc = pg_script(c, lineage_sql, e);
	}
	static const char again[] = "SELECT list FROM list_head WHERE true";
	if (rc == RC_OK)
		rc = pg_run(c, again, NULL, 0, &fresh, e);
	if (rc == RC_OK && pg_rows(fresh) > 0)
		(void)snprintf(out->list, sizeof(out->list), "%s", pg_text(fresh, 0, 0).ptr);
	return rc;
}

static enum rc forget_again(struct pg *c, const struct state *s, const struct restore_order *o,
	int64_t *erased, struct err *e)
{
	int lists = 0;
	enum rc rc = RC_OK;

	(void)s;
	for (const char **f = o->erasures; rc == RC_OK && f != NULL && *f != NULL; f++, lists++)
		rc = erasures_replay(c, *f, erased, e);
	for (size_t i = 0;
		rc == RC_OK && o->conf != NULL && i < conf_count(o->conf, "privacy.erasure_files");
		i++) {
		rc = erasures_replay(c, conf_at(o->conf, "privacy.erasure_files", i), erased, e);
		lists += rc == RC_OK;
		rc = rc == RC_NONE ? RC_OK : rc;
	}
	if (rc == RC_OK && lists == 0 && !o->no_erasures)
		return err_set(e, RC_INVALID,
			"no erasure list was given and none is where the configuration says: who "
			"was erased after the backup would be back; --erasures FILE, or "
			"--no-erasures when nobody was");
	return rc;
}

struct sum {
	struct digest d;
	int64_t n;
};

static bool add_entry(void *arg, const struct entry *one)
{
	struct sum *s = arg;

	digest_add(&s->d, one);
	s->n++;
	return true;
}

/* The list as any reader would load it, summed up entry by entry. */
static enum rc check_list(struct pg *c, int64_t *entries, struct err *e)
{
	OWN(mirror_free) struct mirror *m = NULL;
	struct list_mark mark;
	struct sum s = {0};
	int64_t synced;
	enum rc rc = mirror_new(&m, e);

	if (rc == RC_OK)
		rc = mirror_follow(m, c, clk_system.mono_us(&clk_system), e);
	if (rc != RC_OK || !mirror_mark(m, &mark, &synced))
		return rc;
	const struct table *t = mirror_pin(m);
	bool whole = table_each(t, -1, add_entry, &s);
	mirror_unpin(t);
	*entries = s.n;
	if (!whole || s.n != mark.count || memcmp(&s.d, &mark.digest, sizeof(s.d)) != 0)
		return err_set(e, RC_INVALID,
			"the list does not add up to its own count and digest: %" PRId64
			" entries, %" PRId64 " were published",
			s.n, mark.count);
	return RC_OK;
}

static enum rc check_books(struct pg *c, const struct state *s, int64_t *records, struct err *e)
{
	static const char sql[] = "SELECT coalesce(sum(records), 0)::bigint, "
				  "coalesce(sum(abs(missing)), 0)::bigint FROM conservation";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	if (rc != RC_OK)
		return rc;
	*records = pg_int(r, 0, 0);
	if (pg_int(r, 0, 1) != 0)
		return err_set(
			e, RC_INVALID, "%" PRId64 " records are in no book", pg_int(r, 0, 1));
	if (*records < s->records)
		return err_set(e, RC_INVALID,
			"%" PRId64 " records are there, the backup had seen %" PRId64, *records,
			s->records);
	return RC_OK;
}

static bool unhex(const char *hex, uint8_t out[SHA256_LEN])
{
	unsigned v;

	for (size_t i = 0; i < SHA256_LEN; i++) {
		if (sscanf(hex + 2 * i, "%2x", &v) != 1)
			return false;
		out[i] = (uint8_t)v;
	}
	return true;
}

enum rc revive(struct pg *c, const struct state *s, const struct restore_order *o,
	struct restore_done *out, struct err *e)
{
	uint8_t head[SHA256_LEN];
	char line[160];
	bool known = s->audit_hash[0] != '\0' && unhex(s->audit_hash, head);
	int64_t now_us = clk_system.now_us(&clk_system);
	enum rc rc = audit_verify(c, known ? s->audit_seq : 0, head, &out->links, e);

	if (rc == RC_OK)
		rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = lineage(c, out, e);
	if (rc == RC_OK)
		rc = forget_again(c, s, o, &out->erased, e);
	(void)snprintf(line, sizeof(line), "restore list=%s was=%s erased=%" PRId64 "\n", out->list,
		out->old_list, out->erased);
	if (rc == RC_OK)
		rc = audit_append(c, now_us, "restore", "restore", slice_str(line), e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	rc = check_books(c, s, &out->records, e);
	return rc == RC_OK ? check_list(c, &out->entries, e) : rc;
}
