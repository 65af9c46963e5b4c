# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The witness that counts the netlink requests of a command.

Whether a dump takes one request or one per service is seen in no output and in no exit status: a tool with the fast path falls back to the
slow one in silence. So the requests are counted while the command runs, by one of two ways that need no change to the command:

* the kernel's own tracing: a probe on the entry of generic netlink counts by sender, family and command. Costs next to nothing;
* strace, which stops the command at each send. Slow with thousands of requests, but it needs no tracing in the kernel.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import (
    CommandError,
    InvalidValueError,
    LabError,
    MissingCapabilityError,
    ParseError,
)

IPVS_COMMANDS = {
    1: "NEW_SERVICE", 2: "SET_SERVICE", 3: "DEL_SERVICE", 4: "GET_SERVICE", 5: "NEW_DEST", 6: "SET_DEST", 7: "DEL_DEST", 8: "GET_DEST",
    9: "NEW_DAEMON", 10: "DEL_DAEMON", 11: "GET_DAEMON", 12: "SET_CONFIG", 13: "GET_CONFIG", 14: "SET_INFO", 15: "GET_INFO", 16: "ZERO",
    17: "FLUSH", 18: "GET_SERVICE_DEST",
}  # fmt: skip
CONTROL_COMMANDS = {1: "NEWFAMILY", 2: "DELFAMILY", 3: "GETFAMILY", 10: "GETPOLICY"}
COMMANDS = {"IPVS": IPVS_COMMANDS, "nlctrl": CONTROL_COMMANDS}
CONTROL_FAMILY_ID = 16


@dataclass(frozen=True)
class Count:
    """What a command asked of netlink: requests by (family, command), and sockets opened (``None`` where that is not seen)."""

    requests: Mapping[Tuple[str, str], int] = field(default_factory=dict)
    sockets: Optional[int] = None

    def total(self) -> int:
        """Return the number of all requests."""
        return sum(self.requests.values())

    def of(self, command: str) -> int:
        """Return the number of requests of one command: ``GET_DEST`` of the family IPVS, ``nlctrl GETFAMILY`` of another."""
        family, _space, name = command.rpartition(" ")
        return self.requests.get((family or "IPVS", name), 0)

    def as_dict(self) -> Dict[str, Any]:
        """Return ``{requests, sockets, by_command}``."""
        by_command = {f"{family} {command}".strip(): number for (family, command), number in sorted(self.requests.items())}
        return {"requests": self.total(), "sockets": self.sockets, "by_command": by_command}


@dataclass(frozen=True)
class Bounds:
    """How many requests are allowed, ends included; ``None`` is no bound."""

    low: Optional[int] = None
    high: Optional[int] = None

    def holds(self, number: int) -> bool:
        """Tell whether a number lies within."""
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)

    def __str__(self) -> str:
        if self.low is None:
            return f"at most {self.high}"
        if self.high is None:
            return f"at least {self.low}"
        return f"exactly {self.low}" if self.low == self.high else f"{self.low} to {self.high}"


def expectation(expect: Mapping[str, Any]) -> Dict[str, Bounds]:
    """Return the bounds by command, those of all requests under the empty name.

    :param expect: ``{min, max, commands: {name: {min, max}}}`` as the module's option.
    :raises InvalidValueError: if nothing is expected, or a bound is no whole number of 0 or more, or they exclude each other.
    """
    wanted = {}
    if expect.get("min") is not None or expect.get("max") is not None:
        wanted[""] = _bounds(expect, "expect")
    for name, bounds in (expect.get("commands") or {}).items():
        known = set(IPVS_COMMANDS.values()) | {f"{family} {command}" for family, named in COMMANDS.items() for command in named.values()}
        if name not in known and " " not in str(name):
            raise InvalidValueError(f"expect.commands: {name!r} is not a command of the family IPVS: {', '.join(IPVS_COMMANDS.values())}.")
        if not isinstance(bounds, Mapping) or not set(bounds) <= {"min", "max"} or all(value is None for value in bounds.values()):
            raise InvalidValueError(f"expect.commands.{name}: {bounds!r} is not allowed; give min, max, or both.")
        wanted[str(name)] = _bounds(bounds, f"expect.commands.{name}")
    if not wanted:
        raise InvalidValueError("expect is empty, so that nothing could be proved; give min, max, or bounds of commands.")
    return wanted


