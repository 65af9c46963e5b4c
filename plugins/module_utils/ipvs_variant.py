# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which build of ip_vs a node runs, and how to exchange it without a reboot.

The distribution's modules stay where they are and are found by modprobe. Builds of our own lie beside them, hidden from depmod:

    /lib/modules/RELEASE/datapath-lab/VARIANT/ip_vs.ko, ip_vs_rr.ko, …

Builds are told apart by the build ID that the linker has put into each, which the kernel shows for what it has loaded. (Debian's modules
have no srcversion.)

This file is also the program behind ``datapath-ipvs-variant`` on the node, so it needs nothing but Python's standard library there.
"""

from __future__ import annotations

import gzip
import json
import lzma
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

try:
    from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
except ImportError:  # on the node, as a program

    class LabError(Exception):  # type: ignore[no-redef]
        """Something that the user can put right."""


STOCK = "stock"
BUILT_IN = "built in"
CORE = "ip_vs"
DIRECTORY = "datapath-lab"
# They hook into the traffic of every namespace as soon as they are loaded; the kernel asks for them when a service wants them.
ON_DEMAND = ("ip_vs_ftp", "ip_vs_pe_sip")
# Namespaces are taken down and memory is given back in the background: the last reference may go a moment after the last service.
UNLOAD_TRIES = 40
UNLOAD_PAUSE_S = 0.25


class VariantError(LabError):
    """The wanted build of ip_vs cannot be put in force."""


@dataclass(frozen=True)
class Status:
    """What is loaded, and what could be.

    ``release``: the running kernel; ``variant``: name of the build in force, "none" if ip_vs is not loaded, "unknown" if it is
    none of those known; ``loaded``: its build ID; ``known``: build IDs by variant.
    """

    release: str
    variant: str
    loaded: Optional[str]
    known: Dict[str, str]

    def as_dict(self) -> Dict[str, Any]:
        """Return the status as it is printed and returned."""
        return {"release": self.release, "variant": self.variant, "build_id": self.loaded, "build_ids": dict(self.known)}


def variant_in_force(loaded: Optional[str], known: Dict[str, str]) -> str:
    """Return the name of the variant whose build ID is the loaded one."""
    if loaded is None:
        return "none"
    return next((name for name, build_id in sorted(known.items()) if build_id == loaded), "unknown")


def loaded_ipvs_modules(proc_modules: str) -> List[str]:
    """Return ip_vs and everything that stands on it, in the order in which it can be removed.

    Sample of /proc/modules: ``ip_vs 233472 6 ip_vs_wlc,ip_vs_rr, Live 0x0000000000000000 (OE)``
    """
    users: Dict[str, List[str]] = {}
    for line in proc_modules.splitlines():
        fields = line.split()
        if len(fields) >= 4:
            users[fields[0]] = [name for name in fields[3].split(",") if name and name != "-"]
    ordered: List[str] = []

    def remove(name: str) -> None:
        for user in users.get(name, ()):
            remove(user)
        if name in users and name not in ordered:
            ordered.append(name)

    remove(CORE)
    return ordered


def count_services(proc_net_ip_vs: str) -> int:
    """Return the number of services.

    Sample of /proc/net/ip_vs, after three lines of heading: ``TCP  0A000001:7530 rr``, and per destination ``  -> 0A010001:2710 Masq …``
    """
    return sum(1 for line in proc_net_ip_vs.splitlines() if line.split(" ", 1)[0] in ("TCP", "UDP", "SCTP", "FWM"))


# Header of an ELF note of type NT_GNU_BUILD_ID with 20 bytes of content, as x86-64 has it.
_NOTE = bytes.fromhex("04000000 14000000 03000000") + b"GNU\0"


def build_id_of(content: bytes) -> Optional[str]:
    """Return the build ID in an ELF file or in the kernel's copy of the note, None if there is none."""
    at = content.find(_NOTE)
    note = content[at + len(_NOTE) : at + len(_NOTE) + 20]
    return note.hex() if at >= 0 and len(note) == 20 else None


