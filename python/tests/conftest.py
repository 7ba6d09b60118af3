"""Tiny models with random weights, which every test makes for itself."""

import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig, BertForSequenceClassification, CamembertConfig, CamembertForSequenceClassification, DistilBertConfig,
    DistilBertForSequenceClassification, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, MPNetConfig,
    MPNetForSequenceClassification, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, RobertaConfig,
    RobertaForSequenceClassification, XLMRobertaConfig, XLMRobertaForSequenceClassification,
)

import lor2c_peft  # noqa: F401, registers the method

ENCODERS = {
    "bert": (BertConfig, BertForSequenceClassification),
    "camembert": (CamembertConfig, CamembertForSequenceClassification),
    "distilbert": (DistilBertConfig, DistilBertForSequenceClassification),
    "mpnet": (MPNetConfig, MPNetForSequenceClassification),
    "roberta": (RobertaConfig, RobertaForSequenceClassification),
    "xlm-roberta": (XLMRobertaConfig, XLMRobertaForSequenceClassification),
}
DECODERS = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "mistral": (MistralConfig, MistralForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def tiny(kind: str, layers: int = 4, width: int = 16, **more) -> nn.Module:
    """A model of a family with random weights in float64, which is ready for evaluation."""
    torch.manual_seed(7)
    sizes = {"vocab_size": 40, "hidden_size": width, "intermediate_size": 24, "num_hidden_layers": layers,
             "num_attention_heads": 2, "max_position_embeddings": 48, "pad_token_id": 1} | more
    if kind in DECODERS:
        sizes |= {"num_key_value_heads": 1, "head_dim": 8}
        config, model = DECODERS[kind]
    else:
        sizes |= {"num_labels": more.get("num_labels", 3)}
        if kind == "distilbert":
            sizes |= {"hidden_dim": sizes.pop("intermediate_size")}
        config, model = ENCODERS[kind]
    made = model(config(**sizes)).double().eval()
    # New biases and norms are zeros and ones, which would hide a wrong order of operations.
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, dtype=parameter.dtype))
    return made


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The layers of a tiny model."""
    kind = model.config.model_type
    if kind in DECODERS:
        return model.get_submodule("model.layers")
    return model.base_model.get_submodule("transformer.layer" if kind == "distilbert" else "encoder.layer")


def ids(rows: int = 2, length: int = 9) -> torch.Tensor:
    """Random tokens [rows, length] without special ones."""
    return torch.randint(5, 40, (rows, length), generator=torch.Generator().manual_seed(3))


def randomize(model: nn.Module) -> None:
    """Gives the parameters of all adapters random values, so that B is not zero."""
    torch.manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.3 * torch.randn(parameter.shape, dtype=parameter.dtype))


@pytest.fixture(params=sorted(ENCODERS | DECODERS))
def kind(request) -> str:
    """Every family."""
    return request.param
