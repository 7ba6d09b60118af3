#!/usr/bin/env python3
"""Writes what transformers computes with MPNet beside scripts/golden.py: buckets, and logits of a real model.

    python scripts/golden_mpnet.py                         internal/model/testdata/relative_buckets.json
    python scripts/golden_mpnet.py --model DIR             testdata/golden_mpnet.json

DIR is all-mpnet-base-v2 or another MPNet of its vocabulary. Its head is drawn as lor2c draws it from seed 1, and the
logits are those of float64 arithmetic. Needs torch and transformers; the tests read the files written here.
"""
import argparse
import hashlib
import json
import math
import pathlib

import lor2c_start
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent
FARTHEST, CLASSES = 600, 3
TEXTS = [
    ["The ferry leaves at noon.", None], ["a", None], ["", None],
    ["The committee approved the plan on Tuesday.", "On Tuesday the plan was approved by the committee."],
    ["Prices rose 3.5% in May, the bank said.", "<mask> isn't in the vocabulary: naïve café, 日本語 😀"],
    [" ".join(["Rivers carry sand to the sea, and the sea carries it along the coast."] * 9), None],
    [" ".join(["It rained for forty days."] * 12), " ".join(["Then the water fell."] * 30)],
]


def buckets():
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder
    distances = torch.arange(-FARTHEST, FARTHEST + 1)
    return {"versions": versions(), "first": -FARTHEST,
            "buckets": MPNetEncoder.relative_position_bucket(distances).tolist()}


def versions():
    return {"torch": torch.__version__, "transformers": transformers.__version__}


def logits(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=CLASSES,
                                                                            dtype=torch.float64).eval()
    with torch.no_grad():
        for name, p in model.classifier.named_parameters(prefix="classifier"):
            values = lor2c_start.normal(p.numel(), 1, name, 0.02) if p.ndim > 1 else [0.0] * p.numel()
            p.copy_(torch.tensor(values).float().double().reshape(p.shape))
        rows = []
        for first, second in TEXTS:
            given = tokenizer(first, second, return_tensors="pt", truncation=True, max_length=512)
            rows.append({"texts": [t for t in (first, second) if t is not None], "ids": given["input_ids"][0].tolist(),
                         "logits": model(**given).logits[0].tolist()})
    weights = (pathlib.Path(folder) / "model.safetensors").read_bytes()
    assert all(math.isfinite(x) for row in rows for x in row["logits"])
    return {"versions": versions(), "weights_sha256": hashlib.sha256(weights).hexdigest(), "classes": CLASSES,
            "rows": rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    folder = parser.parse_args().model
    path, value = ROOT / "internal" / "model" / "testdata" / "relative_buckets.json", None
    if folder:
        path, value = ROOT / "testdata" / "golden_mpnet.json", logits(folder)
    path.write_text(json.dumps(value or buckets(), ensure_ascii=False) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
