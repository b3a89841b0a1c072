// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packets that are injected just now, each as long as its injector is busy with it: bottom
 * halves are off, and all that happens to it happens in the injector's call, until it waits
 * somewhere (carrier.c).
 *
 * They are told apart by the task, not by the processor alone: on a kernel that preempts soft
 * interrupts (PREEMPT_RT) two tasks can be in here at once.
 */
#include <linux/percpu.h>
#include <linux/sched.h>

#include "socket.h"

static DEFINE_PER_CPU(struct divert_flight *, flights);

void divert_flight_begin(struct divert_flight *flight)
{
	flight->task = current;
	preempt_disable();
	flight->before = __this_cpu_read(flights);
	__this_cpu_write(flights, flight);
	preempt_enable();
}

/* In whatever order those of several tasks end. */
void divert_flight_end(struct divert_flight *flight)
{
	struct divert_flight **at;

	preempt_disable();
	for (at = this_cpu_ptr(&flights); *at; at = &(*at)->before)
		if (*at == flight) {
			*at = flight->before;
			break;
		}
	preempt_enable();
}

struct divert_flight *divert_flight_now(void)
{
	struct divert_flight *flight;

	preempt_disable();
	flight = __this_cpu_read(flights);
	while (flight && flight->task != current)
		flight = flight->before;
	preempt_enable();
	return flight;
}
