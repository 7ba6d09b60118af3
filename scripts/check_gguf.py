#!/usr/bin/env python3
"""Checks that the GGUF files of lor2c compute what lor2c and transformers compute.

    python scripts/check_gguf.py --lor2c bin/lor2c            trains and exports adapters of several decoders
    python scripts/check_gguf.py --lor2c bin/lor2c --run DIR  exports one run
    python scripts/check_gguf.py --tiny [--write]             reads internal/gguf/testdata/*.gguf

Files are read with llama.cpp's Python package gguf. The logits are computed here in float64 from the tensors and the
metadata of a file alone, with the rotation that llama.cpp has for the architecture, so that a wrong order of rows, a
missing tensor and a wrong name show. They must be those of transformers for the merged model that lor2c exports, and
with a gguf-lora adapter on the weights of the base model the same. The tokens must be those of transformers. --tiny
compares the logits of the tiny models with logits.json, which --write writes; the tests of Go read that file.

If the package xllamacpp is there, which has llama.cpp in it, llama.cpp's own logits and tokens are compared too. Needs
gguf and numpy; runs need torch and transformers. Run from the root of the repository. Exit status: 0 all well, 1 a
difference.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np  # noqa: E402
from gguf import GGUFReader, TokenType  # noqa: E402
from gguf.quants import dequantize  # noqa: E402

TINY = pathlib.Path("internal/gguf/testdata")
IDS = [1, 17, 250, 33, 8, 300, 41, 5, 260, 99, 12]  # of internal/gguf/model_test.go
TEXTS = ["A story about a mouse and the house:", "I'll go,  she'd said: 1234 or 5!\n\n Été \U0001f600 end", "x"]


class File:
    """Metadata and tensors of a GGUF file."""

    def __init__(self, path):
        reader = GGUFReader(path)
        self.meta = {name: field.contents() for name, field in reader.fields.items()}
        self.tensors = {t.name: dequantize(t.data, t.tensor_type).astype(np.float64) for t in reader.tensors}
        self.types = {t.name: t.tensor_type.name for t in reader.tensors}
        self.arch = self.meta["general.architecture"]

    def of(self, key, default=None):
        """Metadata of the architecture."""
        return self.meta.get(f"{self.arch}.{key}", default)


def rotation(f, length):
    """Cosines and sines [length, D/2] as ggml's rope computes them."""
    d, base = f.of("rope.dimension_count"), f.of("rope.freq_base")
    pair = np.arange(d // 2)
    freq, mscale = base ** (-2 * pair / d), 1.0
    if "rope_freqs.weight" in f.tensors:
        freq = freq / f.tensors["rope_freqs.weight"]
    kind, factor = f.of("rope.scaling.type"), f.of("rope.scaling.factor", 1)
    if kind == "linear":
        freq = freq / factor
    if kind == "yarn":
        trained = f.of("rope.scaling.original_context_length")

        def bound(turns):
            return d * np.log(trained / (turns * 2 * np.pi)) / (2 * np.log(base))

        low = max(0, np.floor(bound(f.of("rope.scaling.yarn_beta_fast"))))
        high = min(d - 1, np.ceil(bound(f.of("rope.scaling.yarn_beta_slow"))))
        mix = 1 - np.clip((pair - low) / max(0.001, high - low), 0, 1)
        freq, mscale = freq / factor * (1 - mix) + freq * mix, 1 + 0.1 * np.log(factor)
    angle = np.arange(length)[:, None] * freq
    return np.cos(angle) * mscale, np.sin(angle) * mscale


def logits(f, ids, lora=None):
    """Logits [T,V] of a GGUF decoder, with a LoRA adapter beside it if one is given."""
    eps, heads = f.of("attention.layer_norm_rms_epsilon"), f.of("attention.head_count")
    groups, d = f.of("attention.head_count_kv"), f.of("attention.key_length")
    cos, sin = rotation(f, len(ids))

    def norm(x, gamma):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * f.tensors[gamma]

    def linear(x, name):
        y = x @ f.tensors[name + ".weight"].T
        if lora and name + ".weight.lora_a" in lora.tensors:
            a, b = lora.tensors[name + ".weight.lora_a"], lora.tensors[name + ".weight.lora_b"]
            y = y + lora.meta["adapter.lora.alpha"] / b.shape[1] * (x @ a.T @ b.T)
        return y + f.tensors.get(name + ".bias", 0)

    def turned(x):
        out = np.empty_like(x)
        # The architecture llama turns neighbours (LLAMA_ROPE_TYPE_NORM), the others the halves of a head (NEOX).
        even, odd = (np.s_[..., 0::2], np.s_[..., 1::2]) if f.arch == "llama" else \
            (np.s_[..., :d // 2], np.s_[..., d // 2:])
        c, s = cos[:, None], sin[:, None]
        out[even], out[odd] = x[even] * c - x[odd] * s, x[even] * s + x[odd] * c
        return out

    x = f.tensors["token_embd.weight"][ids]
    future = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for layer in range(f.of("block_count")):
        at = f"blk.{layer}."
        h = norm(x, at + "attn_norm.weight")
        q, k, v = (linear(h, at + "attn_" + n).reshape(len(ids), -1, d) for n in "qkv")
        if at + "attn_q_norm.weight" in f.tensors:
            q, k = norm(q, at + "attn_q_norm.weight"), norm(k, at + "attn_k_norm.weight")
        q, k = turned(q), turned(k)
        k, v = (np.repeat(part, heads // groups, 1) for part in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(d) + future
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v).reshape(len(ids), -1)
        x = x + linear(mixed, at + "attn_output")
        h = norm(x, at + "ffn_norm.weight")
        gate = linear(h, at + "ffn_gate")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, at + "ffn_up"), at + "ffn_down")
    x = norm(x, "output_norm.weight")
    return x @ f.tensors.get("output.weight", f.tensors["token_embd.weight"]).T


def logprobs(y):
    """Logarithms of the probabilities of logits."""
    y = y - y.max(-1, keepdims=True)
    return y - np.log(np.exp(y).sum(-1, keepdims=True))


class LlamaCpp:
    """A file in llama.cpp itself."""

    def __init__(self, model, lora=None):
        import xllamacpp
        p = xllamacpp.CommonParams()
        p.model.path, p.n_ctx, p.n_parallel, p.warmup, p.n_gpu_layers = str(model), 128, 1, False, 0
        p.cpuparams.n_threads = 1
        if lora:
            p.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(lora), 1.0)]
        self.server = xllamacpp.Server(p)
        self.x = self.tokens("x")[-1]

    def post(self, path, body):
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def tokens(self, text):
        return self.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]

    def logprobs(self, ids, vocabulary):
        """Logarithms of the probabilities of the token after ids, which the bias does not change."""
        # An answer has probabilities only of a token that ends a character.
        answer = self.post("/completion", {"prompt": ids, "n_predict": 1, "n_probs": vocabulary, "temperature": -1,
                                           "cache_prompt": False, "logit_bias": [[self.x, 1e6]]})
        out = np.full(vocabulary, np.nan)
        for entry in answer["completion_probabilities"][0]["top_logprobs"]:
            out[entry["id"]] = entry["logprob"]
        return out


