# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules of the embedded lab as Ansible starts them: one JSON document, and no trace of Python for a user's mistake."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.qemu import accelerator, host, image
from ansible_collections.datapath.lab.plugins.module_utils.qemu import guest as guests
from ansible_collections.datapath.lab.plugins.module_utils.qemu import network as networks
from ansible_collections.datapath.lab.plugins.modules import (
    lab_host,
    lab_image,
    lab_info,
    lab_keys,
    lab_network,
    lab_spec,
    qemu_accelerator,
    qemu_guest,
)

NODES = {"lb1": {"index": 1, "cpus": 2, "nics": [{"network": "data", "address": "198.18.0.1/24"}]}}
Call = Callable[..., Dict[str, Any]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a module's main() and return its result."""

    def start(module: Any, check: bool = False, **options: Any) -> Dict[str, Any]:
        with patch_module_args({**options, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        result: Dict[str, Any] = json.loads(capsys.readouterr().out)
        assert "Traceback" not in str(result) and "exception" not in result
        return result

    return start


def spec_options(tmp_path: Path, **changed: Any) -> Dict[str, Any]:
    return {"name": "default", "port_base": 22200, "nodes": NODES, "groups": ["all", "lab_nodes"], "state_dir": str(tmp_path), **changed}


def test_a_lab_is_completed(call: Call, tmp_path: Path) -> None:
    result = call(lab_spec, **spec_options(tmp_path))
    assert result["networks"] == ["data"] and result["nodes"]["lb1"]["port"] == 22201
    assert result["changed"] is False and result["nodes"]["lb1"]["nics"][0]["model"] == "virtio"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"groups": ["all", "loadbalancer"]}, "unknown node group 'loadbalancer'"),
        ({"nodes": {"lb1": {"index": 1, "cpus": 0}}}, "'cpus' must be from 1"),
        ({"nodes": {"lb1": {"index": 1, "nics": [{"network": "data", "model": "ne2k"}]}}}, "'ne2k'"),
    ],
)
def test_a_mistake_is_one_sentence(call: Call, tmp_path: Path, changed: Dict[str, Any], words: str) -> None:
    result = call(lab_spec, **spec_options(tmp_path, **changed))
    assert result["failed"] is True and words in result["msg"]


def test_no_space_is_said_before_anything(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "free_bytes", lambda _path: 0)
    assert "512 MiB are needed" in call(lab_spec, **spec_options(tmp_path))["msg"]
    result = call(lab_image, cache_dir=str(tmp_path))
    assert "No disk space for the guests' image: 2048 MiB" in result["msg"]
    assert list(tmp_path.iterdir()) == []


