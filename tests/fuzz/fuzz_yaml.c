/* Any bytes as a YAML file: a tree or a refusal that names the file; the tree's texts end and its counts are right. */
#include <assert.h>

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nodes below n; as deep as the reader lets a file go. */
static size_t look(const struct yaml *n)
{
	size_t children = 0;

	assert(n->line >= 1 && n->value.ptr[n->value.len] == '\0' && n->key.ptr != NULL);
	assert(n->kind == YAML_SCALAR || n->value.len == 0);
	for (const struct yaml *k = n->child; k != NULL; k = k->next) {
		children++;
		(void)look(k);
	}
	assert(children == n->count && (children == 0 || n->kind != YAML_SCALAR));
	return children;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN(yaml_free) struct yaml_doc *d = NULL;
	struct err e = {.text = ""};

	if (yaml_parse("f", slice_of((const char *)data, size), &d, &e) == RC_OK)
		(void)look(yaml_root(d));
	else
		assert(d == NULL && e.text[0] == 'f' && e.text[1] == ':');
	return 0;
}
