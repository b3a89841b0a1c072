# SPDX-License-Identifier: GPL-2.0-only
"""What of a guest's memory is in use: objects of the kernel's caches, and sockets.

2.2.12's SLAB counts exactly. A kernel of today (SLUB) counts all objects of the slabs that are a
processor's own as in use, until the cache is shrunk; by the time it is asked, there are some again,
but only one if it is told to keep no others (Documentation/ABI/testing/sysfs-kernel-slab).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.errors import GuestError
from harness.guest.shell import Shell

# Objects of a kind that a look at the memory, and its connection, may take or have freed.
SLACK = 8
BUFFERS = "skbuff_head_cache"

# For `Shell.check`; the same on all kernels.
LOOK = """\
for name in 'skbuff_*' 'kmalloc-*' sock_inode_cache DIVERT; do
	for cache in /sys/kernel/slab/$name; do
		[ ! -e $cache/cpu_partial ] || echo 0 >$cache/cpu_partial
		[ ! -e $cache ] || echo 1 >$cache/shrink
	done
done
cat /proc/slabinfo /proc/net/sockstat"""

# Routes have merged with skbuff_ext_cache (both 192 bytes), and come and go by themselves. A file
# of sysfs that is opened, as by `LOOK`, takes one of kmalloc-96 (of kmalloc-128 where locks are
# checked), which is given back by and by.
_OBJECTS = re.compile(
    r"^(skbuff_(?!ext)\w+|sock|slab_cache|size-\d+|kmalloc-(?!96 |128 )[\w-]+|sock_inode_cache"
    r"|DIVERT) +(\d+) +\d+(?: +\d+ +(\d+))?",
    re.MULTILINE,
)
# Where memory is charged to groups and its use is checked, these also hold what the kernel keeps
# beside each slab (obj_cgroup vectors), and what waits in batches to be freed.
_SHARED = ("kmalloc-", "size-")
_SOCKETS = re.compile(r"^sockets: used (\d+)", re.MULTILINE)
# Of these a processor keeps some at hand (NAPI_SKB_CACHE_SIZE of net/core/skbuff.c).
_BUFFERS_AT_HAND = 64
# So much is quoted of an answer that is none.
_QUOTED = 500


@dataclass(frozen=True)
class Use:
    """How many objects of each cache, and sockets; and how many more or fewer mean nothing."""

    counts: Mapping[str, int]
    slack: Mapping[str, int]

    @property
    def buffers(self) -> int:
        """How many packets there are."""
        return self.counts[BUFFERS]


def parse(text: str) -> Use:
    """What the words of `LOOK` say (pure).

    Each object of 2.2.12's slab_cache describes memory of a cache that has once been large, and has
    one of 32 bytes beside it, which is no loss either. Raises GuestError if they do not say it: of
    nothing, nothing is lost.
    """
    counts, slack = {}, {}
    for name, number, per_slab in _OBJECTS.findall(text):
        counts[name] = int(number)
        slack[name] = SLACK + 2 * int(per_slab or 0)
        if per_slab and name == BUFFERS:
            slack[name] += _BUFFERS_AT_HAND
    if BUFFERS not in counts or not _SOCKETS.search(text):
        raise GuestError("the guest does not say what of its memory is in use", text[:_QUOTED])
    described = counts.pop("slab_cache", 0)
    if described:
        counts["size-32"] -= described
    counts["sockets"] = sum(map(int, _SOCKETS.findall(text)))
    slack["sockets"] = SLACK
    return Use(counts, slack)


def own(use: Use) -> Use:
    """Without the caches that all of the kernel shares: packets and sockets alone."""
    counts = {name: number for name, number in use.counts.items() if not name.startswith(_SHARED)}
    return Use(counts, use.slack)


def in_use(shell: Shell) -> Use:
    """What this guest has in use."""
    return parse(shell.check(LOOK))


def lost(before: Use, after: Use) -> dict[str, int]:
    """What there is more of, beyond the slack."""
    more = {name: after.counts[name] - number for name, number in before.counts.items()}
    return {name: number for name, number in more.items() if number > before.slack[name]}
