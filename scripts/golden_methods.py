#!/usr/bin/env python3
"""Writes testdata/golden_methods: what PEFT and PyTorch compute with the fine-tuning methods.

    python scripts/golden_methods.py [--out testdata/golden_methods] [case ...]

Each case trains a tiny RoBERTa or BERT for ten AdamW steps on one batch, in float64 from float32 initial values, and
stores in float64 the logits, the loss and every gradient of the first step, and the values that the ten steps lead to.
Where PEFT has the method, its class is the reference. The other methods are written here from their papers as forward
hooks on the frozen linear layers. Needs torch, transformers and peft; the tests of lor2c read only the files.

The metadata of a file says which method it is, in the form that lor2c.json has, and how it was trained.
"""
import argparse
import json
import pathlib
import shutil

import numpy as np
import peft
import torch
import transformers
from golden_method import MODELS, SEED, Method, batch, drawn
from golden_pytorch import (AdaMix, ASLoRA, BitFit, Bottleneck, DyLoRA, Full, Head, HydraLoRA, LoR2C, LoRAMoE, MELoRA,
                            Prefix, ResLoRA, ShareLoRA)
from peer_finetune import plain_name, sentence_classifier, versions
from peft import TaskType, get_peft_model
from safetensors.torch import save_file

STEPS, WEIGHT_DECAY, CLIP = 10, 0.01, 1.0
QV = ["query", "value"]


def write_model(out, name):
    model = sentence_classifier(MODELS[name])
    with torch.no_grad():
        for n, p in model.named_parameters():
            mean = 1.0 if "LayerNorm.weight" in n else 0.0
            p.copy_(drawn(n, p.shape, 0.3 if "embeddings" in n else 0.25, mean))
    model.save_pretrained(out / name)


class InPEFT(Method):
    """A method whose reference is a class of PEFT."""

    std = {"lora_A": 0.25, "lora_B": 0.1}

    def config(self):
        raise NotImplementedError

    def attach(self):
        s = sentence_classifier(self.settings["base"])  # PEFT refuses to initialise some methods in float64
        self.model = get_peft_model(s, self.config()).double().eval()
        for n, p in self.model.named_parameters():
            if p.requires_grad and "classifier" not in n:
                self.named[self.key(n)] = p
        self.fill()
        self.model.classifier = self.model.base_model.model.classifier.modules_to_save.default

    def key(self, name):
        return plain_name(name)

    def fill(self):
        with torch.no_grad():
            for n, p in self.named.items():
                std = next(v for k, v in self.std.items() if k in n)
                p.copy_(drawn(n, p.shape, std, 1.0 if "ia3" in n else 0.0))

    def lora(self, **more):
        s = self.settings
        return peft.LoraConfig(task_type=TaskType.SEQ_CLS, r=s["rank"], lora_alpha=s["alpha"], lora_dropout=0.0,
                               target_modules=s["target_modules"], **more)


class LoRA(InPEFT):
    def config(self):
        return self.lora()


class RsLoRA(InPEFT):
    def config(self):
        return self.lora(use_rslora=True)


class LoRAPlus(InPEFT):
    def config(self):
        self.ratio = {".lora_B.": self.settings["loraplus_lr_ratio"]}
        return self.lora()


class DoRA(InPEFT):
    std = InPEFT.std | {"lora_magnitude": 0.1}

    def config(self):
        return self.lora(use_dora=True)

    def key(self, name):
        return plain_name(name).replace("lora_magnitude_vector.weight", "lora_magnitude_vector")

    def fill(self):
        norms = {n: p.detach().clone() for n, p in self.named.items() if "magnitude" in n}
        super().fill()
        for n, norm in norms.items():  # near the norm of the rows, as after some training
            self.named[n].data = (norm * drawn(n, norm.shape, 0.1, 1.0)).float().double()


class VeRA(InPEFT):
    std = {"vera_lambda": 0.5}

    def config(self):
        s = self.settings
        return peft.VeraConfig(task_type=TaskType.SEQ_CLS, r=s["rank"], target_modules=s["target_modules"],
                               vera_dropout=0.0)

    def fill(self):
        super().fill()
        for n in ("vera_A", "vera_B"):
            value = getattr(self.model.base_model, n)["default"]
            value.data = drawn(n, value.shape, 0.5)
            self.buffers[f"base_model.{n}"] = value
            for m in self.model.modules():
                if m is not self.model.base_model and hasattr(m, n):
                    getattr(m, n)["default"] = value


