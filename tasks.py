# SPDX-License-Identifier: GPL-2.0-only
"""The command line: each task parses its arguments and calls one function of harness/."""

from __future__ import annotations

import functools
import sys

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task as _task

from harness.base import options
from harness.base.cli import remainder, reports_errors

# The harness modules are imported inside the tasks: scapy and paramiko take half a second to
# import, and `./inv --list` needs neither.

# invoke would give each option the first letter that is free: a letter would mean other things in
# other tasks.
task = functools.partial(_task, auto_shortflags=False)

_VARIANT = "kernel variants by name, comma-separated: stock, off, base, passthrough, ..."
_MATRIX = "options to cross, comma-separated: passthrough,defrag gives four variants"
_KERNEL = "kernels by name, comma-separated: linux-2.2.12, linux-6.1"
_SOURCE = "NAME=PATH: use this archive or unpacked tree for the upstream source NAME (repeatable)"
_REQUIRE = (
    "NAME: fail if this kernel is not tested, or this archive not there; host-kernel is the one of "
    "the host's release (repeatable)"
)
_JSON = "print it as JSON, for programs: docs/commands.md"
_TOOLS = "in a guest with Python, tcpdump and strace (a kernel of today)"
_COLD = "boot it: do not go on from the snapshot that the first use has left"
_JOBS = "how many at once (default: builds, one a processor; guests, two a processor)"


def _end_with(status: int) -> None:
    """End with the exit status of what ran in the guest."""
    if status != 0:
        raise Exit(code=status)


@task(
    help={
        "check-only": "say what is missing, install nothing",
        "print-packages": "print the packages that setup would install on a host that has none",
    }
)
@reports_errors
def setup(_context: Context, check_only: bool = False, print_packages: bool = False) -> None:
    """Install what the host lacks, saying what and why first; without root, print the command."""
    from harness.host import host

    if print_packages:
        host.print_packages()
        return
    host.setup(check_only=check_only)


@task(
    iterable=["source"],
    help={
        "kvm": "try KVM instead, step by step, with a guest of each kernel",
        "source": _SOURCE,
        "json": _JSON,
    },
)
@reports_errors
def doctor(_context: Context, source: list[str], kvm: bool = False, json: bool = False) -> None:
    """Say what this host has and lacks: tools, archives, accelerator, disk, cache."""
    options.not_both(("--kvm", kvm), ("--json", json))
    if kvm:
        from harness.host import kvm as kvm_module

        kvm_module.doctor(source)
        return
    from harness.host import doctor as doctor_module

    doctor_module.doctor(as_json=json)


@task(iterable=["source"], help={"source": _SOURCE, "json": _JSON})
@reports_errors
def sources(_context: Context, source: list[str], json: bool = False) -> None:
    """Find, or download, the upstream archives, check their content, and say where they are."""
    from harness.upstream import sources as sources_module

    sources_module.report(given=source, as_json=json)


@task(
    iterable=["source"],
    help={
        "variant": _VARIANT,
        "matrix": _MATRIX,
        "kernel": _KERNEL,
        "jobs": _JOBS,
        "source": _SOURCE,
    },
)
@reports_errors
def build_kernel(
    _context: Context,
    source: list[str],
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
    jobs: str | None = None,
) -> None:
    """Build kernels, or the module for them, and print where bzImage, System.map, .config are."""
    from harness.boot import bootable

    bootable.build_and_print(
        variant=variant,
        matrix=matrix,
        kernels_named=kernel,
        jobs=options.count("--jobs", jobs) or 0,
        given=source,
    )


@task(help={"kernel": "only for kernels of these names, comma-separated: linux-7.3, linux-7.3-rt"})
@reports_errors
def modules(_context: Context, kernel: str | None = None) -> None:
    """Build the module for all of Debian's kernels, those of other releases too."""
    from harness.release import modules as modules_module

    modules_module.report(kernel)


