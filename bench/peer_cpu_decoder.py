#!/usr/bin/env python3
"""Times a decoder on the CPU: training steps of lor2c and of PyTorch with PEFT in turn, and generation with lor2c.

    python bench/peer_cpu_decoder.py --lor2c bin/lor2c --model models/SmolLM2-135M-Instruct --data alpaca.json \\
        --out bench/results/decoder-cpu.json

Training: the first --rows rows of an Alpaca file are one optimizer step, LoRA of rank 8 on q_proj and v_proj, prompts
predicted too, at most 256 tokens a row. PyTorch works in float32 with its fused attention and pads --micro rows to the
longest of them; lor2c packs as many tokens into a pass. Both run every step on the same rows. The first step of a
process is not counted. The rate is of real tokens.

Generation: greedy, one text and 16 texts at a time. A process runs with two numbers of new tokens, and the difference
of times and of tokens is counted, so that loading and prompts are not. The share of the bandwidth is the bytes of the
weights that a token needs, over what the machine reads in that time from memory.

Needs torch, transformers, peft and tokenizers.
"""
import argparse
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

CUTOFF, RANK, ALPHA, LR = 256, 8, 16, 3e-4
HEAD = ("Below is an instruction that describes a task{}. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\n{}\n\n{}### Response:\n")


def alpaca(row):
    if row.get("input"):
        return HEAD.format(", paired with an input that provides further context", row["instruction"],
                           f"### Input:\n{row['input']}\n\n") + row["output"]
    return HEAD.format("", row["instruction"], "") + row["output"]


def encode(model, rows):
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    eos = json.loads((model / "config.json").read_text())["eos_token_id"]
    ids = [tokenizer.encode(alpaca(r)).ids[:CUTOFF] for r in rows]
    return [x + [eos] if len(x) < CUTOFF else x for x in ids]


class Peer:
    """PyTorch with PEFT."""

    def __init__(self, args, sequences):
        torch.set_num_threads(args.threads)
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa")
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "v_proj"], lora_dropout=0.0)
        self.model = get_peft_model(model, config).train()
        self.optimizer = torch.optim.AdamW([p for p in self.model.parameters() if p.requires_grad], lr=LR)
        self.tokens = sum(len(s) - 1 for s in sequences)
        self.batches = []
        for i in range(0, len(sequences), args.micro):
            part = sequences[i:i + args.micro]
            longest = max(map(len, part))
            pad = lambda fill, value: torch.tensor([value(s) + [fill] * (longest - len(s)) for s in part])
            self.batches.append(dict(input_ids=pad(0, list), attention_mask=pad(0, lambda s: [1] * len(s)),
                                     labels=pad(-100, list)))

    def step(self):
        start = time.perf_counter()
        self.optimizer.zero_grad()
        for b in self.batches:
            self.model(**b, num_items_in_batch=self.tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return time.perf_counter() - start


def train(args, folder, rows):
    """Seconds of a step of lor2c, from the times of the records of a run."""
    data, dev, out = folder / "train.json", folder / "dev.json", folder / f"run-{time.monotonic_ns()}"
    data.write_text(json.dumps(rows))
    dev.write_text(json.dumps(rows[:1]))
    steps = args.steps + 1
    (folder / "run.yaml").write_text(json.dumps({  # which is YAML too
        "model": str(args.model), "out": str(out),
        "data": {"task": "instruct", "train": str(data), "dev": str(dev), "max_length": CUTOFF,
                 "train_on_inputs": True},
        "method": {"name": "lora", "rank": RANK, "alpha": ALPHA, "dropout": 0, "target_modules": ["q_proj", "v_proj"]},
        "optim": {"lr": LR},
        "train": {"batch_size": len(rows), "micro_batch_tokens": args.micro * CUTOFF, "eval_batch_size": 1,
                  "max_steps": steps, "eval_every": steps, "log_every": 1}}))
    run(args, folder, "train", "-c", folder / "run.yaml", "--json")
    times = [datetime.datetime.fromisoformat(json.loads(l)["time"].replace("Z", "+00:00"))
             for l in (out / "timing.jsonl").read_text().splitlines()]
    return (times[-1] - times[0]).total_seconds() / (len(times) - 1)


def run(args, folder, command, *flags):
    """The standard output of lor2c."""
    done = subprocess.run([args.lor2c, command, *flags], capture_output=True, text=True,
                          env={"GOMAXPROCS": str(args.threads), "HOME": str(folder), "PATH": "/usr/bin"})
    if done.returncode:
        sys.exit(f"peer_cpu_decoder.py: lor2c {command} failed: {done.stderr}")
    return done.stdout


def generate(args, folder, texts, new):
    """Seconds of a process that generates, and the number of tokens."""
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"Write a very long story about the number {i}."}) + "\n"
                               for i in range(texts)))
    start = time.perf_counter()
    out = run(args, folder, "generate", "--device", "cpu", "--model", args.model, "--template", "chat",
              "--file", prompts, "--json", "--max-new-tokens", str(new), "--batch", str(texts))
    seconds = time.perf_counter() - start
    return seconds, sum(len(json.loads(l)["token_ids"]) for l in out.splitlines())


