#!/usr/bin/env python3
"""Writes testdata/golden_events: the steps of PyTorch before and after merges and injections of LoR2C modules.

    python scripts/golden_events.py [--base testdata/golden] [--out testdata/golden_events]

Each case trains a tiny model of scripts/golden.py for ten AdamW steps on one batch and changes the
structure in between: a merge keeps the tensors of one member with their AdamW state and drops the
other's, an injection drops a module and adds LoRA of half the rank to query and value with no state
(LoR2C, arXiv:2503.00572, sections III-C and III-D). float64 throughout, stored as float32; the
optimizer is torch.optim.AdamW, which counts the steps of every parameter on its own. MANIFEST.json
says how far PyTorch's own bfloat16 run is from these values, by the measure of scripts/golden.py.
"""
import argparse
import functools
import json
import pathlib

import golden
import torch
import torch.nn.functional as F
import transformers
from peer_finetune import adamw, sentence_classifier, versions
from safetensors.torch import save_file

RANK, ALPHA, INJECT_ALPHA = 4, 8, 16
LR, HEAD_LR, WEIGHT_DECAY, CLIP, STEPS = 1e-2, 5e-3, 0.01, 1.0, 10

# The dictionaries map a step to the events after it: ("merge", first, last, first layer
# of the module kept) or ("inject", layer).
CASES = {
    "roberta_span2_span3": ("roberta", False, {4: [("merge", 0, 1, 1)], 7: [("merge", 0, 2, 0)]}),
    "roberta_keep_last": ("roberta", False, {3: [("merge", 1, 2, 2)], 6: [("merge", 0, 2, 1)]}),
    "roberta_inject": ("roberta", False, {4: [("inject", 1)], 6: [("inject", 2)]}),
    "bert_merge_inject": ("bert", False, {5: [("merge", 1, 2, 1), ("inject", 0)]}),
    "roberta_share": ("roberta", True, {3: [("merge", 0, 1, 1)], 6: [("inject", 2)]}),
}


class Network:
    """A frozen classifier with LoR2C modules that can be merged and replaced."""

    def __init__(self, path, share, dtype, draw):
        self.model = sentence_classifier(str(path)).eval()
        self.model.requires_grad_(False)
        self.model.classifier.requires_grad_(True)
        self.dtype, self.draw, self.exact = dtype, draw, golden.Exact(dtype)
        self.head = {f"base_model.model.classifier.{n}": p for n, p in self.model.classifier.named_parameters()}
        for n, p in self.head.items():
            p.data = golden.nearby(n, p.data, draw)
        self.exact.add(self.head)
        self.model.to(dtype)
        self.encoder = self.model.base_model.encoder
        self.stem = f"base_model.model.{self.model.base_model_prefix}.encoder"
        self.share, width = share, self.model.config.hidden_size
        self.inputs, self.modules, self.pairs = {}, {}, {}  # modules: (first, last) -> (A, B)
        shared = self.random("shared_A", RANK, width)
        for i, layer in enumerate(self.encoder.layer):
            a = shared if share else self.random(f"A{i}", RANK, width)
            self.modules[i, i] = (a, self.random(f"B{i}", width, RANK, std=0.1))
            layer.register_forward_hook(functools.partial(self.add, i))

    def parameter(self, name, values):
        """A trained parameter with float32 values, so that the file contains exactly the values used."""
        values = golden.nearby(name, values, self.draw)
        p = torch.nn.Parameter(values)
        self.exact.add({name: p})
        p.data = values.to(self.dtype)
        return p

    def random(self, name, *shape, std=0.25):
        generator = torch.Generator().manual_seed(sum(map(ord, name)))
        return self.parameter(name, (std * torch.randn(shape, generator=generator)).float())

    def add(self, i, _layer, args, output):
        self.inputs[i] = args[0]
        for (first, last), (a, b) in self.modules.items():
            if last == i:
                output = output + ALPHA / RANK * F.linear(F.linear(self.inputs[first], a), b)
        return output

    def merge(self, first, last, keep):
        inside = {k: v for k, v in self.modules.items() if first <= k[0] and k[1] <= last}
        kept = next(v for k, v in inside.items() if k[0] == keep)
        self.modules = {k: v for k, v in self.modules.items() if k not in inside} | {(first, last): kept}

    def inject(self, i):
        del self.modules[i, i]
        attention, r = self.encoder.layer[i].attention.self, RANK // 2
        for name in ("query", "value"):
            linear = getattr(attention, name)
            out, width = linear.weight.shape
            a, b = self.random(f"{name}{i}", r, width), self.parameter(f"{name}{i}.B", torch.zeros(out, r))
            self.pairs[f"layer.{i}.attention.self.{name}"] = (a, b)
            linear.register_forward_hook(
                lambda _m, args, y, a=a, b=b: y + INJECT_ALPHA / r * F.linear(F.linear(args[0], a), b))

    def named(self):
        """The trained parameters of the adapter, by their keys in an adapter file."""
        named = {}
        for (first, last), (a, b) in sorted(self.modules.items()):
            name = f"{self.stem}.layer.{first}.lor2c.{first}_{last}"
            named[f"{self.stem}.lor2c.shared.lora_A.weight" if self.share else f"{name}.lora_A.weight"] = a
            named[f"{name}.lora_B.weight"] = b
        for name, (a, b) in self.pairs.items():
            named |= {f"{self.stem}.{name}.lora_A.weight": a, f"{self.stem}.{name}.lora_B.weight": b}
        return self.exact.of(named)


