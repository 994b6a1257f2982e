/* plan: the number plan of the country as data: prefixes in a trie of digits, short codes, old prefixes and ported numbers in
 * sorted arrays. Loaded whole or not at all, then never changed. Leaves out what a written form means, which is sender.c. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bounds.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/plan_rows.h"

#define CARRIERS 255
#define CARRIER_NAME 24
#define ROWS 16384
#define NODES 65535

struct node {
	uint16_t child[10]; /* 0: none; node 0 is the root */
	uint16_t row;       /* 0: none */
};

struct plan {
	struct arena *arena; /* nodes, rows, names */
	struct node *nodes;
	struct plan_row *rows;
	size_t node_count, row_count;
	const char *carriers[CARRIERS + 1];
	size_t carrier_count; /* number 0 is "none" */
	uint8_t own;
	uint16_t world[1000]; /* country code -> bit n: n digits may follow; 0: no such code */
	bool has_world;
	uint16_t old[1000]; /* old three-digit prefix -> new two-digit one; 0: none */
	struct plan_short *shorts;
	size_t short_count;
	uint64_t *ported; /* number << 8 | carrier, sorted */
	size_t ported_count;
};

void plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	free(p->shorts);
	free(p->ported);
	arena_free(p->arena);
	free(p);
}

/* ---- asking ---- */

const struct plan_row *plan_find(const struct plan *p, const char *digits, size_t len)
{
	const struct plan_row *best = NULL;
	const struct node *n = &p->nodes[0];

	for (size_t i = 0; i < len; i++) {
		uint16_t child = n->child[digits[i] - '0'];

		if (child == 0)
			break;
		n = &p->nodes[child];
		for (uint16_t r = n->row; r != 0; r = p->rows[r].next)
			if (len >= p->rows[r].min && len <= p->rows[r].max)
				best = &p->rows[r];
	}
	return best;
}

bool plan_old(const struct plan *p, const char *digits, size_t len, char out[9])
{
	uint16_t now;

	if (len != 10)
		return false;
	now = p->old[(digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0')];
	if (now == 0)
		return false;
	out[0] = (char)('0' + now / 10);
	out[1] = (char)('0' + now % 10);
	memcpy(out + 2, digits + 3, 7);
	return true;
}

const struct plan_short *plan_short(const struct plan *p, uint64_t code)
{
	size_t lo = 0, hi = p->short_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->shorts[mid].code < code)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->short_count && p->shorts[lo].code == code ? &p->shorts[lo] : NULL;
}

uint8_t plan_ported(const struct plan *p, uint64_t number)
{
	size_t lo = 0, hi = p->ported_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->ported[mid] >> 8 < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->ported_count && p->ported[lo] >> 8 == number ? (uint8_t)(p->ported[lo] & 255)
								    : 0;
}

/* No code is the beginning of another. */
bool plan_abroad(const struct plan *p, const char *digits, size_t len)
{
	unsigned code = 0;

	if (!p->has_world)
		return true;
	for (size_t n = 1; n <= 3 && n < len; n++) {
		code = code * 10 + (unsigned)(digits[n - 1] - '0');
		if (p->world[code] != 0)
			return (p->world[code] >> (len - n) & 1) != 0;
	}
	return false;
}

const char *plan_carrier(const struct plan *p, uint8_t i)
{
	return p->carriers[i];
}

bool plan_is_own(const struct plan *p, uint8_t carrier)
{
	return carrier != 0 && carrier == p->own;
}

/* ---- loading ---- */

struct load {
	struct plan *p;
	struct complaints *c;
	struct err *e;
	size_t short_room, ported_room;
	bool own_seen; /* some row names our own carrier */
};

static enum rc no_memory(struct load *l)
{
	return err_set(l->e, RC_LIMIT, "number plan: out of memory");
}

static bool all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0;
}

