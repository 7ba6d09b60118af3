"""lor2c.json, the file of an adapter directory with what PEFT's configuration has no keys for."""

import json
import pathlib
from typing import Any

FILE = "lor2c.json"
FORMAT = 1


def read(path: pathlib.Path) -> dict[str, Any]:
    """Returns the content of a lor2c.json.

    Raises ValueError, naming the file and the value, if it is not JSON, has another format than this release reads, or
    describes another method than LoR2C.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}); want the file that lor2c wrote") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: is not a JSON object; want the file that lor2c wrote")
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: format is {content.get('format')!r}; this lor2c_peft reads {FORMAT}")
    for section in ("method", "base", "task"):
        if not isinstance(content.get(section), dict):
            raise ValueError(f"{path}: {section} is {content.get(section)!r}; want an object")
    if content["method"].get("name") != "lor2c":
        raise ValueError(f"{path}: method.name is {content['method'].get('name')!r}; want 'lor2c'")
    try:
        spans_of(content), injected_of(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: structure is {content.get('structure')!r}; want the first and last layer of every module, and the "
            "layers with LoRA"
        ) from error
    return content


def labels_of(content: dict[str, Any]) -> list[str]:
    """Returns the labels in the order of the head's outputs. An empty list means regression."""
    return content["task"].get("labels") or []


def spans_of(content: dict[str, Any]) -> list[tuple[int, int]]:
    """Returns the first and last layer of every module, in order. Without a structure each layer has a module."""
    structure = content.get("structure")
    if structure is None:
        return [(layer, layer) for layer in range(content["base"]["num_hidden_layers"])]
    return [(module["first"], module["last"]) for module in structure["modules"]]


def injected_of(content: dict[str, Any]) -> list[int]:
    """Returns the layers whose module was replaced by LoRA, in the order of their injection."""
    return list((content.get("structure") or {}).get("injected") or [])
