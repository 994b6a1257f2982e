/* What a person may ask of us: to see what is kept, to be forgotten, to be answered in time. A look is in the audit before anything is shown. Erasing
 * goes to the lists outside first: a list that names somebody who is still here does no harm, the other way round a restore would. */
#include <stdio.h>
#include <stdlib.h>

#include "audit/audit.h"
#include "keep/persons.h"

#define SCRATCH ((size_t)1 << 16)

static void mac_of_number(const struct keys *k, const char *number, uint8_t mac[MAC_LEN])
{
	keys_mac(k, "reporter", slice_str(number), mac);
}

static enum rc noted(struct pg *c, const struct person_order *o, const char *what, struct err *e)
{
	char line[400], masked[MASKED_TEXT];

	(void)snprintf(line, sizeof(line), "%s number/%s why=%.200s\n", what,
		log_mask(slice_str(o->number), masked), o->why);
	for (char *p = line; *p != '\0'; p++)
		if (*p == '\n' && p[1] != '\0')
			*p = ' ';
	return audit_append(c, o->now_us, o->actor, what, slice_str(line), e);
}

static enum rc noted_alone(
	struct pg *c, const struct person_order *o, const char *what, struct err *e)
{
	enum rc rc = pg_script(c, "BEGIN", e);

	if (rc == RC_OK)
		rc = noted(c, o, what, e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK)
		pg_rollback(c);
	return rc;
}

int64_t working_days_after(int64_t at_us, int64_t days)
{
	int64_t day = time_day_vn(at_us);

	while (days > 0) {
		day++;
		int64_t weekday =
			((day % 7) + 7 + 3) % 7; /* 1970-01-01 was a Thursday; 0 is Monday */
		if (weekday < 5)
			days--;
	}
	return (day + 1) * US_PER_DAY - 7 * US_PER_HOUR;
}

/* ---- shown ---- */

static void put_text(struct buf *out, const char *key, struct slice s)
{
	buf_fmt(out, ",\"%s\":", key);
	buf_json(out, s);
}

static void put_time(struct buf *out, const char *key, int64_t us)
{
	char at[TIME_TEXT];

	if (us == TIME_NONE)
		return;
	time_format(us, at);
	buf_fmt(out, ",\"%s\":\"%s\"", key, at);
}

static enum rc show_reports(struct pg *c, int64_t id, struct buf *out, struct err *e)
{
	static const char sql[] =
		"SELECT r.report_id, r.received_at, r.occurred_at, r.kind, r.channel, s.value,"
		" r.category, r.content, r.extra, r.disposition, r.weight, r.case_id"
		" FROM report r LEFT JOIN sender s ON s.id = r.sender WHERE r.reporter = $1"
		" ORDER BY r.received_at, r.id_hash";
	OWN(arena_free) struct arena *a = arena_new(SCRATCH);
	OWN(pg_free) struct pg_result *r = NULL;

	if (a == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	struct pg_param p[] = {pg_p_int(id, a)};
	enum rc rc = pg_run(c, sql, p, 1, &r, e);
	buf_add(out, SLICE(",\"reports\":["));
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		buf_fmt(out, "%s{\"report_id\":", i > 0 ? "," : "");
		buf_json(out, pg_text(r, i, 0));
		put_time(out, "received_at", pg_time_us(r, i, 1));
		put_time(out, "occurred_at", pg_time_us(r, i, 2));
		put_text(out, "kind", slice_str(kind_name((enum kind)pg_int(r, i, 3))));
		put_text(out, "channel", slice_str(channel_name((enum channel)pg_int(r, i, 4))));
		put_text(out, "about", pg_text(r, i, 5));
		put_text(out, "category", pg_text(r, i, 6));
		put_text(out, "content", pg_bytes(r, i, 7));
		put_text(out, "extra", pg_text(r, i, 8));
		buf_fmt(out, ",\"accepted\":%s,\"weight\":%.3f",
			pg_int(r, i, 9) == 0 ? "true" : "false", pg_real(r, i, 10));
		put_text(out, "case", pg_text(r, i, 11));
		buf_byte(out, '}');
	}
	buf_byte(out, ']');
	return rc;
}

static enum rc show_reporter(
	struct pg *c, struct slice mac, struct buf *out, bool *any, struct err *e)
{
	static const char sql[] = "SELECT s.id, s.created_at, s.trust, (SELECT count(*) FROM vote v"
				  " WHERE v.reporter = s.id) FROM subject s WHERE s.mac = $1";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_bytes(mac)};
	enum rc rc = pg_run(c, sql, p, 1, &r, e);

	if (rc != RC_OK || pg_rows(r) == 0)
		return rc;
	*any = true;
	buf_fmt(out, ",\"as_reporter\":{\"trust\":%.2f,\"votes\":%lld", pg_real(r, 0, 2),
		(long long)pg_int(r, 0, 3));
	put_time(out, "since", pg_time_us(r, 0, 1));
	rc = show_reports(c, pg_int(r, 0, 0), out, e);
	buf_byte(out, '}');
	return rc;
}

