"""The files of an adapter directory, and the check of their tensors."""

import pathlib
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from safetensors import SafetensorError, safe_open

NAMES = ("lor2c.json", "adapter_config.json", "adapter_model.safetensors")
HUB_KEYS = ("revision", "cache_dir", "token")
PREFIX = "base_model.model."


def locate(name: str, subfolder: str | None, kwargs: dict[str, Any]) -> pathlib.Path:
    """Returns the directory of an adapter, which is fetched if name is one of the Hugging Face hub.

    Raises ValueError if a file is missing. A pickle is never an alternative to the safetensors file.
    """
    directory = pathlib.Path(name, subfolder or "")
    if not pathlib.Path(name).exists():
        options = {key: kwargs[key] for key in HUB_KEYS if kwargs.get(key) is not None}
        try:
            paths = [hf_hub_download(name, file, subfolder=subfolder, **options) for file in NAMES]
        except EntryNotFoundError as error:
            raise ValueError(f"{name}: {error}; want {', '.join(NAMES)}") from error
        directory = pathlib.Path(paths[0]).parent
    for file in NAMES:
        if not (directory / file).is_file():
            raise ValueError(f"{directory}: there is no {file}; want the whole directory that lor2c or PEFT wrote")
    return directory


def check_tensors(path: pathlib.Path, want: dict[str, list[int]]) -> None:
    """Compares a file with the shapes of the tensors that the adapter has on its model.

    Raises ValueError, naming file and tensor, if a tensor is missing, has another shape or a value that is not finite,
    or if there is a tensor too many.
    """
    try:
        with safe_open(path, "pt") as file:
            found = set(file.keys())
            for name, shape in want.items():
                if PREFIX + name not in found:
                    raise ValueError(f"{path}: tensor {PREFIX + name} is missing; want {len(want)} tensors")
                have = file.get_slice(PREFIX + name).get_shape()
                if have != shape:
                    raise ValueError(f"{path}: {PREFIX + name} is {have}; the model and the adapter need {shape}")
            for name in sorted(found - {PREFIX + name for name in want}):
                raise ValueError(f"{path}: unexpected tensor {name}; the adapter has no such parameter on this model")
            for name in sorted(found):
                if not torch.isfinite(file.get_tensor(name)).all():
                    raise ValueError(f"{path}: {name} has a value that is not finite; the adapter is unusable")
    except SafetensorError as error:
        raise ValueError(f"{path}: is not a safetensors file ({error}); want the file that lor2c wrote") from error