def _bounds(given: Mapping[str, Any], what: str) -> Bounds:
    """Return validated bounds."""
    values = []
    for key in ("min", "max"):
        value = given.get(key)
        if value is not None and (isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,9}", str(value).strip(), re.ASCII)):
            raise InvalidValueError(f"{what}.{key} {value!r} is not allowed; give a whole number from 0 to 999999999.")
        values.append(None if value is None else int(value))
    low, high = values
    if low is not None and high is not None and low > high:
        raise InvalidValueError(f"{what}: min {low} is above max {high}; give a min of at most {high}.")
    return Bounds(low, high)


def judge(count: Count, expected: Mapping[str, Bounds]) -> Tuple[str, str]:
    """Return the witness's state, ``proved`` or ``refuted``, and its evidence in a sentence."""
    said, good = [], True
    for name, bounds in expected.items():
        number = count.of(name) if name else count.total()
        holds = bounds.holds(number)
        good = good and holds
        said.append(f"{number} {name or 'netlink'} requests where {bounds} {'were' if holds else 'had been'} expected")
    return ("proved" if good else "refuted"), f"The command made {', '.join(said)}."


_LINE = re.compile(r"(?:\[pid +[0-9]+\] |[0-9]+ +)?(?P<call>[a-z0-9_]+)\(")
_MESSAGE = re.compile(
    r"\{nlmsg_len=[0-9]+, nlmsg_type=(?P<family>\w+)(?: /\* [^*]* \*/)?, nlmsg_flags=[^,]*, nlmsg_seq=[0-9]+, nlmsg_pid=-?[0-9]+\}"
    r'(?:, (?:\{cmd=(?P<name>\w+)|"\\x(?P<byte>[0-9a-f]{2})))?'
)
_FAILED = re.compile(r"= -1 [A-Z0-9]+ \(")


def strace_argv(argv: List[str], log: str) -> List[str]:
    """Return the strace that logs what is counted here, and the family lookups that give the families their names.

    Only calls that open sockets and send stop the command (seccomp-bpf lets the others pass); all text is hexadecimal.
    """
    calls = "trace=socket,sendmsg,sendto,sendmmsg"
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-xx", "-s", "8", "-e", "signal=none", "-e", calls, "-o", log, *argv]


def parse_strace(text: str) -> Count:
    """Return what a log of :func:`strace_argv` shows.

    A sample of the log (strace 6.13 on one with IPVS, the payload's first byte is the command)::

        812 socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, NETLINK_GENERIC) = 3
        812 sendmsg(3, {msg_name={sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, msg_namelen=12, msg_iov=[{iov_base=[{nlmsg_len=32,
            nlmsg_type=nlctrl, nlmsg_flags=NLM_F_REQUEST|NLM_F_ACK, nlmsg_seq=1795154572, nlmsg_pid=-1203750024},
            {cmd=CTRL_CMD_GETFAMILY, version=1}, …], iov_len=32}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = 32

    :raises ParseError: for a line that is not strace's, or a send on netlink whose message is not shown.
    """
    requests: Dict[Tuple[str, str], int] = {}
    sockets = 0
    for line in text.splitlines():
        if not line.strip() or "<... " in line or "+++ " in line or "--- " in line:
            continue
        match = _LINE.match(line)
        if not match:
            raise ParseError("strace", "expected a system call with its arguments", line)
        if match["call"] == "socket":
            if "AF_NETLINK" in line and not _FAILED.search(line):
                sockets += 1
            continue
        found = list(_MESSAGE.finditer(line))
        if not found and "nlmsg_" in line:
            raise ParseError("strace", "expected a netlink message with its header", line)
        if not found or _FAILED.search(line):
            continue
        for message in found:
            key = (message["family"], _command(message["family"], message["name"], message["byte"]))
            requests[key] = requests.get(key, 0) + 1
    return Count(requests, sockets)


def _command(family: str, name: Optional[str], byte: Optional[str]) -> str:
    """Return a command's name from what strace decoded of it, or from its number."""
    if name is not None and not name.startswith("0x"):
        return name.rpartition("CMD_")[2]
    if name is None and byte is None:
        return ""
    number = int(name, 16) if name is not None else int(byte or "0", 16)
    return COMMANDS.get(family, {}).get(number, str(number))


# Names of this collection's own probe; a number behind it keeps runs at the same time apart.
GROUP = "datapath_lab"
_HIST_ENTRY = re.compile(r"\{(?P<keys>[^}]*)\} hitcount: +(?P<hits>[0-9]+)")
_HIST_KEY = re.compile(r"(\w+): +(?:[^,\[\]]*\[ *)?([0-9]+)\]?")
_HIST_DROPPED = re.compile(r"Dropped: ([0-9]+)")