@task(iterable=["source"], help={"jobs": _JOBS, "source": _SOURCE})
@reports_errors
def build_image(_context: Context, source: list[str], jobs: str | None = None) -> None:
    """Build the guest's RAM disk: libc, shell, dropbear, ipchains, the interceptor."""
    from harness.image import image

    image.build_and_print(jobs=options.count("--jobs", jobs) or 0, given=source)


@task(
    iterable=["source", "require", "path"],
    help={
        "variant": _VARIANT,
        "matrix": _MATRIX,
        "kernel": _KERNEL,
        "k": "pytest's -k: only tests whose names match this expression",
        "statement": "only tests that prove something of these, comma-separated: S, S8, S8/peek",
        "path": "files of tests, of the suite or your own; as words: test my_test.py (repeatable)",
        "jobs": _JOBS,
        "keep": "leave the guests running, and print how to log in",
        "tools": f"{_TOOLS}: tests of your own, or with --keep",
        "source": _SOURCE,
        "require": _REQUIRE,
        "seed": "the order of the tests, as an earlier run printed it (default: a new one)",
        "repeat": "how often to do all of it, to see what fails now and then (default: once)",
        "coverage": "tell which lines and branches of the code under test they ran",
        "shard": "NUMBER/OF: only this part of it, as 3/8, where other machines run the others",
    },
)
@reports_errors
def test(
    _context: Context,
    source: list[str],
    require: list[str],
    path: list[str],
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
    k: str = "",
    statement: str = "",
    jobs: str | None = None,
    keep: bool = False,
    seed: str | None = None,
    repeat: int = 1,
    coverage: bool = False,
    shard: str | None = None,
    tools: bool = False,
) -> None:
    """Build what is needed, run the guest tests on each variant, and give the verdict."""
    from harness.run import request as request_module
    from harness.run import runner

    request = request_module.asked(
        require,
        variant=variant,
        matrix=matrix,
        kernel=kernel,
        expression=k,
        statement=statement,
        files=path,
        jobs=options.count("--jobs", jobs),
        keep=keep,
        given=source,
        seed=seed,
        shard=shard,
        tools=tools,
    )
    if coverage:
        from harness.coverage import coverage as coverage_module

        coverage_module.test(request, times=repeat)
    else:
        runner.test(request, times=repeat)


@task(
    iterable=["source", "path"],
    help={
        "path": "some of them: files or folders of tests (words will do, as in `./inv watch FILE`)",
        "variant": _VARIANT,
        "matrix": _MATRIX,
        "kernel": _KERNEL,
        "k": "pytest's -k: only tests whose names match this expression",
        "statement": "only those that prove something of these statements or chapters: S8,P",
        "jobs": _JOBS,
        "source": _SOURCE,
    },
)
@reports_errors
def watch(
    _context: Context,
    source: list[str],
    path: list[str],
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
    k: str = "",
    statement: str = "",
    jobs: str | None = None,
) -> None:
    """Run `./inv test` again each time that a file changes, until Ctrl-C."""
    from harness.run import watch as watch_module

    given = {"--variant": variant, "--matrix": matrix, "--kernel": kernel, "-k": k}
    given |= {"--statement": statement, "--jobs": jobs}
    words = [*path, *(word for name, value in given.items() if value for word in (name, value))]
    watch_module.watch([*words, *(word for row in source for word in ("--source", row))])


@task(
    help={"name": "a chapter (S) or a statement (S1): show only this", "json": _JSON},
)
@reports_errors
def statements(_context: Context, name: str | None = None, json: bool = False) -> None:
    """Show the statements of SPEC.md, their cases, and how many tests prove each."""
    from harness.run import statementtests

    statementtests.show(name or None, as_json=json)


@task(
    help={
        "write": "make it what there is: then its diff shows what has come and gone",
        "durations": "the folder of a run: note which tests took long there, to divide shards by",
    }
)
@reports_errors
def inventory(_context: Context, write: bool = False, durations: str | None = None) -> None:
    """Say how many tests run on each variant, and whether one has come or gone."""
    if durations is not None:
        from harness.run import slowtests

        slowtests.remember(durations)
        return
    from harness.run import inventory as inventory_module

    inventory_module.show(write=write)