def module_content(path: str) -> bytes:
    """Return a module file, unpacked."""
    openers: Dict[str, Callable[[str], Any]] = {".xz": lzma.open, ".gz": gzip.open}
    with openers.get(os.path.splitext(path)[1], lambda name: open(name, "rb"))(path) as handle:
        return bytes(handle.read())


def read_text(path: str) -> Optional[str]:
    """Return the text of a file of the kernel, None if there is no such file."""
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return handle.read()
    # A process can end between the listing of /proc and the reading of its files: ESRCH, EINVAL.
    except OSError:
        return None


class Ipvs:
    """ip_vs on this node.

    :param run: ``run(argv) -> object with rc, stdout, stderr``.
    :param release: the running kernel.
    """

    def __init__(
        self,
        run: Callable[[Sequence[str]], Any],
        release: str,
        sys_root: str = "/sys",
        proc_root: str = "/proc",
        modules_root: str = "/lib/modules",
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep how to reach the node."""
        self._run = run
        self._release = release
        self._sys = sys_root
        self._proc = proc_root
        self._directory = os.path.join(modules_root, release, DIRECTORY)
        self._pause = pause

    def status(self) -> Status:
        """Return what is loaded and what is known."""
        known: Dict[str, str] = {}
        stock = self._run(["modinfo", "-k", self._release, "-F", "filename", CORE])
        files = {STOCK: stock.stdout.strip()} if stock.rc == 0 else {}
        for name in sorted(os.listdir(self._directory)) if os.path.isdir(self._directory) else ():
            files[name] = self._file(name, CORE)
        for name, path in files.items():
            build_id = build_id_of(module_content(path)) if os.path.isfile(path) else None
            if build_id is not None:
                known[name] = build_id
        loaded = self._loaded(built_in=files.get(STOCK) == "(builtin)")
        return Status(self._release, variant_in_force(loaded, known), loaded, known)

    def services(self) -> Dict[int, Tuple[int, int]]:
        """Return per network namespace that has services: a process in it, and how many services."""
        found: Dict[int, Tuple[int, int]] = {}
        seen = set()
        own = self._namespace("self")
        pids = [name for name in os.listdir(self._proc) if name.isdigit()]
        for pid in ["self", *sorted(pids, key=int)]:
            namespace = self._namespace(pid)
            if namespace is None or namespace in seen:
                continue
            seen.add(namespace)
            count = count_services(read_text(f"{self._proc}/{pid}/net/{CORE}") or "")
            if count:
                found[namespace] = (0 if namespace == own else int(pid), count)
        return found

    def check(self, want: str, have: Status, flush: bool) -> None:
        """Raise if the variant cannot be put in force; before anything is changed."""
        if want not in have.known:
            known = ", ".join(sorted(have.known)) or "none"
            raise VariantError(
                f"There is no variant {want!r} of ip_vs for kernel {self._release} on this node (there are: {known}); "
                "install it with role datapath.lab.kernel."
            )
        if have.loaded == BUILT_IN:
            raise VariantError(
                f"ip_vs is built into kernel {self._release}, so its variant cannot be exchanged; "
                "boot a Debian kernel, where it is a module."
            )
        if flush or have.loaded is None:
            return
        services = self.services()
        if services:
            total = sum(count for _pid, count in services.values())
            raise VariantError(
                f"ip_vs is in use on this node (IPVS services: {total}, network namespaces that have any: {len(services)}); "
                "remove them first (ipvsadm -C), or set flush: true to have them removed."
            )

    def switch(self, want: str, flush: bool = False, dry: bool = False, reload: bool = False) -> Tuple[Status, Status]:
        """Put a variant in force and prove it.

        :param want: name of the variant.
        :param flush: remove all services of all namespaces if ip_vs must be unloaded.
        :param dry: only find out what would be done.
        :param reload: unload and load a variant that is in force already, too.
        :returns: the status before and after; with ``dry`` the second one is a prediction.
        """
        before = self.status()
        if before.variant == want and not reload:
            return before, before
        self.check(want, before, flush)
        after = Status(self._release, want, before.known[want], before.known)
        if dry:
            return before, after
        if flush and before.loaded is not None:
            self._flush()
        self._unload()
        try:
            self._load(want)
        except LabError:
            # A node without ip_vs would fail in ways that do not point here.
            self._unload()
            if before.variant in before.known:
                self._load(before.variant)
            raise
        now = self.status()
        if now.variant != want:
            raise VariantError(
                f"ip_vs {want} was loaded but build {now.loaded} is in force where {before.known[want]} was expected: "
                "something else loads ip_vs on this node at the same time."
            )
        return before, now

    def _loaded(self, built_in: bool) -> Optional[str]:
        if built_in:
            return BUILT_IN
        try:
            with open(f"{self._sys}/module/{CORE}/notes/.note.gnu.build-id", "rb") as handle:
                return build_id_of(handle.read())
        except FileNotFoundError:
            return None

    def _file(self, variant: str, module: str) -> str:
        return os.path.join(self._directory, variant, f"{module}.ko")

    def _namespace(self, pid: str) -> Optional[int]:
        try:
            return os.stat(f"{self._proc}/{pid}/ns/net").st_ino
        except OSError:
            return None

    def _must(self, argv: Sequence[str], what: str) -> str:
        done = self._run(argv)
        if done.rc != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise VariantError(f"Could not {what}: '{' '.join(argv)}' ended with status {done.rc} and said: {said}")
        return str(done.stdout)

    def _flush(self) -> None:
        for pid, _count in self.services().values():
            enter = ["nsenter", f"--net=/proc/{pid}/ns/net", "--"] if pid else []
            self._must([*enter, "ipvsadm", "-C"], "remove the IPVS services")

    def _unload(self) -> None:
        for attempt in range(UNLOAD_TRIES):
            modules = loaded_ipvs_modules(read_text(f"{self._proc}/modules") or "")
            if not modules:
                return
            done = self._run(["rmmod", *modules])
            if done.rc == 0:
                return
            if attempt + 1 < UNLOAD_TRIES:
                self._pause(UNLOAD_PAUSE_S)
        said = (done.stderr.strip() or "rmmod failed").splitlines()[-1]
        raise VariantError(
            f"Could not unload ip_vs within {UNLOAD_TRIES * UNLOAD_PAUSE_S:.0f} s: {said}; "
            "a service in a network namespace without a process, a sync daemon or a firewall rule still uses it."
        )

    def _load(self, variant: str) -> None:
        if variant == STOCK:
            self._must(["modprobe", CORE], "load the distribution's ip_vs")
            return
        present = {name[:-3] for name in os.listdir(os.path.dirname(self._file(variant, CORE))) if name.endswith(".ko")}
        # Loaded at once: if the kernel asked for a scheduler, modprobe would bring the distribution's build of it.
        modules = [CORE, *sorted(present - {CORE, *ON_DEMAND})]
        files = [self._file(variant, module) for module in modules]
        depends = self._must(["modinfo", "-F", "depends", *files], f"read the modules of ip_vs {variant}")
        needed = sorted({name for line in depends.splitlines() for name in line.split(",") if name} - set(modules))
        if needed:
            self._must(["modprobe", "-a", *needed], "load what ip_vs needs")
        for path in files:
            self._must(["insmod", path], f"load ip_vs {variant}")


@dataclass(frozen=True)
class _Done:
    rc: int
    stdout: str
    stderr: str


def _run_here(argv: Sequence[str]) -> _Done:
    try:
        done = subprocess.run(
            list(argv),
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"},
        )
    except OSError as exception:
        return _Done(127, "", f"{argv[0]}: {exception.strerror}")
    return _Done(done.returncode, done.stdout, done.stderr)


def main(arguments: Sequence[str]) -> int:
    """Be the program ``datapath-ipvs-variant``: VARIANT [--flush], or status."""
    words = [word for word in arguments if word != "--flush"]
    if len(words) != 1 or words[0].startswith("-"):
        sys.stderr.write("Usage: datapath-ipvs-variant status | stock | patched [--flush]\n")
        return 2
    ipvs = Ipvs(_run_here, os.uname().release)
    try:
        status = ipvs.status() if words[0] == "status" else ipvs.switch(words[0], "--flush" in arguments)[1]
    except LabError as error:
        sys.stderr.write(f"datapath-ipvs-variant: {error}\n")
        return 1
    sys.stdout.write(json.dumps(status.as_dict()) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