# Keys and hits of each entry.
Histogram = List[Tuple[Dict[str, int], int]]


def parse_histogram(text: str) -> Histogram:
    """Return (keys, hits) for each entry of a trace event's histogram.

    A sample of the text::

        # event histogram
        #
        # trigger info: hist:keys=common_pid,type,cmd:vals=hitcount:sort=hitcount:size=2048 [active]
        #

        { common_pid:        443, type:         34, cmd:          4 } hitcount:          1
        { common_pid:        443, type:         34, cmd:          8 } hitcount:      16000

        Totals:
            Hits: 16001
            Entries: 2
            Dropped: 0

    :raises ParseError: if it is another text, its sum is not the sum of its entries, or the kernel dropped some.
    """
    entries = []
    for match in _HIST_ENTRY.finditer(text):
        keys = {name: int(value) for name, value in _HIST_KEY.findall(match["keys"])}
        entries.append((keys, int(match["hits"])))
    hits = re.search(r"Hits: ([0-9]+)", text)
    dropped = _HIST_DROPPED.search(text)
    if not hits or not dropped:
        raise ParseError("hist", "expected a histogram with its totals", text)
    if int(dropped[1]):
        raise ParseError("hist", f"the kernel dropped {dropped[1]} entries, so that the count is not complete", text[-200:])
    if sum(number for _keys, number in entries) != int(hits[1]):
        raise ParseError("hist", f"the entries do not add up to the {hits[1]} hits of the total", text[-200:])
    return entries


def family_of(forks: Histogram, pid: int) -> Set[int]:
    """Return a process and all that descend from it, from the histogram of forks.

    :raises ParseError: if the process itself is not among the forks: the numbers are those of another PID namespace then.
    """
    children: Dict[int, Set[int]] = {}
    for keys, _hits in forks:
        if set(keys) != {"parent_pid", "child_pid"}:
            raise ParseError("hist", "expected parent_pid and child_pid as keys", str(keys))
        children.setdefault(keys["parent_pid"], set()).add(keys["child_pid"])
    if not any(pid in forked for forked in children.values()):
        raise ParseError("hist", f"the kernel saw no process {pid} begin; its numbers are those of another PID namespace")
    family, fresh = set(), {pid}
    while fresh:
        family |= fresh
        fresh = set().union(*(children.get(parent, set()) for parent in fresh)) - family
    return family


def count_histogram(requests: Histogram, pids: Set[int], families: Mapping[int, str]) -> Count:
    """Return the requests of these processes from the probe's histogram.

    :param families: names of generic netlink families by number.
    """
    found: Dict[Tuple[str, str], int] = {}
    for keys, hits in requests:
        if set(keys) != {"common_pid", "type", "cmd"}:
            raise ParseError("hist", "expected common_pid, type and cmd as keys", str(keys))
        if keys["common_pid"] in pids:
            family = families.get(keys["type"], f"family-{keys['type']}")
            key = (family, COMMANDS.get(family, {}).get(keys["cmd"], str(keys["cmd"])))
            found[key] = found.get(key, 0) + hits
    return Count(found)


def parse_families(data: bytes) -> Dict[int, str]:
    """Return the names of the generic netlink families by number, from the answer to a dump of nlctrl GETFAMILY.

    Each message is a header (length, type, flags, sequence, port: 16 bytes), four bytes of generic header, and attributes (length,
    type, payload, padded to 4) of which 1 is the number and 2 the name; all in the machine's own byte order.
    """
    families: Dict[int, str] = {}
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16 or offset + length > len(data):
            raise ParseError("generic netlink", f"a message of {length} bytes does not fit into its buffer")
        if kind == CONTROL_FAMILY_ID:
            attributes = dict(_attributes(data[offset + 20 : offset + length]))
            if len(attributes.get(1, b"")) == 2 and 2 in attributes:
                families[struct.unpack("=H", attributes[1])[0]] = attributes[2].rstrip(b"\0").decode("ascii", "replace")
        offset += (length + 3) & ~3
    return families


