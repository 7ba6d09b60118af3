#!/usr/bin/env python3
"""Writes testdata/golden_loss: what PyTorch computes with class weights and label smoothing.

    python scripts/golden_loss.py [--base testdata/golden] [--out testdata/golden_loss]

The models, the batch, the steps and the arithmetic are those of scripts/golden.py; the loss is
torch.nn.functional.cross_entropy with weight and label_smoothing, averaged over the batch as PyTorch does.
Needs torch, transformers and peft.
"""
import argparse
import hashlib
import json
import pathlib

import golden
import torch
import transformers
from peer_finetune import versions
from safetensors.torch import save_file

# The model, the method, the weights of the classes (None: not set) and the smoothing of each case.
CASES = {
    "roberta_weighted": ("roberta", "head", [0.5, 2.0, 1.25], 0.0),
    "roberta_smoothed": ("roberta", "head", None, 0.1),
    "roberta_both": ("roberta", "lor2c", [3.0, 0.25, 1.0], 0.3),
    "bert_both": ("bert", "head", [0.2, 1.7], 0.15),
}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures of class weights and label smoothing")
    parser.add_argument("--base", type=pathlib.Path, default=root / "testdata" / "golden")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden_loss")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    manifest = {"script": "scripts/golden_loss.py", "versions": versions(), "cases": {}, "sha256": {}}
    for case, (name, method, weight, smoothing) in CASES.items():
        options = {"label_smoothing": smoothing}
        if weight is not None:
            options["weight"] = torch.tensor(weight, dtype=torch.float64)
        _, tensors = golden.run(args.base, name, method, torch.float64, **options)
        packed, _ = golden.batch(name)
        assert len(packed["labels"].unique()) > 1
        lr, head_lr = golden.learning_rates(method)
        entry = {"model": name, "method": method, "lr": lr, "head_lr": head_lr, "steps": golden.STEPS,
                 "weight_decay": golden.WEIGHT_DECAY, "clip": golden.CLIP,
                 "class_weights": weight, "label_smoothing": smoothing}
        if method == "lor2c":
            entry |= {"r": golden.RANK, "alpha": golden.LOR2C_ALPHA}
        path = args.out / f"{case}.safetensors"
        save_file({k: v.float().contiguous() for k, v in tensors.items()} | packed, path,
                  metadata={"case": json.dumps(entry)})
        manifest["cases"][case] = entry
        manifest["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        print(case)
    (args.out / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
