/* The public complaint tables of two United States authorities, for tests and trials with real shapes: the FTC's Do Not Call complaints and the
 * FCC's unwanted calls. The published data has rows whose values slipped into other columns; every column is held to its shape, and a
 * row that does not fit is refused. Neither table names the person who complained, so each row's reporter is a number of nobody's, and
 * unverified: it moves scores, never a block. Times have no zone; they are read as Eastern standard time. */
#include "ingest/import.h"

#include <stdio.h>

#define ZONE "-05:00"

static bool digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return true;
}

static bool no_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= '0' && s.ptr[i] <= '9')
			return false;
	return true;
}

static bool word_is(struct slice s, const char *word)
{
	return slice_eq_nocase(s, slice_str(word));
}

/* Ten digits, with or without a leading 1 and separators; empty when there is none. */
static bool phone(struct slice s, char out[11])
{
	size_t n = 0;

	out[0] = '\0';
	if (s.len == 0 || word_is(s, "none") || word_is(s, "n/a"))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		if (strchr("-.() +", s.ptr[i]) != NULL && s.ptr[i] != '\0')
			continue;
		if (s.ptr[i] < '0' || s.ptr[i] > '9' || (n == 10 && out[0] != '1') || n == 11)
			return false;
		if (n == 10) { /* the leading 1 goes */
			memmove(out, out + 1, 9);
			out[9] = s.ptr[i];
			n++;
			continue;
		}
		out[n++] = s.ptr[i];
	}
	out[10] = '\0';
	return n >= 10;
}

static int number(struct slice s)
{
	int n = 0;

	for (size_t i = 0; i < s.len; i++)
		n = n * 10 + (s.ptr[i] - '0');
	return n;
}

/* "2024-01-15", "2024-01-15 14:30:25", "2024-01-15T14:30:25.000", "01/15/2024", "01/15/2024 02:30:25 PM" as RFC 3339. */
static bool time_of(struct slice s, char out[32])
{
	struct slice date, time = s;
	int year, month, day, hour = 0, minute = 0, second = 0, pm = 0;
	char buf[32];

	if (s.len < 10 || s.len >= sizeof(buf))
		return false;
	date = slice_of(s.ptr, 10);
	time = slice_of(s.ptr + 10, s.len - 10);
	memcpy(buf, date.ptr, 10);
	bool iso = buf[4] == '-' && buf[7] == '-', us = buf[2] == '/' && buf[5] == '/';
	struct slice a = slice_of(buf, iso ? 4 : 2), b = slice_of(buf + (iso ? 5 : 3), 2),
		     c = slice_of(buf + (iso ? 8 : 6), iso ? 2 : 4);
	if (!(iso || us) || !digits(a) || !digits(b) || !digits(c))
		return false;
	year = number(iso ? a : c);
	month = number(iso ? b : a);
	day = number(iso ? c : b);
	if (time.len >= 9) {
		memcpy(buf, time.ptr, 9);
		struct slice h = slice_of(buf + 1, 2), m = slice_of(buf + 4, 2),
			     sec = slice_of(buf + 7, 2),
			     rest = slice_of(time.ptr + 9, time.len - 9);
		if ((buf[0] != ' ' && buf[0] != 'T') || buf[3] != ':' || buf[6] != ':' ||
			!digits(h) || !digits(m) || !digits(sec))
			return false;
		hour = number(h);
		minute = number(m);
		second = number(sec);
		rest = slice_trim(rest);
		if (word_is(rest, "pm") || word_is(rest, "am")) {
			if (hour < 1 || hour > 12)
				return false;
			pm = word_is(rest, "pm") ? 12 : 0;
			hour = hour % 12 + pm;
		} else if (rest.len > 0 &&
			(rest.ptr[0] != '.' || !digits(slice_of(rest.ptr + 1, rest.len - 1)))) {
			return false;
		}
	} else if (time.len > 0) {
		return false;
	}
	int64_t ignored;
	int n = snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d" ZONE, year % 10000, month % 100,
		day % 100, hour % 100, minute % 100, second % 100);
	return n > 0 && time_parse(slice_str(out), &ignored) == RC_OK;
}