def follow(optimizer, named):
    """Removes parameters that the network no longer has from the optimizer, with their state, and adds new ones."""
    group, now = optimizer.param_groups[0], list(named.values())
    for p in group["params"]:
        if not any(p is q for q in now):
            optimizer.state.pop(p, None)
    group["params"] = now


def run(base, name, share, events, dtype, draw=0):
    """The tensors of one case in one precision."""
    net = Network(base / name, share, dtype, draw)
    head = net.exact.of(net.head)
    _, padded = golden.batch(name)
    tensors = {f"init.{n}": p.detach().clone() for n, p in net.named().items()}
    optimizer = adamw(net.named() | head, LR, HEAD_LR, WEIGHT_DECAY)
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        net.exact.round()
        loss = net.exact.loss(net.model(**padded), padded["labels"])
        loss.backward()
        net.exact.take_gradients()
        params = net.named() | head
        losses.append(loss.detach())
        norms.append(torch.nn.utils.clip_grad_norm_(list(params.values()), CLIP))
        optimizer.step()
        for kind, *where in events.get(step, []):
            before = net.named()
            getattr(net, kind)(*where)
            tensors |= {f"init.{n}": p.detach().clone() for n,
                        p in net.named().items() if n not in before and kind == "inject"}
        follow(optimizer, net.named())
    for n, p in (net.named() | head).items():
        state = optimizer.state[p]
        tensors |= {f"final.{n}": p.detach(), f"exp_avg.{n}": state["exp_avg"], f"exp_avg_sq.{n}": state["exp_avg_sq"]}
    net.exact.round()
    with torch.no_grad():
        tensors["logits"] = net.model(**padded).logits
    return tensors | {"losses": torch.stack(losses), "grad_norm": torch.stack(norms)}


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures of merges and injections")
    parser.add_argument("--base", type=pathlib.Path, default=root / "testdata" / "golden")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden_events")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    manifest = {"script": "scripts/golden_events.py", "versions": versions(), "torch_bfloat16_relative": {}}
    for case, (name, share, events) in CASES.items():
        entry = {"model": name, "share": share, "r": RANK, "alpha": ALPHA, "inject_alpha": INJECT_ALPHA, "lr": LR,
                 "head_lr": HEAD_LR, "weight_decay": WEIGHT_DECAY, "clip": CLIP, "steps": STEPS,
                 "events": [{"step": s, "kind": kind, "where": where} for s, es in events.items() for kind,
                            *where in es]}
        tensors = run(args.base, name, share, events, torch.float64)
        stored = {k: v.float().contiguous() for k, v in tensors.items()} | golden.batch(name)[0]
        save_file(stored, args.out / f"{case}.safetensors", metadata={"case": json.dumps(entry)})
        manifest["torch_bfloat16_relative"][case] = golden.bfloat16_error(functools.partial(run, args.base, name,
                                                                                            share, events))
        print(case)
    (args.out / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
