/* Any bytes folded: folding twice changes nothing, the way back is monotonous and stays inside, the copy is UTF-8. */
#include "classifier/fold.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[][2] = {{"vay", "vay"}, {"tien", "tien"}, {"ko", "khong"},
		{"hotro", "ho tro"}, {"aa", "bb cc"}, {"iii", "iiiiii vv"}, {"bo", "bo"}};
	static struct fold_table *table;
	static struct arena *arena;
	struct slice raw = slice_of((const char *)data, size);
	struct folded once, twice;
	enum rc rc;

	if (table == NULL) {
		struct err e;

		if (fold_table_load(SOURCE_DIR "/etc/fold/homoglyphs.tsv", &table, &e) != RC_OK)
			abort();
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (fold_table_word(
				    table, slice_str(words[i][0]), slice_str(words[i][1])) != NULL)
				abort();
		arena = arena_new((size_t)4 << 20);
	}
	arena_reset(arena);
	rc = fold(table, raw, arena, &once);
	assert(rc == RC_OK);
	assert(slice_utf8_valid(once.text));
	for (size_t i = 0; i < once.text.len; i++)
		assert(once.map[i] <= once.map[i + 1]);
	assert(once.map[once.text.len] <= content_cut(raw).len);
	if (once.text.len > BOUND_CONTENT)
		return 0; /* the second time only a part would be read */
	rc = fold(table, once.text, arena, &twice);
	assert(rc == RC_OK && slice_eq(once.text, twice.text));
	return 0;
}
