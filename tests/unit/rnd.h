/* rnd: numbers that look random and are the same in every run (splitmix64). Not for secrets. */
#pragma once

#include <stdint.h>

static inline uint64_t rnd_u64(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 … below - 1 */
static inline uint64_t rnd(uint64_t *seed, uint64_t below)
{
	return rnd_u64(seed) % below;
}