def llama_cpp(*files):
    """LlamaCpp of files, or None without xllamacpp."""
    try:
        return LlamaCpp(*files)
    except ImportError:
        return None


def apart(a, b):
    """Largest difference of the values of two arrays that are finite in both, of which there must be some."""
    both = np.isfinite(a) & np.isfinite(b)
    return np.abs(a - b)[both].max() if both.sum() * 2 > both.size else np.inf


def tiny(write):
    """Faults of the tiny models."""
    found, faults = {}, []
    for path in sorted(TINY.glob("*.gguf")):
        y = logits(File(path), IDS)[-1]
        found[path.stem] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "logits": y.tolist()}
        if program := llama_cpp(path):
            worst = apart(program.logprobs(IDS, len(y)), logprobs(y))
            print(f"{path.stem}: largest difference from llama.cpp {worst:.2g}")
            # llama.cpp rounds keys and values to float16, and what it multiplies with a matrix to the type of that.
            if not worst <= 0.2:
                faults.append(f"{path.stem}: llama.cpp differs by {worst:.3g}; allowed 0.2")
    file = TINY / "logits.json"
    if write:
        file.write_text(json.dumps(found, indent=1) + "\n")
    known = json.loads(file.read_text())
    for name in sorted(found.keys() | known.keys()):
        if name not in found or name not in known or found[name]["sha256"] != known[name]["sha256"]:
            faults.append(f"{name}: the model is not the one of logits.json; write that with --write")
            continue
        worst = np.abs(np.array(found[name]["logits"]) - np.array(known[name]["logits"])).max()
        print(f"{name}: largest difference from logits.json {worst:.2g}")
        if not worst <= 1e-9:
            faults.append(f"{name}: logits differ by {worst:.3g}; allowed 1e-9")
    return faults


