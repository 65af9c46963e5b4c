# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All workload servers of a node in one go: as units with few commands, or supervised."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import CommandError, InvalidValueError, MissingCapabilityError, ParseError
from ansible_collections.datapath.lab.plugins.module_utils.services import units
from ansible_collections.datapath.lab.plugins.module_utils.services.catalogue import services
from ansible_collections.datapath.lab.plugins.module_utils.services.servers import Node, absent, present
from ansible_collections.datapath.lab.plugins.module_utils.services.units import Unit, UnitPlan, command_line, parse_states, plan, unit_text
from hypothesis import given
from hypothesis import strategies as st


def test_a_unit_takes_words_as_they_are() -> None:
    assert command_line(["/bin/a", "daemon off;", 'say "x"', "50%", "$HOME", "a\\b", ""]) == (
        r'"/bin/a" "daemon off;" "say \"x\"" "50%%" "$$HOME" "a\\b" ""'
    )
    with pytest.raises(InvalidValueError, match="control characters"):
        command_line(["/bin/a", "x\nExecStartPre=/bin/b"])


def test_the_text_of_a_unit() -> None:
    netserver, redis = services(["netserver", "redis"], "10.0.0.2", {}, "/lib")
    text = unit_text(netserver)
    assert 'ExecStart="/usr/bin/netserver" "-D" "-f" "-L" "10.0.0.2" "-4" "-p" "12865"\n' in text
    assert "Conflicts=netperf.service\n" in text and "User=daemon\n" in text
    assert "Conflicts" not in unit_text(redis)
    settings = [line.split("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")]
    # Each of these brings a system call filter, which would be measured with the server.
    filters = {"DynamicUser", "SystemCallFilter", "SystemCallArchitectures", "RestrictSUIDSGID", "RestrictAddressFamilies"}
    filters |= {"MemoryDenyWriteExecute", "RestrictNamespaces", "RestrictRealtime", "LockPersonality", "ProtectClock", "PrivateDevices"}
    filters |= {"ProtectKernelModules", "ProtectKernelTunables", "ProtectKernelLogs", "ProtectHostname"}
    assert not filters & set(settings)


RUNS, STOPPED, NONE = Unit("text", True, True), Unit("text", False, False), Unit(None, False, False)


@pytest.mark.parametrize(
    ("have", "want", "touched", "steps"),
    [
        ({"a": RUNS}, {"a": "text"}, [], UnitPlan([], [], [], [], [])),
        ({"a": NONE}, {"a": "text"}, [], UnitPlan([], [], ["a"], ["a"], ["a"])),
        ({}, {"a": "text"}, [], UnitPlan([], [], ["a"], ["a"], ["a"])),
        ({"a": RUNS}, {"a": "new"}, [], UnitPlan([], [], ["a"], [], ["a"])),
        ({"a": RUNS}, {"a": "text"}, ["a"], UnitPlan([], [], [], [], ["a"])),
        ({"a": STOPPED}, {"a": "text"}, [], UnitPlan([], [], [], ["a"], ["a"])),
        ({"a": RUNS, "b": RUNS}, {"b": "text"}, [], UnitPlan(["a"], ["a"], [], [], [])),
        ({"a": STOPPED}, {}, [], UnitPlan([], ["a"], [], [], [])),
        ({"a": Unit(None, True, False)}, {}, [], UnitPlan(["a"], [], [], [], [])),
    ],
)
def test_plan(have: Dict[str, Unit], want: Dict[str, str], touched: Sequence[str], steps: UnitPlan) -> None:
    made = plan(have, want, touched)
    assert made == steps
    assert bool(made) == any((steps.end, steps.remove, steps.write, steps.enable, steps.restart))


STATES = "Id=a.service\nActiveState=active\nUnitFileState=enabled\n\nId=b.service\nActiveState=inactive\nUnitFileState=\n"


def test_states_of_units() -> None:
    assert parse_states(STATES) == {"a.service": (True, True), "b.service": (False, False)}
    with pytest.raises(ParseError):
        parse_states("Id=a.service\n")


@given(text=st.text())
def test_arbitrary_text_is_a_value_or_a_parse_error(text: str) -> None:
    try:
        assert isinstance(parse_states(text), dict)
    except ParseError:
        return


