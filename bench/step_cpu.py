#!/usr/bin/env python3
"""Times training steps of lor2c and of PyTorch with PEFT on the CPU in turn, and writes the medians as JSON.

    python bench/step_cpu.py --workloads full mrpc cola sst2 minilm --rounds 5 --threads 2 \\
        --out bench/results/step-cpu-NAME.json

A round runs, for each workload, bench/peer_cpu.py and BenchmarkStep of internal/train, each with one step that is not
counted and then --steps timed ones. The median over rounds is of seconds per step. On a machine that does other work
compare processor seconds instead, which are written too. Needs go, torch, transformers and peft.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def peer(workload, args):
    """One run of PyTorch: seconds and processor seconds per step, and the JSON that it prints."""
    run = subprocess.run(
        [sys.executable, ROOT / "bench/peer_cpu.py", "--workload", workload, "--method", "lora", "--steps",
         str(args.steps),
         "--threads", str(args.threads)],
        env=os.environ | {"OMP_NUM_THREADS": str(args.threads)}, check=True, capture_output=True, text=True)
    found = json.loads(run.stdout)
    return found["seconds_per_step"], found["cpu_seconds_per_step"], found


def ours(workload, args, binary):
    """One run of lor2c: seconds and processor seconds per step."""
    run = subprocess.run(
        [binary, "-test.run", "^$", "-test.bench", f"^BenchmarkStep$/^workload={workload}$/^method=lora$",
         "-test.benchtime", f"{args.steps}x"],
        cwd=ROOT / "internal/train", env=os.environ | {"GOMAXPROCS": str(args.threads)}, check=True,
        capture_output=True,
        text=True)
    wall, cpu = (re.search(r"([\d.e+]+) " + unit, run.stdout) for unit in ("ns/op", "cpu-s/op"))
    if not wall or not cpu:
        sys.exit(f"step_cpu.py: {workload}: the benchmark printed no time:\n{run.stdout}")
    return float(wall[1]) / 1e9, float(cpu[1])


def main():
    p = argparse.ArgumentParser(description="time training steps of lor2c and PyTorch on the CPU in turn")
    p.add_argument("--workloads", nargs="+", default=["full", "mrpc", "cola", "sst2", "minilm"])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=2, help="timed steps in a round")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--tags", default="", help="build tags of lor2c")
    p.add_argument("--out", required=True, help="JSON file to write")
    args = p.parse_args()
    cells = {w: {"pytorch": [], "lor2c": [], "pytorch_cpu": [], "lor2c_cpu": []} for w in args.workloads}
    with tempfile.TemporaryDirectory() as folder:
        binary = pathlib.Path(folder, "train.test")
        subprocess.run(["go", "test", "-c", "-tags", args.tags, "-o", binary, "./internal/train"], cwd=ROOT, check=True)
        described = {}
        for number in range(args.rounds):
            for w, cell in cells.items():
                wall, cpu, described[w] = peer(w, args)
                cell["pytorch"].append(wall)
                cell["pytorch_cpu"].append(cpu)
                wall, cpu = ours(w, args, binary)
                cell["lor2c"].append(wall)
                cell["lor2c_cpu"].append(cpu)
                print(f"round {number + 1}, {w}: PyTorch {cell['pytorch'][-1]:.3f} s, lor2c {cell['lor2c'][-1]:.3f} s",
                      file=sys.stderr)
    any_run = next(iter(described.values()))
    revision = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, check=True, capture_output=True,
                              text=True)
    result = {
        "what": "one training step (forward, backward, clipping, AdamW) with LoRA, random weights; minilm has the shape of all-MiniLM-L6-v2 and the others that of roberta-base",
        "command": "python " + " ".join(["bench/step_cpu.py", *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "machine": any_run["cpu"], "versions": any_run["versions"], "lor2c_revision": revision.stdout.strip(),
        "rounds": args.rounds, "steps_per_round": args.steps, "threads": args.threads, "cells": [],
    }
    for w, cell in cells.items():
        median = {name: statistics.median(values) for name, values in cell.items()}
        result["cells"].append({
            "workload": w, "real_tokens": described[w]["real_tokens"], "padded_tokens": described[w]["padded_tokens"],
            "seconds": median, "ratio": median["pytorch"] / median["lor2c"],
            "ratio_of_processor_seconds": median["pytorch_cpu"] / median["lor2c_cpu"], "all": cell,
        })
    pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
