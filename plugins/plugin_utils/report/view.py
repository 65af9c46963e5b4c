# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a report shows, as data: built from a results directory, rendered by templates.

Verdicts, intervals and sentences are the analysis'; here they are only chosen, ordered and put into words. A sentence of the
analysis is shown as an answer only while a verdict supports it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.datapath.lab.plugins.plugin_utils.report import drawings, figures, outcomes, setting, trust
from ansible_collections.datapath.lab.plugins.plugin_utils.report.results import Digest, Results
from ansible_collections.datapath.lab.plugins.plugin_utils.report.source import SUPPORTING, Source, ratio_text
from ansible_collections.datapath.lab.plugins.plugin_utils.report.tables import Table

LABELS = {
    "emulated": (
        "emulated",
        "The nodes' processors were emulated in software. Absolute figures say nothing about hardware; ratios of the same work in one run are usable.",
    ),
    "kvm": (
        "kvm",
        "The nodes were virtual machines with hardware virtualisation. Absolute figures hold for such machines; a bare host may differ.",
    ),
    "native": ("native", "The work ran on the processor itself, without a virtual machine. Figures hold for the machine described below."),
}


UNKNOWN_LABEL = "The results do not say whether the nodes ran natively, virtualised or emulated: take no absolute figure from them."


@dataclass(frozen=True)
class Answer:
    """One sentence that answers a question; ``kind`` is its verdict, or ``mixed``."""

    text: str
    kind: str


@dataclass
class View:
    """Everything that the templates read."""

    title: str
    question: str
    experiment: str
    run: str
    label: str
    label_sentence: str
    headline: str
    rig_sentence: str
    rig_note: str
    no_answer_note: str
    answers: list[Answer]
    sentences: list[str]
    further_sentences: list[str]
    unresolved: list[str]
    further_unresolved: list[str]
    invalid: list[str]
    further_invalid: list[str]
    facts: list[tuple[str, str]]
    ratio_plots: list[drawings.Plot]
    value_plots: list[drawings.Plot]
    curve_plots: list[drawings.Plot]
    percentile_plots: list[drawings.Plot]
    plots_note: str
    comparisons: list[Table]
    published: list[Table]
    published_sentence: str
    cells: list[Table]
    further_cells: list[Table]
    cpu: list[Table]
    losses: list[Table]
    witnesses: Table
    control: Table | None
    control_sentence: str
    troubles: Table | None
    troubles_sentence: str
    physics: Table | None
    physics_sentence: str
    repeatability: Table | None
    distributions: Table | None
    environment: list[Table]
    environment_groups: list[Table]
    arms: Table | None
    plan_facts: list[tuple[str, str]]
    commands: list[str]
    tools: Table
    argv: Table | None
    limits: list[str]
    comparison: Comparison | None = None


@dataclass
class Comparison:
    """This run beside another one."""

    other: str
    sentences: list[str]
    plots: list[drawings.Plot] = field(default_factory=list)
    table: Table | None = None
    environment: Table | None = None


def build_view(results: Results, digest: Digest) -> View:
    """Choose and order what the report of ``results`` shows."""
    source = Source(results, digest)
    analysis, plan = results.analysis, results.plan
    experiment = str(plan.get("experiment") or analysis.get("experiment") or "experiment")
    accelerator = str(analysis.get("accelerator") or plan.get("accelerator") or "")
    label, label_sentence = LABELS.get(accelerator, (accelerator or "unknown", UNKNOWN_LABEL))
    rig_sentence = _rig_sentence(source)
    answers, sentences, further_sentences = _answers(source)
    unresolved, further_unresolved = _open_questions(source, invalid=False)
    invalid, further_invalid = _open_questions(source, invalid=True)
    ratio_plots = drawings.ratio_plots(source)
    curve_plots, value_plots = drawings.curve_and_value_plots(source)
    percentile_plots = drawings.percentile_plots(source)
    drawn = len(ratio_plots) + len(curve_plots) + len(value_plots) + len(percentile_plots)
    published, published_sentence = outcomes.published(source)
    cells, further = outcomes.cells(source)
    environment, groups = setting.environment(source)
    control, control_sentence = trust.control(source)
    physics, physics_sentence = trust.physics(source)
    return View(
        title=str(plan.get("title") or experiment),
        question=str(plan.get("question") or ""),
        experiment=experiment,
        run=results.run,
        label=label,
        label_sentence=label_sentence,
        headline=_headline(source, rig_sentence, bool(answers or sentences)),
        rig_sentence=rig_sentence,
        rig_note=_rig_note(source),
        no_answer_note="" if answers or sentences or not digest.troubled else trust.main_reasons(source),
        answers=answers,
        sentences=sentences,
        further_sentences=further_sentences,
        unresolved=unresolved,
        further_unresolved=further_unresolved,
        invalid=invalid,
        further_invalid=further_invalid,
        facts=_facts(source),
        ratio_plots=ratio_plots,
        value_plots=value_plots,
        curve_plots=curve_plots,
        percentile_plots=percentile_plots,
        plots_note="" if drawn < drawings.PLOTS_AT_MOST else "Some plots were left out; the tables below and measurements.csv hold all figures.",
        comparisons=outcomes.comparison_tables(source),
        published=published,
        published_sentence=published_sentence,
        cells=cells,
        further_cells=further,
        cpu=outcomes.cpu(source),
        losses=outcomes.losses(source),
        witnesses=trust.witnesses(source),
        control=control,
        control_sentence=control_sentence,
        troubles=trust.troubles(source),
        troubles_sentence=trust.troubles_sentence(source),
        physics=physics,
        physics_sentence=physics_sentence,
        repeatability=outcomes.repeatability(source),
        distributions=outcomes.distributions(source),
        environment=environment,
        environment_groups=groups,
        arms=setting.arms(source),
        plan_facts=setting.plan_facts(source),
        commands=setting.commands(source),
        tools=setting.tools(source),
        argv=setting.argv(source),
        limits=setting.limits(source),
    )


