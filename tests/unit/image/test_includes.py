# SPDX-License-Identifier: GPL-2.0-only
"""The headers of programs of the year 2000, as data: whole, and none in two ways."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from harness.image import includes, sysroot
from harness.image.includes import Includes


def test_no_header_is_named_twice_or_written_by_hand_too() -> None:
    known = includes.load()
    named = [*known.same, *known.after, *known.absent]
    assert [name for name, count in Counter(named).items() if count > 1] == []
    assert [name for name in named if (sysroot.COMPATIBLE / name).exists()] == []
    assert len(set(known.glibc)) == len(known.glibc) > 200


def test_what_is_the_same_as_another_is_not_one_that_is_absent() -> None:
    known = includes.load()
    for name, others in known.same.items():
        assert name not in others
        assert not set(others) & known.absent.keys(), name


def test_reasons_say_what_to_do_in_one_line() -> None:
    for name, why in includes.load().absent.items():
        assert 10 < len(why) < 100, name
        assert "\n" not in why
        assert not why.endswith("."), name


def test_as_files(tmp_path: Path) -> None:
    license_line = "/* SPDX-License-Identifier: GPL-2.0-only */\n"
    made = Includes(
        {"sys/errno.h": ("errno.h",), "net/two.h": ("one.h", "other.h")},
        {"sys/timeb.h": "sys/types.h"},
        {"argp.h": 'no "argp" here'},
        (),
    )
    assert made.texts() == {
        "sys/errno.h": f"{license_line}#include <errno.h>\n",
        "net/two.h": f"{license_line}#include <one.h>\n#include <other.h>\n",
        "sys/timeb.h": f"{license_line}#include <sys/types.h>\n#include_next <sys/timeb.h>\n",
        "argp.h": f'{license_line}#error "no argp.h: no \\"argp\\" here"\n',
    }
    includes.write(tmp_path)
    assert (tmp_path / "sys/errno.h").read_text() == f"{license_line}#include <errno.h>\n"
