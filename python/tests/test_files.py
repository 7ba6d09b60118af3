"""Adapter directories: what is saved can be loaded, and every fault is one error that names the file."""

import copy
import json
import pathlib
import shutil

import pytest
import torch
from conftest import DECODERS, ids, layers_of, randomize, tiny
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from test_forward import FORMS, config_of
from transformers import AutoModelForTokenClassification

import lor2c_peft


def saved(directory: pathlib.Path, kind: str = "roberta", form: str = "injected", **more):
    """Saves an adapter with random values and returns its base model and its logits."""
    base = tiny(kind)
    config = config_of(kind, form, base_model_name_or_path="models/tiny", **more)
    model = get_peft_model(copy.deepcopy(base), config, autocast_adapter_dtype=False).eval()
    randomize(model)
    for name, parameter in model.named_parameters():
        if "modules_to_save" in name:
            parameter.data.add_(0.1)
    model.save_pretrained(directory)
    return base, model(input_ids=ids()).logits.detach()


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("kind", ["llama", "mpnet", "roberta"])
def test_a_saved_adapter_is_loaded(tmp_path: pathlib.Path, kind: str, form: str) -> None:
    base, want = saved(tmp_path, kind, form)
    model = PeftModel.from_pretrained(base, tmp_path, autocast_adapter_dtype=False)
    torch.testing.assert_close(model(input_ids=ids()).logits, want, rtol=0, atol=0)
    assert not any(p.requires_grad for p in model.parameters())
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    path = "model" if kind in DECODERS else f"{kind}.encoder"
    assert (f"base_model.model.{path}.lor2c.shared.lora_A.weight" in tensors) == ("share" in form)
    assert sum("lora_A" in name and "shared" not in name for name in tensors) == {
        "plain": 4, "merged": 2, "injected": 4, "share": 0, "merged_share": 0}[form]
    model.save_pretrained(tmp_path / "again")
    for name in ("adapter_model.safetensors", "lor2c.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_training_goes_on(tmp_path: pathlib.Path) -> None:
    base, _ = saved(tmp_path)
    model = PeftModel.from_pretrained(base, tmp_path, is_trainable=True, autocast_adapter_dtype=False)
    trained = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name or "modules_to_save" in name for name in trained)
    assert len(trained) == 2 * 4 + 4
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = model(input_ids=ids(), labels=torch.tensor([0, 2])).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, value in trained.items():
        assert not torch.equal(model.get_parameter(name), value), name


def test_two_adapters_on_one_base(tmp_path: pathlib.Path) -> None:
    base, one = saved(tmp_path / "one", "roberta", "injected")
    _, two = saved(tmp_path / "two", "roberta", "merged_share", r=2)
    model = PeftModel.from_pretrained(base, tmp_path / "one", autocast_adapter_dtype=False)
    model.load_adapter(tmp_path / "two", "two", autocast_adapter_dtype=False)
    for name, want in (("default", one), ("two", two), ("default", one)):
        model.set_adapter(name)
        torch.testing.assert_close(model.eval()(input_ids=ids()).logits, want, rtol=0, atol=0)
    model.delete_adapter("default")
    model.set_adapter("two")
    torch.testing.assert_close(model.eval()(input_ids=ids()).logits, two, rtol=0, atol=0)
    with pytest.raises(ValueError, match="adapter_names is not supported"):
        model(input_ids=ids(), adapter_names=["two", "two"])


def test_an_adapter_is_unloaded_but_not_merged(tmp_path: pathlib.Path) -> None:
    base, _ = saved(tmp_path)
    want = base.roberta(input_ids=ids()).last_hidden_state
    keys = base.state_dict().keys()
    model = PeftModel.from_pretrained(base, tmp_path, autocast_adapter_dtype=False)
    for merge in (model.merge_and_unload, model.merge_adapter):
        with pytest.raises(ValueError, match="cannot be merged"):
            merge()
    plain = model.unload()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in layers_of(plain))
    assert plain.state_dict().keys() == keys
    torch.testing.assert_close(plain.roberta(input_ids=ids()).last_hidden_state, want, rtol=0, atol=0)


