/* JSON over simdjson, the only C++ of this room. simdjson writes a document as a "tape" of 64-bit words
 * (its doc/tape.md): a letter in the top byte and a payload below; a value is named by its place on the
 * tape. Reading it here instead of through the DOM classes costs nothing and cannot throw. What simdjson
 * does not refuse and we do, duplicate keys, is found in one walk along the tape. No exception leaves
 * this file. */
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>

/* struct json_iter and the function of that name are one word to C++. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "wire/json.h"
}
#pragma GCC diagnostic pop

namespace
{
constexpr size_t size_cap = 16 * 1024 * 1024;
constexpr size_t few_keys = 64; /* compared each with each; more are sorted */
constexpr uint64_t payload_bits = (UINT64_C(1) << 56) - 1;

bool less(const slice &a, const slice &b)
{
	return a.len != b.len ? a.len < b.len : memcmp(a.ptr, b.ptr, a.len) < 0;
}
} // namespace

struct json_parser {
	simdjson::dom::parser simd;
	char *text = nullptr; /* a copy with the padding that simdjson reads over */
	size_t room = 0;
	slice *keys = nullptr; /* of one map, to look for duplicates */
	size_t keys_room = 0;
	size_t capacity = 0;  /* what `simd` is ready for */
	bool widened = false; /* of the document: integers beyond 64 bits became reals */

	~json_parser()
	{
		free(text);
		free(keys);
	}
	uint64_t word(size_t at) const
	{
		return simd.doc.tape[at];
	}
	char letter(size_t at) const
	{
		return static_cast<char>(word(at) >> 56);
	}
	/* The place behind the value. */
	size_t after(size_t at) const
	{
		switch (letter(at)) {
		case '{':
		case '[':
			return static_cast<uint32_t>(word(at));
		case 'l':
		case 'u':
		case 'd':
			return at + 2;
		default:
			return at + 1;
		}
	}
	slice string(size_t at) const
	{
		const uint8_t *p = simd.doc.string_buf.get() + (word(at) & payload_bits);
		uint32_t len;

		memcpy(&len, p, sizeof(len));
		return slice{reinterpret_cast<const char *>(p) + sizeof(len), len};
	}
	size_t count(size_t at) const
	{
		return (word(at) >> 32) & 0xFFFFFF; /* enough for what fits under size_cap */
	}
};

/* --- parsing */

namespace
{
bool reserve(void **p, size_t *room, size_t want, size_t size)
{
	if (want <= *room)
		return true;
	want += want / 2;
	void *grown = realloc(*p, want * size);
	if (grown == nullptr)
		return false;
	*p = grown;
	*room = want;
	return true;
}

enum rc out_of_memory(struct err *e)
{
	return err_set(e, RC_RETRY, "out of memory");
}

bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Walks over text that is not JSON, for a cause that helps: what is open at its end, what follows. */
enum rc explain(struct slice s, struct err *e)
{
	size_t depth = 0, i = 0;
	bool began = false;

