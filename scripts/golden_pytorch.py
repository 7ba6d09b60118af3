"""The methods of golden_methods.py that PEFT does not have, written from their papers as hooks on frozen layers."""
import functools

import lor2c_start
import numpy as np
import peer_finetune
import torch
import torch.nn.functional as F
import transformers
from golden_method import SEED, Method, batch, drawn


class Full(Method):
    """Every parameter of the base model. Ten steps of 1e-2 would leave the range in which the loss is smooth."""

    rates, own = (1e-3, 5e-4), False

    def attach(self):
        for n, p in self.model.named_parameters():
            if "classifier" not in n and self.trains(n):
                self.named[f"base_model.model.{n}"] = p.requires_grad_(True)

    def trains(self, name):
        return True


class BitFit(Full):
    """The biases of the base model (arXiv:2106.10199)."""

    rates = Method.rates

    def trains(self, name):
        return name.endswith(".bias")


class Head(Method):
    """The classification head alone."""


class LoR2C(Method):
    """Low-rank residual connections around every layer (arXiv:2503.00572)."""

    def attach(self):
        s, path = self.settings, f"{self.model.base_model_prefix}.encoder"
        encoder = self.model.base_model.encoder
        self.model.lor2c = lor2c = peer_finetune.LoR2C(
            encoder, self.model.config.hidden_size, s["rank"], s["alpha"], 0.0, s["share"]).double()
        for name, p in lor2c.adapter_parameters(path).items():
            with torch.no_grad():
                p.copy_(drawn(name, p.shape, 0.25 if "lora_A" in name else 0.1))
            self.named[name] = p


class ShareLoRA(Method):
    """LoRA whose A, B or both are one for all layers (arXiv:2406.10785).

    A factor is one for each linear layer of a layer, or with share_scope all for each width."""

    def attach(self):
        s, scale, shared = self.settings, self.settings["alpha"] / self.settings["rank"], {}
        for module, linear in self.targets().items():
            layer, site = module.split(".layer.")[0], module.split(".", 6)[-1]
            pair = []
            for factor, shape, std in (("A", (s["rank"], linear.in_features), 0.25),
                                       ("B", (linear.out_features, s["rank"]), 0.1)):
                own = factor not in s["shared_factors"]
                of = f"width_{max(shape)}" if s.get("share_scope") == "all" else site
                name = f"{module}.lora_{factor}.weight" if own else f"{layer}.sharelora.{of}.lora_{factor}.weight"
                if name not in self.named:
                    self.parameter(name, *shape, std=std)
                pair.append(self.named[name])
            self.on(linear, lambda x, a=pair[0], b=pair[1]: scale * F.linear(F.linear(x, a), b))


class ASLoRA(Method):
    """LoRA with one A for all layers, whose B are merged as training goes on (arXiv:2412.10135, algorithm 1)."""

    def attach(self):
        s, self.scale = self.settings, self.settings["alpha"] / self.settings["rank"]
        self.chains, self.means, self.ties = {}, {}, []
        for module, linear in self.targets().items():
            root, site = module.split(".layer.")[0], module.split(".", 6)[-1]
            shared = f"{root}.aslora.{site}.lora_A.weight"
            if shared not in self.named:
                self.parameter(shared, s["rank"], linear.in_features)
            chain = self.chains.setdefault(site, [])
            chain.append(module + ".lora_B.weight")
            self.parameter(chain[-1], linear.out_features, s["rank"], std=0.1)
            self.on(linear, functools.partial(self.delta, self.named[shared], chain, len(chain) - 1))

    def delta(self, a, chain, layer, x):
        return self.scale * F.linear(F.linear(x, a), self.named[chain[layer]])

    def updated(self, step):
        s = self.settings
        start, every = round(s["merge_start_ratio"] * s["steps"]), round(s["merge_interval_ratio"] * s["steps"])
        for chain in self.chains.values():
            for name in set(chain):
                mean = self.means.setdefault(name, torch.zeros_like(self.named[name]))
                mean += (self.named[name].detach() - mean) / step
        done = (step - start) // every
        if step <= start or (step - start) % every or done > s["merges"]:
            return
        for site, chain in self.chains.items():
            own = sorted(set(chain), key=lambda name: max(i for i, n in enumerate(chain) if n == name))
            pairs = [(i, j) for i in range(len(own)) for j in range(i + 1, len(own))
                     if s["merge_candidates"] == "all" or j == i + 1]
            distances = [(self.means[own[i]] - self.means[own[j]]).norm().item() for i, j in pairs]
            i, j = pairs[distances.index(min(distances))]
            left, kept = own[i], own[j]
            chain[:] = [kept if name == left else name for name in chain]
            gone = self.named.pop(left)
            for group in self.optimizer.param_groups:
                group["params"] = [p for p in group["params"] if p is not gone]
            self.optimizer.state.pop(gone)
            layer = [int(name.split(".layer.")[1].split(".")[0]) for name in (left, kept)]
            self.ties.append([step, sorted(self.chains).index(site), *layer])
            self.distances = getattr(self, "distances", []) + [min(distances)]

    def extra(self):
        assert len(self.ties) == len(self.chains) * self.settings["merges"]
        return {"ties": torch.tensor(self.ties).int(), "distances": torch.tensor(self.distances, dtype=torch.float64)}


