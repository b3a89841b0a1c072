# SPDX-License-Identifier: GPL-2.0-only
"""Each line of a console means what it says; what a guest writes when all is well means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest.crash import classify, rules

CONSOLES = Path(__file__).parent / "consoles"


def names(console: str) -> list[str]:
    lines = (CONSOLES / console).read_text().splitlines()
    return [crash.name for crash in map(classify, lines) if crash]


# As a guest boots, and of kernels of today also with the messages of all levels shown.
BOOTS = (
    "boot.txt",
    "linux-6.1/boot.txt",
    "linux-6.1/boot-all-levels.txt",
    "linux-6.12/boot.txt",
    "linux-6.12/boot-all-levels.txt",
)

WARNED = "cut here", "---[ end trace "
PANICKED = "panic", "Rebooting in 1 seconds.."
OOPSED = "oops", "---[ end trace "
CORRUPTED = "memory corrupted", "---[ end trace "
STALLED = "stall", " </TASK>"
ATOMIC = "wrong in interrupt", " </TASK>"

# From guests whose kernel was made to do such a thing by a module, `crashme`: the report's first
# name, and its end.
TODAY = {
    "linux-6.1/warning": WARNED,
    "linux-6.1/bug": WARNED,
    "linux-6.1/refcount": WARNED,
    "linux-6.1/oops": OOPSED,
    "linux-6.1/oops-in-interrupt": OOPSED,
    "linux-6.1/page-fault": OOPSED,
    "linux-6.1/general-protection": OOPSED,
    "linux-6.1/stack-overflow": OOPSED,
    "linux-6.1/panic": PANICKED,
    "linux-6.1/interrupted": ("hang", " </TASK>"),
    "linux-6.1/list-corruption": CORRUPTED,
    "linux-6.1/skb-over-panic": CORRUPTED,
    "linux-6.1/slab": ("memory corrupted", " </TASK>"),
    "linux-6.1/scheduled-while-atomic": ATOMIC,
    "linux-6.1/soft-lockup": STALLED,
    "linux-6.1/hung-task": ("stall", "disables this message"),
    "linux-6.1/out-of-memory": ("out of memory", "Out of memory: Killed process"),
    "linux-6.12/warning": WARNED,
    "linux-6.12/bug": WARNED,
    "linux-6.12/oops": OOPSED,
    "linux-6.12/general-protection": OOPSED,
    "linux-6.12/panic": PANICKED,
    "linux-6.12/list-corruption": CORRUPTED,
    "linux-6.12/scheduled-while-atomic": ATOMIC,
}


@pytest.mark.parametrize("console", BOOTS)
def test_boot_is_no_crash(console: str) -> None:
    lines = (CONSOLES / console).read_text().splitlines()
    assert "DIVERT-GUEST-READY" in lines
    assert names(console) == []


@pytest.mark.parametrize("console", TODAY)
def test_golden_consoles_of_today(console: str) -> None:
    name, last = TODAY[console]
    lines = (CONSOLES / f"{console}.txt").read_text().splitlines()
    found = [crash for crash in map(classify, lines) if crash]
    assert found[0].name == name
    begin = lines.index(found[0].line)
    assert begin <= 2, "the report begins with its headline"
    # Its end is seen; only what goes on repeats itself later.
    ends = [line for line in lines[begin:] if found[0].is_over_with(line)]
    assert last in ends[0]


@pytest.mark.parametrize(
    ("console", "name", "begin"),
    [
        ("linux-6.1/warning", "warning", "WARNING: CPU: 0 PID: 110 at "),
        ("linux-6.1/bug", "oops", "kernel BUG at "),
        ("linux-6.1/refcount", "memory corrupted", "refcount_t: decrement hit 0"),
        ("linux-6.12/warning", "warning", "WARNING: CPU: 0 PID: 151 at "),
        ("linux-6.12/bug", "oops", "kernel BUG at "),
    ],
)
def test_heading_is_named_by_what_follows(console: str, name: str, begin: str) -> None:
    lines = (CONSOLES / f"{console}.txt").read_text().splitlines()
    heading, first = [crash for crash in map(classify, lines) if crash][:2]
    assert heading.heading
    assert not first.heading
    assert first.name == name
    assert first.words.startswith(begin)


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("panic.txt", ["panic"]),
        ("oops.txt", ["oops", "oops", "oops"]),
        ("oops-in-interrupt.txt", [*["oops"] * 5, "interrupt killed", "panic"]),
    ],
)
def test_golden_consoles(console: str, expected: list[str]) -> None:
    assert names(console) == expected


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Kernel panic: Attempted to kill init!", "panic"),
        ("Kernel panic: skput:over: c0155b10:1501 put:1 dev:eth1", "panic"),
        ("Kernel panic: Free list corrupted", "panic"),
        ("Unable to handle kernel paging request at virtual address 5a5a5a5a", "oops"),
        ("general protection fault: 0000", "oops"),
        ("general protection: 0018", "oops"),
        ("invalid operand: 0000", "oops"),
        ("divide error: 0000", "oops"),
        ("EIP:    0010:[<c0155b10>]", "oops"),
        ("Aiee, killing interrupt handler", "interrupt killed"),
        ("Scheduling in interrupt", "scheduled in interrupt"),
        ("System halted.", "halted"),
        ("kfree: Bad obj c01ab960", "memory corrupted"),
        (
            "kmem_free: Either bad obj addr or double free (objp=c0, name=skbuff)",
            "memory corrupted",
        ),
        ("swap_out_pmd: bad pmd (00000001)", "memory corrupted"),
        ("Warning: kfree_skb passed an skb still on a list (from c0156).", "memory corrupted"),
        ("alloc_skb called nonatomically from interrupt c0155b10", "wrong in interrupt"),
        ("Out of memory for interceptor.", "out of memory"),
        ("VM: killing process interceptor", "out of memory"),
        ("double lock on socket at c0155b10", "kernel bug"),
        ("bug: kernel timer added twice at c0155b10.", "kernel bug"),
        # The first has no newline: it is where the next message begins.
        ("crc errorVFS: Mounted root (ext2 filesystem) readonly.", "RAM disk damaged"),
        ("length errorVFS: Mounted root (ext2 filesystem) readonly.", "RAM disk damaged"),
        ("invalid compressed format (err=1)", "RAM disk damaged"),
        ("RAMDISK: image too big! (8192/4096 blocks)", "RAM disk damaged"),
        ("eth1: transmit timed out, switching to MII media.", "card stuck"),
        ("kmalloc: Size (131100) too large", "out of memory"),
        ("schedule_timeout: wrong timeout value ffffffff from c0155b10", "kernel bug"),
        ("dst cache overflow", "memory corrupted"),
        ("recvmsg bug: copied 3F51 seq 3F52", "kernel bug"),
        ("sk_free: optmem leakage (12 bytes) detected.", "memory corrupted"),
        ("protocol 0800 is buggy, dev eth1", "kernel bug"),
    ],
)
def test_faults(line: str, name: str) -> None:
    crash = classify(line)
    assert crash is not None
    assert (crash.name, crash.line, crash.words) == (name, line, line)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Kernel panic - not syncing: sysrq triggered crash", "panic"),
        ("------------[ cut here ]------------", "cut here"),
        ("BUG: kernel NULL pointer dereference, address: 0000000000000010", "oops"),
        ("BUG: unable to handle page fault for address: ffffc90001234000", "oops"),
        ("kernel tried to execute NX-protected page - exploit attempt? (uid: 0)", "oops"),
        ("unable to execute userspace code (SMEP?) (uid: 0)", "oops"),
        ("Oops: 0002 [#1] PREEMPT SMP NOPTI", "oops"),
        ("Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI", "oops"),
        ("general protection fault: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
        (
            "general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b6b: "
            "0000 [#1] PREEMPT SMP NOPTI",
            "oops",
        ),
        (
            "Oops: general protection fault, maybe for address 0xffffc90000000000: 0000 [#2] SMP",
            "oops",
        ),
        ("invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
        ("Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
        ("divide error: 0000 [#1] PREEMPT SMP NOPTI", "oops"),
        ("stack segment: 0000 [#1] SMP", "oops"),
        ("kernel BUG at net/core/skbuff.c:112!", "oops"),
        ("PANIC: double fault, error_code: 0x0", "oops"),
        ("BUG: stack guard page was hit at 000000004f7c2e1a (stack is ...)", "oops"),
        ("BUG: TASK stack guard page was hit at 000000004f7c2e1a (stack is ...)", "oops"),
        ("Fixing recursive fault but reboot is needed!", "oops"),
        ("reboot: System halted", "halted"),
        ("reboot: Power down", "halted"),
        ("refcount_t: underflow; use-after-free.", "memory corrupted"),
        ("list_add corruption. prev->next should be next (ff), but was 00.", "memory corrupted"),
        ("list_add double add: new=ff, prev=ff, next=ff.", "memory corrupted"),
        ("list_del corruption, ff->next is LIST_POISON1 (dead000000000100)", "memory corrupted"),
        ("BUG: Bad page state in process insmod  pfn:06312", "memory corrupted"),
        ("BUG: Bad page map in process cat  pte:00000001 pmd:062f7067", "memory corrupted"),
        ("BUG: Bad rss-counter state mm:ff type:MM_ANONPAGES val:1", "memory corrupted"),
        ("BUG: KASAN: slab-use-after-free in take+0x1/0x2 [divert]", "memory corrupted"),
        ("BUG: KFENCE: use-after-free read in take+0x1/0x2 [divert]", "memory corrupted"),
        (
            "BUG kmalloc-64 (Tainted: G    B   OE     ): Object already free",
            "memory corrupted",
        ),
        (
            "kmem_cache_destroy divert: Slab cache still has objects when called from f+0x1/0x2",
            "memory corrupted",
        ),
        (
            "cache_from_obj: Wrong slab cache. skbuff_head_cache but object is from kmalloc-64",
            "memory corrupted",
        ),
        (
            "kmemleak: 3 new suspicious memory leaks (see /sys/kernel/debug/kmemleak)",
            "memory corrupted",
        ),
        ("skbuff: skb_over_panic: text:ffffffffc0274 len:4096 put:4096", "memory corrupted"),
        ("skbuff: skb_under_panic: text:ffffffffc0274 len:4096 put:14", "memory corrupted"),
        ("IPv4: Attempt to release TCP socket in state 1 00000000f00", "memory corrupted"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [insmod:110]", "stall"),
        ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 0", "stall"),
        ("watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0", "stall"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "stall"),
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "stall"),
        ("rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 0-... }", "stall"),
        ("INFO: rcu_tasks detected stalls on tasks:", "stall"),
        ("rcu: rcu_preempt kthread starved for 5252 jiffies! g1 f0x0", "stall"),
        ("INFO: task sleeper:110 blocked for more than 122 seconds.", "stall"),
        ("BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 40s!", "stall"),
        ("WARNING: possible circular locking dependency detected", "locking"),
        ("WARNING: possible recursive locking detected", "locking"),
        ("WARNING: inconsistent lock state", "locking"),
        ("WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected", "locking"),
        ("WARNING: suspicious RCU usage", "locking"),
        ("WARNING: bad unlock balance detected!", "locking"),
        ("WARNING: lock held when returning to user space!", "locking"),
        ("WARNING: held lock freed!", "locking"),
        ("INFO: trying to register non-static key.", "locking"),
        ("BUG: spinlock bad magic on CPU#0, insmod/110", "locking"),
        ("BUG: Invalid wait context ]", "locking"),
        ("BUG: scheduling while atomic: insmod/110/0x00000002", "wrong in interrupt"),
        (
            "BUG: sleeping function called from invalid context at mm/slab.h:525",
            "wrong in interrupt",
        ),
        (
            "BUG: using smp_processor_id() in preemptible [00000000] code: cat/1",
            "wrong in interrupt",
        ),
        (
            "NOHZ tick-stop error: local softirq work is pending, handler #08!!!",
            "wrong in interrupt",
        ),
        (
            "softirq: huh, entered softirq 3 NET_RX ff with preempt_count 00000101",
            "wrong in interrupt",
        ),
        ("insmod invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0", "out of memory"),
        ("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=sh", "out of memory"),
        ("Out of memory: Killed process 98 (sh) total-vm:2048kB", "out of memory"),
        ("Out of memory and no killable processes...", "out of memory"),
        ("Memory cgroup out of memory: Killed process 98 (sh)", "out of memory"),
        ("insmod: page allocation failure: order:10, mode:0xcc0(GFP_KERNEL)", "out of memory"),
        ("NETDEV WATCHDOG: eth1 (virtio_net): transmit queue 0 timed out", "card stuck"),
        ("NETDEV WATCHDOG: CPU: 0: transmit queue 0 timed out 5128 ms", "card stuck"),
        ("UBSAN: array-index-out-of-bounds in net/ipv4/a.c:12:3", "kernel bug"),
        (
            "unregister_netdevice: waiting for eth1 to become free. Usage count = 2",
            "kernel bug",
        ),
        ("eth1: hw csum failure", "kernel bug"),
        ('irq 11: nobody cared (try booting with the "irqpoll" option)', "kernel bug"),
        ("sysfs: cannot create duplicate filename '/devices/x'", "kernel bug"),
        ("WARNING: CPU: 0 PID: 110 at net/ipv4/a.c:50 take+0x3d/0x100 [divert]", "warning"),
        ("WARNING: words of a kernel to come", "warning"),
        ("Initramfs unpacking failed: junk within compressed archive", "RAM disk damaged"),
        ("** 12 printk messages dropped **", "messages lost"),
        ("BUG: words of a kernel to come", "kernel bug"),
        ("RIP: 0010:take+0x5/0x10 [divert]", "kernel bug"),
        ("CPU: 0 PID: 110 Comm: cat Tainted: G           OE      6.1.0-50-amd64", "kernel bug"),
        ("CPU: 0 UID: 0 PID: 110 Comm: cat Tainted: G           OE      6.12", "kernel bug"),
        ("Call Trace:", "kernel bug"),
        ("---[ end trace 0000000000000000 ]---", "kernel bug"),
    ],
)
def test_faults_of_today(line: str, name: str) -> None:
    for before in ("[   12.345678] ", "divert# [   12.345678] ", ""):
        crash = classify(before + line)
        assert crash is not None
        assert crash.name == name
        assert line.endswith(crash.words)


@pytest.mark.parametrize(
    "line",
    [
        # A program's own faults (arch/x86/mm/fault.c, arch/x86/kernel/traps.c).
        "[   12.3] cat[64]: segfault at 0 ip 0804b10c sp ffb0 error 4 in cat[8048000+1000]",
        "[   12.3] traps: cat[64] general protection fault ip:804b sp:ffb0 error:0 in cat[8048000]",
        "[   12.3] traps: cat[64] trap invalid opcode ip:804b10c sp:ffb0 error:0",
        "[   12.3] RIP: 0023:0x80490b7",
        "[   12.3] RIP: 0033:0x7f00080490b7",
        "[   12.3] rcu: Preemptible hierarchical RCU implementation.",
        "[   12.3] rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
        "[   12.3] Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "[   12.3] kmemleak: Kernel memory leak detector initialized (mem pool available: 15837)",
        "[   12.3] workqueue: neigh_work hogged CPU for >10000us 4 times",
        "[   12.3] hrtimer: interrupt took 12345678 ns",
        "[   12.3] divert: loading out-of-tree module taints kernel.",
        "EIP:    0023:[<0804b10c>]",
        "device eth1 entered promiscuous mode",
        "IP_MASQ: reverse ICMP: failed checksum from 192.0.2.2!",
        "Packet log: input DENY eth1 PROTO=17 192.0.2.2:1 192.0.2.1:2 L=28",
        "interceptor: sendto: Network is unreachable",
        "neighbour table overflow",
        "",
    ],
)
def test_no_faults(line: str) -> None:
    assert classify(line) is None


def test_prompt_before_the_kernel_s_words() -> None:
    crash = classify("divert# Kernel panic: Attempted to kill init!")
    assert crash is not None
    assert crash.words == "Kernel panic: Attempted to kill init!"


def test_end_of_a_report() -> None:
    crash = classify("Oops: 0000")
    assert crash is not None
    assert crash.is_over_with("Code: 8b 40 10 c3 ")
    assert not crash.is_over_with("Oops: 0000")
    assert crash.guest_goes_on


def test_what_ends_the_guest() -> None:
    final = {rule.name for rule in rules() if not rule.guest_goes_on}
    assert final == {"panic", "hang", "interrupt killed", "halted", "scheduled in interrupt"}


def test_fault_behind_what_is_no_fault() -> None:
    crash = classify("Spectre V2 : WARNING: Unprivileged eBPF is enabled")
    assert crash is None
    crash = classify("DEBUG: ready BUG: words of a kernel to come")
    assert crash is not None
    assert crash.words == "BUG: words of a kernel to come"
