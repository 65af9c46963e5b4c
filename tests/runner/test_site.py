# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The site playbook as CI uses it: through ansible-runner, with the facts read back from its fact cache.

Needs root and brings its own lab up and down; a user's lab of another name is not touched.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterator

import ansible_mitogen
import ansible_runner
import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = "runner"
EXTRA = {
    "lab_name": LAB,
    "lab_port_base": 22350,
    "preset": "quick",
    "experiment_blocks": int(os.environ.get("DATAPATH_RUNNER_BLOCKS", "3")),
    "experiment_strategy": "mitogen_linear",
}
# As `make run` has it: under emulation the start of Python is most of what a task takes.
ENVIRONMENT = {"ANSIBLE_STRATEGY_PLUGINS": str(Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"), "ANSIBLE_DEPRECATION_WARNINGS": "false"}


def play(playbook: str, ident: str, cmdline: str = "", **extra: Any) -> Any:
    """Run a playbook through runner/ and return ansible-runner's object."""
    return ansible_runner.run(
        private_data_dir=str(ROOT / "runner"),
        playbook=playbook,
        ident=ident,
        # What is given here replaces runner/env/cmdline, the inventory with it.
        cmdline=f"-i ../../inventories/lab {cmdline}",
        extravars={**EXTRA, **extra},
        rotate_artifacts=6,
    )


def facts_of(runner: Any, host: str) -> Any:
    """Return the facts of a host from ansible-runner's cache; ansible-core 2.19 keeps them under ``s1_HOST``, as JSON in JSON."""
    return json.loads(runner.get_fact_cache(f"s1_{host}")["__payload__"])


def tasks_done(runner: Any, host: str) -> int:
    """Count the tasks that ended well on a host."""
    return sum(1 for event in runner.events if event["event"] == "runner_on_ok" and event["event_data"]["host"] == host)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this test's experiment writes."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def site(results: Path) -> Iterator[Any]:
    """The site playbook, run once; the lab goes down whatever happens."""
    # Set here and not through ansible-runner, which would write them into runner/env for every later run.
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        try:
            yield play("site.yml", "site", experiment_results=str(results))
        finally:
            play("lab_down.yml", "down")


def test_the_site_playbook_succeeds(site: Any) -> None:
    assert site.status == "successful"
    assert site.rc == 0


def test_ci_reads_the_measurement_from_the_fact_cache(site: Any) -> None:
    # The cache holds what the last workload returned, by arm.
    facts = facts_of(site, "lb1")["datapath_lab"]["hyperfine"]
    assert set(facts) <= {"stock", "base", "base#control", "patched"}
    assert facts
    for measurement in facts.values():
        assert measurement["tool"] == "hyperfine"
        assert measurement["metrics"]["time_mean"]["unit"] == "s"
        assert measurement["metrics"]["time_mean"]["value"] > 0


def test_every_comparison_stands_on_proved_arms(site: Any, results: Path) -> None:
    analysis = json.loads((results / "ipvs_dump" / "latest" / "analysis.json").read_text(encoding="utf-8"))
    comparisons = analysis["comparisons"]
    assert len(comparisons) == 12
    assert {entry["witness"] for entry in comparisons} == {"proved"}
    assert len({entry["point"] for entry in comparisons}) == 6


def test_the_report_exists_in_all_its_forms(site: Any, results: Path) -> None:
    latest = results / "ipvs_dump" / "latest"
    for name in ("plan.json", "environment.json", "measurements.jsonl", "report.md", "report.html", "measurements.csv"):
        assert (latest / name).stat().st_size > 0, name


def test_check_mode_on_a_lab_that_is_up_changes_nothing(site: Any, results: Path) -> None:
    before = sorted(path.name for path in (results / "ipvs_dump").iterdir())
    checked = play("site.yml", "check", cmdline="--check --diff", experiment_results=str(results))
    assert checked.rc == 0
    assert tasks_done(checked, "lb1") > 10
    # The one change that would be made is a new plan, with its measurements.
    would_change = [event["event_data"]["task"] for event in checked.events if event["event"] == "runner_on_ok" and event["event_data"]["res"].get("changed")]
    assert [name.partition(" for ")[0] for name in would_change] == ["Plan | Draw randomised blocks"]
    assert sorted(path.name for path in (results / "ipvs_dump").iterdir()) == before


def test_a_second_provisioning_changes_nothing(site: Any) -> None:
    second = play("site.yml", "second", cmdline="--tags lab,kernel,ipvsadm")
    assert second.rc == 0
    assert tasks_done(second, "lb1") > 10
    assert sum(second.stats["changed"].values()) == 0, second.stats["changed"]