@task(
    iterable=["merge"],
    help={
        "run": "the folder of a run (default: the latest)",
        "merge": "folders of the shards of a run: one verdict, one page, one JUnit file of all",
        "json": _JSON,
    },
)
@reports_errors
def report(_context: Context, merge: list[str], run: str | None = None, json: bool = False) -> None:
    """Show the report of an old run again, from its events."""
    from harness.report import report as report_module

    options.not_both(("--merge", merge), ("--run", run))
    if merge:
        report_module.show_merged(merge, as_json=json)
    else:
        report_module.show(run, as_json=json)


@task(
    iterable=["source"],
    help={
        "only": "configurations by name, comma-separated: 07, no-proc (default: all)",
        "boot": "run the guest tests on the first so many of them that a guest can have",
        "list": "name them, build nothing",
        "jobs": _JOBS,
        "source": _SOURCE,
    },
)
@reports_errors
def configurations(
    _context: Context,
    source: list[str],
    only: str | None = None,
    boot: int = 0,
    list_: bool = False,
    jobs: str | None = None,
) -> None:
    """Compile and link the reference in all configurations that differ, and boot some."""
    from harness.check import configurationrun

    if list_:
        configurationrun.show_list()
        return
    configurationrun.run(
        only=only, boot=boot, jobs=options.count("--jobs", jobs) or 0, given=source
    )


@task(
    iterable=["source", "require"],
    help={
        "source": _SOURCE,
        "require": _REQUIRE,
        "fast": "only what needs no guest and no build: less than a minute",
        "without-guests": "leave out all that needs a guest; else it is a failure if none ran",
    },
)
@reports_errors
def check(
    _context: Context,
    source: list[str],
    require: list[str],
    fast: bool = False,
    without_guests: bool = False,
) -> None:
    """The project's own tests: ruff, mypy, unit tests, and all guest tests that can run here."""
    from harness.check import check as check_module

    check_module.check(given=source, require=require, fast=fast, guests=not without_guests)


@task(
    positional=["program"],
    iterable=["flags", "source"],
    help={
        "program": "the source file, of C, or of C++ (.cc, .cpp, .cxx)",
        "flags": "one more compiler flag, as in --flags=-DREINJECT (repeatable)",
        "output": "the executable to write (default: the source's name without .c)",
        "source": _SOURCE,
    },
)
@reports_errors
def cc(
    _context: Context,
    program: str,
    flags: list[str],
    source: list[str],
    output: str | None = None,
) -> None:
    """Compile a C or C++ program, of the year 2000 or of today, for the guest."""
    from harness.image import sysroot

    sysroot.compile_for_user(program, flags=flags, output=output, given=source)


@task(
    iterable=["put", "send", "source"],
    help={
        "variant": "the kernel variant to boot",
        "put": "a file to put into the guest's /root first (repeatable)",
        "tools": _TOOLS,
        "cold": _COLD,
        "send": "a capture file, whose packets are sent to the guest once the command has bound a "
        "divert port; from the far host of wire 0, or as far=FILE of wire 1 (repeatable)",
        "ready": "send when the command has written something that matches this, instead",
        "record": "a file for what passes on both wires meanwhile, as pcap",
        "source": _SOURCE,
    },
)
@reports_errors
def run(
    _context: Context,
    variant: str,
    put: list[str],
    send: list[str],
    source: list[str],
    tools: bool = False,
    ready: str = "",
    record: str = "",
    cold: bool = False,
) -> None:
    """Boot a guest, put files there, run the command after `--`, and pass on its exit status."""
    from harness.interactive import ownwires, session

    words = remainder(sys.argv)
    plan = ownwires.planned(send, record, ready)
    _end_with(
        session.run(
            variant=variant,
            put=put,
            words=words,
            given=source,
            tools=tools,
            plan=plan,
            cold=cold,
        )
    )


