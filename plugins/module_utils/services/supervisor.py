# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps one program running: starts it, starts it again when it ends, and ends it when asked to.

This file stands alone: the module ``supervised_service`` writes it to the node and runs it there with the node's python3, where there
is no systemd. It is given one argument, the path of a JSON document ``{"argv": […], "environment": {…}, "user": 65534,
"group": 65534, "log": path}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

# A program that ends at once is not started more often than this.
PAUSE_S = 1.0
# So long it may take to end before it is killed.
END_S = 5.0
PR_SET_PDEATHSIG = 1


def settle(user: int | None, group: int | None, parent: int) -> None:
    """Give up root, and have the kernel end this process when the supervisor is gone, even by SIGKILL: an orphan would hold the port."""
    if user is not None and group is not None:
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    # A change of user clears it, so it comes last.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # It was killed before we had asked to be told.
        os._exit(1)


def supervise(wanted: dict[str, Any]) -> None:
    """Run the program until SIGTERM or SIGINT."""
    ended = False
    child: subprocess.Popen[bytes] | None = None

    def end(_number: int, _frame: object) -> None:
        nonlocal ended
        ended = True
        if child is not None:
            child.terminate()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = os.open(wanted["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640)
    ourselves = os.getpid()
    while not ended:
        started = time.monotonic()
        try:
            # The signal may come between the start and the assignment; the loop below looks again.
            child = subprocess.Popen(
                wanted["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **wanted["environment"]},
                preexec_fn=lambda: settle(wanted["user"], wanted["group"], ourselves),
            )  # fmt: skip
            status = wait(child, lambda: ended)
        except OSError as error:
            status = error.errno or 0
            os.write(log, f"supervisor: {wanted['argv'][0]} could not be started: {error.strerror}\n".encode())
        if not ended:
            os.write(log, f"supervisor: {wanted['argv'][0]} ended with status {status}; it is started again\n".encode())
            while not ended and time.monotonic() - started < PAUSE_S:
                time.sleep(0.05)


def wait(child: subprocess.Popen[bytes], ended: Any) -> int:
    """Wait for the program, and once it was asked to end, for a limited time only."""
    asked = 0.0
    while True:
        try:
            return child.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            if ended():
                asked = asked or time.monotonic()
                if time.monotonic() - asked < 0.6:
                    child.terminate()
                elif time.monotonic() - asked > END_S:
                    child.kill()


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as stream:
        document = json.load(stream)
    supervise(document)