class IA3(InPEFT):
    std = {"ia3_l": 0.2}

    def config(self):
        s = self.settings
        return peft.IA3Config(task_type=TaskType.SEQ_CLS, target_modules=s["target_modules"],
                              feedforward_modules=s["feedforward_modules"], exclude_modules=s["exclude_modules"])


class PiSSA(InPEFT):
    """PiSSA or OLoRA: the initial factors are those that PEFT computes, and the base keeps the residual."""

    def config(self):
        return self.lora(init_lora_weights=self.settings["name"])

    def fill(self):
        self.residual = {}
        for n, p in list(self.named.items()):
            self.buffers[n.replace("lora_", "initial_")] = p.detach().clone()
        for n, m in self.model.named_modules():
            if hasattr(m, "lora_A"):
                self.residual[f"residual.{n}.weight"] = m.base_layer.weight.detach().clone()

    def extra(self):
        return self.residual


class AdaLoRA(InPEFT):
    std = InPEFT.std | {"lora_E": 0.5}

    def config(self):
        s = self.settings
        return peft.AdaLoraConfig(
            task_type=TaskType.SEQ_CLS, init_r=s["init_rank"], target_r=s["target_rank"], lora_alpha=s["alpha"],
            lora_dropout=0.0,
            target_modules=s["target_modules"], tinit=round(s["tinit_ratio"] * STEPS),
            tfinal=round(s["tfinal_ratio"] * STEPS),
            deltaT=s["delta_t"], beta1=s["beta1"], beta2=s["beta2"], orth_reg_weight=s["orth_reg_weight"],
            total_step=STEPS)

    def fill(self):
        super().fill()
        for m in self.model.modules():
            if hasattr(m, "ranknum"):  # the scale that a device receives, in float32
                r = m.ranknum["default"].item() + 1e-5
                m.scaling["default"] = float(np.float32(self.settings["alpha"] / r)) * r

    def updated(self, step):
        self.model.base_model.update_and_allocate(step - 1)

    def extra(self):
        pattern = self.model.peft_config["default"].rank_pattern
        kept = {f"pattern.{self.key(n)}": torch.tensor(v).int() for n, v in pattern.items()}
        values = pattern.values()
        assert len(kept) == len(pattern) and not all(all(v) for v in values) and any(any(v) for v in values)
        return kept


LORA = {"rank": 2, "alpha": 4, "dropout": 0, "target_modules": QV}
ALL = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"]
IA3_SITES = {"target_modules": ["key", "value", "output.dense"], "feedforward_modules": ["output.dense"],
             "exclude_modules": ["attention.output.dense"]}
ADAPTER = {"name": "adapter", "bottleneck": 5, "adapter_scale": 1.0}
ADAMIX = {"name": "adamix", "bottleneck": 4, "experts": 3, "consistency_weight": 0.5}
ROUTED = {"experts": 3, "target_modules": ["intermediate.dense", "output.dense"],
          "exclude_modules": ["attention.output.dense"]}
MERGING = {"merge_start_ratio": 0.2, "merge_interval_ratio": 0.3, "merges": 2}  # merges after steps 5 and 8
# The weight of the penalty over the number of matrices is exact in float32.
ADALORA = {"init_rank": 3, "target_rank": 1, "alpha": 4, "dropout": 0, "target_modules": QV, "tinit_ratio": 0.2,
           "tfinal_ratio": 0.3, "delta_t": 2, "beta1": 0.85, "beta2": 0.85, "orth_reg_weight": 0.75}
