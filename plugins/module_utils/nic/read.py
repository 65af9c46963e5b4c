# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a node: from files and ethtool to the values of ``model``."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import (
    CommandError,
    InvalidValueError,
    MissingCapabilityError,
    ParseError,
)
from ansible_collections.datapath.lab.plugins.module_utils.nic import cpumask, irqbalance, irqmap, parse
from ansible_collections.datapath.lab.plugins.module_utils.nic.host import Host
from ansible_collections.datapath.lab.plugins.module_utils.nic.model import (
    ARPHRD_LOOPBACK,
    Device,
    Identity,
    Irq,
    RxQueue,
    System,
    Topology,
    TxQueue,
)

_Value = TypeVar("_Value")

# Settings of the node's network core that tuning may change and a restore puts back.
SYSCTLS = ("net.core.rps_sock_flow_entries", "net.core.netdev_max_backlog", "net.core.flow_limit_cpu_bitmap")
# Settings that every device has in sysfs.
ATTRIBUTES = ("threaded", "gro_flush_timeout", "napi_defer_hard_irqs")
FLOWS = ("tcp4", "udp4", "tcp6", "udp6")


def interfaces(host: Host) -> list[str]:
    """Return the names of the network devices of this node."""
    return [name for name in host.listdir("/sys/class/net") if host.exists(f"/sys/class/net/{name}/ifindex")]


def topology(host: Host) -> Topology:
    """Read the CPUs of the node."""
    base = "/sys/devices/system/cpu"

    def cpus(name: str) -> int:
        text = host.read_or(f"{base}/{name}").strip()
        # A kernel with full tick-less mode built in and unused prints "(null)".
        return 0 if text == "(null)" else cpumask.parse_list(text)

    online = cpus("online")
    if not online:
        raise ParseError(f"{base}/online", "expected a CPU list", host.read_or(f"{base}/online"))
    nodes = {
        int(name[4:]): cpumask.parse_list(host.read_or(f"/sys/devices/system/node/{name}/cpulist"))
        for name in host.listdir("/sys/devices/system/node")
        if re.fullmatch(r"node\d+", name)
    }
    return Topology(online, cpus("possible") or online, cpus("isolated"), cpus("nohz_full"), nodes)


def system(host: Host, with_irqbalance: bool = True) -> System:
    """Read what a node has once."""
    sysctls = {}
    for name in SYSCTLS:
        path = "/proc/sys/" + name.replace(".", "/")
        if host.exists(path):
            value = host.read(path).strip()
            sysctls[name] = f"{cpumask.parse_mask(value):x}" if name.endswith("bitmap") else value
    default = host.read_or("/proc/irq/default_smp_affinity").strip()
    return System(
        topology(host),
        sysctls,
        cpumask.parse_mask(default) if default else None,
        irqbalance.read(host) if with_irqbalance else irqbalance.ABSENT,
    )


