/* arena: one reserved range of addresses handed out from the front and taken back at once. The kernel gives pages as they are
 * touched, so a generous cap costs nothing until it is used, and a reset keeps the pages for the next batch. Under
 * AddressSanitizer what is not handed out is poisoned, so use after reset is seen. Not thread-safe: an arena has one owner. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/arena.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN (_Alignof(max_align_t))

struct arena {
	char *base;
	size_t cap, used;
	size_t touched; /* bytes from here on are still zero from the kernel */
};

struct arena *arena_new(size_t cap_bytes)
{
	struct arena *a = calloc(1, sizeof(*a));
	void *p;

	if (a == NULL)
		return NULL;
	if (cap_bytes == 0)
		cap_bytes = ALIGN;
	p = mmap(NULL, cap_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		free(a);
		return NULL;
	}
	a->base = p;
	a->cap = cap_bytes;
	ASAN_POISON_MEMORY_REGION(a->base, a->cap);
	return a;
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	ASAN_UNPOISON_MEMORY_REGION(a->base, a->cap);
	(void)munmap(a->base, a->cap);
	free(a);
}

void arena_reset(struct arena *a)
{
	a->used = 0;
	ASAN_POISON_MEMORY_REGION(a->base, a->cap);
}

void *arena_alloc(struct arena *a, size_t bytes)
{
	size_t end, old;
	char *p = a->base + a->used;

	if (__builtin_add_overflow(bytes, ALIGN - 1, &end))
		return NULL;
	end &= ~(ALIGN - 1);
	if (end == 0)
		end = ALIGN;
	if (end > a->cap - a->used)
		return NULL;
	ASAN_UNPOISON_MEMORY_REGION(p, bytes);
	if (a->touched > a->used) {
		old = a->touched - a->used;
		memset(p, 0, old < bytes ? old : bytes);
	}
	a->used += end;
	if (a->touched < a->used)
		a->touched = a->used;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : arena_alloc(a, bytes);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *p = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;

	if (p == NULL)
		return slice_of(NULL, 0);
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return slice_of(p, s.len);
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p = NULL;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0)
		p = arena_alloc(a, (size_t)n + 1);
	if (p != NULL)
		(void)vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