def test_labels_are_those_of_the_adapter(tmp_path: pathlib.Path) -> None:
    saved(tmp_path)
    path = tmp_path / "lor2c.json"
    content = json.loads(path.read_text())
    content["task"]["labels"] = ["no", "yes", "später"]
    path.write_text(json.dumps(content))
    assert lor2c_peft.labels(tmp_path) == {
        "num_labels": 3, "problem_type": "single_label_classification", "ignore_mismatched_sizes": True,
        "id2label": {0: "no", 1: "yes", 2: "später"}, "label2id": {"no": 0, "yes": 1, "später": 2}}
    content["task"]["kind"] = "multilabel"
    path.write_text(json.dumps(content))
    assert lor2c_peft.labels(tmp_path)["problem_type"] == "multi_label_classification"
    content["task"]["kind"] = "tokens"
    path.write_text(json.dumps(content))
    assert "problem_type" not in lor2c_peft.labels(tmp_path) and lor2c_peft.labels(tmp_path)["num_labels"] == 3
    content["task"] |= {"labels": None, "kind": ""}
    path.write_text(json.dumps(content))
    assert lor2c_peft.labels(tmp_path) == {
        "num_labels": 1, "problem_type": "regression", "ignore_mismatched_sizes": True}


@pytest.mark.parametrize(("problem", "labels", "want", "again"), [
    (None, 2, {"labels": ["LABEL_0", "LABEL_1"]}, "single_label_classification"),
    (None, 1, {"labels": None}, "regression"),
    ("regression", 1, {"labels": None}, "regression"),
    ("multi_label_classification", 1,
     {"labels": ["LABEL_0"], "kind": "multilabel", "threshold": 0.5, "separator": ","}, "multi_label_classification"),
])
def test_a_new_adapter_records_the_kind_of_problem(
    tmp_path: pathlib.Path, problem: str | None, labels: int, want: dict, again: str
) -> None:
    base = tiny("roberta", num_labels=labels, problem_type=problem)
    get_peft_model(base, lor2c_peft.LoR2CConfig(task_type="SEQ_CLS")).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "lor2c.json").read_text())["task"] == {"name": "custom", **want}
    assert lor2c_peft.labels(tmp_path)["problem_type"] == again
    assert lor2c_peft.labels(tmp_path)["num_labels"] == labels


def test_a_new_adapter_of_token_classification(tmp_path: pathlib.Path) -> None:
    base = AutoModelForTokenClassification.from_config(tiny("roberta", num_labels=3).config)
    get_peft_model(base, lor2c_peft.LoR2CConfig(task_type="TOKEN_CLS")).save_pretrained(tmp_path)
    labels = ["LABEL_0", "LABEL_1", "LABEL_2"]
    assert json.loads((tmp_path / "lor2c.json").read_text())["task"] == {
        "name": "custom", "labels": labels, "kind": "tokens"}
    assert lor2c_peft.labels(tmp_path)["id2label"] == dict(enumerate(labels))


def test_no_label_has_the_separator(tmp_path: pathlib.Path) -> None:
    base = tiny("roberta", num_labels=2, problem_type="multi_label_classification", id2label={0: "a,b", 1: "c"})
    get_peft_model(base, lor2c_peft.LoR2CConfig(task_type="SEQ_CLS")).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "lor2c.json").read_text())["task"]["separator"] == ";"


