/* The export of a reporting portal: one row a report, values as people typed them. What a value means is the decoder's to say, so a row is
 * refused here only when it is no row; a bad number or kind goes into quarantine with its reason. */
#include "ingest/import.h"

enum {
	P_ID,
	P_RECEIVED,
	P_OCCURRED,
	P_REPORTER,
	P_VERIFIED,
	P_KIND,
	P_SOURCE,
	P_CONTENT,
	P_CATEGORY,
	P_EVIDENCE,
	P_COLUMNS
};
static const struct import_column columns[P_COLUMNS] = {
	[P_ID] = {"id report_id", true},
	[P_RECEIVED] = {"received_at", true},
	[P_OCCURRED] = {"occurred_at", false},
	[P_REPORTER] = {"reporter reporter_number", true},
	[P_VERIFIED] = {"verified otp_verified", false},
	[P_KIND] = {"kind", true},
	[P_SOURCE] = {"source sender", true},
	[P_CONTENT] = {"content", true},
	[P_CATEGORY] = {"category", false},
	[P_EVIDENCE] = {"evidence evidence_file", false},
};

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "31/08/2026 09:15" and "31/08/2026 09:15:02" are Vietnam's; all else stays as it is, right or wrong. */
static void time_text(struct buf *out, const char *name, struct slice s)
{
	static const char shape[] = "dd/dd/dddd dd:dd:dd";
	bool ours = s.len == 16 || s.len == 19;

	for (size_t i = 0; ours && i < s.len; i++)
		ours = shape[i] == 'd' ? digit(s.ptr[i]) : s.ptr[i] == shape[i];
	if (!ours) {
		import_text(out, name, s);
		return;
	}
	buf_fmt(out, ",\"%s\":\"%.4s-%.2s-%.2sT%.5s:%.2s+07:00\"", name, s.ptr + 6, s.ptr + 3,
		s.ptr, s.ptr + 11, s.len == 19 ? s.ptr + 17 : "00");
}

static bool yes(struct slice s)
{
	return slice_eq_nocase(s, SLICE("yes")) || slice_eq_nocase(s, SLICE("true")) ||
		slice_eq_nocase(s, SLICE("y")) || slice_eq(s, SLICE("1"));
}

static bool row(const struct slice *f, struct slice whole, struct buf *out, const char **why)
{
	(void)whole;
	if (f[P_ID].len == 0) {
		*why = "column id is empty";
		return false;
	}
	buf_fmt(out, "{\"schema\":\"complaint/1\",\"channel\":\"portal\",\"report_id\":");
	BUF_OWN struct buf id;
	buf_init(&id, 4096);
	buf_add(&id, SLICE("portal:"));
	buf_add(&id, f[P_ID]);
	buf_json(out, buf_slice(&id));
	time_text(out, "received_at", f[P_RECEIVED]);
	time_text(out, "occurred_at", f[P_OCCURRED]);
	import_text(out, "reporter", f[P_REPORTER]);
	buf_fmt(out,
		",\"reporter_verified\":%s,\"sender\":", yes(f[P_VERIFIED]) ? "true" : "false");
	buf_json(out, f[P_SOURCE]);
	import_text(out, "kind", f[P_KIND]);
	import_text(out, "content", f[P_CONTENT]);
	import_text(out, "category", f[P_CATEGORY]);
	if (f[P_EVIDENCE].len > 0) {
		buf_fmt(out, ",\"evidence\":[{\"ref\":");
		buf_json(out, f[P_EVIDENCE]);
		buf_add(out, SLICE("}]"));
	}
	buf_byte(out, '}');
	if (id.failed)
		*why = "column id is too long";
	return !id.failed;
}

const struct import_ops import_portal = {
	.name = "portal", .columns = columns, .n = P_COLUMNS, .row = row};
