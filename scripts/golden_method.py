"""What every case of golden_methods.py has: the tiny models, the batch, and a method on a frozen classifier."""
import torch
from transformers import BertConfig, RobertaConfig

SEED = 1
# Four sentences, and heads of width 4: a mean over the batch and the scale of attention are exact in float32, in which
# a device receives them.
SIZE = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=4, intermediate_size=24, num_labels=2,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, classifier_dropout=0.0)
MODELS = {
    "roberta": RobertaConfig(vocab_size=30, max_position_embeddings=20, type_vocab_size=1, layer_norm_eps=1e-5, **SIZE),
    "bert": BertConfig(vocab_size=30, max_position_embeddings=16, type_vocab_size=2, layer_norm_eps=1e-12, **SIZE),
}
LENGTHS = (6, 3, 9, 4)


def drawn(name, shape, std, mean=0.0):
    """Values by name from a normal distribution, exact in float32."""
    generator = torch.Generator().manual_seed(sum(i * ord(c) for i, c in enumerate(name, 1)) % 2**31)
    return (mean + std * torch.randn(shape, generator=generator, dtype=torch.float32)).to(torch.float64)


def batch(name):
    """The batch packed for the file, and padded for transformers."""
    config, generator = MODELS[name], torch.Generator().manual_seed(5)
    count, longest = len(LENGTHS), max(LENGTHS)
    ids = torch.full((count, longest), config.pad_token_id)
    mask, kinds = torch.zeros(count, longest, dtype=torch.long), torch.zeros(count, longest, dtype=torch.long)
    for i, n in enumerate(LENGTHS):
        ids[i, :n] = torch.randint(4, config.vocab_size, (n,), generator=generator)
        mask[i, :n] = 1
        kinds[i, n // 2:n] = config.type_vocab_size - 1
    labels = torch.tensor([0, 1, 1, 0])
    real = mask.bool()
    packed = {"input_ids": ids[real].int(), "token_type_ids": kinds[real].int(), "labels": labels.int(),
              "cu_seqlens": torch.tensor([0, *LENGTHS]).cumsum(0).int()}
    return packed, dict(input_ids=ids, token_type_ids=kinds, attention_mask=mask, labels=labels)


class Method:
    """A method on a frozen classifier. Subclasses override what their method needs."""

    ratio = {}  # factor of the learning rate by what a parameter's name contains
    rates = 1e-2, 5e-3  # learning rates of the method and of the head
    own = True  # whether the method has parameters beside those of the base model

    def __init__(self, model, settings):
        self.model, self.settings = model, settings
        self.named = {}    # trained parameters by their key in an adapter file
        self.buffers = {}  # tensors that the file holds beside them
        self.linear = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and ".layer." in n}
        model.requires_grad_(False)
        model.classifier.requires_grad_(True)
        self.attach()
        self.named |= {f"base_model.model.classifier.{n}": p for n, p in self.model.classifier.named_parameters()}

    def attach(self):
        """Adds the method to the model and its parameters to named."""

    def targets(self):
        """Linear layers that are adapted, by the key of their module in an adapter file."""
        return {f"base_model.model.{n}": m for n, m in self.linear.items()
                if any(n.endswith("." + target) for target in self.settings["target_modules"])}

    def parameter(self, name, *shape, std=0.25, mean=0.0):
        p = torch.nn.Parameter(drawn(name, shape, std, mean))
        self.named[name] = p
        return p

    def pair(self, module, linear, rank):
        (m, k), std = linear.weight.shape, 0.1
        return (self.parameter(module + ".lora_A.weight", rank, k),
                self.parameter(module + ".lora_B.weight", m, rank, std=std))

    def on(self, linear, delta):
        """Adds delta(x) to the output of a linear layer."""
        linear.register_forward_hook(lambda _m, args, y: y + delta(args[0]))

    def loss(self, padded):
        """Logits and the loss that is differentiated."""
        result = self.model(**padded)
        return result.logits, result.loss

    def before(self, step):
        """Called before the forward pass of a step, counted from 1."""

    def backward(self, step):
        """Called when the gradients are there and not yet clipped."""

    def updated(self, step):
        """Called after the optimizer's update."""

    def extra(self):
        """More tensors for the file, after the last step."""
        return {}
