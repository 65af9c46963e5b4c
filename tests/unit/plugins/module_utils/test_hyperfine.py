# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""hyperfine in interleaved blocks: the schedule, what its exports mean, and what makes a measurement invalid."""

from __future__ import annotations

import json
import shlex
import statistics
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest
from ansible_collections.datapath.lab.plugins.module_utils import hyperfine
from ansible_collections.datapath.lab.plugins.module_utils.command import Completed
from ansible_collections.datapath.lab.plugins.module_utils.errors import (
    CommandError,
    InvalidValueError,
    MissingCapabilityError,
    ParseError,
)
from ansible_collections.datapath.lab.plugins.module_utils.hyperfine import Settings, benchmark, parse_export, schedule
from hypothesis import given
from hypothesis import strategies as st

FIXTURES = Path(__file__).parents[4] / "tests/fixtures/hyperfine"
CAPTURES = sorted(FIXTURES.glob("*.out"))


def meaning(path: Path) -> Dict[str, Any]:
    """Return what is used of an export, or the error that it gives."""
    try:
        result = parse_export(path.read_text(encoding="utf-8"))
    except ParseError as error:
        return {"error": str(error)[:60]}
    used = {key: result[key] for key in ("times", "user", "system", "exit_codes")}
    return {**used, "failures": hyperfine.failures(result["exit_codes"])}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_a_capture_means_its_golden_value(path: Path) -> None:
    assert meaning(path) == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_there_are_captures_of_two_versions() -> None:
    assert {path.stem.split("-")[1] for path in CAPTURES} >= {"1.15", "1.19"}


@given(text=st.text() | st.text(alphabet='{}[]":,.0123456789eE-nulltimes '))
def test_arbitrary_text_gives_a_value_or_a_parse_error(text: str) -> None:
    with pytest.raises(ParseError):
        parse_export(text)


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["times", "user", "system", "exit_codes", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    result=st.dictionaries(st.sampled_from(["times", "user", "system", "exit_codes"]), json_values),
    times=st.none() | st.lists(st.floats(0, 9), min_size=1, max_size=3),
)
def test_arbitrary_json_gives_a_value_or_a_parse_error(result: Dict[str, Any], times: Optional[List[float]]) -> None:
    if times is not None:
        result = {"user": 0.0, "system": 0, "times": times, "exit_codes": [0] * len(times), **result}
    try:
        parsed = parse_export(json.dumps({"results": [result]}))
    except ParseError:
        return
    assert all(value >= 0 for value in parsed["times"])
    assert len(parsed["times"]) == len(parsed["exit_codes"]) > 0


@pytest.mark.parametrize("key", ["times", "user", "system", "exit_codes"])
def test_an_export_that_lacks_something_is_refused(key: str) -> None:
    document = json.loads((FIXTURES / "hyperfine-1.19-five-runs.out").read_text(encoding="utf-8"))
    del document["results"][0][key]
    with pytest.raises(ParseError, match=key):
        parse_export(json.dumps(document))


@given(
    names=st.lists(st.sampled_from("abcdef"), unique=True, min_size=1),
    blocks=st.integers(1, 20),
    seed=st.integers(),
    order=st.sampled_from(hyperfine.ORDERS),
)
def test_every_block_visits_every_command_once(names: List[str], blocks: int, seed: int, order: str) -> None:
    visits = schedule(names, Settings(blocks=blocks, seed=seed, order=order))
    assert [block for block, _name in visits] == [block for block in range(1, blocks + 1) for _name in names]
    for block in range(1, blocks + 1):
        assert sorted(name for number, name in visits if number == block) == sorted(names)
    assert visits == schedule(names, Settings(blocks=blocks, seed=seed, order=order))


@given(seed=st.integers(), blocks=st.integers(1, 10))
def test_abba_mirrors_each_odd_block(seed: int, blocks: int) -> None:
    visits = schedule(["a", "b", "c"], Settings(blocks=2 * blocks, seed=seed))
    orders = [[name for number, name in visits if number == block] for block in range(1, 2 * blocks + 1)]
    for odd, even in zip(orders[::2], orders[1::2]):
        assert even == odd[::-1]


