# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small kernel that watches itself, with the patched ip_vs in it: made once, booted for one test.

KASAN finds memory that is used after it was freed, lockdep a lock that is missing or taken in another order, PROVE_RCU a list that is walked
without protection. Under emulation the guest needs no module, no network and no init system: its first process is a shell script on a disk.

Needs root, mmdebstrap and QEMU, which the lab has installed.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.datapath.lab.plugins.module_utils import kernel_build
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.qemu.guest import QEMU, machine_argv

RECIPE = 1
PACKAGES = (*kernel_build.COMPILER_PACKAGES, "bc", "bison", "flex", "libelf-dev")
FRAGMENT = Path(__file__).with_suffix(".config")
# Words of a kernel that has found a fault, beside those that the race test knows.
COMPLAINTS = ("KASAN:", "possible recursive locking", "possible circular locking", "suspicious RCU usage", "BUG:", "WARNING:", "ODEBUG:", "rcu: INFO")
BOOT_LIMIT_S = 3600
BEGIN, END = "===== result", "===== end"
SCRIPT = f"""\
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /run/tools
tar -x -f /dev/vdc -C /run/tools
/usr/bin/python3 /run/tools/ipvs_races.py --base /run/tools/ipvsadm-base --patched /run/tools/ipvsadm-patched @OPTIONS@ > /run/result
echo
echo "{BEGIN} $?"
cat /run/result
echo "{END}"
sleep 1
exit 0
"""


def run(argv: Sequence[str], stdin: Optional[str] = None, environ: Optional[Dict[str, str]] = None) -> Completed:
    """Run a command as the modules do."""
    done = subprocess.run(argv, input=stdin, env={**os.environ, **(environ or {})}, capture_output=True, text=True, check=False)
    return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)


def patches(directory: Path) -> List[kernel_build.Patch]:
    """Return the patches of a role in their order."""
    return [kernel_build.Patch(path.name, path.read_text(encoding="utf-8")) for path in sorted(directory.glob("*.patch"))]


def missing_symbols(config: str, fragment: str) -> List[str]:
    """Return the symbols of a fragment that a configuration does not have."""
    have = set(re.findall(r"^(CONFIG_\w+)=y$", config, re.MULTILINE))
    return [symbol for symbol in re.findall(r"^(CONFIG_\w+)=y$", fragment, re.MULTILINE) if symbol not in have]


def complaints(console: str) -> List[str]:
    """Return the lines of a console in which the kernel tells of a fault."""
    return [line for line in console.splitlines() if any(word in line for word in COMPLAINTS)]


def build(workshop: kernel_build.Workshop, place: kernel_build.Place, kernel: kernel_build.Kernel, changes: Sequence[kernel_build.Patch]) -> Path:
    """Return the kernel's image, made now unless it is there (about ten minutes on two CPUs)."""
    fragment = FRAGMENT.read_text(encoding="utf-8")
    inputs = {
        "recipe": RECIPE,
        "what": "debug kernel",
        "suite": place.suite,
        "package_version": kernel.package_version,
        "config": fragment,
        "patches": kernel_build.patch_inputs(changes),
    }
    with workshop.lock():
        if workshop.finished(inputs):
            return workshop.directory(inputs) / "bzImage"
        began = time.monotonic()
        print(f"debug kernel: building {kernel.package_version} with {os.cpu_count()} jobs, which takes two CPUs about ten minutes", flush=True)
        source = f"linux-source-{kernel.series}"
        tree = workshop.toolchain(place, [*PACKAGES, f"{source}={kernel.package_version}"])
        with workshop.bench(tree) as bench:
            unpack = ["tar", "--extract", "--directory=/build", "--strip-components=1", f"--file=/usr/src/{source}.tar.xz"]
            workshop.inside(tree, unpack, "unpack the kernel's source")
            workshop.apply(tree, "/build", changes, f"{source} {kernel.package_version}")
            (bench / "lab.config").write_text(fragment, encoding="utf-8")
            make = ["make", "--silent", "-C", "/build", f"--jobs={os.cpu_count() or 1}", "KBUILD_BUILD_USER=lab", "KBUILD_BUILD_HOST=lab"]
            workshop.inside(tree, [*make, "KCONFIG_ALLCONFIG=/build/lab.config", "allnoconfig"], "configure the debug kernel")
            absent = missing_symbols((bench / ".config").read_text(encoding="utf-8"), fragment)
            if absent:
                raise SystemExit(f"The configuration of the debug kernel lacks {', '.join(absent)}.")
            workshop.inside(tree, [*make, "bzImage"], "build the debug kernel")
            result = workshop.unfinished()
            os.rename(bench / "arch/x86/boot/bzImage", result / "bzImage")
        workshop.keep(inputs, result, {"build_seconds": round(time.monotonic() - began, 1)})
        return workshop.directory(inputs) / "bzImage"


def race(image: Path, disk: Path, tools: Mapping[str, Path], options: str = "", console_path: Optional[Path] = None) -> Dict[str, Any]:
    """Boot the kernel on a disk that stays as it is, run the race test as its first process, and return what both said.

    :param tools: files by the name that they have in the guest.
    :returns: ``result`` of the test, None if it did not end, and ``complaints`` of the kernel.
    """
    with tempfile.TemporaryDirectory() as directory:
        script, archive, console = Path(directory) / "script", Path(directory) / "tools.tar", console_path or Path(directory) / "console"
        # A shell reads its script from the bare disk; a comment fills the last sector.
        text = SCRIPT.replace("@OPTIONS@", options).encode()
        script.write_bytes(text + b"#" * (-len(text) % 512))
        with tarfile.open(archive, "w") as tar:
            for name, path in tools.items():
                entry = tarfile.TarInfo(name)
                content = path.read_bytes()
                entry.size, entry.mode = len(content), 0o755
                tar.addfile(entry, io.BytesIO(content))
        argv = [QEMU, "-name", "datapath-lab-debug-kernel", "-nodefaults", "-no-user-config", "-display", "none", *machine_argv("emulated", nested=False)]
        argv += ["-smp", "2", "-m", "2G", "-no-reboot", "-kernel", str(image), "-serial", f"file:{console}"]
        argv += ["-append", "console=ttyS0 root=/dev/vda rw panic=-1 init=/bin/sh -- /dev/vdb"]
        for path in (disk, script, archive):
            argv += ["-drive", f"file={path},format=raw,if=virtio,snapshot=on"]
        print("debug kernel: booted; the races take some minutes under emulation", flush=True)
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        try:
            process.wait(BOOT_LIMIT_S)
        finally:
            process.kill()
            process.wait()
        said = console.read_text(encoding="utf-8", errors="replace").replace("\r", "")
    # What follows the marker may be broken by a line of the kernel.
    found = re.search(rf"{BEGIN} \d+\n(.*?){END}", said, re.DOTALL)
    body = "\n".join(line for line in found.group(1).splitlines() if not re.match(r"\[ *\d+\.\d+\]", line)) if found else ""
    return {"result": json.loads(body) if body else None, "complaints": complaints(said), "last": said.splitlines()[-15:]}
