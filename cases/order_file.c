/* An authority's order as a file: JSON, or CSV with a JSON head. What is damaged is refused whole, with line and reason, because a list that
 * lost or changed one number orders something else; what is whole but names somebody who is no sender is marked, for people to decide.
 * Leaves out what an order does: orders.c. */
#include <stdio.h>
#include <stdlib.h>

#include "cases/cases.h"

#define DOCUMENT_NO_MAX 128
#define TEXT_MAX 1000
#define ITEM_MAX 64

struct reader {
	const struct plan *plan;
	const char *name;
	struct arena *arena;
	struct complaints *c;
	struct order *o;
};

/* ---- the head ---- */

static struct slice copy(struct reader *r, struct slice s)
{
	struct slice kept = arena_copy(r->arena, s);

	return kept.ptr != NULL ? kept : SLICE("");
}

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return true;
	return false;
}

static struct slice text_of(
	struct reader *r, struct json head, const char *key, size_t max, bool needed)
{
	struct json v = json_get(head, key);
	struct slice s = json_text(v);

	if (v.kind == JSON_NONE || v.kind == JSON_NULL) {
		if (needed)
			complain(r->c, r->name, 1, "%s is missing", key);
		return SLICE("");
	}
	if (v.kind != JSON_TEXT)
		complain(r->c, r->name, 1, "%s must be a text", key);
	else if (needed && slice_trim(s).len == 0)
		complain(r->c, r->name, 1, "%s is empty", key);
	else if (s.len > max || has_control(s))
		complain(r->c, r->name, 1,
			"%s is longer than %zu bytes or holds control characters", key, max);
	else
		return copy(r, slice_trim(s));
	return SLICE("");
}

static int64_t time_of(struct reader *r, struct json head, const char *key, bool needed)
{
	struct slice s = text_of(r, head, key, 64, needed);
	int64_t us = TIME_NONE;

	if (s.len > 0 && time_parse(s, &us) != RC_OK)
		complain(r->c, r->name, 1, "%s is no RFC 3339 time: %.*s", key, (int)s.len, s.ptr);
	return us;
}

static void hash_of(struct reader *r, struct json head)
{
	struct slice s = text_of(r, head, "list_sha256", 64, true);

	if (s.len == 0)
		return;
	struct digest d;
	if (digest_parse(s, &d) != RC_OK)
		complain(r->c, r->name, 1, "list_sha256 is not 64 lower-case hexadecimal digits");
	else
		memcpy(r->o->list_sha256, d.sum, SHA256_LEN);
}

static void services_of(struct reader *r, struct json head)
{
	struct slice s = text_of(r, head, "service", 16, true);
	bool both = slice_eq(s, SLICE("both"));

	r->o->service[SERVICE_SMS] = both || slice_eq(s, SLICE("sms"));
	r->o->service[SERVICE_VOICE] = both || slice_eq(s, SLICE("voice"));
	if (s.len > 0 && !r->o->service[SERVICE_SMS] && !r->o->service[SERVICE_VOICE])
		complain(r->c, r->name, 1, "service must be sms, voice or both: %.*s", (int)s.len,
			s.ptr);
}

static void action_of(struct reader *r, struct json head)
{
	static const char *const known[] = {"bar_out", "bar_in", "bar_both", "recall"};
	struct slice s = text_of(r, head, "action", 16, true);

	r->o->action = s;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (slice_eq(s, slice_str(known[i])))
			return;
	if (s.len > 0)
		complain(r->c, r->name, 1,
			"action must be bar_out, bar_in, bar_both or recall: %.*s", (int)s.len,
			s.ptr);
}

static void class_of(struct reader *r, struct json head)
{
	struct slice s = text_of(r, head, "class", 16, false);

	r->o->cls = slice_eq(s, SLICE("nuisance")) ? CLASS_NUISANCE : CLASS_SCAM;
	if (s.len > 0 && r->o->cls == CLASS_SCAM && !slice_eq(s, SLICE("scam")))
		complain(r->c, r->name, 1, "class must be scam or nuisance: %.*s", (int)s.len,
			s.ptr);
}

static void read_head(struct reader *r, struct json head)
{
	struct order *o = r->o;
	struct slice schema = text_of(r, head, "schema", 16, false);

	if (schema.len > 0 && !slice_eq(schema, SLICE("order/1")))
		complain(r->c, r->name, 1, "schema is not order/1: %.*s", (int)schema.len,
			schema.ptr);
	o->document_no = text_of(r, head, "document_no", DOCUMENT_NO_MAX, true);
	o->issuer = text_of(r, head, "issuer", TEXT_MAX, true);
	o->legal_basis = text_of(r, head, "legal_basis", TEXT_MAX, true);
	o->amends = text_of(r, head, "amends", DOCUMENT_NO_MAX, false);
	o->revokes = text_of(r, head, "revokes", DOCUMENT_NO_MAX, false);
	o->signed_at = time_of(r, head, "signed_at", true);
	o->received_at = time_of(r, head, "received_at", true);
	o->deadline = time_of(r, head, "deadline", false);
	o->until = time_of(r, head, "until", false);
	action_of(r, head);
	services_of(r, head);
	class_of(r, head);
	hash_of(r, head);
	if (o->amends.len > 0 && o->revokes.len > 0)
		complain(r->c, r->name, 1, "an order amends or revokes, not both");
	if (o->document_no.len > 0 &&
		(slice_eq(o->amends, o->document_no) || slice_eq(o->revokes, o->document_no)))
		complain(r->c, r->name, 1, "an order cannot amend or revoke itself");
}

