#!/usr/bin/env python3
"""Checks that PEFT itself loads adapters that lor2c wrote, and computes what lor2c computes with them.

    python scripts/check_peft.py --runs DIR [--lor2c bin/lor2c] [--rows 40]
    python scripts/check_peft.py --adapter DIR --base DIR [--ids FILE] [--compare FILE] [--tolerance 1e-4]
        [--same DIR] [--merged DIR]

With --runs every run directory in DIR is exported in each of the forms peft, lora and merged that its method has. PEFT
must load the adapters and transformers the merged model. For an encoder the probabilities of PEFT for texts of the dev
split must be those of `lor2c predict` with the adapter of the run, and for a decoder the text of the largest logits of
PEFT must be that of `lor2c generate`. An export that lor2c refuses is printed with its reason.

In each case every tensor of an adapter file must arrive in the PEFT model unchanged and none of the model's may be
missing from the file, because PEFT passes over unknown keys without an error. Every weight of a merged model must be
that of the model that PEFT merges in float32, rounded once to the type of the directory.

Without --runs one adapter is checked, and its logits are printed, one line per sequence, for a decoder those behind
its last token. FILE of --ids is a safetensors file with packed input_ids, token_type_ids and cu_seqlens, as in
testdata/golden; without it four sequences of random tokens are used. --compare names a file with the expected `logits`,
--same another adapter directory whose logits must agree, --merged a merged model, and --lor2c a binary that must write
with the adapter of a decoder the text of PEFT's largest logits.
Needs torch, transformers and peft, and sentencepiece for a decoder with a tokenizer.model.
Exit status: 0 all well, 1 a difference.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

import peft
import torch
import transformers
from check_predict import predicted, reference
from peft import PeftModel, get_peft_model_state_dict
from peer_finetune import sentence_classifier
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer


def head_size(tensors):
    """Number of outputs of the classification head in the adapter, or None if it has none."""
    for name in ("classifier.out_proj.weight", "classifier.weight"):
        for key, value in tensors.items():
            if key.endswith(name):
                return value.shape[0]
    return None


def key_faults(tensors, model):
    """Differences between the adapter file and the adapter in the loaded model."""
    loaded = get_peft_model_state_dict(model, save_embedding_layers=False)
    faults = [f"in the file, ignored by PEFT: {k}" for k in sorted(tensors.keys() - loaded.keys())]
    faults += [f"wanted by PEFT, not in the file: {k}" for k in sorted(loaded.keys() - tensors.keys())]
    for key in sorted(tensors.keys() & loaded.keys()):
        if not torch.equal(tensors[key].float(), loaded[key].float()):
            faults.append(f"changed on loading: {key}")
    return faults


def packed_logits(model, ids):
    """Logits [B, labels] of each packed sequence run alone, in float64; for a decoder those behind its last token."""
    offsets = ids["cu_seqlens"].tolist()
    head = not hasattr(model.get_base_model() if isinstance(model, PeftModel) else model, "lm_head")
    model = model.double().eval()
    rows = []
    with torch.no_grad():
        for a, b in zip(offsets, offsets[1:]):
            kinds = {"token_type_ids": ids["token_type_ids"][None, a:b].long()} if head else {}
            logits = model(input_ids=ids["input_ids"][None, a:b].long(), **kinds).logits
            rows.append(logits if head else logits[:, -1])
    return torch.cat(rows)


def text_faults(model, lor2c, adapter, base, prompt="Once upon a time", new=40):
    """Differences between the text of PEFT's largest logits and the one that lor2c writes."""
    ids = AutoTokenizer.from_pretrained(base)(prompt, return_tensors="pt")["input_ids"]
    start, end = ids.shape[1], model.config.eos_token_id
    with torch.no_grad():
        while ids.shape[1] < start + new and ids[0, -1] != end:
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    want = [i for i in ids[0, start:].tolist() if i != end]
    command = [lor2c, "generate", "--adapter", str(adapter), "--model", base, "--device", "cpu", "--json", "-p", prompt,
               "--max-new-tokens", str(new)]
    got = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["token_ids"]
    print(f"text of {len(got)} tokens: {'that of PEFT' if got == want else 'another than PEFT writes'}")
    return [] if got == want else [f"lor2c writes {got}; PEFT {want}"]


