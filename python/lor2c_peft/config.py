"""The configuration of a LoR2C adapter, as adapter_config.json and lor2c.json have it."""

import json
import os
import pathlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

from peft import PeftConfig, PeftType

from . import description, files

TENSORS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
# The checksums of a directory that lor2c wrote. They no longer hold when PEFT has written into it.
MANIFEST = "MANIFEST.sha256"


@dataclass
class LoR2CConfig(PeftConfig):
    """The configuration of LoR2C.

    Without lor2c_modules, every layer has a module. The other fields are those of PEFT's PeftConfig.
    """

    r: int = field(default=8, metadata={"help": "rank of the modules"})
    lor2c_alpha: float = field(default=16, metadata={"help": "a module is scaled by this over the rank"})
    lora_dropout: float = field(default=0.1, metadata={"help": "dropout on the input of a module"})
    share: bool = field(default=False, metadata={"help": "all modules use one A (ShareLoR2C)"})
    lor2c_modules: list[dict[str, int]] | None = field(
        default=None, metadata={"help": "first and last layer of every module, as start and end"}
    )
    lor2c_injected: list[dict[str, Any]] | None = field(
        default=None, metadata={"help": "LoRA in place of a module: layer, target_modules, r, lora_alpha, lora_dropout"}
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "modules that are trained in full and stored in the adapter, as the head is"}
    )
    # PEFT reads this attribute of every method. The layers are found by the names in a file.
    target_modules: ClassVar[None] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType("LOR2C")
        # The content of lor2c.json, the directory that the adapter was read from, and what _prepare_model finds.
        self.description: dict[str, Any] | None = None
        self.directory: pathlib.Path | None = None
        self.targets: dict[str, Any] = {}

    def spans(self, layers: int) -> list[tuple[int, int]]:
        """Returns the first and last layer of every module of a model with the given number of layers."""
        injected = [pair["layer"] for pair in self.lor2c_injected or []]
        if self.lor2c_modules is None:
            return [(layer, layer) for layer in range(layers) if layer not in injected]
        return sorted((module["start"], module["end"]) for module in self.lor2c_modules)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str, subfolder: str | None = None, **kwargs: Any
    ) -> "LoR2CConfig":
        """Reads the configuration of an adapter directory, or of a repository of the Hugging Face hub.

        Raises ValueError, naming the file and the value, if a file is missing, is of a newer format, or if the files
        contradict each other. The tensors are compared with them when the adapter is added to a model.
        """
        directory = files.locate(pretrained_model_name_or_path, subfolder, kwargs)
        content = description.read(directory / description.FILE)
        config = super().from_pretrained(pretrained_model_name_or_path, subfolder=subfolder, **kwargs)
        config.description, config.directory = content, directory
        agree(directory, config, content)
        return config

    def save_pretrained(self, save_directory: str, **kwargs: Any) -> None:
        """Writes adapter_config.json and lor2c.json, with which lor2c reads the directory."""
        super().save_pretrained(save_directory, **kwargs)
        directory = pathlib.Path(save_directory)
        if self.description is not None:
            text = json.dumps(self.description, indent=2, ensure_ascii=False) + "\n"
            (directory / description.FILE).write_text(text, encoding="utf-8")
        (directory / MANIFEST).unlink(missing_ok=True)


def agree(directory: pathlib.Path, config: LoR2CConfig, content: dict[str, Any]) -> None:
    """Raises ValueError if adapter_config.json and lor2c.json of a directory describe different adapters."""
    method = content["method"]
    pairs = config.lor2c_injected or []
    try:
        spans = config.spans(content["base"]["num_hidden_layers"])
        adapted = [(pair["layer"], pair["r"], pair["lora_alpha"], pair["lora_dropout"]) for pair in pairs]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{directory / CONFIG}: lor2c_modules is {config.lor2c_modules} and lor2c_injected {pairs}; want the first "
            "and last layer of every module, and the layer and settings of every LoRA"
        ) from error
    same = [
        ("r", config.r, "method.rank", method.get("rank")),
        ("lor2c_alpha", config.lor2c_alpha, "method.alpha", method.get("alpha")),
        ("share", config.share, "method.share", method.get("share", False)),
        ("lor2c_modules", spans, "structure.modules", description.spans_of(content)),
        ("lor2c_injected", [layer for layer, *_ in adapted], "structure.injected", description.injected_of(content)),
    ]
    for _, rank, alpha, _ in adapted:
        same.append(("lor2c_injected.r", rank, "method.inject_rank", method.get("inject_rank")))
        same.append(("lor2c_injected.lora_alpha", alpha, "method.inject_alpha", method.get("inject_alpha")))
    for key, here, other, there in same:
        if here != there:
            raise ValueError(f"{directory / CONFIG}: {key} is {here}; {description.FILE} has {other} {there}")


def labels(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what from_pretrained of a classifier needs so that its head fits the adapter and names its labels.

    That is num_labels, problem_type unless tokens are classified, and for classes id2label and label2id. A head of
    another size that the base model may have is left out, because the adapter has its own.
    """
    content = description.read(pathlib.Path(directory) / description.FILE)
    names = description.labels_of(content)
    kwargs: dict[str, Any] = {"num_labels": len(names) or 1, "ignore_mismatched_sizes": True}
    kwargs["problem_type"] = "single_label_classification" if names else "regression"
    if content["task"].get("kind") == "multilabel":
        kwargs["problem_type"] = "multi_label_classification"
    if content["task"].get("kind") == "tokens":
        del kwargs["problem_type"]  # AutoModelForTokenClassification has one kind of problem
    if names:
        kwargs["id2label"] = dict(enumerate(names))
        kwargs["label2id"] = {name: number for number, name in enumerate(names)}
    return kwargs
