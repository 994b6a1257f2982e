/* The room's settings. Caps are not here: they belong to the policy. */
#include "blocklist/blocklist.h"

static const struct conf_item items[] = {
	{.name = "redis.urls",
		.type = CONF_LIST,
		.def = "",
		.max = 16,
		.help = "Copies of the blocklist in Redis, each an independent full one: "
			"redis://[user:password@]host:port[/db] or unix:///path[?db=N]. Redis "
			"Cluster is refused."},
	{.name = "redis.timeout_ms",
		.type = CONF_INT,
		.def = "1000",
		.min = 10,
		.max = 60000,
		.help = "How long one answer of a Redis copy may take before its connection is "
			"thrown away."},
	{.name = "redis.sweep",
		.type = CONF_SPAN_S,
		.def = "60s",
		.min = 1,
		.max = 86400,
		.help = "How often every entry of a Redis copy is compared with the list by "
			"digest; a copy that differs is rebuilt."},
	{.name = "kafka.topics.blocklist",
		.type = CONF_TEXT,
		.def = "",
		.max = 249,
		.help = "Compacted topic that holds the list: key service|scope|value, value the "
			"entry. It must exist with cleanup.policy=compact. Empty: none."},
	{.name = "kafka.sweep",
		.type = CONF_SPAN_S,
		.def = "10m",
		.min = 1,
		.max = 86400,
		.help = "How often that topic is read from end to end and compared with the list; "
			"what differs is put right."},
	{.name = "protected.file",
		.type = CONF_FILE,
		.def = "",
		.help = "CSV of senders that are never blocked automatically: "
			"scope,value,service,owner,reason,until. Empty: only those added by "
			"people."},
	{.name = "feed.alarm",
		.type = CONF_SPAN_S,
		.def = "5m",
		.min = 1,
		.max = 86400,
		.help = "A consumer that has not proved for so long that it holds the newest "
			"release "
			"raises an alarm."},
	{.name = "lookup.stale_max_s",
		.type = CONF_SPAN_S,
		.def = "60s",
		.min = 1,
		.max = 86400,
		.reloadable = true,
		.help = "A lookup answers \"unknown\" when this process has not known for longer "
			"than this that its list is current."},
	{.name = "feed.keep",
		.type = CONF_SPAN_S,
		.def = "90d",
		.min = 3600,
		.max = 3660 * 86400.0,
		.reloadable = true,
		.help = "How long the changes of a release are kept; a feed reader that is "
			"older than this fetches the whole list."},
};

const struct conf_table blocklist_conf = {
	.room = "blocklist", .items = items, .count = ARRAY_LEN(items)};
