#!/usr/bin/env python3
"""Writes testdata/golden: tiny models and what PyTorch, transformers and PEFT compute with them.

    python scripts/golden.py [--out testdata/golden]

Needs torch, transformers and peft; a user of lor2c needs none of them, and neither do the tests,
which read the files written here. Every value comes from float64 arithmetic on float32 inputs and
is rounded to float32 once, at the end, so that a test measures its own rounding and not PyTorch's.
MANIFEST.json records versions, settings, digests, and how far PyTorch's own float32 and bfloat16
runs are from these values: the distance another implementation in that precision may be expected to
show.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil

import torch
import torch.nn.functional as F
import transformers
from peer_finetune import adamw, attach, sentence_classifier, versions
from peft import PeftModel
from safetensors.torch import save_file
from transformers import BertConfig, MPNetConfig, RobertaConfig

STEPS, WEIGHT_DECAY, CLIP = 10, 0.01, 1.0
DRAWS = 16  # number of networks for which the error of bfloat16 is measured
RANK, LORA_ALPHA, LOR2C_ALPHA = 4, 16, 8
# Each entry is the numbers of tokens of the first and the second sentence, without
# special tokens.
SENTENCES = [(7, 0), (2, 0), (1, 0), (4, 4), (2, 2)]
# MPNet has a bias for the distance of two tokens, which is constant from 128 tokens on.
DISTANT_SENTENCES = [(138, 0), (2, 0), (1, 0), (20, 14), (2, 2)]
KEY_BIAS = ("key.bias", "attn.k.bias", "k_lin.bias")
NO_DROPOUT = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0)
MODELS = {
    "roberta": RobertaConfig(
        vocab_size=120, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=42, type_vocab_size=1, num_labels=3, layer_norm_eps=1e-5, **NO_DROPOUT),
    "bert": BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=40, type_vocab_size=2, num_labels=2, layer_norm_eps=1e-12, **NO_DROPOUT),
    "roberta_regression": RobertaConfig(
        vocab_size=120, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=42, type_vocab_size=1, num_labels=1, layer_norm_eps=1e-5, **NO_DROPOUT),
    "mpnet": MPNetConfig(
        vocab_size=110, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=150, num_labels=3, layer_norm_eps=1e-5, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0),
}
METHODS = ["head", "lora", "lor2c", "share", "full"]
CASES = [(model, method) for model in ("roberta", "bert") for method in METHODS]
CASES += [("roberta_regression", "lor2c"), ("mpnet", "lora"), ("mpnet", "lor2c"), ("mpnet", "full")]


def fill(named, seed):
    """Random values that are far from an initialisation, so that no term of a gradient is trivial."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in named:
            std = 0.3 if "embeddings" in name else 0.1 if "lora_B" in name else 0.25
            if "relative_attention_bias" in name:
                std = 1.0
            p.copy_(std * torch.randn(p.shape, generator=generator))
            if name.endswith(("LayerNorm.weight", "layer_norm.weight")):
                p += 1


def write_model(out, name, seed):
    """Saves one tiny random base model as a Hugging Face directory."""
    model = sentence_classifier(MODELS[name])
    fill(model.named_parameters(), seed)
    model.save_pretrained(out / name)


def batch(name):
    """One uneven batch: the packed form for the file and the padded one for transformers."""
    config, generator = MODELS[name], torch.Generator().manual_seed(5)
    # These are the ids of <s>, </s> and of [CLS], [SEP]. RoBERTa and MPNet have two
    # separators between the sentences.
    doubled = config.model_type not in ("bert", "distilbert")
    first, sep = (0, 2) if doubled else (2, 3)
    kinds_of_token = getattr(config, "type_vocab_size", 1)
    rows, types = [], []
    for a, b in DISTANT_SENTENCES if config.model_type == "mpnet" else SENTENCES:
        words = torch.randint(4, config.vocab_size, (a + b,), generator=generator).tolist()
        row = [first, *words[:a], sep]
        kinds = [0] * len(row)
        if b:
            tail = [sep] * doubled + words[a:] + [sep]
            row, kinds = row + tail, kinds + [min(1, kinds_of_token - 1)] * len(tail)
        rows.append(row)
        types.append(kinds)
    count, longest = len(rows), max(map(len, rows))
    ids = torch.full((count, longest), config.pad_token_id)
    kinds, mask = torch.zeros(count, longest, dtype=torch.long), torch.zeros(count, longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, :len(row)], kinds[i, :len(row)], mask[i, :len(row)] = torch.tensor(row), torch.tensor(types[i]), 1
    if config.num_labels == 1:
        labels = (5 * torch.rand(count, generator=generator)).float()
    else:
        labels = torch.randint(0, config.num_labels, (count,), generator=generator)
    offsets = torch.tensor([0] + [len(r) for r in rows]).cumsum(0)
    packed = {"input_ids": torch.tensor(sum(rows, [])).int(), "token_type_ids": torch.tensor(sum(types, [])).int(),
              "cu_seqlens": offsets.int(), "labels": labels.int() if config.num_labels > 1 else labels}
    padded = dict(input_ids=ids, token_type_ids=kinds, attention_mask=mask, labels=labels)
    if config.model_type in ("mpnet", "distilbert"):
        del padded["token_type_ids"]
    return packed, padded