CASES = {
    "roberta_full": ("roberta", Full, {"name": "full"}),
    "roberta_head": ("roberta", Head, {"name": "head"}),
    "roberta_bitfit": ("roberta", BitFit, {"name": "bitfit"}),
    "roberta_lora": ("roberta", LoRA, LORA | {"name": "lora"}),
    "roberta_lor2c": ("roberta", LoR2C, {"name": "lor2c", "rank": 2, "alpha": 4, "dropout": 0, "share": False}),
    "bert_lor2c_share": ("bert", LoR2C, {"name": "lor2c", "rank": 2, "alpha": 4, "dropout": 0, "share": True}),
    "roberta_rslora": ("roberta", RsLoRA, LORA | {"name": "lora", "rank": 4, "alpha": 8, "use_rslora": True}),
    "roberta_loraplus": ("roberta", LoRAPlus, LORA | {"name": "lora", "loraplus_lr_ratio": 4.0}),
    "roberta_dora": ("roberta", DoRA, LORA | {"name": "dora"}),
    "bert_dora": ("bert", DoRA, LORA | {"name": "dora", "target_modules": ["value", "intermediate.dense"]}),
    "roberta_vera": ("roberta", VeRA, {"name": "vera", "rank": 4, "target_modules": QV}),
    "bert_vera": ("bert", VeRA, {"name": "vera", "rank": 4, "target_modules": ["value", "intermediate.dense"]}),
    "roberta_ia3": ("roberta", IA3, {"name": "ia3"} | IA3_SITES),
    "bert_ia3": ("bert", IA3, {"name": "ia3"} | IA3_SITES),
    "roberta_pissa": ("roberta", PiSSA, LORA | {"name": "pissa", "svd_iterations": 0}),
    "roberta_olora": ("roberta", PiSSA, LORA | {"name": "olora"}),
    "roberta_sharelora_a": ("roberta", ShareLoRA, LORA | {"name": "sharelora", "shared_factors": "A"}),
    "roberta_sharelora_b": ("roberta", ShareLoRA, LORA | {"name": "sharelora", "shared_factors": "B"}),
    "bert_sharelora_ab": ("bert", ShareLoRA, LORA | {"name": "sharelora", "shared_factors": "AB"}),
    "roberta_sharelora_all": ("roberta", ShareLoRA, LORA | {
        "name": "sharelora", "shared_factors": "AB", "share_scope": "all", "target_modules": [*QV, "output.dense"]}),
    "roberta_aslora": ("roberta", ASLoRA, LORA | MERGING | {"name": "aslora", "merge_candidates": "all"}),
    "bert_aslora": ("bert", ASLoRA, LORA | MERGING | {"name": "aslora", "merge_candidates": "adjacent",
                                                      "target_modules": ["query", "output.dense"]}),
    "roberta_melora": ("roberta", MELoRA, LORA | {"name": "melora", "groups": 2,
                                                  "target_modules": ["query", "intermediate.dense"]}),
    "roberta_reslora_is": ("roberta", ResLoRA, LORA | {"name": "reslora", "res_type": "is", "pre_num": -1}),
    "roberta_reslora_bs": ("roberta", ResLoRA, LORA | {"name": "reslora", "res_type": "bs", "pre_num": 1}),
    "bert_reslora_ms": ("bert", ResLoRA, LORA | {"name": "reslora", "res_type": "ms", "pre_num": -1,
                                                 "target_modules": ["query", "output.dense"]}),
    "roberta_adapter_pfeiffer": ("roberta", Bottleneck, ADAPTER | {"kind": "pfeiffer", "activation": "relu"}),
    "bert_adapter_houlsby": ("bert", Bottleneck, ADAPTER
                             | {"kind": "houlsby", "activation": "silu", "adapter_scale": 0.5}),
    "roberta_prefix": ("roberta", Prefix, {"name": "prefix", "num_virtual_tokens": 3}),
    "bert_prefix": ("bert", Prefix, {"name": "prefix", "num_virtual_tokens": 2}),
    "roberta_hydralora": ("roberta", HydraLoRA, LORA | ROUTED | {"name": "hydralora"}),
    "bert_hydralora": ("bert", HydraLoRA, LORA | ROUTED | {"name": "hydralora", "target_modules": QV}),
    "roberta_loramoe": ("roberta", LoRAMoE, LORA | ROUTED | {"name": "loramoe", "balance_weight": 0.5}),
    "bert_loramoe": ("bert", LoRAMoE, LORA | ROUTED | {"name": "loramoe", "target_modules": QV,
                                                       "balance_weight": 0.25}),
    "roberta_adamix": ("roberta", AdaMix, ADAMIX | {"form": "adapter", "share_up": True, "detach": False}),
    "bert_adamix": ("bert", AdaMix, ADAMIX | {"form": "adapter", "share_up": False, "detach": True}),
    "roberta_adamix_lora": ("roberta", AdaMix, ADAMIX | LORA | {"form": "lora", "detach": False}),
    "roberta_dylora": ("roberta", DyLoRA, LORA | {"name": "dylora", "rank": 4, "update": "full"}),
    "roberta_dylora_rows": ("roberta", DyLoRA, LORA | {"name": "dylora", "rank": 4, "update": "rows"}),
    "roberta_adalora": ("roberta", AdaLoRA, {"name": "adalora"} | ADALORA),
    "bert_adalora": ("bert", AdaLoRA, {"name": "adalora"} | ADALORA
                     | {"target_modules": ["query", "output.dense"], "orth_reg_weight": 0.5625}),
}


