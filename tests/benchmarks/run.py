# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the benchmarks of this collection and write them as one list.

Every ``bench_*.py`` beside this file has ``NAMES``, the benchmarks that it measures, and ``run() -> list[dict]``, each with the keys
``name, value, unit, better, ci95, target, met, substrate, accelerator``. A benchmark is a ratio inside one run, so that it holds on
any machine. Exit status 1 if a target was missed or a benchmark could not run.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEYS = ("name", "value", "unit", "better", "ci95", "target", "met", "substrate", "accelerator")


def load(path: Path) -> ModuleType:
    """Import a benchmark file by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def number(value: Any) -> str:
    """Return a figure with four significant digits, or a dash where there is none."""
    return "—" if value is None else f"{value:.4g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the results as an aligned text table."""
    head = ("name", "value", "unit", "95 % interval", "target", "met", "substrate")
    lines = [head] + [
        (
            row["name"],
            number(row["value"]),
            row["unit"],
            "not given" if not row["ci95"] else "{} … {}".format(*(number(limit) for limit in row["ci95"])),
            number(row["target"]),
            "yes" if row["met"] else "NO",
            f"{row['substrate']}, {row['accelerator']}",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def main() -> int:
    """Measure, print and write ``results/bench/<run>/bench.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the one benchmark to run, by its name")
    only = parser.parse_args().only

    sys.path.insert(0, str(ROOT / ".collections"))
    modules = [load(path) for path in sorted(HERE.glob("bench_*.py"))]
    known = [name for module in modules for name in module.NAMES]
    if only and only not in known:
        print(f"There is no benchmark {only!r}; the known ones are: {', '.join(known)}.", file=sys.stderr)
        return 2

    rows: list[dict[str, Any]] = []
    for module in modules:
        if only and only not in module.NAMES:
            continue
        began = time.monotonic()
        print(f"bench: {', '.join(module.NAMES)} …", flush=True)
        found = module.run()
        for row in found:
            missing = [key for key in KEYS if key not in row]
            if missing:
                print(f"{module.__name__}: a result lacks {', '.join(missing)}.", file=sys.stderr)
                return 1
        rows += [row for row in found if not only or row["name"] == only]
        print(f"bench: {', '.join(module.NAMES)} took {time.monotonic() - began:.0f} s", flush=True)

    run = ROOT / "results" / "bench" / datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    run.mkdir(parents=True)
    (run / "bench.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    latest = run.parent / "latest"
    fresh = run.parent / ".latest.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(run.name)
    fresh.replace(latest)
    print(table(rows))
    print(f"written to {latest / 'bench.json'}")
    return 0 if rows and all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
