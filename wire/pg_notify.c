/* Waiting for a NOTIFY on a connection that LISTENs, so that nobody need ask all the time whether something happened. Leaves out payloads. */
#include <errno.h>
#include <poll.h>

#include "wire/pg_conn.h"

/* Takes all that came. */
static bool take_all(struct pg *c)
{
	bool any = false;

	for (PGnotify *n; (n = PQnotifies(c->conn)) != NULL; any = true)
		PQfreemem(n);
	return any;
}

enum rc pg_notified(struct pg *c, int wait_ms, bool *rung, struct err *e)
{
	struct pollfd p = {.fd = PQsocket(c->conn), .events = POLLIN};

	*rung = take_all(c);
	if (*rung)
		return RC_OK;
	if (p.fd < 0)
		return pg_lost(c, e);
	int n = poll(&p, 1, wait_ms);
	if (n == 0 || (n < 0 && errno == EINTR))
		return RC_OK;
	if (n < 0 || PQconsumeInput(c->conn) == 0)
		return pg_lost(c, e);
	*rung = take_all(c);
	return RC_OK;
}