def random_ids(model):
    """A packed batch of four sequences of random tokens; special tokens come first in the vocabulary."""
    lengths = torch.tensor([7, 3, 12, 9])
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, model.config.vocab_size, (int(lengths.sum()),), generator=generator)
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    return {"input_ids": ids, "token_type_ids": torch.zeros_like(ids), "cu_seqlens": offsets}


def merge_faults(model, path):
    """Differences between the model that PEFT merges in float32 and the one in a directory."""
    # Not merge_and_unload, which fails for VeRA and (IA)3 on a head of several layers.
    model.float().merge_adapter()
    merged = {}
    for key, value in model.get_base_model().state_dict().items():
        if "original_module" not in key and not any(f".{kind}_" in key for kind in ("lora", "vera", "ia3")):
            merged[key.replace(".base_layer.", ".").replace(".modules_to_save.default.", ".")] = value
    written = load_file(path / "model.safetensors")
    faults = []
    for key in sorted(merged.keys() | written.keys()):
        if key.endswith("position_ids") or key == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        if key not in merged or key not in written:
            faults.append(f"in one of the two models alone: {key}")
            continue
        got, want = written[key].float(), merged[key].to(written[key].dtype).float()
        # PEFT may add up in another order, which is some units in the last place of the largest terms in float32 and
        # can change the rounding of a value that lies between two others.
        size = want.abs()
        unit = size * torch.finfo(written[key].dtype).eps + 4 * torch.finfo(torch.float32).eps * size.max()
        if not ((got - want).abs() <= unit).all():
            faults.append(f"not the merged weight: {key}, apart by {(got - want).abs().max():.3g}")
        elif written[key].dtype != torch.float32 and (got != want).float().mean() > 0.01:
            faults.append(f"rounded differently in {(got != want).float().mean():.1%} of its values: {key}")
    return faults


def base_model(base, tensors, decoder):
    """The base model of an adapter in float32, with a head of the adapter's width."""
    if decoder:
        return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    labels = head_size(tensors)
    kwargs = {"num_labels": labels, "ignore_mismatched_sizes": True} if labels else {}
    return sentence_classifier(base, **kwargs)