/* Cases about the number: what is said of it, never who said it. */
static enum rc show_sender(
	struct pg *c, const char *number, struct buf *out, bool *any, struct err *e)
{
	static const char sql[] =
		"SELECT k.id, k.service, k.class, k.state, k.outcome, k.opened_at, k.closed_at"
		" FROM case_file k JOIN sender s ON s.id = k.sender WHERE s.scope = 'number'"
		" AND s.value = $1 ORDER BY k.opened_at, k.id";
	OWN(pg_free) struct pg_result *r = NULL;
	struct pg_param p[] = {pg_p_str(number)};
	enum rc rc = pg_run(c, sql, p, 1, &r, e);

	buf_add(out, SLICE(",\"as_sender\":["));
	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		*any = true;
		buf_fmt(out, "%s{\"case\":", i > 0 ? "," : "");
		buf_json(out, pg_text(r, i, 0));
		put_text(out, "service", slice_str(service_name((enum service)pg_int(r, i, 1))));
		put_text(out, "class", slice_str(class_name((enum report_class)pg_int(r, i, 2))));
		put_text(out, "state", pg_text(r, i, 3));
		put_text(out, "outcome", pg_text(r, i, 4));
		put_time(out, "opened_at", pg_time_us(r, i, 5));
		put_time(out, "closed_at", pg_time_us(r, i, 6));
		buf_byte(out, '}');
	}
	buf_byte(out, ']');
	return rc;
}

enum rc subject_export(struct pg *c, const struct keys *k, const struct person_order *o,
	struct buf *out, struct err *e)
{
	uint8_t mac[MAC_LEN];
	bool any = false;
	enum rc rc = noted_alone(c, o, "subject.export", e);

	mac_of_number(k, o->number, mac);
	buf_fmt(out, "{\"number\":\"+%s\"", o->number);
	if (rc == RC_OK)
		rc = show_reporter(c, slice_of((char *)mac, MAC_LEN), out, &any, e);
	if (rc == RC_OK)
		rc = show_sender(c, o->number, out, &any, e);
	buf_add(out, SLICE("}\n"));
	if (rc == RC_OK && out->failed)
		rc = err_set(e, RC_LIMIT, "more than is shown at once");
	if (rc == RC_OK && !any)
		rc = err_set(e, RC_NONE, "nothing is kept about this number");
	return rc;
}

/* ---- erased ---- */

/* Records that were not understood may name anybody: the person's own are those with the number in their bytes. */
static enum rc drop_quarantined(
	struct pg *c, const struct keys *k, const char *number, int64_t *dropped, struct err *e)
{
	static const char sql[] = "SELECT source, topic, part, \"offset\", bytes FROM quarantine"
				  " WHERE length(bytes) > 28";
	static const char drop[] = "UPDATE quarantine SET bytes = '', report_id = NULL, state = "
				   "'dropped' WHERE source = $1 AND topic = $2 AND part = $3 AND "
				   "\"offset\" = $4";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);
	const char *national = number[0] == '8' && number[1] == '4' ? number + 2 : number;

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		OWN(arena_free) struct arena *a = arena_new(1u << 18);
		struct slice sealed = pg_bytes(r, i, 4);
		uint8_t *plain = a != NULL ? arena_alloc(a, sealed.len) : NULL;
		const char *aad = a != NULL
			? arena_fmt(a, "quarantine/%s/%s/%lld/%lld", pg_text(r, i, 0).ptr,
				  pg_text(r, i, 1).ptr, (long long)pg_int(r, i, 2),
				  (long long)pg_int(r, i, 3))
			: NULL;
		if (plain == NULL || aad == NULL)
			return err_set(e, RC_LIMIT, "out of memory");
		if (keys_unseal(k, slice_str(aad), sealed, plain) != RC_OK)
			continue;
		bool named =
			memmem(plain, sealed.len - SEAL_EXTRA, national, strlen(national)) != NULL;
		explicit_bzero(plain, sealed.len - SEAL_EXTRA);
		if (!named)
			continue;
		struct pg_param p[] = {pg_p_text(pg_text(r, i, 0), a),
			pg_p_text(pg_text(r, i, 1), a), pg_p_int(pg_int(r, i, 2), a),
			pg_p_int(pg_int(r, i, 3), a)};
		rc = pg_run(c, drop, p, ARRAY_LEN(p), NULL, e);
		*dropped += rc == RC_OK;
	}
	return rc;
}

