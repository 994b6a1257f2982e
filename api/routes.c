/* Every route of the API: who may, and where it is answered from. */
#include "api/private.h"

#define STAFF "viewer|analyst|supervisor|liaison|auditor|admin"
#define FEEDS "feed|admin|analyst|supervisor"

const struct route api_routes[] = {
	{"GET", "/healthz", "", IN_MEMORY, handle_health},
	{"GET", "/readyz", "", IN_MEMORY, handle_ready},
	{"GET", "/metrics", "", IN_MEMORY, handle_metrics},
	{"GET", "/", "", WITH_DATABASE, handle_page},
	{"GET", "/status.css", "", IN_MEMORY, handle_style},
	{"GET", "/v1/lookup/{sender}", FEEDS, IN_MEMORY, handle_lookup},
	{"POST", "/v1/lookup", FEEDS, IN_MEMORY, handle_lookup_many},
	{"GET", "/v1/feed/snapshot", FEEDS, ON_THREAD, handle_snapshot},
	{"GET", "/v1/feed/changes", FEEDS, WITH_DATABASE, handle_changes},
	{"GET", "/v1/feed/stream", FEEDS, WITH_DATABASE, handle_stream},
	{"POST", "/v1/feed/acks", FEEDS, WITH_DATABASE, handle_ack},
	{"GET", "/v1/feed/drift", FEEDS "|viewer|liaison|auditor", WITH_DATABASE, handle_drift},
	{"DELETE", "/v1/feed/consumers/{consumer}", "supervisor|admin", WITH_DATABASE,
		handle_forget},
	{"GET", "/v1/feed/exempt", FEEDS, WITH_DATABASE, handle_exempt},
	{"GET", "/v1/feed/buckets", FEEDS, ON_THREAD, handle_buckets},
	{"GET", "/v1/feed/kannel.txt", FEEDS, LAST_GOOD, handle_kannel},
	{"GET", "/v1/feed/kannel-regex.txt", FEEDS, LAST_GOOD, handle_kannel_regex},
	{"GET", "/v1/feed/key/{key}/kannel.txt", FEEDS, LAST_GOOD, handle_kannel},
	{"GET", "/v1/feed/key/{key}/kannel-regex.txt", FEEDS, LAST_GOOD, handle_kannel_regex},
	{"GET", "/v1/senders/{sender}", STAFF, WITH_DATABASE, handle_sender},
	{"GET", "/v1/senders/{sender}/why", STAFF, WITH_DATABASE, handle_why},
	{"GET", "/v1/reports/{report_id...}", STAFF, WITH_DATABASE, handle_report},
	{"GET", "/v1/stats", STAFF, WITH_DATABASE, handle_stats},
	{"GET", "/v1/me", "*", IN_MEMORY, handle_me},
};
const size_t api_routes_count = ARRAY_LEN(api_routes);
_Static_assert(ARRAY_LEN(api_routes) <= API_MAX_ROUTES, "one flag for each in route.c");
