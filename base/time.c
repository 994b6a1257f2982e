/* time: RFC 3339 in and out, and calendar days. The calendar is computed (days from civil, proleptic Gregorian), so there is no
 * time zone file and no libc state: Asia/Ho_Chi_Minh has been +07:00 without summer time since 1975. */
#include "base/clk.h"

#define VN_OFFSET_S (7 * 3600)

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/* Days since 1970-01-01; years are counted from March so that the leap day is the last of a year. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
	int64_t era, year, doy;

	y -= m <= 2 ? 1 : 0;
	era = floor_div(y, 400);
	year = y - era * 400;
	doy = (int64_t)((153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1);
	return era * 146097 + year * 365 + year / 4 - year / 100 + doy - 719468;
}

struct date {
	int64_t y;
	unsigned m, d;
};

static struct date date_of(int64_t days)
{
	int64_t z = days + 719468, era = floor_div(z, 146097), doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = (unsigned)(doe - (365 * yoe + yoe / 4 - yoe / 100));
	unsigned mp = (5 * doy + 2) / 153;
	struct date t = {.y = yoe + era * 400, .m = mp < 10 ? mp + 3 : mp - 9};

	t.d = doy - (153 * mp + 2) / 5 + 1;
	t.y += t.m <= 2 ? 1 : 0;
	return t;
}

static unsigned month_days(unsigned y, unsigned m)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return days[m - 1] + (m == 2 && leap ? 1u : 0u);
}

/* Reads n decimal digits at *p; false when one is none. */
static bool digits(const char **p, const char *end, unsigned n, unsigned *out)
{
	unsigned v = 0;

	if (end - *p < (ptrdiff_t)n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		unsigned c = (unsigned char)(*p)[i] - (unsigned)'0';

		if (c > 9)
			return false;
		v = v * 10 + c;
	}
	*p += n;
	*out = v;
	return true;
}

static bool one_of(const char **p, const char *end, char a, char b, char c)
{
	if (*p == end || (**p != a && **p != b && **p != c))
		return false;
	(*p)++;
	return true;
}

static bool fraction(const char **p, const char *end, int64_t *us)
{
	int64_t scale = 100000;
	unsigned n = 0;

	if (!one_of(p, end, '.', '.', '.'))
		return true;
	for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, n++, scale /= 10)
		*us += (**p - '0') * scale;
	return n >= 1 && n <= 9;
}

static bool offset(const char **p, const char *end, int64_t *offset_s)
{
	unsigned h, m;
	bool minus;

	if (one_of(p, end, 'Z', 'z', 'z'))
		return true;
	minus = *p < end && **p == '-';
	if (!one_of(p, end, '+', '-', '-') || !digits(p, end, 2, &h) ||
		!one_of(p, end, ':', ':', ':') || !digits(p, end, 2, &m) || h > 23 || m > 59)
		return false;
	*offset_s = (int64_t)(h * 3600 + m * 60) * (minus ? -1 : 1);
	return true;
}

enum rc time_parse(struct slice s, int64_t *out_us)
{
	const char *p = s.ptr, *end;
	unsigned y, mo, d, h, mi, sec;
	int64_t us = 0, offset_s = 0;

	if (s.len < 20)
		return RC_INVALID;
	end = s.ptr + s.len;
	if (!digits(&p, end, 4, &y) || !one_of(&p, end, '-', '-', '-') ||
		!digits(&p, end, 2, &mo) || !one_of(&p, end, '-', '-', '-') ||
		!digits(&p, end, 2, &d) || !one_of(&p, end, 'T', 't', ' ') ||
		!digits(&p, end, 2, &h) || !one_of(&p, end, ':', ':', ':') ||
		!digits(&p, end, 2, &mi) || !one_of(&p, end, ':', ':', ':') ||
		!digits(&p, end, 2, &sec) || !fraction(&p, end, &us) ||
		!offset(&p, end, &offset_s) || p != end)
		return RC_INVALID;
	if (y < 1990 || y > 2199 || mo < 1 || mo > 12 || d < 1 || d > month_days(y, mo) || h > 23 ||
		mi > 59 || sec > 60)
		return RC_INVALID;
	sec = sec == 60 ? 59 : sec;
	*out_us = (days_of((int64_t)y, mo, d) * 86400 + (int64_t)(h * 3600 + mi * 60 + sec) -
			  offset_s) *
			US_PER_S +
		us;
	return RC_OK;
}

/* Writes v with at least n digits, and returns the end. */
static char *put(char *p, uint64_t v, unsigned n)
{
	char tmp[20];
	unsigned len = 0;

	do {
		tmp[len++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	for (; n > len; n--)
		*p++ = '0';
	while (len > 0)
		*p++ = tmp[--len];
	return p;
}

static char *put_date(char *p, struct date t)
{
	if (t.y < 0)
		*p++ = '-';
	p = put(p, (uint64_t)(t.y < 0 ? -t.y : t.y), 4);
	*p++ = '-';
	p = put(p, t.m, 2);
	*p++ = '-';
	return put(p, t.d, 2);
}

void time_format(int64_t us, char out[TIME_TEXT])
{
	int64_t s = floor_div(us, US_PER_S), day = floor_div(s, 86400);
	int64_t left = us % US_PER_S;
	uint64_t frac = (uint64_t)(left < 0 ? left + US_PER_S : left),
		 of_day = (uint64_t)(s - day * 86400);
	char *p = out;

	if (us == TIME_NONE) {
		memcpy(out, "none", 5);
		return;
	}
	p = put_date(p, date_of(day));
	*p++ = 'T';
	p = put(p, of_day / 3600, 2);
	*p++ = ':';
	p = put(p, of_day / 60 % 60, 2);
	*p++ = ':';
	p = put(p, of_day % 60, 2);
	if (frac != 0) {
		*p++ = '.';
		p = put(p, frac, 6);
	}
	*p++ = 'Z';
	*p = '\0';
}

int32_t time_day_vn(int64_t us)
{
	return (int32_t)floor_div(floor_div(us, US_PER_S) + VN_OFFSET_S, 86400);
}

int32_t time_month(int64_t us)
{
	struct date t = date_of(floor_div(floor_div(us, US_PER_S), 86400));

	return (int32_t)days_of(t.y, t.m, 1);
}

void day_format(int32_t day, char out[11])
{
	struct date t = date_of(day);

	if (t.y < 0 || t.y > 9999) /* no such day is ever written by us, and it has no room */
		t = (struct date){0, 0, 0};
	*put_date(out, t) = '\0';
}
