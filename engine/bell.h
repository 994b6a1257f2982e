/* A bell between the threads of one process: a worker rings it when a commit left work for the keeper, so that the keeper need not ask the
 * ledger a hundred times a second whether there is any. What other processes leave is found by asking now and then. */
#pragma once

#include <stdint.h>

void bell_ring(void);
/* Waits until the bell was rung after the last wait, or wait_ms. */
void bell_wait(int64_t wait_ms);
