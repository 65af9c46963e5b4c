# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill a tuning after every single change of a real node, restore each time, and compare the node byte by byte.

Runs on the node, with the program that the dead-man timer uses as its library:

    python3 crash_on_node.py tuning.pyz eth0 '{"profile": "published"}'

Prints "N of N" and ends with status 0 only if every point gave the former state.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path


def state(interface: str) -> dict[str, bytes]:
    """Return everything that tuning could have changed, as the node prints it."""
    found: dict[str, bytes] = {}
    net = Path("/sys/class/net", interface)
    paths = [*net.glob("queues/*/*"), *(net / name for name in ("threaded", "gro_flush_timeout", "napi_defer_hard_irqs"))]
    paths += [Path("/proc/sys/net/core", name) for name in ("rps_sock_flow_entries", "netdev_max_backlog", "flow_limit_cpu_bitmap")]
    paths += [Path("/proc/irq/default_smp_affinity")]
    for path in paths:
        if path.is_file():
            try:
                found[str(path)] = path.read_bytes()
            except OSError as error:
                found[str(path)] = str(error.errno).encode()
    vectors = next((it for it in (net / "device/msi_irqs", net.resolve().parent.parent.parent / "msi_irqs") if it.is_dir()), None)
    for number in sorted(int(it.name) for it in vectors.iterdir()) if vectors else []:
        base = Path("/proc/irq", str(number))
        for action in (it.name for it in base.iterdir() if it.is_dir()):
            found[f"irq {action}"] = (base / "smp_affinity").read_bytes()
    for words in (["-l"], ["-g"], ["-c"], ["-k"], ["-x"], ["-n"]):
        done = subprocess.run(["ethtool", *words, interface], capture_output=True, check=False)
        found["ethtool " + words[0]] = done.stdout
    for flow in ("tcp4", "udp4"):
        done = subprocess.run(["ethtool", "-n", interface, "rx-flow-hash", flow], capture_output=True, check=False)
        found[f"hash {flow}"] = done.stdout
    if Path("/run/systemd/system").exists():
        found["irqbalance"] = subprocess.run(["systemctl", "is-active", "irqbalance"], capture_output=True, check=False).stdout
    return found


def main() -> int:
    """Count the changes of one whole tuning, then go through all points of death."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("interface")
    parser.add_argument("policy")
    options = parser.parse_args()
    sys.path.insert(0, options.program)
    from ansible_collections.datapath.lab.plugins.module_utils.nic import tuning
    from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host, subprocess_runner
    from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import Store
    from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import Policy

    wish = json.loads(options.policy)
    directory = tempfile.mkdtemp(prefix="crash-")

    class MortalHost(Host):
        """Ends the process by SIGKILL right after the change of the given number."""

        def __init__(self, last: int) -> None:
            super().__init__(subprocess_runner())
            self.left = last
            self.count = 0

        def mutated(self, what: str) -> None:
            self.count += 1
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def tune(last: int) -> int:
        host = MortalHost(last)
        tuning.tune(Store(host, directory), [options.interface], Policy.of(wish), wish)
        return host.count

    def restore() -> None:
        tuning.restore(Store(Host(subprocess_runner()), directory))

    former = state(options.interface)
    points = tune(0)
    tuned = state(options.interface)
    restore()
    same = 0
    for point in range(1, points + 1):
        child = os.fork()
        if child == 0:
            tune(point)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        restore()
        now = state(options.interface)
        different = [name for name in {*former, *now} if former.get(name) != now.get(name)]
        if killed and not different:
            same += 1
        else:
            print(f"point {point}: {'killed' if killed else f'status {status}'}, different: {sorted(different)}", flush=True)
    shutil.rmtree(directory)
    changed = sum(former.get(name) != tuned.get(name) for name in {*former, *tuned})
    print(f"{same} of {points} points gave a byte-identical state ({changed} of {len(former)} values differ while tuned).")
    return 0 if same == points and changed else 1


if __name__ == "__main__":
    sys.exit(main())
