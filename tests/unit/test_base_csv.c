/* csv: fields, quotes, comments, and complaints with their lines. */
#include "base/csv.h"
#include "tests/unit/check.h"

/* Rows as "[a|b]" one after the other, then the complaints. */
static void rows(const char *text, const char *want)
{
	BUF_OWN struct buf got;
	struct complaints c;
	struct csv r;

	buf_init(&got, 4096);
	complaints_init(&c);
	if (csv_begin(&r, "f.csv", slice_str(text), "code,name", &c)) {
		while (csv_next(&r))
			buf_fmt(&got, "%d[%.*s|%.*s]", r.line, (int)r.field[0].len, r.field[0].ptr,
				(int)r.field[1].len, r.field[1].ptr);
	}
	csv_done(&r);
	buf_add(&got, buf_slice(&c.text));
	CHECK_SLICE(buf_slice(&got), want);
	complaints_done(&c);
}

static void test_rows(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
		{"code,name\n1,a\n2,b", "2[1|a]3[2|b]"},
		{"\xEF\xBB\xBF"
		 "code , name\r\n# note\r\n\r\n 1 ,\t a b \r\n",
			"4[1|a b]"},
		{"code,name\n1,\n,\n", "2[1|]3[|]"},
		{"code,name\n\"1\",\"a, \"\"b\"\" \"\n", "2[1|a, \"b\" ]"},
		{"\"code\",name\n1, \"\" \n", "2[1|]"},
		{"code,name\n1\n1,2,3\n4,5\n",
			"4[4|5]f.csv:2: 1 field instead of 2\nf.csv:3: 3 fields instead of 2\n"},
		{"code,name\n1,\"a\n2,b\"x\n3,\"c\"d\n4,e\n",
			"5[4|e]f.csv:2: the quotes or the number of fields are not in order\n"
			"f.csv:3: the quotes or the number of fields are not in order\n"
			"f.csv:4: the quotes or the number of fields are not in order\n"},
		{"code,name\n,,,,,,,,,,,,,,,,\n",
			"f.csv:2: the quotes or the number of fields are not in order\n"},
		{"", "f.csv:1: the file is empty; its first line must be code,name\n"},
		{"# only this\n", "f.csv:1: the file is empty; its first line must be code,name\n"},
		{"\ncode;name\n", "f.csv:2: the header must be code,name\n"},
		{"code\n", "f.csv:1: the header must be code,name\n"},
		{"code,name,x\n", "f.csv:1: the header must be code,name\n"},
		{"name,code\n", "f.csv:1: the header must be code,name\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_CASE("%zu", i);
		rows(cases[i].in, cases[i].want);
	}
}

int main(void)
{
	RUN(test_rows);
	return check_done();
}
