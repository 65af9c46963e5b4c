# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply, roll back, restore: on simulated machines, compared byte by byte."""

from __future__ import annotations

import errno
import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Optional

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.module_utils.nic import cli, read, resident, tuning
from ansible_collections.datapath.lab.plugins.module_utils.nic.journal import Store
from ansible_collections.datapath.lab.plugins.module_utils.nic.policy import Policy
from ansible_collections.datapath.lab.tests.unit.plugins.module_utils.nic.simulated import PCI, VECTORS, Simulated, SimulatedHost

WHOLE: dict[str, Any] = {
    "profile": "published",
    "channels": {"combined": 3},
    "rings": {"rx": 512},
    "coalesce": {"rx-usecs": 10, "adaptive-rx": True},
    "features": {"gro": False},
    "hash_fields": {"udp4": "sdfn"},
    "xps": "list",
    "xps_cpus": ["0-3"],
    "attributes": {"threaded": 1, "gro_flush_timeout": 20000},
    "backlog": 3000,
}


def machine(tmp_path: Path, **wanted: Any) -> SimulatedHost:
    return Simulated(tmp_path / "machine", **{"irqbalance": True, **wanted}).build()


def apply(host: SimulatedHost, wish: dict[str, Any], **more: Any) -> tuning.Result:
    return tuning.tune(Store(host), ["eth0"], Policy.of(wish), wish, **more)


def read_text(host: SimulatedHost, path: str) -> str:
    return host.read(path).strip()


@pytest.mark.parametrize("driver", sorted(VECTORS))
def test_there_and_back_is_byte_identical_for_every_driver(tmp_path: Path, driver: str) -> None:
    host = machine(tmp_path, driver=driver)
    former = host.snapshot()
    assert apply(host, WHOLE).changed
    assert host.snapshot() != former
    assert tuning.restore(Store(host)).changed
    assert host.snapshot() == former
    assert not host.exists(Store(host).path)


@pytest.mark.parametrize(
    "wish",
    [
        {"rss": "list", "rss_queues": [0, 2]},
        {"rss": "list", "rss_queues": [1, 0]},
        {"rss_key": ":".join(["ab"] * 40), "rss_function": "xor"},
        {"channels": {"combined": 1}},
        {"channels": {"combined": "max"}, "rss": "spread", "xps": "rxqs"},
        {"channels": {"combined": 2}, "rss": "list", "rss_queues": [1]},
    ],
    ids=str,
)
def test_tables_and_channels_come_back(tmp_path: Path, wish: dict[str, Any]) -> None:
    host = machine(tmp_path, driver="virtio_net")
    former = host.snapshot()
    apply(host, wish)
    tuning.restore(Store(host))
    assert host.snapshot() == former


def test_a_table_that_was_configured_by_a_user_comes_back_as_it_was(tmp_path: Path) -> None:
    host = machine(tmp_path)
    host.rss_table("eth0", [0, 1, 1, 2] * 32)
    former = host.snapshot()
    apply(host, {"rss": "list", "rss_queues": [3], "channels": {"combined": 5}})
    tuning.restore(Store(host))
    assert host.snapshot() == former


@pytest.mark.parametrize("driver", ["igb", "virtio_net", "tg3"])
@pytest.mark.parametrize("wish", [WHOLE, {"profile": "one_cpu_per_queue"}, {"profile": "off"}], ids=["whole", "one", "off"])
def test_the_second_run_changes_nothing(tmp_path: Path, driver: str, wish: dict[str, Any]) -> None:
    host = machine(tmp_path, driver=driver)
    apply(host, wish)
    count, tuned = len(host.changes), host.snapshot()
    again = apply(host, wish)
    assert not again.changed
    assert again.changes == ()
    assert len(host.changes) == count
    assert host.snapshot() == tuned


@pytest.mark.parametrize(
    "wish", [{"profile": "published"}, {"profile": "one_cpu_per_queue", "rings": {"rx": 512}, "features": {"gro": False}}], ids=str
)
def test_check_mode_predicts_exactly_what_is_done_and_touches_nothing(tmp_path: Path, wish: dict[str, Any]) -> None:
    host = machine(tmp_path)
    former = host.snapshot()
    predicted = apply(host, wish, check=True)
    assert host.snapshot() == former
    assert host.changes == []
    done = apply(host, wish)
    assert set(map(str, predicted.changes)) == set(map(str, done.changes))
    assert predicted.diff()["after"] == done.diff()["after"]