def test_the_seed_decides_who_comes_first() -> None:
    firsts = {schedule(["a", "b"], Settings(seed=seed))[0][1] for seed in range(20)}
    assert firsts == {"a", "b"}
    assert schedule(["b", "a"], Settings(blocks=2, order="fixed")) == [(1, "b"), (1, "a"), (2, "b"), (2, "a")]


class FakeHyperfine:
    """Writes exports with times that count up; ``does`` maps the command line to (exit status of hyperfine, exit code of the command)."""

    def __init__(self, **does: Any) -> None:
        self.does = does
        self.calls: List[List[str]] = []
        self.environment: Any = None
        self.clock = 0.0

    def __call__(self, argv: Sequence[str], stdin: Optional[str] = None, environ: Any = None) -> Completed:
        if list(argv) == ["hyperfine", "--version"]:
            return Completed(tuple(argv), 0, "hyperfine 1.19.0\n", "")
        self.calls.append(list(argv))
        self.environment = environ
        status, code = self.does.get(argv[-1], (0, 0))
        if status == 0:
            runs = int(next(word for word in argv if word.startswith("--runs=")).split("=")[1])
            self.clock += 1
            times = [self.clock] * runs
            result = {"command": argv[-1], "times": times, "user": 0.25, "system": 0.5, "exit_codes": [code] * runs, "stddev": None}
            Path(argv[list(argv).index("--export-json") + 1]).write_text(json.dumps({"results": [result]}), encoding="utf-8")
        return Completed(tuple(argv), status, "", "Error: something of hyperfine's own\n" if status else "")


def run(fake: FakeHyperfine, commands: Any = None, check_mode: bool = False, raw_dir: Any = None, **settings: Any) -> Dict[str, Any]:
    given_commands = commands or [{"name": "base", "argv": ["a"]}, {"name": "patched", "argv": ["b"]}]
    return benchmark(given_commands, Settings(**settings), fake, {"N": 1}, raw_dir, check_mode)


def test_the_visits_are_interleaved_and_pooled_by_command() -> None:
    fake = FakeHyperfine()
    result = run(fake, blocks=4, runs=2, order="fixed")
    assert [call[-1] for call in fake.calls] == ["a", "b"] * 4
    base, patched = result["measurements"]["base"], result["measurements"]["patched"]
    assert base["samples"]["time"] == [1.0, 1.0, 3.0, 3.0, 5.0, 5.0, 7.0, 7.0]
    assert patched["metrics"]["time_mean"] == {"value": 5.0, "unit": "s", "better": "lower"}
    assert base["metrics"]["time_median"]["value"] == 4.0
    assert base["metrics"]["time_min"]["value"] == 1.0
    assert base["metrics"]["time_max"]["value"] == 7.0
    assert base["metrics"]["time_stddev"] == {
        "value": statistics.stdev([1.0, 1.0, 3.0, 3.0, 5.0, 5.0, 7.0, 7.0]),
        "unit": "s",
        "better": "neither",
    }
    assert (base["metrics"]["user_mean"]["value"], base["metrics"]["system_mean"]["value"]) == (0.25, 0.5)
    assert base["metrics"]["runs"]["value"] == 8
    assert base["invalid"] == []
    assert base["tool_version"] == "1.19.0"
    assert result["ansible_facts"]["datapath_lab"]["hyperfine"] == result["measurements"]
    assert "measurement" not in result
    assert [(entry["order"], entry["name"], entry["block"]) for entry in result["raw"][:3]] == [
        (1, "base", 1),
        (2, "patched", 1),
        (3, "base", 2),
    ]


def test_one_command_has_its_measurement_at_the_top_too() -> None:
    result = run(FakeHyperfine(), [{"name": "only", "argv": ["a"]}], blocks=1)
    assert result["measurement"] == result["measurements"]["only"]
    assert "time_stddev" not in result["measurement"]["metrics"]


