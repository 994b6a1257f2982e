/* What a batch needs comes from one arena and goes with it. */
#pragma once

#include <stddef.h>

#include "base/slice.h"

struct arena;

struct arena *arena_new(size_t cap_bytes); /* NULL when out of memory; never grows past cap_bytes */
void arena_free(struct arena *a);
OWNER(arena_free, struct arena);
void arena_reset(struct arena *a); /* keeps the memory for the next batch */
/* Zeroed, aligned for any type. NULL when the cap is reached or memory is out. */
void *arena_alloc(struct arena *a, size_t bytes);
void *arena_array(struct arena *a, size_t n, size_t size); /* overflow-checked */
/* A NUL-terminated copy; ptr is NULL on failure. */
struct slice arena_copy(struct arena *a, struct slice s);
char *arena_fmt(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
size_t arena_used(const struct arena *a);
