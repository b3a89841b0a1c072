# SPDX-License-Identifier: GPL-2.0-only
"""What guests from one snapshot must not have in common: the time, and random numbers.

A guest that goes on from a snapshot has the clock that it had then, and would draw the numbers that
each other one draws: keys, identifiers of this boot, names of files.
"""

from __future__ import annotations

import re
import secrets
import time

from harness.base.errors import GuestError
from harness.guest.shell import Shell

_SEED_BYTES = 64

# What is written to /dev/urandom stirs the pool. 2.2.12 draws from it; a kernel of today by a key
# that is made of it now and then: RNDRESEEDCRNG (0x5207 of linux/random.h) is now.
_RENEW = """\
cat >/dev/urandom || exit
[ ! -e /proc/sys/kernel/random/urandom_min_reseed_secs ] || today='open pool /dev/urandom write
ioctl pool 20999'
printf 'settime {now}\\n%s\\n' "$today" | calls"""
_DONE = re.compile(r'^\{"call":"(settime|open|ioctl)".*"result":(\d+)', re.MULTILINE)


def renew(shell: Shell) -> None:
    """Set the guest's clock to the host's time, and its random numbers apart from all others'.

    What it has drawn before stays: what its SSH server has made of it, and the secret of its TCP.
    Raises GuestError if the guest does not do so.
    """
    # The second that is nearest.
    now = round(time.time())
    said = shell.check(_RENEW.format(now=now), stdin=secrets.token_bytes(_SEED_BYTES))
    done = [name for name, _ in _DONE.findall(said)]
    if done not in (["settime"], ["settime", "open", "ioctl"]):
        raise GuestError(f"the guest does not renew its time and random numbers: {said.strip()}")
