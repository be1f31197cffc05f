#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the benchmark's guests printed, as tables and as JSON; judges it against budgets.json.

  report.py --kernel K --ios N --json FILE [--check] [--compare FILE] LOG...

In the logs count lines "row NAME MEAN TOTAL" (instructions.sh) and "clock NAME VALUE UNIT TEXT..." (clock.sh). A row NAME that
was measured as NAME-before and NAME-after is their mean. Exit status 1: --check, and a row is over its budget or missing.
"""

import argparse
import json
import sys
from pathlib import Path

BUDGETS = json.loads((Path(__file__).parent / "budgets.json").read_text())


def read_logs(files: list[Path]) -> tuple[dict[str, list[float]], list[dict]]:
    """Rows (name: mean, total) and what was by the clock."""
    measured: dict[str, list[list[float]]] = {}
    clock = []
    for line in (line for file in files for line in file.read_text(errors="replace").splitlines()):
        word, _, rest = line.partition(" ")
        if word == "row":
            name, *values = rest.split()
            name = name.removesuffix("-before").removesuffix("-after")
            measured.setdefault(name, []).append([float(value) for value in values])
        elif word == "clock":
            name, value, unit, text = rest.split(maxsplit=3)
            clock.append({"name": name, "value": float(value), "unit": unit, "what": text})
    return {name: [sum(one) / len(one) for one in zip(*runs)] for name, runs in measured.items()}, clock


def judged(rows: dict[str, list[float]]) -> list[dict]:
    """Every row of the budgets that was measured, with what it costs over the one that it is compared with."""
    result = []
    for entry in BUDGETS["rows"]:
        name = entry["name"]
        if name not in rows:
            result.append({**entry, "verdict": "missing"})
            continue
        row = {**entry, "mean": round(rows[name][0]), "total": round(rows[name][1])}
        if "over" in entry and entry["over"] in rows:
            base = rows[entry["over"]]
            row["over_mean"] = round(rows[name][0] - base[0])
            row["over_total"] = round(rows[name][1] - base[1])
        if "at_most" in entry:
            # What is left to a worker or an interrupt is in the total alone.
            excess = max(row["over_mean"], row["over_total"]) - entry["at_most"] - BUDGETS["noise"]
            row["verdict"] = "ok" if excess <= 0 else "known" if excess <= entry.get("known", 0) else "OVER"
        result.append(row)
    return result


def signed(value: int | None) -> str:
    return "" if value is None else f"{value:+d}"


def print_instructions(rows: list[dict], earlier: dict[str, dict]) -> None:
    width = max(len(row["what"]) for row in rows)
    heading = f"{'instructions per 4 KiB':{width}}  {'mean':>6} {'over':>6} {'budget':>6} {'total':>7} {'over':>6}"
    print(heading + ("  earlier  change" if earlier else ""))
    for row in rows:
        if "mean" not in row:
            print(f"{row['what']:{width}}  not measured")
            continue
        line = f"{row['what']:{width}}  {row['mean']:6} {signed(row.get('over_mean')):>6} {signed(row.get('at_most')):>6} "
        line += f"{row['total']:7} {signed(row.get('over_total')):>6}"
        before = earlier.get(row["name"], {}).get("mean")
        if before is not None:
            line += f"  {before:7} {signed(row['mean'] - before):>7}"
        verdicts = {"OVER": "  OVER ITS BUDGET", "known": f"  over it, known: {row.get('because')}"}
        print(line + verdicts.get(row.get("verdict"), ""))
    for name in sorted({row["because"] for row in rows if row.get("verdict") == "known"}):
        print(f"{name}: {BUDGETS['reasons'][name]}")


def print_clock(clock: list[dict], earlier: dict[str, dict]) -> None:
    width = max(len(entry["what"]) for entry in clock)
    print(f"\n{'by the clock (not judged)':{width}}")
    for entry in clock:
        line = f"{entry['what']:{width}}  {entry['value']:8.2f} {entry['unit']}"
        before = earlier.get(entry["name"], {}).get("value")
        print(line + (f"  (earlier {before:.2f})" if before is not None else ""))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--ios", type=int, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--compare", type=Path)
    parser.add_argument("log", nargs="+", type=Path)
    args = parser.parse_args()

    earlier = json.loads(args.compare.read_text()) if args.compare else {"instructions": [], "clock": []}
    measured, clock = read_logs(args.log)
    rows = judged(measured)
    print(f"\nkernel {args.kernel}, {args.ios} reads or writes a row")
    print_instructions(rows, {row["name"]: row for row in earlier["instructions"]})
    if clock:
        print_clock(clock, {entry["name"]: entry for entry in earlier["clock"]})
    result = {"kernel": args.kernel, "ios": args.ios, "instructions": rows, "clock": clock}
    args.json.write_text(json.dumps(result, indent=2) + "\n")

    bad = [row["what"] for row in rows if row.get("verdict") in ("OVER", "missing")]
    if args.check and bad:
        print("\nover budget, or not measured:", *bad, sep="\n  ")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
