#!/usr/bin/env python3
"""Writes testdata/golden_multilabel: what transformers computes with problem_type multi_label_classification.

    python scripts/golden_multilabel.py [--base testdata/golden] [--out testdata/golden_multilabel]

The models, the batch, the steps and the arithmetic are those of scripts/golden.py. Each sequence has any number of the
model's labels, and the loss is the model's own. Needs torch, transformers and peft.
"""
import argparse
import hashlib
import json
import pathlib

import golden
import torch
import transformers
from peer_finetune import sentence_classifier, versions
from safetensors.torch import save_file

CASES = {"roberta_head": ("roberta", "head"), "roberta_lor2c": ("roberta", "lor2c"), "bert_head": ("bert", "head")}


def multilabel_classifier(path):
    model = sentence_classifier(path)
    model.config.problem_type = "multi_label_classification"
    return model


def multilabel_batch(name, single=golden.batch):
    """The batch of scripts/golden.py with a row of zeros and ones for each sequence: one has no label, one has all."""
    packed, padded = single(name)
    shape = len(padded["labels"]), golden.MODELS[name].num_labels
    labels = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(9))
    labels[0], labels[1] = 0, 1
    return packed | {"labels": labels.float()}, padded | {"labels": labels.double()}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures of multi-label classification")
    parser.add_argument("--base", type=pathlib.Path, default=root / "testdata" / "golden")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden_multilabel")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    golden.sentence_classifier, golden.batch = multilabel_classifier, multilabel_batch
    manifest = {"script": "scripts/golden_multilabel.py", "versions": versions(), "cases": {}, "sha256": {}}
    for case, (name, method) in CASES.items():
        _, tensors = golden.run(args.base, name, method, torch.float64)
        packed, _ = multilabel_batch(name)
        lr, head_lr = golden.learning_rates(method)
        entry = {"model": name, "method": method, "lr": lr, "head_lr": head_lr, "steps": golden.STEPS,
                 "weight_decay": golden.WEIGHT_DECAY, "clip": golden.CLIP, "multi_label": True}
        if method == "lor2c":
            entry |= {"r": golden.RANK, "alpha": golden.LOR2C_ALPHA}
        path = args.out / f"{case}.safetensors"
        save_file({k: v.float().contiguous() for k, v in tensors.items()} | packed, path,
                  metadata={"case": json.dumps(entry)})
        manifest["cases"][case] = entry
        manifest["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        print(case, tensors["loss"].item())
    (args.out / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
