#!/usr/bin/env python3
"""Checks with onnxruntime that the ONNX models of lor2c compute what lor2c computes.

    python scripts/check_onnx.py --lor2c bin/lor2c            trains and exports adapters of RoBERTa, BERT and MPNet
    python scripts/check_onnx.py --lor2c bin/lor2c --run DIR  exports one run and compares it with lor2c predict
    python scripts/check_onnx.py --tiny [--write]             runs internal/onnx/testdata/*.onnx

For a run, the logarithms of the probabilities (of the odds, for several labels) of `lor2c predict` must be those of the
logits of onnxruntime, to --tolerance, for texts in one padded batch and one by one. --tiny compares the logits of the
tiny models with logits.json, which --write writes; the tests of Go read that file. Every model is also checked with
onnx.checker and the shape inference of the package onnx. Needs onnx, onnxruntime and numpy; runs need transformers, and
torch to make the models of BERT and MPNet. Run from the root of the repository. Exit status: 0 all well, 1 a
difference.
"""
import argparse
import csv
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402

TINY = pathlib.Path("internal/onnx/testdata")
ROWS = [5, 1, 9, 2]  # lengths of the sequences of internal/onnx/encoder_test.go
SCHEDULE = ["schedule.max_merges=1", "schedule.max_injects=1"]
METHODS = {
    "lor2c": [], "lor2c-share": ["method.share=true"], "lor2c-im": SCHEDULE, "lora": ["method.name=lora"],
    "head": ["method.name=head"], "dora": ["method.name=dora"], "bitfit": ["method.name=bitfit"],
}


def session(path):
    """An inference session of a model that passes the checker."""
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compute(model, arrays):
    """The logits of a model in float64, for the arrays among which are its inputs."""
    wanted = {node.name for node in model.get_inputs()}
    given = {name: np.asarray(value, np.int64) for name, value in arrays.items() if name in wanted}
    return model.run(["logits"], given)[0].astype(float)