@task(
    iterable=["put", "send", "source"],
    help={
        "variant": "the kernel variant to boot",
        "put": "a file to put into the guest's /root first (repeatable)",
        "send": "a capture file with the packets to follow, from the far host of wire 0, or as "
        "far=FILE of wire 1 (repeatable; default: two to the guest, one through it)",
        "picture": "an SVG file to write, too",
        "source": _SOURCE,
    },
)
@reports_errors
def trace(
    _context: Context,
    variant: str,
    put: list[str],
    send: list[str],
    source: list[str],
    picture: str = "",
) -> None:
    """Follow packets through a guest, rule by rule, into the program after `--`, and out again."""
    from harness.interactive import ownwires
    from harness.interactive import trace as trace_module

    plan = ownwires.planned(send, "", "")
    trace_module.trace(
        variant, remainder(sys.argv), put=put, plan=plan, picture=picture, given=source
    )


@task(
    help={
        "address": "whom: the guest's address on that wire, or one behind it",
        "wire": "from the far host of which wire: near (192.0.2.2) or far (198.51.100.2)",
        "count": "how many echo requests",
        "size": "how many bytes of data each has",
    },
)
@reports_errors
def ping(
    _context: Context,
    address: str = "",
    wire: str = "near",
    count: int = 4,
    size: int = 56,
) -> None:
    """Ping a guest that runs in another terminal, or through it, as a host on its wires."""
    from harness.interactive import farhosts

    farhosts.ping(address, wire=wire, count=count, size=size)


@task(
    positional=["packets"],
    help={
        "packets": "a capture file, or scapy's words: 'IP(dst=\"198.51.100.2\")/UDP(dport=9)'",
        "wire": "from the far host of which wire: near (192.0.2.2) or far (198.51.100.2)",
        "wait": "how many seconds nothing more may have come before it ends",
    },
)
@reports_errors
def send(_context: Context, packets: str, wire: str = "near", wait: str = "0.5") -> None:
    """Send packets to a guest that runs in another terminal, and show what passes on its wires."""
    from harness.interactive import farhosts

    farhosts.send(packets, wire=wire, wait=options.seconds("--wait", wait))


@task(iterable=["source"], help={"variant": "the kernel variant to boot", "source": _SOURCE})
@reports_errors
def python(_context: Context, variant: str, source: list[str]) -> None:
    """Boot a guest, and give a Python prompt with it, its wires and scapy (docs/python.md)."""
    from divert_reference import prompt

    _end_with(prompt.prompt(variant, source))


@task(
    iterable=["source"],
    help={
        "variant": "the kernel variant to boot",
        "tools": _TOOLS,
        "cold": _COLD,
        "source": _SOURCE,
    },
)
@reports_errors
def shell(
    _context: Context,
    variant: str,
    source: list[str],
    tools: bool = False,
    cold: bool = False,
) -> None:
    """Log in to a fresh guest; it ends with the shell."""
    from harness.interactive import session

    _end_with(session.shell(variant=variant, given=source, tools=tools, cold=cold))


@task(
    iterable=["source"],
    help={
        "variant": "boot this variant; without it, attach to a guest kept by `test --keep`",
        "tools": _TOOLS,
        "source": _SOURCE,
    },
)
@reports_errors
def console(
    _context: Context, source: list[str], variant: str | None = None, tools: bool = False
) -> None:
    """Show the serial console: of a fresh guest, or of one that is running."""
    from harness.interactive import session

    session.console(variant=variant, given=source, tools=tools)


@task(
    iterable=["break_", "source"],
    help={
        "variant": "the kernel variant to boot",
        "break": "where gdb is to stop it, as its command break has it (repeatable)",
        "command": "a file of gdb's commands, for when it is attached",
        "start": "a line for the guest's shell, which begins when gdb lets the guest go on",
        "debug-info": "for a distribution's kernel: types and lines, from its package (1 GB)",
        "source": _SOURCE,
    },
)
@reports_errors
def gdb(
    _context: Context,
    variant: str,
    break_: list[str],
    source: list[str],
    command: str = "",
    start: str = "",
    debug_info: bool = False,
) -> None:
    """Boot a guest, and run gdb on its kernel, with symbols; gdb's own arguments after `--`."""
    from harness.gdb import debugger

    wishes = debugger.Wishes(
        tuple(break_), command, tuple(remainder(sys.argv)), start, debug_info=debug_info
    )
    _end_with(debugger.debug(variant, wishes, source))


