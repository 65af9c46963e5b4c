# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report as its readers get it: parsed, not looked at (tests/browser looks at it)."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import pytest
from ansible_collections.datapath.lab.plugins.module_utils.errors import LabError
from ansible_collections.datapath.lab.plugins.plugin_utils.analysis import analyse_directory
from ansible_collections.datapath.lab.plugins.plugin_utils.report.build import build_report
from markdown_it import MarkdownIt

Copier = Callable[[str], Path]
Editor = Callable[[Path, Callable[[dict[str, Any]], None]], None]

EXPERIMENTS = ("ipvs_dump", "netns_datapath", "lb_scaling")
SECTIONS = {
    "answer", "ratios", "values", "published", "cells", "cpu", "witnesses", "control", "invalid", "physics", "environment", "plan",
    "repeat", "limits",
}  # fmt: skip
GOLDEN = Path(__file__).parents[5] / "tests" / "fixtures" / "results" / "ipvs_dump" / "report.golden.md"
VOID = {"meta", "br", "hr", "img", "input", "link", "path", "use", "rect", "source"}


class Page(HTMLParser):
    """An HTML page: its elements with their attributes, the text by section, and whether the tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.sections: dict[str, str] = {}
        self._stack: list[str] = []
        self._section = ""
        self.feed(text)
        self.close()
        assert not self._stack, f"not closed: {self._stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "section":
            self._section = str(dict(attrs).get("id"))
            self.sections[self._section] = ""
        if tag not in VOID:
            self._stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._stack and self._stack[-1] == tag, f"</{tag}> closes {self._stack[-3:]}"
        self._stack.pop()
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        if "style" not in self._stack:
            # Two elements never run into one word on the page.
            data = f" {data} "
            self.text += data
            if self._section:
                self.sections[self._section] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(directory: Path) -> Page:
    """Return a directory's report, made anew where it was changed after its report."""
    if not (directory / "report.html").exists():
        build_report(directory, formats=["html"])
    return Page((directory / "report.html").read_text(encoding="utf-8"))


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_page_is_one_file_that_loads_nothing(reported: Copier, experiment: str) -> None:
    directory = reported(experiment)
    page = page_of(directory)
    assert not [tag for tag, _attributes in page.elements if tag in ("script", "link", "iframe", "object", "embed", "base", "form", "img")]
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "srcset", "xlink:href", "action", "data", "poster"):
                assert str(value).startswith("#"), (tag, name, value)
    text = (directory / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"@import|url\((?!#)", text)
    assert set(re.findall(r"https?://[^\"'< )]+", text)) <= {"http://www.w3.org/2000/svg", "http://198.18.0.10/"}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_section_is_there_and_every_reference_resolves(reported: Copier, experiment: str) -> None:
    page = page_of(reported(experiment))
    assert set(page.sections) == SECTIONS
    assert all(words(text) for text in page.sections.values())
    ids = [attributes["id"] for _tag, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.elements:
        for name in ("href", "aria-labelledby"):
            for reference in str(attributes.get(name) or "").split():
                assert reference.lstrip("#") in ids, (tag, name, reference)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_plots_have_words_and_tables_have_heads(reported: Copier, experiment: str) -> None:
    page = page_of(reported(experiment))
    svgs = page.all("svg")
    assert len(svgs) >= 4 and len(svgs) % 2 == 0
    for svg in svgs:
        assert svg["role"] == "img" and svg["aria-labelledby"]
    assert len(page.all("title")) == len(svgs) + 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(head.get("scope") in ("col", "row", "rowgroup") for head in page.all("th"))
    # A table scrolls in its own box, which the keyboard reaches.
    boxes = [box for box in page.all("div") if box.get("class") == "scroll"]
    assert len(boxes) == len(page.all("table"))
    assert all(box.get("tabindex") == "0" and box.get("aria-label") for box in boxes)


def test_the_answer_stands_first_with_its_label(reported: Copier) -> None:
    directory = reported("ipvs_dump")
    page = page_of(directory)
    analysis = json.loads((directory / "analysis.json").read_text(encoding="utf-8"))
    text = words(page.text)
    assert (
        text.index("emulated The nodes' processors were emulated") < text.index(analysis["answers"][0]["text"]) < text.index("Ratios with")
    )
    for said in analysis["sentences"]:
        assert words(said["text"]) in words(page.sections["answer"])
    for left in analysis["not_resolved"]:
        assert words(left["text"]) in words(page.sections["answer"])


def test_a_sentence_without_its_verdict_is_not_shown(results: Copier, edit: Editor) -> None:
    directory = results("ipvs_dump")
    told: list[str] = []

    def withdraw(analysis: dict[str, Any]) -> None:
        told.extend(said["text"] for said in analysis["sentences"][:3])
        first, second, third = (analysis["comparisons"][said["comparison"]] for said in analysis["sentences"][:3])
        first["verdict"] = "inconclusive"
        second["witness"] = "missing"
        third["verdict"] = "worse"

    edit(directory / "analysis.json", withdraw)
    text = words(page_of(directory).text)
    assert not [sentence for sentence in told if sentence in text]


def test_nothing_supported_is_no_answer(results: Copier, edit: Editor) -> None:
    directory = results("ipvs_dump")

    def withdraw(analysis: dict[str, Any]) -> None:
        for entry in analysis["comparisons"]:
            entry["verdict"] = "inconclusive"

    edit(directory / "analysis.json", withdraw)
    report = build_report(directory)
    assert report.answer[0] == "No answer: the measurements do not resolve the question."
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert "No answer: the measurements do not resolve the question." in page.sections["answer"]
    assert "better than base" not in page.sections["answer"]


def test_invalid_comparisons_show_no_ratio(results: Copier, edit: Editor) -> None:
    directory = results("lb_scaling")
    analysis = json.loads((directory / "analysis.json").read_text(encoding="utf-8"))
    invalid = next(entry for entry in analysis["comparisons"] if entry["verdict"] == "invalid")
    edit(
        directory / "analysis.json",
        lambda a: a["comparisons"][analysis["comparisons"].index(invalid)].update(speedup=7.7777, ci95=[7.7, 7.8]),
    )
    page = page_of(directory)
    assert "7.7" not in page.sections["ratios"] and "[7.70, 7.80]" not in page.text
    assert "Invalid" in page.sections["answer"]
    assert words(invalid["reason"]) in words(page.sections["answer"])


def test_an_unusable_rig_is_the_headline(results: Copier, edit: Editor) -> None:
    directory = results("ipvs_dump")

    def spoil(analysis: dict[str, Any]) -> None:
        analysis.update(rig="unusable", sentences=[], answers=[])
        analysis["controls"][0].update(excludes_one=True, speedup=1.2, ci95=[1.1, 1.3])

    edit(directory / "analysis.json", spoil)
    report = build_report(directory)
    assert report.answer[0].startswith("The rig is unusable: the same arm measured twice came out different (1000×4: 1.20 [1.10, 1.30])")
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert "The rig is unusable" in page.sections["answer"]
    assert "the rig is unusable" in page.sections["control"]
    assert "**The rig is unusable" in (directory / "report.md").read_text(encoding="utf-8")


def test_where_no_run_may_be_used_the_reason_stands_first(results: Copier) -> None:
    directory = results("netns_datapath")
    path = directory / "measurements.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"foreign_cpu_fraction":0.01', '"foreign_cpu_fraction":0.7'), encoding="utf-8")
    analysis = analyse_directory(str(directory), "2026-11-20T06:00:00Z")
    (directory / "analysis.json").write_text(json.dumps(analysis), encoding="utf-8")
    report = build_report(directory)
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert report.answer[0] == f"No answer: none of the {lines} runs may be used."
    assert report.answer[1].startswith("The reason: foreign_cpu_fraction at lb1 was 0.7, above the declared limit of 0.05 (")
    assert report.answer[-1].endswith("more comparisons are not resolved or invalid; the report lists them.") and len(report.answer) == 9
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert report.answer[1] in words(page.sections["answer"])
    assert "there is no ratio to draw" in page.sections["ratios"] and not page.all("svg")
    assert "no valid run" in page.sections["published"]


def test_evidence_is_told_once_where_it_is_the_same_at_all_points(reported: Copier) -> None:
    netns = words(Page((reported("netns_datapath") / "report.html").read_text(encoding="utf-8")).sections["witnesses"])
    assert netns.count("leaves by mv0") == 1 and "macvlan 30 of 30 the route to 198.18.0.2 leaves by mv0" in netns
    ipvs = words(Page((reported("ipvs_dump") / "report.html").read_text(encoding="utf-8")).sections["witnesses"])
    assert "100×100 6 of 6 101 netlink requests, command 8" in ipvs and "16000×1 6 of 6 16001 netlink requests" in ipvs


def test_what_was_not_measured_is_said_so(reported: Copier) -> None:
    page = page_of(reported("netns_datapath"))
    assert page.sections["cpu"].count("not measured") == 8
    assert "Not measured: netperf cpu_remote of veth at TCP_STREAM, TCP_MAERTS, TCP_RR, UDP_STREAM" in words(page.sections["limits"])
    assert "This kernel has no IPVLAN" in page.sections["limits"]
    lost = re.findall(r"veth [0-9.]+ ± [0-9.]+ Gbit/s [0-9.]+ ± [0-9.]+ Gbit/s ([0-9.]+) %", words(page.sections["cells"]))
    assert len(lost) == 1 and 70 < float(lost[0]) < 77


def test_curves_ceiling_and_percentiles(reported: Copier) -> None:
    page = page_of(reported("lb_scaling"))
    values = page.sections["values"]
    assert "request_rate over pods" in values
    assert "ceiling: line rate, 1 Gbit/s" in values
    assert "latency_closed_loop percentiles of wrk at 1 pods" in values and "P99.9" in values


def test_published_figures_stand_beside_ours(reported: Copier) -> None:
    directory = reported("ipvs_dump")
    page = page_of(directory)
    analysis = json.loads((directory / "analysis.json").read_text(encoding="utf-8"))
    replicated = sum(entry["replicated"] == "yes" for entry in analysis["comparisons"])
    assert f"Of 6 published ratios, {replicated} replicated" in words(page.sections["published"])
    for ratio in ("2.63", "3.69", "3.89", "5.62", "1.09", "5.36"):
        assert ratio in page.sections["published"]
    netns = page_of(reported("netns_datapath"))
    assert words(netns.sections["published"]).count("857.39 Mbit/s ±2.5 %") == 1


def test_the_plan_and_the_way_to_repeat_it(reported: Copier) -> None:
    page = page_of(reported("ipvs_dump"))
    assert "ansible-playbook playbooks/ipvs_dump.yml -i lab -e preset=quick -e experiment_seed=11" in page.sections["repeat"]
    assert "/usr/local/sbin/ipvsadm-patched -Sn" in page.sections["repeat"]
    plan = words(page.sections["plan"])
    assert "Seed of the order 11" in plan and "Predicted time" in plan and "a steal fraction above 0.01" in plan
    assert "1 netlink request, command 18" in page.sections["witnesses"]
    assert "hyperfine exited with status 1" in page.sections["invalid"]


HOSTILE = "<script>alert(1)</script>|`x`*y*[z](http://evil.example) $\\frac{}$ \"q\" 'r' &amp;"


def test_hostile_names_are_shown_and_do_nothing(results: Copier) -> None:
    directory = results("ipvs_dump")
    for name in ("plan.json", "analysis.json", "measurements.jsonl", "environment.json"):
        text = (directory / name).read_text(encoding="utf-8")
        inside = json.dumps(HOSTILE)[1:-1]
        for word in ('"patched"', '"dump"', '"time_mean"', '"1000×4"', '"lb1"'):
            text = text.replace(word, f'"{inside}{word[1:-1]}"')
        (directory / name).write_text(text, encoding="utf-8")
    build_report(directory)
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert not page.all("script")
    # Backticks are set as code, and blanks before units do not break: without both the names stand as they are.
    plain = "".join(page.text.replace("\u00a0", " ").split())
    assert "".join((HOSTILE + "patched").replace("`", "").split()) in plain
    assert not [a for a in page.all("a") if not str(a["href"]).startswith("#")]
    markdown = (directory / "report.md").read_text(encoding="utf-8")
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(markdown)
    html = "".join(token.content for token in tokens if token.type == "html_block")
    html += "".join(child.content for token in tokens for child in token.children or () if child.type == "html_inline")
    assert "<script" not in html
    links = [child.attrs["href"] for token in tokens for child in token.children or () if child.type == "link_open"]
    assert set(links) == {"measurements.csv", "analysis.json"}
    # Each row still has as many cells as its table has columns.
    for table in re.findall(r"<table>.*?</table>", MarkdownIt("gfm-like", {"linkify": False}).render(markdown), flags=re.S):
        columns = table.count("<th")
        assert columns and not table.count("<td") % (columns - 1 * table.count("<thead"))
    assert all(re.fullmatch(r"[a-z0-9-]+\.svg", path.name) for path in (directory / "plots").iterdir())


def test_the_markdown_is_the_golden_one(reported: Copier) -> None:
    directory = reported("ipvs_dump")
    assert (directory / "report.md").read_text(encoding="utf-8") == GOLDEN.read_text(encoding="utf-8")


def test_the_markdown_shows_plots_that_exist_in_both_modes(reported: Copier) -> None:
    directory = reported("lb_scaling")
    text = (directory / "report.md").read_text(encoding="utf-8")
    shown = set(re.findall(r'(?:src|srcset)="(plots/[^"]+)"', text))
    assert shown == {f"plots/{path.name}" for path in (directory / "plots").iterdir()}
    assert len(re.findall(r'<img [^>]*alt="[^"]{20,}"', text)) == len(shown) // 2
    light = {name for name in shown if not name.endswith("-dark.svg")}
    assert shown - light == {f"{name[:-4]}-dark.svg" for name in light}


def test_a_second_report_changes_nothing_and_check_mode_touches_nothing(results: Copier) -> None:
    directory = results("ipvs_dump")

    def state() -> dict[str, tuple[int, int]]:
        return {str(p.relative_to(directory)): (p.stat().st_mtime_ns, p.stat().st_size) for p in directory.rglob("*")}

    before = state()
    predicted = build_report(directory, dry=True)
    assert state() == before
    made = build_report(directory)
    assert sorted(predicted.changed) == sorted(made.changed) != []
    after = state()
    assert build_report(directory).changed == []
    assert {name: times for name, times in state().items() if name not in (".",)} == after
    assert build_report(directory, dry=True).changed == []


def test_a_plot_of_an_earlier_report_goes(results: Copier) -> None:
    directory = results("ipvs_dump")
    build_report(directory)
    stale = directory / "plots" / "ratio-old.svg"
    stale.write_text("<svg/>", encoding="utf-8")
    assert build_report(directory, dry=True).changed == [stale] and stale.exists()
    assert build_report(directory).changed == [stale] and not stale.exists()


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("environment.json", "The environment (environment.json) is missing"),
        ("measurements.jsonl", "The measurements (measurements.jsonl) are missing"),
        ("plan.json", "The plan (plan.json) is missing"),
    ],
)
def test_what_is_missing_is_named_and_the_rest_is_reported(results: Copier, missing: str, sentence: str) -> None:
    directory = results("ipvs_dump")
    (directory / missing).unlink()
    report = build_report(directory)
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert sentence in page.sections["limits"]
    assert "better than base" in page.sections["answer"]
    assert (report.csv is None) == (missing == "measurements.jsonl")


