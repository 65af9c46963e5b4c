# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The trials themselves."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import select
import socket
import struct
from typing import Callable, Dict, Optional

from ansible_collections.datapath.lab.plugins.module_utils.capabilities.model import PAIR, Capability, Outcome
from ansible_collections.datapath.lab.plugins.module_utils.command import Run
from ansible_collections.datapath.lab.plugins.module_utils.errors import ParseError
from ansible_collections.datapath.lab.plugins.module_utils.netns import syscalls

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE = 0x1, 0x2, 0x1000, 0x100
KVM_GET_API_VERSION = 0xAE00
VHOST_GET_FEATURES = 0x8008AF00
NETLINK_NETFILTER, NETLINK_GENERIC = 12, 16
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME = 16, 3, 2
NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN = 10, 16
NLMSG_ERROR = 2
NLM_F_REQUEST = 1
BPF_MAP_CREATE, BPF_MAP_TYPE_SOCKHASH = 0, 18
# bpf(2) has no wrapper in libc, and its number depends on the machine.
BPF_NUMBER = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351, "riscv64": 280}
FINIT_MODULE_NUMBER = {"x86_64": 313, "aarch64": 273, "ppc64le": 353, "s390x": 344, "riscv64": 273}
TRIAL_SECONDS = 10.0


def probe(capability: Capability, run: Run) -> Outcome:
    """Try one capability."""
    if capability.batch:
        return _try_links(capability, run)
    if capability.queueing:
        return _try_queueing(capability, run)
    return TRIALS[str(capability.trial)]()


def _try_links(capability: Capability, run: Run) -> Outcome:
    done = run(["unshare", "--net", "--", "ip", "-batch", "-"], stdin="\n".join(capability.batch) + "\n")
    if done.rc == 0:
        return Outcome(True, "a link was made in a namespace of its own")
    return Outcome(False, f"making a link failed with '{_complaint(done.stderr)}'")


def _try_queueing(capability: Capability, run: Run) -> Outcome:
    # A process that makes the link ends with its namespace, so both commands must run in one.
    script = f'ip {PAIR} && exec tc qdisc add dev t0 root "$@"'
    done = run(["unshare", "--net", "--", "sh", "-c", script, "sh", *capability.queueing])
    if done.rc == 0:
        return Outcome(True, "a queueing discipline was set in a namespace of its own")
    return Outcome(False, f"setting a queueing discipline failed with '{_complaint(done.stderr)}'")


def _complaint(text: str) -> str:
    """Return what the kernel said, without the lines that only say where.

    Error: Unknown device type.
    Command failed -:1
    """
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip() and not line.startswith("Command failed")]
    return lines[0] if lines else "no word"


def in_own_namespace(trial: Callable[[], Outcome]) -> Outcome:
    """Run a trial in a child process with a network namespace of its own, and return its outcome."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            outcome = trial()
        except OSError as error:
            outcome = Outcome(False, f"a network namespace could not be made ({error})")
        os.write(write, f"{int(outcome.available)}{outcome.how}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read().decode() if select.select([stream], [], [], TRIAL_SECONDS)[0] else ""
    os.waitpid(child, 0)
    if text[:1] not in ("0", "1"):
        raise ParseError("the trial of a capability", "its process ended without an outcome", text)
    return Outcome(text[0] == "1", text[1:])


def _open_tap(flags: int) -> Outcome:
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR)
    except OSError as error:
        return Outcome(False, f"opening /dev/net/tun failed with '{error.strerror}'")
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"t0", flags))
    except OSError as error:
        return Outcome(False, f"making the device failed with '{error.strerror}'")
    finally:
        os.close(descriptor)
    return Outcome(True, "a device was made in a namespace of its own")


def try_tun() -> Outcome:
    """Make a tun device."""
    return in_own_namespace(lambda: _open_tap(IFF_TUN | IFF_NO_PI))


def try_tap_queues() -> Outcome:
    """Make a tap device with more than one queue."""
    return in_own_namespace(lambda: _open_tap(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE))


def _netlink(protocol: int, kind: int, payload: bytes) -> int:
    """Send one request and return 0, or the errno that the kernel answers with."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as channel:
        channel.settimeout(TRIAL_SECONDS)
        channel.bind((0, 0))
        channel.send(struct.pack("=IHHII", 16 + len(payload), kind, NLM_F_REQUEST, 1, 0) + payload)
        answer = channel.recv(65536)
    if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
        return -int(struct.unpack_from("=i", answer, 16)[0])
    return 0


def _ask_netlink(what: str, protocol: int, kind: int, payload: bytes) -> Outcome:
    try:
        number = _netlink(protocol, kind, payload)
    except OSError as error:
        number = error.errno or errno.EIO
    if number:
        return Outcome(False, f"asking the kernel for {what} failed with '{os.strerror(number)}'")
    return Outcome(True, f"the kernel answered a request to {what}")