def learning_rates(method):
    # Ten Adam steps of 1e-2 on every tensor would leave the range in which the loss is smooth.
    return (1e-3, 5e-4) if method == "full" else (1e-2, 5e-3)


def nearby(name, values, draw):
    """Another network whose values each differ by about a twentieth, so that they round differently. Draw 0 is the golden network."""
    if draw == 0:
        return values
    generator = torch.Generator().manual_seed(1000 * draw + sum(map(ord, name)))
    return values * (1 + 0.05 * torch.randn(values.shape, generator=generator))


class Exact:
    """What an optimizer updates, for every trained parameter.

    In bfloat16 that is a float32 value of which the parameter is a working copy: rounded before a
    step, its gradient taken over in float32 (Micikevicius et al. 2018, arXiv:1710.03740, section 3.1).
    In any other precision it is the parameter itself.
    """

    def __init__(self, dtype):
        self.narrow, self.values = dtype == torch.bfloat16, {}

    def add(self, named):
        """Takes parameters by name, not yet rounded."""
        if self.narrow:
            self.values |= {p: torch.nn.Parameter(p.detach().float()) for p in named.values()}

    def of(self, named):
        return {n: self.values.get(p, p) for n, p in named.items()}

    def loss(self, result, labels, **options):
        """The loss of a model's output. Logits of a narrower type are converted to float32 first.

        options are those of PyTorch's cross-entropy, such as weight and label_smoothing.
        """
        if not self.narrow and not options:
            return result.loss
        logits = result.logits.float() if self.narrow else result.logits
        if labels.is_floating_point():
            return F.mse_loss(logits.squeeze(-1), labels.float())
        return F.cross_entropy(logits, labels, **options)

    @torch.no_grad()
    def round(self):
        for p, value in self.values.items():
            p.copy_(value)

    def take_gradients(self):
        for p, value in self.values.items():
            if p.grad is not None:
                value.grad, p.grad = p.grad.float(), None


def run(out, name, method, dtype, draw=0, **options):
    """One case in one precision: the model after the steps, and the tensors of its file.

    options are those of the cross-entropy.
    """
    model = sentence_classifier(str(out / name))
    alpha = LORA_ALPHA if method == "lora" else LOR2C_ALPHA
    model, named = attach(model, method, RANK, alpha, 0.0)
    fill([(n, p) for n, p in named.items() if "lora_" in n], seed=11)
    with torch.no_grad():
        for n, p in named.items():
            p.copy_(nearby(n, p, draw))
    exact = Exact(dtype)
    exact.add(named)
    trained = exact.of(named)
    model.to(dtype).eval()
    _, padded = batch(name)
    if MODELS[name].num_labels == 1:
        padded["labels"] = padded["labels"].to(dtype)
    tensors = {} if method == "full" else {f"init.{n}": p.detach().clone() for n, p in trained.items()}

    lr, head_lr = learning_rates(method)
    optimizer = adamw(trained, lr, head_lr, WEIGHT_DECAY)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        exact.round()
        result = model(**padded)
        loss = exact.loss(result, padded["labels"], **options)
        loss.backward()
        exact.take_gradients()
        losses.append(loss.detach())
        if step == 0:
            assert result.logits.dtype == dtype and all(p.grad is not None for p in trained.values())
            trainable = [p for p in model.parameters() if p.requires_grad]
            assert {id(p) for p in trainable} == {id(p) for p in named.values()}
            tensors |= {"logits": result.logits.detach(), "loss": losses[0].reshape(1)}
            tensors |= {f"grad.{n}": p.grad.clone() for n, p in trained.items()}
        norms.append(torch.nn.utils.clip_grad_norm_(list(trained.values()), CLIP))
        optimizer.step()
    tensors |= {"losses": torch.stack(losses), "grad_norm": torch.stack(norms)}
    tensors |= {f"final.{n}": p.detach() for n, p in trained.items()}
    return model, tensors


def distances(reference, other):
    """Largest |difference| of each tensor of a group, divided by its largest |reference|."""
    groups = {}
    for key, want in reference.items():
        group = key.split(".")[0]
        # The softmax does not depend on a constant that is added to all its inputs, so
        # this gradient is zero and both values are noise.
        if key.endswith(KEY_BIAS) and group in ("grad", "final"):
            continue
        groups.setdefault(group, []).append(((other[key].double() - want).abs().max() / want.abs().max()).item())
    return {k: v for k, v in groups.items() if k != "init"}