def _attributes(data: bytes) -> Iterator[Tuple[int, bytes]]:
    """Yield (type, payload) of each attribute."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4 or offset + length > len(data):
            raise ParseError("generic netlink", f"an attribute of {length} bytes does not fit into its message")
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def read_families() -> Dict[int, str]:
    """Ask the kernel for its generic netlink families."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as link:
        link.settimeout(5)
        # REQUEST | DUMP of nlctrl GETFAMILY.
        link.send(struct.pack("=IHHIIBBH", 20, CONTROL_FAMILY_ID, 0x301, 1, 0, 3, 1, 0))
        families: Dict[int, str] = {}
        while True:
            data = link.recv(1 << 16)
            families.update(parse_families(data))
            if _ends(data):
                return families


def _ends(data: bytes) -> bool:
    """Tell whether the answer's last message (NLMSG_DONE or NLMSG_ERROR) is in the buffer."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind in (2, 3) or length < 16:
            return True
        offset += (length + 3) & ~3
    return False


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its process, exit status and what it said on standard error."""

    pid: int
    rc: int
    stderr: str


# Runs argv with its output thrown away; raises CommandError if it cannot be started or takes too long.
Execute = Callable[[Sequence[str]], Ended]


def executor(timeout_s: float) -> Execute:
    """Return an :data:`Execute` that ends the command's process group after so many seconds."""

    def execute(argv: Sequence[str]) -> Ended:
        try:
            # Standard error goes into a file: a pipe would fill up, or be held open by a grandchild.
            with tempfile.TemporaryFile() as said:
                child = subprocess.Popen(
                    list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, "LC_ALL": "C"},
                    start_new_session=True,
                )  # fmt: skip
                try:
                    rc = child.wait(timeout_s)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                    raise CommandError(f"'{' '.join(argv)}' took longer than timeout_s, {timeout_s:g} s, and was ended.") from None
                said.seek(0)
                return Ended(child.pid, rc, said.read().decode("utf-8", "replace"))
        except OSError as error:
            raise CommandError(f"Could not start '{argv[0]}': {error.strerror or error}.") from error

    return execute


class Tracing:
    """The kernel's tracing, in an instance of its own that is removed afterwards: nobody else's tracing is touched."""

    def __init__(self, root: str = "/sys/kernel/tracing", tag: Optional[str] = None) -> None:
        """Keep where tracefs is.

        :param root: the mount point.
        :param tag: what makes the names of this run its own; the process number if not given.
        """
        self.root = root
        self.tag = tag or str(os.getpid())
        self.instance = f"{root}/instances/{GROUP}_{self.tag}"
        self.probe = f"{GROUP}/genl_{self.tag}"

    def usable(self) -> str:
        """Return an empty string, or the reason why this kernel cannot count requests."""
        if not os.path.exists(f"{self.root}/kprobe_events"):
            return f"{self.root}/kprobe_events is missing"
        return "" if os.access(f"{self.root}/kprobe_events", os.W_OK) else f"{self.root}/kprobe_events cannot be written"

    def count(self, argv: Sequence[str], execute: Execute, families: Callable[[], Mapping[int, str]]) -> Tuple[Count, Ended]:
        """Run a command under the probe.

        :raises OSError: if tracefs refuses something; :class:`ParseError` if the count is not complete.
        """
        forks, requests = f"{self.instance}/events/sched/sched_process_fork", f"{self.instance}/events/{self.probe}"
        # The arguments of genl_rcv_msg(skb, nlh, extack): the header's type is the family, the byte behind the header the command.
        _write(f"{self.root}/kprobe_events", f"p:{self.probe} genl_rcv_msg type=+4($arg2):u16 cmd=+16($arg2):u8")
        try:
            os.mkdir(self.instance)
            try:
                _write(f"{forks}/trigger", "hist:keys=parent_pid,child_pid")
                _write(f"{requests}/trigger", "hist:keys=common_pid,type,cmd")
                ended = execute(argv)
                forked, asked = parse_histogram(_text(f"{forks}/hist")), parse_histogram(_text(f"{requests}/hist"))
            finally:
                # A probe in use cannot be removed; the instance takes its triggers with it.
                _remove(self.instance)
        finally:
            _write(f"{self.root}/kprobe_events", f"-:{self.probe}")
        return count_histogram(asked, family_of(forked, ended.pid), families()), ended


def _write(path: str, text: str) -> None:
    """Write a line into a control file at its end; Python's own append mode seeks first, which tracefs refuses."""
    try:
        control = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(control, f"{text}\n".encode("ascii"))
        finally:
            os.close(control)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} for '{text}'", path) from error


