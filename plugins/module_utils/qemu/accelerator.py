# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which accelerator really starts a guest: /dev/kvm may exist, open and still hang every guest, so a probe guest decides."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError, MissingCapabilityError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.qemu.guest import QEMU, machine_argv
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import PROBE_MARKER

# The first with an igb card.
MIN_QEMU = 8
# Before this the emulated cmpxchg16b leaves wrong flags, and a loaded guest panics in its allocator.
MIN_QEMU_EMULATED = 10


def parse_qemu_version(text: str) -> Tuple[int, ...]:
    """Read ``qemu-system-x86_64 --version``.

    Sample: ``QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)``
    """
    match = re.search(r"QEMU emulator version (\d+(?:\.\d+)+)", text)
    if match is None:
        raise ParseError(QEMU, "expected 'QEMU emulator version N.N'", text)
    return tuple(int(part) for part in match.group(1).split("."))


def require_qemu(version: Tuple[int, ...], accelerator: str) -> None:
    """Refuse a QEMU that cannot make the lab's guests, or under which they panic.

    :param version: QEMU's.
    :param accelerator: "kvm" or "emulated".
    """
    needed = MIN_QEMU_EMULATED if accelerator == "emulated" else MIN_QEMU
    if version[0] < needed:
        why = "under which emulated guests panic" if version[0] >= MIN_QEMU else "which lacks the cards that the lab needs"
        raise MissingCapabilityError(
            f"QEMU {'.'.join(map(str, version))} is installed, {why}; version {needed} or newer is needed "
            "(Debian 12 has it in bookworm-backports)."
        )


@dataclass(frozen=True)
class Verdict:
    """``accelerator``: "kvm" or "emulated"; ``reason``: why; ``seconds``: the probe guest's time to its marker."""

    accelerator: str
    reason: str
    seconds: Optional[float]

    def as_dict(self) -> Dict[str, Any]:
        """Return the form that is recorded and returned."""
        return {"accelerator": self.accelerator, "reason": self.reason, "probe_seconds": self.seconds}


def key_of(kernel: str, qemu: Tuple[int, ...], image_key: str, device_there: bool) -> str:
    """Return the name of a recorded verdict: it holds for one host kernel, QEMU and guest kernel."""
    return hashlib.sha256(json.dumps([kernel, qemu, image_key, device_there, 1]).encode()).hexdigest()[:16]


def recorded(path: Path) -> Optional[Verdict]:
    """Return the recorded verdict, or None if there is none that can be read."""
    try:
        data = json.loads(path.read_text())
        return Verdict(data["accelerator"], data["reason"], data["probe_seconds"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def record(path: Path, verdict: Verdict) -> None:
    """Keep a verdict."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(verdict.as_dict(), indent=1) + "\n")
    os.rename(partial, path)


def probe_argv(kernel: Path, initrd: Path, console: Path) -> list[str]:
    """Return the command of the probe guest: no disk, no card, a marker on its console."""
    return [
        QEMU, "-name", "datapath-lab-probe", "-nodefaults", "-no-user-config", "-display", "none", *machine_argv("kvm", nested=False),
        "-smp", "2", "-m", "256M", "-no-reboot", "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "console=ttyS0 loglevel=4 panic=-1 datapath_lab.probe",
        "-chardev", f"file,id=console,path={console}", "-serial", "chardev:console",
    ]


def probe(kernel: Path, initrd: Path, limit_s: float, device: Path = Path("/dev/kvm")) -> Verdict:
    """Start a guest under hardware acceleration and see whether it gets as far as its marker.

    :param kernel: the lab's own kernel.
    :param initrd: its initramfs, which knows the probe.
    :param limit_s: how long the guest may take.
    :param device: what QEMU opens.
    """
    if not device.exists():
        return Verdict("emulated", f"{device} does not exist", None)
    with tempfile.TemporaryDirectory(prefix="datapath-lab-probe-") as work:
        console = Path(work) / "console"
        said = Path(work) / "said"
        began = time.monotonic()
        with said.open("w") as errors:
            process = subprocess.Popen(
                probe_argv(kernel, initrd, console), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True,
            )
        # A QEMU that ends by an assertion shall not leave its memory on the disk.
        resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
        try:
            while True:
                text = console.read_text(errors="replace") if console.exists() else ""
                if PROBE_MARKER in text:
                    seconds = round(time.monotonic() - began, 1)
                    return Verdict("kvm", f"a probe guest was up under kvm after {seconds} s", seconds)
                if process.poll() is not None:
                    last = (said.read_text().strip().splitlines() or ["it said nothing"])[-1]
                    return Verdict("emulated", f"a probe guest under kvm ended with status {process.returncode}: {last}", None)
                if time.monotonic() - began > limit_s:
                    return Verdict("emulated", f"{device} is there, but a probe guest under kvm was not up within {limit_s:.0f} s", None)
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                raise LabError(f"The probe guest (process {process.pid}) did not end after SIGKILL; it hangs in the kernel.") from None
