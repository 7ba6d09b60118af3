"""Writes the golden files of this folder with the reference implementation.

golden.safetensors  every dtype that the reader converts, in edge values
golden.json         the same values as Python reads them: floats as the hex of
                    their float32 bit pattern, integers as numbers. float16 is
                    widened by NumPy, because torch 2.15 on x86 turns every
                    float16 NaN into 7fffffff where NumPy keeps the payload
written.safetensors what the Go writer must reproduce byte for byte

Run in this folder: python3 golden.py (written with torch 2.15, safetensors 0.8)
"""
import json

import numpy as np
import torch
from safetensors.torch import save_file

inf, nan = float("inf"), float("nan")
edge = [0.0, -0.0, 1.0, -2.5, 1 / 3, 65504.0, 2.0**-14, 2.0**-24, -3 * 2.0**-24, inf, -inf, nan]
tensors = {
    "half": torch.tensor(edge, dtype=torch.float16).reshape(3, 4),
    "brain": torch.tensor(edge + [3e38, 1e-40], dtype=torch.bfloat16).reshape(2, 7),
    "single": torch.tensor(edge + [3e38, 1e-40], dtype=torch.float32).reshape(7, 2),
    "double": torch.tensor(edge + [3e38, 1e-40, 1e300, 1 + 2.0**-24], dtype=torch.float64),
    "scalar": torch.tensor(7.0),
    "empty": torch.zeros(0, 3),
    "i64": torch.tensor([[-(2**63)], [2**63 - 1]]),
    "i32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
    "i16": torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.tensor([0, 255], dtype=torch.uint8),
    "u16": torch.tensor([0, 65535], dtype=torch.uint16),
    "u32": torch.tensor([0, 2**32 - 1], dtype=torch.uint32),
    "u64": torch.tensor([0, 2**63 - 1], dtype=torch.uint64),
    "bool": torch.tensor([True, False]),
}
save_file(tensors, "golden.safetensors", {"format": "pt"})

golden = {}
for name, t in tensors.items():
    if t.dtype.is_floating_point:
        if t.dtype == torch.float16:
            t = torch.from_numpy(t.numpy().astype(np.float32))
        bits = t.to(torch.float32).contiguous().view(torch.int32).flatten().tolist()
        values = [f"{b & 0xFFFFFFFF:08x}" for b in bits]
    else:
        values = [int(v) for v in t.flatten().tolist()]
    golden[name] = {"shape": list(t.shape), "values": values}
with open("golden.json", "w") as f:
    json.dump(golden, f, indent=0, sort_keys=True)
    f.write("\n")

# The ties 1+2^-8 and 1+3*2^-8 distinguish rounding to even from rounding away from zero.
ties = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 / 3, 3.4e38, inf, 1e-40])
save_file(
    {
        "z.f32": torch.tensor([[0.5, -1.0, 3e-39]]),
        "a.f32": torch.tensor(2.0),
        "b.i64": torch.tensor([-1, 2**40]),
        "c.i32": torch.tensor([[-1], [3]], dtype=torch.int32),
        "d.bf16": ties.to(torch.bfloat16),
        "e.u8": torch.tensor([1, 2, 3], dtype=torch.uint8),
        'f"<é\u007f\\': torch.zeros(0, 2),
    },
    "written.safetensors",
    {"format": "pt"},
)
