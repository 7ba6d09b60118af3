"""Writes internal/nf4/testdata/golden.json: matrices that bitsandbytes quantised on its CPU backend.

Values are integers times powers of two, so that every program has the same float32.

usage: python scripts/golden_nf4.py
"""

import hashlib
import json
import pathlib

import bitsandbytes.functional as f
import torch

OUT = pathlib.Path(__file__).parent.parent / "internal/nf4/testdata/golden.json"


def values(n):
    """The same numbers as values in nf4_test.go."""
    i = torch.arange(n, dtype=torch.int64)
    steps = (37 * i) % 101 - 50
    block = 1 + (i // 64) % 7
    return (steps * block).to(torch.float32) / 4096


def case(n, double):
    w = values(n)
    codes, state = f.quantize_4bit(w, compress_statistics=double, quant_type="nf4")
    c = {
        "n": n,
        "double": double,
        "codes": hashlib.sha256(codes.numpy().tobytes()).hexdigest(),
        "first": codes.flatten()[:32].numpy().tobytes().hex(),
        "values": hashlib.sha256(f.dequantize_4bit(codes, state).numpy().tobytes()).hexdigest(),
        "state": bytes(state.as_dict(packed=True)["quant_state.bitsandbytes__nf4"].tolist()).decode(),
    }
    if double:
        c["scale_codes"] = state.absmax.numpy().tobytes().hex()
        c["scale_scales"] = state.state2.absmax.tolist()
        c["offset"] = state.offset.item()
    else:
        c["scales"] = hashlib.sha256(state.absmax.numpy().tobytes()).hexdigest()
    return c


def main():
    sizes = [1, 3, 64, 127, 128, 4096, 16384 + 192, 32768]
    out = {
        "levels": f.get_4bit_type("nf4", device="cpu").tolist(),
        "dynamic_map": hashlib.sha256(f.create_dynamic_map().numpy().tobytes()).hexdigest(),
        "cases": [case(n, double) for n in sizes for double in (False, True)],
    }
    OUT.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
