"""Writes testdata/golden_decoder: tiny random decoders of the LLaMA family and what transformers computes with them.

Each case is a model directory with weights drawn from a seed, and golden.safetensors: a pack of sequences, the logits
and losses of transformers in float64, and the gradients of LoRA, of LoR2C or of every weight. rope.json has the
frequencies of transformers for each type of rotation, and sampling.json what its processors keep of logits.

    python scripts/golden_decoder.py        (needs torch, transformers, peft, safetensors)
"""

import json
import random
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig
from transformers.generation.logits_process import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                                                     TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

OUT = Path(__file__).parent.parent / "testdata" / "golden_decoder"
LENGTHS = [1, 2, 7, 40]
RANK, ALPHA = 3, 6
SHAPE = dict(hidden_size=24, intermediate_size=40, vocab_size=61, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, max_position_embeddings=64)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)
YARN = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)

# name: (config, dtype of the file, shards, trained)
CASES = {
    "llama": (dict(model_type="llama", rms_norm_eps=0.1), torch.float32, 1, "lora"),
    "llama_tied": (dict(model_type="llama", tie_word_embeddings=True, rope_theta=500000.0, rope_scaling=LLAMA3),
                   torch.float32, 1, "full"),
    "llama_bias": (dict(model_type="llama", attention_bias=True, mlp_bias=True), torch.bfloat16, 2, "lor2c"),
    "llama_yarn": (dict(model_type="llama", rope_scaling=YARN), torch.float32, 1, "lora"),
    "mistral": (dict(model_type="mistral", sliding_window=50), torch.float16, 1, "lora"),
    "qwen2": (dict(model_type="qwen2", tie_word_embeddings=True), torch.bfloat16, 1, "lor2c"),
    "qwen3": (dict(model_type="qwen3", head_dim=10), torch.float32, 1, "full"),
}


def config(given, name):
    """The config.json of a case: the form of transformers 4 for some, that of transformers 5 for the others."""
    c = dict(SHAPE, architectures=["X"], **given)
    if name in ("llama_yarn", "qwen3"):
        scaling = c.pop("rope_scaling", None) or {"rope_type": "default"}
        c["rope_parameters"] = dict(scaling, rope_theta=c.pop("rope_theta", 10000.0))
        c["dtype"] = "float32"
    return c


def draw(model, seed):
    g = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        values = torch.randn(p.shape, generator=g, dtype=torch.float64) * 0.25
        p.data = (values + 1 if "norm" in name else values).to(p.dtype)


