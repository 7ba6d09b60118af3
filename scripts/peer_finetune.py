#!/usr/bin/env python3
"""Fine-tunes a BERT, RoBERTa, MPNet or DistilBERT directory on a GLUE task with PyTorch, for comparison with lor2c.

    python scripts/peer_finetune.py --model DIR --task mrpc --data DIR --method lor2c --epochs 3 --out r.json

LoRA is PEFT's; LoR2C, ShareLoR2C and the freezing rules are the class and function below, which
scripts/golden.py and bench/peer_cpu.py use too. Needs torch, transformers, peft, scipy and sklearn;
lor2c itself needs none of them.
"""
import argparse
import functools
import json
import math
import pathlib
import platform
import resource
import sys
import time

import lor2c_start
import peft
import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, TaskType, get_peft_model
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer


class LoR2C(nn.Module):
    """Low-rank residual connections around every layer of a frozen encoder.

    h_{l+1} = Layer_l(h_l) + alpha/r * B_l A_l dropout(h_l), with A [r, d] down and B [d, r] up
    (LoR2C, arXiv:2503.00572, eq. 2); with share one A serves all layers. The sum is taken by
    forward hooks, so the layers stay exactly those of transformers.
    """

    def __init__(self, encoder, width, rank, alpha, dropout=0.0, share=False):
        super().__init__()
        count, bound = len(encoder.layer), 1 / math.sqrt(width)
        self.share, self.scale = share, alpha / rank
        self.dropout = nn.Dropout(dropout)
        self.lora_A = nn.ParameterList(
            torch.empty(rank, width).uniform_(-bound, bound) for _ in range(1 if share else count))
        self.lora_B = nn.ParameterList(torch.zeros(width, rank) for _ in range(count))
        for i, layer in enumerate(encoder.layer):
            layer.register_forward_hook(functools.partial(self._add, i))

    def _add(self, i, _layer, args, output):
        a = self.lora_A[0 if self.share else i]
        added = self.scale * F.linear(F.linear(self.dropout(args[0]), a), self.lora_B[i])
        # A layer of MPNet returns a tuple.
        return (output[0] + added, *output[1:]) if isinstance(output, tuple) else output + added

    def adapter_parameters(self, encoder_name):
        """Parameters by their keys in an adapter file; encoder_name is, for example, roberta.encoder."""
        stem, named = f"base_model.model.{encoder_name}", {}
        if self.share:
            named[f"{stem}.lor2c.shared.lora_A.weight"] = self.lora_A[0]
        for i, b in enumerate(self.lora_B):
            module = f"{stem}.layer.{i}.lor2c.{i}_{i}"
            if not self.share:
                named[f"{module}.lora_A.weight"] = self.lora_A[i]
            named[f"{module}.lora_B.weight"] = b
        return named


def attach(model, method, rank, alpha, dropout):
    """Freezes the parameters that the method does not train and adds its adapter.

    Returns the model to call and its trainable parameters by adapter-file key (for full
    fine-tuning: by plain Hugging Face name). Everything but full freezes the BERT pooler, because
    PEFT's modules_to_save for sequence classification names the classifier alone.
    """
    if method == "full":
        return model, dict(model.named_parameters())
    if method == "lora":
        config = LoraConfig(task_type=TaskType.SEQ_CLS, r=rank, lora_alpha=alpha, lora_dropout=dropout,
                            target_modules=query_and_value(model.config),
                            modules_to_save=head_modules(model))
        model = get_peft_model(model, config)
        return model, {plain_name(n): p for n, p in model.named_parameters() if p.requires_grad}
    model.requires_grad_(False)
    head = {n: p for n, p in model.named_parameters() if n.split(".")[0] in head_modules(model)}
    for p in head.values():
        p.requires_grad_(True)
    named = {}
    if method in ("lor2c", "share"):
        stack = "transformer" if model.config.model_type == "distilbert" else "encoder"
        encoder = getattr(model.base_model, stack)
        model.lor2c = LoR2C(encoder, model.config.hidden_size, rank, alpha, dropout, method == "share")
        named = model.lor2c.adapter_parameters(f"{model.base_model_prefix}.{stack}")
    named |= {f"base_model.model.{n}": p for n, p in head.items()}
    return model, named


