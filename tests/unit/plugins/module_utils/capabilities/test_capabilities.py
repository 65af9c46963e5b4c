# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trials of what a kernel can do: how each outcome becomes a sentence."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.capabilities import probe as trials
from ansible_collections.datapath.lab.plugins.module_utils.capabilities.model import BY_NAME, CAPABILITIES, Outcome, report, wanted
from ansible_collections.datapath.lab.plugins.module_utils.capabilities.probe import TRIALS, probe
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError


def node(status=0, complaint=""):
    """Return a node on which each command ends in the same way, and the list of what was run."""
    calls = []

    def run(argv, stdin=None, environ=None):
        calls.append((list(argv), stdin))
        return Completed(tuple(argv), status, "", complaint)

    return run, calls


def test_each_capability_has_exactly_one_way_to_be_tried_and_a_unique_name():
    assert len(BY_NAME) == len(CAPABILITIES)
    for capability in CAPABILITIES:
        assert sum(map(bool, (capability.batch, capability.queueing, capability.trial))) == 1, capability.name
        assert capability.trial is None or capability.trial in TRIALS
        assert capability.rules_out


def test_a_link_is_tried_in_a_namespace_of_its_own():
    run, calls = node()
    assert probe(BY_NAME["MACVLAN"], run) == Outcome(True, "a link was made in a namespace of its own")
    ((argv, stdin),) = calls
    assert argv == ["unshare", "--net", "--", "ip", "-batch", "-"]
    assert "type macvlan mode bridge" in stdin


def test_what_the_kernel_said_becomes_part_of_the_sentence():
    run, _calls = node(1, "Error: Unknown device type.\nCommand failed -:1\n")
    outcome = probe(BY_NAME["DUMMY"], run)
    entry = report(BY_NAME["DUMMY"], outcome, "n1")
    assert entry["available"] is False
    assert entry["rules_out"] == (
        "On n1 kube-proxy's IPVS mode, which keeps its addresses on a dummy interface, cannot be used: making a link failed with "
        "'Error: Unknown device type'."
    )


def test_what_is_there_rules_nothing_out():
    assert report(BY_NAME["VETH"], Outcome(True, "it was made"), "n1") == {"available": True, "how": "it was made", "rules_out": ""}


def test_a_queueing_discipline_gets_its_arguments_as_arguments():
    run, calls = node(2, "Error: Specified qdisc kind is unknown.\n")
    assert probe(BY_NAME["NETEM"], run).how == "setting a queueing discipline failed with 'Error: Specified qdisc kind is unknown'"
    assert calls[0][0][-3:] == ["netem", "delay", "1ms"]
    assert "netem" not in calls[0][0][5]


def test_all_are_tried_unless_some_are_named():
    assert wanted([]) == CAPABILITIES
    assert [capability.name for capability in wanted(["VXLAN", "VETH"])] == ["VETH", "VXLAN"]
    with pytest.raises(InvalidValueError, match="no capability called 'VETHS'; there are .*VETH"):
        wanted(["VETHS"])


@pytest.mark.parametrize(("answer", "available"), [(errno.EBADF, True), (errno.ENOSYS, False), (errno.EPERM, False)])
def test_a_kernel_that_loads_modules_complains_about_the_file(monkeypatch, answer, available):
    monkeypatch.setattr(trials, "_system_call", lambda *arguments: answer)
    assert trials.try_modules().available is available


def test_an_unknown_machine_has_no_number_for_a_call():
    assert trials._system_call(None) == errno.ENOSYS


@pytest.mark.parametrize(("answer", "available"), [(0, True), (errno.ENOENT, False)])
def test_the_family_of_ipvs_is_asked_for_by_name(monkeypatch, answer, available):
    asked = []

    def netlink(protocol, kind, payload):
        asked.append(payload)
        return answer

    monkeypatch.setattr(trials, "_netlink", netlink)
    assert trials.try_ip_vs().available is available
    assert b"IPVS\0" in asked[0]
    assert len(asked[0]) % 4 == 0


def test_netlink_that_is_refused_is_an_outcome(monkeypatch):
    def netlink(protocol, kind, payload):
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(trials, "_netlink", netlink)
    assert trials.try_nf_tables() == Outcome(False, "asking the kernel for nf_tables failed with 'Protocol not supported'")


def test_a_setting_is_tried_with_its_own_value(tmp_path):
    knob = tmp_path / "rps_cpus"
    knob.write_text("3\n")
    assert trials._rewrite(str(knob), "a mask").available
    assert knob.read_text() == "3\n"
    assert not trials._rewrite(str(tmp_path / "nothing"), "a mask").available


def test_a_device_that_is_not_there_is_an_outcome(tmp_path):
    outcome = trials._device(str(tmp_path / "vhost-net"), 0, lambda result: True)
    assert (outcome.available, "No such file or directory" in outcome.how) == (False, True)


def test_a_trial_in_a_process_of_its_own_brings_its_outcome_back(monkeypatch):
    monkeypatch.setattr(trials.syscalls, "unshare", lambda flags: None)
    before = os.getpid()
    outcome = trials.in_own_namespace(lambda: Outcome(False, f"made in {os.getpid()}"))
    assert not outcome.available
    assert outcome.how != f"made in {before}"


def test_a_namespace_that_cannot_be_made_is_an_outcome(monkeypatch):
    def refuse(flags):
        raise OSError(errno.EPERM, "unshare: Operation not permitted")

    monkeypatch.setattr(trials.syscalls, "unshare", refuse)
    assert "could not be made" in trials.in_own_namespace(lambda: Outcome(True, "")).how
