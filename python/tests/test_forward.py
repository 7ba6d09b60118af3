"""The outputs of a model with an adapter, compared with the formula in float64."""

import copy
import threading

import pytest
import torch
from conftest import DECODERS, ids, layers_of, randomize, tiny
from peft import get_peft_model
from torch import nn
from torch.utils.checkpoint import checkpoint

from lor2c_peft import LoR2CConfig

FORMS = {
    "plain": {},
    "share": {"share": True},
    "merged": {"lor2c_modules": [{"start": 0, "end": 1}, {"start": 2, "end": 3}]},
    "merged_share": {"share": True, "lor2c_modules": [{"start": 0, "end": 2}, {"start": 3, "end": 3}]},
    "injected": {"lor2c_modules": [{"start": 0, "end": 1}, {"start": 3, "end": 3}]},
}


def config_of(kind: str, form: str, **more) -> LoR2CConfig:
    """A configuration of a form. IMLoR2C has LoRA on layer 2, whose module is gone."""
    settings = dict(FORMS[form])
    if form == "injected":
        names = ["q_proj", "v_proj"] if kind in DECODERS else ["q", "v"] if kind == "mpnet" else \
            ["q_lin", "v_lin"] if kind == "distilbert" else ["query", "value"]
        settings["lor2c_injected"] = [
            {"layer": 2, "target_modules": names, "r": 2, "lora_alpha": 6, "lora_dropout": 0.0}
        ]
    settings |= {"task_type": "CAUSAL_LM" if kind in DECODERS else "SEQ_CLS", "r": 3, "lor2c_alpha": 5} | more
    return LoR2CConfig(**settings)


class Reference:
    """The formula h_L' = h_L + alpha/r B A h_F (arXiv:2503.00572, eq. 2), layer by layer, without any hook.

    The layers of a base model are replaced by functions that keep the outputs of earlier ones, and the weights of an
    injected layer become W + alpha/r B A.
    """

    def __init__(self, base: nn.Module, config: LoR2CConfig, state: dict[str, torch.Tensor]):
        self.base, self.inputs = base, {}
        for pair in config.lor2c_injected or []:
            for name, module in layers_of(base)[pair["layer"]].named_modules():
                at = f".{pair['layer']}.{name}.lora_"
                a = [value for key, value in state.items() if f"{at}A" in key]
                b = [value for key, value in state.items() if f"{at}B" in key]
                if a:
                    module.weight.data += pair["lora_alpha"] / pair["r"] * b[0] @ a[0]
        layers = layers_of(base)
        for first, last in config.spans(len(layers)):
            b = next(v for k, v in state.items() if f".{first}_{last}.lora_B" in k)
            a = next(v for k, v in state.items() if (".shared." if config.share else f".{first}_{last}.lora_A") in k)
            self.wrap(layers, first, last, config.lor2c_alpha / config.r * b @ a)

    def wrap(self, layers: nn.ModuleList, first: int, last: int, product: torch.Tensor) -> None:
        """Replaces the forward functions of the two layers."""
        begin = layers[first].forward

        def keep(hidden_states, *args, **kwargs):
            self.inputs[first] = hidden_states
            return begin(hidden_states, *args, **kwargs)

        layers[first].forward = keep
        end = layers[last].forward

        def add(hidden_states, *args, **kwargs):
            output = end(hidden_states, *args, **kwargs)
            h = output[0] if isinstance(output, tuple) else output
            h = h + self.inputs[first] @ product.T
            return (h, *output[1:]) if isinstance(output, tuple) else h

        layers[last].forward = add

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.base(input_ids=tokens).logits


@pytest.mark.parametrize("form", sorted(FORMS))
def test_logits_are_those_of_the_formula(kind: str, form: str) -> None:
    base = tiny(kind)
    config = config_of(kind, form)
    model = get_peft_model(copy.deepcopy(base), config, autocast_adapter_dtype=False).eval()
    with torch.no_grad():
        untouched = base(input_ids=ids()).logits
        torch.testing.assert_close(model(input_ids=ids()).logits, untouched, rtol=0, atol=0)
        randomize(model)
        got = model(input_ids=ids()).logits
        want = Reference(base, config, dict(model.named_parameters()))(ids())
    assert (got - untouched).abs().max() > 1e-2
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", ["plain", "merged", "injected"])
def test_gradients_are_those_of_the_formula(kind: str, form: str) -> None:
    base = tiny(kind)
    config = config_of(kind, form, lora_dropout=0.0)
    model = get_peft_model(copy.deepcopy(base), config, autocast_adapter_dtype=False)
    model.eval()  # the base model has dropout of its own
    randomize(model)
    model(input_ids=ids()).logits.square().mean().backward()
    state = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters() if "lora_" in name}
    for parameter in base.parameters():
        parameter.requires_grad_(False)
    reference = Reference(base, config, {k: v for k, v in state.items() if "lor2c." in k}
                          | {k: v.detach() for k, v in state.items() if "lor2c." not in k})
    reference(ids()).square().mean().backward()
    compared = 0
    for name, value in state.items():
        grad = model.get_parameter(name).grad
        assert grad is not None and grad.abs().sum() > 0, name
        if "lor2c." in name:
            torch.testing.assert_close(grad, value.grad, rtol=1e-9, atol=1e-12)
            compared += 1
    assert compared >= 4


