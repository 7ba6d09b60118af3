"""Adapters that lor2c wrote, with the logits that it computes with them (TestPythonFixtures of internal/adapter)."""

import json
import pathlib

import pytest
import torch
from conftest import REPOSITORY
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import lor2c_peft

FIXTURES = sorted((pathlib.Path(__file__).parent / "fixtures").iterdir())


def base_of(directory: pathlib.Path) -> torch.nn.Module:
    """The base model of an adapter of the repository, with a head for its labels."""
    path = REPOSITORY / json.loads((directory / "lor2c.json").read_text())["base"]["path"]
    if directory.name.startswith("decoder"):
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return AutoModelForSequenceClassification.from_pretrained(
        path, dtype=torch.float32, **lor2c_peft.labels(directory)
    )


def logits_of(model: torch.nn.Module, rows: list[list[int]]) -> list[torch.Tensor]:
    """The logits of each row, of a decoder those behind its last token."""
    with torch.no_grad():
        logits = [model.eval()(input_ids=torch.tensor([row])).logits[0] for row in rows]
    return [row[-1] if row.dim() == 2 else row for row in logits]


@pytest.mark.parametrize("directory", FIXTURES, ids=lambda path: path.name)
def test_logits_are_those_of_lor2c(directory: pathlib.Path, tmp_path: pathlib.Path) -> None:
    expected = json.loads((directory / "expected.json").read_text())
    base = base_of(directory)
    without = logits_of(base, expected["input_ids"])
    model = PeftModel.from_pretrained(base, directory)
    for row, plain, want in zip(logits_of(model, expected["input_ids"]), without, expected["logits"], strict=True):
        torch.testing.assert_close(row, torch.tensor(want), rtol=1e-5, atol=1e-5)
        assert (row - plain).abs().max() > 1e-2, "the adapter changes nothing"
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "lor2c.json").read_text()) == json.loads((directory / "lor2c.json").read_text())
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    original = load_file(directory / "adapter_model.safetensors")
    assert tensors.keys() == original.keys()
    assert all(torch.equal(tensors[name], original[name]) for name in tensors)


def test_every_form_has_a_fixture() -> None:
    assert [path.name for path in FIXTURES] == [
        "bert", "bert_span", "decoder_im", "decoder_share", "distilbert_im", "mpnet_im", "roberta_im", "roberta_share",
        "xlmroberta_im"]