def test_no_process_is_started_per_queue(tmp_path: Path) -> None:
    counts = []
    for queues in (2, 64):
        host = Simulated(tmp_path / str(queues), cpus=64, queues=queues, most=64).build()
        apply(host, {"profile": "one_cpu_per_queue", "rps": "all_but_irq", "rfs": 32768})
        counts.append(len(host.commands))
    assert counts[0] == counts[1]


def test_originals_reach_the_disk_before_the_first_write(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, WHOLE)
    assert host.changes[0] == f"journal {Store(host).path} written"
    recorded = json.loads(host.read(Store(host).path))
    assert recorded["devices"]["eth0"]["originals"]["rx-0/rps_cpus"] == "0"
    assert recorded["devices"]["eth0"]["identity"]["bus"] == PCI


# Refusals on the way


@pytest.mark.parametrize(
    ("place", "code", "sentence"),
    [
        ("-L", errno.EINVAL, "channels combined = 3 was refused by the driver; allowed is what it has now"),
        ("-G", errno.EINVAL, "rings rx = 512 was refused"),
        ("-C", errno.EOPNOTSUPP, "coalesce rx-usecs = 10"),
        ("-K", errno.EOPNOTSUPP, "features generic-receive-offload = False was refused"),
        ("irq/4[13]/smp_affinity", errno.EIO, "affinity of interrupt 4[13] .* cannot be 1: the kernel manages this interrupt itself"),
        ("irq/4[13]/smp_affinity", errno.ENOSPC, "the kernel refused the mask .*; allowed are masks of online CPUs, 0-7"),
        ("rx-2/rps_cpus", errno.EINVAL, "rps_cpus of rx-2 cannot be fe: the kernel refused the mask"),
        (
            "rx-1/rps_flow_cnt",
            errno.ENOMEM,
            "rps_flow_cnt of rx-1 cannot be 16384: the kernel refused the number .* allowed are 0 to 536870912",
        ),
        ("tx-2/xps_cpus", errno.ENOENT, "xps_cpus of tx-2 cannot be"),
        (
            "rps_sock_flow_entries",
            errno.EROFS,
            "net.core.rps_sock_flow_entries cannot be 32768: this needs root and a writable /sys and /proc",
        ),
        ("threaded", errno.EOPNOTSUPP, "threaded cannot be 1: the kernel refused the value .*; allowed is what it has now, 0"),
    ],
)
def test_a_refusal_rolls_back_what_was_applied_before_it(tmp_path: Path, place: str, code: int, sentence: str) -> None:
    host = machine(tmp_path)
    former = host.snapshot()
    host.fail_at = (place, code)
    # The rollback must not meet the refused knob: it was never changed.
    with pytest.raises(LabError, match=sentence) as caught:
        apply(host, WHOLE)
    assert "rolled back" in str(caught.value) or "Nothing else had been changed" in str(caught.value)
    assert host.snapshot() == former
    assert not host.exists(Store(host).path)


def test_a_managed_interrupt_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    host = machine(tmp_path)
    former_state = {**host.load(), "managed": ["eth0-TxRx-2"]}
    host.save(former_state)
    former = host.snapshot()
    with pytest.raises(
        LabError,
        match=r"\(eth0-TxRx-2\) cannot be 4: the kernel manages this interrupt itself; allowed is only its present value, CPUs 0-7",
    ):
        apply(host, {"profile": "one_cpu_per_queue"})
    assert host.snapshot() == former


def test_a_refused_second_tuning_leaves_the_first_and_its_journal(tmp_path: Path) -> None:
    host = machine(tmp_path)
    former = host.snapshot()
    apply(host, {"profile": "one_cpu_per_queue"})
    tuned, journal = host.snapshot(), host.read(Store(host).path)
    host.fail_at = ("rx-3/rps_cpus", errno.EINVAL)
    with pytest.raises(LabError, match="rolled back"):
        apply(host, {"profile": "published"})
    host.fail_at = None
    assert host.snapshot() == tuned
    assert json.loads(host.read(Store(host).path)) == json.loads(journal)
    tuning.restore(Store(host))
    assert host.snapshot() == former


def test_a_value_that_does_not_read_back_is_an_error_and_rolled_back(tmp_path: Path) -> None:
    class Deaf(SimulatedHost):
        def write(self, path: str, text: str) -> None:
            super().write(path, "1" if path.endswith("rx-1/rps_cpus") and text != "0" else text)

    host = Deaf(Simulated(tmp_path / "machine"))
    Simulated(tmp_path / "machine").build()
    former = host.snapshot()
    with pytest.raises(LabError, match="Tuning did not take: eth0 rx-1 rps_cpus is 1 and not fe"):
        apply(host, {"profile": "published"})
    assert host.snapshot() == former


