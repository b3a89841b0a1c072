/* SPDX-License-Identifier: GPL-2.0-only */
/* sys/queue.h: every list, after insertions at all places and removals; what is in it, forth and back. */
#include <stdio.h>
#include <sys/queue.h>

struct element {
	int number;
	SLIST_ENTRY(element) s;
	STAILQ_ENTRY(element) q;
	LIST_ENTRY(element) l;
	TAILQ_ENTRY(element) t;
	CIRCLEQ_ENTRY(element) c;
} e[7];

SLIST_HEAD(singles, element) singles = SLIST_HEAD_INITIALIZER(singles);
STAILQ_HEAD(queue, element) queue = STAILQ_HEAD_INITIALIZER(queue);
LIST_HEAD(list, element) list = LIST_HEAD_INITIALIZER(list);
TAILQ_HEAD(tail, element) tail = TAILQ_HEAD_INITIALIZER(tail);
CIRCLEQ_HEAD(circle, element) circle = CIRCLEQ_HEAD_INITIALIZER(circle);

#define SHOW(what, loop)                          \
	do {                                      \
		printf(what);                     \
		loop printf(" %d", each->number); \
		printf("\n");                     \
	} while (0)

int main(void)
{
	struct element *each;
	int i;

	for (i = 0; i < 7; i++)
		e[i].number = i;

	SLIST_INSERT_HEAD(&singles, &e[1], s);
	SLIST_INSERT_HEAD(&singles, &e[0], s);
	SLIST_INSERT_AFTER(&e[1], &e[3], s);
	SLIST_INSERT_AFTER(&e[1], &e[2], s);
	SLIST_REMOVE(&singles, &e[2], element, s);
	SLIST_REMOVE_HEAD(&singles, s);
	SHOW("SLIST", SLIST_FOREACH(each, &singles, s));

	STAILQ_INSERT_TAIL(&queue, &e[1], q);
	STAILQ_INSERT_HEAD(&queue, &e[0], q);
	STAILQ_INSERT_AFTER(&queue, &e[1], &e[2], q);
	STAILQ_INSERT_TAIL(&queue, &e[3], q);
	STAILQ_REMOVE(&queue, &e[3], element, q);
	STAILQ_INSERT_TAIL(&queue, &e[4], q);
	STAILQ_REMOVE_HEAD(&queue, q);
	SHOW("STAILQ", SIMPLEQ_FOREACH(each, &queue, q));

	LIST_INSERT_HEAD(&list, &e[2], l);
	LIST_INSERT_BEFORE(&e[2], &e[1], l);
	LIST_INSERT_AFTER(&e[2], &e[4], l);
	LIST_INSERT_AFTER(&e[2], &e[3], l);
	LIST_INSERT_HEAD(&list, &e[0], l);
	LIST_REMOVE(&e[0], l);
	LIST_REMOVE(&e[3], l);
	SHOW("LIST", LIST_FOREACH(each, &list, l));

	TAILQ_INSERT_HEAD(&tail, &e[2], t);
	TAILQ_INSERT_TAIL(&tail, &e[4], t);
	TAILQ_INSERT_AFTER(&tail, &e[4], &e[5], t);
	TAILQ_INSERT_AFTER(&tail, &e[2], &e[3], t);
	TAILQ_INSERT_BEFORE(&e[2], &e[1], t);
	TAILQ_INSERT_HEAD(&tail, &e[0], t);
	TAILQ_REMOVE(&tail, &e[5], t);
	TAILQ_REMOVE(&tail, &e[2], t);
	SHOW("TAILQ", TAILQ_FOREACH(each, &tail, t));
	SHOW("TAILQ back", TAILQ_FOREACH_REVERSE(each, &tail, tail, t));

	CIRCLEQ_INSERT_HEAD(&circle, &e[2], c);
	CIRCLEQ_INSERT_TAIL(&circle, &e[4], c);
	CIRCLEQ_INSERT_AFTER(&circle, &e[4], &e[5], c);
	CIRCLEQ_INSERT_BEFORE(&circle, &e[2], &e[1], c);
	CIRCLEQ_INSERT_HEAD(&circle, &e[0], c);
	CIRCLEQ_INSERT_TAIL(&circle, &e[6], c);
	CIRCLEQ_REMOVE(&circle, &e[6], c);
	CIRCLEQ_REMOVE(&circle, &e[0], c);
	CIRCLEQ_REMOVE(&circle, &e[4], c);
	SHOW("CIRCLEQ", CIRCLEQ_FOREACH(each, &circle, c));
	SHOW("CIRCLEQ back", CIRCLEQ_FOREACH_REVERSE(each, &circle, c));
	return 0;
}
