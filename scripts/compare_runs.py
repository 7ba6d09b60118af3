#!/usr/bin/env python3
"""Compares runs of lor2c with those of scripts/peer_finetune.py in a table.

    python scripts/compare_runs.py --peer DIR --ours DIR [--json FILE]

DIR of the peer holds <task>-<method>-<seed>.json, DIR of ours run directories of the same
names. Prints Markdown; --json keeps every number it is made of. Needs Python alone.
"""
import argparse
import json
import pathlib
import statistics

METRICS = {"mrpc": ["accuracy", "f1"], "stsb": ["pearson", "spearman"]}


def peer_runs(directory):
    """{(task, method, seed): {"scores": {...}, "seconds": ...}} of PyTorch."""
    runs = {}
    for path in sorted(directory.glob("*-*-*.json")):
        task, method, seed = path.stem.split("-")
        epochs = json.loads(path.read_text())["epochs"]
        runs[task, method, int(seed)] = {
            "scores": epochs[-1]["dev"], "train_loss": epochs[-1]["train_loss"],
            "cpu_seconds": sum(e["train_cpu_seconds"] for e in epochs)}
    return runs


def our_runs(directory):
    """The same for lor2c, from all_results.json."""
    runs = {}
    for path in sorted(directory.glob("*-*-*/all_results.json")):
        task, method, seed = path.parent.name.split("-")
        result = json.loads(path.read_text())
        scores = {k.removeprefix("eval_"): v for k, v in result.items() if k.startswith("eval_")}
        runs[task, method, int(seed)] = {"scores": scores, "train_loss": result["train_loss"]}
    return runs


def cell(runs, task, method, metric):
    """Mean and range over the seeds, and the values."""
    values = [r["scores"][metric] for (t, m, _), r in sorted(runs.items()) if (t, m) == (task, method)]
    if not values:
        return "-", []
    return f"{statistics.mean(values):.4f} ({min(values):.4f}-{max(values):.4f})", values


def main():
    p = argparse.ArgumentParser(description="table lor2c beside PyTorch")
    p.add_argument("--peer", type=pathlib.Path, required=True)
    p.add_argument("--ours", type=pathlib.Path, required=True)
    p.add_argument("--json", type=pathlib.Path)
    args = p.parse_args()
    peer, ours = peer_runs(args.peer), our_runs(args.ours)
    print("| task | method | metric | PyTorch: mean (range) | lor2c: mean (range) | difference of means | seeds |")
    print("|---|---|---|---|---|---|---|")
    for task, metrics in METRICS.items():
        for method in sorted({m for t, m, _ in ours if t == task}):
            for metric in metrics + ["loss"]:
                theirs, a = cell(peer, task, method, metric)
                mine, b = cell(ours, task, method, metric)
                gap = f"{statistics.mean(b) - statistics.mean(a):+.4f}" if a and b else "-"
                print(f"| {task} | {method} | {metric} | {theirs} | {mine} | {gap} | {len(a)}, {len(b)} |")
    if args.json:
        rows = [{"who": who, "task": t, "method": m, "seed": s, **r}
                for who, runs in (("pytorch", peer), ("lor2c", ours)) for (t, m, s), r in sorted(runs.items())]
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