def test_dropout_is_on_the_input_of_the_path() -> None:
    """The base model has no dropout in this test. A is linear, so the mean over masks is its value without dropout."""
    base = tiny("roberta", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = get_peft_model(base, config_of("roberta", "merged", lora_dropout=0.5), autocast_adapter_dtype=False)
    randomize(model)
    model.train()
    assert (model(input_ids=ids()).logits - model(input_ids=ids()).logits).abs().min() > 0
    with model.disable_adapter():
        torch.testing.assert_close(model(input_ids=ids()).logits, model(input_ids=ids()).logits, rtol=0, atol=0)
    residual = layers_of(model.base_model.model)[0].lor2c["0_1"]
    h = torch.ones(20000, 16, dtype=torch.float64)
    drawn = residual.low_rank(h)["default"]
    torch.testing.assert_close(drawn.mean(0), residual.lora_A["default"](h[0]), rtol=0, atol=0.05)
    assert drawn.std(0).min() > 0.1
    model.eval()
    torch.testing.assert_close(residual.low_rank(h)["default"], residual.lora_A["default"](h), rtol=0, atol=0)


@pytest.mark.parametrize("before", [False, True])
def test_hidden_states_have_the_residual_connections(before: bool) -> None:
    """transformers records hidden states with hooks of its own, which it installs at the first use."""
    base = tiny("llama")
    if before:
        base(input_ids=ids(), output_hidden_states=True)
    model = get_peft_model(base, config_of("llama", "plain"), autocast_adapter_dtype=False)
    randomize(model)
    inputs = []
    for layer in layers_of(model.base_model.model):
        layer.register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    states = model(input_ids=ids(), output_hidden_states=True).hidden_states
    for state, h in zip(states, inputs, strict=False):
        torch.testing.assert_close(state, h, rtol=0, atol=0)
    assert len(inputs) == 4


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("form", ["plain", "merged"])
def test_gradient_checkpointing_gives_the_same_gradients(form: str, reentrant: bool) -> None:
    grads = []
    for checkpointed in (False, True):
        model = get_peft_model(tiny("llama"), config_of("llama", form, lora_dropout=0.0), autocast_adapter_dtype=False)
        randomize(model)
        model.train()
        if checkpointed:
            model.base_model.model.gradient_checkpointing_enable({"use_reentrant": reentrant})
            model.enable_input_require_grads()
        model(input_ids=ids(), use_cache=False).logits.square().mean().backward()
        grads.append([p.grad for n, p in model.named_parameters() if "lora_" in n])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_a_checkpoint_that_runs_hooks_again_is_an_error() -> None:
    """Older releases of transformers run the hooks of a layer within its checkpoint, and again for the gradient."""
    model = get_peft_model(tiny("llama"), config_of("llama", "merged", lora_dropout=0.0), autocast_adapter_dtype=False)
    randomize(model)
    layers = layers_of(model.base_model.model)
    rotary = model.base_model.model.model.rotary_emb
    h = torch.randn(2, 9, 16, dtype=torch.float64, requires_grad=True)
    angles = rotary(h, torch.arange(9)[None])
    for layer in list(layers)[:2]:
        h = checkpoint(lambda x, layer=layer: layer(x, position_embeddings=angles), h, use_reentrant=True)
    with pytest.raises(RuntimeError, match="transformers 5.24"):
        h.sum().backward()


def test_a_copy_has_adapters_of_its_own() -> None:
    model = get_peft_model(tiny("roberta"), config_of("roberta", "merged_share"), autocast_adapter_dtype=False).eval()
    randomize(model)
    before = model(input_ids=ids()).logits
    other = copy.deepcopy(model)
    torch.testing.assert_close(other(input_ids=ids()).logits, before, rtol=0, atol=0)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if "lora_B" in name:
                parameter.zero_()
    assert (other(input_ids=ids()).logits - before).abs().max() > 1e-3
    torch.testing.assert_close(model(input_ids=ids()).logits, before, rtol=0, atol=0)


def test_threads_do_not_mix_their_passes() -> None:
    model = get_peft_model(tiny("llama"), config_of("llama", "merged"), autocast_adapter_dtype=False).eval()
    randomize(model)
    batches = [ids(1, length) for length in (5, 9, 17, 33)]
    with torch.no_grad():
        want = [model(input_ids=batch).logits for batch in batches]
    got: dict[tuple[int, int], torch.Tensor] = {}

    def work(number: int) -> None:
        with torch.no_grad():
            for turn in range(5):
                got[number, turn] = model(input_ids=batches[number]).logits

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 20
    for (number, _), logits in got.items():
        torch.testing.assert_close(logits, want[number], rtol=1e-9, atol=1e-9)


def test_a_bfloat16_model_keeps_its_type() -> None:
    model = get_peft_model(tiny("llama").bfloat16(), config_of("llama", "injected"))
    randomize(model)
    assert {p.dtype for n, p in model.named_parameters() if "lora_" in n} == {torch.float32}
    assert model(input_ids=ids()).logits.dtype == torch.bfloat16


@pytest.mark.parametrize("form", ["plain", "merged", "injected"])
def test_generation_with_a_cache_is_that_without(form: str) -> None:
    model = get_peft_model(tiny("llama"), config_of("llama", form), autocast_adapter_dtype=False).eval()
    randomize(model)
    prompt = ids(1, 4)
    settings = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    cached = model.generate(input_ids=prompt, use_cache=True, **settings)
    assert cached.tolist() == model.generate(input_ids=prompt, use_cache=False, **settings).tolist()
    row = prompt
    with torch.no_grad():
        for _ in range(20):
            row = torch.cat([row, model(input_ids=row).logits[:, -1].argmax(-1, keepdim=True)], 1)
    assert cached.tolist() == row.tolist()
