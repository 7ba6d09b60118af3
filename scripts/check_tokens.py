#!/usr/bin/env python3
"""Checks that PEFT, transformers and onnxruntime tag words as lor2c does with a run of token classification.

    python scripts/check_tokens.py --run DIR --data FILE [--lor2c bin/lor2c]

The run is exported in each of the forms peft, merged and onnx that its method has, and an export that lor2c refuses is
printed with its reason. An adapter of LoR2C is loaded with the package lor2c_peft. Every tag of the sentences of FILE,
in the format of CoNLL, must be that of `lor2c predict`, unless the two largest logits are almost equal, and the scores
of entities must agree to 1e-5, or to 1e-2 for a merged model in less than float32. Needs torch, transformers, peft and
onnxruntime. Exit status: 0 all well, 1 a difference.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from peft import PeftModel
from transformers import AutoModelForTokenClassification, AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True)


def read(path):
    """The words of the sentences of a file."""
    sentences = [[line.split()[0] for line in block.splitlines()] for block in path.read_text("utf-8").split("\n\n")]
    return [s for s in sentences if s and not s[0].startswith("-DOCSTART-")]


def probabilities(logits_of, tokenizer, words, longest):
    """The probabilities of the tags of each word that has a token, by the number of the word."""
    e = tokenizer(words, is_split_into_words=True, truncation=True, max_length=longest, return_tensors="np")
    logits, of = np.float64(logits_of(dict(e))[0]), e.word_ids()
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return {i: p[of.index(i)] for i in range(len(words)) if i in of}


def faults(rows, logits_of, tokenizer, labels, longest):
    """The number of other tags and the largest difference of a score."""
    wrong, worst, entities = 0, 0.0, 0
    for row in rows:
        found = probabilities(logits_of, tokenizer, row["tokens"], longest)
        for i, tag in enumerate(row["tags"]):
            p = found[i]
            wrong += labels[p.argmax()] != tag and p.max() - p[labels.index(tag)] > 1e-6
        starts = np.cumsum([0] + [len(w) + 1 for w in row["tokens"]]).tolist()
        for e in row["entities"]:
            first, last = starts.index(e["start"]), starts.index(e["end"] + 1)
            score = np.mean([found[i][labels.index(row["tags"][i])] for i in range(first, last)])
            worst, entities = max(worst, abs(score - e["score"])), entities + 1
    return wrong, worst, entities


def torch_logits(model):
    model.eval()

    def compute(inputs):
        with torch.no_grad():
            return model(**{k: torch.from_numpy(v) for k, v in inputs.items()}).logits.numpy()
    return compute


def onnx_logits(path):
    import onnxruntime
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return lambda inputs: session.run(None, {n: inputs[n] for n in names})[0]


def check(name, rows, logits_of, tokenizer, task, longest, within=1e-5):
    wrong, worst, entities = faults(rows, logits_of, tokenizer, task["labels"], longest)
    print(f"{name}: {len(rows)} sentences, {wrong} other tags, {entities} entities, "
          f"largest difference of a score {worst:.2g}")
    return wrong > 0 or not worst <= within or entities == 0


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--lor2c", default=str(ROOT / "bin" / "lor2c"))
    args.add_argument("--run", required=True, type=pathlib.Path)
    args.add_argument("--data", required=True, type=pathlib.Path)
    args = args.parse_args()
    transformers.utils.logging.disable_progress_bar()
    best = args.run / "best"
    description = json.loads((best / "lor2c.json").read_text())
    task, longest, base = description["task"], description["max_length"], description["base"]
    prefix = {"add_prefix_space": True} if base["model_type"] == "roberta" else {}
    tokenizer, failed = AutoTokenizer.from_pretrained(best, **prefix), False
    with tempfile.TemporaryDirectory() as folder:
        words = pathlib.Path(folder) / "words.jsonl"
        words.write_text("".join(json.dumps({"tokens": s}) + "\n" for s in read(args.data)))
        answer = run(args.lor2c, "predict", "--run", args.run, "--device", "cpu", "--format", "jsonl", words)
        if answer.returncode != 0:
            sys.exit(answer.stderr)
        rows = [json.loads(line) for line in answer.stdout.splitlines()]
        if description["method"]["name"] == "lor2c":
            sys.path.insert(0, str(ROOT / "python"))
            import lor2c_peft
            model = AutoModelForTokenClassification.from_pretrained(base["path"], dtype=torch.float32,
                                                                    **lor2c_peft.labels(best))
            logits = torch_logits(PeftModel.from_pretrained(model, str(best)))
            failed |= check("lor2c_peft", rows, logits, tokenizer, task, longest)
        for form in ("peft", "merged", "onnx"):
            out = pathlib.Path(folder) / form
            answer = run(args.lor2c, "export", "--run", args.run, "--format", form, "--out", out)
            if answer.returncode != 0:
                print(f"{form}: refused: {answer.stderr.strip()}")
                continue
            if form == "peft":
                assert json.loads((out / "adapter_config.json").read_text())["task_type"] == "TOKEN_CLS"
                model = AutoModelForTokenClassification.from_pretrained(base["path"], dtype=torch.float32,
                                                                        num_labels=len(task["labels"]),
                                                                        ignore_mismatched_sizes=True)
                logits = torch_logits(PeftModel.from_pretrained(model, str(out)))
            elif form == "merged":
                config = json.loads((out / "config.json").read_text())
                assert config["architectures"][0].endswith("ForTokenClassification"), config["architectures"]
                model = AutoModelForTokenClassification.from_pretrained(out, dtype=torch.float32)
                assert [model.config.id2label[i] for i in range(len(task["labels"]))] == task["labels"]
                logits = torch_logits(model)
            else:
                logits = onnx_logits(out / "model.onnx")
            # A merged model is rounded to the type of the base model.
            narrow = form == "merged" and config["torch_dtype"] != "float32"
            failed |= check(form, rows, logits, tokenizer, task, longest, 1e-2 if narrow else 1e-5)
    sys.exit(failed)


if __name__ == "__main__":
    main()
