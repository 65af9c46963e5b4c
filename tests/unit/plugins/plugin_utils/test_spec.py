# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a spec may say, and the sentence for what it may not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import InvalidValueError, LabError, MissingCapabilityError
from ansible_collections.datapath.lab.plugins.plugin_utils.spec import DEFAULT_INVALIDATION, read_spec
from hypothesis import given, settings
from hypothesis import strategies as some

SPEC: dict[str, Any] = {
    "name": "ipvs_dump",
    "title": "One request",
    "question": "Does it pay?",
    "arms": [
        {"name": "stock", "setup": "stock", "module": "ip_vs"},
        {"name": "base", "setup": "patched"},
        {"name": "patched", "setup": "patched", "requires": ["IP_VS"]},
    ],
    "points": [{"name": "1000x4", "services": 1000}, {"name": "8000×1 + 8000 fwmark×1", "services": 16000}],
    "workloads": [
        {"name": "dump", "tool": "hyperfine", "metrics": ["time_mean", "user_mean"], "duration_s": 2, "runs": 3},
        {"name": "load", "tool": "hyperfine", "metrics": ["time_mean"], "duration_s": {"1000x4": 1, "8000×1 + 8000 fwmark×1": 9}},
    ],
    "comparisons": [{"reference": "base", "arm": "patched", "headline": True}],
    "presets": {
        "quick": {"blocks": 3, "workloads": {"dump": {"runs": 1, "duration_s": 1}}},
        "standard": {"points": ["1000x4"], "pause": 4},
    },
}

PUBLISHED = {"point": "1000x4", "workload": "dump", "metric": "time_mean", "reference": "base", "arm": "patched", "speedup": 2.6}


def changed(**changes: Any) -> dict[str, Any]:
    """Return the spec with some keys replaced (or taken away, by None)."""
    made = {**copy.deepcopy(SPEC), "presets": {}, **changes}
    return {key: value for key, value in made.items() if value is not None}


def test_a_preset_replaces_what_it_names_and_nothing_else() -> None:
    """Blocks and the workload's own keys come from the preset, the rest from the spec."""
    quick, standard = read_spec(SPEC, "quick"), read_spec(SPEC, "standard")
    assert (quick.blocks, standard.blocks) == (3, 10)
    assert quick.workloads[0].data == {"runs": 1} and standard.workloads[0].data == {"runs": 3}
    assert quick.workloads[0].durations["1000x4"] == 1.0
    assert [point.name for point in standard.points] == ["1000x4"]
    assert standard.data["preset_data"] == {"pause": 4}
    assert read_spec(SPEC, "quick", blocks=7).blocks == 7


def test_a_comparison_that_names_no_workload_and_no_metric_means_all_primary_ones() -> None:
    """So that five tests need one line."""
    found = [(each.workload, each.metric) for each in read_spec(SPEC).comparisons]
    assert found == [("dump", "time_mean"), ("dump", "user_mean"), ("load", "time_mean")]


def test_free_data_of_arms_and_points_is_kept() -> None:
    """The tasks that apply them need it."""
    spec = read_spec(SPEC)
    assert spec.arms[0].as_dict()["module"] == "ip_vs"
    assert spec.points[0].as_dict() == {"name": "1000x4", "services": 1000}


def test_there_is_a_control_even_if_the_spec_names_none() -> None:
    """By default the first comparison's reference at the first point."""
    spec = read_spec(SPEC)
    assert (spec.control_arm, spec.control_points) == ("base", ("1000x4",))


@pytest.mark.parametrize(
    ("capabilities", "sentence"),
    [
        ({"IP_VS": True}, None),
        ({}, None),
        ({"IP_VS": False}, "This lab lacks the capability 'IP_VS', which the arm patched needs."),
        ({"IP_VS": "The kernel was built without IP_VS."}, "The kernel was built without IP_VS."),
        ({"IP_VS": {"available": True, "how": "asked", "rules_out": ""}}, None),
        ({"IP_VS": {"available": False, "how": "asked", "rules_out": "On n1 there is no IP_VS."}}, "On n1 there is no IP_VS."),
    ],
)
def test_a_missing_capability_rules_an_arm_out_with_a_sentence(capabilities: dict[str, Any], sentence: str | None) -> None:
    """The arm stays in the plan."""
    arms = {arm.name: arm.rules_out for arm in read_spec(SPEC, capabilities=capabilities).arms}
    assert arms == {"stock": None, "base": None, "patched": sentence}


def test_the_control_moves_to_an_arm_that_can_be_run() -> None:
    """A control is made in every experiment."""
    assert read_spec(SPEC, rules_out={"base": "No."}).control_arm == "stock"


def test_an_experiment_without_any_arm_left_says_why() -> None:
    """All sentences, not one of them."""
    with pytest.raises(MissingCapabilityError, match="ipvs_dump: One. Two. Three."):
        read_spec(SPEC, rules_out={"stock": "One.", "base": "Two.", "patched": "Three."})


