/* Every route of the API: who may, and where it is answered from. */
#include "api/private.h"

#define STAFF "viewer|analyst|supervisor|liaison|auditor|admin"
#define FEEDS "feed|admin|analyst|supervisor"

const struct route api_routes[] = {
	{"GET", "/healthz", "", IN_MEMORY, handle_health, false},
	{"GET", "/readyz", "", IN_MEMORY, handle_ready, false},
	{"GET", "/metrics", "", IN_MEMORY, handle_metrics, false},
	{"GET", "/", "", IN_MEMORY, handle_root, false},
	{"GET", "/status", "", WITH_DATABASE, handle_page, false},
	{"GET", "/console/{file}", "", IN_MEMORY, handle_console, false},
	{"GET", "/status.css", "", IN_MEMORY, handle_style, false},
	{"GET", "/v1/lookup/{sender}", FEEDS, IN_MEMORY, handle_lookup, false},
	{"POST", "/v1/lookup", FEEDS, IN_MEMORY, handle_lookup_many, false},
	{"GET", "/v1/feed/snapshot", FEEDS, ON_THREAD, handle_snapshot, false},
	{"GET", "/v1/feed/changes", FEEDS, WITH_DATABASE, handle_changes, false},
	{"GET", "/v1/feed/stream", FEEDS, WITH_DATABASE, handle_stream, false},
	{"POST", "/v1/feed/acks", FEEDS, WITH_DATABASE, handle_ack, false},
	{"GET", "/v1/feed/drift", FEEDS "|viewer|liaison|auditor", WITH_DATABASE, handle_drift,
		false},
	{"PUT", "/v1/feed/consumers/{consumer}", "supervisor|admin", WITH_DATABASE, handle_give,
		false},
	{"DELETE", "/v1/feed/consumers/{consumer}", "supervisor|admin", WITH_DATABASE,
		handle_forget, false},
	{"GET", "/v1/feed/exempt", FEEDS, WITH_DATABASE, handle_exempt, false},
	{"GET", "/v1/feed/buckets", FEEDS, ON_THREAD, handle_buckets, false},
	{"GET", "/v1/feed/kannel.txt", FEEDS, LAST_GOOD, handle_kannel, false},
	{"GET", "/v1/feed/kannel-regex.txt", FEEDS, LAST_GOOD, handle_kannel_regex, false},
	{"GET", "/v1/feed/key/{key}/kannel.txt", FEEDS, LAST_GOOD, handle_kannel, false},
	{"GET", "/v1/feed/key/{key}/kannel-regex.txt", FEEDS, LAST_GOOD, handle_kannel_regex,
		false},
	{"GET", "/v1/decisions", FEEDS, ON_THREAD, handle_decisions, true},
	{"GET", "/v1/decisions/stream", FEEDS, WITH_DATABASE, handle_decision_stream, true},
	{"POST", "/v1/usage-metrics", FEEDS, IN_MEMORY, handle_usage, true},
	{"GET", "/v1/senders/{sender}", STAFF, WITH_DATABASE, handle_sender, false},
	{"GET", "/v1/senders/{sender}/why", STAFF, WITH_DATABASE, handle_why, false},
	{"GET", "/v1/reports/{report_id...}", STAFF, WITH_DATABASE, handle_report, false},
	{"GET", "/v1/stats", STAFF, WITH_DATABASE, handle_stats, false},
	{"POST", "/v1/session", "", WITH_DATABASE, handle_login, false},
	{"DELETE", "/v1/session", "*", WITH_DATABASE, handle_logout, false},
	{"GET", "/v1/me", "*", IN_MEMORY, handle_me, false},
};
const size_t api_routes_count = ARRAY_LEN(api_routes);
_Static_assert(ARRAY_LEN(api_routes) <= API_MAX_ROUTES, "one flag for each in route.c");
