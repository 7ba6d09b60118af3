"""The tuner of LoR2C, which puts the modules of an adapter into a transformers model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft import LoraConfig
from peft.tuners.lora.layer import Linear as LoraLinear
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn

from . import description
from .config import TENSORS, LoR2CConfig
from .files import check_tensors
from .layer import Residual, SharedDown, scale
from .placement import CHILD, SHARED, check_base, describe, targets, tensor_shapes
from .stack import stack_of


class LoR2CModel(BaseTuner):
    """A model with LoR2C adapters. PEFT creates it for configurations of type LOR2C."""

    prefix = "lor2c_"
    tuner_layer_cls = BaseTunerLayer
    target_module_mapping: dict[str, list[str]] = {}

    def _prepare_adapter_config(self, peft_config: LoR2CConfig, model_config: dict[str, Any]) -> LoR2CConfig:
        return peft_config

    def _prepare_model(self, peft_config: LoR2CConfig, model: nn.Module) -> None:
        """Checks the adapter against the model, before the model is changed, and lists what is to be put where.

        Raises ValueError, naming file and value, if the adapter belongs to another model or its files are damaged.
        """
        stack = stack_of(model)
        if peft_config.description is None:
            peft_config.description = describe(peft_config, model, stack)
        if peft_config.directory is not None:
            check_base(peft_config.directory / description.FILE, peft_config.description, model, stack)
        peft_config.targets = targets(peft_config, model, stack)
        if peft_config.directory is not None:
            shapes = tensor_shapes(peft_config, model, stack)
            check_tensors(peft_config.directory / TENSORS, shapes)

    @staticmethod
    def _check_target_module_exists(peft_config: LoR2CConfig, key: str) -> bool:
        return key in peft_config.targets

    def _create_and_replace(
        self, peft_config: LoR2CConfig, adapter_name: str, target: nn.Module, target_name: str, parent: nn.Module,
        current_key: str, parameter_name: str | None = None,
    ) -> None:
        for what in peft_config.targets[current_key]:
            if what == SHARED:
                shared = child(target, SHARED, SharedDown)
                shared.add_adapter(adapter_name, stack_of(self.model).width, peft_config.r, target)
                self._place(shared, adapter_name)
            elif isinstance(what, tuple):
                self._add_residual(peft_config, adapter_name, *what)
            else:
                self._add_lora(what, adapter_name, target, target_name, parent)

    def _add_residual(self, config: LoR2CConfig, name: str, first: int, last: int) -> None:
        stack = stack_of(self.model)
        ends = [self.model.get_submodule(stack.layers[layer]) for layer in (first, last)]
        residual = child(ends[0], f"{first}_{last}", lambda: Residual(*ends))
        shared = None
        if config.share:
            shared = self.model.get_submodule(f"{stack.path}.{CHILD}.{SHARED}")
        residual.add_adapter(
            name, stack.width, config.r, scale(config.lor2c_alpha, config.r), config.lora_dropout, shared, ends[0]
        )
        self._place(residual, name)

    def _add_lora(
        self, pair: dict[str, Any], name: str, target: nn.Module, target_name: str, parent: nn.Module
    ) -> None:
        config = LoraConfig(r=pair["r"], lora_alpha=pair["lora_alpha"], lora_dropout=pair["lora_dropout"])
        if isinstance(target, LoraLayer):
            target.update_layer(name, pair["r"], lora_alpha=pair["lora_alpha"], config=config)
        else:
            layer = LoraLinear(target, name, config=config, r=pair["r"], lora_alpha=pair["lora_alpha"])
            setattr(parent, target_name, layer)
            self._place(layer, name)

    def _place(self, layer: nn.Module, name: str) -> None:
        """Leaves a new adapter untrained if it is not the active one, as PEFT does."""
        if name not in self.active_adapters:
            layer.requires_grad_(False)

    def _check_merge_allowed(self) -> None:
        raise ValueError(
            "LoR2C: a module goes around whole layers, so it cannot be merged into weights; use the model as it is"
        )

    def _unload_and_optionally_merge(self, merge: bool = True, **kwargs: Any) -> nn.Module:
        if merge:
            self._check_merge_allowed()
        for module in list(self.model.modules()):
            if isinstance(module, Residual):
                module.remove()
        for module in list(self.model.modules()):
            if isinstance(getattr(module, CHILD, None), nn.ModuleDict):
                delattr(module, CHILD)
        return super()._unload_and_optionally_merge(merge=False, **kwargs)

    def _replace_module(self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module) -> None:
        # PEFT's own function copies a weight, which the head of some encoders does not have.
        setattr(parent, child_name, new_module)

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        if kwargs.get("adapter_names") is not None:
            raise ValueError("LoR2C: adapter_names is not supported; run one batch for each adapter with set_adapter")
        yield


def child(parent: nn.Module, name: str, new: Any) -> Any:
    """Returns a module of parent's child lor2c, which new makes if there is none."""
    if not hasattr(parent, CHILD):
        parent.add_module(CHILD, nn.ModuleDict())
    modules = getattr(parent, CHILD)
    if name not in modules:
        modules[name] = new()
    return modules[name]
