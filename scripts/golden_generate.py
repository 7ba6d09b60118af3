"""Writes testdata/golden_generate.safetensors: an IMLoR2C adapter with random values, and the text that transformers
writes greedily with the demo decoder and that adapter, with its cache of keys and values.

The adapter has every kind of module: one over the layers 0 and 1, one over layer 2 and one over layer 4, and LoRA on
query and value of layer 3, which lost its module. A module is attached as the authors' scripts do, by hooks: it reads
the input of its first layer, and what it computes is added to the output of its last.

    python scripts/golden_generate.py        (needs torch, transformers, safetensors)
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parent.parent
RANK, ALPHA, INJECT_RANK, INJECT_ALPHA = 4, 8, 2, 6
SPANS, INJECTED = [(0, 1), (2, 2), (4, 4)], 3
PROMPT, NEW = [1, 403, 407, 261, 378], 64


def main():
    model = AutoModelForCausalLM.from_pretrained(ROOT / "demo" / "decoder", dtype=torch.float64,
                                                 attn_implementation="eager").eval()
    g = torch.Generator().manual_seed(5)
    params, layers, width = {}, model.model.layers, model.config.hidden_size

    def pair(path, rank, inner, outer):
        a, b = [(torch.randn(s, generator=g, dtype=torch.float64) * 0.12).float().double()
                for s in ((rank, inner), (outer, rank))]
        params[path + ".lora_A.weight"], params[path + ".lora_B.weight"] = a.float(), b.float()
        return a, b

    def module(first, last):
        a, b = pair(f"base_model.model.model.layers.{first}.lor2c.{first}_{last}", RANK, width, width)
        entered = {}

        def enter(_, args, kwargs):
            entered["h"] = args[0] if args else kwargs["hidden_states"]

        layers[first].register_forward_pre_hook(enter, with_kwargs=True)
        layers[last].register_forward_hook(lambda _, args, out: out + ALPHA / RANK * (entered["h"] @ a.T @ b.T))

    def inject(name):
        linear = getattr(layers[INJECTED].self_attn, name)
        a, b = pair(f"base_model.model.model.layers.{INJECTED}.self_attn.{name}", INJECT_RANK, linear.in_features,
                    linear.out_features)
        linear.register_forward_hook(lambda _, args, out: out + INJECT_ALPHA / INJECT_RANK * (args[0] @ a.T @ b.T))

    for first, last in SPANS:
        module(first, last)
    for name in ("q_proj", "v_proj"):
        inject(name)
    prompt = torch.tensor([PROMPT])
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW, min_new_tokens=NEW,
                         do_sample=False, eos_token_id=None, pad_token_id=0, output_scores=True,
                         return_dict_in_generate=True)
    top = torch.cat(out.scores).topk(2).values
    print("smallest difference of the two largest logits", (top[:, 0] - top[:, 1]).min().item())
    params["ids"] = out.sequences[0].int()
    print(params["ids"].tolist())
    save_file(params, ROOT / "testdata" / "golden_generate.safetensors")


if __name__ == "__main__":
    main()