def edit(path: pathlib.Path, **changes) -> None:
    """Changes keys of a JSON file; the key base__hidden_size is hidden_size of base."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        *above, last = key.split("__")
        place = content
        for name in above:
            place = place[name]
        place[last] = value
    path.write_text(json.dumps(content))


TENSOR = "base_model.model.roberta.encoder.layer.0.lor2c.0_1.lora_A.weight"


def with_tensors(change):
    """A fault that changes the tensors of a directory."""

    def fault(directory: pathlib.Path) -> None:
        path = directory / "adapter_model.safetensors"
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)

    return fault


def described(**changes):
    """A fault in lor2c.json."""
    return lambda directory: edit(directory / "lor2c.json", **changes)


def configured(**changes):
    """A fault in adapter_config.json."""
    return lambda directory: edit(directory / "adapter_config.json", **changes)


def pickled(directory: pathlib.Path) -> None:
    (directory / "adapter_model.safetensors").unlink()
    (directory / "adapter_model.bin").write_bytes(b"never read")


FAULTS = {
    "format": (described(format=2), "lor2c.json: format is 2; this lor2c_peft reads 1"),
    "method": (described(method__name="lora"), "lor2c.json: method.name is 'lora'; want 'lor2c'"),
    "section": (described(base=None), "lor2c.json: base is None; want an object"),
    "base_type": (described(base__model_type="bert"), "lor2c.json: base.model_type is 'bert'; the model has 'roberta'"),
    "base_width": (described(base__hidden_size=32), "lor2c.json: base.hidden_size is 32; the model has 16"),
    "base_layers": (described(base__num_hidden_layers=6), "lor2c.json: base.num_hidden_layers is 6; the model has 4"),
    "rank": (described(method__rank=4), "adapter_config.json: r is 3; lor2c.json has method.rank 4"),
    "alpha": (described(method__alpha=1), "adapter_config.json: lor2c_alpha is 5; lor2c.json has method.alpha 1"),
    "share": (configured(share=True), "adapter_config.json: share is True; lor2c.json has method.share False"),
    "spans": (configured(lor2c_modules=[{"start": 0, "end": 1}]), "adapter_config.json: lor2c_modules is "),
    "injected": (described(structure__injected=[]), r"adapter_config.json: lor2c_injected is \[2\]; lor2c.json has "),
    "missing": (with_tensors(lambda t: t.pop(TENSOR)), f"adapter_model.safetensors: tensor {TENSOR} is missing"),
    "head": (with_tensors(lambda t: t.pop("base_model.model.classifier.out_proj.bias")),
             "tensor base_model.model.classifier.out_proj.bias is missing"),
    "unexpected": (with_tensors(lambda t: t.update({"more": torch.zeros(1)})), "unexpected tensor more"),
    "shape": (with_tensors(lambda t: t.update({TENSOR: torch.zeros(2, 16)})), rf"{TENSOR} is \[2, 16\]; .* \[3, 16\]"),
    "not_finite": (with_tensors(lambda t: t[TENSOR].view(-1)[5].fill_(float("nan"))), f"{TENSOR} has a value"),
    "no_json": (lambda d: (d / "lor2c.json").write_text("{"), "lor2c.json: is not JSON"),
    "no_object": (lambda d: (d / "lor2c.json").write_text("3"), "lor2c.json: is not a JSON object"),
    "structure": (described(structure__modules=[{"first": 0}]), "lor2c.json: structure is "),
    "no_end": (configured(lor2c_modules=[{"start": 0}]), "adapter_config.json: lor2c_modules is "),
    "no_description": (lambda d: (d / "lor2c.json").unlink(), "there is no lor2c.json; want the whole directory"),
    "pickle": (pickled, "there is no adapter_model.safetensors"),
    "cut_off": (lambda d: (d / "adapter_model.safetensors").write_bytes(b"\x09"), "is not a safetensors file"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_damaged_directory_is_one_error(tmp_path: pathlib.Path, fault: str) -> None:
    base, _ = saved(tmp_path)
    before = list(base.state_dict())
    plant, message = FAULTS[fault]
    plant(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        PeftModel.from_pretrained(base, tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert list(base.state_dict()) == before, "the base model was changed"


def test_a_head_of_another_size_is_an_error(tmp_path: pathlib.Path) -> None:
    saved(tmp_path)
    with pytest.raises(ValueError, match=r"classifier.out_proj.* is \[3.*\]; the model and the adapter need \[2"):
        PeftModel.from_pretrained(tiny("roberta", num_labels=2), tmp_path)


def test_models_of_other_families_are_errors() -> None:
    with pytest.raises(ValueError, match="model_type of the model is None; want one of bert, camembert"):
        get_peft_model(torch.nn.Linear(2, 2), lor2c_peft.LoR2CConfig(base_model_name_or_path="x"))
    with pytest.raises(ValueError, match="has no module roberta.encoder.layer; load the base model with AutoModelFor"):
        get_peft_model(tiny("roberta").roberta, lor2c_peft.LoR2CConfig())


@pytest.mark.parametrize("changes, message", [
    ({"lor2c_modules": [{"start": 1, "end": 2}, {"start": 2, "end": 3}]}, "module 2-3 overlaps"),
    ({"lor2c_modules": [{"start": 0, "end": 4}]}, "module 0-4 overlaps another or leaves"),
    ({"r": 0}, "r is 0"),
    ({"lor2c_alpha": float("inf")}, "lor2c_alpha is inf"),
    ({"lor2c_injected": [{"layer": 0, "target_modules": ["dense"], "r": 1, "lora_alpha": 1, "lora_dropout": 0}]},
     "target module 'dense' is not a linear layer"),
    ({"lor2c_modules": [{"start": 0, "end": 0}],
      "lor2c_injected": [{"layer": 0, "target_modules": ["query"], "r": 1, "lora_alpha": 1, "lora_dropout": 0}]},
     "LoRA on layer 0 is listed twice"),
    ({"lor2c_injected": [{"layer": 0, "target_modules": ["query"], "r": 1, "lora_alpha": 1, "lora_dropout": 0},
                         {"layer": 1, "target_modules": ["query"], "r": 2, "lora_alpha": 1, "lora_dropout": 0}]},
     "want the same settings in every layer"),
])
def test_a_wrong_configuration_is_an_error(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        get_peft_model(tiny("roberta"), lor2c_peft.LoR2CConfig(task_type="SEQ_CLS", **changes))


def test_modules_may_be_listed_in_any_order(tmp_path: pathlib.Path) -> None:
    base, want = saved(tmp_path, form="merged", lor2c_modules=[{"start": 2, "end": 3}, {"start": 0, "end": 1}])
    structure = json.loads((tmp_path / "lor2c.json").read_text())["structure"]
    assert structure["modules"] == [{"first": 0, "last": 1}, {"first": 2, "last": 3}]
    model = PeftModel.from_pretrained(base, tmp_path, autocast_adapter_dtype=False)
    torch.testing.assert_close(model(input_ids=ids()).logits, want, rtol=0, atol=0)


def test_checksums_of_the_former_content_are_removed(tmp_path: pathlib.Path) -> None:
    base, _ = saved(tmp_path)
    (tmp_path / "MANIFEST.sha256").write_text("0" * 64 + "  lor2c.json\n")
    PeftModel.from_pretrained(base, tmp_path).save_pretrained(tmp_path)
    assert not (tmp_path / "MANIFEST.sha256").exists()


def test_an_adapter_of_the_hub_is_fetched_without_pickles(tmp_path: pathlib.Path, monkeypatch) -> None:
    base, want = saved(tmp_path / "cache")
    asked = []

    def fetch(name: str, file: str, **options) -> str:
        asked.append((name, file))
        return str(shutil.copy(tmp_path / "cache" / file, tmp_path / file))

    for module in ("lor2c_peft.files", "peft.config", "peft.utils.save_and_load"):
        monkeypatch.setattr(f"{module}.hf_hub_download", fetch)
    monkeypatch.setattr("peft.utils.save_and_load.file_exists", lambda **_: True)
    model = PeftModel.from_pretrained(base, "someone/adapter", autocast_adapter_dtype=False)
    torch.testing.assert_close(model(input_ids=ids()).logits, want, rtol=0, atol=0)
    assert {file for _, file in asked} == {"lor2c.json", "adapter_config.json", "adapter_model.safetensors"}