class MELoRA(Method):
    """Mini LoRAs side by side: group i maps slice i of the input to slice i of the output (arXiv:2402.17263)."""

    def attach(self):
        s = self.settings
        n, r, scale = s["groups"], s["rank"], s["alpha"] / s["rank"]
        for module, linear in self.targets().items():
            a = self.parameter(module + ".lora_A.weight", n * r, linear.in_features // n)
            b = self.parameter(module + ".lora_B.weight", linear.out_features, r, std=0.1)
            self.on(linear, lambda x, a=a, b=b: torch.cat(
                [scale * F.linear(F.linear(xi, ai), bi) for xi, ai,
                 bi in zip(x.chunk(n, -1), a.chunk(n, 0), b.chunk(n, 0))], -1))


class DyLoRA(Method):
    """LoRA of another rank in every step (arXiv:2210.07558): the first b rows of A and columns of B."""

    def attach(self):
        s = self.settings
        self.b = s["rank"]
        for module, linear in self.targets().items():
            self.on(linear, functools.partial(self.delta, *self.pair(module, linear, s["rank"])))

    def before(self, step):
        s = self.settings
        self.b = 1 + int(s["rank"] * lor2c_start.units(1, SEED, f"dylora.rank.{step}")[0])
        self.ranks = getattr(self, "ranks", []) + [self.b]

    def delta(self, a, b, x):
        rows, columns = a[:self.b], b[:, :self.b]
        if self.settings["update"] == "rows":
            rows = torch.cat([rows[:-1].detach(), rows[-1:]])
            columns = torch.cat([columns[:, :-1].detach(), columns[:, -1:]], 1)
        # A device receives the scale in float32.
        return float(np.float32(self.settings["alpha"] / self.b)) * F.linear(F.linear(x, rows), columns)

    def extra(self):
        self.b = self.settings["rank"]
        with torch.no_grad():
            final = self.model(**batch("roberta")[1]).logits
        return {"ranks": torch.tensor(self.ranks).int(), "final_logits": final}


class ResLoRA(Method):
    """LoRA with shortcuts to the same linear layer of earlier layers (arXiv:2402.18039)."""

    def attach(self):
        s, scale, chains = self.settings, self.settings["alpha"] / self.settings["rank"], {}
        self.seen = {}
        for module, linear in self.targets().items():
            site = module.split(".", 6)[-1]
            chain = chains.setdefault(site, [])
            chain.append(self.pair(module, linear, s["rank"]))
            self.on(linear, functools.partial(self.delta, scale, site, chain, len(chain) - 1))

    def delta(self, scale, site, chain, layer, x):
        kind, reach = self.settings["res_type"], self.settings["pre_num"]
        reach = layer if reach < 0 else min(layer, reach)
        seen = self.seen[site] = [] if layer == 0 else self.seen[site]
        a, b = chain[layer]
        if kind == "is":
            seen.append(x)
            return scale * F.linear(F.linear(x + seen[max(layer - 1, 0)], a), b)
        if kind == "bs":
            return scale * sum(F.linear(F.linear(x, chain[k][0]), chain[k][1]) for k in range(layer - reach, layer + 1))
        seen.append(F.linear(x, a))
        return scale * F.linear(sum(seen[layer - reach:]), b)


class Bottleneck(Method):
    """Adapters after one or both halves of a layer (arXiv:1902.00751, arXiv:2005.00247)."""

    def attach(self):
        for name, module in self.model.named_modules():
            if name.endswith(".output") and ".layer." in name and hasattr(module, "LayerNorm"):
                if self.settings["kind"] == "houlsby" or ".attention." not in name:
                    self.put(f"base_model.model.{name}", module)

    def put(self, name, module):
        width, r = module.dense.out_features, self.settings["bottleneck"]
        down = self.parameter(f"{name}.adapter_down.0.weight", r, width), self.parameter(f"{name}.adapter_down.0.bias",
                                                                                         r)
        up = self.parameter(f"{name}.adapter_up.weight", width, r, std=0.1), self.parameter(f"{name}.adapter_up.bias",
                                                                                            width, std=0.1)
        act = {"relu": F.relu, "silu": F.silu, "gelu": F.gelu}[self.settings["activation"]]
        scale = self.settings["adapter_scale"]

        def forward(hidden_states, input_tensor):
            t = module.dense(hidden_states)
            inner = module.LayerNorm(t + input_tensor) if self.settings["kind"] == "pfeiffer" else t
            return module.LayerNorm(scale * F.linear(act(F.linear(inner, *down)), *up) + t + input_tensor)

        module.forward = forward


class Prefix(Method):
    """Trained keys and values in front of each sequence (arXiv:2101.00190)."""

    def attach(self):
        family = self.model.config.model_type
        modeling = getattr(transformers.models, family)
        modeling = getattr(modeling, f"modeling_{family}")
        self.model.config._attn_implementation = "eager"
        prefix = {}
        for name, module in self.model.named_modules():
            if name.endswith(".attention.self"):
                layer = name.removesuffix(".attention.self").rpartition(".")[2]
                shape = self.settings["num_virtual_tokens"], module.all_head_size
                prefix[module] = [self.parameter(f"base_model.prompt_embeddings.{layer}.{kind}", *shape, std=0.5)
                                  for kind in ("key", "value")]

        original = modeling.eager_attention_forward

        def attention(module, query, key, value, mask, scaling, **more):
            if module not in prefix:  # of the next case
                return original(module, query, key, value, mask, scaling=scaling, **more)

            def join(p, x):
                p = p.view(p.shape[0], x.shape[1], x.shape[3]).transpose(0, 1)
                return torch.cat([p.expand(x.shape[0], *p.shape), x], 2)
            k, v = (join(p, x) for p, x in zip(prefix[module], (key, value)))
            scores = query @ k.transpose(2, 3) * scaling
            scores = scores + F.pad(mask, (self.settings["num_virtual_tokens"], 0))
            weights = scores.softmax(-1)
            return (weights @ v).transpose(1, 2).contiguous(), weights

        modeling.eager_attention_forward = attention


class HydraLoRA(Method):
    """One A and several B, weighed for each token by a router (arXiv:2404.19245)."""

    def attach(self):
        s, self.adapted = self.settings, set()
        r, experts, scale = s["rank"], s["experts"], s["alpha"] / s["rank"]
        for module, linear in self.targets().items():
            if any(module.endswith("." + name) for name in s["exclude_modules"]):
                continue
            self.adapted.add(linear)
            m, k = linear.weight.shape
            route = self.parameter(module + ".lora_route.weight", experts, k)
            a = self.parameter(module + ".lora_A.weight", self.rows(), k)
            b = self.parameter(module + ".lora_B.weight", m, experts * r, std=0.1)
            self.on(linear, functools.partial(self.delta, scale, route, a, b))

    def rows(self):
        return self.settings["rank"]

    def delta(self, scale, route, a, b, x):
        weights = F.linear(x, route).softmax(-1)
        parts = b.chunk(self.settings["experts"], 1)
        return scale * sum(weights[..., i:i + 1] * F.linear(self.inner(a, i, x), bi) for i, bi in enumerate(parts))

    def inner(self, a, i, x):
        return F.linear(x, a)


class LoRAMoE(HydraLoRA):
    """Several LoRA, weighed for each token by a router whose loads are balanced (arXiv:2312.09979)."""

    def rows(self):
        return self.settings["rank"] * self.settings["experts"]

    def inner(self, a, i, x):
        return F.linear(x, a.chunk(self.settings["experts"], 0)[i])

    def delta(self, scale, route, a, b, x):
        self.loads.append(F.linear(x, route).softmax(-1))
        return super().delta(scale, route, a, b, x)

    def loss(self, padded):
        self.loads, penalty = [], 0
        logits, loss = super().loss(padded)
        for weights, site in zip(self.loads, self.sites()):
            if site:
                load = (weights * padded["attention_mask"].unsqueeze(-1)).sum(1)
                penalty = penalty + load.var() / (load.mean() ** 2 + 1e-10)
        return logits, loss + self.settings["balance_weight"] * penalty

    def sites(self):
        """Whether each adapted linear layer is computed for all tokens, in the order of a forward pass."""
        last = f".layer.{self.model.config.num_hidden_layers - 1}."
        return [last not in n or n.endswith((".key", ".value")) for n, m in self.linear.items() if m in self.adapted]


class AdaMix(Method):
    """Copies of a module, one drawn for each pass (arXiv:2205.12410)."""

    def attach(self):
        s, self.mixtures, self.drawn = self.settings, [], None
        if s["form"] == "lora":
            for module, linear in self.targets().items():
                a = self.copies(s["experts"], module + ".lora_A", ".weight", s["rank"], linear.in_features)
                b = self.parameter(module + ".lora_B.weight", linear.out_features, s["rank"], std=0.1)
                site, scale = module.removeprefix("base_model.model."), s["alpha"] / s["rank"]
                self.on(linear, lambda x, a=a, b=b, site=site,
                        scale=scale: scale * F.linear(F.linear(x, self.of(a, site)), b))
            return
        for name, module in self.model.named_modules():
            if name.endswith(".output") and ".layer." in name and ".attention." not in name:
                self.put(f"base_model.model.{name}.adapter_", int(name.split(".layer.")[1].split(".")[0]), module)

    def copies(self, n, path, leaf, *shape, std=0.25):
        return [self.parameter(f"{path}.{i}{leaf}", *shape, std=std) for i in range(n)]

    def put(self, path, layer, module):
        s, width = self.settings, module.dense.out_features
        ups = 1 if s["share_up"] else s["experts"]
        down = [self.copies(s["experts"], path + "down", leaf, *shape) for leaf, shape in
                ((".weight", (s["bottleneck"], width)), (".bias", (s["bottleneck"],)))]
        up = [self.copies(ups, path + "up", leaf, *shape, std=0.1) for leaf, shape in
              ((".weight", (width, s["bottleneck"])), (".bias", (width,)))]

        def forward(hidden_states, input_tensor):
            h = module.dense(hidden_states)
            inner = F.gelu(F.linear(h, *(self.of(x, f"down.{layer}") for x in down)))
            return module.LayerNorm(F.linear(inner, *(self.of(x, f"up.{layer}") for x in up)) + h + input_tensor)

        module.forward = forward

    def of(self, copies, name):
        if self.drawn is None:
            return sum(copies) / len(copies)
        return copies[int(len(copies) * lor2c_start.units(1, SEED, f"adamix.{name}.{self.drawn}")[0])]

    def before(self, step):
        self.step = step

    def loss(self, padded):
        results = []
        for again in range(2):
            self.drawn = f"{self.step}.0.{again}"
            results.append(self.model(**padded))
        self.drawn = None
        p, q = (F.log_softmax(r.logits, -1) for r in results)
        def kl(target, x):
            target = target.detach() if self.settings["detach"] else target
            return F.kl_div(x, target, log_target=True, reduction="batchmean")
        divergence = (kl(q, p) + kl(p, q)) / 2
        with torch.no_grad():
            logits = self.model(**padded).logits
        return logits, results[0].loss + self.settings["consistency_weight"] * divergence
