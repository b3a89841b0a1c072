# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's machine protocol: questions about the machine, and snapshots of it in memory."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

from qemu.qmp import ExecuteError, QMPClient, QMPError

from harness.base.deadline import Deadline
from harness.base.errors import GuestLostError, InfrastructureError
from harness.guest.qemu import SNAPSHOT_FDSET

T = TypeVar("T")

# QEMU answers within milliseconds; on a loaded host a snapshot may take a second.
ANSWER_SECONDS = 20.0

# Of QMP's RunState.
RUNNING = "running"
PAUSED = "paused"
# At a breakpoint of a debugger's.
DEBUG = "debug"

# The nodes of the snapshot file, and its nominal size: it holds no disk, only memory.
_FILE_NODE = "snapshot-file"
_DISK_NODE = "snapshots"
_DISK_BYTES = 1 << 20

_FORWARD = re.compile(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s")


class Qmp:
    """The monitor of one QEMU, over a connected stream socket. Threads wait for each other."""

    def __init__(self, connection: socket.socket) -> None:
        """Say hello to QEMU. Raises GuestLostError if it does not answer."""
        self._has_disk = False
        self._turn = threading.Lock()
        self._runner = asyncio.Runner()
        self._client = QMPClient("qemu")
        try:
            self._wait(self._client.connect(connection))
        except BaseException:
            self._runner.close()
            raise

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of QEMU, whether it still runs or not."""
        try:
            self._wait(self._client.disconnect())
        except (GuestLostError, EOFError):
            pass  # It has ended, which is how most machines are let go of.
        finally:
            self._runner.close()

    def execute(self, command: str, **arguments: object) -> Any:
        """QEMU's answer to `command`.

        Raises InfrastructureError if QEMU refuses it, GuestLostError if QEMU does not answer.
        """
        # Python words cannot hold the dashes of QMP's.
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            return self._wait(self._client.execute(command, words))
        except ExecuteError as error:
            raise InfrastructureError(f"QEMU refused {command}: {error}") from error

    def monitor(self, line: str) -> str:
        """What the human monitor prints for `line`; errors too are only text there."""
        text: str = self.execute("human-monitor-command", command_line=line)
        return text.strip()

    def state(self) -> str:
        """What QEMU does with the guest: RUNNING, `paused`, `internal-error` (QMP's RunState)."""
        answer: dict[str, Any] = self.execute("query-status")
        return str(answer["status"])

    def ssh_port(self) -> int:
        """The port of 127.0.0.1 that QEMU forwards to the guest's SSH server."""
        answer = self.monitor("info usernet")
        match = _FORWARD.search(answer)
        if match is None:
            raise InfrastructureError(f"QEMU forwards no port to the guest: {answer}")
        return int(match[1])

    def link(self, name: str, *, up: bool) -> None:
        """Plug or unplug the cable of the network backend `name`: unplugged, frames are dropped."""
        self.execute("set_link", name=name, up=up)

    def stop(self) -> None:
        """Stop the guest's processor."""
        self.execute("stop")

    def resume(self) -> None:
        """Let the guest's processor go on."""
        self.execute("cont")

    def save(self, name: str) -> None:
        """Keep the whole guest as the snapshot `name`; an older one of that name is replaced."""
        self._add_disk()
        # The monitor's command, not the job of QMP, which needs three more round trips and events.
        self._expect_silence(f"savevm {name}", "cannot take a snapshot")

    def load(self, name: str) -> None:
        """Bring the snapshot `name` back; the guest is then stopped.

        Raises InfrastructureError if there is none of that name; QEMU calls that a success.

        `loadvm` has to stop the guest itself: since 10.2 QEMU forgets what it has translated of the
        memory before only then (tcg_vm_change_state in accel/tcg/tcg-all.c), and would else run
        code that is no longer there. So the guest runs until then, and for a moment afterwards.
        """
        self.resume()
        self._expect_silence(f"loadvm {name}", f"cannot bring the snapshot '{name}' back")
        self.stop()

    def begin(self, name: str) -> None:
        """Begin a guest that has not run yet from a snapshot of another process's, which the
        inherited file has.

        Raises InfrastructureError if there is none of that name, or it is not of such a machine.
        """
        self._add_file()
        self.execute("blockdev-add", driver="qcow2", node_name=_DISK_NODE, file=_FILE_NODE)
        self._has_disk = True
        self._expect_silence(f"loadvm {name}", f"cannot begin from the snapshot '{name}'")
        self.resume()

    def close_snapshots(self) -> None:
        """Have all snapshots in the inherited file; the next one begins it anew."""
        for node in (_DISK_NODE, _FILE_NODE):
            self.execute("blockdev-del", node_name=node)
        self._has_disk = False

    def _expect_silence(self, line: str, what: str) -> None:
        answer = self.monitor(line)
        if answer:
            raise InfrastructureError(f"{what}: {answer}")

    def _add_disk(self) -> None:
        """An empty qcow2 on the inherited file, made without qemu-img, and no disk to the guest."""
        if self._has_disk:
            return
        self._add_file()
        options = {"driver": "qcow2", "file": _FILE_NODE, "size": _DISK_BYTES}
        self._wait(self._job("blockdev-create", {"job-id": "create", "options": options}))
        self.execute("blockdev-add", driver="qcow2", node_name=_DISK_NODE, file=_FILE_NODE)
        self._has_disk = True

    def _add_file(self) -> None:
        """The inherited file, read by io_uring where the host lets QEMU have it.

        A snapshot is read in pieces of 32 KiB; the other way each is a thread's, and takes 50 ms
        more for one of 83 MiB (2 cores, QEMU 7.2).
        """
        file = {
            "driver": "file",
            "node_name": _FILE_NODE,
            "filename": f"/dev/fdset/{SNAPSHOT_FDSET}",
            "locking": "off",
        }
        try:
            self.execute("blockdev-add", **file, aio="io_uring")
        except InfrastructureError:
            # Containers and sysctls refuse it, and a QEMU may have been built without.
            self.execute("blockdev-add", **file)

    async def _job(self, command: str, arguments: dict[str, object]) -> None:
        """Run a job of QEMU's to its end, by its events."""
        job = arguments["job-id"]
        with self._client.listener("JOB_STATUS_CHANGE") as events:
            await self._client.execute(command, arguments)
            async for event in events:
                data: Any = event["data"]
                if data["id"] == job and data["status"] == "concluded":
                    break
        known = await self._client.execute("query-jobs")
        assert isinstance(known, list)
        await self._client.execute("job-dismiss", {"id": job})
        for entry in known:
            if entry["id"] == job and "error" in entry:
                raise InfrastructureError(f"QEMU's job {command} failed: {entry['error']}")

    def _wait(self, action: Coroutine[Any, Any, T]) -> T:
        try:
            with self._turn:
                return self._runner.run(_in_time(action))
        except TimeoutError:
            raise GuestLostError(
                "QEMU stuck", f"QEMU's monitor did not answer within {ANSWER_SECONDS:g} s"
            ) from None
        except (QMPError, EOFError, OSError) as error:
            if isinstance(error, ExecuteError):
                raise
            raise GuestLostError("QEMU ended", f"QEMU's monitor is gone: {error!r}") from error
        except KeyboardInterrupt:
            # Nobody will ask for the answer; asyncio would complain of that with a traceback.
            self._runner.get_loop().set_exception_handler(lambda *_: None)
            raise


async def _in_time(action: Coroutine[Any, Any, T]) -> T:
    """What it returns. Raises TimeoutError; a QEMU that is stopped meanwhile has its time after."""
    deadline = Deadline(ANSWER_SECONDS, "answer")
    task = asyncio.ensure_future(action)
    while not task.done():
        if deadline.expired:
            task.cancel()
            raise TimeoutError
        await asyncio.wait({task}, timeout=deadline.remaining)
    return await task
