#!/usr/bin/env python3
"""Compares lor2c with the Python package lor2c_peft, on adapters that lor2c trains for it or on one that is there.

    python scripts/check_python.py --lor2c bin/lor2c                              trains five steps on the demo's models
    python scripts/check_python.py --lor2c bin/lor2c --adapter DIR --model DIR    checks one adapter

For an encoder, the logarithms of the probabilities of `lor2c predict` must be those of the model that PEFT loads, to
--tolerance. For a decoder, `lor2c generate` must write the 64 tokens that `generate` of transformers writes with its
cache. Then the adapter is trained on for three steps in Python and saved, and both are compared again with what was
saved. Run from the root of the repository. Exit status: 0 all well, 1 a difference.
"""
import argparse
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

import lor2c_peft  # noqa: E402
import torch  # noqa: E402
from peft import PeftModel  # noqa: E402
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402

SCHEDULE = ["schedule.max_merges=1", "schedule.max_injects=1"]
# One step in each of five epochs.
ENCODER = ["-c", "configs/demo.yaml", "--set", "data.train={train}", "--set", "data.dev={dev}", "--set",
           "train.epochs=5", "--set", "train.batch_size=64"]
DECODER = ["-c", "configs/demo-decoder.yaml", "--set", "train.epochs=5", "--set", "train.batch_size=42", "--set",
           "optim.lr=0.02"]
RUNS = {
    "encoder": (ENCODER, []),
    "encoder-share": (ENCODER, ["method.share=true"]),
    "encoder-im": (ENCODER, SCHEDULE),
    "decoder-share": (DECODER, ["method.share=true"]),
    "decoder-im": (DECODER, [*SCHEDULE, "method.target_modules=q_proj,o_proj"]),
}
PROMPTS = ["A story about a mouse and the house:", "Once upon a time", "The fish"]


def run(*command, text=None):
    """Output of a command, which must succeed."""
    done = subprocess.run([str(part) for part in command], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def train(lor2c, folder, name):
    """Trains an adapter for five steps and returns its directory."""
    for part, rows in (("train", 64), ("dev", 40)):
        lines = pathlib.Path(f"demo/data/{part}.tsv").read_text().splitlines(keepends=True)
        (folder / f"{part}.tsv").write_text("".join(lines[:rows + 1]))
    arguments, settings = RUNS[name]
    arguments = [part.format(train=folder / "train.tsv", dev=folder / "dev.tsv") for part in arguments]
    for setting in settings:
        arguments += ["--set", setting]
    run(lor2c, "train", *arguments, "--device", "cpu", "--out", folder / name)
    return folder / name / "final"


class Adapter:
    """An adapter directory, loaded with PEFT."""

    def __init__(self, lor2c, directory, base):
        self.lor2c, self.directory, self.base = lor2c, directory, base
        self.description = json.loads((directory / "lor2c.json").read_text())
        self.decoder = json.loads((directory / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"
        self.tokenizer = AutoTokenizer.from_pretrained(base)
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token

    def load(self, **options):
        """The model with the adapter."""
        if self.decoder:
            base = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        else:
            base = AutoModelForSequenceClassification.from_pretrained(
                self.base, dtype=torch.float32, **lor2c_peft.labels(self.directory))
        return PeftModel.from_pretrained(base, self.directory, **options)

    def difference(self, texts):
        """Largest difference of the outputs that lor2c predicts, and for a decoder whether it writes other tokens."""
        model = self.load()
        if self.decoder:
            return max(self.other_tokens(model, prompt) for prompt in PROMPTS)
        command = [self.lor2c, "predict", "--adapter", self.directory, "--model", self.base, "--device", "cpu",
                   "--format", "csv", "--input-format", "lines", "-"]
        rows = list(csv.DictReader(io.StringIO(run(*command, text="\n".join(texts) + "\n"))))
        names = [name for name in rows[0] if name.startswith("p_")] or ["prediction"]
        theirs = torch.tensor([[float(row[name]) for name in names] for row in rows], dtype=torch.float64)
        ours = []
        with torch.no_grad():
            for text in texts:
                batch = self.tokenizer(text, return_tensors="pt", truncation=True,
                                       max_length=self.description["max_length"])
                ours.append(model(**batch).logits.double())
        ours = torch.cat(ours)
        if len(names) > 1:
            ours, theirs = ours.log_softmax(-1), theirs.log()
        return (ours - theirs).abs().max().item()

    def other_tokens(self, model, prompt, new=64):
        """0 if both write the same greedy tokens, else infinity."""
        ids = self.tokenizer(prompt, return_tensors="pt")["input_ids"]
        written = model.generate(input_ids=ids, max_new_tokens=new, do_sample=False, use_cache=True,
                                 pad_token_id=self.tokenizer.pad_token_id)[0, ids.shape[1]:].tolist()
        written = [token for token in written if token != model.config.eos_token_id]
        command = [self.lor2c, "generate", "--adapter", self.directory, "--model", self.base, "--device", "cpu",
                   "--json", "--template", "none", "-p", prompt, "--max-new-tokens", new]
        theirs = json.loads(run(*command))["token_ids"]
        print(f"  {len(theirs)} tokens: {'equal' if written == theirs else 'other tokens than transformers writes'}")
        return 0.0 if written == theirs else float("inf")

    def train_on(self, folder, texts):
        """Trains for three steps in Python and returns the adapter that is saved."""
        model = self.load(is_trainable=True)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
        batch = self.tokenizer(texts[:8], return_tensors="pt", truncation=True, max_length=32, padding=True)
        if self.decoder:
            batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        else:
            outputs = model.config.num_labels
            batch["labels"] = torch.arange(8) % outputs if outputs > 1 else torch.linspace(0, 1, 8)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print("  loss of three steps in Python:", " ".join(f"{loss:.4f}" for loss in losses))
        model.save_pretrained(folder)
        return Adapter(self.lor2c, folder, self.base)


def main():
    parser = argparse.ArgumentParser(description="compare lor2c with lor2c_peft")
    parser.add_argument("--lor2c", type=pathlib.Path, required=True, help="binary of lor2c")
    parser.add_argument("--adapter", type=pathlib.Path, help="adapter directory; without it, five steps are trained")
    parser.add_argument("--model", help="directory of the base model of --adapter")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest difference of a logarithm")
    args = parser.parse_args()
    if (args.adapter is None) != (args.model is None):
        parser.error("--adapter and --model belong together")
    lor2c, bad = args.lor2c.resolve(), False
    texts = [line.split("\t")[0] for line in pathlib.Path("demo/data/test.tsv").read_text().splitlines()[1:25]]
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in [str(args.adapter)] if args.adapter else RUNS:
            directory = args.adapter or train(lor2c, folder, name)
            base = args.model or ("demo/decoder" if name.startswith("decoder") else "demo/model")
            adapter = Adapter(lor2c, directory, base)
            print(f"{name}: {json.dumps(adapter.description['structure'])}")
            before = adapter.difference(texts)
            again = adapter.train_on(folder / f"saved-{directory.parent.name}", texts)
            after = again.difference(texts)
            print(f"  largest difference {before:.3g}; after training on in Python {after:.3g}", flush=True)
            bad |= not max(before, after) <= args.tolerance
    if bad:
        sys.exit(f"check_python: a difference is larger than {args.tolerance:g}")


if __name__ == "__main__":
    main()