	for (; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
			continue;
		if (began && depth == 0)
			return err_set(e, RC_INVALID, "something follows the value at byte %zu", i);
		if (c == '"') {
			for (i++; i < s.len && s.ptr[i] != '"'; i++)
				if (s.ptr[i] == '\\')
					i++;
			if (i >= s.len)
				return err_set(e, RC_INVALID, "ends early, in a string");
			began = true;
		} else if (c == '{' || c == '[') {
			depth++;
			began = true;
		} else if (c == '}' || c == ']') {
			if (depth == 0)
				return err_set(
					e, RC_INVALID, "a bracket closes nothing at byte %zu", i);
			depth--;
		} else if (c == 'N' || c == 'I') {
			return err_set(e, RC_INVALID,
				"neither NaN nor Infinity is a number, at byte %zu", i);
		} else if (depth == 0) {
			/* a bare number or word; its end is looked for */
			while (i + 1 < s.len && strchr(" \n\r\t{}[]\",:", s.ptr[i + 1]) == nullptr)
				i++;
			began = true;
		}
	}
	if (depth > 0)
		return err_set(e, RC_INVALID, "ends early, %zu brackets are open", depth);
	return err_set(e, RC_INVALID, "not JSON");
}

enum rc refused(simdjson::error_code code, struct slice s, struct err *e)
{
	switch (code) {
	case simdjson::MEMALLOC:
	case simdjson::CAPACITY:
		return out_of_memory(e);
	case simdjson::EMPTY:
		return err_set(e, RC_INVALID, "empty");
	case simdjson::UTF8_ERROR:
		return err_set(e, RC_INVALID, "not UTF-8");
	case simdjson::DEPTH_ERROR:
		return err_set(e, RC_INVALID, "nested deeper than %d", BOUND_JSON_DEPTH);
	case simdjson::UNCLOSED_STRING:
		return err_set(e, RC_INVALID, "ends early, in a string");
	case simdjson::STRING_ERROR:
		return err_set(e, RC_INVALID, "a wrong escape in a string");
	case simdjson::UNESCAPED_CHARS:
		return err_set(e, RC_INVALID, "a control character in a string");
	case simdjson::NUMBER_ERROR:
		return err_set(e, RC_INVALID, "a number that is malformed or out of range");
	case simdjson::T_ATOM_ERROR:
	case simdjson::F_ATOM_ERROR:
	case simdjson::N_ATOM_ERROR:
		return err_set(e, RC_INVALID, "a word that is not true, false or null");
	default:
		return explain(s, e);
	}
}

/* Does an integer of these digits fit the 64 bits that simdjson has for it? */
bool fits(const char *digits, size_t n, bool negative)
{
	const char *most = negative ? "9223372036854775808" : "18446744073709551615";
	size_t len = strlen(most);

	return n != len ? n < len : memcmp(digits, most, len) <= 0;
}

/* Larger integers are numbers of JSON and errors of simdjson: with an exponent they are read as reals.
 * Copies the text so, into `out`, which has room for twice its length. */
size_t with_exponents(struct slice s, char *out)
{
	bool in_string = false;
	size_t n = 0;

	for (size_t i = 0; i < s.len;) {
		if (in_string || !digit(s.ptr[i])) {
			if (in_string && s.ptr[i] == '\\' && i + 1 < s.len)
				out[n++] = s.ptr[i++];
			else if (s.ptr[i] == '"')
				in_string = !in_string;
			out[n++] = s.ptr[i++];
			continue;
		}
		size_t from = i;
		bool negative = i > 0 && s.ptr[i - 1] == '-';
		while (i < s.len && digit(s.ptr[i]))
			out[n++] = s.ptr[i++];
		if (i < s.len && strchr(".eE", s.ptr[i]) != nullptr) {
			/* a real already: fraction and exponent go as they are */
			while (i < s.len &&
				(digit(s.ptr[i]) || strchr(".eE+-", s.ptr[i]) != nullptr))
				out[n++] = s.ptr[i++];
		} else if (!fits(s.ptr + from, i - from, negative)) {
			out[n++] = 'e';
			out[n++] = '0';
		}
	}
	return n;
}

simdjson::error_code run(struct json_parser *p, size_t len)
{
	memset(p->text + len, 0, simdjson::SIMDJSON_PADDING);
	if (len > p->capacity || p->capacity == 0) {
		size_t want = len < 4096 ? 4096 : len + len / 2;
		/* simdjson counts the document itself as a level */
		auto error = p->simd.allocate(want, BOUND_JSON_DEPTH + 1);

		if (error != simdjson::SUCCESS)
			return error;
		p->capacity = want;
	}
	return p->simd.parse(reinterpret_cast<const uint8_t *>(p->text), len, false).error();
}

enum rc duplicate(struct slice key, struct err *e)
{
	char shown[41];
	size_t n = 0;

