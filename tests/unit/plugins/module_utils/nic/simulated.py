# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel in a directory: sysfs and proc as files, ethtool and systemctl as functions, with the kernel's refusals and roundings.

All state is on disk, so that a process which is killed in the middle leaves what a real one would leave.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host, KernelRefusal

# Driver to the names of its vectors: (queues, interface) -> names; "bus" of all is PCI, virtio adds a device of its own below.
VECTORS: Dict[str, Callable[[int, str], List[str]]] = {
    "virtio_net": lambda n, name: ["virtio3-config"] + [f"virtio3-{kind}.{i}" for i in range(n) for kind in ("input", "output")],
    "igb": lambda n, name: [name] + [f"{name}-TxRx-{i}" for i in range(n)],
    "igb_split": lambda n, name: [name] + [f"{name}-rx-{i}" for i in range(n)] + [f"{name}-tx-{i}" for i in range(n)],
    "ixgbe": lambda n, name: [f"{name}-TxRx-{i}" for i in range(n)] + [name],
    "i40e": lambda n, name: ["i40e-0000:00:03.0:misc"] + [f"i40e-{name}-TxRx-{i}" for i in range(n)],
    "ice": lambda n, name: ["ice-0000:00:03.0:misc"] + [f"ice-{name}-TxRx-{i}" for i in range(n)],
    "ena": lambda n, name: ["ena-mgmnt@pci:0000:00:03.0"] + [f"{name}-Tx-Rx-{i}" for i in range(n)],
    "mlx5_core": lambda n, name: ["mlx5_async0@pci:0000:00:03.0"] + [f"mlx5_comp{i}@pci:0000:00:03.0" for i in range(n)],
    "tg3": lambda n, name: [f"{name}-tx-0"] + [f"{name}-rx-{i}" for i in range(1, n + 1)],
}
PCI = "0000:00:03.0"
FIRST_IRQ = 40