def identity(host: Host, name: str) -> Identity:
    """Read what a device is known by."""
    base = f"/sys/class/net/{name}"
    device = host.resolve(f"{base}/device")
    driver, bus = "", ""
    if device:
        link = host.resolve(f"{base}/device/driver")
        driver = link.rsplit("/", 1)[-1] if link else ""
        # A virtio device sits on a PCI function; the function's address stays when the virtio number changes.
        parts = [part for part in device.split("/") if re.fullmatch(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", part)]
        bus = parts[-1] if parts else device.rsplit("/", 1)[-1]
    if not driver:
        done = _ethtool(host, ["-i", name])
        if done is not None and done.rc == 0:
            driver = parse.driver(done.stdout)[0]
    return Identity(
        name,
        int(host.read(f"{base}/ifindex")),
        host.read_or(f"{base}/address").strip(),
        bus,
        driver,
        host.read_or(f"{base}/dev_port", "0").strip(),
    )


def is_loopback(host: Host, name: str) -> bool:
    """Tell whether a device is a loopback."""
    return int(host.read_or(f"/sys/class/net/{name}/type", "0") or 0) == ARPHRD_LOOPBACK


def drops(host: Host, name: str) -> Dict[str, int]:
    """Read what a device has lost, by counter."""
    base = f"/sys/class/net/{name}/statistics"
    return {item: int(host.read(f"{base}/{item}")) for item in host.listdir(base) if re.search("dropped|missed|fifo|nohandler", item)}


def require_interface(host: Host, name: str) -> None:
    """Refuse a name that is no device, or one whose traffic no card carries."""
    known = interfaces(host)
    if name not in known:
        raise InvalidValueError(f"Interface {name!r} does not exist on this node: it has {', '.join(known) or 'none that /sys shows'}.")
    if is_loopback(host, name):
        allowed = ", ".join(it for it in known if not is_loopback(host, it)) or "none on this node"
        raise InvalidValueError(f"Interface {name!r} is a loopback device, which has no queues to steer: allowed are {allowed}.")


def device(host: Host, name: str, flows: Sequence[str] = ()) -> Device:
    """Read a device whole.

    :param flows: flow types such as ``tcp4`` whose hash fields are read too, at the cost of a process each.
    """
    require_interface(host, name)
    base = f"/sys/class/net/{name}"
    rx, tx = queues(host, name)
    return Device(
        identity=identity(host, name),
        arphrd=int(host.read(f"{base}/type")),
        up=bool(int(host.read(f"{base}/flags"), 16) & 1),
        numa_node=int(host.read_or(f"{base}/device/numa_node", "-1") or -1),
        rx=rx,
        tx=tx,
        irqs=irqs(host, name, len(rx), len(tx)),
        attributes={item: int(value) for item in ATTRIBUTES for value in [host.read_or(f"{base}/{item}").strip()] if value},
        channels=_ask(host, "-l", name, parse.channels),
        rings=_ask(host, "-g", name, parse.rings, parse.rings_json),
        coalesce=_ask(host, "-c", name, parse.coalesce, parse.coalesce_json),
        features=_ask(host, "-k", name, parse.features, parse.features_json),
        rss=_ask(host, "-x", name, parse.rss, parse.rss_json),
        hash_fields=hash_fields(host, name, flows),
        ntuple=_ask(host, "-n", name, parse.ntuple),
    )


def queues(host: Host, name: str) -> Tuple[Dict[int, RxQueue], Dict[int, TxQueue]]:
    """Read the per-queue steering of a device."""
    rx: Dict[int, RxQueue] = {}
    tx: Dict[int, TxQueue] = {}
    base = f"/sys/class/net/{name}/queues"
    for queue in host.listdir(base):
        kind, _sep, index = queue.partition("-")
        if kind == "rx":
            rx[int(index)] = RxQueue(
                cpumask.parse_mask(host.read_or(f"{base}/{queue}/rps_cpus", "0")),
                int(host.read_or(f"{base}/{queue}/rps_flow_cnt", "0")),
            )
        elif kind == "tx":
            tx[int(index)] = TxQueue(_mask_or_none(host, f"{base}/{queue}/xps_cpus"), _mask_or_none(host, f"{base}/{queue}/xps_rxqs"))
    return dict(sorted(rx.items())), dict(sorted(tx.items()))


def _mask_or_none(host: Host, path: str) -> Optional[int]:
    text = host.read_or(path).strip()
    return cpumask.parse_mask(text) if text else None


def irqs(host: Host, name: str, rx_queues: int, tx_queues: int) -> Tuple[Irq, ...]:
    """Find the interrupts of a device: those of its card that have a handler, without those of the card's other ports."""
    others = [it for it in interfaces(host) if it != name and it != "lo"]
    actions: Dict[int, str] = {}
    for number in _irq_numbers(host, name):
        handlers = host.directories(f"/proc/irq/{number}")
        if len(handlers) == 1 and irqmap.belongs(handlers[0], name, others):
            actions[number] = handlers[0]
    roles = irqmap.assign(actions, rx_queues, tx_queues)
    found: List[Irq] = []
    seen: Dict[str, int] = {}
    for number, action in sorted(actions.items()):
        key = irqmap.key_of(action, name)
        seen[key] = seen.get(key, 0) + 1
        role, queue = roles[number]
        found.append(
            Irq(
                number,
                action,
                key if seen[key] == 1 else f"{key}#{seen[key]}",
                role,
                queue,
                cpumask.parse_mask(host.read(f"/proc/irq/{number}/smp_affinity")),
                cpumask.parse_mask(host.read_or(f"/proc/irq/{number}/effective_affinity", "0") or "0"),
            )
        )
    return tuple(found)


def _irq_numbers(host: Host, name: str) -> List[int]:
    base = host.resolve(f"/sys/class/net/{name}/device")
    if not base:
        return []
    # The vectors belong to the PCI function; of a virtio device that is the parent.
    for directory in (base, base.rsplit("/", 1)[0]):
        numbers = [int(number) for number in host.listdir(f"{directory}/msi_irqs") if number.isdigit()]
        if numbers:
            return sorted(numbers)
    for directory in (base, base.rsplit("/", 1)[0]):
        legacy = host.read_or(f"{directory}/irq").strip()
        if legacy.isdigit() and int(legacy) > 0:
            return [int(legacy)]
    return []


def hash_fields(host: Host, name: str, flows: Sequence[str]) -> Dict[str, str]:
    """Read which fields of each flow type are hashed; a type that the card does not know is left out."""
    found = {}
    for flow in flows:
        done = _ethtool(host, ["-n", name, "rx-flow-hash", flow])
        if done is not None and done.rc == 0:
            found[flow] = parse.hash_fields(done.stdout)
    return found


def _ethtool(host: Host, arguments: Sequence[str]) -> Optional[Completed]:
    """Start ethtool; None where it is not installed."""
    try:
        done = host.query(["ethtool", *arguments])
    except CommandError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    return None if done.rc == 127 else done


def require_ethtool(host: Host) -> None:
    """Refuse to go on where ethtool is missing."""
    if _ethtool(host, ["--version"]) is None:
        raise MissingCapabilityError(
            "ethtool is not installed on this node, and channels, rings, coalescing, features and RSS are set with it: install the package ethtool."
        )


_REFUSED = re.compile(r"not supported|no such device or address|no stats available", re.IGNORECASE)


def _ask(
    host: Host, option: str, name: str, from_text: Callable[[str], _Value], from_json: Optional[Callable[[str], _Value]] = None
) -> Optional[_Value]:
    """Ask ethtool in JSON where a form of it exists, else in text; None for what the driver does not offer."""
    if from_json:
        done = _ethtool(host, ["--json", option, name])
        if done is None:
            return None
        if done.rc == 0:
            return from_json(done.stdout)
        if _REFUSED.search(done.stderr + done.stdout):
            return None
    done = _ethtool(host, [option, name])
    if done is None:
        return None
    # `ethtool -n` counts the rules on its first line and complains about them on the error stream with status 0.
    if _REFUSED.search(done.stderr) and (done.rc != 0 or option == "-n"):
        return None
    if done.rc != 0:
        raise CommandError(
            f"Could not read {name}: 'ethtool {option} {name}' ended with status {done.rc} and said: {done.stderr.strip() or done.stdout.strip()}"
        )
    return from_text(done.stdout)


def find(host: Host, wanted: Identity) -> Tuple[Optional[str], str]:
    """Find a recorded device again, whatever its index or name is now.

    :returns: (name now, how it was recognised), or (None, what was looked for).
    """
    present = [identity(host, name) for name in interfaces(host)]

    def pick(candidates: List[Identity]) -> Optional[Identity]:
        if len(candidates) > 1:
            candidates = (
                [it for it in candidates if it.mac == wanted.mac] or [it for it in candidates if it.name == wanted.name] or candidates
            )
        return candidates[0] if len(candidates) == 1 else None

    if wanted.bus:
        match = pick([it for it in present if it.bus == wanted.bus and it.port == wanted.port and it.driver == wanted.driver])
        if match:
            return match.name, "bus address"
    real = [it for it in present if it.driver == wanted.driver]
    match = pick([it for it in real if it.mac == wanted.mac and wanted.mac.strip("0:")])
    if match:
        return match.name, "MAC address"
    if not wanted.bus:
        match = pick([it for it in real if it.name == wanted.name and not it.bus])
        if match:
            return match.name, "name"
    place = f"bus address {wanted.bus}, " if wanted.bus else ""
    return None, f"{wanted.name} ({place}MAC address {wanted.mac}, driver {wanted.driver or 'unknown'})"


def info(device_now: Device) -> Dict[str, Any]:
    """Return a device in the form that ``nic_info`` returns."""
    now = device_now

    def mask(value: Optional[int]) -> Optional[Mapping[str, str]]:
        return None if value is None else {"mask": cpumask.format_mask(value), "cpus": cpumask.format_list(value)}

    return {
        **now.identity.as_dict(),
        "up": now.up,
        "numa_node": now.numa_node,
        "channels": now.channels and {"current": dict(now.channels.current), "maximum": dict(now.channels.maximum)},
        "rings": now.rings and {"current": dict(now.rings.current), "maximum": dict(now.rings.maximum)},
        "coalesce": now.coalesce and dict(now.coalesce),
        "features": now.features
        and {name: {"active": it.active, "requested": it.requested, "fixed": it.fixed} for name, it in now.features.items()},
        "rss": now.rss
        and {
            "table": list(now.rss.table),
            "default": now.rss.is_default(len(now.rx)),
            "entries_per_queue": {str(queue): count for queue, count in sorted(now.rss.shares().items())},
            "key": now.rss.key,
            "function": now.rss.function,
            "hash_fields": dict(now.hash_fields),
        },
        "ntuple": None if now.ntuple is None else list(now.ntuple),
        "rx_queues": {str(index): {"rps": mask(it.rps_cpus), "rps_flow_cnt": it.rps_flow_cnt} for index, it in now.rx.items()},
        "tx_queues": {str(index): {"xps_cpus": mask(it.xps_cpus), "xps_rxqs": mask(it.xps_rxqs)} for index, it in now.tx.items()},
        "irqs": [
            {
                "irq": it.number,
                "action": it.action,
                "role": it.role,
                "queue": it.queue,
                "affinity": mask(it.affinity),
                "effective": mask(it.effective),
            }
            for it in now.irqs
        ],
        "attributes": dict(now.attributes),
    }