class Systemctl:
    """systemctl with the units of one directory, and what it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.active: Dict[str, bool] = {}
        self.enabled: Dict[str, bool] = {}
        self.asked: List[List[str]] = []
        self.refuses = ""

    def __call__(self, argv: Sequence[str], **_more: Any) -> Completed:
        words = [word for word in argv[1:] if not word.startswith("--")]
        self.asked.append(words)
        verb, names = words[0], words[1:]
        if verb == self.refuses:
            return Completed(tuple(argv), 1, "", "Failed: no\n")
        if verb == "show":
            blocks = [
                f"Id={name}\nActiveState={'active' if self.active.get(name) else 'inactive'}\n"
                f"UnitFileState={'enabled' if self.enabled.get(name) else ''}\n"
                for name in names
            ]
            return Completed(tuple(argv), 0, "\n".join(blocks), "")
        for name in names:
            assert (self.directory / name).exists(), "a unit is used before it is written, or after it was removed"
            if verb == "restart":
                self.active[name] = True
            elif verb == "enable":
                self.enabled[name] = True
            elif verb == "disable":
                self.active[name] = self.enabled[name] = False
        return Completed(tuple(argv), 0, "", "")

    @property
    def verbs(self) -> List[str]:
        """What was asked for, and forget it."""
        verbs = [words[0] for words in self.asked]
        self.asked = []
        return verbs


class Keeper:
    """Remembers what was brought to life."""

    def __init__(self) -> None:
        self.running: Dict[str, Any] = {}
        self.restarted: List[str] = []

    def bring(self, name: str, want: Any, check_mode: bool, restart: bool = False) -> Dict[str, Any]:
        changed = self.running.get(name) != want or (restart and want is not None)
        if not check_mode:
            self.running = {**self.running, name: want} if want else {key: value for key, value in self.running.items() if key != name}
            self.restarted += [name] if restart else []
        return {"changed": changed}


NAMES = ["netserver", "nginx", "counters"]


@pytest.fixture
def systemctl(tmp_path: Path) -> Systemctl:
    (tmp_path / "units").mkdir()
    return Systemctl(tmp_path / "units")


def node(tmp_path: Path, run: Any, keeper: Any = None, lacking: Sequence[str] = ()) -> Node:
    return Node(run, keeper, str(tmp_path / "lib"), str(tmp_path / "units"), str(tmp_path / "units"), lambda _programs: lacking, lambda: [0, 1])


class TestUnits:
    def test_all_of_them_with_four_commands(self, tmp_path: Path, systemctl: Systemctl) -> None:
        made = present(node(tmp_path, systemctl), NAMES, "10.0.0.2", {}, "auto", False)
        assert systemctl.verbs == ["show", "daemon-reload", "enable", "restart"]
        assert made["changed"] and [target["port"] for target in made["targets"]] == [12865, 8080, 7117]
        assert set(systemctl.active) == {f"datapath-lab-{name}.service" for name in NAMES}
        assert sorted(os.listdir(tmp_path / "lib")) == ["counters_responder.py", "nginx.conf"]

    def test_on_some_cpus_only(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl)
        present(here, NAMES, "10.0.0.2", {}, "auto", False, "1")
        texts = {name: (tmp_path / f"units/datapath-lab-{name}.service").read_text() for name in NAMES}
        assert 'ExecStart="/usr/bin/taskset" "--cpu-list" "1" "/usr/bin/netserver"' in texts["netserver"]
        # The responder is no load: it may run where the servers do not.
        assert "taskset" in texts["nginx"] and "taskset" not in texts["counters"]
        with pytest.raises(InvalidValueError, match="names CPU 2; allowed are 0-1"):
            present(here, NAMES, "10.0.0.2", {}, "auto", False, "1-2")
        assert present(here, NAMES, "10.0.0.2", {}, "auto", False)["changed"]

    def test_a_second_time_changes_nothing(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl)
        present(here, NAMES, "10.0.0.2", {}, "auto", False)
        assert systemctl.verbs
        again = present(here, NAMES, "10.0.0.2", {}, "auto", False)
        assert not again["changed"] and systemctl.verbs == ["show"]

    def test_a_server_that_ended_is_started(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl)
        present(here, NAMES, "10.0.0.2", {}, "auto", False)
        systemctl.active["datapath-lab-nginx.service"] = False
        assert present(here, NAMES, "10.0.0.2", {}, "auto", False)["services"] == ["datapath-lab-nginx.service"]
        assert systemctl.verbs[-1] == "restart" and systemctl.active["datapath-lab-nginx.service"]

    def test_a_changed_file_restarts_its_server(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl)
        present(here, NAMES, "10.0.0.2", {}, "auto", False)
        (tmp_path / "lib/nginx.conf").write_text("other")
        made = present(here, NAMES, "10.0.0.2", {}, "auto", False)
        assert made["services"] == ["datapath-lab-nginx.service"]
        assert made["diff"]["after"]["files"] == {str(tmp_path / "lib/nginx.conf"): "present"}

    def test_other_servers_are_left(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl)
        present(here, NAMES, "10.0.0.2", {}, "auto", False)
        present(here, ["netserver"], "10.0.0.2", {}, "auto", False)
        assert all(systemctl.active.values()) and len(systemctl.active) == 3

    def test_check_mode_changes_nothing(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl, lacking=["/usr/sbin/nginx"])
        made = present(here, NAMES, "10.0.0.2", {}, "auto", True)
        assert made["changed"] and len(made["services"]) == 3
        assert systemctl.verbs == ["show"] and not (tmp_path / "lib").exists() and os.listdir(tmp_path / "units") == []

    def test_absent_removes_all_and_then_nothing(self, tmp_path: Path, systemctl: Systemctl) -> None:
        here = node(tmp_path, systemctl)
        present(here, NAMES, "10.0.0.2", {}, "auto", False)
        (tmp_path / "units/other.service").write_text("")
        assert systemctl.verbs
        assert absent(here, "auto", True)["changed"] and systemctl.verbs == ["show"]
        assert absent(here, "auto", False)["changed"]
        assert systemctl.verbs == ["show", "disable", "daemon-reload"]
        assert os.listdir(tmp_path / "units") == ["other.service"] and not (tmp_path / "lib").exists()
        assert not any(systemctl.active.values())
        assert not absent(here, "auto", False)["changed"]

    def test_what_systemctl_refuses_is_said(self, tmp_path: Path, systemctl: Systemctl) -> None:
        systemctl.refuses = "restart"
        with pytest.raises(CommandError, match="Could not start the workload servers"):
            present(node(tmp_path, systemctl), NAMES, "10.0.0.2", {}, "auto", False)


def test_programs_that_are_missing_are_named_before_anything_is_written(tmp_path: Path, systemctl: Systemctl) -> None:
    with pytest.raises(MissingCapabilityError, match="not installed on this node: /usr/sbin/nginx"):
        present(node(tmp_path, systemctl, lacking=["/usr/sbin/nginx"]), NAMES, "10.0.0.2", {}, "auto", False)
    assert systemctl.verbs == [] and not (tmp_path / "lib").exists()


def test_missing_programs() -> None:
    assert units.missing(["/bin/sh", "/nonexistent/b", "/nonexistent/a", "/nonexistent/a"]) == ["/nonexistent/a", "/nonexistent/b"]


class TestSupervised:
    def test_each_is_kept_running(self, tmp_path: Path) -> None:
        keeper = Keeper()
        here = node(tmp_path, None, keeper)
        made = present(here, NAMES, "10.0.0.2", {}, "supervised", False)
        assert made["services"] == NAMES and keeper.running["netserver"].user == "daemon"
        assert not present(here, NAMES, "10.0.0.2", {}, "supervised", False)["changed"]

    def test_a_changed_file_restarts_its_server(self, tmp_path: Path) -> None:
        keeper = Keeper()
        here = node(tmp_path, None, keeper)
        present(here, NAMES, "10.0.0.2", {}, "supervised", False)
        keeper.restarted = []
        (tmp_path / "lib/counters_responder.py").write_text("other")
        assert present(here, NAMES, "10.0.0.2", {}, "supervised", False)["services"] == ["counters"]
        assert keeper.restarted == ["counters"]

    def test_absent(self, tmp_path: Path) -> None:
        keeper = Keeper()
        here = node(tmp_path, None, keeper)
        present(here, ["sockperf_tcp", "nginx"], "10.0.0.2", {}, "supervised", False)
        assert absent(here, "supervised", False)["services"] == ["sockperf-tcp", "nginx"]
        assert keeper.running == {}


def test_auto_takes_systemd_where_it_runs(tmp_path: Path) -> None:
    here = Node(None, None, booted=str(tmp_path))
    assert here.has_systemd("auto") and here.has_systemd("systemd") and not here.has_systemd("supervised")
    assert not Node(None, None, booted=str(tmp_path / "no")).has_systemd("auto")
