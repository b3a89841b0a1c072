# SPDX-License-Identifier: GPL-2.0-only
"""Each way in which apt-get fails has its own words, and its family of error."""

from __future__ import annotations

import pytest

from harness.base.errors import AbsentError, InfrastructureError, UnavailableError
from harness.debian import aptfailure
from harness.debian.aptsources import Entry

# As apt-get 2.6 of Debian 12 and 3.1 of testing print them.
NO_NETWORK = """\
Ign:1 http://deb.example/debian bookworm InRelease
Err:1 http://deb.example/debian bookworm InRelease
  Temporary failure resolving 'deb.example'
Reading package lists...
W: Failed to fetch http://deb.example/debian/dists/bookworm/InRelease  \
Temporary failure resolving 'deb.example'
W: Some index files failed to download. They have been ignored, or old ones used instead.
E: You must put some 'deb-src' URIs in your sources.list
"""
UNKNOWN_KEY = """\
Err:3 http://deb.example/debian forky InRelease
  The following signatures couldn't be verified because the public key is not available: \
NO_PUBKEY 6ED0E7B82643E131
W: GPG error: http://deb.example/debian forky InRelease: The following signatures couldn't be \
verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131
E: The repository 'http://deb.example/debian forky InRelease' is not signed.
"""
SQV = """\
Err:1 http://deb.example/debian forky InRelease
  Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key 4CB50190207B47\
58A3F73A796ED0E7B82643E131, which is needed to verify signature.
W: OpenPGP signature verification failed: http://deb.example/debian forky InRelease: Sub-process \
/usr/bin/sqv returned an error code (1), error message is: Missing key 4CB5, which is needed.
E: The repository 'http://deb.example/debian forky InRelease' is not signed.
"""
EXPIRED = "E: Release file for http://deb.example/debian/dists/forky/InRelease is expired \
(invalid since 24d 3h 12min 4s). Updates for this repository will not be applied.\n"
NOT_YET = "E: Release file for http://deb.example/debian/dists/forky/InRelease is not valid yet \
(invalid for another 2d 3h). Updates for this repository will not be applied.\n"
LOST = """\
Err:1 http://deb.example/debian forky/main dietlibc 0.34+ds-20 (tar)
  404  Not Found [IP: 192.0.2.80 80]
E: Failed to fetch http://deb.example/d/dietlibc.orig.tar.xz  404  Not Found [IP: 192.0.2.80 80]
E: Failed to fetch some archives.
"""
REFUSED = "E: Failed to fetch http://deb.example/InRelease  403  Forbidden [IP: 192.0.2.80 80]\n\
E: The repository 'http://deb.example/debian bookworm InRelease' is not signed.\n"
NO_RELEASE = "E: The repository 'http://deb.example/debiannix bookworm Release' does not have a \
Release file.\n"
DIGEST = """\
E: Failed to fetch http://deb.example/x.deb  Hash Sum mismatch
   Hashes of expected file:
"""
COPIED = """\
Err:1 copy:/srv/debian bookworm/main toy 1.3-1 (tar)
  Undetermined Error
E: Failed to fetch copy:/srv/debian/pool/toy_1.3.orig.tar.gz  Undetermined Error
E: Failed to fetch some archives.
"""
SILENT = "W: Failed to fetch http://deb.example/InRelease  Could not connect to deb.example:80 \
(192.0.2.80), connection timed out\n"
CERTIFICATE = "W: Failed to fetch https://deb.example/InRelease  Certificate verification failed: \
The certificate is NOT trusted.\n"
# A connection that ends in the middle of a package; one that ends before anything.
SHORT = """\
Err:1 http://deb.example/debian bookworm/main i386 tool i386 1.0-3
  Undetermined Error [IP: 192.0.2.80 80]
E: Failed to fetch http://deb.example/tool.deb  Undetermined Error [IP: 192.0.2.80 80]
"""
REMOTE_END = (
    "E: Failed to fetch http://deb.example/tool.deb  Error reading from server. Remote end \
closed connection [IP: 192.0.2.80 80]\n"
)
NO_RIGHT = "E: Could not open file /c/state/lists/partial/x - open (13: Permission denied)\n"
BAD_DISK = "E: Write error - write (5: Input/output error)\n"
NO_METHOD = "E: The method driver /usr/lib/apt/methods/tor could not be found.\n"
MALFORMED = "E: Malformed entry 1 in list file /c/lists.d/00.list (Suite)\n\
E: The list of sources could not be read.\n"
LOCKED = "E: Could not get lock /c/state/lists/lock. It is held by process 77 (apt-get)\n\
E: Unable to lock directory /c/state/lists/\n"
NO_MEMORY = "E: Couldn't make mmap of 25165824 bytes - mmap (12: Cannot allocate memory)\n"
ABSENT = "E: Unable to find a source package for dietlibc\n"


