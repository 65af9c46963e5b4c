# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at reports in headless Chromium, as a reader would: on a phone, a tablet and a desk, by day and by night.

    PYTHONPATH=.collections .venv/bin/python tests/browser/check_report.py              # the synthetic results of the tests
    PYTHONPATH=.collections .venv/bin/python tests/browser/check_report.py results/…/report.html

What is checked at each width and in each mode: the page does not scroll sideways; each plot is shown in exactly one of its two
forms; no word of a plot is cut off, lies over another word, or is smaller than 8.5 pixels; words stand out from what is behind them
(WCAG's 4.5 : 1); nothing was fetched. Chromium is Debian's and Ubuntu's package ``chromium``; without it this fails and says so.
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDTHS = (320, 390, 768, 1200)
MODES = {"dark": 0, "light": 1}
NAMES = ("chromium", "chromium-browser", "google-chrome")
TIME_LIMIT_S = 120

# Runs in the page around the report; the report itself allows no script.
SCRIPT = """
const numbers = colour => (colour.match(/[0-9.]+/g) || []).map(Number);
function luminance(colour) {
  const [r, g, b] = numbers(colour).slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}
function behind(element, view) {
  for (let one = element; one; one = one.parentElement) {
    const colour = view.getComputedStyle(one).backgroundColor;
    const parts = numbers(colour);
    if (parts.length === 3 || parts[3] > 0) return colour;
  }
  return 'rgb(255, 255, 255)';
}
function look(frame) {
  const view = frame.contentWindow, page = frame.contentDocument, found = [];
  const root = page.documentElement;
  for (const each of page.querySelectorAll('details')) each.open = true;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...page.querySelectorAll('body *')].filter(
      e => !e.closest('.scroll') && !e.closest('pre') && e.getBoundingClientRect().right > root.clientWidth + 1);
    const named = wide.slice(0, 3).map(e => e.tagName + ' ' + (e.className.baseVal ?? e.className));
    found.push(`the page is ${root.scrollWidth} px wide: ` + named.join(', '));
  }
  for (const figure of page.querySelectorAll('figure')) {
    const name = figure.querySelector('h3').textContent;
    const shown = [...figure.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width > 0);
    if (shown.length !== 1) { found.push(`${name}: ${shown.length} forms of the plot are shown`); continue; }
    const box = shown[0].getBoundingClientRect();
    const words = [...shown[0].querySelectorAll('text')].map(
      element => ({element, text: element.textContent, box: element.getBoundingClientRect()}));
    for (const word of words) {
      if (word.box.left < box.left - 1 || word.box.right > box.right + 1 || word.box.top < box.top - 1 || word.box.bottom > box.bottom + 1)
        found.push(`${name}: "${word.text}" is cut off`);
      const scale = box.width / shown[0].viewBox.baseVal.width;
      const size = parseFloat(view.getComputedStyle(word.element).fontSize) * scale;
      if (size < 8.5) found.push(`${name}: "${word.text}" is ${size.toFixed(1)} px high`);
      const style = view.getComputedStyle(word.element);
      // A verdict that is invalid is grey on purpose, and large enough at 3 : 1.
      const least = word.text === 'invalid' ? 3 : 4.5;
      if (contrast(style.fill, behind(shown[0], view)) < least) found.push(`${name}: "${word.text}" hardly stands out`);
    }
    for (let i = 0; i < words.length; i++) for (let j = i + 1; j < words.length; j++) {
      const a = words[i].box, b = words[j].box;
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left), down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1.5 && down > 3.5) found.push(`${name}: "${words[i].text}" lies over "${words[j].text}"`);
    }
  }
  const seen = new Set();
  for (const element of page.querySelectorAll('body *')) {
    if (element.closest('svg') || ![...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = view.getComputedStyle(element), ground = behind(element, view), key = style.color + ground;
    if (seen.has(key)) continue;
    seen.add(key);
    const least = element.classList.contains('invalid') ? 3 : 4.5;
    const text = element.textContent.trim().slice(0, 40);
    if (contrast(style.color, ground) < least) found.push(`${element.tagName} "${text}" hardly stands out`);
  }
  const fetched = view.performance.getEntriesByType('resource').map(entry => entry.name);
  if (fetched.length) found.push(`fetched: ${fetched.join(', ')}`);
  const figures = page.querySelectorAll('figure').length;
  return {found, figures, dark: view.matchMedia('(prefers-color-scheme: dark)').matches};
}
window.addEventListener('load', () => {
  const result = {};
  for (const frame of document.querySelectorAll('iframe')) {
    try { result[frame.width] = look(frame); } catch (error) { result[frame.width] = {found: [String(error)], figures: 0, dark: null}; }
  }
  document.getElementById('result').textContent = JSON.stringify(result);
});
"""


class CheckError(Exception):
    """Something that keeps this check from looking; one sentence."""


def browser(name: str | None) -> str:
    """Return the path of Chromium."""
    for candidate in (name,) if name else NAMES:
        found = shutil.which(candidate)
        if found:
            return found
    raise CheckError("There is no Chromium to look at the report with: install the package chromium, or name one by --browser.")


def looked_at(report: Path, program: str, mode: str) -> dict[str, dict[str, object]]:
    """Open one report in frames of each width; return what was found by width."""
    frames = "".join(
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{html.escape(report.read_text(encoding="utf-8"))}"></iframe>'
        for width in WIDTHS
    )
    page = f'<!DOCTYPE html><meta charset="utf-8"><pre id="result"></pre>{frames}<script>{SCRIPT}</script>'
    with tempfile.TemporaryDirectory() as work:
        around = Path(work) / "around.html"
        around.write_text(page, encoding="utf-8")
        argv = [
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={work}/profile",
            f"--blink-settings=preferredColorScheme={MODES[mode]}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            around.as_uri(),
        ]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise CheckError(f"Chromium did not finish within {TIME_LIMIT_S} s.") from error
    start = done.stdout.find('<pre id="result">')
    end = done.stdout.find("</pre>", start)
    text = html.unescape(done.stdout[start + len('<pre id="result">') : end]) if start >= 0 else ""
    if not text:
        raise CheckError(f"Chromium (exit status {done.returncode}) did not look at {report}: {done.stderr.strip()[-300:]}")
    result: dict[str, dict[str, object]] = json.loads(text)
    return result


def check(report: Path, program: str, with_plots: bool) -> int:
    """Print what is wrong with a report; return how much.

    :param with_plots: it must show plots; a real report of invalid runs has none.
    """
    wrong = 0
    for mode in MODES:
        result = looked_at(report, program, mode)
        for width in WIDTHS:
            seen = result.get(str(width), {"found": ["was not looked at"], "figures": 0, "dark": None})
            found = list(seen["found"])  # type: ignore[call-overload]
            if with_plots and not seen["figures"]:
                found.append("shows no plot")
            if seen["dark"] is not (mode == "dark"):
                found.append(f"was not shown in {mode} mode")
            for line in found:
                print(f"{report}: {width} px, {mode}: {line}")
            wrong += len(found)
    return wrong


def synthetic_reports(root: Path) -> list[Path]:
    """Make reports of the tests' synthetic results under ``root``, one of them beside another run."""
    from ansible_collections.datapath.lab.plugins.plugin_utils.report.build import build_report

    spec = importlib.util.spec_from_file_location("generate_results", ROOT / "tests" / "fixtures" / "results" / "generate.py")
    if spec is None or spec.loader is None:
        raise CheckError("tests/fixtures/results/generate.py is not there.")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    made = [make(root / make.__name__) for make in generator.EXPERIMENTS]
    made.append(generator.ipvs_dump(root / "20261121T050000Z", faster=1.3, seed=12))
    for directory in made:
        build_report(directory, formats=["html"], compare_with=made[0] if directory == made[-1] else None)
    return [directory / "report.html" for directory in made]


def main() -> int:
    """Check the reports that are named, or synthetic ones."""
    parser = argparse.ArgumentParser(description="Looks at reports in headless Chromium.")
    parser.add_argument("reports", nargs="*", type=Path, help="report.html files; none: the tests' synthetic results")
    parser.add_argument("--browser", help=f"the program to use (default: the first of {', '.join(NAMES)} that is there)")
    arguments = parser.parse_args()
    try:
        program = browser(arguments.browser)
        with tempfile.TemporaryDirectory() as work:
            reports = arguments.reports or synthetic_reports(Path(work))
            wrong = sum(check(report, program, with_plots=not arguments.reports) for report in reports)
    except (CheckError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(reports)} reports at {len(WIDTHS)} widths in {len(MODES)} modes: {wrong or 'nothing'} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
