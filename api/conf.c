/* The API's settings. */
#include "api/api.h"

static const struct conf_item items[] = {
	{.name = "api.listen",
		.type = CONF_TEXT,
		.def = "127.0.0.1:8156",
		.help = "Address and port; port 0 picks a free one. TLS is terminated in front, or "
			"the address stays on loopback."},
	{.name = "api.threads",
		.type = CONF_INT,
		.def = "2",
		.min = 2,
		.max = 64,
		.help = "Threads that speak HTTP and answer lookups."},
	{.name = "api.database_threads",
		.type = CONF_INT,
		.def = "4",
		.min = 1,
		.max = 64,
		.help = "Threads with a database connection each, for everything that is not "
			"answered from memory."},
	{.name = "api.max_connections",
		.type = CONF_INT,
		.def = "10000",
		.min = 10,
		.max = 100000,
		.help = "Connections at once; more are refused."},
	{.name = "api.queue",
		.type = CONF_INT,
		.def = "1000",
		.min = 1,
		.max = 100000,
		.help = "Requests that may wait for a database thread; more are answered 503."},
	{.name = "api.heartbeat",
		.type = CONF_SPAN_S,
		.def = "10s",
		.min = 1,
		.max = 300,
		.help = "A stream of changes without news says this often that it lives."},
	{.name = "api.idle",
		.type = CONF_SPAN_S,
		.def = "60s",
		.min = 1,
		.max = 3600,
		.help = "An idle connection is closed after this."},
};

const struct conf_table api_conf = {.room = "api", .items = items, .count = ARRAY_LEN(items)};