def loaded(adapter, base):
    """The PEFT model of an adapter directory, and the differences between the file and what PEFT loaded."""
    tensors = load_file(adapter / "adapter_model.safetensors")
    decoder = json.loads((adapter / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"
    model = PeftModel.from_pretrained(base_model(base, tensors, decoder), adapter).eval()
    return model, key_faults(tensors, model), decoder


def probability_faults(model, run, base, lor2c, rows):
    """Differences between the probabilities of PEFT for texts and those of lor2c with the adapter of the run."""
    description = json.loads((run / "best" / "lor2c.json").read_text())
    texts = [line.split("\t")[0] for line in open("demo/data/dev.tsv", encoding="utf-8")][1:rows + 1]
    got = predicted(lor2c, str(run / "best"), base, texts)
    want = reference(model, AutoTokenizer.from_pretrained(base), texts, description["max_length"])
    worst = max(abs(row["p_" + label] - x) for row, p in zip(got, want, strict=True)
                for label, x in zip(description["task"]["labels"], p, strict=True))
    print(f"  {len(got)} texts, largest difference of a probability {worst:.2g}")
    return [] if worst <= 1e-5 else [f"probabilities differ by {worst:.3g}; allowed 1e-5"]


def check_run(run, lor2c, rows):
    """The faults of every export of a run."""
    base = json.loads((run / "best" / "lor2c.json").read_text())["base"]["path"]
    faults, model = [], None
    with tempfile.TemporaryDirectory() as folder:
        for form in ("peft", "lora", "merged"):
            out = pathlib.Path(folder) / form
            done = subprocess.run([lor2c, "export", "--run", str(run), "--format", form, "--out", str(out)],
                                  capture_output=True, text=True)
            print(f"{run.name}: " + (done.stdout or done.stderr).strip().replace(f"{folder}/", ""), flush=True)
            if done.returncode == 2 and not out.exists():
                continue
            done.check_returncode()
            if form == "merged":
                if model:  # the last form that PEFT reads
                    faults += merge_faults(model, out)
                continue
            model, more, decoder = loaded(out, base)
            faults += more
            if decoder:
                faults += text_faults(model, lor2c, run / "best", base)
            else:
                faults += probability_faults(model, run, base, lor2c, rows)
    return [f"{run.name}: {fault}" for fault in faults]


def check_one(args):
    """The faults of one adapter directory."""
    model, faults, decoder = loaded(args.adapter, args.base)
    tensors = load_file(args.adapter / "adapter_model.safetensors")
    ids = load_file(args.ids) if args.ids else random_ids(model)
    logits = packed_logits(model, ids)
    for row in logits.tolist():
        print(" ".join(f"{v:.7g}" for v in row[:8]), "..." if len(row) > 8 else "")
    if args.lor2c and decoder:
        faults += text_faults(model, args.lor2c, args.adapter, args.base)
    if args.compare:
        want = load_file(args.compare)["logits"].double()
        if want.shape != logits.shape:
            faults.append(f"logits are {list(logits.shape)}; expected {list(want.shape)}")
        else:
            worst = (logits - want).abs().max().item()
            print(f"largest difference {worst:.3g}")
            if not worst <= args.tolerance:  # also catches NaN
                faults.append(f"logits differ by {worst:.3g}; allowed {args.tolerance:g}")
    if args.same:
        other = PeftModel.from_pretrained(base_model(args.base, tensors, decoder), args.same)
        worst = (packed_logits(other, ids) - logits).abs().max().item()
        print(f"{args.same}: largest difference {worst:.3g}")
        if not worst <= args.tolerance:
            faults.append(f"logits of {args.same} differ by {worst:.3g}; allowed {args.tolerance:g}")
    if args.merged:
        kind = AutoModelForCausalLM if decoder else AutoModelForSequenceClassification
        plain = kind.from_pretrained(args.merged, dtype="auto")
        print(f"{args.merged}: {plain.dtype}, largest difference {(packed_logits(plain, ids) - logits).abs().max():.3g}")
        faults += merge_faults(model, args.merged)
    return faults


def main():
    parser = argparse.ArgumentParser(description="load adapter directories with PEFT and compare what it computes")
    parser.add_argument("--runs", type=pathlib.Path, help="directory with run directories, all of which are checked")
    parser.add_argument("--rows", type=int, default=40, help="texts whose probabilities are compared for a run")
    parser.add_argument("--adapter", type=pathlib.Path)
    parser.add_argument("--base", help="Hugging Face directory of the base model")
    parser.add_argument("--ids", help="safetensors file with the packed batch")
    parser.add_argument("--same", type=pathlib.Path, help="another adapter directory with the same logits")
    parser.add_argument("--merged", type=pathlib.Path, help="model directory with the adapter merged into it")
    parser.add_argument("--lor2c", help="binary of lor2c")
    parser.add_argument("--compare", help="safetensors file with the expected logits")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest absolute difference allowed")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")
    faults = []
    if args.runs:
        for run in sorted(path.parent for path in args.runs.glob("*/best")):
            faults += check_run(run, args.lor2c or "bin/lor2c", args.rows)
    elif args.adapter and args.base:
        faults = check_one(args)
    else:
        parser.error("name runs with --runs, or an adapter and its base model with --adapter and --base")
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
