/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists made by macros, as BSD has them: with one link (SLIST), with one link and a tail (STAILQ, SIMPLEQ),
 * with two (LIST), with two and a tail (TAILQ), and in a circle (CIRCLEQ). glibc 2.1 had LIST, TAILQ and
 * CIRCLEQ; what FreeBSD's has beside is here too. A list's elements have a field of its ENTRY.
 */
#ifndef _SYS_QUEUE_H
#define _SYS_QUEUE_H	1

#include <stddef.h>

/* SLIST: a link forward */
#define SLIST_HEAD(name, type) struct name { struct type *slh_first; }
#define SLIST_HEAD_INITIALIZER(head) { NULL }
#define SLIST_ENTRY(type) struct { struct type *sle_next; }
#define SLIST_FIRST(head) ((head)->slh_first)
#define SLIST_NEXT(element, field) ((element)->field.sle_next)
#define SLIST_EMPTY(head) (SLIST_FIRST(head) == NULL)
#define SLIST_INIT(head) (SLIST_FIRST(head) = NULL)
#define SLIST_FOREACH(each, head, field) \
	for ((each) = SLIST_FIRST(head); (each); (each) = SLIST_NEXT(each, field))
#define SLIST_INSERT_HEAD(head, element, field) \
	do { \
		SLIST_NEXT(element, field) = SLIST_FIRST(head); \
		SLIST_FIRST(head) = (element); \
	} while (0)
#define SLIST_INSERT_AFTER(before, element, field) \
	do { \
		SLIST_NEXT(element, field) = SLIST_NEXT(before, field); \
		SLIST_NEXT(before, field) = (element); \
	} while (0)
#define SLIST_REMOVE_HEAD(head, field) (SLIST_FIRST(head) = SLIST_NEXT(SLIST_FIRST(head), field))
#define SLIST_REMOVE(head, element, type, field) \
	do { \
		struct type **_at = &SLIST_FIRST(head); \
		while (*_at != (element)) \
			_at = &SLIST_NEXT(*_at, field); \
		*_at = SLIST_NEXT(*_at, field); \
	} while (0)

/* STAILQ: a link forward, and a tail */
#define STAILQ_HEAD(name, type) struct name { struct type *stqh_first, **stqh_last; }
#define STAILQ_HEAD_INITIALIZER(head) { NULL, &(head).stqh_first }
#define STAILQ_ENTRY(type) struct { struct type *stqe_next; }
#define STAILQ_FIRST(head) ((head)->stqh_first)
#define STAILQ_NEXT(element, field) ((element)->field.stqe_next)
#define STAILQ_EMPTY(head) (STAILQ_FIRST(head) == NULL)
#define STAILQ_INIT(head) \
	do { \
		STAILQ_FIRST(head) = NULL; \
		(head)->stqh_last = &STAILQ_FIRST(head); \
	} while (0)
#define STAILQ_FOREACH(each, head, field) \
	for ((each) = STAILQ_FIRST(head); (each); (each) = STAILQ_NEXT(each, field))
#define STAILQ_INSERT_AFTER(head, before, element, field) \
	do { \
		STAILQ_NEXT(element, field) = STAILQ_NEXT(before, field); \
		if (STAILQ_NEXT(element, field) == NULL) \
			(head)->stqh_last = &STAILQ_NEXT(element, field); \
		STAILQ_NEXT(before, field) = (element); \
	} while (0)
#define STAILQ_INSERT_HEAD(head, element, field) \
	do { \
		STAILQ_NEXT(element, field) = STAILQ_FIRST(head); \
		if (STAILQ_EMPTY(head)) \
			(head)->stqh_last = &STAILQ_NEXT(element, field); \
		STAILQ_FIRST(head) = (element); \
	} while (0)
#define STAILQ_INSERT_TAIL(head, element, field) \
	do { \
		STAILQ_NEXT(element, field) = NULL; \
		*(head)->stqh_last = (element); \
		(head)->stqh_last = &STAILQ_NEXT(element, field); \
	} while (0)
