#!/usr/bin/env python3
"""Compares the scores of merges and injections with the loss increases that they cause.

    python scripts/harm.py RUN [RUN ...] [--json FILE]

Reads runs of lor2c with schedule.what_if. The loss increase (harm) of a candidate is the loss of the sample with it
minus the loss before; the scores are SFS and nuclear norm of the candidate, summed over its members. Prints Spearman's
rank correlation within each event of three candidates or more, and its mean by task and action: a score by which the
lowest is rightly chosen has +1. An event that several runs share, because they are equal up to it, counts once.
Needs scipy.
"""
import argparse
import json
import pathlib
import statistics

from scipy.stats import spearmanr


def events(run, k):
    """The events of a run with loss increases and both scores of their candidates."""
    config = (run / "config.resolved.yaml").read_text()
    task = next(line.split(":")[1].strip() for line in config.splitlines() if line.startswith("  task:"))
    spectra = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "spectrum":
            spectra = {(m["first"], m["last"]): m["singular"] for m in record["modules"]}
        if record["kind"] != "event" or record["loss"] is None:
            continue
        candidates = record["candidates"]
        of = [[spectra[m["first"], m["last"]] for m in c["members"]] for c in candidates]
        yield {
            "run": run.name, "task": task, "action": record["action"], "step": record["step"],
            "winner": record["winner"],
            "harm": [c["loss"] - record["loss"] for c in candidates],
            "sfs": [sum(1 - sum(s[:k]) / sum(s) for s in members) for members in of],
            "nuclear": [sum(sum(s) for s in members) for members in of],
        }


def main():
    p = argparse.ArgumentParser(description="rank correlation of scores and loss increases on the what-if sample")
    p.add_argument("runs", nargs="+", type=pathlib.Path)
    p.add_argument("--k", type=int, default=2)
    p.add_argument("--json", type=pathlib.Path)
    args = p.parse_args()
    seen, rows = set(), []
    for run in args.runs:
        for e in events(run, args.k):
            key = (e["task"], e["step"], tuple(e["harm"]))
            if len(e["harm"]) >= 3 and key not in seen:
                seen.add(key)
                for score in ("sfs", "nuclear"):
                    e["spearman_" + score] = spearmanr(e[score], e["harm"]).statistic
                e["winner_rank_of_harm"] = 1 + sum(h < e["harm"][e["winner"]] for h in e["harm"])
                rows.append(e)
    print("| task | action | events | candidates each | SFS and harm: mean (range) | nuclear and harm: mean (range) | rank of the chosen one's harm |")
    print("|---|---|---|---|---|---|---|")
    for task, action in sorted({(r["task"], r["action"]) for r in rows}):
        of = [r for r in rows if (r["task"], r["action"]) == (task, action)]
        cells = []
        for score in ("spearman_sfs", "spearman_nuclear"):
            v = [r[score] for r in of]
            cells.append(f"{statistics.mean(v):+.2f} ({min(v):+.2f} to {max(v):+.2f})")
        sizes = ", ".join(str(len(r["harm"])) for r in of)
        ranks = ", ".join(str(r["winner_rank_of_harm"]) for r in of)
        print(f"| {task} | {action} | {len(of)} | {sizes} | {cells[0]} | {cells[1]} | {ranks} |")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
