/* A short message as the network carries it: hexadecimal of packed GSM 7-bit (3GPP TS 23.038) or of UCS-2, made into UTF-8. Leaves out what the
 * text says (sms_split.c) and user data headers: parts come without them, in order. */
#include "ingest/sms.h"

#include <stdlib.h>

/* The default alphabet of TS 23.038 section 6.2.1; 0x1b leads into the extension. */
static const char *const basic[128] = {"@", "£", "$", "¥", "è", "é", "ù", "ì", "ò", "Ç", "\n", "Ø",
	"ø", "\r", "Å", "å", "Δ", "_", "Φ", "Γ", "Λ", "Ω", "Π", "Ψ", "Σ", "Θ", "Ξ", NULL, "Æ", "æ",
	"ß", "É", " ", "!", "\"", "#", "¤", "%", "&", "'", "(", ")", "*", "+", ",", "-", ".", "/",
	"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", ":", ";", "<", "=", ">", "?", "¡", "A",
	"B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
	"T", "U", "V", "W", "X", "Y", "Z", "Ä", "Ö", "Ñ", "Ü", "§", "¿", "a", "b", "c", "d", "e",
	"f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w",
	"x", "y", "z", "ä", "ö", "ñ", "ü", "à"};

static const struct {
	uint8_t code;
	const char *text;
} extended[] = {{0x0a, "\f"}, {0x14, "^"}, {0x28, "{"}, {0x29, "}"}, {0x2f, "\\"}, {0x3c, "["},
	{0x3d, "~"}, {0x3e, "]"}, {0x40, "|"}, {0x65, "€"}};

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte at place i of the hex text; -1 when it is none. */
static int byte_at(struct slice hex, size_t i)
{
	int high = nibble(hex.ptr[2 * i]), low = nibble(hex.ptr[2 * i + 1]);

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static const char *extension(uint8_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(extended); i++)
		if (extended[i].code == code)
			return extended[i].text;
	return " "; /* of an extension that we do not have, as the standard says */
}

/* Seven spare bits at the end are a filling, not a character: zeros, or CR. */
static bool gsm7(struct slice hex, struct buf *out)
{
	size_t bytes = hex.len / 2, septets = bytes * 8 / 7;
	uint32_t bits = 0;
	int have = 0;
	bool escaped = false;

	for (size_t i = 0, done = 0; i < bytes; i++) {
		int b = byte_at(hex, i);

		if (b < 0)
			return false;
		bits |= (uint32_t)b << have;
		for (have += 8; have >= 7; have -= 7, bits >>= 7, done++) {
			uint8_t code = bits & 0x7f;
			const char *text = escaped ? extension(code) : basic[code];

			if (done + 1 == septets && bytes % 7 == 0 && (code == 0 || code == 0x0d))
				continue;
			escaped = !escaped && code == 0x1b;
			if (!escaped)
				buf_add(out, slice_str(text));
		}
	}
	return true;
}

static void utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_byte(out, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_byte(out, (char)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			buf_byte(out, (char)(0xe0 | c >> 12));
		} else {
			buf_byte(out, (char)(0xf0 | c >> 18));
			buf_byte(out, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_byte(out, (char)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_byte(out, (char)(0x80 | (c & 0x3f)));
}

/* Phones put pairs of surrogates into UCS-2, too; a half one is an error. */
static bool ucs2(struct slice hex, struct buf *out)
{
	uint32_t high = 0;

	if (hex.len % 4 != 0)
		return false;
	for (size_t i = 0; i < hex.len / 2; i += 2) {
		int a = byte_at(hex, i), b = byte_at(hex, i + 1);
		uint32_t c = (uint32_t)a << 8 | (uint32_t)b;

		if (a < 0 || b < 0 || (high != 0) != (c >= 0xdc00 && c <= 0xdfff))
			return false;
		if (c >= 0xd800 && c <= 0xdbff) {
			high = c;
			continue;
		}
		utf8(out, high != 0 ? 0x10000 + ((high & 0x3ff) << 10) + (c & 0x3ff) : c);
		high = 0;
	}
	return high == 0;
}

bool sms_coding(struct slice coding, struct slice part, struct buf *out)
{
	if (slice_eq(coding, SLICE("text"))) {
		buf_add(out, part);
		return true;
	}
	if (part.len % 2 != 0)
		return false;
	return slice_eq(coding, SLICE("gsm7")) ? gsm7(part, out) : ucs2(part, out);
}
