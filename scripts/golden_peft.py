#!/usr/bin/env python3
"""Writes testdata/golden_peft: adapters of several methods as PEFT writes them, and what PEFT computes with them.

    python scripts/golden_peft.py [--out testdata/golden_peft] [case ...]

The adapters have random values and belong to the golden encoder or to the demo's decoder. golden.safetensors beside
each has packed input_ids with cu_seqlens, and in float64 the logits: of each sequence for the encoder, behind each
sequence for the decoder. For the decoder it also has the text of the largest logits behind the first sequence.
Needs torch, transformers and peft; the tests of lor2c read only the files.
"""
import argparse
import json
import pathlib
import shutil

import torch
import transformers
from peer_finetune import sentence_classifier, versions
from peft import AdaLoraConfig, IA3Config, LoraConfig, PrefixTuningConfig, VeraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASES = {"encoder": "testdata/golden/roberta", "decoder": "demo/decoder"}
TASKS = {"encoder": "SEQ_CLS", "decoder": "CAUSAL_LM"}
QV = {"encoder": ["query", "value"], "decoder": ["q_proj", "v_proj"]}
# The value beside the attention, and a layer whose input is wider than the model.
WIDE = {"encoder": ["value", "intermediate.dense"], "decoder": ["v_proj", "down_proj"]}
LENGTHS, NEW, LABELS = (7, 3, 12), 24, 3


def lora(kind, **more):
    return LoraConfig(task_type=TASKS[kind], r=4, lora_alpha=8, lora_dropout=0.1, target_modules=QV[kind], **more)


def ia3(kind):
    if kind == "default":  # those that PEFT chooses for RoBERTa
        return IA3Config(target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"])
    if kind == "encoder":  # PEFT's rule makes output.dense stand for attention.output.dense too
        sites = {"target_modules": ["key", "value", "output.dense"], "feedforward_modules": ["output.dense"],
                 "exclude_modules": ["attention.output.dense"]}
    else:
        sites = {"target_modules": ["k_proj", "v_proj", "down_proj"], "feedforward_modules": ["down_proj"]}
    return IA3Config(task_type=TASKS[kind], **sites)


CASES = {
    "rslora": lambda kind: lora(kind, use_rslora=True),
    "dora": lambda kind: lora(kind, use_dora=True),
    "dora_rslora": lambda kind: lora(kind, use_dora=True, use_rslora=True, rank_pattern={QV[kind][0]: 2}),
    "pissa": lambda kind: lora(kind, init_lora_weights="pissa"),
    "olora": lambda kind: lora(kind, init_lora_weights="olora"),
    "adalora": lambda kind: AdaLoraConfig(task_type=TASKS[kind], init_r=4, target_r=2, lora_alpha=8, tinit=2, tfinal=3,
                                          deltaT=2, total_step=10, target_modules=QV[kind]),
    "vera": lambda kind: VeraConfig(task_type=TASKS[kind], r=6, target_modules=WIDE[kind]),
    "ia3": ia3,
    "prefix": lambda kind: PrefixTuningConfig(task_type=TASKS[kind], num_virtual_tokens=5),
}


def base_model(kind):
    if kind == "encoder":
        return sentence_classifier(BASES[kind], num_labels=LABELS, ignore_mismatched_sizes=True)
    return AutoModelForCausalLM.from_pretrained(BASES[kind], dtype=torch.float32, attn_implementation="eager")


def disturb(model, generator):
    """Moves the trained values away from where they begin."""
    with torch.no_grad():
        for _, p in model.named_parameters():
            if p.requires_grad:
                p += (0.2 * torch.randn(p.shape, generator=generator)).to(p)


def prune(model, generator):
    """Gives AdaLoRA a pattern of ranks, as a run does, in which one linear layer has none."""
    pattern = {}
    for name, p in model.base_model.model.named_parameters():
        if ".lora_E." in name:
            kept = torch.rand(p.shape[0], generator=generator) < 0.6
            if not pattern:
                kept[:] = False
            p.data[~kept] = 0
            pattern[name] = kept.tolist()
    assert any(0 < sum(kept) < len(kept) for kept in pattern.values())
    model.peft_config["default"].rank_pattern = pattern


def write_adapter(case, kind, folder):
    """Saves an adapter and returns the model that it belongs to."""
    generator = torch.Generator().manual_seed(sum(map(ord, case + kind)))
    torch.manual_seed(1)
    model = get_peft_model(base_model(kind), CASES[case](kind))
    more = {}
    if case in ("pissa", "olora"):
        initial = folder.with_name("initial")  # a name for a module too
        config = model.peft_config["default"]
        config.init_lora_weights = True
        model.save_pretrained(initial)
        config.init_lora_weights = case
        more["path_initial_model_for_weight_conversion"] = str(initial)
    disturb(model, generator)
    if case == "adalora":
        prune(model, generator)
    model.save_pretrained(folder, **more)
    if more:
        shutil.rmtree(initial)
    (folder / "README.md").unlink(missing_ok=True)
    return model


def golden(model, kind, generator):
    """What the model computes, for the file."""
    lengths = torch.tensor(LENGTHS)
    ids = torch.randint(5, model.config.vocab_size, (int(lengths.sum()),), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    tensors = {"input_ids": ids.int(), "cu_seqlens": offsets.int()}
    model = model.double().eval()
    rows = []
    with torch.no_grad():
        for a, b in zip(offsets.tolist(), offsets.tolist()[1:]):
            logits = model(input_ids=ids[None, a:b]).logits
            rows.append(logits if kind == "encoder" else logits[:, -1])
        tensors["logits"] = torch.cat(rows)
        if kind == "decoder":
            # Not generate, which in PEFT 0.21.2 with transformers 5.24 writes what the base writes, without a prefix.
            text = ids[None, :LENGTHS[0]]
            for _ in range(NEW):
                top = model(input_ids=text).logits[0, -1].topk(2)
                assert top.values[0] - top.values[1] > 1e-3, "the text depends on rounding"
                text = torch.cat([text, top.indices[None, :1]], 1)
            tensors["text"] = text[0, LENGTHS[0]:].int()
    return tensors


def main():
    parser = argparse.ArgumentParser(description="write adapters of PEFT and what PEFT computes with them")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "testdata" / "golden_peft")
    parser.add_argument("cases", nargs="*", help="which cases to write; all without")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    args.out.mkdir(exist_ok=True)
    for kind in BASES:
        for case in args.cases or CASES:
            # PEFT refuses prefix tuning of the encoder, and leaves the head out of what it converts.
            if kind == "encoder" and case in ("prefix", "pissa", "olora"):
                continue
            folder = args.out / f"{kind}_{case}"
            shutil.rmtree(folder, ignore_errors=True)
            model = write_adapter(case, kind, folder)
            save_file({k: v.contiguous() for k, v in golden(model, kind, torch.Generator().manual_seed(3)).items()},
                      folder / "golden.safetensors")
            print(folder.name, sum(f.stat().st_size for f in folder.iterdir()))
    (args.out / "VERSIONS.json").write_text(json.dumps({"script": "scripts/golden_peft.py", "versions": versions()},
                                                       indent=1) + "\n")


if __name__ == "__main__":
    main()
