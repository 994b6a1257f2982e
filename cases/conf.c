/* The ledger's settings. Leaves out where the keys are: that is the engine's, who hands them in. */
#include "cases/cases.h"

static const struct conf_item items[] = {
	{.name = "database.dsn",
		.type = CONF_TEXT,
		.min = 1,
		.max = 2000,
		.help = "PostgreSQL connection string or URI; the password belongs into a "
			"passfile, "
			"not here."},
	{.name = "quarantine.keep",
		.type = CONF_SPAN_S,
		.def = "30d",
		.min = 3600,
		.max = 366 * 86400.0,
		.reloadable = true,
		.help = "How long the bytes of a record that was not understood are kept, "
			"encrypted."},
	{.name = "cases.quiet",
		.type = CONF_SPAN_S,
		.def = "10d",
		.min = 3600,
		.max = 366 * 86400.0,
		.reloadable = true,
		.help = "A nuisance case whose clock is over closes when nobody has reported for "
			"this long; a scam case never does by itself."},
	{.name = "lift.alone_max",
		.type = CONF_INT,
		.def = "50",
		.min = 0,
		.max = 1000000,
		.reloadable = true,
		.help = "How many blocks one person may lift, or cases decide, at once; more need "
			"a second one."},
};

const struct conf_table cases_conf = {.room = "cases", .items = items, .count = ARRAY_LEN(items)};