def bandwidth(threads):
    """Bytes per second that the machine reads from memory: the best of five sums of 1 GiB."""
    torch.set_num_threads(threads)
    x = torch.ones(1 << 28)
    best = 0
    for _ in range(5):
        start = time.perf_counter()
        x.sum()
        best = max(best, x.nbytes / (time.perf_counter() - start))
    return best


def main():
    p = argparse.ArgumentParser(description="time a decoder on the CPU")
    p.add_argument("--lor2c", required=True, help="the program")
    p.add_argument("--model", required=True, type=pathlib.Path, help="directory of a decoder")
    p.add_argument("--data", required=True, help="Alpaca JSON")
    p.add_argument("--rows", type=int, default=16, help="rows of an optimizer step")
    p.add_argument("--micro", type=int, default=8, help="rows of a pass of PyTorch")
    p.add_argument("--steps", type=int, default=2, help="counted steps in a round")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--tokens", type=int, default=48, help="new tokens that are counted")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--out", required=True, help="JSON file to write")
    args = p.parse_args()
    rows = json.load(open(args.data))[:args.rows]
    sequences = encode(args.model, rows)
    tokens = sum(map(len, sequences))
    cells = {name: [] for name in ("pytorch_step", "lor2c_step", "one", "sixteen", "bandwidth")}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        peer = Peer(args, sequences)
        peer.step()
        for _ in range(args.rounds):
            cells["pytorch_step"] += [peer.step() for _ in range(args.steps)]
            cells["lor2c_step"].append(train(args, folder, rows))
            cells["bandwidth"].append(bandwidth(args.threads))
            for key, texts in (("one", 1), ("sixteen", 16)):
                short, few = generate(args, folder, texts, 8)
                long, many = generate(args, folder, texts, 8 + args.tokens)
                cells[key].append((many - few) / (long - short))
    weights = (args.model / "model.safetensors").stat().st_size
    median = {k: statistics.median(v) for k, v in cells.items()}
    result = {
        "date": datetime.date.today().isoformat(), "machine": platform.processor() or platform.machine(),
        "cpu": next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), ""),
        "threads": args.threads, "torch": torch.__version__, "rows": len(rows), "tokens": tokens,
        "padded_tokens": sum(b["input_ids"].numel() for b in peer.batches), "rounds": args.rounds,
        "train_tokens_per_second": {"pytorch": tokens / median["pytorch_step"], "lor2c": tokens / median["lor2c_step"]},
        "train_ratio": median["pytorch_step"] / median["lor2c_step"],
        "decode_tokens_per_second": {"one": median["one"], "sixteen": median["sixteen"]},
        "decode_ratio": median["sixteen"] / median["one"], "weight_bytes": weights,
        "read_bandwidth": median["bandwidth"], "share_of_bandwidth": median["one"] * weights / median["bandwidth"],
        "all": cells,
    }
    pathlib.Path(args.out).write_text(json.dumps(result, indent=1) + "\n")
    json.dump({k: v for k, v in result.items() if k != "all"}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