def query_and_value(config):
    """The names of the projections that LoRA adapts by default."""
    return {"mpnet": ["q", "v"], "distilbert": ["q_lin", "v_lin"]}.get(config.model_type, ["query", "value"])


def head_modules(model):
    """The modules of the classification head. Task SEQ_CLS of PEFT adds the classifier alone."""
    return [name for name in ("classifier", "pre_classifier") if hasattr(model, name)]


def plain_name(name):
    """The key under which PEFT's save_pretrained writes a parameter, which does not contain the adapter's name."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def adamw(named, lr, head_lr, weight_decay):
    """AdamW with decay on every tensor, and with a separate group for the classification head."""
    head = [p for n, p in named.items() if "classifier." in n]
    rest = [p for n, p in named.items() if "classifier." not in n]
    groups = [{"params": rest, "lr": lr}] if rest else []
    return torch.optim.AdamW(groups + [{"params": head, "lr": head_lr}], betas=(0.9, 0.999), eps=1e-8,
                             weight_decay=weight_decay)


def sentence_classifier(path_or_config, attention="eager", **kwargs):
    """A float32 sequence classifier, from a directory or, given a config, with random weights."""
    auto = AutoModelForSequenceClassification
    if isinstance(path_or_config, str):
        return auto.from_pretrained(path_or_config, attn_implementation=attention, dtype=torch.float32, **kwargs)
    return auto.from_config(path_or_config, attn_implementation=attention, **kwargs)


# 0-based columns of the GLUE TSV files (first text, second text, label), whether the training file
# has a header, the label names in TSV order (None: a real number), and the metric that picks the best epoch.
TASKS = {
    "mrpc": (3, 4, 0, True, ["0", "1"], "accuracy"),
    "cola": (3, None, 1, False, ["0", "1"], "matthews"),
    "sst2": (0, None, 1, True, ["0", "1"], "accuracy"),
    "stsb": (7, 8, -1, True, None, "pearson"),
    "qqp": (3, 4, 5, True, ["0", "1"], "accuracy"),
    "qnli": (1, 2, -1, True, ["entailment", "not_entailment"], "accuracy"),
    "rte": (1, 2, -1, True, ["entailment", "not_entailment"], "accuracy"),
    "wnli": (1, 2, -1, True, ["0", "1"], "accuracy"),
    "mnli": (8, 9, -1, True, ["contradiction", "entailment", "neutral"], "accuracy"),
}


def read_tsv(path, task):
    """Rows (text, second text or None, label) of one file; quotes are ordinary characters."""
    first, second, label, header, names, _ = TASKS[task]
    lines = path.read_bytes().decode("utf-8-sig").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        cells = line.rstrip("\r").split("\t")
        if (header and number == 1) or cells == [""]:
            continue
        if len(cells) <= max(first, second or 0, label):
            if task == "qqp":  # its published files contain a few broken rows
                continue
            sys.exit(f"{path}:{number}: {len(cells)} columns; want more than {max(first, second or 0, label)}")
        value = float(cells[label]) if names is None else names.index(cells[label])
        rows.append((cells[first], cells[second] if second else None, value))
    return rows


def encode(rows, tokenizer, max_length):
    """Token ids and types of every row, unpadded, with its label."""
    pairs = rows[0][1] is not None
    out = tokenizer([r[0] for r in rows], [r[1] for r in rows] if pairs else None, truncation=True,
                    max_length=max_length, return_token_type_ids=True)
    return [(i, t, r[2]) for i, t, r in zip(out["input_ids"], out["token_type_ids"], rows)]


def collate(examples, pad_id, regression):
    """A batch, padded to its longest sequence."""
    longest = max(len(e[0]) for e in examples)

    def pad(values, fill):
        return torch.tensor([v + [fill] * (longest - len(v)) for v in values])

    return dict(input_ids=pad([e[0] for e in examples], pad_id),
                token_type_ids=pad([e[1] for e in examples], 0),
                attention_mask=pad([[1] * len(e[0]) for e in examples], 0),
                labels=torch.tensor([e[2] for e in examples], dtype=torch.float32 if regression else torch.long))


def batches_of(examples, size, pad_id, regression):
    """Padded batches of the examples in order; the last batch may be smaller."""
    return [collate(examples[i:i + size], pad_id, regression) for i in range(0, len(examples), size)]


def scores(task, logits, labels):
    """Metrics of the task on the whole set; None where one is undefined (constant predictions)."""
    from scipy import stats
    from sklearn import metrics
    if TASKS[task][4] is None:
        found = {"pearson": stats.pearsonr(logits[:, 0], labels)[0],
                 "spearman": stats.spearmanr(logits[:, 0], labels)[0]}
    else:
        predicted = logits.argmax(1)
        found = {"accuracy": metrics.accuracy_score(labels, predicted)}
        if task in ("mrpc", "qqp"):
            found["f1"] = metrics.f1_score(labels, predicted)
        if task == "cola":
            found["matthews"] = metrics.matthews_corrcoef(labels, predicted)
    return {k: None if math.isnan(v) else float(v) for k, v in found.items()}


def evaluate(model, batches, task):
    """Metrics and mean loss over the dev set, dropout off."""
    model.eval()
    logits, labels, loss = [], [], 0.0
    with torch.no_grad():
        for batch in batches:
            result = model(**batch)
            logits.append(result.logits)
            labels.append(batch["labels"])
            loss += result.loss.item() * len(batch["labels"])
    labels = torch.cat(labels).numpy()
    return scores(task, torch.cat(logits).numpy(), labels) | {"loss": loss / len(labels)}


class Clock:
    """Wall-clock and processor seconds since its creation. The latter vary less on a shared machine."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self):
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