def clip(params):
    """Clips by the global norm, without the 1e-6 that torch.nn.utils.clip_grad_norm_ adds to it."""
    norm = torch.stack([p.grad.norm() for p in params]).norm()
    for p in params:
        p.grad *= min(1.0, CLIP / norm.item())
    return norm


def run(out, base, cls, settings):
    """The tensors of one case."""
    model = sentence_classifier(str(out / base)).double().eval()
    method = cls(model, settings | {"base": str(out / base), "steps": STEPS})
    model = method.model
    named = method.named
    groups = {}
    for n, p in named.items():
        lr = method.rates[".classifier." in n]
        for part, ratio in method.ratio.items():
            lr *= ratio if part in n else 1
        groups.setdefault(lr, []).append(p)
    optimizer = torch.optim.AdamW([{"params": ps, "lr": lr} for lr, ps in groups.items()], betas=(0.9, 0.999), eps=1e-8,
                                  weight_decay=WEIGHT_DECAY)
    method.optimizer = optimizer
    _, padded = batch(base)
    tensors = {f"init.{n}": p.detach().clone() for n, p in (named | method.buffers).items()} if method.own else {}
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        method.before(step)
        logits, loss = method.loss(padded)
        loss.backward()
        for p in named.values():  # lor2c updates what a step has not used like any parameter with a gradient of zero
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        method.backward(step)
        losses.append(loss.detach())
        if step == 1:
            assert logits.dtype == torch.float64
            trainable = {id(p) for p in model.parameters() if p.requires_grad} | {id(p) for p in named.values()}
            assert trainable == {id(p) for p in named.values()}
            tensors |= {"logits": logits.detach(), "loss": losses[0].reshape(1)}
            tensors |= {f"grad.{n}": p.grad.clone() for n, p in named.items()}
        norms.append(clip(named.values()))
        optimizer.step()
        method.updated(step)
    tensors |= {"losses": torch.stack(losses), "grad_norm": torch.stack(norms)}
    tensors |= {f"final.{n}": p.detach() for n, p in named.items()}
    with torch.no_grad():
        tensors["final_logits"] = model(**padded).logits
    return tensors | method.extra()


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures of the methods")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden_methods")
    parser.add_argument("cases", nargs="*", help="which cases to write; all without")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    args.out.mkdir(exist_ok=True)
    for name in MODELS:
        if not (args.out / name).exists() or not args.cases:
            shutil.rmtree(args.out / name, ignore_errors=True)
            write_model(args.out, name)
    for case in args.cases or CASES:
        base, cls, settings = CASES[case]
        tensors = run(args.out, base, cls, settings)
        entry = {"model": base, "method": settings, "lr": cls.rates[0], "head_lr": cls.rates[1],
                 "weight_decay": WEIGHT_DECAY, "clip": CLIP, "steps": STEPS, "seed": SEED}
        stored = {k: v.detach().contiguous().clone() for k, v in tensors.items()} | batch(base)[0]
        save_file(stored, args.out / f"{case}.safetensors", metadata={"case": json.dumps(entry)})
        print(case, (args.out / f"{case}.safetensors").stat().st_size)
    (args.out / "VERSIONS.json").write_text(json.dumps({"script": "scripts/golden_methods.py", "versions": versions()},
                                                       indent=1) + "\n")


if __name__ == "__main__":
    main()
