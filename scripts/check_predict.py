#!/usr/bin/env python3
"""Compares `lor2c predict` with transformers and PEFT on adapters that each of them wrote.

    python scripts/check_predict.py --lor2c bin/lor2c --adapter runs/lora/best

--adapter is a LoRA adapter that lor2c trained on the demo's model. PEFT loads it, and predicts the demo's test
sentences one by one without padding. Then PEFT makes an adapter with random factors and a random head of three
classes, which lor2c reads. Prints the largest difference of a probability, and fails if it is above 1e-5, if a label
differs, or if a row is missing. Needs torch, transformers and peft.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parent.parent


def predicted(lor2c, adapter, base, texts, extra=()):
    """The rows of `lor2c predict` for a list of texts."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.jsonl"
        path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        out = subprocess.run([lor2c, "predict", "--adapter", adapter, "--model", base, path, "--text", "text",
                              "--format", "jsonl", *extra], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def reference(model, tokenizer, texts, longest):
    """Probabilities of each text, computed alone."""
    model.eval()
    with torch.no_grad():
        return [model(**tokenizer(t, truncation=True, max_length=longest, return_tensors="pt")).logits[0]
                .double().softmax(-1).tolist() for t in texts]


def compare(name, rows, want, labels):
    worst = 0.0
    assert len(rows) == len(want), f"{len(rows)} rows; want {len(want)}"
    for i, (row, p) in enumerate(zip(rows, want)):
        assert row["id"] == i
        worst = max([worst] + [abs(row["p_" + label] - x) for label, x in zip(labels, p)])
        best = max(range(len(p)), key=p.__getitem__)
        assert row["prediction"] == labels[best] or max(p) - p[labels.index(row["prediction"])] < 1e-6, (i, row, p)
    print(f"{name}: {len(rows)} rows, largest difference of a probability {worst:.2g}")
    return worst


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--lor2c", default=str(ROOT / "bin" / "lor2c"))
    args.add_argument("--adapter", required=True)
    args.add_argument("--base", default=str(ROOT / "demo" / "model"))
    args.add_argument("--rows", type=int, default=300)
    a = args.parse_args()
    with open(ROOT / "demo" / "data" / "test.tsv") as f:
        texts = [row[0] for row in csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE)][1:a.rows + 1]
    tokenizer = transformers.AutoTokenizer.from_pretrained(a.base)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")
    description = json.loads((pathlib.Path(a.adapter) / "lor2c.json").read_text())
    labels, longest = description["task"]["labels"], description["max_length"]
    base = transformers.AutoModelForSequenceClassification.from_pretrained(a.base, num_labels=len(labels),
                                                                           dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, a.adapter)
    worst = compare("an adapter of lor2c", predicted(a.lor2c, a.adapter, a.base, texts),
                    reference(model, tokenizer, texts, longest), labels)

    torch.manual_seed(1)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(a.base, num_labels=3,
                                                                           dtype=torch.float32)
    model = peft.get_peft_model(base, peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=16, init_lora_weights=False,
                                                      target_modules=["query", "value"]))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        worst = max(worst, compare("an adapter of PEFT", predicted(a.lor2c, folder, a.base, texts),
                                   reference(model, tokenizer, texts, base.config.max_position_embeddings - 2),
                                   ["LABEL_0", "LABEL_1", "LABEL_2"]))
    sys.exit(worst > 1e-5)


if __name__ == "__main__":
    main()
