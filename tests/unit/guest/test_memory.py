# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's memory is taken to hold, by the words of both kernels."""

from __future__ import annotations

import pytest

from harness.base.errors import GuestError
from harness.guest import memory


def use(**counts: int) -> memory.Use:
    """So many objects, counted exactly."""
    return memory.Use(counts, dict.fromkeys(counts, memory.SLACK))


def test_slack_is_for_the_look_itself() -> None:
    before = use(sock=6, size=300)
    assert memory.lost(before, use(sock=14, size=308)) == {}
    assert memory.lost(before, use(sock=15, size=309)) == {"sock": 9, "size": 9}


def test_what_describes_free_memory_is_no_loss() -> None:
    text = "skbuff_head_cache 7 21\nsize-32   {}   441\nslab_cache   {}   126\nsockets: used 5\n"
    before, after = (memory.parse(text.format(*row)) for row in ((92, 33), (176, 117)))
    assert before.counts == after.counts == {"size-32": 59, "sockets": 5} | {memory.BUFFERS: 7}
    assert before.slack["size-32"] == memory.SLACK


@pytest.mark.parametrize("text", ["", "sockets: used 5\n", "skbuff_head_cache 7 21\n"])
def test_who_says_nothing_has_lost_nothing(text: str) -> None:
    with pytest.raises(GuestError, match="does not say what of its memory is in use"):
        memory.parse(text)


TODAY = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab>
DIVERT                 2      8   1088   30    8
RAW                    8      8   1024    8    2
sock_inode_cache      16     19    832   19    4
skbuff_fclone_cache      2      8    512    8    1
skbuff_head_cache      1     16    256   16    1
skbuff_ext_cache       5     21    192   21    1
kmalloc-rcl-64        18     64     64   64    1
kmalloc-2k           140    144   2048    8    4
kmalloc-96           420    420     96   42    1
sockets: used 9
"""


def test_caches_of_a_kernel_of_today() -> None:
    """Its processor may have two slabs of each cache, and some buffers, at hand."""
    found = memory.parse(TODAY)
    assert found.counts == {
        "DIVERT": 2,
        "sock_inode_cache": 16,
        "skbuff_fclone_cache": 2,
        "skbuff_head_cache": 1,
        "kmalloc-rcl-64": 18,
        "kmalloc-2k": 140,
        "sockets": 9,
    }
    assert found.buffers == 1
    assert found.slack["kmalloc-2k"] == memory.SLACK + 16
    assert found.slack[memory.BUFFERS] == memory.SLACK + 32 + 64
    assert found.slack["sockets"] == memory.SLACK


def test_a_cache_that_is_gone_is_no_number() -> None:
    with pytest.raises(KeyError):
        memory.lost(use(sock=1), use())


def test_caches_that_all_share_are_not_ones_own() -> None:
    assert (
        memory.own(memory.parse(TODAY)).counts.keys().isdisjoint({"kmalloc-2k", "kmalloc-rcl-64"})
    )