def rounded(x):
    return float(f"{x:.2g}")


def bfloat16_error(run_in):
    """The distance of run_in(dtype, draw) in bfloat16 from float64: of the worst tensor of a group and of the mean one.

    Each is the largest over several draws: after some steps of Adam the error of one run is a matter of luck.
    """
    worst = {}
    for draw in range(DRAWS):
        tensors, narrow = run_in(torch.float64, draw), run_in(torch.bfloat16, draw)
        groups = distances(tensors, narrow)
        if zeros := [v.abs().max().item() for k, v in narrow.items() if k.startswith("grad.")
                     and k.endswith(KEY_BIAS)]:
            groups["zero"] = zeros
        for k, v in groups.items():
            before = worst.get(k, {"worst": 0.0, "mean": 0.0})
            worst[k] = {"worst": max(before["worst"], rounded(max(v))),
                        "mean": max(before["mean"], rounded(sum(v) / len(v)))}
    return worst


def write_case(out, name, method):
    """Writes one case and, for LoRA on RoBERTa, the adapter directory PEFT itself saves."""
    model, tensors = run(out, name, method, torch.float64)
    _, single = run(out, name, method, torch.float32)
    packed, _ = batch(name)
    lr, head_lr = learning_rates(method)
    entry = {"model": name, "method": method, "lr": lr, "head_lr": head_lr, "steps": STEPS,
             "weight_decay": WEIGHT_DECAY, "clip": CLIP,
             "torch_float32_relative": {k: rounded(max(v)) for k, v in distances(tensors, single).items()}}
    if method in ("lora", "lor2c", "share"):
        entry |= {"r": RANK, "alpha": LORA_ALPHA if method == "lora" else LOR2C_ALPHA}
    stored = {k: v.float().contiguous() for k, v in tensors.items()} | packed
    case = f"{name}_{method}"
    # There is only one metadata entry, because the writer orders several entries at
    # random and the digest would change.
    save_file(stored, out / f"{case}.safetensors", metadata={"case": json.dumps(entry)})
    if (name, method) == ("roberta", "lora"):
        write_peft_directory(out, model)
    # These numbers are not in the file's metadata, because the last digit may differ on
    # another processor.
    entry["torch_bfloat16_relative"] = bfloat16_error(lambda dtype, draw: run(out, name, method, dtype, draw)[1])
    return case, entry


def write_peft_directory(out, model):
    """Saves the trained LoRA adapter with PEFT, reads it back with PEFT, and stores its logits."""
    target = out / "peft_lora_roberta"
    model.float()
    model.peft_config["default"].base_model_name_or_path = "roberta"
    model.save_pretrained(target, save_embedding_layers=False)
    (target / "README.md").unlink(missing_ok=True)
    config = json.loads((target / "adapter_config.json").read_text())
    config["target_modules"].sort()  # PEFT keeps a set, whose order changes from run to run
    (target / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    packed, padded = batch("roberta")
    loaded = PeftModel.from_pretrained(sentence_classifier(str(out / "roberta")), target).double().eval()
    with torch.no_grad():
        logits = loaded(**padded).logits
    save_file(packed | {"logits": logits.float()}, target / "logits.safetensors")


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="write the golden fixtures")
    parser.add_argument("--out", type=pathlib.Path, default=root / "testdata" / "golden")
    out = parser.parse_args().out
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for old in [*MODELS, "peft_lora_roberta"]:
        shutil.rmtree(out / old, ignore_errors=True)
    for i, name in enumerate(MODELS):
        write_model(out, name, seed=100 + i)
    cases = dict(write_case(out, *case) for case in CASES)
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.name != "MANIFEST.json")
    manifest = {
        "script": "scripts/golden.py",
        "versions": versions(),
        "precision": "computed in float64 (optimizer state too) from float32 weights; stored as float32",
        "conventions": {
            "losses, grad_norm": "of the forward and backward before each step; grad_norm is before clipping",
            "final": "after the last step; all steps use the same batch and a constant learning rate",
            "names": "adapter-file keys (base_model.model. prefix), plain Hugging Face names for full",
            "attention key.bias, attn.k.bias": "its true gradient is zero; grad and final of it hold rounding noise",
            "torch_float32_relative": "largest |float32 - float64| over largest |float64| of a tensor, "
                                      "worst tensor of each group, key.bias left out",
            "torch_bfloat16_relative": "the same of runs in bfloat16 whose trained parameters are float32, as are gradients from "
                                       "the parameter on, AdamW and the loss; of the worst and the mean tensor, each the largest over the golden network and fifteen whose "
                                       "trained values start about a twentieth away; zero is the largest |gradient| of a key.bias",
        },
        "cases": cases,
        "sha256": {os.fspath(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files},
    }
    (out / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(cases)} cases, {sum(p.stat().st_size for p in files)} bytes in {out}")


if __name__ == "__main__":
    main()
