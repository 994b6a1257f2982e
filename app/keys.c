/* khien keys: creates the installation's secrets in an empty folder. They belong in the offline backup: without them no reporter can be named. */
#include "app/app.h"

#include <getopt.h>
#include <stdio.h>

int verb_keys(int argc, char **argv)
{
	static const struct option options[] = {
		{"dir", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0}};
	const char *dir = NULL;
	struct err e = {0};

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o != 'd')
			return app_usage("keys", "unknown option");
		dir = optarg;
	}
	if (dir == NULL)
		return app_usage("keys", "a folder is needed: --dir DIR");
	if (keys_create(dir, &e) != RC_OK) {
		fprintf(stderr, "khien keys: %s\n", e.text);
		return EXIT_REFUSED;
	}
	printf("%s\n", dir);
	return EXIT_DONE;
}
