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

static const struct conf_item follow_items[] = {
	{.name = "follow.url",
		.type = CONF_TEXT,
		.def = "",
		.max = 1000,
		.help = "Of `khien follow`: the API that serves the list, http://HOST:PORT or "
			"https://…"},
	{.name = "follow.key_file",
		.type = CONF_FILE,
		.def = "",
		.secret = true,
		.help = "Of `khien follow`: file with the token of role feed, readable by the "
			"owner "
			"alone."},
	{.name = "follow.ca_file",
		.type = CONF_FILE,
		.def = "",
		.help = "Of `khien follow`: certificates to trust instead of the system's."},
	{.name = "follow.consumer",
		.type = CONF_TEXT,
		.def = "",
		.max = 128,
		.help = "Of `khien follow`: name to acknowledge under; empty: the host's."},
	{.name = "follow.service",
		.type = CONF_CHOICE,
		.def = "both",
		.choices = "both|sms|voice",
		.help = "Of `khien follow`: which part of the list."},
	{.name = "follow.out",
		.type = CONF_FILE,
		.def = "",
		.help = "Of `khien follow`: the file to keep."},
	{.name = "follow.socket",
		.type = CONF_FILE,
		.def = "",
		.help = "Of `khien follow`: unix socket to answer questions on."},
	{.name = "follow.wait",
		.type = CONF_SPAN_S,
		.def = "30s",
		.min = 0,
		.max = 60,
		.help = "Of `khien follow`: how long the server may hold a question without news."},
	{.name = "follow.stale",
		.type = CONF_SPAN_S,
		.def = "60s",
		.min = 1,
		.max = 86400,
		.help = "Of `khien follow`: nothing heard for so long is an alarm, and unknown on "
			"the "
			"socket."},
};

const struct conf_table follow_conf = {
	.room = "follow", .items = follow_items, .count = ARRAY_LEN(follow_items)};
