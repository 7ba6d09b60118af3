"""Which modules an adapter has on a model, and where."""

import pathlib
from typing import Any

from peft.tuners.lora.layer import LoraLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

from . import description
from .config import LoR2CConfig
from .stack import Stack, selects

# The child of a layer that has its modules, by first and last layer, and of the stack that has a shared A.
CHILD, SHARED = "lor2c", "shared"


def describe(config: LoR2CConfig, model: Any, stack: Stack) -> dict[str, Any]:
    """Returns the content of lor2c.json for an adapter that was not read from a directory.

    Raises ValueError if the LoRA of injected layers have different settings, for which lor2c.json has no place.
    """
    pair = (config.lor2c_injected or [{}])[0]
    for other in config.lor2c_injected or []:
        if other | {"layer": 0} != pair | {"layer": 0}:
            raise ValueError(f"LoR2C: lor2c_injected has {pair} and {other}; want the same settings in every layer")
    return {
        "format": description.FORMAT,
        "method": {
            "name": "lor2c", "rank": config.r, "alpha": config.lor2c_alpha, "dropout": config.lora_dropout,
            "share": config.share, "target_modules": pair.get("target_modules", ["query", "value"]),
            "inject_rank": pair.get("r", max(config.r // 2, 1)), "inject_alpha": pair.get("lora_alpha", 16),
            "inject_dropout": pair.get("lora_dropout", 0.05),
        },
        "base": {
            "path": config.base_model_name_or_path or model.name_or_path, "sha256": "",
            "model_type": model.config.model_type, "hidden_size": stack.width, "num_hidden_layers": len(stack.layers),
        },
        "task": task(model.config, config.task_type),
        "max_length": 0,
        "structure": {
            "modules": [{"first": first, "last": last} for first, last in config.spans(len(stack.layers))],
            "injected": [pair["layer"] for pair in config.lor2c_injected or []],
        },
    }


def task(config: Any, kind: str | None) -> dict[str, Any]:
    """Returns what a model predicts for a task_type of PEFT, as lor2c.json has it.

    A single output without a kind of problem is a number, as it is for the loss of transformers.
    """
    names = config.id2label or {}
    labels = [names[number] for number in sorted(names)]
    if kind == "TOKEN_CLS":
        return {"name": "custom", "labels": labels, "kind": "tokens"}
    if kind != "SEQ_CLS":
        return {"name": "instruct", "labels": None}
    if config.problem_type == "multi_label_classification":
        # The separator is for files that list labels, so no label may have it.
        separator = next((mark for mark in ",;|" if not any(mark in label for label in labels)), ",")
        return {"name": "custom", "labels": labels, "kind": "multilabel", "threshold": 0.5, "separator": separator}
    number = config.problem_type == "regression" or config.problem_type is None and len(labels) == 1
    return {"name": "custom", "labels": None if number else labels}


def check_base(path: pathlib.Path, content: dict[str, Any], model: Any, stack: Stack) -> None:
    """Raises ValueError if an adapter was trained on a model of another form."""
    have = {
        "model_type": model.config.model_type, "hidden_size": stack.width, "num_hidden_layers": len(stack.layers),
    }
    for key, value in have.items():
        if content["base"].get(key) != value:
            raise ValueError(
                f"{path}: base.{key} is {content['base'].get(key)!r}; the model has {value!r}; load the base model "
                f"of the adapter, {content['base'].get('path')!r}"
            )


def targets(config: LoR2CConfig, model: nn.Module, stack: Stack) -> dict[str, list[Any]]:
    """Returns what is put where, by the path of a module: SHARED, the first and last layer of a module, or LoRA.

    Raises ValueError if modules overlap or leave the model, and for a target module that selects nothing.
    """
    found: dict[str, list[Any]] = {}
    where = f"{config.directory or 'LoR2C'}"
    taken: set[int] = set()
    for first, last in config.spans(len(stack.layers)):
        layers = set(range(first, last + 1))
        if not layers or layers & taken or first < 0 or last >= len(stack.layers):
            raise ValueError(
                f"{where}: module {first}-{last} overlaps another or leaves the model; want modules within layers 0 to "
                f"{len(stack.layers) - 1}"
            )
        taken |= layers
        found.setdefault(stack.layers[first], []).append((first, last))
    if config.share and found:
        found.setdefault(stack.path, []).append(SHARED)
    for pair in config.lor2c_injected or []:
        layer = pair["layer"]
        if layer in taken or not 0 <= layer < len(stack.layers):
            raise ValueError(
                f"{where}: LoRA on layer {layer} is listed twice, lies within a module or outside the model; want a "
                f"layer from 0 to {len(stack.layers) - 1} without a module"
            )
        taken.add(layer)
        for target in pair["target_modules"]:
            names = linears(model, stack.layers[layer], target)
            if not names:
                raise ValueError(f"{where}: target module {target!r} is not a linear layer of {stack.layers[layer]}")
            for name in names:
                if pair not in found.setdefault(name, []):
                    found[name].append(pair)
    return found


def linears(model: nn.Module, layer: str, target: str) -> list[str]:
    """Returns the paths of the linear layers of a layer that a target module selects."""
    return [
        f"{layer}.{name}" for name, module in model.get_submodule(layer).named_modules()
        if isinstance(module, (nn.Linear, LoraLayer)) and selects(target, name)
    ]


def tensor_shapes(config: LoR2CConfig, model: nn.Module, stack: Stack) -> dict[str, list[int]]:
    """Returns the shapes of all tensors of the adapter on a model, by their names without PEFT's prefix."""
    shapes: dict[str, list[int]] = {}
    for path, things in config.targets.items():
        for what in things:
            if what == SHARED:
                shapes[f"{path}.{CHILD}.{SHARED}.lora_A.weight"] = [config.r, stack.width]
            elif isinstance(what, tuple):
                name = f"{path}.{CHILD}.{what[0]}_{what[1]}"
                if not config.share:
                    shapes[f"{name}.lora_A.weight"] = [config.r, stack.width]
                shapes[f"{name}.lora_B.weight"] = [stack.width, config.r]
            else:
                linear: Any = model.get_submodule(path)
                shapes[f"{path}.lora_A.weight"] = [what["r"], linear.in_features]
                shapes[f"{path}.lora_B.weight"] = [linear.out_features, what["r"]]
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in (config.modules_to_save or []):
            if isinstance(module, AuxiliaryTrainingWrapper):
                module = module.original_module
            shapes |= {f"{name}.{key}": list(value.shape) for key, value in module.state_dict().items()}
    return shapes
