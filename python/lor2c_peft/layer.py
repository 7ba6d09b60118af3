"""The low-rank residual connections, as layers of PEFT."""

import math
import threading
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn


class LoR2CLayer(nn.Module, BaseTunerLayer):
    """What a module of LoR2C and the shared A have in common: nothing is wrapped, and nothing can be merged."""

    # BaseTunerLayer has properties of these names, which read a wrapped layer.
    weight = None
    bias = None

    def __init__(self) -> None:
        super().__init__()
        self.merged_adapters: list[str] = []


def factor(rows: int, columns: int, beside: nn.Module) -> nn.Linear:
    """Returns a factor of a low-rank product, [columns, rows], with the device and type of the parameters of beside."""
    like = next((p for p in beside.parameters() if p.is_floating_point()), torch.empty(0))
    return nn.Linear(rows, columns, bias=False, device=like.device, dtype=like.dtype)


class SharedDown(LoR2CLayer):
    """The A of ShareLoR2C, which all modules of an adapter use (arXiv:2503.00572, section III-B)."""

    adapter_layer_names = ("lora_A",)
    other_param_names = ()

    def __init__(self) -> None:
        super().__init__()
        self.lora_A = nn.ModuleDict()

    def add_adapter(self, name: str, width: int, rank: int, beside: nn.Module) -> None:
        """Adds the A [rank, width] of an adapter, drawn as nn.Linear draws its weight."""
        self.lora_A[name] = factor(width, rank, beside)


class Residual(LoR2CLayer):
    """A low-rank residual connection from the input of one layer to the output of the same or a later layer.

    If h is the input of the first layer, alpha/r B A dropout(h) is added to the output of the last (arXiv:2503.00572,
    eq. 2), with A [r, d] and B [d, r]. It is computed by hooks of the two layers, which stay those of transformers.
    """

    adapter_layer_names = ("lora_A", "lora_B")
    other_param_names = ("lora_dropout", "scaling", "shared")

    def __init__(self, first: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.lora_A, self.lora_B, self.lora_dropout = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.scaling: dict[str, float] = {}
        # A module in a tuple is not registered, so that a shared A is stored once.
        self.shared: dict[str, tuple[SharedDown]] = {}
        self.spans_layers = first is not last
        # A dropout(h) of the pass that is between the two layers, by thread.
        self.carried: dict[int, dict[str, Tensor]] = {}
        # Hooks are bound methods, because a copy of the model must call its own module. They come before those that
        # record hidden states.
        self.hooks = [last.register_forward_hook(self.add_to_output, prepend=True, with_kwargs=True)]
        if self.spans_layers:
            self.hooks.append(first.register_forward_pre_hook(self.read_input, with_kwargs=True))

    def add_adapter(
        self, name: str, width: int, rank: int, scaling: float, dropout: float, shared: SharedDown | None,
        beside: nn.Module,
    ) -> None:
        """Adds the factors of an adapter. A is drawn as nn.Linear draws its weight, and B is zero."""
        if shared is None:
            self.lora_A[name] = factor(width, rank, beside)
        else:
            self.shared[name] = (shared,)
        self.lora_B[name] = factor(rank, width, beside)
        if not self.lora_B[name].weight.is_meta:
            nn.init.zeros_(self.lora_B[name].weight)
        self.lora_dropout[name] = nn.Dropout(dropout)
        self.scaling[name] = scaling

    def remove(self) -> None:
        """Removes the hooks."""
        for hook in self.hooks:
            hook.remove()

    def down(self, name: str) -> nn.Linear:
        """Returns the A of an adapter."""
        return self.shared[name][0].lora_A[name] if name in self.shared else self.lora_A[name]

    def low_rank(self, h: Tensor) -> dict[str, Tensor]:
        """Returns A dropout(h) [..., r] of every active adapter that has this module, for h [..., d]."""
        u = {}
        for name in self.active_adapters:
            if name in self.lora_B:
                weight = self.down(name).weight
                u[name] = self.down(name)(self.lora_dropout[name](h.to(weight.device, weight.dtype)))
        return u

    def read_input(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Computes A dropout(h) from the input of the first layer, before it runs."""
        if not self.disable_adapters:
            self.carried[threading.get_ident()] = self.low_rank(layer_input(args, kwargs))

    def add_to_output(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Adds the residual connection to the output of the last layer, which is h or a tuple that begins with h."""
        if self.disable_adapters:
            return output
        if self.spans_layers:
            low_rank = self.carried.pop(threading.get_ident(), None)
            if low_rank is None:
                raise RuntimeError(
                    "LoR2C: the last layer of a merged module ran without its first; gradient checkpointing of merged "
                    "modules needs transformers 5.24 or later, which runs no hook a second time"
                )
        else:
            low_rank = self.low_rank(layer_input(args, kwargs))
        h = output[0] if isinstance(output, tuple) else output
        dtype = h.dtype
        for name, u in low_rank.items():
            h = h + (self.lora_B[name](u) * self.scaling[name]).to(h.device)
        h = h.to(dtype)
        return (h, *output[1:]) if isinstance(output, tuple) else h


def layer_input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Returns the hidden states that a layer of transformers is called with."""
    return args[0] if args else kwargs["hidden_states"]


def scale(alpha: float, rank: int) -> float:
    """Returns the factor alpha/r of a low-rank product, which must be finite."""
    if rank < 1 or not math.isfinite(alpha / rank):
        raise ValueError(f"LoR2C: r is {rank} and lor2c_alpha is {alpha}; want a rank of at least 1 and a finite scale")
    return alpha / rank
