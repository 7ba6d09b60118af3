#!/usr/bin/env python3
"""Checks that lor2c never misreads an adapter that PEFT wrote: it computes what PEFT computes, or names the reason.

    python scripts/check_peft_configs.py [--lor2c bin/lor2c] [--rows 48] [case ...]

Run it from the root of the repository. PEFT writes adapters of the demo's encoder with random values, one for each
configuration below. `lor2c eval --adapter` evaluates each on rows of the demo's dev split. Its loss must be PEFT's, or
it must end with code 2 or 4 and a line that names the key. Adapters of the demo's decoder are used by `lor2c generate`,
whose text must be that of the largest logits of PEFT. Exit status: 0 all well, 1 a difference.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from golden_peft import CASES as METHODS, disturb, prune
from golden_peft import write_adapter as write_method
from peer_finetune import sentence_classifier
from peft import AdaLoraConfig, LoHaConfig, LoraConfig, VeraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

MODEL, DECODER = "demo/model", "demo/decoder"
PROMPT, NEW = "A story about a mouse and the house:", 40
PLAIN = {"r": 4, "lora_alpha": 64, "target_modules": ["query", "value"]}
# Configurations of PEFT, and the key that lor2c names if it does not read them.
CASES = {
    "plain": ({}, None),
    "regex": ({"target_modules": r".*encoder\.layer\.\d+\.attention\.self\.(query|key)"}, None),
    "all-linear": ({"target_modules": "all-linear"}, None),
    "exclude_modules": ({"target_modules": ["query", "key", "value"], "exclude_modules": ["key"]}, None),
    "rank_pattern": ({"rank_pattern": {"layer.0.attention.self.query": 8}}, None),
    "rank_pattern smaller": ({"rank_pattern": {"value": 2, r"layer\.[01]\..*query": 1}}, None),
    # PEFT writes keys in alphabetical order and takes the first that matches, so that it cannot load this itself.
    "rank_pattern order": ({"rank_pattern": {"self.query": 6, "query": 3}}, "has rank 6"),
    "alpha_pattern": ({"alpha_pattern": {"layer.0.attention.self.query": 32}}, None),
    "both patterns": ({"rank_pattern": {"query": 7}, "alpha_pattern": {"value": 96, r".*\.1\..*query": 20}}, None),
    "patterns of rslora": ({"use_rslora": True, "rank_pattern": {"query": 9}, "alpha_pattern": {"value": 32}}, None),
    "layers_to_transform": ({"layers_to_transform": [0, 1]}, None),
    "layers, one number": ({"layers_to_transform": 1}, None),
    "layers_pattern": ({"layers_to_transform": [1], "layers_pattern": "layer"}, None),
    "regex by layer": ({"target_modules": r".*layer\.0.*query|.*layer\.1.*(value|key)"}, None),
    "exclude by regex": ({"target_modules": ["query", "value"], "exclude_modules": r".*layer\.0.*value"}, None),
    "look-ahead in target": ({"target_modules": r"(?!.*layer\.0).*query"}, "query"),
    "look-ahead in pattern": ({"rank_pattern": {r"(?!x)query": 8}}, "rank_pattern"),
    "use_rslora": ({"use_rslora": True}, None),
    "dora": ({"use_dora": True}, None),
    "dora, one layer": ({"use_dora": True, "layers_to_transform": [1]}, None),
    "dora of rslora": ({"use_dora": True, "use_rslora": True, "rank_pattern": {"query": 2}}, None),
    "adalora": (AdaLoraConfig(init_r=6, target_r=3, lora_alpha=64, tinit=2, tfinal=3, total_step=10,
                              target_modules=["query", "key"]), None),
    "vera": (VeraConfig(r=16, target_modules=["value", "intermediate.dense"]), None),
    "vera, one layer": (VeraConfig(r=16, target_modules=["query"], layers_to_transform=[0]), None),
    "vera, no projection": (VeraConfig(r=16, target_modules=["query"], save_projection=False), "save_projection"),
    "ia3": (METHODS["ia3"]("encoder"), None),
    "ia3, PEFT's targets": (METHODS["ia3"]("default"), None),
    "pissa": ({"init_lora_weights": "pissa"}, "init_lora_weights"),
    "olora": ({"init_lora_weights": "olora"}, "init_lora_weights"),
    "loha": (LoHaConfig(target_modules=["query"]), "peft_type"),
    "bias": ({"bias": "lora_only"}, "bias"),
    "modules_to_save": ({"modules_to_save": ["classifier", "LayerNorm"]}, "LayerNorm"),
    "lora_bias": ({"lora_bias": True}, "lora_bias"),
    "fp16": ({}, None),
    "bf16": ({}, None),
}


def rows(count):
    """The first rows of dev as pairs of text and label, and all labels in order."""
    lines = pathlib.Path("demo/data/dev.tsv").read_text(encoding="utf-8").splitlines()
    names = lines[0].split("\t")
    split = [dict(zip(names, line.split("\t"))) for line in lines[1:]]
    labels = sorted({row["label"] for row in split})
    return [(row["text"], row["label"]) for row in split[:count]], labels


def peft_loss(model, examples, labels):
    """Mean cross-entropy of the examples, each run alone, in float64."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = model.double().eval()
    losses = []
    with torch.no_grad():
        for text, label in examples:
            ids = tokenizer(text, truncation=True, max_length=64, return_tensors="pt")["input_ids"]
            logits = model(input_ids=ids).logits
            losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor([labels.index(label)])).item())
    return sum(losses) / len(losses)