#define STAILQ_REMOVE_HEAD(head, field) \
	do { \
		STAILQ_FIRST(head) = STAILQ_NEXT(STAILQ_FIRST(head), field); \
		if (STAILQ_EMPTY(head)) \
			(head)->stqh_last = &STAILQ_FIRST(head); \
	} while (0)
#define STAILQ_REMOVE(head, element, type, field) \
	do { \
		struct type **_at = &STAILQ_FIRST(head); \
		while (*_at != (element)) \
			_at = &STAILQ_NEXT(*_at, field); \
		*_at = STAILQ_NEXT(*_at, field); \
		if (*_at == NULL) \
			(head)->stqh_last = _at; \
	} while (0)

/* SIMPLEQ: the same by the names of other BSDs */
#define SIMPLEQ_HEAD(name, type) STAILQ_HEAD(name, type)
#define SIMPLEQ_ENTRY(type) STAILQ_ENTRY(type)
#define SIMPLEQ_FIRST(head) STAILQ_FIRST(head)
#define SIMPLEQ_NEXT(element, field) STAILQ_NEXT(element, field)
#define SIMPLEQ_EMPTY(head) STAILQ_EMPTY(head)
#define SIMPLEQ_INIT(head) STAILQ_INIT(head)
#define SIMPLEQ_FOREACH(each, head, field) STAILQ_FOREACH(each, head, field)
#define SIMPLEQ_INSERT_AFTER(head, before, element, field) \
	STAILQ_INSERT_AFTER(head, before, element, field)
#define SIMPLEQ_INSERT_HEAD(head, element, field) STAILQ_INSERT_HEAD(head, element, field)
#define SIMPLEQ_INSERT_TAIL(head, element, field) STAILQ_INSERT_TAIL(head, element, field)
#define SIMPLEQ_REMOVE_HEAD(head, field) STAILQ_REMOVE_HEAD(head, field)
#define SIMPLEQ_HEAD_INITIALIZER(head) STAILQ_HEAD_INITIALIZER(head)

/* LIST: a link forward, and the place of the link that leads here */
#define LIST_HEAD(name, type) struct name { struct type *lh_first; }
#define LIST_HEAD_INITIALIZER(head) { NULL }
#define LIST_ENTRY(type) struct { struct type *le_next, **le_prev; }
#define LIST_FIRST(head) ((head)->lh_first)
#define LIST_NEXT(element, field) ((element)->field.le_next)
#define LIST_EMPTY(head) (LIST_FIRST(head) == NULL)
#define LIST_INIT(head) (LIST_FIRST(head) = NULL)
#define LIST_FOREACH(each, head, field) \
	for ((each) = LIST_FIRST(head); (each); (each) = LIST_NEXT(each, field))
#define LIST_INSERT_HEAD(head, element, field) \
	do { \
		LIST_NEXT(element, field) = LIST_FIRST(head); \
		if (LIST_NEXT(element, field)) \
			LIST_FIRST(head)->field.le_prev = &LIST_NEXT(element, field); \
		LIST_FIRST(head) = (element); \
		(element)->field.le_prev = &LIST_FIRST(head); \
	} while (0)
#define LIST_INSERT_AFTER(before, element, field) \
	do { \
		LIST_NEXT(element, field) = LIST_NEXT(before, field); \
		if (LIST_NEXT(element, field)) \
			LIST_NEXT(before, field)->field.le_prev = &LIST_NEXT(element, field); \
		LIST_NEXT(before, field) = (element); \
		(element)->field.le_prev = &LIST_NEXT(before, field); \
	} while (0)
#define LIST_INSERT_BEFORE(behind, element, field) \
	do { \
		(element)->field.le_prev = (behind)->field.le_prev; \
		LIST_NEXT(element, field) = (behind); \
		*(behind)->field.le_prev = (element); \
		(behind)->field.le_prev = &LIST_NEXT(element, field); \
	} while (0)
