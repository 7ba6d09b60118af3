#!/usr/bin/env python3
"""Times one training step of PyTorch on the CPU, for comparison with lor2c on the CPU.

    OMP_NUM_THREADS=1 python bench/peer_cpu.py --workload mrpc --method lora --steps 5 --threads 1

A step is forward, backward, gradient clipping and AdamW, in train mode with all dropouts active, on
random weights (which cost what trained ones do). LoRA is PEFT's, LoR2C is that of
scripts/peer_finetune.py. Prints one JSON object. Needs torch, transformers and peft.
"""
import argparse
import json
import math
import pathlib
import platform
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
import torch
from peer_finetune import adamw, attach, peak_rss, sentence_classifier, versions
from torch import nn
from transformers import BertConfig, RobertaConfig

# roberta-base as published: two more positions than the 512 usable ones, since they start at 2.
ROBERTA_BASE = RobertaConfig(vocab_size=50265, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                             intermediate_size=3072, max_position_embeddings=514, type_vocab_size=1,
                             layer_norm_eps=1e-5, num_labels=2)
# all-MiniLM-L6-v2.
MINILM = BertConfig(vocab_size=30522, hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                    intermediate_size=1536,
                    max_position_embeddings=512, type_vocab_size=2, layer_norm_eps=1e-12, num_labels=2)
LR, HEAD_LR, WEIGHT_DECAY, CLIP = 4e-4, 2e-4, 0.01, 1.0
DROPOUT = {"lora": 0.05}


# Shape, number of examples, length at a quantile of the normal distribution, and the longest, as BenchmarkStep of
# internal/train has them: quantiles of distributions with the means and deviations of MRPC (53, 12.5), CoLA (11.4, 4)
# and SST-2 (14.4, 9.4).
WORKLOADS = {
    "full": (ROBERTA_BASE, 64, lambda z: 128, 128),
    "mrpc": (ROBERTA_BASE, 64, lambda z: 53 + 12.5 * z, 102),
    "cola": (ROBERTA_BASE, 16, lambda z: math.exp(2.376 + 0.341 * z), 47),
    "sst2": (ROBERTA_BASE, 32, lambda z: math.exp(2.490 + 0.596 * z), 67),
    "minilm": (MINILM, 64, lambda z: 53 + 12.5 * z, 102),
}


def lengths(workload):
    """Token counts of the examples of one batch."""
    _, size, length, most = WORKLOADS[workload]
    normal = statistics.NormalDist()
    return [min(most, max(5, round(length(normal.inv_cdf((i + 0.5) / size))))) for i in range(size)]


def padded_batch(counts, config, seed):
    """Random ids, padded to the longest sequence of the batch."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(counts)
    ids = torch.randint(3, config.vocab_size, (len(counts), longest), generator=generator)
    kept = torch.arange(longest)[None] < torch.tensor(counts)[:, None]
    ids[~kept] = config.pad_token_id
    labels = torch.randint(0, 2, (len(counts),), generator=generator)
    return dict(input_ids=ids, attention_mask=kept.long(), labels=labels)


def cpu_name():
    """Model name of the processor and the widest vector set PyTorch uses on it."""
    name, info = platform.processor(), pathlib.Path("/proc/cpuinfo")
    if info.exists():
        name = next((v for k, _, v in (l.partition(":") for l in info.open()) if k.startswith("model name")), name)
    return f"{name.strip()}, {torch.backends.cpu.get_cpu_capability()}"


def step(model, named, optimizer, batch):
    """One training step; returns its wall and processor seconds and the loss."""
    wall, cpu = time.perf_counter(), time.process_time()
    optimizer.zero_grad()
    loss = model(**batch).loss
    loss.backward()
    nn.utils.clip_grad_norm_(list(named.values()), CLIP)
    optimizer.step()
    return time.perf_counter() - wall, time.process_time() - cpu, loss.item()


def main():
    p = argparse.ArgumentParser(description="time a CPU training step of PyTorch")
    p.add_argument("--workload", choices=list(WORKLOADS), default="mrpc",
                   help="shape of the model, and lengths of the examples")
    p.add_argument("--method", choices=["lora", "lor2c", "share", "head", "full"], default="lora")
    p.add_argument("--steps", type=int, default=5, help="timed steps, after one warm-up")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--attention", choices=["sdpa", "eager"], default="sdpa")
    p.add_argument("--seed", type=int, default=17)
    args = p.parse_args()
    if args.steps < 1:
        p.error("--steps: want at least 1")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    config = WORKLOADS[args.workload][0]
    model, named = attach(sentence_classifier(config, args.attention), args.method, rank=8, alpha=16,
                          dropout=DROPOUT.get(args.method, 0.1))
    optimizer = adamw(named, LR, HEAD_LR, WEIGHT_DECAY)
    counts = lengths(args.workload)
    batch = padded_batch(counts, config, args.seed)
    model.train()
    runs = [step(model, named, optimizer, batch) for _ in range(args.steps + 1)]
    walls, cpus = [r[0] for r in runs[1:]], [r[1] for r in runs[1:]]
    median = statistics.median(walls)
    print(json.dumps({
        "settings": vars(args), "versions": versions(), "cpu": cpu_name(),
        "torch_threads": torch.get_num_threads(), "trainable": sum(v.numel() for v in named.values()),
        "lengths": counts, "real_tokens": sum(counts), "padded_tokens": batch["input_ids"].numel(),
        "seconds_per_step": median, "cpu_seconds_per_step": statistics.median(cpus), "seconds_all": walls,
        "warm_up_seconds": runs[0][0], "real_tokens_per_second": sum(counts) / median,
        "peak_rss_bytes": peak_rss(), "loss_first": runs[0][2], "loss_last": runs[-1][2],
    }, indent=1))


if __name__ == "__main__":
    main()
