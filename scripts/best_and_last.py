"""Print the best and the last evaluation of finished runs as a Markdown table, for docs/defaults.md.

python scripts/best_and_last.py runs/defaults/* --json bench/results/defaults.json

Each argument is a directory of runs, such as one that lor2c sweep wrote. A run that did not finish is left out.
"""

import argparse
import json
import pathlib

# The best epoch has the highest value of the first of these scores that a run has.
SELECTING = ["accuracy", "matthews", "pearson"]


def read(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evals = [r for r in records if r["kind"] == "eval"]
    metric = next(m for m in SELECTING if m in evals[0])
    best = [e for e in evals if e["best"]][-1]
    return {
        "sweep": run.parent.name, "run": run.name, "steps": evals[-1]["step"], "metric": metric,
        "best": best[metric], "best_epoch": best["epoch"], "last": evals[-1][metric],
        "best_loss": best["loss"], "last_loss": evals[-1]["loss"],
    }


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sweeps", type=pathlib.Path, nargs="+")
    p.add_argument("--json", type=pathlib.Path, help="also write every run to this file")
    a = p.parse_args()
    runs = [read(f.parent) for s in a.sweeps for f in sorted(s.glob("*/all_results.json"))]
    print("| sweep | run | steps | metric | best (epoch) | last | loss of the best |\n|---|---|---|---|---|---|---|")
    for r in runs:
        print("| {sweep} | {run} | {steps} | {metric} | {best:.4f} ({best_epoch}) | {last:.4f} | {best_loss:.4f} |".format(**r))
    if a.json:
        a.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
