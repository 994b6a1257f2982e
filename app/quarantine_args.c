/* The options of `khien quarantine`. */
#include "app/quarantine.h"

#include <getopt.h>

static const struct option options[] = {{"state", required_argument, NULL, 's'},
	{"reason", required_argument, NULL, 'r'}, {"topic", required_argument, NULL, 't'},
	{"limit", required_argument, NULL, 'n'}, {"source", required_argument, NULL, 'o'},
	{"why", required_argument, NULL, 'w'}, {"file", required_argument, NULL, 'f'},
	{NULL, 0, NULL, 0}};

bool quarantine_state(const char **state)
{
	if (strcmp(*state, "all") == 0)
		*state = NULL;
	return *state == NULL || strcmp(*state, "open") == 0 || strcmp(*state, "retried") == 0 ||
		strcmp(*state, "dropped") == 0;
}

static bool number(const char *text, int64_t max, int64_t *out)
{
	return slice_i64(slice_str(text), out) == RC_OK && *out >= 0 && *out <= max;
}

bool quarantine_args(int argc, char **argv, struct quarantine_args *q)
{
	int64_t part = 0;

	for (int o; (o = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
		const char **text = o == 'c' ? &q->conf
			: o == 's'           ? &q->state
			: o == 'r'           ? &q->reason
			: o == 't'           ? &q->place.topic
			: o == 'o'           ? &q->place.source
			: o == 'w'           ? &q->why
			: o == 'f'           ? &q->file
					     : NULL;
		if (text != NULL)
			*text = optarg;
		else if (o != 'n' || !number(optarg, 1000000, &q->limit))
			return false;
	}
	if (optind == argc)
		return true;
	if (argc - optind != 3 || !number(argv[optind + 1], INT32_MAX, &part) ||
		!number(argv[optind + 2], INT64_MAX, &q->place.offset))
		return false;
	q->place.topic = argv[optind];
	q->place.part = (int32_t)part;
	return true;
}