# Restoring


def test_a_second_tuning_keeps_the_first_originals(tmp_path: Path) -> None:
    host = machine(tmp_path)
    former = host.snapshot()
    apply(host, {"profile": "published"})
    apply(host, {"profile": "one_cpu_per_queue", "channels": {"combined": 6}})
    apply(host, {"profile": "off"})
    tuning.restore(Store(host))
    assert host.snapshot() == former


def test_after_a_reboot_the_former_state_comes_back_under_other_numbers(tmp_path: Path) -> None:
    host = machine(tmp_path)
    host.write("/proc/irq/41/smp_affinity", "c0")
    host.write("/sys/class/net/eth0/queues/rx-1/rps_cpus", "10")
    apply(host, WHOLE)
    host.reboot(first_irq=70, ifindex=9)
    assert read_text(host, "/proc/irq/71/smp_affinity") == "ff"
    tuning.restore(Store(host))
    assert read_text(host, "/proc/irq/71/smp_affinity") == "c0"
    assert read_text(host, "/sys/class/net/eth0/queues/rx-1/rps_cpus") == "10"
    assert read_text(host, "/sys/class/net/eth0/queues/rx-0/rps_cpus") == "00"


def test_a_renamed_device_is_found_by_its_bus_address(tmp_path: Path) -> None:
    host = machine(tmp_path, driver="virtio_net")
    apply(host, {"rps": "all_but_irq"})
    root = host.machine.root
    (root / "sys/class/net/eth0").rename(root / "sys/class/net/lan0")
    host.machine.name = "lan0"
    result = tuning.restore(Store(host))
    assert read_text(host, "/sys/class/net/lan0/queues/rx-0/rps_cpus") == "00"
    assert result.notes == ("eth0: recognised as lan0 by its bus address.",)


def test_a_device_that_is_gone_keeps_its_journal(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, {"rps": "all_but_irq"})
    (host.machine.root / "sys/class/net/eth0").unlink()
    with pytest.raises(
        LabError, match=r"the device is gone: eth0 \(bus address 0000:00:03.0.*bring the device back and restore again, or 'forget' it"
    ):
        tuning.restore(Store(host))
    assert host.exists(Store(host).path)
    assert tuning.forget(Store(host)).changed
    assert not host.exists(Store(host).path)


def test_interrupts_of_a_card_that_is_down_are_waited_for(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, {"profile": "one_cpu_per_queue"})
    for number in host.listdir(f"/sys/devices/pci0000:00/{PCI}/msi_irqs"):
        for action in host.directories(f"/proc/irq/{number}"):
            (host.machine.root / "proc/irq" / number / action).rmdir()
    (host.machine.root / "sys/class/net/eth0/flags").write_text("0x1002\n")
    with pytest.raises(LabError, match="Restoring is not complete: eth0 irq .* bring the device up and restore again"):
        tuning.restore(Store(host))
    assert host.exists(Store(host).path)


def test_queues_that_exist_no_more_are_told_of(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, {"rps": "all_but_irq"})
    state = host.load()
    state["channels"]["maximum"] = state["channels"]["current"] = 2
    state["table"] = host.machine.default_table(2)
    host.save(state)
    host.lay_queues(2, 2)
    originals = json.loads(host.read(Store(host).path))
    originals["devices"]["eth0"]["originals"]["channels/combined"] = 2
    Path(host.path(Store(host).path)).write_text(json.dumps(originals))
    notes = tuning.restore(Store(host)).notes
    assert any("rx-3/rps_cpus no longer exists" in note for note in notes)


def test_restoring_nothing_changes_nothing(tmp_path: Path) -> None:
    host = machine(tmp_path)
    assert not tuning.restore(Store(host)).changed
    assert host.changes == []


def test_restore_in_check_mode_predicts(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, {"rps": "mask", "rps_mask": "2"})
    tuned = host.snapshot()
    predicted = tuning.restore(Store(host), check=True)
    assert {(it.knob, it.want) for it in predicted.changes} == {(f"rx-{queue}/rps_cpus", "0") for queue in range(4)}
    assert host.snapshot() == tuned


def test_a_broken_journal_is_never_thrown_away(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, {"rps": "all_but_irq"})
    Path(host.path(Store(host).path)).write_text("{")
    for operation in (tuning.restore, tuning.status, tuning.forget):
        with pytest.raises(LabError, match="cannot be read .*only record of the original settings"):
            operation(Store(host))
    assert host.exists(Store(host).path)