/* The number of a carrier's name, a new one when needed; "" is 0. A wrong name complains and gives 0. */
static uint8_t carrier_of(struct load *l, const struct csv *f, struct slice name)
{
	struct plan *p = l->p;
	bool ok = name.len <= CARRIER_NAME;

	for (size_t i = 1; i <= p->carrier_count; i++)
		if (slice_eq(slice_str(p->carriers[i]), name)) {
			l->own_seen = l->own_seen || i == p->own;
			return (uint8_t)i;
		}
	if (name.len == 0)
		return 0;
	for (size_t i = 0; i < name.len && ok; i++)
		ok = (name.ptr[i] >= 'a' && name.ptr[i] <= 'z') ||
			(name.ptr[i] >= '0' && name.ptr[i] <= '9') || name.ptr[i] == '_' ||
			name.ptr[i] == '-';
	if (!ok) {
		complain(l->c, f->name, f->line,
			"\"%.*s\" is no name: up to %d of a-z, 0-9, _ and -",
			(int)(name.len < 60 ? name.len : 60), name.ptr, CARRIER_NAME);
		return 0;
	}
	if (p->carrier_count == CARRIERS) {
		complain(l->c, f->name, f->line, "more than %d carriers and owners", CARRIERS);
		return 0;
	}
	struct slice copy = arena_copy(p->arena, name);

	if (copy.ptr == NULL) {
		complain(l->c, f->name, f->line, "out of memory");
		return 0;
	}
	p->carriers[++p->carrier_count] = copy.ptr;
	return (uint8_t)p->carrier_count;
}

/* The node of a prefix, made when needed; NULL when there are too many. */
static struct node *node_of(struct plan *p, struct slice prefix)
{
	uint16_t at = 0;

	for (size_t i = 0; i < prefix.len; i++) {
		uint16_t *child = &p->nodes[at].child[prefix.ptr[i] - '0'];

		if (*child == 0) {
			if (p->node_count == NODES)
				return NULL;
			*child = (uint16_t)p->node_count++;
		}
		at = *child;
	}
	return &p->nodes[at];
}

const char *number_class_name(enum number_class c)
{
	static const char *const names[] = {"mobile", "fixed", "tollfree", "premium", "voip",
		"foreign", "short", "emergency", "own_service", "name", "unknown"};

	return (size_t)c < ARRAY_LEN(names) ? names[c] : "unknown";
}

static bool plan_class(struct slice s, enum number_class *out)
{
	static const enum number_class known[] = {
		NUM_MOBILE, NUM_FIXED, NUM_TOLLFREE, NUM_PREMIUM, NUM_VOIP};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (slice_eq(s, slice_str(number_class_name(known[i])))) {
			*out = known[i];
			return true;
		}
	}
	return false;
}

static enum rc plan_row(struct load *l, const struct csv *f)
{
	struct slice prefix = f->field[0];
	struct plan_row row = {0};
	struct plan *p = l->p;
	uint64_t min = 0, max = 0;
	struct node *n;

	if (!all_digits(prefix) || prefix.ptr[0] == '0' || prefix.len > NATIONAL_MAX) {
		complain(l->c, f->name, f->line, "a prefix is 1 to %d digits without the leading 0",
			NATIONAL_MAX);
		return RC_OK;
	}
	if (slice_u64(f->field[1], &min) != RC_OK || slice_u64(f->field[2], &max) != RC_OK ||
		min < prefix.len || min < 3 || max < min || max > NATIONAL_MAX) {
		complain(l->c, f->name, f->line,
			"min_digits and max_digits count the prefix too: 3 to %d, min not above "
			"max",
			NATIONAL_MAX);
		return RC_OK;
	}
	if (!plan_class(f->field[3], &row.cls)) {
		complain(l->c, f->name, f->line,
			"the class must be mobile, fixed, tollfree, premium or voip, not \"%.*s\"",
			(int)(f->field[3].len < 60 ? f->field[3].len : 60), f->field[3].ptr);
		return RC_OK;
	}
	row.min = (uint8_t)min;
	row.max = (uint8_t)max;
	row.carrier = carrier_of(l, f, f->field[4]);
	n = node_of(p, prefix);
	if (n == NULL || p->row_count == ROWS) {
		complain(l->c, f->name, f->line, "too many prefixes");
		return RC_OK;
	}
	for (uint16_t r = n->row; r != 0; r = p->rows[r].next) {
		if (min <= p->rows[r].max && max >= p->rows[r].min) {
			complain(l->c, f->name, f->line,
				"prefix %.*s was given before for these lengths", (int)prefix.len,
				prefix.ptr);
			return RC_OK;
		}
	}
	row.next = n->row;
	n->row = (uint16_t)p->row_count;
	p->rows[p->row_count++] = row;
	return RC_OK;
}