@pytest.mark.parametrize(
    ("said", "words", "family"),
    [
        (NO_NETWORK, "no network, or no name service", UnavailableError),
        (UNKNOWN_KEY, "the archive's signature is not good", InfrastructureError),
        (SQV, "the archive's signature is not good", InfrastructureError),
        (EXPIRED, "the mirror is too old", UnavailableError),
        (NOT_YET, "the mirror's lists are of a time to come", UnavailableError),
        (LOST, "the mirror has not got it", AbsentError),
        (NO_RELEASE, "the mirror has not got it", AbsentError),
        (REFUSED, "the mirror refuses it", UnavailableError),
        (DIGEST, "what came is not what the archive's signed list says", InfrastructureError),
        (COPIED, "what came is not what the archive's signed list says", InfrastructureError),
        (SILENT, "the mirror, or the way to it, does not answer", UnavailableError),
        (CERTIFICATE, "the mirror's certificate is not accepted", UnavailableError),
        (ABSENT, "the release has no such package", AbsentError),
        (SHORT, "the mirror, or the way to it, does not answer", UnavailableError),
        (REMOTE_END, "the mirror, or the way to it, does not answer", UnavailableError),
        (NO_RIGHT, "apt-get cannot read or write a file of this machine", InfrastructureError),
        (BAD_DISK, "apt-get cannot read or write a file of this machine", InfrastructureError),
        (NO_METHOD, "apt-get has no way to such a place", InfrastructureError),
        (MALFORMED, "APT's lists of archives are not right", InfrastructureError),
        (LOCKED, "another apt-get holds the lock", InfrastructureError),
        (NO_MEMORY, "apt-get has no memory left", InfrastructureError),
        # What nobody knows is not the network's fault, nor that of a mirror.
        ("E: a fault of tomorrow\n", "apt-get failed", InfrastructureError),
    ],
)
def test_reason(said: str, words: str, family: type[Exception]) -> None:
    error = aptfailure.judge(said).error("fetching it", "the log")
    assert type(error) is family
    assert error.message.startswith(f"fetching it: {words}")
    assert len(str(error).splitlines()) == 3
    assert "deb-src" not in str(error)
    assert "192.0.2.80 80" not in str(error)


def test_reason_of_one_archive_among_several() -> None:
    """One archive's name begins with another's, and one has several suites."""
    said = (
        "Err:1 http://deb.example/debian bookworm InRelease\n  Could not resolve 'deb.example'\n"
        "W: Failed to fetch http://deb.example/debian-security/dists/stable/InRelease  "
        "403  Forbidden\n"
        f"{EXPIRED}Ign:4 http://deb.example/trusted bookworm Release\n"
    )

    def words(uri: str, suite: str) -> str:
        return aptfailure.judge_entry(said, Entry(uri, suite, ("main",))).kind.words

    assert words("http://deb.example/debian/", "bookworm") == "no network, or no name service"
    assert words("http://deb.example/debian-security", "stable") == "the mirror refuses it"
    assert words("http://deb.example/debian", "forky").startswith("the mirror is too old")
    assert words("http://deb.example/trusted", "bookworm") == "the mirror has not got it"
    # What a list of mirrors fetches is not named by that.
    assert words("mirror+file:/etc/mirrors", "bookworm") != "the mirror has not got it"


def test_reason_that_names_no_archive() -> None:
    said = f"{NO_METHOD}W: Failed to fetch tor://deb.example/debian/dists/bookworm/InRelease  \n"
    entry = Entry("tor://deb.example/debian", "bookworm", ("main",))
    assert aptfailure.judge_entry(said, entry).kind.words == "apt-get has no way to such a place"


def test_apt_get_that_said_nothing() -> None:
    assert aptfailure.judge("Reading package lists...\n").line == ""


def test_a_line_without_end_is_cut() -> None:
    line = aptfailure.judge("E: Failed to fetch http://deb.example/" + "x" * 999).line
    assert len(line) <= 200
    assert line.endswith("...")