@task(
    iterable=["source"],
    help={
        "variant": "kernel variants by name (default: all that have divert sockets)",
        "seconds": "how long to go on with each variant, in rounds of 20,000 calls",
        "calls": "instead: one round of so many calls, as a find's command line has it",
        "seed": "what the calls depend on (default: a new one, which is printed)",
        "trace": "write the last calls of a round to the console, and show it",
        "as-user": "by an ordinary user, in namespaces of his own (not on 2.2.12)",
        "source": _SOURCE,
    },
)
@reports_errors
def fuzz(
    _context: Context,
    source: list[str],
    variant: str | None = None,
    seconds: str | None = None,
    calls: str | None = None,
    seed: str | None = None,
    trace: bool = False,
    as_user: bool = False,
) -> None:
    """Make random calls to divert sockets and the firewall, and say what does not survive them."""
    from harness.fuzz import fuzz as fuzz_module

    fuzz_module.fuzz(
        variant=variant,
        seconds=options.count("--seconds", seconds) or 0,
        calls=options.count("--calls", calls) or 0,
        seed=seed,
        trace=trace,
        given=source,
        as_user=as_user,
    )


@task(
    iterable=["source"],
    help={
        "name": "model: a guest against the model of SPEC.md; kernels: a guest against another",
        "variant": "kernel variants by name (model's default: all that have divert sockets); for "
        "kernels the two to compare: base,linux-6.1:base",
        "seconds": "how long to go on with each variant, in rounds of 20 sequences",
        "seed": "what the sequences depend on (default: a new one, which is printed)",
        "case": "instead: a file of steps, as a find names it",
        "source": _SOURCE,
    },
)
@reports_errors
def judge(
    _context: Context,
    source: list[str],
    name: str | None = None,
    variant: str | None = None,
    seconds: str | None = None,
    seed: str | None = None,
    case: str | None = None,
) -> None:
    """Make random sequences of calls, rules and packets, and judge what programs and wires see."""
    from harness.judge import judge as judge_module

    judge_module.judge(
        name=name,
        variant=variant,
        seconds=options.count("--seconds", seconds) or 0,
        seed=seed,
        case=case,
        given=source,
    )


@task(
    iterable=["source"],
    help={
        "variant": _VARIANT,
        "kernel": _KERNEL,
        "rounds": "how often to measure each row (default: 5)",
        "seconds": "how long to count packets for a measurement (default: 0.5)",
        "only": "rows by name, or variant, way or datagram; with * and ?, comma-separated",
        "source": _SOURCE,
    },
)
@reports_errors
def bench(
    _context: Context,
    source: list[str],
    variant: str | None = None,
    kernel: str | None = None,
    rounds: int = 5,
    seconds: str | None = None,
    only: str | None = None,
) -> None:
    """Measure packets a second and round trips: forwarding, rules, divert sockets; as ratios."""
    from harness.bench import bench as bench_module

    bench_module.bench(
        variant=variant, kernel=kernel, rounds=rounds, seconds=seconds, only=only, given=source
    )


@task(help={"output": "the folder for the packages (default: build/packages)"})
@reports_errors
def package(_context: Context, output: str | None = None) -> None:
    """Build Debian packages: the module for DKMS, headers for programs, the tools."""
    from harness.release import deb as package_module

    package_module.package(output)


@task(
    iterable=["source"],
    help={"output": "the folder to write to (default: build/export)", "source": _SOURCE},
)
@reports_errors
def export(_context: Context, source: list[str], output: str | None = None) -> None:
    """Write what a user of 2.2.12 takes home: patches, patched sources, INSTALL, digests."""
    from harness.release import export as export_module

    export_module.export(output, given=source)


@task(help={"output": "the folder for the site (default: build/docs)"})
@reports_errors
def docs(_context: Context, output: str | None = None) -> None:
    """Make a site of the documents, and see that each link and anchor in it leads somewhere."""
    from harness.docs import site

    site.docs(output)


