/* sender: any written form of a number, a short code or a sender ID, read once into a type that cannot be wrong. One pass over the
 * text decides whether it is digits or words; the plan says what the digits are. No allocation. Leaves out look-alike folding:
 * a name is what it is, and only the classifier asks what it imitates. */
#include "base/sender.h"
#include "base/clk.h"
#include "base/plan_rows.h"

/* Old 11-digit numbers are read as their new ones for contacts before 2019-07-01T00:00+07:00. */
#define OLD_BORDER_US (INT64_C(1561914000) * US_PER_S)
#define RAW_MAX 160   /* bytes that any written form may take */
#define DIGITS_MAX 20 /* more are no number of any plan */
#define NAME_CHARS 11
#define NAME_DIGITS 6 /* a name with more is a damaged number */

static const char *const outside = "outside the number plan";

/* ---- characters ---- */

enum sign { SIGN_DIGIT, SIGN_GAP, SIGN_PLUS, SIGN_OTHER };

/* What stands between the digits of a number and says nothing: blanks, dots, dashes, brackets, quotes, invisible marks. */
static bool is_gap(uint32_t c)
{
	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r') || c == '.' || c == '-' || c == '(' ||
			c == ')' || c == '[' || c == ']' || c == '<' || c == '>' || c == '{' ||
			c == '}' || c == '\'' || c == '"' || c == '_';
	return c == 0xA0 || c == 0xAD || c == 0xB7 || (c >= 0x2000 && c <= 0x2015) || c == 0x2018 ||
		c == 0x2019 || c == 0x2022 || (c >= 0x2028 && c <= 0x202F) ||
		(c >= 0x205F && c <= 0x2069) || c == 0x2212 || c == 0x3000 || c == 0xFEFF ||
		c == 0xFF08 || c == 0xFF09 || c == 0xFF0D || c == 0xFF0E;
}

static enum sign sign_of(uint32_t c, unsigned *digit)
{
	if (c >= '0' && c <= '9')
		*digit = c - '0';
	else if (c >= 0x660 && c <= 0x669) /* Arabic-Indic */
		*digit = c - 0x660;
	else if (c >= 0x6F0 && c <= 0x6F9) /* its eastern form */
		*digit = c - 0x6F0;
	else if (c >= 0xFF10 && c <= 0xFF19) /* full width */
		*digit = c - 0xFF10;
	else if (c == '+' || c == 0xFF0B)
		return SIGN_PLUS;
	else
		return is_gap(c) ? SIGN_GAP : SIGN_OTHER;
	return SIGN_DIGIT;
}

static struct slice from(struct slice s, size_t n)
{
	return slice_of(s.ptr + n, s.len - n);
}

/* Blanks and invisible marks, which also surround names. */
static bool is_edge(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || (c >= 0x2000 && c <= 0x200F) ||
		(c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x2069) || c == 0x3000 ||
		c == 0xFEFF;
}

static struct slice trim(struct slice s)
{
	uint32_t c;
	size_t n;

	if (s.ptr == NULL)
		return SLICE("");
	while ((n = slice_utf8(s, &c)) > 0 && is_edge(c))
		s = from(s, n);
	while (s.len > 0) {
		for (n = 1; n < 3 && n < s.len && ((unsigned char)s.ptr[s.len - n] & 0xC0) == 0x80;)
			n++;
		if (slice_utf8(from(s, s.len - n), &c) != n || !is_edge(c))
			break;
		s.len -= n;
	}
	return s;
}

/* ---- digits ---- */

struct dialled {
	char digits[DIGITS_MAX];
	size_t n;
	bool plus;
};

enum scanned { SCAN_NUMBER, SCAN_TOO_LONG, SCAN_TEXT, SCAN_EMPTY };

static enum scanned scan(struct slice s, struct dialled *d)
{
	bool too_long = false;

	d->n = 0;
	d->plus = false;
	while (s.len > 0) {
		unsigned digit = 0;
		uint32_t c;
		size_t n = slice_utf8(s, &c);

		if (n == 0)
			return SCAN_TEXT;
		switch (sign_of(c, &digit)) {
		case SIGN_DIGIT:
			if (d->n < DIGITS_MAX)
				d->digits[d->n++] = (char)('0' + digit);
			else
				too_long = true;
			break;
		case SIGN_GAP:
			break;
		case SIGN_PLUS:
			if (d->plus || d->n > 0)
				return SCAN_TEXT;
			d->plus = true;
			break;
		case SIGN_OTHER:
			return SCAN_TEXT;
		}
		s = from(s, n);
	}
	return too_long ? SCAN_TOO_LONG : d->n > 0 ? SCAN_NUMBER : SCAN_EMPTY;
}

static enum sender_found set(
	struct sender *out, enum scope scope, const char *head, const char *digits, size_t n)
{
	size_t at = strlen(head);

	out->scope = scope;
	memcpy(out->value, head, at);
	memcpy(out->value + at, digits, n);
	out->value[at + n] = '\0';
	return SENDER_OK;
}

static enum sender_found invalid(const char **why, const char *what)
{
	*why = what;
	return SENDER_INVALID;
}

static bool is_subscriber(const struct plan_row *r)
{
	return r != NULL && (r->cls == NUM_MOBILE || r->cls == NUM_FIXED || r->cls == NUM_VOIP);
}

/* National significant digits: what follows the 0, or the 84. */
static enum sender_found national(const struct plan *p, const char *d, size_t n,
	int64_t occurred_us, struct sender *out, const char **why)
{
	const struct plan_row *row = plan_find(p, d, n);
	char now[9];

	if (is_subscriber(row))
		return set(out, SCOPE_NUMBER, "84", d, n);
	if (row != NULL) /* 1800 and 1900: as dialled */
		return set(out, SCOPE_SHORT, "", d, n);
	if (!plan_old(p, d, n, now))
		return invalid(why, outside);
	(void)set(out, SCOPE_NUMBER, "84", now, sizeof(now));
	return occurred_us < OLD_BORDER_US ? SENDER_OK : SENDER_OLD;
}

/* Digits after + or 00. Many write the national 0 once more: +84 (0)912… */
static enum sender_found international(const struct plan *p, const char *d, size_t n,
	int64_t occurred_us, struct sender *out, const char **why)
{
	if (n >= 2 && d[0] == '8' && d[1] == '4') {
		size_t skip = n > 2 && d[2] == '0' ? 3 : 2;

		return national(p, d + skip, n - skip, occurred_us, out, why);
	}
	if (n < 7 || n > 15 || d[0] == '0')
		return invalid(why, "a foreign number has 7 to 15 digits and begins with 1 to 9");
	if (!plan_abroad(p, d, n))
		return invalid(why, "no country has numbers that begin so and are as long");
	return set(out, SCOPE_NUMBER, "", d, n);
}

static enum sender_found dialled(const struct plan *p, const struct dialled *in,
	int64_t occurred_us, struct sender *out, const char **why)
{
	const char *d = in->digits;
	size_t n = in->n;
	const struct plan_row *row;

	if (n > 1 && d[0] == '0' && d[1] == '0')
		return international(p, d + 2, n - 2, occurred_us, out, why);
	if (in->plus)
		return international(p, d, n, occurred_us, out, why);
	if (d[0] == '0') {
		enum sender_found found = national(p, d + 1, n - 1, occurred_us, out, why);

		/* 0 84 912…, both prefixes at once; no national number is as long */
		if (found == SENDER_INVALID && n >= 11 && d[1] == '8' && d[2] == '4')
			return international(p, d + 1, n - 1, occurred_us, out, why);
		return found;
	}
	if (n >= 3 && n <= 6)
		return set(out, SCOPE_SHORT, "", d, n);
	/* the national 0 is gone, as after a spreadsheet; before 84, because 84 is a mobile prefix too */
	row = plan_find(p, d, n);
	if (is_subscriber(row) && (n == 9 || n == 10))
		return set(out, SCOPE_NUMBER, "84", d, n);
	if (row != NULL && !is_subscriber(row))
		return set(out, SCOPE_SHORT, "", d, n);
	if (d[0] == '8' && d[1] == '4')
		return international(p, d, n, occurred_us, out, why);
	return invalid(why, outside);
}

/* ---- words ---- */

/* The letter below a Latin letter's accents, as far as Vietnamese has them; 0 for what is no letter. */
static char base_letter(uint32_t c)
{
	static const struct {
		uint32_t first, last;
		char base;
	} ranges[] = {
		{0xC0, 0xC5, 'a'},
		{0xC8, 0xCB, 'e'},
		{0xCC, 0xCF, 'i'},
		{0xD2, 0xD6, 'o'},
		{0xD9, 0xDC, 'u'},
		{0xDD, 0xDD, 'y'},
		{0xE0, 0xE5, 'a'},
		{0xE8, 0xEB, 'e'},
		{0xEC, 0xEF, 'i'},
		{0xF2, 0xF6, 'o'},
		{0xF9, 0xFC, 'u'},
		{0xFD, 0xFD, 'y'},
		{0x102, 0x103, 'a'},
		{0x110, 0x111, 'd'},
		{0x128, 0x129, 'i'},
		{0x168, 0x169, 'u'},
		{0x1A0, 0x1A1, 'o'},
		{0x1AF, 0x1B0, 'u'},
		{0x1EA0, 0x1EB7, 'a'},
		{0x1EB8, 0x1EC7, 'e'},
		{0x1EC8, 0x1ECB, 'i'},
		{0x1ECC, 0x1EE3, 'o'},
		{0x1EE4, 0x1EF1, 'u'},
		{0x1EF2, 0x1EF9, 'y'},
	};

	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if (c >= 'a' && c <= 'z')
		return (char)c;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return ranges[i].base;
	return 0;
}

/* What handsets, switches and people write when the network hid the number. */
static bool is_withheld(struct slice s)
{
	static const char *const words[] = {"anonymous", "private", "unknown", "withheld", "hidden",
		"restricted", "unavailable", "blocked", "private number", "unknown number",
		"withheld number", "number withheld", "hidden number", "restricted number",
		"unknown caller", "private caller", "no caller id", "no number", "an danh", "so an",
		"so an danh", "so rieng", "so rieng tu", "so bi an", "giau so", "an so",
		"khong hien so", "khong hien thi so", "khong co so", "khong ro so",
		"khong xac dinh", "so khong xac dinh"};
	char text[40];
	size_t n = 0;

	while (s.len > 0) {
		uint32_t c;
		size_t len = slice_utf8(s, &c);
		char letter = len > 0 ? base_letter(c) : 0;

		if (len == 0 || n + 2 >= sizeof(text))
			return false;
		if (letter != 0)
			text[n++] = letter;
		else if ((c < 0x80 && !(c >= '0' && c <= '9')) || is_gap(c)) {
			if (n > 0 && text[n - 1] != ' ')
				text[n++] = ' ';
		} else if (c < 0x300 || c > 0x36F) /* marks that follow their letter are dropped */
			return false;
		s = from(s, len);
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (slice_eq(slice_of(text, n), slice_str(words[i])))
			return true;
	return false;
}

/* The GSM 7-bit default alphabet (3GPP TS 23.038) without its control characters; *letter tells letters from signs. */
static bool gsm_char(uint32_t c, bool *letter)
{
	static const uint16_t letters[] = {0xC4, 0xC5, 0xC6, 0xC7, 0xC9, 0xD1, 0xD6, 0xD8, 0xDC,
		0xDF, 0xE0, 0xE4, 0xE5, 0xE6, 0xE8, 0xE9, 0xEC, 0xF1, 0xF2, 0xF6, 0xF8, 0xF9, 0xFC,
		0x393, 0x394, 0x398, 0x39B, 0x39E, 0x3A0, 0x3A3, 0x3A6, 0x3A8, 0x3A9};

	*letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	if (c < 0x80)
		return c >= ' ' && c < 0x7F && c != '`' && c != '[' && c != '\\' && c != ']' &&
			c != '^' && c != '{' && c != '|' && c != '}' && c != '~';
	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (c == letters[i])
			return *letter = true;
	return c == 0xA1 || c == 0xA3 || c == 0xA4 || c == 0xA5 || c == 0xA7 || c == 0xBF;
}

/* "8.49123E+10": what a spreadsheet makes of a number. */
static bool is_scientific(struct slice s)
{
	size_t i = 0, digits = 0;

	while (i < s.len &&
		((s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '.' || s.ptr[i] == ',')) {
		digits += s.ptr[i] >= '0' && s.ptr[i] <= '9' ? 1 : 0;
		i++;
	}
	if (digits == 0 || i == s.len || (s.ptr[i] != 'e' && s.ptr[i] != 'E'))
		return false;
	i++;
	if (i < s.len && (s.ptr[i] == '+' || s.ptr[i] == '-'))
		i++;
	for (digits = i; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9';)
		i++;
	return i == s.len && i > digits;
}

static enum sender_found name(struct slice s, struct sender *out, const char **why)
{
	static const char *const wrong =
		"neither a number nor a sender ID of 1 to 11 GSM characters";
	size_t chars = 0, letters = 0, digits = 0, at = 0;
	char value[SENDER_TEXT];

	if (is_withheld(s))
		return SENDER_WITHHELD;
	if (is_scientific(s))
		return invalid(why, "a number damaged by a spreadsheet");
	while (s.len > 0) {
		bool letter = false;
		uint32_t c;
		size_t n = slice_utf8(s, &c);

		if (n == 0)
			return invalid(why, "not UTF-8");
		digits += c >= '0' && c <= '9' ? 1 : 0;
		if (c == 0xA0) { /* a blank that must not break is a blank */
			value[at++] = ' ';
		} else if (!gsm_char(c, &letter)) {
			return invalid(why, wrong);
		} else {
			for (size_t i = 0; i < n; i++)
				value[at++] =
					c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : s.ptr[i];
		}
		letters += letter ? 1 : 0;
		if (++chars > NAME_CHARS)
			return invalid(why, wrong);
		s = from(s, n);
	}
	if (letters == 0)
		return invalid(why, wrong);
	if (digits > NAME_DIGITS)
		return invalid(why, "a damaged number, not a sender ID");
	return set(out, SCOPE_NAME, "", value, at);
}

/* ---- the public face ---- */

static bool is_tel(struct slice s)
{
	return s.len >= 4 && slice_eq_nocase(slice_of(s.ptr, 4), SLICE("tel:"));
}

enum sender_found sender_parse(const struct plan *p, struct slice raw, int64_t occurred_us,
	struct sender *out, const char **why)
{
	const char *unused;
	struct dialled d;
	bool tel;

	why = why != NULL ? why : &unused;
	*why = "";
	out->scope = SCOPE_NONE;
	out->value[0] = '\0';
	raw = trim(raw);
	if (raw.len == 0)
		return SENDER_WITHHELD;
	if (raw.len > RAW_MAX)
		return invalid(why, "longer than any sender");
	tel = is_tel(raw);
	if (tel) { /* RFC 3966: parameters follow a semicolon */
		const char *end = memchr(raw.ptr, ';', raw.len);

		raw = from(end != NULL ? slice_of(raw.ptr, (size_t)(end - raw.ptr)) : raw, 4);
	}
	switch (scan(raw, &d)) {
	case SCAN_NUMBER:
		return dialled(p, &d, occurred_us, out, why);
	case SCAN_TOO_LONG:
		return invalid(why, "too many digits for one number");
	case SCAN_EMPTY:
		return invalid(why, "no sender at all");
	case SCAN_TEXT:
		break;
	}
	return tel ? invalid(why, "no number after tel:") : name(raw, out, why);
}

bool msisdn_parse(const struct plan *p, struct slice raw, struct sender *out)
{
	struct sender s;

	/* whose number it was in 2018 is whose it is today, so an old form has no date */
	if (sender_parse(p, raw, TIME_NONE, &s, NULL) != SENDER_OK || s.scope != SCOPE_NUMBER)
		return false;
	*out = s;
	return true;
}

static bool is_domestic(const struct sender *s)
{
	return s->scope == SCOPE_NUMBER && s->value[0] == '8' && s->value[1] == '4';
}

static const struct plan_row *row_of(const struct plan *p, const struct sender *s)
{
	size_t skip = is_domestic(s) ? 2 : 0, n = strlen(s->value + skip);

	for (size_t i = 0; i < n; i++)
		if (s->value[skip + i] < '0' || s->value[skip + i] > '9')
			return NULL;
	return plan_find(p, s->value + skip, n);
}

static const struct plan_short *short_of(const struct plan *p, const struct sender *s)
{
	uint64_t code;

	return slice_u64(slice_str(s->value), &code) == RC_OK ? plan_short(p, code) : NULL;
}

static enum attribution number_attribution(
	const struct plan *p, const struct sender *s, uint8_t *carrier, bool *by_table)
{
	const struct plan_row *row;
	uint64_t number;

	if (!is_domestic(s))
		return ATTR_FOREIGN;
	if (slice_u64(slice_str(s->value), &number) != RC_OK)
		return ATTR_UNATTRIBUTED;
	*carrier = plan_ported(p, number);
	*by_table = *carrier != 0;
	if (!*by_table) {
		row = row_of(p, s);
		*carrier = row != NULL ? row->carrier : 0;
	}
	return *carrier == 0 ? ATTR_UNATTRIBUTED : plan_is_own(p, *carrier) ? ATTR_OWN : ATTR_OTHER;
}

enum attribution sender_attribution(
	const struct plan *p, const struct sender *s, const char **carrier, bool *by_table)
{
	enum attribution a = ATTR_UNATTRIBUTED;
	const struct plan_short *code;
	uint8_t who = 0;
	bool table = false;

	switch (s->scope) {
	case SCOPE_NUMBER:
		a = number_attribution(p, s, &who, &table);
		break;
	case SCOPE_SHORT:
		code = short_of(p, s);
		who = code != NULL ? code->owner : 0;
		table = code != NULL;
		a = ATTR_SHORT;
		break;
	case SCOPE_NAME:
		a = ATTR_BRANDNAME;
		break;
	case SCOPE_NONE:
		break;
	}
	if (carrier != NULL)
		*carrier = plan_carrier(p, who);
	if (by_table != NULL)
		*by_table = table;
	return a;
}

enum number_class sender_class(const struct plan *p, const struct sender *s)
{
	const struct plan_short *code;
	const struct plan_row *row;

	switch (s->scope) {
	case SCOPE_NUMBER:
		if (!is_domestic(s))
			return NUM_FOREIGN;
		row = row_of(p, s);
		return row != NULL ? row->cls : NUM_UNKNOWN;
	case SCOPE_SHORT:
		code = short_of(p, s);
		if (code != NULL && code->cls != NUM_SHORT)
			return code->cls;
		row = row_of(p, s);
		return row != NULL && !is_subscriber(row) ? row->cls : NUM_SHORT;
	case SCOPE_NAME:
		return NUM_NAME;
	case SCOPE_NONE:
		break;
	}
	return NUM_UNKNOWN;
}

static const char *const scopes[] = {"none", "number", "short", "name"};

const char *scope_name(enum scope s)
{
	return (size_t)s < ARRAY_LEN(scopes) ? scopes[s] : "none";
}

enum scope scope_parse(struct slice s)
{
	for (size_t i = 1; i < ARRAY_LEN(scopes); i++)
		if (slice_eq(s, slice_str(scopes[i])))
			return (enum scope)i;
	return SCOPE_NONE;
}

static const char *const attributions[] = {
	"own", "other", "foreign", "short", "brandname", "unattributed"};

const char *attribution_name(enum attribution a)
{
	return (size_t)a < ARRAY_LEN(attributions) ? attributions[a] : "unattributed";
}

enum attribution attribution_parse(struct slice s)
{
	for (size_t i = 0; i < ARRAY_LEN(attributions); i++)
		if (slice_eq(s, slice_str(attributions[i])))
			return (enum attribution)i;
	return ATTR_UNATTRIBUTED;
}