def try_ip_vs() -> Outcome:
    """Ask generic netlink for the family of IPVS; the kernel loads the module to answer."""
    name = b"IPVS\0"
    attribute = struct.pack("=HH", 4 + len(name), CTRL_ATTR_FAMILY_NAME) + name
    payload = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute + b"\0" * (-len(attribute) % 4)
    return _ask_netlink("the netlink family IPVS", NETLINK_GENERIC, GENL_ID_CTRL, payload)


def try_nf_tables() -> Outcome:
    """Ask for the generation of the rules; the kernel loads the module to answer."""
    return _ask_netlink(
        "nf_tables", NETLINK_NETFILTER, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, struct.pack("=BBH", socket.AF_INET, 0, 0)
    )


def _device(path: str, request: int, answer: Callable[[int], bool]) -> Outcome:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError as error:
        return Outcome(False, f"opening {path} failed with '{error.strerror}'")
    try:
        result = fcntl.ioctl(descriptor, request, bytearray(8)) if request == VHOST_GET_FEATURES else fcntl.ioctl(descriptor, request, 0)
    except OSError as error:
        return Outcome(False, f"{path} refused a request with '{error.strerror}'")
    finally:
        os.close(descriptor)
    return Outcome(True, f"{path} answered a request") if answer(result) else Outcome(False, f"{path} answered a request with {result}")


def try_vhost_net() -> Outcome:
    """Open the device and ask for its features."""
    return _device("/dev/vhost-net", VHOST_GET_FEATURES, lambda result: result == 0)


def try_kvm() -> Outcome:
    """Open the device and ask for its version; whether a guest boots under it is another question."""
    return _device("/dev/kvm", KVM_GET_API_VERSION, lambda result: result == 12)


def _rewrite(path: str, what: str) -> Outcome:
    """Write a setting's own value back to it."""
    try:
        with open(path, encoding="ascii") as stream:
            value = stream.read()
        with open(path, "w", encoding="ascii") as stream:
            stream.write(value)
    except OSError as error:
        return Outcome(False, f"{what} ({path}) cannot be written: '{error.strerror}'")
    return Outcome(True, f"{what} took its own value back")


def try_rps() -> Outcome:
    """Write the mask of the loopback device's queue."""
    return _rewrite("/sys/class/net/lo/queues/rx-0/rps_cpus", "a receive queue's mask")


def try_rfs() -> Outcome:
    """Write the size of the table of flows."""
    return _rewrite("/proc/sys/net/core/rps_sock_flow_entries", "the table of flows")


def try_xps() -> Outcome:
    """Look for a transmit queue's mask on any card; on a device of one queue it exists and cannot be used."""
    try:
        for name in sorted(os.listdir("/sys/class/net")):
            queues = f"/sys/class/net/{name}/queues"
            if name != "lo" and os.path.exists(f"{queues}/tx-1/xps_cpus"):
                return _rewrite(f"{queues}/tx-0/xps_cpus", f"a transmit queue's mask of {name}")
    except OSError as error:
        return Outcome(False, f"/sys/class/net cannot be read ('{error.strerror}')")
    return Outcome(False, "no card of this node has more than one transmit queue")


def _system_call(number: Optional[int], *arguments: object) -> int:
    """Return 0, or the errno; ENOSYS on a machine whose numbers are not known."""
    if number is None:
        return errno.ENOSYS
    result = ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        return ctypes.get_errno()
    if result > 2:
        os.close(result)
    return 0


def try_bpf_sockhash() -> Outcome:
    """Make a map of sockets, and drop it."""
    attributes = ctypes.create_string_buffer(struct.pack("=IIIII", BPF_MAP_TYPE_SOCKHASH, 4, 4, 1, 0) + b"\0" * 100)
    number = _system_call(BPF_NUMBER.get(platform.machine()), ctypes.c_int(BPF_MAP_CREATE), attributes, ctypes.c_uint(72))
    if number:
        return Outcome(False, f"making a map of sockets failed with '{os.strerror(number)}'")
    return Outcome(True, "a map of sockets was made")


def try_modules() -> Outcome:
    """Ask for a module to be loaded from a file that is not open: a kernel that loads modules complains about the file."""
    number = _system_call(FINIT_MODULE_NUMBER.get(platform.machine()), ctypes.c_int(-1), ctypes.c_char_p(b""), ctypes.c_int(0))
    if number == errno.EBADF:
        return Outcome(True, "the kernel accepts requests to load a module")
    return Outcome(False, f"a request to load a module failed with '{os.strerror(number)}'")


TRIALS: Dict[str, Callable[[], Outcome]] = {
    "tun": try_tun,
    "tap_queues": try_tap_queues,
    "ip_vs": try_ip_vs,
    "nf_tables": try_nf_tables,
    "vhost_net": try_vhost_net,
    "kvm": try_kvm,
    "rps": try_rps,
    "rfs": try_rfs,
    "xps": try_xps,
    "bpf_sockhash": try_bpf_sockhash,
    "modules": try_modules,
}