def run(*command):
    """Output of a command, which must succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stderr}")
    return done.stdout


def vocabulary_faults(f, tokenizer):
    """Faults of the tokens of a file, compared with a tokenizer of transformers."""
    faults, tokens = [], f.meta["tokenizer.ggml.tokens"]
    kinds = f.meta["tokenizer.ggml.token_type"]
    theirs = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    if tokens[:len(theirs)] != theirs or any(k != TokenType.UNUSED for k in kinds[len(theirs):]):
        faults.append("the tokens are not those of the tokenizer")
    special = {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}
    wrong = [t for i, t in enumerate(theirs) if (kinds[i] in (TokenType.CONTROL, TokenType.UNKNOWN)) != (i in special)]
    if wrong:
        faults.append(f"special tokens, or tokens that the file says are special: {wrong[:5]}")
    for role in ("bos", "eos"):
        if f.meta.get(f"tokenizer.ggml.{role}_token_id") != getattr(tokenizer, role + "_token_id"):
            faults.append(f"the {role} token is {f.meta.get(f'tokenizer.ggml.{role}_token_id')}")
    added = tokenizer("x").input_ids != tokenizer("x", add_special_tokens=False).input_ids
    if f.meta["tokenizer.ggml.add_bos_token"] != added:
        faults.append("add_bos_token is wrong")
    if f.meta.get("tokenizer.chat_template") != tokenizer.chat_template:
        faults.append("the chat template is not that of the tokenizer")
    return faults


def compare(lor2c, directory, folder, base, types=("f32",)):
    """Faults of the exports of a run on the base model, and its lines."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
    faults = []

    def export(form, *more):
        out = folder / f"{directory.name}.{form}{''.join(more)}"
        print("  " + run(lor2c, "export", "--run", directory, "--format", form, "--out", out, *more).strip())
        return out

    merged = export("merged", "--dtype", "f32")
    # AutoTokenizer adds tokens to a tokenizer.json of some types of models.
    kind = PreTrainedTokenizerFast if (merged / "tokenizer.json").exists() else AutoTokenizer
    tokenizer = kind.from_pretrained(merged)
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32)
    prompts = [tokenizer(text).input_ids for text in TEXTS]
    with torch.no_grad():
        theirs = [model(torch.tensor([ids])).logits[0].double().numpy() for ids in prompts]

    def check(what, ours, allowed):
        worst = max(apart(a, b) for a, b in zip(ours, theirs, strict=True))
        print(f"  {what}: largest difference {worst:.2g}", flush=True)
        if not worst <= allowed:
            faults.append(f"{directory.name}: {what} differs by {worst:.3g}; allowed {allowed}")

    for kind in types:
        path = export("gguf", "--dtype", kind) / "model.gguf"
        f = File(path)
        faults += [f"{directory.name}: {fault}" for fault in vocabulary_faults(f, tokenizer)]
        wrong = [n for n, t in f.types.items() if t != ("F32" if f.tensors[n].ndim == 1 else kind.upper())]
        if wrong:
            faults.append(f"{directory.name}: types of {wrong}")
        check(kind, [logits(f, ids) for ids in prompts], {"f32": 2e-4, "f16": 0.1, "bf16": 0.5}[kind])
    lora = export("gguf-lora") / "adapter.gguf"
    plain = folder / f"{directory.name}.base.gguf"
    shutil.copy(folder / f"{directory.name}.gguf--dtypef32" / "model.gguf", plain)
    restore(plain, base)
    check("base with gguf-lora", [logits(File(plain), ids, File(lora)) for ids in prompts], 2e-4)
    whole = folder / f"{directory.name}.gguf--dtypef32" / "model.gguf"
    for name, files in (("merged", [whole]), ("LoRA", [plain, lora])):
        program = llama_cpp(*files)
        if program is None:
            print("  llama.cpp: left out; xllamacpp is not installed")
            break
        for text, ids, y in zip(TEXTS, prompts, theirs, strict=True):
            if program.tokens(text) != ids:
                faults.append(f"{directory.name}: llama.cpp's tokens of {text!r} are {program.tokens(text)}; want {ids}")
            worst = apart(program.logprobs(ids, y.shape[1]), logprobs(y[-1]))
            print(f"  llama.cpp, {name}, {len(ids)} tokens: largest difference {worst:.2g}", flush=True)
            if not worst <= 5e-2:
                faults.append(f"{directory.name}: llama.cpp, {name}, differs by {worst:.3g}; allowed 5e-2")
    return faults