static void report_head(struct buf *out, const char *prefix, struct slice id, struct slice row)
{
	buf_fmt(out, "{\"schema\":\"complaint/1\",\"report_id\":\"%s:", prefix);
	if (id.len > 0)
		buf_add(out, id);
	else
		import_hash(out, row);
	buf_fmt(out, "\",\"channel\":\"authority\",\"reporter_verified\":false");
	import_nobody(out, id.len > 0 ? id : row);
}

static void sender(struct buf *out, const char *ten)
{
	buf_fmt(out, ",\"sender\":\"%s%s\"", ten[0] != '\0' ? "+1" : "", ten);
}

static struct slice category(struct slice s)
{
	return s.len <= BOUND_WORD ? s : SLICE("");
}

/* ---- FTC ---- */

enum {
	T_ID,
	T_PHONE,
	T_CREATED,
	T_VIOLATION,
	T_CITY,
	T_STATE,
	T_AREA,
	T_SUBJECT,
	T_ROBO,
	T_COLUMNS
};
static const struct import_column ftc_columns[T_COLUMNS] = {
	[T_ID] = {"id", false},
	[T_PHONE] = {"company_phone_number", true},
	[T_CREATED] = {"created_date", true},
	[T_VIOLATION] = {"violation_date", true},
	[T_CITY] = {"consumer_city", false},
	[T_STATE] = {"consumer_state", false},
	[T_AREA] = {"consumer_area_code", false},
	[T_SUBJECT] = {"subject", true},
	[T_ROBO] = {"recorded_message_or_robocall", true},
};

static bool hex(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
			    (s.ptr[i] >= 'a' && s.ptr[i] <= 'f') ||
			    (s.ptr[i] >= 'A' && s.ptr[i] <= 'F')))
			return false;
	return true;
}

static bool ftc_row(const struct slice *f, struct slice row, struct buf *out, const char **why)
{
	char ten[11] = "", created[32], violated[32] = "";
	struct slice robo = f[T_ROBO];

	*why = NULL;
	if (f[T_ID].len > 0 && (f[T_ID].len != 32 || !hex(f[T_ID])))
		*why = "column id is not 32 hex digits: the columns may have slipped";
	else if (!phone(f[T_PHONE], ten))
		*why = "column company_phone_number is no number of ten digits: the columns may "
		       "have "
		       "slipped";
	else if (!time_of(f[T_CREATED], created))
		*why = "column created_date is no date: the columns may have slipped";
	else if (f[T_VIOLATION].len > 0 && !time_of(f[T_VIOLATION], violated))
		*why = "column violation_date is no date: the columns may have slipped";
	else if (f[T_AREA].len > 0 && (f[T_AREA].len != 3 || !digits(f[T_AREA])))
		*why = "column consumer_area_code is not three digits: the columns may have "
		       "slipped";
	else if (!no_digits(f[T_STATE]) || f[T_STATE].len > 40)
		*why = "column consumer_state is no state: the columns may have slipped";
	else if (robo.len > 0 && !word_is(robo, "y") && !word_is(robo, "n") &&
		!word_is(robo, "yes") && !word_is(robo, "no"))
		*why = "column recorded_message_or_robocall is neither Y nor N: the columns may "
		       "have "
		       "slipped";
	else if (f[T_SUBJECT].len > 0 && digits(f[T_SUBJECT]))
		*why = "column subject is a number: the columns may have slipped";
	if (*why != NULL)
		return false;
	report_head(out, "ftc", f[T_ID], row);
	sender(out, ten);
	buf_fmt(out, ",\"kind\":\"V\",\"received_at\":\"%s\"", created);
	import_text(out, "occurred_at", slice_str(violated));
	import_text(out, "category", category(f[T_SUBJECT]));
	import_text(out, "consumer_city", f[T_CITY]);
	import_text(out, "consumer_state", f[T_STATE]);
	import_text(out, "consumer_area_code", f[T_AREA]);
	import_text(out, "robocall", robo);
	buf_byte(out, '}');
	return true;
}

