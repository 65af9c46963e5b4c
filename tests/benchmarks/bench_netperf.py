# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module netperf against raw netperf over loopback: the harness must add no bias.

Both make the same TCP_RR in mirrored pairs, one right after the other, against one netserver in a network namespace of their own; the
module runs as the process that Ansible would start, with its counters at both ends. netperf is the system's, or that of the lab's image;
it runs with real-time priority, so that the interval is that of the comparison and not that of the machine's other load. Needs root.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Generator

import bias
from bias import ROOT

NAMES = ("netperf_bias_loopback",)

PAIRS = 70
SECONDS = 2
# Of both ends, so that the way between two CPUs is not part of it.
CPU = max(os.sched_getaffinity(0))
# netperf refuses a machine that has no address but the loopback's.
ADDRESS = "192.0.2.1"
COUNTERS_PORT = 7117


def run() -> list[dict[str, Any]]:
    """Measure both and return the ratio module/raw."""
    with tempfile.TemporaryDirectory() as directory:
        place = _session(directory)
        try:
            where = next(place)
            logarithms = bias.pairs(NAMES[0], PAIRS, lambda: _raw(where), lambda: _module(where), CPU)
        finally:
            # Ends the namespaces.
            place.close()
    return [bias.entry(NAMES[0], logarithms, "netns")]


def _programs() -> Path:
    """Return the directory of netperf and netserver, or the root of a tree that holds them."""
    found = shutil.which("netperf")
    if found and shutil.which("netserver"):
        return Path("/")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "datapath.lab" / "rootfs"
    trees = sorted(cache.glob("*/usr/bin/netserver"), key=lambda path: path.stat().st_mtime)
    if not trees:
        raise SystemExit("netperf is neither installed nor in the lab's image: install it, or make the image with 'make lab'.")
    return trees[-1].parents[2]


def _session(directory: str) -> Generator[dict[str, Any], None, None]:
    """Yield where to run; the namespace and its servers end with the generator."""
    tree = _programs()
    for name in ("netperf", "netserver"):
        wrapper = Path(directory) / name
        # Both on one CPU and before all else: what is compared is the harness, and not what the machine does besides.
        wrapper.write_text(f'#!/bin/sh\nexec chrt --fifo 1 taskset -c {CPU} chroot {tree} /usr/bin/{name} "$@"\n')
        wrapper.chmod(0o755)
    environment = {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT / ".collections")}
    # The namespaces live as long as this process, which waits for the end of its input.
    holder = subprocess.Popen(["unshare", "--net", "--mount", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    servers = []
    try:
        while os.readlink(f"/proc/{holder.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            time.sleep(0.01)
        enter = ["nsenter", f"--net=/proc/{holder.pid}/ns/net", f"--mount=/proc/{holder.pid}/ns/mnt"]
        # netperf reads the CPU's use from /proc/stat; only these namespaces see the mount.
        for line in ("ip link set lo up", f"ip addr add {ADDRESS}/32 dev lo", f"mount -t proc proc {tree / 'proc'}"):
            subprocess.run([*enter, *line.split()], check=True)
        responder = ROOT / "plugins/module_utils/counters/responder.py"
        for line in (
            [f"{directory}/netserver", "-D", "-f", "-4", "-L", ADDRESS],
            [sys.executable, "-I", str(responder), "--listen", ADDRESS, "--port", str(COUNTERS_PORT), "--command", "netserver"],
        ):
            servers.append(subprocess.Popen([*enter, *line], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        place = {"enter": enter, "environment": environment}
        _wait(place)
        yield place
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        holder.communicate()


def _wait(place: dict[str, Any]) -> None:
    """Return when both servers answer."""
    for _attempt in range(100):
        listening = subprocess.run([*place["enter"], "ss", "-Hltn"], check=True, capture_output=True, text=True).stdout
        if f"{ADDRESS}:12865" in listening and f"{ADDRESS}:{COUNTERS_PORT}" in listening:
            return
        time.sleep(0.1)
    raise SystemExit("netserver or the counters responder did not come up within 10 s.")


def _raw(place: dict[str, Any]) -> float:
    """Return the transactions per second that netperf itself prints."""
    test = ["-t", "TCP_RR", "-l", str(SECONDS), "-c", "-C", "--", "-r", "1,1", "-k", "THROUGHPUT"]
    line = ["netperf", "-H", ADDRESS, "-P", "0", "-j", *test]
    done = subprocess.run([*place["enter"], *line], env=place["environment"], check=True, capture_output=True, text=True)
    found = re.search(r"THROUGHPUT=([0-9.]+)", done.stdout)
    if not found:
        raise SystemExit(f"netperf printed no throughput: {done.stdout!r}")
    return float(found.group(1))


def _module(place: dict[str, Any]) -> float:
    """Return the transactions per second that the module measures."""
    options = {"host": ADDRESS, "test": "TCP_RR", "duration": SECONDS, "counters_remote": ADDRESS, "counters_port": COUNTERS_PORT}
    done = subprocess.run(
        ["taskset", "--cpu-list", str(CPU), *place["enter"], sys.executable, "-m", "ansible_collections.datapath.lab.plugins.modules.netperf"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        env=place["environment"],
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(done.stdout)
    if result.get("failed") or result["measurement"]["invalid"]:
        raise SystemExit(f"The module could not measure: {result.get('msg') or result['measurement']['invalid'][0]}")
    return float(result["measurement"]["metrics"]["throughput"]["value"])


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
