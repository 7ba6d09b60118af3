#!/usr/bin/env python3
"""Checks in both directions that lor2c and transformers with bitsandbytes read each other's models in four bits.

    python scripts/check_bitsandbytes.py --run DIR [--lor2c bin/lor2c] [--tolerance 2e-3]

DIR is the directory of a run of lor2c on the demo's data whose method folds, such as LoRA. Two exports of it are made.

From lor2c: transformers must load `merged-nf4` on its CPU backend, with every linear layer of the encoder as a
Linear4bit of double-quantised nf4 and the head as it is. Codes and scales must be those that bitsandbytes itself
makes of the weights of `merged`. The loss on some rows of the dev split must be the one that `lor2c eval` prints for
the export.

To lor2c: transformers loads `merged`, quantises it with bitsandbytes and saves it. The loss of a run of lor2c that
trains next to nothing on that model must be the loss of transformers. The file itself must equal that of `merged-
nf4`.

Exit status: 0 all well, 1 a difference.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import bitsandbytes
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BitsAndBytesConfig

DEV = "demo/data/dev.tsv"
ROWS = 48  # of the dev split whose loss is compared; every 21st, so that the classes are mixed


def command(*args):
    """The JSON lines that a command prints."""
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def exact(model):
    """The model with everything but the four bits in float32, so that its loss can be compared closely."""
    model = torch.nn.Module.float(model).eval()  # not its own method, which refuses quantised models
    for module in model.modules():
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            module.compute_dtype, module.compute_type_is_set = torch.float32, True
            module.weight.quant_state.dtype = torch.float32
    return model


def loss_of(model, tokenizer, length, path):
    """Mean cross entropy of a model on the texts of a file, one text at a time."""
    label = {name: i for i, name in model.config.id2label.items()}
    total, n = 0.0, 0
    with torch.no_grad(), open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            ids = tokenizer(row["text"], truncation=True, max_length=length, return_tensors="pt")
            logits = model(input_ids=ids["input_ids"]).logits.double()
            total -= torch.log_softmax(logits, -1)[0, label[row["label"]]].item()
            n += 1
    return total / n


def state_faults(four, plain):
    """Differences between a file in four bits and what bitsandbytes makes of the weights of another file."""
    faults, seen = [], 0
    for name in sorted(four):
        matrix, found, _ = name.partition(".quant_state.")
        if not found:
            continue
        seen += 1
        codes, state = bitsandbytes.functional.quantize_4bit(plain[matrix], compress_statistics=True, quant_type="nf4")
        wanted = {matrix: codes}
        wanted.update({f"{matrix}.{key}": value for key, value in state.as_dict(packed=True).items()})
        for key, want in wanted.items():
            got = four.get(key)
            if got is None or got.dtype != want.dtype or got.shape != want.shape:
                what = None if got is None else (got.dtype, got.shape)
                faults.append(f"{key} is {what}; want {want.dtype}, {want.shape}")
            elif not torch.equal(got, want):
                part = (got != want).float().mean().item()
                faults.append(f"{part:.2%} of {key} differ from bitsandbytes'")
    return faults, seen


def main():
    parser = argparse.ArgumentParser(description="compare models in four bits with transformers and bitsandbytes")
    parser.add_argument("--run", type=pathlib.Path, required=True, help="run of lor2c whose adapter is exported")
    parser.add_argument("--lor2c", default="bin/lor2c", help="the command")
    parser.add_argument("--tolerance", type=float, default=2e-3, help="largest difference of a loss")
    args = parser.parse_args()
    faults = []

    def compare(what, got, want):
        print(f"{what}: {got:.6f}, want {want:.6f}")
        if not abs(got - want) <= args.tolerance:
            faults.append(f"{what} is {got}; want {want}")

    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        dev = out / "dev.tsv"
        lines = pathlib.Path(DEV).read_text(encoding="utf-8").splitlines(keepends=True)
        dev.write_text("".join(lines[:1] + lines[1::21][:ROWS]), encoding="utf-8")
        for form in ("merged", "merged-nf4"):
            subprocess.run([args.lor2c, "export", "--run", args.run, "--format", form, "--out", out / form], check=True)
        length = json.loads((out / "merged" / "lor2c.json").read_text())["max_length"]
        tokenizer = AutoTokenizer.from_pretrained(out / "merged")

        four = load_file(out / "merged-nf4" / "model.safetensors")
        bad, seen = state_faults(four, load_file(out / "merged" / "model.safetensors"))
        faults += bad
        print(f"{seen} matrices in four bits, {len(bad)} tensors differ from bitsandbytes'")
        model = AutoModelForSequenceClassification.from_pretrained(out / "merged-nf4")
        linear = {n: type(m).__name__ for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
        for name, kind in linear.items():
            if kind != ("Linear" if name.startswith("classifier") or ".pooler." in name else "Linear4bit"):
                faults.append(f"transformers loads {name} as {kind}")
        got = command(args.lor2c, "eval", "-c", args.run / "config.resolved.yaml", "--adapter", out / "merged-nf4",
                      "--set", f"data.dev={dev}", "--split", "dev", "--json")
        compare("from lor2c: loss of transformers", loss_of(exact(model), tokenizer, length, dev), got[-1]["loss"])

        config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
                                    llm_int8_skip_modules=["classifier"])
        model = AutoModelForSequenceClassification.from_pretrained(out / "merged", quantization_config=config)
        model.save_pretrained(out / "peer")
        tokenizer.save_pretrained(out / "peer")
        if (out / "peer" / "model.safetensors").read_bytes() != (out / "merged-nf4" / "model.safetensors").read_bytes():
            faults.append("the file that transformers saves differs from that of merged-nf4")
        command(args.lor2c, "train", "-c", args.run / "config.resolved.yaml", "--out", out / "run", "--json",
                "--set", f"model={out / 'peer'}", "--set", "method.name=head", "--set", "optim.lr=1e-6",
                "--set", "train.epochs=1", "--set", "train.quantize=none", "--set", f"data.dev={dev}")
        got = command(args.lor2c, "eval", "--run", out / "run", "--split", "dev", "--json")
        compare("to lor2c: loss of lor2c", got[-1]["loss"], loss_of(exact(model), tokenizer, length, dev))
    for fault in faults:
        print("DIFFERENCE:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