def save(model, dir, dtype, shards):
    tensors = {n: t.to(dtype).contiguous() for n, t in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight")
    if shards == 1:
        save_file(tensors, dir / "model.safetensors", {"format": "pt"})
        return
    names = sorted(tensors)
    parts = [names[: len(names) // 2], names[len(names) // 2:]]
    where = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors"
        save_file({n: tensors[n] for n in part}, dir / file, {"format": "pt"})
        where.update({n: file for n in part})
    (dir / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


def lora(model, g):
    model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "v_proj"],
                                             lora_dropout=0.0))
    params = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    for p in params.values():
        p.data = (torch.randn(p.shape, generator=g, dtype=torch.float64) * 0.3).float().double()
    return model, params


def lor2c(model, g):
    """A residual connection scale B A h around every layer."""
    params = {}
    for p in model.parameters():
        p.requires_grad_(False)
    for i, layer in enumerate(model.model.layers):
        a, b = [torch.nn.Parameter((torch.randn(s, generator=g, dtype=torch.float64) * 0.3).float().double())
                for s in ((RANK, SHAPE["hidden_size"]), (SHAPE["hidden_size"], RANK))]
        name = f"base_model.model.model.layers.{i}.lor2c.{i}_{i}"
        params[name + ".lora_A.weight"], params[name + ".lora_B.weight"] = a, b

        def add(_, args, kwargs, out, a=a, b=b):
            h = args[0] if args else kwargs["hidden_states"]
            return out + ALPHA / RANK * (h @ a.T @ b.T)

        layer.register_forward_hook(add, with_kwargs=True)
    return model, params


def case(name, given, dtype, shards, trained, seed):
    dir = OUT / name
    dir.mkdir(parents=True)
    (dir / "config.json").write_text(json.dumps(config(given, name), indent=1) + "\n")
    c = AutoConfig.from_pretrained(dir)
    c._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(c).to(dtype)
    draw(model, seed)
    save(model, dir, dtype, shards)
    model = AutoModelForCausalLM.from_pretrained(dir, dtype=torch.float64, attn_implementation="eager").train()
    g = torch.Generator().manual_seed(seed + 100)
    ids = [torch.randint(0, SHAPE["vocab_size"], (n,), generator=g) for n in LENGTHS]
    with torch.no_grad():
        out = {"logits": torch.cat([model(input_ids=x[None], use_cache=False).logits[0] for x in ids]).float()}
    params = dict(model.named_parameters())
    if trained != "full":
        model, params = {"lora": lora, "lor2c": lor2c}[trained](model, g)
    logits = [model(input_ids=x[None], use_cache=False).logits[0] for x in ids]
    nll = [torch.nn.functional.cross_entropy(l[:-1], x[1:], reduction="none") for l, x in zip(logits, ids)]
    tokens = torch.cat(nll).mean()
    examples = torch.stack([n.mean() for n in nll if len(n)]).mean()
    out |= {"input_ids": torch.cat(ids).int(), "lengths": torch.tensor(LENGTHS, dtype=torch.int32),
            "loss.tokens": tokens.float().reshape(1), "loss.examples": examples.float().reshape(1)}
    # Response-only training: the last three predictions of the longest sequence.
    response = nll[-1][-3:].mean()
    out["loss.response"] = response.float().reshape(1)
    for reduction, loss in {"tokens": tokens, "examples": examples, "response": response}.items():
        grads = torch.autograd.grad(loss, list(params.values()), retain_graph=True)
        for n, d in zip(params, grads):
            if trained != "full" or reduction == "tokens":
                out[f"grad.{reduction}.{n}"] = d.float().contiguous()
    if trained != "full":
        for n, p in params.items():
            out["param." + n] = p.detach().float().contiguous()
    save_file(out, dir / "golden.safetensors", {"trained": trained})


def rope(name, theta, dim, positions, scaling, **more):
    c = LlamaConfig(hidden_size=dim * 4, num_attention_heads=4, max_position_embeddings=positions, rope_theta=theta,
                    rope_scaling=dict(scaling) if scaling else None)
    kind = c.rope_parameters["rope_type"]
    if kind == "default":
        f, a = LlamaRotaryEmbedding.compute_default_rope_parameters(c)
    else:
        f, a = ROPE_INIT_FUNCTIONS[kind](c, "cpu")
    angle = torch.outer(torch.arange(0, positions, positions // 7).float(), f)
    return dict(name=name, rope_theta=theta, head_dim=dim, max_position_embeddings=positions, rope_scaling=scaling,
                factor=a,
                frequencies=f.tolist(), every=positions // 7, cos=(angle.cos() * a).tolist(),
                sin=(angle.sin() * a).tolist())


def sampling(cases, seed=3):
    """Logits, some of them equal, and what the processors of transformers keep of them."""
    g, out = random.Random(seed), []
    for _ in range(cases):
        n = g.choice([7, 24])
        logits = [round(g.gauss(0, 3), g.choice([0, 2])) for _ in range(n)]
        text = [g.randrange(n) for _ in range(5)]
        s = dict(temperature=g.choice([1.0, 0.1, 0.7, 2.5]), top_k=g.choice([0, 1, 5, 50]),
                 top_p=g.choice([1.0, 0.05, 0.5, 0.9]),
                 min_p=g.choice([0.0, 0.02, 0.3]), repetition_penalty=g.choice([1.0, 1.3, 0.8]))
        scores, ids = torch.tensor([logits]), torch.tensor([text])
        steps = [(s["repetition_penalty"] != 1, lambda: RepetitionPenaltyLogitsProcessor(s["repetition_penalty"])),
                 (s["temperature"] != 1, lambda: TemperatureLogitsWarper(s["temperature"])),
                 (s["top_k"] > 0, lambda: TopKLogitsWarper(s["top_k"])),
                 (s["top_p"] < 1, lambda: TopPLogitsWarper(s["top_p"])),
                 (s["min_p"] > 0, lambda: MinPLogitsWarper(s["min_p"]))]
        for wanted, make in steps:
            if wanted:
                scores = make()(ids, scores)
        out.append(dict(logits=logits, text=text, probabilities=[round(p, 7) for p in scores.softmax(-1)[0].tolist()],
                        **s))
    return out


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for seed, (name, (given, dtype, shards, trained)) in enumerate(CASES.items()):
        case(name, given, dtype, shards, trained, seed)
    (OUT / "sampling.json").write_text(json.dumps(sampling(400)) + "\n")
    llama3 = dict(LLAMA3, original_max_position_embeddings=8192)
    (OUT / "rope.json").write_text(json.dumps([
        rope("llama2", 1e4, 128, 4096, None),
        rope("smollm2", 1e5, 64, 8192, None),
        rope("llama3.1", 5e5, 128, 131072, llama3),
        rope("llama3.2", 5e5, 64, 131072, dict(llama3, factor=32.0)),
        rope("linear", 1e4, 64, 4096, dict(type="linear", factor=4.0)),
        rope("dynamic", 1e4, 64, 4096, dict(type="dynamic", factor=4.0)),
        rope("yarn", 1e6, 128, 131072, dict(type="yarn", factor=4.0, original_max_position_embeddings=32768)),
        rope("yarn_attention", 1e4, 64, 8192, dict(rope_type="yarn", factor=2.0, original_max_position_embeddings=4096,
                                                  beta_fast=16.0, beta_slow=2.0, attention_factor=1.25)),
        rope("yarn_mscale", 1e4, 64, 16384, dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=4096,
                                                mscale=1.0, mscale_all_dim=0.7, truncate=False)),
    ]) + "\n")


if __name__ == "__main__":
    main()
