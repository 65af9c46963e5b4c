# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The capabilities that experiments need, how each is tried, and what its lack rules out.

Each trial happens in a network namespace of its own that ends with the trial, or changes nothing at all; a kernel that has a feature as a
module loads it, as it would for the experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError


@dataclass(frozen=True)
class Outcome:
    """Whether a trial succeeded, and in half a sentence how that is known."""

    available: bool
    how: str


@dataclass(frozen=True)
class Capability:
    """One thing that a kernel may lack.

    ``name``: as in the kernel's configuration; ``batch``: lines for ``ip -batch`` that try it; ``queueing``: arguments of ``tc qdisc``
    that try it; ``trial``: name of a trial in Python, for what no tool can try; ``rules_out``: what cannot be done without it.
    """

    name: str
    rules_out: str
    batch: Tuple[str, ...] = ()
    queueing: Tuple[str, ...] = ()
    trial: Optional[str] = None


PAIR = "link add t0 type veth peer name t1"
CAPABILITIES: Tuple[Capability, ...] = (
    Capability("VETH", "namespaces behind veth, and with them every arm of pods, cannot be made", (PAIR,)),
    Capability(
        "MULTIQUEUE_VETH",
        "wires between namespaces have one queue, so packet steering has nothing to spread over",
        ("link add t0 numtxqueues 2 numrxqueues 2 type veth peer name t1 numtxqueues 2 numrxqueues 2",),
    ),
    Capability("MACVLAN", "the macvlan arms cannot be made", (PAIR, "link add link t0 name t2 type macvlan mode bridge")),
    Capability(
        "MACVTAP", "the macvtap backend of virtual machines cannot be made", (PAIR, "link add link t0 name t2 type macvtap mode bridge")
    ),
    Capability("IPVLAN", "ipvlan arms cannot be made", (PAIR, "link add link t0 name t2 type ipvlan mode l2")),
    Capability("VXLAN", "flannel's vxlan backend cannot be used", ("link add t2 type vxlan id 1 dstport 4789",)),
    Capability("BRIDGE", "bridges, and with them networks of more than two cards, cannot be made", ("link add t2 type bridge",)),
    Capability(
        "DUMMY", "kube-proxy's IPVS mode, which keeps its addresses on a dummy interface, cannot be used", ("link add t2 type dummy",)
    ),
    Capability("TUN", "tun and tap devices, and with them flannel's udp backend and virtual machines, cannot be used", trial="tun"),
    Capability("MULTIQUEUE_TAP", "virtual machines have one queue", trial="tap_queues"),
    Capability("NETEM", "delay and loss cannot be added to a wire by netem", queueing=("netem", "delay", "1ms")),
    Capability("HTB", "a wire's rate cannot be limited by htb", queueing=("htb",)),
    Capability("TBF", "a wire's rate cannot be limited by tbf", queueing=("tbf", "rate", "1mbit", "burst", "16kb", "latency", "50ms")),
    Capability(
        "IP_VS", "IPVS, and with it ipvs_dump, the director of lb_scaling and kube-proxy's IPVS mode, cannot be used", trial="ip_vs"
    ),
    Capability("NF_TABLES", "nftables, and iptables on top of it, cannot be used", trial="nf_tables"),
    Capability("VHOST_NET", "the vhost-net backend of virtual machines cannot be used", trial="vhost_net"),
    Capability("KVM", "virtual machines on this node run under emulation, and their speed means nothing", trial="kvm"),
    Capability("RPS", "receive packet steering cannot be set", trial="rps"),
    Capability("RFS", "receive flow steering cannot be set, since its table of sockets belongs to the machine", trial="rfs"),
    Capability("XPS", "transmit packet steering cannot be set", trial="xps"),
    Capability("BPF_SOCKHASH", "the bypass between sockets of one node cannot be used", trial="bpf_sockhash"),
    Capability("MODULES", "no kernel module can be loaded, so a patched ip_vs cannot be tried", trial="modules"),
)
BY_NAME: Dict[str, Capability] = {capability.name: capability for capability in CAPABILITIES}


def wanted(names: Sequence[str]) -> Tuple[Capability, ...]:
    """Return the capabilities of these names, all when there is none; raise for an unknown name."""
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        raise InvalidValueError(f"There is no capability called {unknown[0]!r}; there are {', '.join(sorted(BY_NAME))}.")
    return tuple(capability for capability in CAPABILITIES if not names or capability.name in names)


def report(capability: Capability, outcome: Outcome, node: str) -> Dict[str, Any]:
    """Return one entry of the module's result; the sentence is empty when the capability is there."""
    sentence = "" if outcome.available else f"On {node} {capability.rules_out}: {outcome.how}."
    return {"available": outcome.available, "how": outcome.how, "rules_out": sentence}