def _rig_sentence(source: Source) -> str:
    """Say that the rig is unusable where the analysis judged so, and by which control."""
    if source.analysis.get("rig") != "unusable":
        return ""
    off = [entry for entry in source.controls if entry.get("excludes_one")]
    where = "; ".join(f"{_place(source, entry)}: {ratio_text(entry)}" for entry in off)
    return (
        "The rig is unusable: the same arm measured twice came out different"
        + (f" ({where})" if where else "")
        + ". No ratio below may be believed until the cause is found, but for those of which it is said that the bias cannot undo them."
    )


def _rig_note(source: Source) -> str:
    if source.analysis.get("rig") != "unproved":
        return ""
    return "No A/A control is complete: nothing shows yet that this rig reads the same arm twice as the same."


def _supported(source: Source) -> dict[int, str]:
    """Return the analysis' sentences whose verdict supports them, by the number of their comparison."""
    sentences: dict[int, str] = {}
    for number, entry in enumerate(source.analysis.get("sentences") or ()):
        index = entry.get("comparison", number)
        compared = source.comparisons[index] if isinstance(index, int) and 0 <= index < len(source.comparisons) else {}
        if entry.get("verdict") in SUPPORTING and compared.get("verdict") == entry["verdict"] and compared.get("witness") == "proved":
            sentences[index] = str(entry.get("text", ""))
    return sentences


def _answers(source: Source) -> tuple[list[Answer], list[str], list[str]]:
    """Return one answer per question that has one, the sentences behind them, and those of comparisons that nobody asked for."""
    supported = _supported(source)
    answers: list[Answer] = []
    told: set[int] = set()
    for entry in source.analysis.get("answers") or ():
        indices = [index for index in entry.get("comparisons") or () if index in supported]
        if not indices:
            continue
        told.update(entry.get("comparisons") or ())
        verdicts = {str(source.comparisons[index].get("verdict")) for index in indices}
        kind = next(iter(verdicts)) if len(verdicts) == 1 else "mixed"
        if len(entry["comparisons"]) == 1:
            # The sentence says the same with its interval.
            answers.append(Answer(supported.pop(indices[0]), kind))
        else:
            answers.append(Answer(str(entry.get("text", "")), kind))
    asked = [text for index, text in supported.items() if index in told]
    return answers, asked, [text for index, text in supported.items() if index not in told]


def _headline(source: Source, rig: str, answered: bool) -> str:
    if rig:
        return "The rig is unusable"
    if answered:
        return ""
    verdicts = [str(entry.get("verdict")) for entry in source.comparisons if entry.get("headline")]
    verdicts = verdicts or [str(entry.get("verdict")) for entry in source.comparisons]
    if not verdicts:
        return "No answer: nothing was compared"
    if source.digest.lines and not source.digest.valid:
        return f"No answer: none of the {source.digest.lines} runs may be used"
    if all(verdict == "invalid" for verdict in verdicts):
        return "No answer: every comparison is invalid"
    return "No answer: the measurements do not resolve the question"


def _open_questions(source: Source, invalid: bool) -> tuple[list[str], list[str]]:
    """Return what the analysis leaves open (or finds invalid): first what was asked, then the rest."""
    asked: list[str] = []
    further: list[str] = []
    for entry in source.analysis.get("not_resolved") or ():
        if (entry.get("verdict") == "invalid") == invalid:
            (asked if entry.get("headline") else further).append(str(entry.get("text", "")))
    return asked, further


def _place(source: Source, entry: Mapping[str, Any]) -> str:
    parts = [str(entry.get("point"))] if len(source.points) > 1 else []
    parts += [str(entry.get("workload"))] if len(source.workloads) > 1 or not parts else []
    parts += [str(entry.get("metric"))] if len(source.primary.get(str(entry.get("workload")), [])) > 1 else []
    return " · ".join(parts)


def _facts(source: Source) -> list[tuple[str, str]]:
    plan, digest = source.plan, source.digest
    blocks = plan.get("blocks") or max((int(entry.get("blocks") or 0) for entry in source.comparisons), default=0)
    facts = [("Run", source.results.run)]
    substrate = plan.get("substrate") or source.analysis.get("substrate")
    if substrate:
        facts.append(("Substrate", str(substrate)))
    if plan.get("preset"):
        facts.append(("Preset", str(plan["preset"])))
    facts.append(("Blocks", str(blocks)))
    if digest.lines:
        facts.append(("Runs", f"{digest.valid} valid of {digest.lines}" if digest.troubled else f"{digest.valid}, all valid"))
    elapsed = digest.elapsed_s()
    if elapsed is not None:
        facts.append(("Took", figures.duration(elapsed)))
    return facts
