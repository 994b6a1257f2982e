/* Private to the room: a list kept outside the engine, as sorted lines with the mark that they prove. */
#pragma once

#include "blocklist/list.h"

#define FOLLOW_LINE (ENTRY_LINE)

struct follow_list {
	char **lines; /* sorted by bytes: scope|value|service|action|case|until */
	size_t n, room;
	struct list_mark mark; /* list "" : nothing is known */
};
void follow_list_done(struct follow_list *l);
#define FOLLOW_LIST_OWN __attribute__((cleanup(follow_list_done)))
/* Appends a line, in any order, and adds it to count and digest; follow_list_sort afterwards. */
MUST_USE enum rc follow_list_add(struct follow_list *l, const struct entry *one, struct err *e);
/* RC_CONFLICT: two lines of one sender and service. */
MUST_USE enum rc follow_list_sort(struct follow_list *l, struct err *e);
/* Where a line stands, or would: the first that is not before this text. */
size_t follow_list_at(const struct follow_list *l, const char *text);
/* The length of "scope|value|service|" at the beginning of a line. */
size_t follow_key_len(const char *line);

/* ---- follow_edit.c: what a list becomes by some changes. Made beside it; the list itself stays as it is until the swap. */
struct follow_edit {
	struct follow_change *change; /* as they came */
	size_t n_changes, room;
	struct follow_list to; /* after follow_edit_make; shares most lines with the list */
	char **gone, **came;   /* lines that only the list has, and only `to` */
	size_t n_gone, n_came;
};
void follow_edit_done(struct follow_edit *d);
#define FOLLOW_EDIT_OWN __attribute__((cleanup(follow_edit_done)))
MUST_USE enum rc follow_edit_add(
	struct follow_edit *d, const struct entry *one, bool add, struct err *e);
/* RC_CONFLICT: what is to be removed is not there, what is to be added is. Costs k log n comparisons and one copy of n pointers. */
MUST_USE enum rc follow_edit_make(
	struct follow_edit *d, const struct follow_list *from, struct err *e);
/* The list is what was made of it, and the edit holds what it was. Under the lock of who reads the list. */
void follow_edit_swap(struct follow_edit *d, struct follow_list *list);
/* The line whose key these n bytes of a text are; NULL: none. */
char *follow_list_line(const struct follow_list *l, const char *key, size_t n);
/* The line of this sender and service; NULL: none. */
const char *follow_list_get(
	const struct follow_list *l, const char *scope, const char *value, const char *service);
/* One head line "# list|release|count|digest|service", then the lines. Written beside and renamed: a reader sees the old file or the
 * new one. Mode 0640: numbers are for those who enforce. */
MUST_USE enum rc follow_list_save(
	const struct follow_list *l, const char *path, const char *service, struct err *e);
/* Such a file's text. RC_NONE: it is not what its head says, or of another service. */
MUST_USE enum rc follow_list_read(
	struct follow_list *l, struct slice text, const char *service, struct err *e);
/* RC_NONE: there is no file either. */
MUST_USE enum rc follow_list_load(
	struct follow_list *l, const char *path, const char *service, struct err *e);
