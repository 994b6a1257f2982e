/* The engine's settings, and the one place that knows where the judging files are. */
#include "engine/engine.h"

static const struct conf_item items[] = {
	{ .name = "mode", .type = CONF_CHOICE, .def = "review", .choices = "shadow|review|auto", .reloadable = true,
	  .help = "How far the engine goes by itself: shadow records only, review proposes to people, auto blocks within the caps." },
	{ .name = "workers", .type = CONF_INT, .def = "1", .min = 1, .max = 64,
	  .help = "Worker threads; each owns its partitions, its consumer and its database connection." },
	{ .name = "batch.records", .type = CONF_INT, .def = "4000", .min = 1, .max = BOUND_BATCH_RECORDS,
	  .help = "Most records in one transaction." },
	{ .name = "batch.linger_ms", .type = CONF_INT, .def = "20", .min = 0, .max = 5000,
	  .help = "How long a batch waits for more records after its first one." },
	{ .name = "policy.file", .type = CONF_FILE, .def = "policy.yaml", .reloadable = true,
	  .help = "The policy to activate: what is counted, what it weighs, what follows." },
	{ .name = "rules.dir", .type = CONF_FILE, .def = "rules", .reloadable = true,
	  .help = "Folder of rule packs (*.yaml) to activate." },
	{ .name = "rules.homoglyphs", .type = CONF_FILE, .def = "fold/homoglyphs.tsv", .reloadable = true,
	  .help = "Look-alike characters and the ASCII text they fold to." },
	{ .name = "keys.dir", .type = CONF_FILE, .def = "keys",
	  .help = "Folder of mac.key, wrap.key and token.key, readable by the owner alone." },
	{ .name = "audit.heads_file", .type = CONF_FILE, .def = "audit-heads.log",
	  .help = "File that receives the head of the audit chain after each link; keep a copy elsewhere." },
	{ .name = "keeper.lease_s", .type = CONF_SPAN_S, .def = "3s", .min = 1, .max = 60,
	  .help = "A keeper whose heartbeat stands still this long is replaced." },
	{ .name = "keeper.tick_ms", .type = CONF_INT, .def = "20", .min = 5, .max = 1000,
	  .help = "How often the keeper looks for dirty keys and expired entries." },
};

const struct conf_table engine_conf = { .room = "engine", .items = items, .count = ARRAY_LEN(items) };