/* ---- the items ---- */

/* What a spreadsheet makes of numbers: 8.4E+10, and 0912345678 without its 0. */
static const char *mangled(struct slice s)
{
	size_t digits = 0, marks = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c >= '0' && c <= '9')
			digits++;
		else if (c == 'E' || c == 'e')
			marks++;
		else if (c != '.' && c != ',' && c != '+')
			return NULL;
	}
	if (marks == 1 && digits >= 2 && s.ptr[0] >= '0' && s.ptr[0] <= '9')
		return "a number as a spreadsheet rounds it";
	if (digits == 9 && s.len == 9 && strchr("35789", s.ptr[0]) != NULL)
		return "a number that lost its leading 0";
	return NULL;
}

/* What is no text is shown by its bytes. */
static struct slice shown(struct reader *r, struct slice raw)
{
	BUF_OWN struct buf b = {0};

	if (slice_utf8_valid(raw) && memchr(raw.ptr, '\0', raw.len) == NULL)
		return copy(r, raw);
	buf_init(&b, 4 * raw.len + 1);
	for (size_t i = 0; i < raw.len; i++) {
		if (raw.ptr[i] >= ' ' && raw.ptr[i] < 0x7f)
			buf_byte(&b, raw.ptr[i]);
		else
			buf_fmt(&b, "\\x%02x", (unsigned char)raw.ptr[i]);
	}
	return copy(r, buf_slice(&b));
}

static bool put_item(struct reader *r, struct slice raw, int line)
{
	struct order *o = r->o;

	if (o->n == BOUND_ORDER_ITEMS) {
		complain(r->c, r->name, line, "more than %d items", BOUND_ORDER_ITEMS);
		return false;
	}
	const char *why = mangled(raw);
	if (why != NULL)
		complain(r->c, r->name, line, "%.*s: %s", (int)(raw.len < 64 ? raw.len : 64),
			raw.ptr, why);
	o->items[o->n++] =
		(struct order_item){.raw = copy(r, raw), .shown = shown(r, raw), .line = line};
	return true;
}

static void items_of_json(struct reader *r, struct json list)
{
	struct json_iter it = json_iter(list);
	struct slice key;
	struct json v;

	if (list.kind != JSON_LIST) {
		complain(r->c, r->name, 1, "items must be a list of texts");
		return;
	}
	for (int place = 1; json_next(&it, &key, &v); place++) {
		if (v.kind != JSON_TEXT) {
			complain(r->c, r->name, 1,
				"item %d is not a text: a number loses its leading 0", place);
			continue;
		}
		if (!put_item(r, json_text(v), place))
			return;
	}
}

/* The one field of a row; quotes around it go. */
static struct slice field_of(struct slice line)
{
	if (line.len >= 2 && line.ptr[0] == '"' && line.ptr[line.len - 1] == '"' &&
		memchr(line.ptr + 1, '"', line.len - 2) == NULL)
		return slice_of(line.ptr + 1, line.len - 2);
	return line;
}

static void items_of_csv(struct reader *r, struct slice rest)
{
	struct slice line;

	if (!slice_line(&rest, &line) || !slice_eq(field_of(line), SLICE("sender"))) {
		complain(r->c, r->name, 2, "the column name sender is expected");
		return;
	}
	for (int at = 3; slice_line(&rest, &line); at++) {
		if (memchr(line.ptr, ',', line.len) != NULL ||
			memchr(line.ptr, ';', line.len) != NULL) {
			complain(r->c, r->name, at, "one sender a line: more than one column");
			continue;
		}
		if (line.len == 0 && rest.len == 0)
			return; /* a file that ends with an empty line */
		if (!put_item(r, field_of(line), at))
			return;
	}
}

static void check_hash(struct reader *r)
{
	BUF_OWN struct buf all;
	uint8_t hash[SHA256_LEN];

	buf_init(&all, BOUND_ORDER_FILE);
	for (size_t i = 0; i < r->o->n; i++) {
		buf_add(&all, r->o->items[i].raw);
		buf_byte(&all, '\n');
	}
	sha256(buf_slice(&all), hash);
	if (memcmp(hash, r->o->list_sha256, SHA256_LEN) != 0)
		complain(r->c, r->name, 1,
			"list_sha256 is not the hash of the %zu items: the list is cut or changed",
			r->o->n);
}

