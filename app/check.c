/* khien check: everything that a start would read, without starting: configuration, keys, number plan, policy, rule packs, protected list. Every error
 * with file and line. `--reference` prints the configuration's reference page instead. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

static bool check_plan(const struct conf *c, struct complaints *all)
{
	OWN(plan_free) struct plan *plan = NULL;
	struct err e = {0};

	return plan_load(conf_text(c, "numbers.dir"), conf_text(c, "numbers.own_carrier"), all,
		       &plan, &e) == RC_OK;
}

static bool check_judging(const struct conf *c, struct complaints *all)
{
	OWN(policy_free) struct policy *policy = NULL;
	OWN(pack_free) struct pack *pack = NULL;
	OWN(model_free) struct model *model = NULL;
	struct err e = {0};
	bool ok = policy_load(conf_text(c, "policy.file"), all, &policy, &e) == RC_OK;

	ok = pack_load(conf_text(c, "rules.dir"), conf_text(c, "rules.homoglyphs"), all, &pack,
		     &e) == RC_OK &&
		ok;
	const char *model_file = conf_text(c, "model.file");
	if (model_file[0] != '\0' && model_load(model_file, &model, &e) != RC_OK) {
		complain_text(all, e.text);
		ok = false;
	}
	if (ok)
		printf("policy %s, rules %s (%zu rules), model %s\n", policy->version,
			pack_version(pack), pack_rules(pack),
			model != NULL ? model_version(model) : "none");
	return ok;
}

static bool check_protected(const struct conf *c, struct complaints *all)
{
	const char *path = conf_text(c, "protected.file");
	struct err e = {0};

	return path[0] == '\0' ||
		protected_check(path, clk_system.now_us(&clk_system), all, &e) == RC_OK;
}

static bool check_calendars(const struct conf *c, struct complaints *all)
{
	const char *calendar = conf_text(c, "calendar.file"), *duty = conf_text(c, "duty.file"),
		   *watch = conf_text(c, "watch.file");
	int64_t now_us = clk_system.now_us(&clk_system);
	char name[64], policy[600];
	struct err e = {.text = ""};
	bool ok = calendar[0] == '\0' || calendar_load(NULL, calendar, now_us, all, &e) == RC_OK;

	ok = (duty[0] == '\0' || duty_load(NULL, duty, now_us, all, &e) == RC_OK) && ok;
	for (int dnc = 0; dnc < 2; dnc++) {
		const char *path = conf_text(c, dnc != 0 ? "dnc.file" : "brandnames.file");

		ok = (path[0] == '\0' ||
			     adverts_load(NULL, NULL, dnc != 0, path, now_us, all, &e) == RC_OK) &&
			ok;
	}
	return (watch[0] == '\0' || watch_read(watch, now_us, all, name, policy, &e) == RC_OK) &&
		ok;
}

static bool check_brokers(const struct conf *c, struct complaints *all)
{
	struct kafka_source source;
	struct err e = {0};

	if (kafka_source_of(c, &source, &e) != RC_INVALID)
		return true;
	complain_text(all, e.text);
	return false;
}

static bool check_keys(const struct conf *c)
{
	OWN(keys_free) struct keys *keys = NULL;
	struct err e = {0};

	if (keys_open(conf_text(c, "keys.dir"), &keys, &e) == RC_OK)
		return true;
	fprintf(stderr, "%s:%d: keys.dir: %s\n", conf_path(c), conf_line(c, "keys.dir"), e.text);
	return false;
}

int verb_check(int argc, char **argv)
{
	static const struct option options[] = {
		{"reference", no_argument, NULL, 'R'}, {NULL, 0, NULL, 0}};
	const char *path = NULL;

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		if (o == 'R') {
			BUF_OWN struct buf b;
			buf_init(&b, 1u << 20);
			conf_reference(app_tables, app_tables_count, &b);
			fwrite(b.ptr, 1, b.len, stdout);
			return EXIT_DONE;
		}
		if (o != 'c')
			return app_usage("check", "unknown option");
		path = optarg;
	}
	OWN(conf_free) struct conf *c = NULL;
	if (app_conf(path, &c) != RC_OK)
		return EXIT_USAGE;
	struct complaints all;
	complaints_init(&all);
	bool ok = check_keys(c);
	ok = check_plan(c, &all) && ok;
	ok = check_judging(c, &all) && ok;
	ok = check_protected(c, &all) && ok;
	ok = check_calendars(c, &all) && ok;
	ok = check_brokers(c, &all) && ok;
	if (all.count > 0)
		fprintf(stderr, "%.*s", (int)all.text.len, all.text.ptr);
	complaints_done(&all);
	if (ok)
		printf("%s: good\n", conf_path(c));
	return ok ? EXIT_DONE : EXIT_USAGE;
}