	for (; n < key.len && n + 1 < sizeof(shown); n++)
		shown[n] = key.ptr[n] >= ' ' && key.ptr[n] <= '~' ? key.ptr[n] : '?';
	shown[n] = '\0';
	return err_set(e, RC_INVALID, "duplicate key \"%s\"", shown);
}

enum rc check_keys(struct json_parser *p, size_t map, struct err *e)
{
	size_t n = 0, end = p->after(map) - 1;

	if (!reserve(reinterpret_cast<void **>(&p->keys), &p->keys_room, p->count(map),
		    sizeof(slice)))
		return out_of_memory(e);
	for (size_t at = map + 1; at < end; at = p->after(at + 1))
		p->keys[n++] = p->string(at);
	if (n > few_keys) {
		std::sort(p->keys, p->keys + n, less);
		for (size_t i = 1; i < n; i++)
			if (slice_eq(p->keys[i - 1], p->keys[i]))
				return duplicate(p->keys[i], e);
		return RC_OK;
	}
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (slice_eq(p->keys[i], p->keys[k]))
				return duplicate(p->keys[i], e);
	return RC_OK;
}

enum rc check_tape(struct json_parser *p, struct err *e)
{
	size_t end = static_cast<uint32_t>(p->word(0)), depth = 0;
	enum rc rc = RC_OK;

	for (size_t at = 1; at < end && rc == RC_OK; at++) {
		switch (p->letter(at)) {
		case '{':
			rc = check_keys(p, at, e);
			depth++;
			break;
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth--;
			break;
		case 'l':
		case 'u':
		case 'd':
			at++;
			break;
		default:
			break;
		}
		if (depth > BOUND_JSON_DEPTH) /* simdjson does not count an empty one */
			return err_set(e, RC_INVALID, "nested deeper than %d", BOUND_JSON_DEPTH);
	}
	return rc;
}

enum json_kind kind_of(const struct json_parser *p, size_t at)
{
	switch (p->letter(at)) {
	case '{':
		return JSON_MAP;
	case '[':
		return JSON_LIST;
	case '"':
		return JSON_TEXT;
	case 'l':
		return JSON_INT;
	case 'u':
	case 'd':
		return JSON_REAL;
	case 't':
	case 'f':
		return JSON_BOOL;
	default:
		return JSON_NULL;
	}
}

struct json value_at(struct json_parser *p, size_t at)
{
	return json{kind_of(p, at), p, at};
}

enum rc parse(struct json_parser *p, struct slice s, struct json *out, struct err *e)
{
	if (s.len > size_cap)
		return err_set(e, RC_INVALID, "larger than %zu bytes", size_cap);
	if (slice_starts(s, SLICE("\xEF\xBB\xBF")))
		return err_set(e, RC_INVALID, "begins with a byte order mark");
	if (!reserve(reinterpret_cast<void **>(&p->text), &p->room,
		    s.len + simdjson::SIMDJSON_PADDING, 1))
		return out_of_memory(e);
	if (s.len > 0)
		memcpy(p->text, s.ptr, s.len);
	auto error = run(p, s.len);
	p->widened = error == simdjson::NUMBER_ERROR;
	if (p->widened) {
		if (!reserve(reinterpret_cast<void **>(&p->text), &p->room,
			    2 * s.len + simdjson::SIMDJSON_PADDING, 1))
			return out_of_memory(e);
		error = run(p, with_exponents(s, p->text));
	}
	if (error != simdjson::SUCCESS)
		return refused(error, s, e);
	enum rc rc = check_tape(p, e);
	if (rc == RC_OK)
		*out = value_at(p, 1);
	return rc;
}
} // namespace

struct json_parser *json_parser_new(void)
{
	return new (std::nothrow) json_parser();
}

void json_parser_free(struct json_parser *p)
{
	delete p;
}

enum rc json_parse(struct json_parser *p, struct slice text, struct json *out, struct err *e)
{
	try {
		return parse(p, text, out, e);
	} catch (...) {
		return out_of_memory(e);
	}
}

/* --- reading */

bool json_widened(struct json v)
{
	return v.doc != nullptr && v.doc->widened;
}