def train_epoch(model, named, optimizer, schedule, batches, args):
    """One pass over the batches: mean loss, real tokens and steps done."""
    model.train()
    total, tokens, steps = 0.0, 0, 0
    for batch in batches:
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(list(named.values()), args.clip)
        optimizer.step()
        schedule.step()
        total, tokens, steps = total + loss.item(), tokens + int(batch["attention_mask"].sum()), steps + 1
        if steps == args.max_steps:
            break
    return total / steps, tokens, steps


def pooler_in_file(model_dir):
    """Whether the checkpoint contains a trained pooler (a new random one would be frozen without training)."""
    with safe_open(pathlib.Path(model_dir) / "model.safetensors", "pt") as f:
        return any(k.endswith("pooler.dense.weight") for k in f.keys())


def versions():
    """The software and the machine of the run."""
    return {"python": platform.python_version(), "torch": torch.__version__,
            "transformers": transformers.__version__, "peft": peft.__version__}


def peak_rss():
    """Largest resident set of this process so far, in bytes (Linux counts it in KiB)."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def arguments():
    p = argparse.ArgumentParser(description="fine-tune on a GLUE task with PyTorch")
    p.add_argument("--model", required=True, help="Hugging Face directory")
    p.add_argument("--task", required=True, choices=TASKS)
    p.add_argument("--data", type=pathlib.Path, required=True, help="directory with train.tsv and dev.tsv")
    p.add_argument("--method", required=True, choices=["head", "lora", "lor2c", "share", "full"])
    p.add_argument("--rank", type=int, default=8)
    p.add_argument("--alpha", type=float, default=16)
    p.add_argument("--dropout", type=float, help="adapter input dropout (default 0.1, for lora 0.05)")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--head-lr-ratio", type=float, default=0.5)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--epochs", type=int, default=3)
    p.add_argument("--max-steps", type=int, default=0, help="stop each epoch early, for a quick trial")
    p.add_argument("--max-length", type=int, default=128)
    p.add_argument("--warmup", type=float, default=0.06, help="share of all steps")
    p.add_argument("--weight-decay", type=float, default=0.01)
    p.add_argument("--clip", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=17)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--start", choices=["torch", "lor2c"], default="torch",
                   help="whose initial values and order of examples (lor2c_start.py)")
    p.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa", help="transformers' own default is sdpa")
    p.add_argument("--out", type=pathlib.Path, help="results file (JSON)")
    args = p.parse_args()
    if args.dropout is None:
        args.dropout = 0.05 if args.method == "lora" else 0.1
    return args


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    names, primary = TASKS[args.task][4:]
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    dev_name = "dev_matched.tsv" if args.task == "mnli" else "dev.tsv"
    train, dev = (encode(read_tsv(args.data / name, args.task), tokenizer, args.max_length)
                  for name in ("train.tsv", dev_name))
    labels = len(names) if names else 1
    model = sentence_classifier(args.model, args.attention, num_labels=labels)
    model.config.problem_type = "single_label_classification" if names else "regression"
    model, named = attach(model, args.method, args.rank, args.alpha, args.dropout)
    if args.start == "lor2c":
        with torch.no_grad():
            for name, parameter in named.items():
                values = lor2c_start.initial(name, parameter.shape, args.seed)
                parameter.copy_(torch.zeros(()) if values is None else torch.from_numpy(values))
    trainable = sum(p.numel() for p in named.values())
    head = sum(p.numel() for n, p in named.items() if ".classifier." in f".{n}")
    results = {"command": " ".join(sys.argv), "settings": json.loads(json.dumps(vars(args), default=str)),
               "versions": versions(),
               "train_examples": len(train), "dev_examples": len(dev), "trainable": trainable, "of_which_head": head}
    if AutoConfig.from_pretrained(args.model).model_type == "bert":
        results["pooler"] = "from the checkpoint" if pooler_in_file(args.model) else "random, not in the checkpoint"
        results["pooler"] += ", trained" if args.method == "full" else ", frozen"
        print(f"pooler: {results['pooler']}")

    steps_per_epoch = math.ceil(len(train) / args.batch)
    total = args.epochs * steps_per_epoch
    optimizer = adamw(named, args.lr, args.lr * args.head_lr_ratio, args.weight_decay)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, math.ceil(args.warmup * total), total)
    cut = functools.partial(batches_of, size=args.batch, pad_id=tokenizer.pad_token_id, regression=names is None)
    dev_batches, epochs = cut(dev), []
    for epoch in range(1, args.epochs + 1):
        if args.start == "lor2c":
            order = lor2c_start.order(args.seed, epoch - 1, len(train))
        else:
            order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1000 * args.seed
                                                                                       + epoch)).tolist()
        batches = cut([train[i] for i in order])
        clock = Clock()
        loss, tokens, steps = train_epoch(model, named, optimizer, schedule, batches, args)
        wall, cpu = clock.read()
        clock = Clock()
        dev_scores = evaluate(model, dev_batches, args.task)
        eval_wall, eval_cpu = clock.read()
        epochs.append({"epoch": epoch, "steps": steps, "train_loss": loss, "dev": dev_scores,
                       "train_seconds": wall, "train_cpu_seconds": cpu,
                       "eval_seconds": eval_wall, "eval_cpu_seconds": eval_cpu,
                       "real_tokens": tokens, "real_tokens_per_second": tokens / wall,
                       "padded_tokens": sum(b["input_ids"].numel() for b in batches[:steps])})
        print(json.dumps(epochs[-1]), flush=True)
    best = max(epochs, key=lambda e: -math.inf if e["dev"][primary] is None else e["dev"][primary])
    results |= {"epochs": epochs, "best": {"epoch": best["epoch"], "metric": primary, "value": best["dev"][primary]},
                "peak_rss_bytes": peak_rss()}
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["best"]))


if __name__ == "__main__":
    main()