# Irqbalance


def test_irqbalance_is_stopped_and_started_again(tmp_path: Path) -> None:
    host = machine(tmp_path, irqbalance=True)
    apply(host, {"profile": "one_cpu_per_queue"})
    assert not read.system(host).irqbalance.active
    tuning.restore(Store(host))
    assert read.system(host).irqbalance.active


def test_a_policy_for_the_daemon_alone_needs_no_interface(tmp_path: Path) -> None:
    host = machine(tmp_path)
    wish = {"irqbalance": "stop"}
    assert tuning.tune(Store(host), [], Policy.of(wish), wish).changed
    assert tuning.restore(Store(host)).changed
    assert read.system(host).irqbalance.active


def test_a_policy_for_devices_needs_one(tmp_path: Path) -> None:
    wish = {"rps": "off"}
    with pytest.raises(InvalidValueError, match="No interface was named"):
        tuning.tune(Store(machine(tmp_path)), [], Policy.of(wish), wish)


def test_a_daemon_outside_systemd_is_not_killed(tmp_path: Path) -> None:
    host = machine(tmp_path)
    (host.machine.root / "run/systemd/system").rmdir()
    former = host.snapshot()
    with pytest.raises(LabError, match="not run by systemd"):
        apply(host, {"profile": "published"})
    assert host.snapshot() == former


# Looking


def test_drift_is_what_another_hand_has_changed_since(tmp_path: Path) -> None:
    host = machine(tmp_path)
    apply(host, {"profile": "published"})
    assert tuning.status(Store(host))["drift"] == []
    host.write("/sys/class/net/eth0/queues/rx-2/rps_cpus", "2")
    host.write("/proc/sys/net/core/rps_sock_flow_entries", "64")
    status = tuning.status(Store(host))
    assert status["state"] == "applied"
    assert status["drift"] == [
        {"scope": "eth0", "knob": "rx-2/rps_cpus", "before": "fe", "after": "2"},
        {"scope": "system", "knob": "sysctl/net.core.rps_sock_flow_entries", "before": "32768", "after": "64"},
    ]
    assert {"scope": "eth0", "knob": "rx-0/rps_cpus", "before": "0", "after": "fe"} in status["differs"]


def test_status_of_an_untouched_node(tmp_path: Path) -> None:
    assert tuning.status(Store(machine(tmp_path)))["state"] == "none"


# The dead-man timer and the service at boot


def test_a_timer_is_armed_before_the_first_write_and_disarmed_by_a_confirmation(tmp_path: Path) -> None:
    host = machine(tmp_path)
    result = apply(host, {"rps": "all_but_irq"}, confirm_within=60)
    assert result.deadman is not None
    armed = next(at for at, what in enumerate(host.changes) if what.startswith("systemd-run"))
    assert not any("/sys/" in what for what in host.changes[:armed])
    timer = next(words for words in host.commands if words[0] == "systemd-run")
    assert "--on-active=60" in timer
    assert tuning.confirm(Store(host)).changed
    assert ("systemctl", "stop", f"{result.deadman['unit']}.timer") in host.commands
    assert not tuning.confirm(Store(host)).changed
    assert cli.main(["deadman", "--token", result.deadman["token"]], host) == 0
    assert read_text(host, "/sys/class/net/eth0/queues/rx-0/rps_cpus") == "fe"


def test_a_timer_that_fires_restores_and_tells_the_controller_that_comes_back(tmp_path: Path) -> None:
    host = machine(tmp_path)
    former = host.snapshot()
    token = apply(host, {"profile": "published"}, confirm_within=60).deadman["token"]
    assert cli.main(["deadman", "--token", "another"], host) == 0
    assert host.snapshot() != former
    assert cli.main(["deadman", "--token", token], host) == 0
    assert host.snapshot() == former
    with pytest.raises(
        LabError, match="There is no tuning to confirm: the dead-man timer put 1[0-9] settings back, since nobody confirmed"
    ):
        tuning.confirm(Store(host))


def test_without_systemd_a_process_of_its_own_waits(tmp_path: Path) -> None:
    host = machine(tmp_path, irqbalance=False)
    (host.machine.root / "run/systemd/system").rmdir()
    deadman = apply(host, {"rps": "all_but_irq"}, confirm_within=9).deadman
    assert host.spawned[0][-2:] == ("--wait", "9")
    assert deadman["pid"] == 4242