struct json json_get(struct json map, const char *key)
{
	struct slice want = slice_str(key);

	if (map.kind != JSON_MAP)
		return json{};
	const struct json_parser *p = map.doc;
	for (size_t at = map.at + 1, end = p->after(map.at) - 1; at < end; at = p->after(at + 1))
		if (slice_eq(p->string(at), want))
			return value_at(map.doc, at + 1);
	return json{};
}

struct slice json_text(struct json v)
{
	return v.kind == JSON_TEXT ? v.doc->string(v.at) : SLICE("");
}

int64_t json_int(struct json v)
{
	return v.kind == JSON_INT ? static_cast<int64_t>(v.doc->word(v.at + 1)) : 0;
}

double json_real(struct json v)
{
	double d;

	if (v.kind == JSON_INT)
		return static_cast<double>(json_int(v));
	if (v.kind != JSON_REAL)
		return 0;
	uint64_t bits = v.doc->word(v.at + 1);
	if (v.doc->letter(v.at) == 'u')
		return static_cast<double>(bits);
	memcpy(&d, &bits, sizeof(d));
	return d;
}

bool json_bool(struct json v)
{
	return v.kind == JSON_BOOL && v.doc->letter(v.at) == 't';
}

size_t json_count(struct json v)
{
	return v.kind == JSON_MAP || v.kind == JSON_LIST ? v.doc->count(v.at) : 0;
}

struct json_iter json_iter(struct json v)
{
	return (struct json_iter){v, v.at + 1, json_count(v)};
}

bool json_next(struct json_iter *it, struct slice *key, struct json *value)
{
	if (it->left == 0)
		return false;
	it->left--;
	*key = SLICE("");
	if (it->of.kind == JSON_MAP)
		*key = it->of.doc->string(it->at++);
	*value = value_at(it->of.doc, it->at);
	it->at = it->of.doc->after(it->at);
	return true;
}

/* --- writing */

namespace
{
/* The shortest of the forms that read back as the same number, and as a real. */
void write_real(double d, struct buf *out)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, nullptr) == d)
			break;
	}
	buf_add(out, slice_str(text));
	if (strpbrk(text, ".e") == nullptr)
		buf_add(out, SLICE(".0"));
}

void write_scalar(const struct json_parser *p, size_t at, struct buf *out)
{
	switch (p->letter(at)) {
	case '"':
		buf_json(out, p->string(at));
		break;
	case 'l':
		buf_fmt(out, "%lld", static_cast<long long>(p->word(at + 1)));
		break;
	case 'u':
		buf_fmt(out, "%llu", static_cast<unsigned long long>(p->word(at + 1)));
		break;
	case 'd':
		double d;
		memcpy(&d, &p->simd.doc.tape[at + 1], sizeof(d));
		write_real(d, out);
		break;
	case 't':
		buf_add(out, SLICE("true"));
		break;
	case 'f':
		buf_add(out, SLICE("false"));
		break;
	default:
		buf_add(out, SLICE("null"));
		break;
	}
}
} // namespace

void json_write(struct json v, struct buf *out)
{
	struct {
		bool map, key; /* in a map: a key comes next */
		bool first;
	} open[BOUND_JSON_DEPTH + 2];
	size_t depth = 0;

	if (v.kind == JSON_NONE)
		return;
	const struct json_parser *p = v.doc;
	for (size_t at = v.at, end = p->after(v.at); at < end;) {
		char c = p->letter(at);

		if (c == '}' || c == ']') {
			buf_byte(out, c);
			depth--;
			at++;
			continue;
		}
		if (depth > 0) {
			auto *level = &open[depth - 1];

			if (level->map && !level->key)
				buf_byte(out, ':');
			else if (!level->first)
				buf_byte(out, ',');
			level->first = false;
			level->key = !level->key;
		}
		if (c == '{' || c == '[') {
			buf_byte(out, c);
			open[depth++] = {c == '{', true, true};
			at++;
			continue;
		}
		write_scalar(p, at, out);
		at = p->after(at);
	}
}