def test_formats_are_chosen_and_checked(results: Copier) -> None:
    directory = results("ipvs_dump")
    report = build_report(directory, formats=["csv"])
    assert report.csv == directory / "measurements.csv" and report.html is None and report.markdown is None
    assert not (directory / "report.html").exists() and not (directory / "plots").exists()
    with pytest.raises(LabError, match="no format 'pdf': choose among html, md, csv"):
        build_report(directory, formats=["pdf"])


def test_two_runs_stand_side_by_side(results: Copier, generator: ModuleType, tmp_path: Path) -> None:
    before = results("ipvs_dump")
    after = generator.ipvs_dump(tmp_path / "ipvs_dump" / "20261121T050000Z", faster=1.3, kernel="6.12.120-synthetic", seed=12)
    build_report(after, compare_with=before)
    page = Page((after / "report.html").read_text(encoding="utf-8"))
    compared = words(page.sections["compared"])
    assert "This run beside 20261120T050000Z" in compared
    assert "kernel.release 6.12.107-synthetic 6.12.120-synthetic" in compared
    assert re.search(r"patched 1000×4 [0-9.]+ ms [0-9.]+ ms 1\.[23]\d+ \[[0-9., ]+\] \d, \d better", compared)
    assert "## This run beside 20261120T050000Z" in (after / "report.md").read_text(encoding="utf-8")


def test_a_run_is_not_compared_with_itself(results: Copier) -> None:
    directory = results("ipvs_dump")
    with pytest.raises(LabError, match="cannot be compared with itself"):
        build_report(directory, compare_with=directory)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_planner_analysis_and_report_fit_together(generator: ModuleType, tmp_path: Path, experiment: str) -> None:
    directory = getattr(generator, experiment)(tmp_path / "run")
    report = build_report(directory)
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert set(page.sections) == SECTIONS
    assert report.answer and report.plots


def test_a_directory_that_cannot_be_written_is_one_sentence(results: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = results("ipvs_dump")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(LabError, match=r"The report cannot be written to .*: No space left on device\."):
        build_report(directory)
    assert not list(directory.glob(".*.tmp"))