def test_the_wait_for_a_confirmation_is_bounded_by_the_rollback(tmp_path: Path) -> None:
    host = machine(tmp_path)
    host.fail_at = ("rx-2/rps_cpus", errno.EINVAL)
    with pytest.raises(LabError, match="rolled back"):
        apply(host, {"rps": "all_but_irq"}, confirm_within=60)
    assert any(words[:2] == ("systemctl", "stop") for words in host.commands)
    assert not host.exists(Store(host).path)


def test_the_program_on_the_node_is_whole_and_always_the_same_bytes() -> None:
    first = resident.program()
    assert first == resident.program()
    with zipfile.ZipFile(BytesIO(first)) as archive:
        names = archive.namelist()
        packed = {name for name in names if name.endswith("nic/tuning.py")}
    assert "__main__.py" in names
    assert len(packed) == 1


@pytest.mark.parametrize("unconfirmed", [False, True])
def test_a_persistent_policy_is_applied_at_boot_unless_nobody_had_confirmed_it(tmp_path: Path, unconfirmed: bool) -> None:
    host = machine(tmp_path, irqbalance=False)
    untouched = host.snapshot()
    wish = {"profile": "published"}
    assert apply(host, wish, persistent=True, confirm_within=60 if unconfirmed else 0).changed
    assert not apply(host, wish, persistent=True).changed
    unit = host.read("/etc/systemd/system/datapath-lab-tuning.service")
    command = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).split()
    assert ("systemctl", "enable", "--quiet", "datapath-lab-tuning.service") in host.commands
    host.reboot(first_irq=40, ifindex=2)
    assert cli.main(command[2:], host) == 0
    tuned = read_text(host, "/sys/class/net/eth0/queues/rx-0/rps_cpus") == "fe"
    assert tuned is not unconfirmed
    tuning.restore(Store(host))
    assert not host.exists("/etc/systemd/system/datapath-lab-tuning.service")
    host.machine._put("proc/sys/kernel/random/boot_id", "boot-1")
    assert host.snapshot() == untouched


def test_persistence_can_be_taken_back_without_a_restore(tmp_path: Path) -> None:
    host = machine(tmp_path)
    wish = {"rps": "all_but_irq"}
    apply(host, wish, persistent=True)
    assert apply(host, wish, persistent=False).changed
    assert not host.exists("/etc/systemd/system/datapath-lab-tuning.service")
    assert not apply(host, wish, persistent=False).changed


def test_persistence_needs_systemd(tmp_path: Path) -> None:
    host = machine(tmp_path, irqbalance=False)
    (host.machine.root / "run/systemd/system").rmdir()
    with pytest.raises(MissingCapabilityError, match="cannot be kept over a reboot here"):
        apply(host, {"rps": "all_but_irq"}, persistent=True)
    assert host.changes == []


# What is missing on a node


class WithoutEthtool(SimulatedHost):
    """A node on which ethtool is not installed."""

    def _ethtool(self, words: list[str]) -> tuple[int, str, str]:
        return 127, "", "not found"


def without_ethtool(tmp_path: Path) -> WithoutEthtool:
    machine_to_be = Simulated(tmp_path / "machine")
    machine_to_be.build()
    return WithoutEthtool(machine_to_be)


def test_steering_works_without_ethtool(tmp_path: Path) -> None:
    host = without_ethtool(tmp_path)
    former = host.snapshot()
    apply(host, {"rps": "all_but_irq", "irq": "one_per_queue", "xps": "off"})
    tuning.restore(Store(host))
    assert host.snapshot() == former


@pytest.mark.parametrize("wish", [{"rings": {"rx": 9}}, {"channels": {"combined": 2}}, {"rss": "spread"}], ids=str)
def test_what_needs_ethtool_says_so(tmp_path: Path, wish: dict[str, Any]) -> None:
    with pytest.raises(MissingCapabilityError, match="ethtool is not installed on this node"):
        apply(without_ethtool(tmp_path), wish)


@pytest.mark.parametrize("mac", ["52:54:00:00:00:99", None])
def test_a_software_device_made_anew_is_found_by_address_or_name(tmp_path: Path, mac: Optional[str]) -> None:
    host = machine(tmp_path)
    identity = read.identity(host, "eth0")
    (host.machine.root / "sys/class/net/eth0/device").unlink()
    software = read.identity(host, "eth0")
    assert (software.bus, software.driver) == ("", "igb")
    (host.machine.root / "sys/class/net/eth0/ifindex").write_text("17\n")
    if mac:
        (host.machine.root / "sys/class/net/eth0/address").write_text(mac + "\n")
    assert read.find(host, software) == ("eth0", "name" if mac else "MAC address")
    assert read.find(host, identity)[0] == (None if mac else "eth0")
