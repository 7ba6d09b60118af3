#!/usr/bin/env python3
"""Times `lor2c predict` and a transformers pipeline on the same rows, in turn.

    python bench/predict.py --lor2c bin/lor2c --adapter DIR --base DIR --texts FILE.tsv --out bench/results/predict.json

The adapter is one of LoRA that lor2c trained, which PEFT loads too. The pipeline has batches of 32. Both programs
compute in float32 and use all cores. Of the pipeline, whose model is loaded once, the rows alone are timed, and of
lor2c the whole command. Run it on a machine that does nothing else. Needs torch, transformers and peft.
"""
import argparse
import csv
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import transformers
from peft import PeftModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peer_cpu import cpu_name


def main():
    args = argparse.ArgumentParser()
    for name in ("lor2c", "adapter", "base", "texts"):
        args.add_argument("--" + name, required=True)
    args.add_argument("--column", default="text")
    args.add_argument("--rows", type=int, default=1000)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--out")
    a = args.parse_args()
    with open(a.texts) as f:
        texts = [r[a.column] for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)][:a.rows]
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.base)
    description = json.loads((pathlib.Path(a.adapter) / "lor2c.json").read_text())
    labels, longest = description["task"]["labels"], description["max_length"]
    base = transformers.AutoModelForSequenceClassification.from_pretrained(a.base, num_labels=len(labels),
                                                                           dtype=torch.float32)
    model = PeftModel.from_pretrained(base, a.adapter).merge_and_unload()
    pipe = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu", top_k=None)
    pipe(texts[:32], batch_size=32, truncation=True, max_length=longest)
    times = {"pipeline": [], "lor2c": []}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        command = [a.lor2c, "predict", "--adapter", a.adapter, "--model", a.base, str(path), "--text", "text",
                   "--device", "cpu"]
        for _ in range(a.rounds):
            start = time.perf_counter()
            pipe(texts, batch_size=32, truncation=True, max_length=longest)
            times["pipeline"].append(time.perf_counter() - start)
            start = time.perf_counter()
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            times["lor2c"].append(time.perf_counter() - start)
            assert out.count("\n") == len(texts) + 1
    tokens = [len(x) for x in tokenizer(texts, truncation=True, max_length=longest)["input_ids"]]
    result = {
        "date": datetime.date.today().isoformat(), "machine": cpu_name(), "cores": os.cpu_count(),
        "threads": torch.get_num_threads(), "load": os.getloadavg()[0], "python": platform.python_version(),
        "torch": torch.__version__, "transformers": transformers.__version__, "rows": len(texts),
        "tokens_mean": statistics.mean(tokens), "tokens_max": max(tokens), "seconds": times,
        "rows_per_second": {k: len(texts) / statistics.median(v) for k, v in times.items()},
    }
    result["ratio"] = result["rows_per_second"]["lor2c"] / result["rows_per_second"]["pipeline"]
    text = json.dumps(result, indent=2)
    print(text)
    if a.out:
        pathlib.Path(a.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