def tiny(write):
    """Faults of the tiny models."""
    ids, mask, types = (np.zeros((len(ROWS), max(ROWS)), np.int64) for _ in range(3))
    for row, length in enumerate(ROWS):
        for i in range(length):
            ids[row, i], mask[row, i], types[row, i] = (7 * length + 5 * i) % 23, 1, 2 * i // length
    found = {}
    for path in sorted(TINY.glob("*.onnx")):
        logits = compute(session(path), {"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        found[path.stem] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "logits": logits.tolist()}
    file = TINY / "logits.json"
    if write:
        file.write_text(json.dumps(found, indent=1) + "\n")
    known, faults = json.loads(file.read_text()), []
    for name in sorted(found.keys() | known.keys()):
        if name not in found or name not in known or found[name]["sha256"] != known[name]["sha256"]:
            faults.append(f"{name}: the model is not the one of logits.json; write that with --write")
            continue
        worst = np.abs(np.array(found[name]["logits"]) - np.array(known[name]["logits"])).max()
        print(f"{name}: largest difference from logits.json {worst:.2g}")
        if not worst <= 1e-5:
            faults.append(f"{name}: logits differ by {worst:.3g}; allowed 1e-5")
    return faults


def run(*command, text=None):
    """Output of a command, which must succeed."""
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def compare(lor2c, directory, folder, texts):
    """Largest difference between the outputs of lor2c predict and those of the exported run."""
    from transformers import AutoTokenizer
    out = folder / f"{directory.name}.onnx"
    print("  " + run(lor2c, "export", "--run", directory, "--checkpoint", "final", "--format", "onnx", "--out",
                     out).strip())
    description = json.loads((directory / "final" / "lor2c.json").read_text())
    table = run(lor2c, "predict", "--run", directory, "--checkpoint", "final", "--device", "cpu", "--format", "csv",
                "--input-format", "lines", "-", text="\n".join(texts) + "\n")
    rows = list(csv.DictReader(io.StringIO(table)))
    names = [name for name in rows[0] if name.startswith("p_")] or ["prediction"]
    theirs = np.array([[float(row[name]) for name in names] for row in rows])
    model, tokenizer = session(out / "model.onnx"), AutoTokenizer.from_pretrained(out)

    def logits(texts):
        return compute(model, tokenizer(texts, padding=True, truncation=True, max_length=description["max_length"],
                                        return_tensors="np"))

    worst = 0.0
    for ours in logits(texts), np.concatenate([logits([text]) for text in texts]):
        if description["task"].get("kind") == "multilabel":
            worst = max(worst, np.abs(ours - np.log(theirs / (1 - theirs))).max())
        elif len(names) > 1:
            top = ours.max(-1, keepdims=True)
            ours = ours - top - np.log(np.exp(ours - top).sum(-1, keepdims=True))
            worst = max(worst, np.abs(ours - np.log(theirs)).max())
        else:
            worst = max(worst, np.abs(ours - theirs).max())
    return worst


def make_base(kind, folder, texts):
    """A directory with a random model of BERT or MPNet and a vocabulary of words of the texts."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer, MPNetConfig, MPNetModel, MPNetTokenizer
    words = sorted({word for text in texts for word in text.lower().split() if word.isalpha()})[:300]
    letters = [prefix + letter for letter in "abcdefghijklmnopqrstuvwxyz.,!?'-0123456789" for prefix in ("", "##")]
    special = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"] if kind == "mpnet" else \
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    folder.mkdir()
    vocabulary = list(dict.fromkeys(special + letters + words))
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    config, model, tokenizer = (MPNetConfig, MPNetModel, MPNetTokenizer) if kind == "mpnet" else \
        (BertConfig, BertModel, BertTokenizer)
    torch.manual_seed(1)
    model(config(vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=4, num_attention_heads=4,
                 intermediate_size=128, max_position_embeddings=130, initializer_range=0.1)).save_pretrained(folder)
    tokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def trained(lor2c, folder, name, base, settings):
    """Trains for five epochs of one step and returns the run's directory."""
    command = [lor2c, "train", "-c", "configs/demo.yaml", "--device", "cpu", "--out", folder / name]
    for setting in [f"model={base}", f"data.train={folder}/train.tsv", f"data.dev={folder}/dev.tsv", "train.epochs=5",
                    "train.batch_size=64", *settings]:
        command += ["--set", setting]
    run(*command)
    return folder / name


def main():
    parser = argparse.ArgumentParser(description="run the ONNX models of lor2c with onnxruntime")
    parser.add_argument("--lor2c", type=pathlib.Path, help="binary of lor2c")
    parser.add_argument("--run", type=pathlib.Path, help="run directory; without it, short runs are trained")
    parser.add_argument("--only", help="one of the short runs, such as bert-lor2c-im")
    parser.add_argument("--tiny", action="store_true", help="run the tiny models of the tests of Go")
    parser.add_argument("--write", action="store_true", help="write the logits of the tiny models")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest difference of a logarithm")
    args = parser.parse_args()
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}")
    if args.tiny:
        faults = tiny(args.write)
        for fault in faults:
            print(fault, file=sys.stderr)
        sys.exit(1 if faults else 0)
    if not args.lor2c:
        parser.error("name the binary with --lor2c, or check the tiny models with --tiny")
    lor2c, bad = args.lor2c.resolve(), False
    rows = {part: pathlib.Path(f"demo/data/{part}.tsv").read_text().splitlines(keepends=True)
            for part in ("train", "dev", "test")}
    texts = [line.split("\t")[0] for line in rows["test"][1:25]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if args.run:
            worst = compare(lor2c, args.run, folder, texts)
            print(f"{args.run}: largest difference {worst:.2g}")
            sys.exit(0 if worst <= args.tolerance else f"check_onnx: allowed {args.tolerance:g}")
        for part, count in (("train", 64), ("dev", 40)):
            (folder / f"{part}.tsv").write_text("".join(rows[part][:count + 1]))
        words = [line.split("\t")[0] for line in rows["train"][1:]]
        bases = {"roberta": "demo/model", **{kind: make_base(kind, folder / kind, words) for kind in ("bert", "mpnet")}}
        for kind, base in bases.items():
            for method, settings in METHODS.items():
                if kind != "roberta" and method in ("lor2c-share", "dora", "bitfit"):
                    continue
                name = f"{kind}-{method}"
                if args.only not in (None, name):
                    continue
                directory = trained(lor2c, folder, name, base, settings)
                structure = json.loads((directory / "final" / "lor2c.json").read_text()).get("structure")
                print(f"{name}: {json.dumps(structure)}", flush=True)
                worst = compare(lor2c, directory, folder, texts)
                print(f"  largest difference {worst:.2g}", flush=True)
                bad |= not worst <= args.tolerance
    if bad:
        sys.exit(f"check_onnx: a difference is larger than {args.tolerance:g}")


if __name__ == "__main__":
    main()
