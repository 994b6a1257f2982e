/* The contract's entry object read back, by those who keep a copy of the list and prove it: what it says is not trusted, every text has
 * a bound. Leaves out the basis, which is in no line. */
#include "blocklist/list.h"

bool list_name_fits(struct slice name)
{
	static const char good[] = "0123456789abcdefABCDEF-";

	if (name.len != sizeof(((struct list_mark *)NULL)->list) - 1)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '\0' || strchr(good, name.ptr[i]) == NULL)
			return false;
	return true;
}

static bool text_of(struct json map, const char *name, char *out, size_t room)
{
	struct slice s = json_text(json_get(map, name));

	if (s.len == 0 || s.len >= room || memchr(s.ptr, '\0', s.len) != NULL ||
		memchr(s.ptr, '\n', s.len) != NULL)
		return false;
	memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return true;
}

static bool digits(const char *at, int n, int64_t *out)
{
	*out = 0;
	for (int i = 0; i < n; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		*out = *out * 10 + (at[i] - '0');
	}
	return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar: years begin in March, so that the leap day is the last one. */
static int64_t days(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + day - 719468;
}

/* "2026-09-21T14:13:20Z", as entry_json writes it, of any year: a list may say "for good" by a year that no report has. */
static bool until_parse(struct slice s, int64_t *out_s)
{
	int64_t year, month, day, h, m, sec;
	const char *p = s.ptr;

	if (s.len != 20 || p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':' ||
		p[16] != ':' || p[19] != 'Z')
		return false;
	if (!digits(p, 4, &year) || !digits(p + 5, 2, &month) || !digits(p + 8, 2, &day) ||
		!digits(p + 11, 2, &h) || !digits(p + 14, 2, &m) || !digits(p + 17, 2, &sec))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > 31 || h > 23 || m > 59 || sec > 59)
		return false;
	*out_s = days(year, month, day) * 86400 + h * 3600 + m * 60 + sec;
	return *out_s > 0;
}

bool entry_of_json(struct json map, struct entry_text *out)
{
	struct entry *e = &out->entry;
	struct json until = json_get(map, "until");

	*out = (struct entry_text){.entry.basis = ""};
	e->value = out->value;
	e->action = out->action;
	e->case_id = out->case_id;
	e->scope = scope_parse(json_text(json_get(map, "scope")));
	if (e->scope == SCOPE_NONE ||
		!service_parse(json_text(json_get(map, "service")), &e->service))
		return false;
	if (until.kind == JSON_TEXT ? !until_parse(json_text(until), &e->until_s)
				    : until.kind != JSON_NULL)
		return false;
	return text_of(map, "value", out->value, sizeof(out->value)) &&
		text_of(map, "action", out->action, sizeof(out->action)) &&
		text_of(map, "case", out->case_id, sizeof(out->case_id));
}
