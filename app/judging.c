/* What classify, train and eval read: the rule packs, the model and labelled texts; by default the shipped ones. */
#include <stdio.h>
#include <unistd.h>

#include "app/app.h"

/* Something shipped: beside the schema, in a checkout or as installed. False: it is not there. */
static bool shipped(const char *name, char out[600])
{
	static const char *const places[] = {"../etc", ".."};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		(void)snprintf(out, 600, "%.500s/%s/%s", app_sql_dir(), places[i], name);
		if (access(out, R_OK) == 0)
			return true;
	}
	return false;
}

static void complained(struct complaints *c)
{
	if (c->count > 0)
		fprintf(stderr, "%.*s", (int)c->text.len, c->text.ptr);
	complaints_done(c);
}

/* The look-alikes stand beside a folder of packs, or are the shipped ones. */
enum rc app_pack(const char *rules, struct pack **out, struct err *e)
{
	char own[600], homoglyphs[600];
	struct complaints c;
	enum rc rc;

	if (rules == NULL && !shipped("rules", own))
		return err_set(e, RC_INVALID, "no rule packs were shipped: say --rules DIR");
	rules = rules != NULL ? rules : own;
	(void)snprintf(homoglyphs, sizeof(homoglyphs), "%.500s/../fold/homoglyphs.tsv", rules);
	if (access(homoglyphs, R_OK) != 0)
		(void)shipped("fold/homoglyphs.tsv", homoglyphs);
	complaints_init(&c);
	rc = pack_load(rules, homoglyphs, &c, out, e);
	complained(&c);
	return rc;
}

enum rc app_model(const char *path, struct model **out, struct err *e)
{
	char own[600];

	if (path == NULL && !shipped("model/shipped.khm", own))
		return RC_OK;
	if (path != NULL && path[0] == '\0')
		return RC_OK;
	return model_load(path != NULL ? path : own, out, e);
}

enum rc app_texts(
	const struct pack *p, char **files, char **always, struct texts **out, struct err *e)
{
	OWN(texts_free) struct texts *t = NULL;
	struct complaints c;
	enum rc rc = texts_new(p, &t, e);

	complaints_init(&c);
	for (; rc == RC_OK && *files != NULL; files++)
		rc = texts_add(t, *files, false, &c, e);
	for (; rc == RC_OK && always != NULL && *always != NULL; always++)
		rc = texts_add(t, *always, true, &c, e);
	complained(&c);
	if (rc == RC_OK)
		rc = texts_settle(t, e);
	if (rc == RC_OK)
		*out = TAKE(t);
	return rc;
}