def test_only_the_ports_of_nodes_that_are_started_must_be_free(call: Call, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = int(listener.getsockname()[1]) - 1
        assert f"Port {base + 1}" in call(lab_spec, **spec_options(tmp_path, port_base=base, start=["lb1"]))["msg"]
        assert "failed" not in call(lab_spec, **spec_options(tmp_path, port_base=base))


def test_what_the_machine_lacks_is_returned_and_refused_once_it_should_be_there(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "look", lambda _run: host.Host("debian", "13", "trixie", ("mmdebstrap",), (10, 0), ()))
    monkeypatch.setattr(host, "check_kernel", lambda: None)
    result = call(lab_host)
    assert (result["packages"], result["release"], result["distribution"]) == (["mmdebstrap"], None, "debian 13")
    assert "mmdebstrap" in call(lab_host, complete=True)["msg"]


def test_a_machine_that_cannot_says_why(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_run: Any) -> host.Host:
        raise MissingCapabilityError("not here")

    monkeypatch.setattr(host, "look", refuse)
    assert call(lab_host)["msg"] == "not here"


def finished(cache: Path) -> image.Image:
    made = image.Image(image.recipe_of("trixie", [], 8).key, cache)
    made.directory.mkdir(parents=True)
    made.rootfs.mkdir(parents=True)
    kernels = {"cloud": {"release": "6.12-cloud-amd64", "package_version": "1"}}
    made.manifest.write_text(json.dumps({"kernels": kernels, "built": "x", "build_seconds": 1.0, "archives": []}), encoding="utf-8")
    return made


def test_an_image_that_is_there_is_left_alone(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = finished(tmp_path)
    monkeypatch.setattr(lab_image, "build", lambda _module, _builder: pytest.fail("nothing is to be built"))
    result = call(lab_image, cache_dir=str(tmp_path))
    assert result["changed"] is False and result["rootfs"] == str(made.rootfs)
    assert result["kernels"]["cloud"]["initrd"] == str(made.initrd("cloud"))


def test_an_image_that_is_not_is_made_unless_checked(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: List[str] = []

    def build(_module: Any, builder: image.Builder) -> None:
        built.append(builder.image.key)
        finished(tmp_path)

    monkeypatch.setattr(lab_image, "build", build)
    result = call(lab_image, check=True, cache_dir=str(tmp_path))
    assert result["changed"] is True and "kernels" not in result and not built
    assert call(lab_image, cache_dir=str(tmp_path))["changed"] is True
    assert len(built) == 1
    assert call(lab_image, check=True, cache_dir=str(tmp_path), refresh=True)["changed"] is True


def test_a_build_asks_apt_for_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        """What build() takes of a module."""

        params = {"suite": "trixie", "mirror": None, "security_mirror": None}

    class Builder:
        """Keeps what it shall build from."""

        def build(self, archives: List[str], proxy: Dict[str, str]) -> None:
            self.given = (archives, proxy)

    def run(argv: Sequence[str], **_more: Any) -> Completed:
        text = "http://m.example/d/|trixie|main\n" if "indextargets" in argv else 'Acquire::http::Proxy "http://p.example/";\n'
        return Completed(tuple(argv), 0, text, "")

    class Distribution:
        """A Debian 13."""

        def __init__(self, _module: Any) -> None:
            pass

        def get_distribution_facts(self) -> Dict[str, str]:
            return {"distribution": "Debian", "distribution_release": "trixie"}

    monkeypatch.setattr(lab_image, "runner_of", lambda _module: run)
    monkeypatch.setattr(lab_image, "Distribution", Distribution)
    builder = Builder()
    lab_image.build(Module(), builder)  # type: ignore[arg-type]
    assert builder.given == (["deb http://m.example/d trixie main"], {"Acquire::http::Proxy": "http://p.example/"})


def test_keys_are_made_once(call: Call, tmp_path: Path) -> None:
    options = {"name": "default", "port_base": 22200, "nodes": NODES, "state_dir": str(tmp_path)}
    assert call(lab_keys, check=True, **options)["changed"] is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_network_that_is_as_wanted_is_left_alone(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    there = state == "present"
    monkeypatch.setattr(networks.Network, "exists", lambda _self: there)
    monkeypatch.setattr(networks.Network, "bridges", lambda _self: ["br-data"] if there else [])
    for method in ("create", "remove"):
        monkeypatch.setattr(networks.Network, method, lambda *_given: pytest.fail("nothing is to be done"))
    result = call(lab_network, name="default", networks=["data"], state=state)
    assert (result["changed"], result["namespace"]) == (False, "datapath-lab-default")
    assert call(lab_network, check=True, name="default", networks=["more"], state="absent" if there else "present")["changed"] is True


def accelerator_options(tmp_path: Path, **changed: Any) -> Dict[str, Any]:
    return {"cache_dir": str(tmp_path), "image_key": "k", "kernel": "/k", "initrd": "/i", **changed}


def qemu_of(version: str) -> Any:
    return lambda _module: lambda argv: Completed(tuple(argv), 0, f"QEMU emulator version {version}\n", "")


def test_the_accelerator_is_probed_once(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probed: List[float] = []

    def probe(_kernel: Path, _initrd: Path, limit_s: float) -> accelerator.Verdict:
        probed.append(limit_s)
        return accelerator.Verdict("emulated", "it hung", None)

    monkeypatch.setattr(qemu_accelerator, "runner_of", qemu_of("10.0.2"))
    monkeypatch.setattr(accelerator, "probe", probe)
    results = [call(qemu_accelerator, **accelerator_options(tmp_path, limit=7)) for _time in range(2)]
    assert probed == [7] and results[0] == results[1]
    assert (results[0]["accelerator"], results[0]["reason"], results[0]["qemu_version"]) == ("emulated", "it hung", "10.0.2")
    assert call(qemu_accelerator, **accelerator_options(tmp_path, accelerator="kvm"))["accelerator"] == "kvm"


def test_an_old_qemu_never_emulates_a_guest(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_accelerator, "runner_of", qemu_of("8.2.2"))
    assert "panic" in call(qemu_accelerator, **accelerator_options(tmp_path, accelerator="emulated"))["msg"]


@pytest.fixture
def guest_options(tmp_path: Path) -> Dict[str, Any]:
    """Options of a guest whose keys are there."""
    (tmp_path / "ssh").mkdir()
    for name in ("id_ed25519", "id_ed25519.pub", "host_lb1", "host_lb1.pub"):
        (tmp_path / "ssh" / name).write_text("ssh-ed25519 key\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = int(listener.getsockname()[1]) - 1
    return {
        "lab": "default",
        "name": "lb1",
        "state_dir": str(tmp_path),
        "port_base": base,
        "nodes": NODES,
        "accelerator": "emulated",
        "disk": "/d",
        "kernels": {"cloud": {"kernel": "/k", "initrd": "/i"}},
    }


def test_a_guest_is_started_with_what_was_planned(call: Call, guest_options: Dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    done: List[Any] = []
    monkeypatch.setattr(
        guests.Guest, "apply", lambda _self, steps, want, namespace, limit: done.append((steps, want.node.name, namespace, limit))
    )
    result = call(qemu_guest, check=True, **guest_options)
    assert (result["changed"], result["steps"], done) == (True, ["disk", "start", "wait"], [])
    assert result["diff"]["before"]["state"] == "absent" and result["diff"]["after"]["state"] == "running"
    call(qemu_guest, **guest_options, boot_limit=9)
    assert done == [(["disk", "start", "wait"], "lb1", Path("/run/netns/datapath-lab-default"), 9)]


def test_a_guest_of_a_lab_without_keys_can_be_checked(call: Call, guest_options: Dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "ssh/host_lb1").unlink()
    assert call(qemu_guest, check=True, **guest_options)["steps"] == ["disk", "start", "wait"]
    assert "lab_keys" in call(qemu_guest, **guest_options)["msg"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"name": "lb2"}, "has no node 'lb2'; it has lb1"), ({"nodes": {"lb1": {}}}, "'index'"), ({"kernels": {}}, "cloud")],
)
def test_a_mistake_about_a_guest_is_one_sentence(call: Call, guest_options: Dict[str, Any], changed: Dict[str, Any], words: str) -> None:
    assert words in call(qemu_guest, **{**guest_options, **changed})["msg"]


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_what_is_not_there_is_neither_stopped_nor_removed(call: Call, tmp_path: Path, state: str) -> None:
    result = call(qemu_guest, lab="default", name="lb1", state=state, state_dir=str(tmp_path))
    assert (result["changed"], result["steps"]) == (False, [])


def test_a_stopped_guest_is_removed_and_only_when_not_checked(call: Call, tmp_path: Path) -> None:
    directory = tmp_path / "nodes/lb1"
    directory.mkdir(parents=True)
    (directory / "overlay.qcow2").touch()
    options = {"lab": "default", "name": "lb1", "state": "absent", "state_dir": str(tmp_path)}
    result = call(qemu_guest, check=True, **options)
    assert (result["changed"], result["steps"]) == (True, ["remove"]) and directory.exists()
    assert call(qemu_guest, **options)["steps"] == ["remove"] and not directory.exists()
    assert call(qemu_guest, **options)["changed"] is False


def test_what_the_machine_refuses_is_one_sentence(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call(lab_image, cache_dir=str(tmp_path / "file"))
    assert result["failed"] is True and result["msg"].startswith("Could not make the guests' image: ") and str(tmp_path) in result["msg"]


def test_an_empty_lab_is_told_as_such(call: Call, tmp_path: Path) -> None:
    result = call(lab_info, name=f"none-{os.getpid()}", state_dir=str(tmp_path), cache_dir=str(tmp_path))
    assert (result["guests"], result["accelerator"], result["rootfs"], result["namespace"], result["cache_users"]) == (
        [],
        None,
        None,
        None,
        [],
    )
