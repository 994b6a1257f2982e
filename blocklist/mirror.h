/* Private to the room: the writer's side of a mirror, between who swaps the tables (mirror.c) and who reads the edits from the
 * ledger (mirror_follow.c). */
#pragma once

#include "blocklist/table.h"

/* The writer's side of a mirror. */
const struct table *mirror_table(const struct mirror *m); /* NULL before the first load */
void mirror_synced(struct mirror *m, int64_t now_mono_us);
/* Makes t the list, waits for the readers of the old one and frees what it alone had. */
void mirror_publish(struct mirror *m, struct table *t, int64_t now_mono_us);
