"""Writes internal/bitsandbytes/testdata: tiny random models that transformers saved in four bits with bitsandbytes.

Each folder is a model directory and golden.safetensors: a pack of sequences, and the logits that the model has with the
dequantised weights in float64. The weights of roberta are dequantised from scales in 8 bits, those of llama, which were
bfloat16 before, from scales in float32.

    python scripts/golden_bitsandbytes.py        (needs torch, transformers, accelerate, bitsandbytes; runs on a CPU)
"""

import pathlib
import shutil
import tempfile

import bitsandbytes
import torch
from safetensors.torch import save_file
from transformers import (AutoModelForCausalLM, AutoModelForSequenceClassification, BitsAndBytesConfig, LlamaConfig,
                          LlamaForCausalLM, RobertaConfig, RobertaForSequenceClassification)

OUT = pathlib.Path(__file__).parent.parent / "internal/bitsandbytes/testdata"
LENGTHS = [1, 2, 7, 10]
SHAPE = dict(vocab_size=23, hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2,
             max_position_embeddings=16)


def models():
    """name: (random model, class that loads it, type of the weights, double quantisation)"""
    roberta = RobertaConfig(**SHAPE, type_vocab_size=1, num_labels=3, pad_token_id=1)
    llama = LlamaConfig(**SHAPE, num_key_value_heads=1)
    return {
        "roberta": (RobertaForSequenceClassification(roberta), AutoModelForSequenceClassification, torch.float32, True),
        "llama": (LlamaForCausalLM(llama), AutoModelForCausalLM, torch.bfloat16, False),
    }


def dense(model):
    """The model in float64 with the dequantised weights."""
    for _, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, bitsandbytes.nn.Linear4bit):
                state = child.weight.quant_state
                state.dtype = torch.float32
                linear = torch.nn.Linear(child.in_features, child.out_features, bias=child.bias is not None)
                linear.weight.data = bitsandbytes.functional.dequantize_4bit(child.weight.data, state)
                if child.bias is not None:
                    linear.bias.data = child.bias.data
                setattr(module, name, linear)
    model.is_loaded_in_4bit = False
    model.is_quantized = False
    return model.double().eval()


def main():
    torch.manual_seed(7)
    shutil.rmtree(OUT, ignore_errors=True)
    for name, (model, loader, kind, double) in models().items():
        with torch.no_grad():
            for p in model.parameters():
                p += torch.randn_like(p) * 0.2
        out = OUT / name
        with tempfile.TemporaryDirectory() as folder:
            model.to(kind).save_pretrained(folder)
            four = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=double)
            loader.from_pretrained(folder, quantization_config=four, dtype=kind).save_pretrained(out)
        (out / "generation_config.json").unlink(missing_ok=True)
        reference = dense(loader.from_pretrained(out, dtype=kind))
        ids = torch.randint(3, SHAPE["vocab_size"], (sum(LENGTHS),))
        rows, width = [], reference.config.num_labels if name == "roberta" else SHAPE["vocab_size"]
        with torch.no_grad():
            for part in ids.split(LENGTHS):
                rows.append(reference(input_ids=part[None]).logits.reshape(-1, width))
        save_file({"input_ids": ids, "lengths": torch.tensor(LENGTHS), "logits": torch.cat(rows).float()},
                  out / "golden.safetensors")


if __name__ == "__main__":
    main()