def test_hyperfine_is_called_without_a_shell_and_within_a_time_limit() -> None:
    fake = FakeHyperfine()
    run(fake, [{"name": "odd", "argv": ["prog", "a b", "$HOME", "it's"]}], blocks=1, warmup=3, runs=2, output="pipe", timeout_s=7.5)
    argv = fake.calls[0]
    assert argv[:4] == ["timeout", "--kill-after=5", "7.5", "hyperfine"]
    assert {"--shell=none", "--warmup=3", "--runs=2", "--output=pipe", "--ignore-failure"} <= set(argv)
    assert shlex.split(argv[-1]) == ["prog", "a b", "$HOME", "it's"]
    assert fake.environment == {"N": "1"}


def test_a_command_that_fails_is_invalid_and_not_visited_again() -> None:
    fake = FakeHyperfine(b=(0, 3))
    result = run(fake, blocks=3, runs=2, order="fixed")
    assert result["measurements"]["patched"]["invalid"] == ["patched: Block 1: 2 of 2 runs did not end with status 0 but with 3."]
    assert result["measurements"]["base"]["invalid"] == []
    assert [call[-1] for call in fake.calls] == ["a", "b", "a", "a"]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(124, "took longer than timeout_s, 600 s"), (137, "took longer"), (1, "hyperfine failed in block 1: Error: something")],
)
def test_a_visit_without_an_export_is_invalid_and_has_no_metrics(status: int, sentence: str) -> None:
    result = run(FakeHyperfine(b=(status, 0)), blocks=2)
    patched = result["measurements"]["patched"]
    assert sentence in patched["invalid"][0]
    assert patched["metrics"] == {}
    assert result["measurements"]["base"]["metrics"]["runs"]["value"] == 2


def test_an_earlier_export_is_never_taken_for_a_later_one() -> None:
    class ForgetsToWrite(FakeHyperfine):
        def __call__(self, argv: Sequence[str], stdin: Optional[str] = None, environ: Any = None) -> Completed:
            if self.calls:
                self.calls.append(list(argv))
                return Completed(tuple(argv), 0, "", "")
            return super().__call__(argv, stdin, environ)

    result = run(ForgetsToWrite(), blocks=1, order="fixed")
    assert result["measurements"]["patched"]["metrics"] == {}
    assert result["measurements"]["patched"]["invalid"]


def test_check_mode_runs_nothing_and_says_what_would_run() -> None:
    fake = FakeHyperfine()
    result = run(fake, check_mode=True, blocks=2)
    assert fake.calls == []
    assert result["argv"]["base"][0] == "hyperfine"
    assert len(result["schedule"]) == 4
    assert "measurements" not in result


def test_the_raw_exports_are_kept(tmp_path: Path) -> None:
    result = run(FakeHyperfine(), raw_dir=str(tmp_path / "raw"), blocks=1)
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == sorted(Path(path).name for path in result["raw_files"])
    assert json.loads(Path(result["raw_files"][0]).read_text(encoding="utf-8")) == result["raw"][0]


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValueError, match="raw_dir"):
        run(FakeHyperfine(), raw_dir=str(tmp_path / "file" / "below"), blocks=1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"blocks": 0}, "blocks 0"),
        ({"runs": 0}, "runs 0"),
        ({"warmup": -1}, "warmup -1"),
        ({"blocks": 1000, "runs": 1000}, "too many"),
        ({"order": "sorted"}, "order 'sorted'"),
        ({"output": "file"}, "output 'file'"),
        ({"timeout_s": 0.0}, "timeout_s 0"),
        ({"timeout_s": float("nan")}, "timeout_s nan"),
        ({"commands": [{"name": "a/b", "argv": ["x"]}]}, "commands[0]: name 'a/b'"),
        ({"commands": [{"name": "a", "argv": ["x"]}, {"name": "a", "argv": ["y"]}]}, "commands[1]: name 'a' is given twice"),
        ({"commands": [{"name": "a", "argv": []}]}, "commands[0]: argv is empty"),
    ],
)
def test_a_bad_value_is_refused_before_anything_is_run(changes: Dict[str, Any], words: str) -> None:
    fake = FakeHyperfine()
    with pytest.raises(InvalidValueError) as caught:
        run(fake, changes.pop("commands", None), **changes)
    assert words in str(caught.value)
    assert fake.calls == []


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="commands is empty"):
        benchmark([], Settings(), FakeHyperfine(), {}, None, False)


