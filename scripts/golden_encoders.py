#!/usr/bin/env python3
"""Writes testdata/golden_encoders: tiny models of further encoders and what transformers and PEFT compute with them.

    python scripts/golden_encoders.py [--out testdata/golden_encoders]

The batch, the steps and the arithmetic are those of scripts/golden.py. Needs torch, transformers and peft.
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
from transformers import CamembertConfig, DistilBertConfig, XLMRobertaConfig

ROBERTA = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
               max_position_embeddings=42, type_vocab_size=1, num_labels=3, layer_norm_eps=1e-5, **golden.NO_DROPOUT)
MODELS = {
    "distilbert": DistilBertConfig(
        vocab_size=100, dim=32, n_layers=3, n_heads=4, hidden_dim=48, max_position_embeddings=40, num_labels=3,
        dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0),
    "xlm-roberta": XLMRobertaConfig(vocab_size=130, **ROBERTA),
    "camembert": CamembertConfig(vocab_size=110, **ROBERTA),
}
CASES = [("distilbert", method) for method in ("head", "lora", "lor2c", "full")]
CASES += [("xlm-roberta", "lora"), ("xlm-roberta", "full"), ("camembert", "lor2c")]


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures of further encoders")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden_encoders")
    out = parser.parse_args().out
    out.mkdir(exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    golden.MODELS |= MODELS
    for i, name in enumerate(MODELS):
        golden.write_model(out, name, seed=200 + i)
    manifest = {"script": "scripts/golden_encoders.py", "versions": versions(), "cases": {}, "sha256": {}}
    for name, method in CASES:
        _, tensors = golden.run(out, name, method, torch.float64)
        packed, _ = golden.batch(name)
        lr, head_lr = golden.learning_rates(method)
        entry = {"model": name, "method": method, "lr": lr, "head_lr": head_lr, "steps": golden.STEPS,
                 "weight_decay": golden.WEIGHT_DECAY, "clip": golden.CLIP}
        if method in ("lora", "lor2c"):
            entry |= {"r": golden.RANK, "alpha": golden.LORA_ALPHA if method == "lora" else golden.LOR2C_ALPHA}
        path = out / f"{name}_{method}.safetensors"
        save_file({k: v.float().contiguous() for k, v in tensors.items()} | packed, path,
                  metadata={"case": json.dumps(entry)})
        manifest["cases"][path.stem] = entry
        print(path.stem, tensors["loss"].item())
    for path in sorted(p for p in out.rglob("*") if p.is_file() and p.name != "MANIFEST.json"):
        manifest["sha256"][str(path.relative_to(out))] = hashlib.sha256(path.read_bytes()).hexdigest()
    (out / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