const struct import_ops import_ftc = {
	.name = "ftc", .columns = ftc_columns, .n = T_COLUMNS, .row = ftc_row};

/* ---- FCC ---- */

enum {
	C_ID,
	C_DATE,
	C_CREATED,
	C_TIME,
	C_FORM,
	C_METHOD,
	C_ISSUE,
	C_CALLER,
	C_TYPE,
	C_BACK,
	C_CITY,
	C_STATE,
	C_ZIP,
	C_COLUMNS
};
static const struct import_column fcc_columns[C_COLUMNS] = {
	[C_ID] = {"id ticket_id", false},
	[C_DATE] = {"issue_date date_of_issue", true},
	[C_CREATED] = {"ticket_created", false},
	[C_TIME] = {"issue_time time_of_issue", false},
	[C_FORM] = {"issue_type form", false},
	[C_METHOD] = {"method", true},
	[C_ISSUE] = {"issue", true},
	[C_CALLER] = {"caller_id_number", true},
	[C_TYPE] = {"type_of_call_or_messge type_of_call_or_message", true},
	[C_BACK] = {"advertiser_business_phone_number advertiser_business_number", false},
	[C_CITY] = {"city", false},
	[C_STATE] = {"state", false},
	[C_ZIP] = {"zip", false},
};

static bool short_id(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e || s.ptr[i] == '"' || s.ptr[i] == '\\')
			return false;
	return s.len <= 64;
}

static bool fcc_row(const struct slice *f, struct slice row, struct buf *out, const char **why)
{
	char caller[11] = "", back[11] = "", issued[32], created[32] = "";

	*why = NULL;
	if (!short_id(f[C_ID]))
		*why = "column id is no id: the columns may have slipped";
	else if (!time_of(f[C_DATE], issued))
		*why = "column issue_date is no date: the columns may have slipped";
	else if (f[C_CREATED].len > 0 && !time_of(f[C_CREATED], created))
		*why = "column ticket_created is no date: the columns may have slipped";
	else if (!phone(f[C_CALLER], caller))
		*why = "column caller_id_number is no number of ten digits: the columns may have "
		       "slipped";
	else if (!phone(f[C_BACK], back))
		*why = "column advertiser_business_phone_number is no number of ten digits: the "
		       "columns "
		       "may have slipped";
	else if (!no_digits(f[C_STATE]) || f[C_STATE].len > 40)
		*why = "column state is no state: the columns may have slipped";
	else if (!no_digits(f[C_TYPE]) || !no_digits(f[C_METHOD]))
		*why = "column type_of_call_or_messge or method holds digits: the columns may have "
		       "slipped";
	if (*why != NULL)
		return false;
	report_head(out, "fcc", f[C_ID], row);
	sender(out, caller[0] != '\0' ? caller : back);
	buf_fmt(out, ",\"kind\":\"%s\",\"received_at\":\"%s\",\"occurred_at\":\"%s\"",
		word_is(f[C_TYPE], "text message") ? "S" : "V",
		created[0] != '\0' ? created : issued, issued);
	import_text(out, "category", category(f[C_ISSUE]));
	import_text(out, "issue_time", f[C_TIME]);
	import_text(out, "issue_type", f[C_FORM]);
	import_text(out, "method", f[C_METHOD]);
	import_text(out, "type_of_call", f[C_TYPE]);
	import_text(out, "callback_number", slice_str(back));
	import_text(out, "state", f[C_STATE]);
	buf_byte(out, '}');
	return true;
}

const struct import_ops import_fcc = {
	.name = "fcc", .columns = fcc_columns, .n = C_COLUMNS, .row = fcc_row};
