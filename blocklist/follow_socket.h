/* Private to the room: questions about a followed list on a unix socket, for programs of the same machine. One line in, one line out:
 *   service|scope|value  ->  action|case|until   blocked
 *                            -                   not blocked
 *                            ?                   unknown: there is no list, or nothing was heard for longer than the limit, or
 *                                                the list is of the other service
 *   gen                  ->  list|release|count|digest, or ?
 * Values are those of entries: E.164 digits without plus, digits as dialled, a name in lower case. Anything else, a number in
 * national form too, is answered by "!" and the end of the connection. Entries whose time is over are not blocked. */
#pragma once

#include "blocklist/follow.h"

struct follow_socket;
/* Starts a thread that answers; path NULL: none, *out stays NULL, which every call here takes. service "": the list has both. The list is read under the lock. */
MUST_USE enum rc follow_socket_open(const char *path, const struct follow_list *list,
	const char *service, int stale_s, struct follow_socket **out, struct err *e);
void follow_socket_close(struct follow_socket *s);
void follow_socket_lock(struct follow_socket *s);
void follow_socket_unlock(struct follow_socket *s);
void follow_socket_synced(struct follow_socket *s, int64_t mono_us);