def write_adapter(name, options, labels, folder):
    """Saves a PEFT adapter with random values and returns the model that it belongs to."""
    torch.manual_seed(len(name))
    base = sentence_classifier(MODEL, num_labels=len(labels), ignore_mismatched_sizes=True)
    config = options
    if isinstance(options, dict):
        config = LoraConfig(task_type="SEQ_CLS", **{"init_lora_weights": False, **PLAIN, **options})
    config.task_type = "SEQ_CLS"
    model = get_peft_model(base, config)
    if not isinstance(options, dict):
        generator = torch.Generator().manual_seed(len(name))
        disturb(model, generator)
        if name == "adalora":
            prune(model, generator)
    model.save_pretrained(folder)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(name)
    if dtype:
        path = folder / "adapter_model.safetensors"
        narrow = {key: value.to(dtype) for key, value in load_file(path).items()}
        save_file(narrow, path, metadata={"format": "pt"})
        with torch.no_grad():
            for key, value in model.named_parameters():
                if ".lora_" in key or ".modules_to_save." in key:
                    value.copy_(value.to(dtype).float())
    return model


def check_decoder(lor2c, name, folder):
    """Whether lor2c writes with an adapter of the decoder what the largest logits of PEFT are, and what it said."""
    model = write_method(name, "decoder", folder).double().eval()
    ids = AutoTokenizer.from_pretrained(DECODER)(PROMPT, return_tensors="pt")["input_ids"]
    prompt = ids.shape[1]
    with torch.no_grad():
        while ids.shape[1] < prompt + NEW and ids[0, -1] != model.config.eos_token_id:
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    want = [i for i in ids[0, prompt:].tolist() if i != model.config.eos_token_id]
    command = [lor2c, "generate", "--adapter", str(folder), "--device", "cpu", "--json", "-p", PROMPT,
               "--max-new-tokens", str(NEW)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        return False, f"code {result.returncode}: {result.stderr.strip().splitlines()[-1]}"
    got = json.loads(result.stdout)["token_ids"]
    return got == want, f"{len(got)} tokens, {'those of PEFT' if got == want else f'PEFT has {want}, lor2c {got}'}"


def main():
    parser = argparse.ArgumentParser(description="compare what lor2c reads from PEFT's adapters with PEFT")
    parser.add_argument("--lor2c", default="bin/lor2c")
    parser.add_argument("--rows", type=int, default=48, help="rows of dev")
    parser.add_argument("cases", nargs="*", help="configurations to check; all without")
    args = parser.parse_args()
    examples, labels = rows(args.rows)
    failed = False
    with tempfile.TemporaryDirectory() as temp:
        dev = pathlib.Path(temp, "dev.tsv")
        dev.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in examples), encoding="utf-8")
        for name in args.cases or CASES:
            options, refused = CASES[name]
            folder = pathlib.Path(temp, name)
            model = write_adapter(name, options, labels, folder)
            command = [args.lor2c, "eval", "-c", "configs/demo.yaml", "--adapter", str(folder), "--device", "cpu",
                       "--json",
                       "--set", f"data.dev={dev}"]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode == 0:
                want, got = peft_loss(model, examples, labels), json.loads(result.stdout)["loss"]
                well = refused is None and abs(got - want) < 1e-5
                verdict = f"loss {got:.6f}, PEFT {want:.6f}"
            else:
                well = result.returncode in (2, 4) and refused is not None and refused in result.stderr
                verdict = f"code {result.returncode}: {result.stderr.strip().splitlines()[-1]}"
            failed = failed or not well
            print(f"{'ok' if well else 'WRONG':5} {name:22} {verdict}")
        for name in () if args.cases else METHODS:
            well, verdict = check_decoder(args.lor2c, name, pathlib.Path(temp, f"decoder_{name}"))
            failed = failed or not well
            print(f"{'ok' if well else 'WRONG':5} decoder, {name:13} {verdict}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