@pytest.mark.parametrize(("text", "error"), [("hyperfine 1.12.0\n", MissingCapabilityError), ("something\n", ParseError)])
def test_an_unknown_or_old_version_is_refused(text: str, error: Any) -> None:
    with pytest.raises(error):
        hyperfine.version(lambda argv, **_rest: Completed(tuple(argv), 0, text, ""))


def test_a_missing_hyperfine_is_one_sentence() -> None:
    def missing(argv: Sequence[str], **_rest: Any) -> Completed:
        raise CommandError("Could not start 'hyperfine': No such file or directory.")

    with pytest.raises(MissingCapabilityError, match="install the package hyperfine"):
        hyperfine.version(missing)


STAT = """cpu  0 0 0 0 0 0 0 0 0 0
cpu0 {busy} 0 0 {idle} 0 0 0 {steal} 0 0
cpu1 0 0 {busy} {idle} 0 0 0 0 0 0
ctxt {switches}
"""


class FakeGauge:
    """Each visit takes ``ticks`` of each of two CPUs, half of them busy, of which the own processes take ``own_s`` seconds."""

    def __init__(self, ticks: int, own_s: float, steal: int = 0) -> None:
        self.ticks, self.own_s, self.steal = ticks, own_s, steal
        self.read = 0

    def gauge(self) -> hyperfine.Gauge:
        return hyperfine.Gauge(self.stat, self.own)

    def stat(self) -> str:
        # The first reading of a visit is the last one's end.
        visits = (self.read + 1) // 2
        self.read += 1
        half = visits * self.ticks // 2
        return STAT.format(busy=half, idle=half, steal=visits * self.steal, switches=visits * 7)

    def own(self) -> float:
        return self.read // 2 * self.own_s


def loaded(fake: FakeGauge, **settings: Any) -> Dict[str, Any]:
    result = benchmark([{"name": "a", "argv": ["a"]}], Settings(**settings), FakeHyperfine(), {}, None, False, fake.gauge())
    return result["measurement"]["counters"]["local"]


def test_the_load_of_a_visit_is_counted_and_others_are_told_from_us() -> None:
    counters = loaded(FakeGauge(400, 3.0, steal=8), blocks=1)
    assert counters["context_switches"] == 7
    assert counters["cpu"]["count"] == 2
    assert counters["cpu"]["busy_s"] == 4.0
    assert counters["cpu"]["workload_s"] == 3.0
    assert counters["cpu"]["foreign_cpu_fraction"] == pytest.approx(1.0 / 8.08)
    assert counters["cpu"]["steal_fraction"] == pytest.approx(8 / 808)


def test_the_load_of_several_visits_is_added_up() -> None:
    counters = loaded(FakeGauge(400, 2.0), blocks=3)
    assert (counters["cpu"]["busy_s"], counters["cpu"]["workload_s"], counters["context_switches"]) == (12.0, 6.0, 21)
    assert counters["cpu"]["foreign_cpu_fraction"] == pytest.approx(6.0 / 24.0)


def test_a_visit_too_short_for_the_clock_gives_no_fractions() -> None:
    assert "foreign_cpu_fraction" in loaded(FakeGauge(100, 0.1), blocks=1)["cpu"]
    assert "foreign_cpu_fraction" not in loaded(FakeGauge(98, 0.1), blocks=1)["cpu"]
    assert "steal_fraction" not in loaded(FakeGauge(98, 0.1), blocks=1)["cpu"]


def test_the_node_s_own_gauge_reads_something() -> None:
    gauge = hyperfine.node_gauge()
    load = gauge.since(gauge.read())
    assert load.cpus >= 1
    assert load.own_s >= 0