#define LIST_REMOVE(element, field) \
	do { \
		if (LIST_NEXT(element, field)) \
			LIST_NEXT(element, field)->field.le_prev = (element)->field.le_prev; \
		*(element)->field.le_prev = LIST_NEXT(element, field); \
	} while (0)

/* TAILQ: as LIST, and a tail; a head lies in memory as an element's links do */
#define TAILQ_HEAD(name, type) struct name { struct type *tqh_first, **tqh_last; }
#define TAILQ_HEAD_INITIALIZER(head) { NULL, &(head).tqh_first }
#define TAILQ_ENTRY(type) struct { struct type *tqe_next, **tqe_prev; }
#define TAILQ_FIRST(head) ((head)->tqh_first)
#define TAILQ_NEXT(element, field) ((element)->field.tqe_next)
#define TAILQ_LAST(head, name) (*((struct name *)(head)->tqh_last)->tqh_last)
#define TAILQ_PREV(element, name, field) (*((struct name *)(element)->field.tqe_prev)->tqh_last)
#define TAILQ_EMPTY(head) (TAILQ_FIRST(head) == NULL)
#define TAILQ_INIT(head) \
	do { \
		TAILQ_FIRST(head) = NULL; \
		(head)->tqh_last = &TAILQ_FIRST(head); \
	} while (0)
#define TAILQ_FOREACH(each, head, field) \
	for ((each) = TAILQ_FIRST(head); (each); (each) = TAILQ_NEXT(each, field))
#define TAILQ_FOREACH_REVERSE(each, head, name, field) \
	for ((each) = TAILQ_LAST(head, name); (each); (each) = TAILQ_PREV(each, name, field))
#define TAILQ_INSERT_HEAD(head, element, field) \
	do { \
		TAILQ_NEXT(element, field) = TAILQ_FIRST(head); \
		if (TAILQ_NEXT(element, field)) \
			TAILQ_FIRST(head)->field.tqe_prev = &TAILQ_NEXT(element, field); \
		else \
			(head)->tqh_last = &TAILQ_NEXT(element, field); \
		TAILQ_FIRST(head) = (element); \
		(element)->field.tqe_prev = &TAILQ_FIRST(head); \
	} while (0)
#define TAILQ_INSERT_TAIL(head, element, field) \
	do { \
		TAILQ_NEXT(element, field) = NULL; \
		(element)->field.tqe_prev = (head)->tqh_last; \
		*(head)->tqh_last = (element); \
		(head)->tqh_last = &TAILQ_NEXT(element, field); \
	} while (0)
#define TAILQ_INSERT_AFTER(head, before, element, field) \
	do { \
		TAILQ_NEXT(element, field) = TAILQ_NEXT(before, field); \
		if (TAILQ_NEXT(element, field)) \
			TAILQ_NEXT(before, field)->field.tqe_prev = &TAILQ_NEXT(element, field); \
		else \
			(head)->tqh_last = &TAILQ_NEXT(element, field); \
		TAILQ_NEXT(before, field) = (element); \
		(element)->field.tqe_prev = &TAILQ_NEXT(before, field); \
	} while (0)
#define TAILQ_INSERT_BEFORE(behind, element, field) \
	do { \
		(element)->field.tqe_prev = (behind)->field.tqe_prev; \
		TAILQ_NEXT(element, field) = (behind); \
		*(behind)->field.tqe_prev = (element); \
		(behind)->field.tqe_prev = &TAILQ_NEXT(element, field); \
	} while (0)
#define TAILQ_REMOVE(head, element, field) \
	do { \
		if (TAILQ_NEXT(element, field)) \
			TAILQ_NEXT(element, field)->field.tqe_prev = (element)->field.tqe_prev; \
		else \
			(head)->tqh_last = (element)->field.tqe_prev; \
		*(element)->field.tqe_prev = TAILQ_NEXT(element, field); \
	} while (0)

