#!/usr/bin/env python3
"""Writes testdata/golden_tokens: what transformers and PEFT compute for token classification.

    python scripts/golden_tokens.py [--out testdata/golden_tokens]

The encoders are those of scripts/golden.py and scripts/golden_encoders.py with new heads; sequences, steps and
arithmetic are those of scripts/golden.py. Some tokens of each sequence have a label. Needs torch, transformers and
peft.
"""
import argparse
import hashlib
import json
import pathlib
from types import SimpleNamespace

import golden
import golden_encoders
import peer_finetune
import torch
import transformers
from peft import TaskType
from safetensors.torch import save_file
from transformers import AutoModelForTokenClassification

LABELS = 5
CASES = [("roberta", "lora"), ("roberta", "lor2c"), ("bert", "lora"), ("bert", "lor2c"), ("mpnet", "lor2c"),
         ("distilbert", "lora"), ("xlm-roberta", "lora"), ("camembert", "lor2c")]


def token_classifier(path):
    model = AutoModelForTokenClassification.from_pretrained(
        path, attn_implementation="eager", dtype=torch.float32, num_labels=LABELS, ignore_mismatched_sizes=True)
    golden.fill([(n, p) for n, p in model.named_parameters() if n.startswith("classifier.")], seed=17)
    return model


def token_batch(name, single=golden.batch):
    """The batch of scripts/golden.py with the rows of tokens that have a label, and -100 for other tokens as padded."""
    packed, padded = single(name)
    generator, cu = torch.Generator().manual_seed(13), packed["cu_seqlens"].tolist()
    labels, rows, values = torch.full_like(padded["input_ids"], -100), [], []
    for i, (start, end) in enumerate(zip(cu, cu[1:])):
        keep = torch.rand(end - start - 2, generator=generator) < 0.7
        keep[0] = True
        for at in (1 + keep.nonzero().flatten()).tolist():
            labels[i, at] = torch.randint(0, LABELS, (), generator=generator)
            rows.append(start + at)
            values.append(labels[i, at].item())
    tagged = {"labels": torch.tensor(values).int(), "read": torch.tensor(rows).int()}
    return packed | tagged, padded | {"labels": labels}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures of token classification")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden_tokens")
    out = parser.parse_args().out
    out.mkdir(exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    golden.sentence_classifier, golden.batch = token_classifier, token_batch
    peer_finetune.TaskType = SimpleNamespace(SEQ_CLS=TaskType.TOKEN_CLS)
    golden.MODELS |= golden_encoders.MODELS
    manifest = {"script": "scripts/golden_tokens.py", "versions": peer_finetune.versions(), "cases": {}, "sha256": {}}
    for name, method in CASES:
        models = "golden_encoders" if name in golden_encoders.MODELS else "golden"
        _, tensors = golden.run(root / "testdata" / models, name, method, torch.float64)
        packed, padded = token_batch(name)
        tensors["logits"] = tensors["logits"][padded["labels"] >= 0]
        lr, head_lr = golden.learning_rates(method)
        entry = {"models": models, "model": name, "method": method, "lr": lr, "head_lr": head_lr, "steps": golden.STEPS,
                 "weight_decay": golden.WEIGHT_DECAY, "clip": golden.CLIP, "tokens": True, "r": golden.RANK,
                 "alpha": golden.LORA_ALPHA if method == "lora" else golden.LOR2C_ALPHA}
        path = out / f"{name}_{method}.safetensors"
        save_file({k: v.float().contiguous() for k, v in tensors.items()} | packed, path,
                  metadata={"case": json.dumps(entry)})
        manifest["cases"][path.stem] = entry
        manifest["sha256"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        print(path.stem, tensors["loss"].item())
    (out / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