static enum rc short_row(struct load *l, const struct csv *f)
{
	struct plan_short s = {.cls = NUM_SHORT};
	struct slice code = f->field[0], cls = f->field[1];
	struct plan *p = l->p;

	if (!all_digits(code) || code.ptr[0] == '0' || code.len < 3 || code.len > NATIONAL_MAX ||
		slice_u64(code, &s.code) != RC_OK) {
		complain(l->c, f->name, f->line,
			"a code is 3 to %d digits that do not start with 0", NATIONAL_MAX);
		return RC_OK;
	}
	s.owner = carrier_of(l, f, f->field[2]);
	if (slice_eq(cls, SLICE("emergency"))) {
		s.cls = NUM_EMERGENCY;
	} else if (slice_eq(cls, SLICE("own_service"))) {
		s.cls = NUM_OWN_SERVICE;
	} else if (slice_eq(cls, SLICE("care"))) {
		s.cls = plan_is_own(p, s.owner) ? NUM_OWN_SERVICE : NUM_SHORT;
	} else if (!slice_eq(cls, SLICE("short"))) {
		complain(l->c, f->name, f->line,
			"the class must be emergency, own_service, care or short, not \"%.*s\"",
			(int)(cls.len < 60 ? cls.len : 60), cls.ptr);
		return RC_OK;
	}
	if (p->short_count == l->short_room) {
		size_t room = l->short_room == 0 ? 64 : l->short_room * 2;
		struct plan_short *more = reallocarray(p->shorts, room, sizeof(more[0]));

		if (more == NULL)
			return no_memory(l);
		p->shorts = more;
		l->short_room = room;
	}
	if (p->short_count == ROWS) {
		complain(l->c, f->name, f->line, "more than %d codes", ROWS);
		return RC_OK;
	}
	for (size_t i = 0; i < p->short_count; i++) {
		if (p->shorts[i].code == s.code) {
			complain(l->c, f->name, f->line, "code %.*s was given before",
				(int)code.len, code.ptr);
			return RC_OK;
		}
	}
	p->shorts[p->short_count++] = s;
	return RC_OK;
}

static enum rc old_row(struct load *l, const struct csv *f)
{
	struct slice was = f->field[0], now = f->field[1];
	char number[10] = "000000000";
	const struct plan_row *row;
	size_t i;

	if (!all_digits(was) || was.len != 3 || was.ptr[0] == '0' || !all_digits(now) ||
		now.len != 2 || now.ptr[0] == '0') {
		complain(l->c, f->name, f->line,
			"an old prefix is three digits, its new one two, both without the leading "
			"0");
		return RC_OK;
	}
	memcpy(number, now.ptr, 2);
	row = plan_find(l->p, number, 9);
	if (row == NULL || row->cls != NUM_MOBILE) {
		complain(l->c, f->name, f->line,
			"the new prefix %.2s is no mobile prefix of plan.csv", number);
		return RC_OK;
	}
	if (row->carrier != carrier_of(l, f, f->field[2])) {
		complain(l->c, f->name, f->line, "plan.csv gives prefix %.2s to another carrier",
			number);
		return RC_OK;
	}
	i = (size_t)(was.ptr[0] - '0') * 100 + (size_t)(was.ptr[1] - '0') * 10 +
		(size_t)(was.ptr[2] - '0');
	if (l->p->old[i] != 0) {
		complain(l->c, f->name, f->line, "prefix %.3s was given before", was.ptr);
		return RC_OK;
	}
	l->p->old[i] = (uint16_t)((now.ptr[0] - '0') * 10 + (now.ptr[1] - '0'));
	return RC_OK;
}

