/* Phone numbers in a text, in digits with anything between or spelled out (docs/judgement.md section 2.4, numbers). */
#include "classifier/reader.h"

#define SPELLED_MAX 32

/* How many digits a number that begins so has; 0: none. */
static size_t needed(struct slice d)
{
	if (d.len < 3)
		return 0;
	if (d.ptr[0] == '8' && d.ptr[1] == '4')
		return memchr("35789", d.ptr[2], 5) != NULL ? 11 : d.ptr[2] == '2' ? 12 : 0;
	if (d.ptr[0] != '0')
		return 0;
	return memchr("35789", d.ptr[1], 5) != NULL ? 10 : d.ptr[1] == '2' ? 11 : 0;
}

static bool is_service(struct slice d)
{
	return d.len >= 4 && (memcmp(d.ptr, "1800", 4) == 0 || memcmp(d.ptr, "1900", 4) == 0);
}

static size_t skipped(struct slice d)
{
	return slice_starts(d, SLICE("0084")) ? 2 : 0;
}

/* With a first 0 read as 84. */
static struct slice normal(struct slice d, char room[NUMBER_MAX + 2])
{
	if (d.ptr[0] != '0')
		return d;
	room[0] = '8';
	room[1] = '4';
	memcpy(room + 2, d.ptr + 1, d.len - 1);
	return slice_of(room, d.len + 1);
}

/* These digits, and all of them, as a phone. */
bool extract_whole_number(struct slice d, char room[NUMBER_MAX + 2], struct slice *out)
{
	d = slice_of(d.ptr + skipped(d), d.len - skipped(d));
	if (is_service(d) && d.len >= 8 && d.len <= 10)
		*out = d;
	else if (d.len <= NUMBER_MAX && d.len > 0 && needed(d) == d.len)
		*out = normal(d, room);
	else
		return false;
	return true;
}

/* Reads digits with up to two separators between; place[i] is where digit i stands. */
static size_t read_digits(const struct reader *r, const char *p, char digit[NUMBER_MAX],
	const char *place[NUMBER_MAX])
{
	size_t n = 0;

	while (p < r->end && n < NUMBER_MAX) {
		const char *k = p;

		while (!is_digit(*p) && k < r->end && k - p < 2 && *k != '\0' &&
			strchr(" .-()_", *k) != NULL)
			k++;
		if (k == r->end || !is_digit(*k))
			break;
		digit[n] = *k;
		place[n++] = k;
		p = k + 1;
	}
	return n;
}

/* A number at p; answers where to go on. */
static const char *number(struct reader *r, const char *p)
{
	char digit[NUMBER_MAX], room[NUMBER_MAX + 2];
	const char *place[NUMBER_MAX], *plain = p;
	size_t n = read_digits(r, p, digit, place), want;
	struct slice d = slice_of(digit, n);

	while (plain < r->end && is_digit(*plain))
		plain++;
	size_t skip = skipped(d), run = (size_t)(plain - p);
	if (is_service(d) && run >= 4)
		want = run < 8 ? 0 : run > 10 ? 10 : run;
	else
		want = needed(slice_of(digit + skip, n - skip));
	if (want == 0 || n < skip + want)
		return plain;
	const char *end = place[skip + want - 1] + 1;
	if (end < r->end && is_word(*end))
		return plain;
	struct slice value = normal(slice_of(digit + skip, want), room);
	extract_put(r, EVIDENCE_PHONE, value, 0, p, end);
	struct slice kept = arena_copy(r->arena, value);
	r->full_arena = r->full_arena || kept.ptr == NULL;
	if (r->phones < PHONES_NEAR && kept.ptr != NULL)
		r->phone[r->phones++] = (struct found){p, end, kept, NULL};
	return end;
}

