"""Where a transformer of each supported family has its layers."""

from dataclasses import dataclass
from typing import Any

from torch import nn

ENCODERS = {
    "bert": "bert.encoder",
    "camembert": "roberta.encoder",
    "distilbert": "distilbert.transformer",
    "mpnet": "mpnet.encoder",
    "roberta": "roberta.encoder",
    "xlm-roberta": "roberta.encoder",
}
DECODERS = ("llama", "mistral", "qwen2", "qwen3")


@dataclass(frozen=True)
class Stack:
    """The stack of layers of a model.

    path is the module that a shared A belongs to, and layers are the paths of the layers, both in the base model.
    """

    path: str
    layers: list[str]
    width: int


def stack_of(model: nn.Module) -> Stack:
    """Returns the stack of layers of a transformers model.

    Raises ValueError for a model of another family, and for one without the head that adapters of lor2c belong to.
    """
    config: Any = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if kind in ENCODERS:
        path, layers = ENCODERS[kind], "layer"
    elif kind in DECODERS:
        path, layers = "model", "layers"
    else:
        raise ValueError(f"LoR2C: model_type of the model is {kind!r}; want one of {', '.join((*ENCODERS, *DECODERS))}")
    try:
        count = len(model.get_submodule(f"{path}.{layers}"))  # type: ignore[arg-type]
    except AttributeError as error:
        want = "AutoModelForSequenceClassification" if kind in ENCODERS else "AutoModelForCausalLM"
        raise ValueError(
            f"LoR2C: {type(model).__name__} has no module {path}.{layers}; load the base model with {want}"
        ) from error
    return Stack(path, [f"{path}.{layers}.{layer}" for layer in range(count)], config.hidden_size)


def selects(target: str, name: str) -> bool:
    """Reports whether a target module selects a linear layer of a layer, by lor2c's rule.

    It does if it is the name, or the end of the name after a dot. A bare "dense" selects nothing, because in PEFT it
    would include the classification head.
    """
    return target != "dense" and (target == name or name.endswith("." + target))
