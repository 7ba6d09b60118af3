"""Writes schedule.json: learning rates of Hugging Face's schedulers, at a base
rate of 1, for every optimizer step from 1. Run: python schedule.py"""

import json
import math
import pathlib

import torch
import transformers

cases = []
for schedule, total, ratio in [
    ("linear", 10, 0.3), ("linear", 7, 0.06), ("linear", 25, 0.0), ("linear", 5, 1.0), ("linear", 1, 0.06),
    ("constant", 9, 0.25),
    ("cosine", 10, 0.3), ("cosine", 25, 0.0), ("cosine", 5, 1.0), ("cosine", 1, 0.06),
]:
    warmup = math.ceil(total * ratio)  # as Trainer does
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    if schedule == "linear":
        s = transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)
    elif schedule == "cosine":
        s = transformers.get_cosine_schedule_with_warmup(optimizer, warmup, total)
    else:
        s = transformers.get_constant_schedule_with_warmup(optimizer, warmup)
    rates = []
    for _ in range(total):
        rates.append(s.get_last_lr()[0])
        optimizer.step()
        s.step()
    cases.append({"schedule": schedule, "total": total, "ratio": ratio, "warmup": warmup, "rates": rates})
path = pathlib.Path(__file__).with_name("schedule.json")
path.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}, indent=1) + "\n")
