# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe of the accelerator: only a guest's marker counts, whatever /dev/kvm says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, List

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import accelerator
from ansible_collections.datapath.lab.plugins.module_utils.qemu.image import PROBE_MARKER


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str, float], accelerator.Verdict]:
    """Probe with a QEMU that is a Python program; CONSOLE in it is the console's path."""

    def start(program: str, limit_s: float) -> accelerator.Verdict:
        device = tmp_path / "kvm"
        device.touch()

        def argv(_kernel: Path, _initrd: Path, console: Path) -> List[str]:
            return [sys.executable, "-c", f"CONSOLE = {str(console)!r}\n{program}"]

        monkeypatch.setattr(accelerator, "probe_argv", argv)
        return accelerator.probe(Path("vmlinuz"), Path("initrd"), limit_s, device)

    return start


def test_a_guest_that_reaches_its_marker_proves_kvm(probe: Callable[[str, float], accelerator.Verdict]) -> None:
    found = probe(f"import time; open(CONSOLE, 'w').write('[ 0.1] x\\n{PROBE_MARKER}\\n'); time.sleep(60)", 30.0)
    assert found.accelerator == "kvm" and found.seconds is not None


def test_a_guest_that_hangs_means_emulation(probe: Callable[[str, float], accelerator.Verdict]) -> None:
    found = probe("import time; open(CONSOLE, 'w').write('SeaBIOS\\n'); time.sleep(60)", 0.3)
    assert found.accelerator == "emulated" and found.seconds is None
    assert "is there, but a probe guest under kvm was not up within 0 s" in found.reason


def test_a_qemu_that_ends_means_emulation_with_its_own_words(probe: Callable[[str, float], accelerator.Verdict]) -> None:
    found = probe("import sys; sys.exit('failed to initialize kvm: Permission denied')", 30.0)
    assert found.accelerator == "emulated"
    assert found.reason.endswith("status 1: failed to initialize kvm: Permission denied")


def test_no_device_means_emulation_at_once(tmp_path: Path) -> None:
    found = accelerator.probe(Path("vmlinuz"), Path("initrd"), 30.0, tmp_path / "kvm")
    assert (found.accelerator, found.reason) == ("emulated", f"{tmp_path / 'kvm'} does not exist")


def test_the_probe_guest_runs_under_kvm_with_the_labs_machine() -> None:
    argv = accelerator.probe_argv(Path("/k"), Path("/i"), Path("/c"))
    assert any(each.endswith("accel=kvm") for each in argv) and "datapath_lab.probe" in argv[argv.index("-append") + 1].split()


@pytest.mark.parametrize(
    ("version", "kind", "words"),
    [
        ((7, 2, 22), "emulated", "lacks the cards"),
        ((7, 2), "kvm", "version 8 or newer"),
        ((8, 2, 2), "emulated", "emulated guests panic; version 10"),
        ((9, 2), "emulated", "panic"),
    ],
)
def test_an_old_qemu_is_refused(version: tuple[int, ...], kind: str, words: str) -> None:
    with pytest.raises(MissingCapabilityError, match=words):
        accelerator.require_qemu(version, kind)


@pytest.mark.parametrize(("version", "kind"), [((10, 0, 2), "emulated"), ((8, 2, 2), "kvm"), ((11, 0), "kvm")])
def test_a_newer_one_is_not(version: tuple[int, ...], kind: str) -> None:
    accelerator.require_qemu(version, kind)


def test_a_verdict_is_kept_for_one_host_kernel_and_qemu(tmp_path: Path) -> None:
    keys = {
        accelerator.key_of("6.1", (10, 0), "image", True),
        accelerator.key_of("6.2", (10, 0), "image", True),
        accelerator.key_of("6.1", (10, 1), "image", True),
        accelerator.key_of("6.1", (10, 0), "other", True),
        accelerator.key_of("6.1", (10, 0), "image", False),
    }
    assert len(keys) == 5
    path = tmp_path / "accelerator" / "x.json"
    assert accelerator.recorded(path) is None
    verdict = accelerator.Verdict("emulated", "why", None)
    accelerator.record(path, verdict)
    assert accelerator.recorded(path) == verdict
    path.write_text("{", encoding="utf-8")
    assert accelerator.recorded(path) is None