/* CIRCLEQ: both links lead to elements, at the ends to the head */
#define CIRCLEQ_HEAD(name, type) struct name { struct type *cqh_first, *cqh_last; }
#define CIRCLEQ_HEAD_INITIALIZER(head) { (void *)&(head), (void *)&(head) }
#define CIRCLEQ_ENTRY(type) struct { struct type *cqe_next, *cqe_prev; }
#define CIRCLEQ_FIRST(head) ((head)->cqh_first)
#define CIRCLEQ_LAST(head) ((head)->cqh_last)
#define CIRCLEQ_NEXT(element, field) ((element)->field.cqe_next)
#define CIRCLEQ_PREV(element, field) ((element)->field.cqe_prev)
#define CIRCLEQ_EMPTY(head) ((void *)CIRCLEQ_FIRST(head) == (void *)(head))
#define CIRCLEQ_INIT(head) \
	do { \
		CIRCLEQ_FIRST(head) = (void *)(head); \
		CIRCLEQ_LAST(head) = (void *)(head); \
	} while (0)
#define CIRCLEQ_FOREACH(each, head, field) \
	for ((each) = CIRCLEQ_FIRST(head); (void *)(each) != (void *)(head); \
		(each) = CIRCLEQ_NEXT(each, field))
#define CIRCLEQ_FOREACH_REVERSE(each, head, field) \
	for ((each) = CIRCLEQ_LAST(head); (void *)(each) != (void *)(head); \
		(each) = CIRCLEQ_PREV(each, field))

/* What leads to an element from before it, or from behind it: another element's link, or the head's. */
#define _CIRCLEQ_TO(head, other, link, end) \
	(*((void *)(other) == (void *)(head) ? &(head)->end : &(other)->link))

#define CIRCLEQ_INSERT_AFTER(head, before, element, field) \
	do { \
		CIRCLEQ_NEXT(element, field) = CIRCLEQ_NEXT(before, field); \
		CIRCLEQ_PREV(element, field) = (before); \
		_CIRCLEQ_TO(head, CIRCLEQ_NEXT(before, field), field.cqe_prev, cqh_last) = (element); \
		CIRCLEQ_NEXT(before, field) = (element); \
	} while (0)
#define CIRCLEQ_INSERT_BEFORE(head, behind, element, field) \
	do { \
		CIRCLEQ_NEXT(element, field) = (behind); \
		CIRCLEQ_PREV(element, field) = CIRCLEQ_PREV(behind, field); \
		_CIRCLEQ_TO(head, CIRCLEQ_PREV(behind, field), field.cqe_next, cqh_first) = (element); \
		CIRCLEQ_PREV(behind, field) = (element); \
	} while (0)
#define CIRCLEQ_INSERT_HEAD(head, element, field) \
	do { \
		CIRCLEQ_NEXT(element, field) = CIRCLEQ_FIRST(head); \
		CIRCLEQ_PREV(element, field) = (void *)(head); \
		_CIRCLEQ_TO(head, CIRCLEQ_FIRST(head), field.cqe_prev, cqh_last) = (element); \
		CIRCLEQ_FIRST(head) = (element); \
	} while (0)
#define CIRCLEQ_INSERT_TAIL(head, element, field) \
	do { \
		CIRCLEQ_NEXT(element, field) = (void *)(head); \
		CIRCLEQ_PREV(element, field) = CIRCLEQ_LAST(head); \
		_CIRCLEQ_TO(head, CIRCLEQ_LAST(head), field.cqe_next, cqh_first) = (element); \
		CIRCLEQ_LAST(head) = (element); \
	} while (0)
#define CIRCLEQ_REMOVE(head, element, field) \
	do { \
		_CIRCLEQ_TO(head, CIRCLEQ_NEXT(element, field), field.cqe_prev, cqh_last) = \
			CIRCLEQ_PREV(element, field); \
		_CIRCLEQ_TO(head, CIRCLEQ_PREV(element, field), field.cqe_next, cqh_first) = \
			CIRCLEQ_NEXT(element, field); \
	} while (0)

#endif