/* "9", "8 9 13", "5-10 12": the digits that may follow a code. */
static bool lengths(struct slice s, uint16_t *out)
{
	struct slice one, low;
	uint64_t a, b;

	*out = 0;
	while (slice_cut(&s, ' ', &one)) {
		if (!slice_cut(&one, '-', &low) || slice_u64(low, &a) != RC_OK)
			return false;
		b = a;
		if ((one.len > 0 && slice_u64(one, &b) != RC_OK) || a < 1 || b < a || b > 14)
			return false;
		for (; a <= b; a++)
			*out = (uint16_t)(*out | 1u << a);
	}
	return *out != 0;
}

static enum rc world_row(struct load *l, const struct csv *f)
{
	uint64_t code = 0;
	uint16_t bits = 0;

	if (slice_u64(f->field[0], &code) != RC_OK || code < 1 || code > 999)
		complain(l->c, f->name, f->line, "a country code is 1 to 999");
	else if (!lengths(f->field[1], &bits))
		complain(l->c, f->name, f->line,
			"digits are numbers of 1 to 14, or spans of them, with blanks between");
	else if (l->p->world[code] != 0)
		complain(l->c, f->name, f->line, "code %u is given more than once", (unsigned)code);
	else if ((code > 9 && l->p->world[code / 10] != 0) ||
		(code > 99 && l->p->world[code / 100] != 0))
		complain(
			l->c, f->name, f->line, "code %u begins with another code", (unsigned)code);
	else
		l->p->world[code] = bits;
	l->p->has_world = true;
	return RC_OK;
}

static enum rc ported_row(struct load *l, const struct csv *f)
{
	struct slice number = f->field[0];
	struct plan *p = l->p;
	uint64_t v = 0;
	uint8_t carrier;

	if (!all_digits(number) || !slice_starts(number, SLICE("84")) ||
		slice_u64(number, &v) != RC_OK || number.len > 2 + NATIONAL_MAX ||
		plan_find(p, number.ptr + 2, number.len - 2) == NULL) {
		complain(l->c, f->name, f->line,
			"a ported number is 84 and the national digits of a number of plan.csv");
		return RC_OK;
	}
	carrier = carrier_of(l, f, f->field[1]);
	if (f->field[1].len == 0)
		complain(l->c, f->name, f->line, "the carrier is missing");
	if (carrier == 0)
		return RC_OK;
	if (p->ported_count == l->ported_room) {
		size_t room = l->ported_room == 0 ? 1024 : l->ported_room * 2;
		uint64_t *more = reallocarray(p->ported, room, sizeof(more[0]));

		if (more == NULL)
			return no_memory(l);
		p->ported = more;
		l->ported_room = room;
	}
	p->ported[p->ported_count++] = v << 8 | carrier;
	return RC_OK;
}

static int by_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_code(const void *a, const void *b)
{
	return by_u64(&((const struct plan_short *)a)->code, &((const struct plan_short *)b)->code);
}

static void sort(struct plan *p)
{
	if (p->short_count > 1)
		qsort(p->shorts, p->short_count, sizeof(p->shorts[0]), by_code);
	if (p->ported_count > 1)
		qsort(p->ported, p->ported_count, sizeof(p->ported[0]), by_u64);
}

static bool ported_twice(const struct plan *p)
{
	for (size_t i = 1; i < p->ported_count; i++)
		if (p->ported[i - 1] >> 8 == p->ported[i] >> 8)
			return true;
	return false;
}

/* A second reading, only after a number was found twice: which lines have them? */
static enum rc ported_again(struct load *l, const struct csv *f)
{
	const struct plan *p = l->p;
	size_t lo = 0, hi = p->ported_count;
	uint64_t v;

	if (slice_u64(f->field[0], &v) != RC_OK)
		return RC_OK;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (p->ported[mid] >> 8 < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo + 1 < p->ported_count && p->ported[lo] >> 8 == v && p->ported[lo + 1] >> 8 == v)
		complain(l->c, f->name, f->line, "number %llu is given more than once",
			(unsigned long long)v);
	return RC_OK;
}