/* ---- whom they name ---- */

static void name_item(struct reader *r, struct order_item *i)
{
	const char *why = NULL;

	if (i->raw.len > ITEM_MAX) {
		i->fault = "too long for a sender";
		return;
	}
	switch (sender_parse(r->plan, i->raw, r->o->received_at, &i->sender, &why)) {
	case SENDER_OK:
		break;
	case SENDER_WITHHELD:
		i->fault = "names nobody";
		return;
	case SENDER_OLD:
		i->fault = "an 11-digit number of before 2018";
		return;
	case SENDER_INVALID:
		i->fault = why;
		return;
	}
	enum number_class class = sender_class(r->plan, &i->sender);
	i->attribution = sender_attribution(r->plan, &i->sender, &i->carrier, &i->by_table);
	i->number_class = number_class_name(class);
	i->emergency = class == NUM_EMERGENCY || class == NUM_OWN_SERVICE;
}

static int by_sender(const void *a, const void *b)
{
	const struct order_item *x = *(const struct order_item *const *)a;
	const struct order_item *y = *(const struct order_item *const *)b;
	int d = (int)x->sender.scope - (int)y->sender.scope;

	d = d != 0 ? d : strcmp(x->sender.value, y->sender.value);
	return d != 0 ? d : x->line - y->line;
}

static enum rc name_all(struct reader *r, struct err *e)
{
	struct order *o = r->o;
	struct order_item **list = arena_array(r->arena, o->n, sizeof(*list));
	size_t n = 0;

	if (o->n > 0 && list == NULL)
		return err_set(e, RC_LIMIT, "%s: out of memory", r->name);
	for (size_t i = 0; i < o->n; i++) {
		name_item(r, &o->items[i]);
		o->invalid += o->items[i].fault != NULL;
		if (o->items[i].fault == NULL)
			list[n++] = &o->items[i];
	}
	if (n > 0)
		qsort(list, n, sizeof(*list), by_sender);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (list[i]->sender.scope != list[first]->sender.scope ||
			strcmp(list[i]->sender.value, list[first]->sender.value) != 0) {
			first = i;
			continue;
		}
		list[i]->same_as = list[first]->line;
		o->duplicates++;
	}
	return RC_OK;
}

/* ---- all of it ---- */

static struct slice without_bom(struct reader *r, struct slice file)
{
	if (slice_starts(file, SLICE("\xff\xfe")) || slice_starts(file, SLICE("\xfe\xff")))
		complain(r->c, r->name, 1, "the file is UTF-16: it must be UTF-8");
	if (slice_starts(file, SLICE("\xef\xbb\xbf")))
		return slice_of(file.ptr + 3, file.len - 3);
	return file;
}

/* The whole file is one JSON object, or its first line is. */
static void read_all(struct reader *r, struct json_parser *p, struct slice file)
{
	struct slice rest = file, line = SLICE("");
	struct json head;
	struct err why = {0};

	if (json_parse(p, file, &head, &why) == RC_OK) {
		read_head(r, head);
		items_of_json(r, json_get(head, "items"));
		return;
	}
	if (!slice_line(&rest, &line) || json_parse(p, line, &head, &(struct err){0}) != RC_OK ||
		rest.len == 0) {
		complain(r->c, r->name, 1,
			"neither a JSON object nor a JSON head above a column: %s", why.text);
		return;
	}
	read_head(r, head);
	items_of_csv(r, rest);
}

enum rc order_read(const struct plan *p, const char *name, struct slice file, struct arena *a,
	struct complaints *c, struct order *out, struct err *e)
{
	OWN(json_parser_free) struct json_parser *json = json_parser_new();
	struct order o = {.deadline = TIME_NONE, .until = TIME_NONE};
	struct reader r = {.plan = p, .name = name, .arena = a, .c = c, .o = &o};
	size_t before = c->count;

	o.items = arena_array(a, BOUND_ORDER_ITEMS, sizeof(*o.items));
	if (json == NULL || o.items == NULL)
		return err_set(e, RC_LIMIT, "%s: out of memory", name);
	file = without_bom(&r, file);
	if (c->count == before)
		read_all(&r, json, file);
	if (c->count == before && o.n == 0 && o.revokes.len == 0)
		complain(c, name, 1, "the list is empty");
	if (c->count == before && o.n > 0 && o.revokes.len > 0)
		complain(c, name, 1,
			"an order that revokes another has no items: they would be barred anew; to "
			"take some off, amend it");
	if (c->count == before)
		check_hash(&r);
	if (c->count > before)
		return err_set(e, RC_INVALID, "%s: refused, nothing was changed", name);
	enum rc rc = name_all(&r, e);
	if (rc == RC_OK)
		*out = o;
	return rc;
}