def restore(path, base):
    """Gives the tensors of a GGUF file in float32 the values of the base model, with llama.cpp's order of rows."""
    from safetensors.torch import load_file
    from gguf import MODEL_ARCH, get_tensor_name_map
    weights = {}
    for part in sorted(pathlib.Path(base).glob("*.safetensors")):
        weights |= {name: value.float().numpy() for name, value in load_file(part).items()}
    config = json.loads((pathlib.Path(base) / "config.json").read_text())
    reader = GGUFReader(path, "r+")
    arch = reader.fields["general.architecture"].contents()
    names = get_tensor_name_map(MODEL_ARCH[arch.upper()], config["num_hidden_layers"])
    tensors, heads = {t.name: t for t in reader.tensors}, config["num_attention_heads"]
    for name, value in weights.items():
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            n = heads if "q_proj" in name else config.get("num_key_value_heads", heads)
            value = value.reshape(n, 2, value.shape[0] // n // 2, *value.shape[1:]).swapaxes(1, 2).reshape(value.shape)
        if to in tensors:  # a tied head is left out
            tensors[to].data[:] = value
    del tensors, reader


def main():
    parser = argparse.ArgumentParser(description="compute with the GGUF files of lor2c")
    parser.add_argument("--lor2c", type=pathlib.Path, help="binary of lor2c")
    parser.add_argument("--run", type=pathlib.Path, help="run directory; without it, short runs are trained")
    parser.add_argument("--base", type=pathlib.Path, help="base model of --run")
    parser.add_argument("--only", help="one of the short runs, such as qwen2")
    parser.add_argument("--tiny", action="store_true", help="compute with the tiny models of the tests of Go")
    parser.add_argument("--write", action="store_true", help="write the logits of the tiny models")
    args = parser.parse_args()
    if args.tiny:
        faults = tiny(args.write)
    elif not args.lor2c:
        parser.error("name the binary with --lor2c, or check the tiny models with --tiny")
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            if args.run:
                faults = compare(args.lor2c.resolve(), args.run, folder, args.base)
            else:
                faults = runs(args.lor2c.resolve(), folder, args.only)
    for fault in faults:
        print("check_gguf: " + fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


def make_base(folder, kind, tokenizer, **settings):
    """A directory with a random decoder for one of the tokenizers of the tests of Go."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    shutil.copytree(f"internal/tokenizer/testdata/{tokenizer}", folder)
    if tokenizer == "llama-model":
        shutil.copy("demo/decoder/tokenizer_config.json", folder)
    torch.manual_seed(1)
    config = AutoConfig.for_model(kind, **{
        "vocab_size": 608, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
        "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.2,
        "bos_token_id": 1, "eos_token_id": 2, **settings})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, p in model.named_parameters():
        if name.endswith("bias") or "norm" in name:
            torch.nn.init.normal_(p, 1.0 if "norm" in name else 0.0, 0.3)
    model.save_pretrained(folder)
    return folder


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128, "rope_theta": 10000.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64, "rope_theta": 10000.0}
BASES = {  # model type, tokenizer, settings
    "mistral": ("mistral", "llama-model", {"sliding_window": None}),
    "llama3": ("llama", "llama3", {"rope_parameters": LLAMA3, "attention_bias": True, "mlp_bias": True}),
    "smollm": ("llama", "smollm", {"tie_word_embeddings": True}),
    "qwen2": ("qwen2", "qwen", {"rope_parameters": YARN}),
    "qwen3": ("qwen3", "qwen", {"head_dim": 16, "tie_word_embeddings": True}),
}


def runs(lor2c, folder, only):
    """Faults of short runs, or of one of them."""
    faults = []
    bases = {"demo": pathlib.Path("demo/decoder")}
    bases |= {name: make_base(folder / name, kind, tokenizer, **settings)
              for name, (kind, tokenizer, settings) in BASES.items()}
    for name, base in bases.items():
        if only not in (None, name):
            continue
        out = folder / f"{name}-run"
        command = [lor2c, "train", "-c", "configs/demo-decoder.yaml", "--device", "cpu", "--out", out]
        for setting in [f"model={base}", "method.name=lora", "method.rank=4", "optim.lr=0.003", "train.epochs=1",
                        "method.target_modules=[q_proj,k_proj,o_proj,down_proj]"]:
            command += ["--set", setting]
        run(*command)
        print(f"{name}:", flush=True)
        faults += compare(lor2c, out, folder, base, ("f32", "f16", "bf16") if name == "demo" else ("f32",))
    return faults


if __name__ == "__main__":
    main()