@task(
    iterable=["source"],
    help={"check": "write nothing, and fail if a patch is not in its form", "source": _SOURCE},
)
@reports_errors
def refresh_patches(_context: Context, source: list[str], check: bool = False) -> None:
    """Make every patch anew, as diff -p -U3 does, after what it changes has changed."""
    from harness.release import refresh

    refresh.refresh(check=check, given=source)


@task(
    positional=["action", "file"],
    iterable=["source"],
    help={
        "action": "export or import",
        "file": "the tar file",
        "variant": "what these kernel variants need, comma-separated (default: all that is there)",
        "matrix": _MATRIX,
        "kernel": _KERNEL,
        "source": _SOURCE,
    },
)
@reports_errors
def cache(
    _context: Context,
    action: str,
    file: str,
    source: list[str],
    variant: str | None = None,
    matrix: str | None = None,
    kernel: str | None = None,
) -> None:
    """Take what was built and downloaded to other machines, as a tar file; or from one."""
    from harness.host import cachefile

    cachefile.run(action, file, variant=variant, matrix=matrix, kernel=kernel, given=source)


@task(help={"everything": "also the cache of built things; downloads are never removed"})
@reports_errors
def clean(_context: Context, everything: bool = False) -> None:
    """Remove this checkout's runs, guest images and keys."""
    from harness.host import cleaning

    cleaning.clean(everything=everything)


@task(
    iterable=["source"],
    help={
        "only": "mutants by name, a part of it, file or statement; with * and ?, comma-separated",
        "variant": "only on these kernel variants, comma-separated",
        "kernel": "only on variants of these kernels, comma-separated",
        "listed": "only hunks and what the tables list, none made from the syntax",
        "sample": "only so many of them, drawn by the seed",
        "seed": "what the sample depends on (default: a new one, which is printed)",
        "coverage": "coverage.json of a run of the tests (default: the newest whole one that fits)",
        "jobs": "how many mutants to test at once (default: 1)",
        "quick": "only some tests of each: those of its statements, or some that run its lines",
        "record": "write down which tests killed which of the module's, for check",
        "source": _SOURCE,
    },
)
@reports_errors
def mutate(
    _context: Context,
    source: list[str],
    only: str | None = None,
    variant: str | None = None,
    kernel: str | None = None,
    listed: bool = False,
    sample: str | None = None,
    seed: str | None = None,
    coverage: str | None = None,
    jobs: str | None = None,
    quick: bool = False,
    record: bool = False,
) -> None:
    """Make faults in the divert series and the module, one at a time, and see that a test fails."""
    from harness.mutate import mutate as mutate_module

    mutate_module.mutate(
        mutate_module.Choice(
            only, variant, kernel, listed, options.count("--sample", sample) or 0, seed
        ),
        jobs=options.count("--jobs", jobs) or 1,
        quick=quick,
        coverage=coverage,
        write=record,
        given=source,
    )


@task(
    help={
        "room": "rooms by name, comma-separated (default: all)",
        "short": "only the setup, a kernel, the image, a boot and a few tests",
        "list": "name the rooms, run nothing",
        "keep": "leave the rooms there, and print how to enter them",
    },
)
@reports_errors
def fresh(
    _context: Context,
    room: str | None = None,
    short: bool = False,
    list_: bool = False,
    keep: bool = False,
) -> None:
    """Run README's commands on fresh machines, and say how far they get: docs/rooms.md."""
    from harness.fresh import fresh as fresh_module

    fresh_module.fresh(named=room, short=short, listed=list_, keep=keep)


@task(
    iterable=["source"],
    help={
        "only": "canaries by name, or a part of it; with * and ?, comma-separated",
        "quick": "only those that are part of check",
        "source": _SOURCE,
    },
)
@reports_errors
def canaries(
    _context: Context, source: list[str], only: str | None = None, quick: bool = False
) -> None:
    """Make faults of all kinds, and see that verdict, cause and exit status are the right ones."""
    from harness.canaries import canaries as canaries_module

    canaries_module.canaries(only=only, quick=quick, given=source)
