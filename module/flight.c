// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packet that this processor injects just now.
 */
#include <linux/percpu.h>

#include "socket.h"

static DEFINE_PER_CPU(struct divert_flight *, flights);

/* Bottom halves are off from begin to end. Returns what to end with. */
struct divert_flight *divert_flight_begin(struct divert_flight *flight)
{
	struct divert_flight *before = __this_cpu_read(flights);

	__this_cpu_write(flights, flight);
	return before;
}

void divert_flight_end(struct divert_flight *before)
{
	__this_cpu_write(flights, before);
}

struct divert_flight *divert_flight_now(void)
{
	return __this_cpu_read(flights);
}