@dataclass
class Simulated:
    """A machine to be: see :meth:`build`."""

    root: Path
    cpus: int = 8
    queues: int = 4
    most: int = 8
    driver: str = "igb"
    name: str = "eth0"
    online: str = ""
    isolated: str = ""
    numa_node: int = 0
    rss: bool = True
    irqbalance: bool = False
    mac: str = "52:54:00:12:34:56"
    nodes: Dict[int, str] = field(default_factory=dict)

    def build(self) -> SimulatedHost:
        """Lay the machine down and return the door to it."""
        everything = f"0-{self.cpus - 1}" if self.cpus > 1 else "0"
        put = self._put
        base = "sys/devices/system"
        put(f"{base}/cpu/online", self.online or everything)
        put(f"{base}/cpu/possible", everything)
        put(f"{base}/cpu/isolated", self.isolated)
        put(f"{base}/cpu/nohz_full", " (null)")
        for node, cpus in (self.nodes or {0: everything}).items():
            put(f"{base}/node/node{node}/cpulist", cpus)
        put("proc/sys/kernel/random/boot_id", "boot-1")
        put("proc/sys/net/core/rps_sock_flow_entries", "0")
        put("proc/sys/net/core/netdev_max_backlog", "1000")
        put("proc/sys/net/core/flow_limit_cpu_bitmap", self.mask(0))
        put("proc/irq/default_smp_affinity", self.mask((1 << self.cpus) - 1))
        put("usr/sbin/irqbalance", "")
        (self.root / "run/systemd/system").mkdir(parents=True)
        lo = "sys/devices/virtual/net/lo"
        for item, value in {"ifindex": "1", "type": "772", "address": "00:00:00:00:00:00", "flags": "0x9"}.items():
            put(f"{lo}/{item}", value)
        (self.root / "sys/class/net").mkdir(parents=True)
        (self.root / "sys/class/net/lo").symlink_to("../../devices/virtual/net/lo")
        if self.irqbalance:
            put("proc/900/comm", "irqbalance")
        host = SimulatedHost(self)
        host.save(self._ethtool())
        self.plug(host)
        return host

    def plug(self, host: SimulatedHost, ifindex: int = 2, first_irq: int = FIRST_IRQ) -> None:
        """Make the card appear."""
        pci = f"sys/devices/pci0000:00/{PCI}"
        parent = f"{pci}/virtio3" if self.driver == "virtio_net" else pci
        driver = self.driver.replace("_split", "")
        (self.root / f"sys/bus/drivers/{driver}").mkdir(parents=True, exist_ok=True)
        self._put(f"{pci}/numa_node", str(self.numa_node))
        self._put(f"{parent}/numa_node", str(self.numa_node))
        up = "/".join([".."] * (parent.count("/")))
        (self.root / f"{parent}/driver").symlink_to(f"{up}/bus/drivers/{driver}")
        net = f"{parent}/net/{self.name}"
        values = {"ifindex": str(ifindex), "type": "1", "address": self.mac, "flags": "0x1003", "dev_port": "0", "threaded": "0"}
        for item, value in {**values, "gro_flush_timeout": "0", "napi_defer_hard_irqs": "0"}.items():
            self._put(f"{net}/{item}", value)
        (self.root / f"{net}/device").symlink_to("../..")
        (self.root / f"sys/class/net/{self.name}").symlink_to("../../" + net[len("sys/") :])
        host.lay_queues(self.queues, 0)
        names = VECTORS[self.driver](self.most if self.driver == "virtio_net" else self.queues, self.name)
        host.lay_irqs(names, first_irq)

    def mask(self, value: int) -> str:
        """Return a set as this kernel prints it."""
        return cpumask.format_mask(value, self.cpus)

    def _put(self, path: str, text: str) -> None:
        real = self.root / path
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(text + "\n")

    def _ethtool(self) -> Dict[str, Any]:
        return {
            "channels": {"current": self.queues, "maximum": self.most},
            "rings": {"rx": 256, "tx": 256, "rx-max": 4096, "tx-max": 4096},
            "coalesce": {"adaptive-rx": False, "rx-usecs": 3, "tx-usecs": 3},
            "features": {"rx-checksumming": True, "generic-receive-offload": True, "ntuple-filters": False, "receive-hashing": True},
            "fixed": ["receive-hashing"],
            "table": self.default_table(self.queues) if self.rss else None,
            "configured": False,
            "key": ":".join(f"{at:02x}" for at in range(40)),
            "function": "toeplitz",
            "hash": {"tcp4": "sdfn", "udp4": "sd"},
            "rules": [],
            "managed": [],
        }

    def default_table(self, queues: int) -> List[int]:
        """Return the table that the driver itself makes: igb lays blocks, the others deal out in turn."""
        size = 128
        return [at * queues // size if self.driver.startswith("igb") else at % queues for at in range(size)]


class SimulatedHost(Host):
    """The door to a simulated machine; counts its changes and can end the process after any of them."""

    def __init__(self, machine: Simulated) -> None:
        super().__init__(self._run, str(machine.root))
        self.machine = machine
        self.changes: List[str] = []
        self.kill_after: Optional[int] = None
        self.fail_at: Optional[Tuple[str, int]] = None
        self.commands: List[Tuple[str, ...]] = []
        self.spawned: List[Tuple[str, ...]] = []

    def mutated(self, what: str) -> None:
        self.changes.append(what)
        if self.kill_after is not None and len(self.changes) == self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def spawn(self, argv: Sequence[str]) -> int:
        self.spawned.append(tuple(argv))
        self.mutated(" ".join(argv))
        return 4242

    # State of the card

    @property
    def _state_path(self) -> Path:
        return self.machine.root / "card.json"

    def load(self) -> Dict[str, Any]:
        return json.loads(self._state_path.read_text())

    def save(self, state: Dict[str, Any]) -> None:
        self._state_path.write_text(json.dumps(state, sort_keys=True))

    @property
    def net(self) -> Path:
        return self.machine.root / "sys/class/net" / self.machine.name

    def lay_queues(self, count: int, kept: int) -> None:
        """Make ``count`` queue pairs, of which the first ``kept`` keep what they had."""
        base = self.net / "queues"
        base.mkdir(exist_ok=True)
        for entry in base.iterdir():
            if int(entry.name.split("-")[1]) >= count:
                shutil.rmtree(entry)
        for index in range(kept, count):
            for kind, items in {
                "rx": {"rps_cpus": self.machine.mask(0), "rps_flow_cnt": "0"},
                "tx": {"xps_cpus": "", "xps_rxqs": ""},
            }.items():
                for item, value in items.items():
                    path = base / f"{kind}-{index}" / item
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(value + "\n")
        for index in range(count):
            # The driver deals the CPUs out to the transmit queues anew.
            cpus = cpumask.of(cpu for cpu in range(self.machine.cpus) if cpu % count == index)
            (base / f"tx-{index}/xps_cpus").write_text("" if count == 1 else self.machine.mask(cpus) + "\n")
            (base / f"tx-{index}/xps_rxqs").write_text("" if count == 1 else cpumask.format_mask(0, count) + "\n")

    def lay_irqs(self, names: Sequence[str], first: int = FIRST_IRQ) -> None:
        """Request these vectors; each starts on the default CPUs."""
        vectors = self.machine.root / f"sys/devices/pci0000:00/{PCI}/msi_irqs"
        shutil.rmtree(vectors, ignore_errors=True)
        vectors.mkdir()
        proc = self.machine.root / "proc/irq"
        for entry in proc.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
        default = (proc / "default_smp_affinity").read_text()
        for at, action in enumerate(names):
            number = first + at
            (vectors / str(number)).write_text("msix\n")
            (proc / str(number) / action).mkdir(parents=True)
            (proc / str(number) / "smp_affinity").write_text(default)
            (proc / str(number) / "effective_affinity").write_text(self._effective(cpumask.parse_mask(default)))

    def _effective(self, mask: int) -> str:
        online = mask & self._online()
        return self.machine.mask(online & -online) + "\n"

    def _online(self) -> int:
        return cpumask.parse_list(self.read("/sys/devices/system/cpu/online"))

    # Files

    def write(self, path: str, text: str) -> None:
        if self.fail_at is not None and re.search(self.fail_at[0], path):
            raise KernelRefusal(f"writing {text!r} to {path}: {os.strerror(self.fail_at[1])}", self.fail_at[1])
        real = Path(self.path(path))
        if not real.exists():
            raise KernelRefusal(f"writing {text!r} to {path}: absent", errno.ENOENT)
        real.write_text(self._kernel(path, text) + "\n")
        if path.endswith("/smp_affinity"):
            (real.parent / "effective_affinity").write_text(self._effective(cpumask.parse_mask(text)))
        self.mutated(f"{path} = {text}")

    def _kernel(self, path: str, text: str) -> str:
        """Return what the kernel makes of a value."""

        def refuse(code: int) -> KernelRefusal:
            return KernelRefusal(f"writing {text!r} to {path}: {os.strerror(code)}", code)

        item = path.rsplit("/", 1)[-1]
        if item in ("rps_flow_cnt", "rps_sock_flow_entries"):
            return str(cpumask.round_up_power_of_two(int(text)))
        if item not in ("rps_cpus", "xps_cpus", "xps_rxqs", "smp_affinity", "default_smp_affinity", "flow_limit_cpu_bitmap"):
            return str(int(text))
        if any(len(group) > 8 for group in text.split(",")):
            raise refuse(errno.EOVERFLOW)
        mask = cpumask.parse_mask(text)
        if item == "xps_rxqs":
            return cpumask.format_mask(mask, len(list((self.net / "queues").glob("rx-*"))))
        if mask >> self.machine.cpus:
            raise refuse(errno.EOVERFLOW)
        if item == "rps_cpus" and mask:
            mask &= ~cpumask.parse_list(self.read("/sys/devices/system/cpu/isolated"))
            if not mask:
                raise refuse(errno.EINVAL)
        if item == "smp_affinity":
            actions = self.directories(path.rsplit("/", 1)[0])
            if set(actions) & set(self.load()["managed"]):
                raise refuse(errno.EIO)
            if not mask & self._online():
                raise refuse(errno.EINVAL)
        return self.machine.mask(mask)

    def rss_table(self, interface: str, table: Sequence[int]) -> None:
        self.save({**self.load(), "table": list(table), "configured": True})
        self.mutated(f"{interface} rss table")

    # Commands

    def _run(self, argv: Sequence[str], stdin: Optional[str] = None, environ: Optional[Dict[str, str]] = None) -> Completed:
        argv = list(argv)
        self.commands.append(tuple(argv))
        if argv[0] == "ethtool":
            rc, out, err = self._ethtool(argv[1:])
        elif argv[0] == "systemctl":
            rc, out, err = self._systemctl(argv[1:])
        elif argv[0] == "systemd-run":
            rc, out, err = 0, "", ""
        else:
            raise FileNotFoundError(argv[0])
        return Completed(tuple(argv), rc, out, err)

    def _systemctl(self, words: List[str]) -> Tuple[int, str, str]:
        comm = self.machine.root / "proc/900/comm"
        if words == ["stop", "irqbalance.service"]:
            shutil.rmtree(comm.parent, ignore_errors=True)
        elif words == ["start", "irqbalance.service"]:
            comm.parent.mkdir(exist_ok=True)
            comm.write_text("irqbalance\n")
        return 0, "", ""

    def _ethtool(self, words: List[str]) -> Tuple[int, str, str]:
        if words[0] == "--version":
            return 0, "ethtool version 6.14\n", ""
        json_wanted = words[0] == "--json"
        words = words[1:] if json_wanted else words
        flag, name, rest = words[0], words[1], words[2:]
        if name != self.machine.name:
            return 1, "", "netlink error: Operation not supported\n"
        state = self.load()
        if flag in ("-l", "-g", "-c", "-k", "-x", "-n", "-i"):
            return self._show(flag, rest, state, json_wanted)
        error = self._set(flag, rest, state)
        if error:
            return 1, "", f"netlink error: {error}\n"
        self.save(state)
        return 0, "", ""

    def _show(self, flag: str, rest: List[str], state: Dict[str, Any], json_wanted: bool) -> Tuple[int, str, str]:
        if flag == "-l":
            now = state["channels"]
            parts = [("Pre-set maximums", now["maximum"]), ("Current hardware settings", now["current"])]
            body = "".join(f"{title}:\nRX:\t\tn/a\nTX:\t\tn/a\nOther:\t\tn/a\nCombined:\t{count}\n" for title, count in parts)
            return 0, f"Channel parameters for {self.machine.name}:\n{body}", ""
        if flag == "-i":
            return 0, f"driver: {self.machine.driver}\nbus-info: {PCI}\n", ""
        if flag == "-n" and rest:
            letters = state["hash"].get(rest[1])
            if letters is None:
                return 1, "", "Cannot get RX network flow hashing options: Operation not supported\n"
            phrases = {"s": "IP SA", "d": "IP DA", "f": "L4 bytes 0 & 1 [TCP/UDP src port]", "n": "L4 bytes 2 & 3 [TCP/UDP dst port]"}
            return (
                0,
                "TCP over IPV4 flows use these fields for computing Hash flow key:\n" + "".join(phrases[it] + "\n" for it in letters),
                "",
            )
        if flag == "-n":
            rules = "".join(f"Filter: {at}\n\tAction: Direct to queue {queue}\n\n" for at, queue in enumerate(state["rules"]))
            return 0, f"{state['channels']['current']} RX rings available\nTotal {len(state['rules'])} rules\n\n{rules}", ""
        assert json_wanted
        data: Dict[str, Any] = {"ifname": self.machine.name}
        if flag in ("-g", "-c"):
            data.update(state["rings" if flag == "-g" else "coalesce"])
        elif flag == "-k":
            for item, value in state["features"].items():
                data[item] = {"active": value, "fixed": item in state["fixed"], "requested": value}
        elif state["table"] is None:
            return 1, "[ ]", "netlink error: Operation not supported\n"
        else:
            data.update({"rss-indirection-table": state["table"], "rss-hash-key": [int(it, 16) for it in state["key"].split(":")]})
            data["rss-hash-function"] = state["function"]
        return 0, json.dumps([data]), ""

    def _set(self, flag: str, rest: List[str], state: Dict[str, Any]) -> str:
        pairs = dict(zip(rest[::2], rest[1::2]))
        if self.fail_at is not None and self.fail_at[0] == flag:
            return os.strerror(self.fail_at[1])
        if flag == "-L":
            return self._set_channels(int(pairs["combined"]), state)
        if flag in ("-G", "-C"):
            part = state["rings" if flag == "-G" else "coalesce"]
            for item, value in pairs.items():
                part[item] = value == "on" if value in ("on", "off") else int(value)
        elif flag == "-K":
            for item, value in pairs.items():
                if item not in state["features"] or item in state["fixed"]:
                    return "Operation not supported"
                state["features"][item] = value == "on"
        elif flag == "-N":
            state["hash"][rest[1]] = rest[2]
        elif flag == "-X":
            self._set_rss(rest, state)
        return ""

    def _set_rss(self, rest: List[str], state: Dict[str, Any]) -> None:
        size, count = len(state["table"]), state["channels"]["current"]
        if rest[0] == "default":
            # The core deals out in turn, whatever the driver made when it started.
            state.update(table=[at % count for at in range(size)], configured=False)
        elif rest[0] == "equal":
            start = int(rest[3]) if len(rest) > 2 else 0
            state.update(table=[start + at % int(rest[1]) for at in range(size)], configured=True)
        elif rest[0] == "weight":
            state.update(table=[at * len(rest[1:]) // size for at in range(size)], configured=True)
        elif rest[0] == "hkey":
            state["key"] = rest[1]
        elif rest[0] == "hfunc":
            state["function"] = rest[1]

    def _set_channels(self, count: int, state: Dict[str, Any]) -> str:
        if not 1 <= count <= state["channels"]["maximum"]:
            return "Invalid argument"
        table = state["table"]
        if table and state["configured"] and max(table) >= count:
            return "Invalid argument"
        kept = min(count, state["channels"]["current"])
        state["channels"]["current"] = count
        if table and not state["configured"]:
            state["table"] = self.machine.default_table(count)
        self.lay_queues(count, kept)
        if self.machine.driver == "virtio_net":
            self.lay_irqs(VECTORS["virtio_net"](self.machine.most, self.machine.name))
        else:
            self.lay_irqs(VECTORS[self.machine.driver](count, self.machine.name))
        return ""

    # Looking at it from outside

    def snapshot(self) -> Dict[str, bytes]:
        """Return every file of the machine, without the journal's own directory."""
        found = {}
        for directory, _names, files in os.walk(self.machine.root):
            relative = os.path.relpath(directory, self.machine.root)
            if relative.startswith(("var", "etc")):
                continue
            for name in files:
                found[f"{relative}/{name}"] = Path(directory, name).read_bytes()
            if relative.startswith("proc/irq/"):
                found[relative] = b""
        return found

    def reboot(self, first_irq: int = 70, ifindex: int = 3) -> None:
        """Start again: settings are gone, interrupts have other numbers, the boot has another name."""
        shutil.rmtree(self.machine.root / "sys/devices/pci0000:00")
        (self.machine.root / "sys/class/net" / self.machine.name).unlink()
        self.machine._put("proc/sys/kernel/random/boot_id", "boot-2")
        for item, value in {"rps_sock_flow_entries": "0", "netdev_max_backlog": "1000"}.items():
            self.machine._put(f"proc/sys/net/core/{item}", value)
        self.save(self.machine._ethtool())
        (self.machine.root / f"sys/devices/pci0000:00/{PCI}").mkdir(parents=True)
        self.machine.plug(self, ifindex, first_irq)