static enum rc load_file(struct load *l, const char *path, size_t cap, const char *header,
	enum rc (*row)(struct load *l, const struct csv *f))
{
	BUF_OWN struct buf text;
	struct err why = {.text = ""};
	struct csv f;
	enum rc rc;

	buf_init(&text, cap);
	rc = file_read(path, false, &text, &why);
	if (rc != RC_OK) {
		complain_text(l->c, why.text);
		return RC_OK;
	}
	if (csv_begin(&f, path, buf_slice(&text), header, l->c))
		while (rc == RC_OK && csv_next(&f))
			rc = row(l, &f);
	csv_done(&f);
	return rc;
}

static struct plan *plan_new(const char *own_carrier)
{
	OWN(plan_free) struct plan *p = calloc(1, sizeof(*p));

	if (p == NULL ||
		(p->arena = arena_new(NODES * sizeof(struct node) +
			 (ROWS + 1) * sizeof(struct plan_row) + (CARRIERS + 2) * 64)) == NULL)
		return NULL;
	p->nodes = arena_array(p->arena, NODES, sizeof(struct node));
	p->rows = arena_array(p->arena, ROWS, sizeof(struct plan_row));
	p->carriers[1] = arena_copy(p->arena, slice_str(own_carrier)).ptr;
	if (p->nodes == NULL || p->rows == NULL || p->carriers[1] == NULL)
		return NULL;
	p->node_count = 1; /* the root, and no row: number 0 of both means "none" */
	p->row_count = 1;
	p->carrier_count = 1;
	p->own = 1;
	return TAKE(p);
}

enum rc plan_load(const char *dir, const char *own_carrier, struct complaints *c, struct plan **out,
	struct err *e)
{
	static const struct {
		const char *name, *header;
		size_t cap;
		enum rc (*row)(struct load *l, const struct csv *f);
	} files[] = {
		{"plan.csv", "prefix,min_digits,max_digits,class,carrier", BOUND_PLAN_FILE,
			plan_row},
		{"short.csv", "code,class,owner", BOUND_PLAN_FILE, short_row},
		{"old_prefixes.csv", "old,new,carrier", BOUND_PLAN_FILE, old_row},
		{"world.csv", "code,digits", BOUND_PLAN_FILE, world_row}, /* may be absent */
		{"portability.csv", "number,carrier", BOUND_PORTED_FILE, ported_row},
	};
	OWN(plan_free) struct plan *p = NULL;
	size_t before = c->count;
	struct load l = {.c = c, .e = e};
	char path[4096] = "";
	enum rc rc = RC_OK;

	if (own_carrier == NULL || own_carrier[0] == '\0' || strlen(own_carrier) > CARRIER_NAME) {
		complain(
			c, dir, 0, "our own carrier needs a name of 1 to %d letters", CARRIER_NAME);
		return err_set(
			e, RC_INVALID, "number plan %s: no good name of our own carrier", dir);
	}
	if (strlen(dir) > sizeof(path) - 32) {
		complain(c, dir, 0, "the folder's name is too long");
		return err_set(e, RC_INVALID, "number plan: the folder's name is too long");
	}
	l.p = p = plan_new(own_carrier);
	if (p == NULL)
		return no_memory(&l);
	for (size_t i = 0; rc == RC_OK && i < ARRAY_LEN(files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		if (files[i].row == world_row && access(path, F_OK) != 0)
			continue;
		rc = load_file(&l, path, files[i].cap, files[i].header, files[i].row);
	}
	if (rc != RC_OK)
		return rc;
	sort(p);
	if (ported_twice(p)) /* path is still that of the last file */
		rc = load_file(&l, path, BOUND_PORTED_FILE, files[ARRAY_LEN(files) - 1].header,
			ported_again);
	if (rc != RC_OK)
		return rc;
	if (c->count == before &&
		!l.own_seen) /* a slip of the pen would make every number another's */
		complain(c, dir, 0, "no row names our own carrier \"%s\"", own_carrier);
	if (c->count != before)
		return err_set(e, RC_INVALID, "number plan %s: %zu error%s", dir, c->count - before,
			c->count - before == 1 ? "" : "s");
	*out = TAKE(p);
	return RC_OK;
}