static enum rc close_requests(struct pg *c, struct slice mac, int64_t now_us, struct err *e)
{
	static const char sql[] = "UPDATE subject_request SET done_at = $2 WHERE mac = $1 AND kind "
				  "= 'erase' AND done_at IS NULL";
	OWN(arena_free) struct arena *a = arena_new(4096);

	if (a == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	struct pg_param p[] = {pg_p_bytes(mac), pg_p_time(now_us, a)};
	return pg_run(c, sql, p, 2, NULL, e);
}

enum rc subject_erase(struct pg *c, const struct conf *conf, const struct keys *k,
	const struct person_order *o, struct buf *out, struct err *e)
{
	uint8_t bytes[MAC_LEN];
	struct slice mac = slice_of((char *)bytes, MAC_LEN);
	int64_t reports = -1, dropped = 0;

	mac_of_number(k, o->number, bytes);
	enum rc rc = erasures_append(conf, mac, o->now_us, e);
	if (rc == RC_OK)
		rc = pg_script(c, "BEGIN", e);
	if (rc == RC_OK)
		rc = person_forget(c, mac, o->now_us, o->actor, o->why, &reports, e);
	if (rc == RC_OK)
		rc = drop_quarantined(c, k, o->number, &dropped, e);
	if (rc == RC_OK)
		rc = close_requests(c, mac, o->now_us, e);
	if (rc == RC_OK)
		rc = noted(c, o, "subject.erase", e);
	if (rc == RC_OK)
		rc = pg_commit(c, e);
	if (rc != RC_OK) {
		pg_rollback(c);
		return rc;
	}
	if (reports < 0 && dropped == 0)
		return err_set(
			e, RC_NONE, "nobody reported from this number; it was noted all the same");
	buf_fmt(out, "erased: %lld reports without content, %lld quarantined records dropped\n",
		reports < 0 ? 0LL : (long long)reports, (long long)dropped);
	return RC_OK;
}

/* ---- asked ---- */

enum rc subject_ask(struct pg *c, const struct conf *conf, const struct keys *k,
	const struct person_order *o, const char *kind, struct buf *out, struct err *e)
{
	static const char sql[] = "INSERT INTO subject_request (mac, kind, asked_at, answer_by, "
				  "carry_out_by, noted_by)"
				  " VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
	OWN(arena_free) struct arena *a = arena_new(8192);
	OWN(pg_free) struct pg_result *r = NULL;
	uint8_t mac[MAC_LEN];
	char by[TIME_TEXT], done[TIME_TEXT];
	int64_t answer_us = working_days_after(o->asked_us, conf_int(conf, "privacy.answer"));
	int64_t carry_us = o->asked_us + conf_int(conf, "privacy.carry_out") * US_PER_S;

	if (a == NULL)
		return err_set(e, RC_LIMIT, "out of memory");
	mac_of_number(k, o->number, mac);
	struct pg_param p[] = {pg_p_bytes(slice_of((char *)mac, MAC_LEN)), pg_p_str(kind),
		pg_p_time(o->asked_us, a), pg_p_time(answer_us, a), pg_p_time(carry_us, a),
		pg_p_str(o->actor)};
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);
	if (rc != RC_OK)
		return rc;
	time_format(answer_us, by);
	time_format(carry_us, done);
	buf_fmt(out, "request %lld: answer by %s, carry out by %s\n", (long long)pg_int(r, 0, 0),
		by, done);
	return RC_OK;
}

enum rc subject_list(struct pg *c, int64_t now_us, struct buf *out, struct err *e)
{
	static const char sql[] = "SELECT id, kind, asked_at, answer_by, carry_out_by, done_at FROM"
				  " subject_request ORDER BY done_at IS NOT NULL, answer_by, id";
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, NULL, 0, &r, e);

	for (int i = 0; rc == RC_OK && i < pg_rows(r); i++) {
		bool open_ = pg_null(r, i, 5);
		buf_fmt(out, "{\"id\":%lld", (long long)pg_int(r, i, 0));
		put_text(out, "kind", pg_text(r, i, 1));
		put_time(out, "asked_at", pg_time_us(r, i, 2));
		put_time(out, "answer_by", pg_time_us(r, i, 3));
		put_time(out, "carry_out_by", pg_time_us(r, i, 4));
		put_time(out, "done_at", pg_time_us(r, i, 5));
		buf_fmt(out, ",\"overdue\":%s}\n",
			open_ && pg_time_us(r, i, 3) < now_us ? "true" : "false");
	}
	return rc;
}