void extract_numbers(struct reader *r)
{
	for (const char *p = r->start; p < r->end;) {
		const char *d = p + (*p == '+');
		bool begins = (p == r->start || (!is_word(p[-1]) && p[-1] != '+')) && d < r->end &&
			is_digit(*d);

		p = begins ? number(r, d) : p + 1;
	}
}

/* The digit that a word says; -1: none. By its first letter, as most words are none. */
static int spelled_digit(struct slice w)
{
	static const struct said {
		char word[6];
		signed char digit;
	} words[26][4] = {['b' - 'a'] = {{"ba", 3}, {"bon", 4}, {"bay", 7}},
		['c' - 'a'] = {{"chin", 9}},
		['e' - 'a'] = {{"eight", 8}},
		['f' - 'a'] = {{"four", 4}, {"five", 5}},
		['h' - 'a'] = {{"hai", 2}},
		['k' - 'a'] = {{"khong", 0}},
		['l' - 'a'] = {{"lam", 5}},
		['m' - 'a'] = {{"mot", 1}},
		['n' - 'a'] = {{"nam", 5}, {"nine", 9}},
		['o' - 'a'] = {{"one", 1}},
		['s' - 'a'] = {{"sau", 6}, {"six", 6}, {"seven", 7}},
		['t' - 'a'] = {{"tu", 4}, {"tam", 8}, {"two", 2}, {"three", 3}},
		['z' - 'a'] = {{"zero", 0}}};

	if (w.len < 2 || w.len > 5 || w.ptr[0] < 'a' || w.ptr[0] > 'z')
		return -1;
	for (size_t k = 0; k < 4; k++) {
		const struct said *x = &words[w.ptr[0] - 'a'][k];

		if (memcmp(x->word, w.ptr, w.len) == 0 && x->word[w.len] == '\0')
			return x->digit;
	}
	return -1;
}

/* Without . , ; : - ( ) at its ends. */
static struct slice strip(struct slice s)
{
	static const bool end[256] = {['.'] = true,
		[','] = true,
		[';'] = true,
		[':'] = true,
		['-'] = true,
		['('] = true,
		[')'] = true};

	while (s.len > 0 && end[(unsigned char)*s.ptr])
		s = slice_of(s.ptr + 1, s.len - 1);
	while (s.len > 0 && end[(unsigned char)s.ptr[s.len - 1]])
		s.len--;
	return s;
}

/* A row of words that say digits. */
struct row {
	char digit[SPELLED_MAX];
	size_t n, words;
	const char *from, *to;
};

static void end_row(struct reader *r, struct row *row)
{
	struct slice d = slice_of(row->digit, row->n);
	size_t skip = skipped(d), want = needed(slice_of(d.ptr + skip, d.len - skip));
	char room[NUMBER_MAX + 2];

	if (row->words >= 6 && want > 0 && row->n >= skip + want)
		extract_put(r, EVIDENCE_PHONE, normal(slice_of(d.ptr + skip, want), room), 0,
			row->from, row->to);
	row->n = row->words = 0;
}

void extract_spelled(struct reader *r)
{
	struct slice rest = r->f->text, piece;
	struct row row = {.n = 0};

	while (slice_cut(&rest, ' ', &piece)) {
		struct slice core = strip(piece);
		bool digits = core.len >= 1 && core.len <= 4;
		int d;

		for (size_t i = 0; i < core.len; i++)
			digits = digits && is_digit(core.ptr[i]);
		d = digits ? -1 : spelled_digit(core);
		if (d < 0 && !digits) {
			if (row.n > 0)
				end_row(r, &row);
			continue;
		}
		if (row.n == 0)
			row.from = core.ptr;
		row.to = core.ptr + core.len;
		for (size_t i = 0; digits && i < core.len; i++)
			if (row.n < SPELLED_MAX)
				row.digit[row.n++] = core.ptr[i];
		if (d >= 0 && row.n < SPELLED_MAX)
			row.digit[row.n++] = (char)('0' + d);
		row.words += d >= 0;
	}
	end_row(r, &row);
}
