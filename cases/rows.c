/* Rows as JSON. One table of columns per query says names and kinds, so that an answer is read where it is asked. Leaves out paging:
 * these answers are bounded by their queries. */
#include <stdio.h>

#include "cases/rows.h"

void json_time(struct buf *out, int64_t us)
{
	char text[TIME_TEXT];

	if (us == TIME_NONE) {
		buf_fmt(out, "null");
		return;
	}
	time_format(us, text);
	buf_fmt(out, "\"%s\"", text);
}

const char *reason_words(struct slice reason)
{
	static const struct {
		const char *reason, *words;
	} table[] = {
		{"protected",
			"The sender is on the protected list: nothing automatic may block it. Two"
			" people decide."},
		{"needs_person",
			"Short codes and brandnames are never blocked without a person's"
			" decision."},
		{"review_mode", "The engine proposes and people decide: the mode is review."},
		{"one_leg",
			"Enough people reported this sender, but no independent signal confirms "
			"it: no"
			" two of the contacts were matched. People decide."},
		{"cap_hour",
			"This hour's limit of automatic blocks is reached. It waits until a person"
			" releases it."},
		{"cap_day",
			"This day's limit of automatic blocks is reached. It waits until a person"
			" releases it."},
		{"recomputed", "Reports that arrived later have moved or joined this decision."},
		{"counted", "It counts as one vote of its reporter and day."},
		{"late",
			"It came more than the allowed time after the contact: kept, without "
			"weight."},
		{"no_contact",
			"The contact record says that there was no such contact: kept, without"
			" weight."},
		{"spoofed",
			"A domestic number came over a foreign trunk, so the caller ID was likely"
			" forged: kept, without weight."},
		{"withheld", "The network showed no sender: kept, without a vote."},
		{"old_number", "An 11-digit number that no longer existed: kept, without a vote."},
		{"self_report", "The reporter named his own number."},
		{"emergency_number", "Emergency numbers are not reported here."},
		{"own_service_number", "It is one of our own service numbers."},
		{"conflict", "The report id belongs to another report with other fields."},
		{"registry", "It is a request to the do-not-call registry and was passed on."},
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (slice_eq(reason, slice_str(table[i].reason)))
			return table[i].words;
	return "";
}

static const char *word_of(enum col_kind kind, int64_t v)
{
	switch (kind) {
	case COL_KIND:
		return kind_name((enum kind)v);
	case COL_SERVICE:
		return service_name((enum service)v);
	case COL_CHANNEL:
		return channel_name((enum channel)v);
	case COL_CLASS:
		return class_name((enum report_class)v);
	case COL_RUNG:
		return rung_name((enum rung)v);
	case COL_LABEL:
		return label_name((enum label)v);
	case COL_MATCHED:
		return matched_name((enum matched)v);
	case COL_ORIGIN:
		return origin_name((enum origin)v);
	default:
		return disposition_name((enum disposition)v);
	}
}

static void value_json(struct buf *out, struct pg_result *r, int row, int col, enum col_kind kind)
{
	if (pg_null(r, row, col)) {
		buf_fmt(out, "null");
		return;
	}
	switch (kind) {
	case COL_TEXT:
	case COL_WHY:
		buf_json(out, pg_text(r, row, col));
		return;
	case COL_INT:
	case COL_REAL:
	case COL_JSON:
		buf_add(out, pg_text(r, row, col)); /* PostgreSQL writes numbers as JSON does */
		return;
	case COL_BOOL:
		buf_fmt(out, "%s", pg_bool(r, row, col) ? "true" : "false");
		return;
	case COL_TIME:
		json_time(out, pg_time_us(r, row, col));
		return;
	default:
		buf_json(out, slice_str(word_of(kind, pg_int(r, row, col))));
		return;
	}
}

void row_json(struct buf *out, struct pg_result *r, int row, const struct col *cols, size_t n)
{
	buf_byte(out, '{');
	for (size_t i = 0; i < n; i++) {
		buf_fmt(out, "%s\"%s\":", i > 0 ? "," : "", cols[i].name);
		value_json(out, r, row, (int)i, cols[i].kind);
		if (cols[i].kind != COL_WHY || pg_null(r, row, (int)i))
			continue;
		const char *words = reason_words(pg_text(r, row, (int)i));
		if (*words != '\0') {
			buf_fmt(out, ",\"%s_text\":", cols[i].name);
			buf_json(out, slice_str(words));
		}
	}
	buf_byte(out, '}');
}

void rows_json(struct buf *out, struct pg_result *r, const struct col *cols, size_t n)
{
	buf_byte(out, '[');
	for (int i = 0; i < pg_rows(r); i++) {
		if (i > 0)
			buf_byte(out, ',');
		row_json(out, r, i, cols, n);
	}
	buf_byte(out, ']');
}

enum rc query_json(struct pg *c, const char *sql, const struct pg_param *p, int n_params,
	const char *name, const struct col *cols, size_t n, struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, n_params, &r, e);

	if (rc != RC_OK)
		return rc;
	buf_fmt(out, "\"%s\":", name);
	rows_json(out, r, cols, n);
	return RC_OK;
}

enum rc query_one_json(struct pg *c, const char *sql, const struct pg_param *p, int n_params,
	const char *name, const struct col *cols, size_t n, struct buf *out, struct err *e)
{
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, n_params, &r, e);

	if (rc != RC_OK)
		return rc;
	buf_fmt(out, "\"%s\":", name);
	if (pg_rows(r) > 0)
		row_json(out, r, 0, cols, n);
	else
		buf_fmt(out, "null");
	return RC_OK;
}

enum rc buf_fits(const struct buf *out, struct err *e)
{
	return out->failed ? err_set(e, RC_LIMIT, "the answer is too long") : RC_OK;
}

static void copy_text(char *out, size_t room, struct slice s)
{
	(void)snprintf(out, room, "%.*s", (int)s.len, s.len > 0 ? s.ptr : "");
}

enum rc sender_find(struct pg *c, const struct sender *s, struct sender_row *out, struct arena *a,
	struct err *e)
{
	static const char sql[] = "SELECT id, attribution, carrier, by_table, class FROM sender"
				  " WHERE scope = $1 AND value = $2 AND id <> 0";
	struct pg_param p[] = {pg_p_str(scope_name(s->scope)), pg_p_text(slice_str(s->value), a)};
	OWN(pg_free) struct pg_result *r = NULL;
	enum rc rc = pg_run(c, sql, p, ARRAY_LEN(p), &r, e);

	if (rc != RC_OK)
		return rc;
	if (pg_rows(r) == 0)
		return err_set(e, RC_NONE, "nobody has reported this sender");
	out->id = pg_int(r, 0, 0);
	copy_text(out->attribution, sizeof(out->attribution), pg_text(r, 0, 1));
	copy_text(out->carrier, sizeof(out->carrier), pg_text(r, 0, 2));
	out->by_table = pg_bool(r, 0, 3);
	copy_text(out->cls, sizeof(out->cls), pg_text(r, 0, 4));
	return RC_OK;
}