def with_first(key: str, **changes: Any) -> dict[str, Any]:
    """Return the spec with the first entry of a list changed."""
    entries = copy.deepcopy(SPEC[key])
    return changed(**{key: [{**entries[0], **changes}, *entries[1:]]})


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("text", "spec must be a dictionary, not 'text'"),
        (changed(name=None), "spec.name must be a text that is not empty, not nothing"),
        (changed(name="a/b"), "spec.name must be made of letters"),
        (changed(name="a b"), "must not hold a space"),
        (changed(points=[]), "spec.points must be a list with at least one entry"),
        (changed(points=["a", "a"]), "spec.points has two entries with the name 'a'"),
        (changed(arms=[{"name": "x\ny"}]), r"spec.arms\[0\].name must be made of"),
        (with_first("arms", points=["9x9"]), r"spec.arms\[0\].points names the point '9x9', which is not one of: 1000x4"),
        (with_first("arms", rules_out=3), r"spec.arms\[0\].rules_out must be a sentence"),
        (with_first("workloads", duration_s=-1), r"spec.workloads\[0\].duration_s must be a number from 0 to 604800, not -1"),
        (with_first("workloads", duration_s={"1000x4": 1}), "duration_s.8000×1 \\+ 8000 fwmark×1 must be a number"),
        (with_first("workloads", metrics=[]), r"spec.workloads\[0\].metrics must be a list"),
        (with_first("comparisons", arm="new"), r"spec.comparisons\[0\].arm must name one arm of: stock, base, patched; it is 'new'"),
        (with_first("comparisons", arm="base"), "compares base with itself"),
        (with_first("comparisons", extra=1), "has the unknown key 'extra'; it may have:"),
        (changed(comparisons=[SPEC["comparisons"][0], SPEC["comparisons"][0]]), "the same comparison twice"),
        (changed(control={"arm": "none"}), "spec.control.arm must name one arm"),
        (changed(margin=2), "spec.margin must be a number from 0 to 0.9, not 2"),
        (changed(margin=True), "spec.margin must be a number from 0 to 0.9, not True"),
        (changed(retries=1.5), "spec.retries must be a whole number from 0 to 20, not 1.5"),
        (changed(invalidation={"steal": 1}), "a rule is called max_<counter> or forbid_<counter>"),
        (changed(invalidation={"max_steal_fraction": "much"}), "spec.invalidation.max_steal_fraction must be a number"),
        (changed(invalidation={"forbid_affinity_changed": 1}), "must be true or false"),
        (changed(presets={"slow": {}}), "spec.presets has the unknown key 'slow'"),
        (changed(presets={"standard": {}}), "spec.presets has no 'quick'; it has: standard"),
        (changed(presets={"quick": {"blocks": 0}}), "spec.presets.quick.blocks must be a whole number from 1"),
        (changed(presets={"quick": {"workloads": {"x": {}}}}), "names the workload 'x', which is not one of: dump, load"),
        (changed(published=[{**PUBLISHED, "speedup": None}]), "it has neither"),
        (changed(published=[{**PUBLISHED, "values": {"other": {}}}]), r"published\[0\].values names the arm 'other'"),
        (changed(costs={"step": 1}), "spec.costs has the unknown key 'step'"),
    ],
)
def test_a_wrong_spec_gets_a_sentence_that_names_the_key(spec: Any, says: str) -> None:
    """One sentence each, before anything is made."""
    with pytest.raises(InvalidValueError, match=says) as caught:
        read_spec(spec)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"preset": "fast"}, "preset must be one of quick, standard, published, not 'fast'"),
        ({"blocks": 0}, "blocks must be a whole number from 1 to 10000, not 0"),
        ({"rules_out": {"other": "No."}}, "rules_out names the arm 'other'"),
    ],
)
def test_a_wrong_argument_gets_a_sentence(arguments: dict[str, Any], says: str) -> None:
    """Likewise."""
    with pytest.raises(InvalidValueError, match=says):
        read_spec(SPEC, **arguments)


def test_rules_are_declared_beforehand_by_default() -> None:
    """An empty dictionary switches them off; nothing said keeps the defaults."""
    assert read_spec(SPEC).invalidation == DEFAULT_INVALIDATION
    assert read_spec(changed(invalidation={})).invalidation == {}


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a spec."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] + [found for key, inner in items for found in places(inner, (*path, key))]


FULL = {
    **SPEC,
    "control": {"arm": "base", "points": ["1000x4"]},
    "published": [PUBLISHED],
    "margin": 0.1,
    "invalidation": {"max_steal_fraction": 0.1},
    "retries": 1,
    "repeats": 2,
    "costs": {"step_s": 1},
}


@settings(max_examples=300, deadline=None)
@given(place=some.sampled_from(places(FULL)), value=JSON, preset=some.sampled_from(["quick", "standard"]))
def test_whatever_stands_anywhere_in_a_spec_it_is_read_or_refused_with_a_sentence(place: tuple[Any, ...], value: Any, preset: str) -> None:
    """Never another exception."""
    spec: Any = copy.deepcopy(FULL)
    if place:
        inner = spec
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
    else:
        spec = value
    try:
        read_spec(spec, preset)
    except LabError as error:
        assert str(error)