def _remove(directory: str) -> None:
    """Remove an instance; tracefs takes the files in it away with it."""
    os.rmdir(directory)


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


METHODS = ("auto", "tracing", "strace")


@dataclass(frozen=True)
class Observation:
    """What a command asked for, how it ended, how that was counted, and why not in the cheaper way."""

    count: Count
    ended: Ended
    method: str
    note: str = ""


def observe(argv: Sequence[str], method: str, tracing: Tracing, execute: Execute, strace: bool) -> Observation:
    """Run a command and count its requests.

    :param strace: whether strace is installed.
    :raises MissingCapabilityError: if this node has no way of counting.
    """
    reason = "it was not asked for"
    if method in ("auto", "tracing"):
        reason = tracing.usable()
        if not reason:
            try:
                return Observation(*tracing.count(argv, execute, read_families), "tracing")
            except OSError as error:
                reason = f"{error.filename or tracing.root}: {error.strerror}"
            except ParseError as error:
                reason = str(error)
    if method == "tracing" or not strace:
        without = "" if method == "tracing" else "; strace is not installed either, so install the package strace"
        raise MissingCapabilityError(f"This node cannot count netlink requests: the kernel's tracing is not usable ({reason}){without}.")
    with tempfile.TemporaryDirectory(prefix="datapath-strace-") as directory:
        log = os.path.join(directory, "log")
        ended = execute(strace_argv(list(argv), log))
        with open(log, encoding="utf-8", errors="replace") as file:
            note = f"The kernel's tracing is not usable ({reason})." if method == "auto" else ""
            return Observation(parse_strace(file.read()), ended, "strace", note)


# Runs a command and counts, as `observe`.
Look = Callable[[Sequence[str]], Observation]


def witness(argv: Sequence[str], expected: Mapping[str, Bounds], look: Look) -> Dict[str, Any]:
    """Return the witness ``{state, evidence, data}`` for one command."""
    data: Dict[str, Any] = {"argv": list(argv), "expected": {name or "all": str(bounds) for name, bounds in expected.items()}}
    began = time.monotonic()
    try:
        seen = look(argv)
    except LabError as error:
        return {"state": "missing", "evidence": str(error), "data": data}
    data.update(seen.count.as_dict(), method=seen.method, note=seen.note, rc=seen.ended.rc, duration_s=round(time.monotonic() - began, 3))
    if seen.ended.rc != 0:
        said = (seen.ended.stderr.strip().splitlines() or ["nothing"])[-1].rstrip(".")
        evidence = f"'{' '.join(argv)}' ended with status {seen.ended.rc} and said: {said}; what it asked for until then proves nothing."
        return {"state": "missing", "evidence": evidence, "data": data}
    state, evidence = judge(seen.count, expected)
    return {"state": state, "evidence": evidence, "data": data}


def witnesses(params: Mapping[str, Any], strace: bool, check_mode: bool, tracing: Optional[Tracing] = None) -> Dict[str, Any]:
    """Return the module's result: ``witness`` for ``argv``, ``witnesses`` by name for ``commands``.

    :param params: the options as the module netlink_requests documents them.
    :param strace: whether strace is installed.
    :param check_mode: whether to run nothing.
    :raises InvalidValueError: before any command was run.
    """
    single = params["argv"] is not None
    given = [{"name": "", "argv": params["argv"], "expect": params["expect"]}] if single else params["commands"]
    timeout_s = params["timeout_s"]
    if not timeout_s > 0:
        raise InvalidValueError(f"timeout_s {timeout_s} is not allowed; give seconds above 0.")
    wanted: Dict[str, Tuple[List[str], Dict[str, Bounds]]] = {}
    for index, item in enumerate(given):
        if not item["argv"] or not item["argv"][0]:
            where = "" if single else f"commands[{index}]: "
            raise InvalidValueError(f"{where}argv is empty; give the program and its arguments as a list.")
        if item["name"] in wanted:
            raise InvalidValueError(f"commands[{index}]: name {item['name']!r} is given twice; give each command a name of its own.")
        wanted[item["name"]] = (list(item["argv"]), expectation(item["expect"]))
    if check_mode:
        return {"argv": [argv for argv, _expected in wanted.values()]}
    execute, source = executor(timeout_s), tracing or Tracing()
    found = {
        name: witness(argv, expected, lambda command: observe(command, params["method"], source, execute, strace))
        for name, (argv, expected) in wanted.items()
    }
    return {"witness": found[""]} if single else {"witnesses": found}
