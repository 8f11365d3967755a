"""Training runs of BERT's shape, and of a mixture of experts: what the allocator checks run a GPU with.

The same code runs on a GPU and, for the models in `replay`, on torch's meta device, where tensors have no memory.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

VOCABULARY, POSITIONS = 30522, 8192
_HEAD_WIDTH = 64
_DROPOUT = 0.1
_SQUARE_SHARE = 0.05  # of an expert that nobody would choose


@dataclass(frozen=True)
class Shape:
    """A network's size."""

    name: str
    layers: int
    hidden: int
    experts: int = 1

    @property
    def token_bytes(self) -> int:
        """What a token takes in a step, rounded up: 1.2 MiB of BERT-large by the models, its words' scores included."""
        return 40 * self.layers * self.hidden + 10 * VOCABULARY


LARGE = Shape("bert-large", 24, 1024)
BASE = Shape("bert-base", 12, 768)
MOE = Shape("moe-8x8", 8, 1024, experts=8)
SMALL_MOE = Shape("moe-4x8", 4, 768, experts=8)

BERT, LONG, MIXTURE, FIXED = "bert", "long", "moe", "fixed"
WORKLOADS = (BERT, LONG, MIXTURE, FIXED)
STEPS = {BERT: 40, LONG: 24, MIXTURE: 24, FIXED: 24}
LONGEST = {BERT: 512, LONG: 8192, MIXTURE: 512, FIXED: 512}
SHORTEST_LONG = 2048


def lengths(workload: str, steps: int, longest: int, choose: random.Random) -> list[int]:
    """The sequence length of each step: multiples of 8 in 32…longest, of 64 in 2048…longest (long), or all equal."""
    if workload == FIXED:
        return [longest] * steps
    low, unit = (SHORTEST_LONG, 64) if workload == LONG else (32, 8)
    return [max(unit, choose.randint(low, longest) // unit * unit) for _ in range(steps)]


class Trainer:
    """A network with AdamW(foreach): fp32 master weights, computing in bf16 (fp16 below compute capability 8.0).

    `choose` decides how many tokens each expert gets. Words are computed and not drawn, so that equal steps are equal.
    """

    def __init__(
        self, device: str, shape: Shape, *, dropout: bool = False, choose: random.Random | None = None
    ) -> None:
        import torch

        self._torch = torch
        self.name, self.token_bytes = shape.name, shape.token_bytes
        self._device = device
        old = device.startswith("cuda") and torch.cuda.get_device_capability(device) < (8, 0)
        compute = torch.float16 if old else torch.bfloat16
        torch.manual_seed(0)
        with torch.device(device):
            self._net = _network(torch, shape, compute, dropout, choose or random.Random(0))
        self._optimizer = torch.optim.AdamW(self._net.parameters(), lr=1e-4, foreach=True)

    def step(self, batch: int = 4, length: int = 128) -> None:
        """One whole step."""
        words, labels = self._batch(batch, length)
        self._optimizer.zero_grad(set_to_none=True)
        self._net(words, labels).backward()
        self._optimizer.step()

    def loss(self, batch: int = 4, length: int = 128) -> float:
        """Forward and backward with the weights as they are, which stay so: two calls must agree."""
        loss = self._net(*self._batch(batch, length))
        loss.backward()
        self._optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _batch(self, batch: int, length: int) -> tuple[Any, Any]:
        count = batch * length
        words = (self._torch.arange(count, device=self._device) * 7919 % VOCABULARY).view(batch, length)
        return words, words.roll(1, 1)


def _network(torch: Any, shape: Shape, compute: Any, dropout: bool, choose: random.Random) -> Any:
    nn, functional = torch.nn, torch.nn.functional
    hidden, heads = shape.hidden, shape.hidden // _HEAD_WIDTH
    share = _DROPOUT if dropout else 0.0
    attention = _attention(torch)

    def linear(layer: Any, x: Any) -> Any:
        return functional.linear(x, layer.weight.to(compute), layer.bias.to(compute))

    def normed(layer: Any, x: Any) -> Any:
        return functional.layer_norm(x, (hidden,), layer.weight.to(compute), layer.bias.to(compute))

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
            self.experts = nn.ModuleList(
                nn.ModuleList([nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)])
                for _ in range(shape.experts)
            )

        def forward(self, x: Any) -> Any:
            batch, length, _ = x.shape
            query, key, value = linear(self.qkv, x).view(batch, length, 3, heads, _HEAD_WIDTH).permute(2, 0, 3, 1, 4)
            mixed = attention(query, key, value).transpose(1, 2).reshape(batch, length, hidden)
            x = normed(self.norm1, x + functional.dropout(linear(self.out, mixed), share))
            if shape.experts == 1:
                y = _expert(self.experts[0], x)
            else:
                tokens = x.reshape(-1, hidden)
                parts = tokens.split(_counts(batch * length, shape.experts, choose))
                pairs = zip(self.experts, parts)
                y = torch.cat([_expert(expert, part.clone()) for expert, part in pairs]).view(batch, length, hidden)
            return normed(self.norm2, x + functional.dropout(y, share))

    def _expert(layers: Any, x: Any) -> Any:
        return linear(layers[1], functional.gelu(linear(layers[0], x)))

    class Network(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(VOCABULARY, hidden), nn.Embedding(POSITIONS, hidden)
            self.layers = nn.ModuleList(Layer() for _ in range(shape.layers))

        def forward(self, words: Any, labels: Any) -> Any:
            x = (self.words(words) + self.places(torch.arange(words.shape[1], device=words.device))).to(compute)
            for layer in self.layers:
                x = layer(x)
            scores = functional.linear(x, self.words.weight.to(compute)).float()
            return functional.cross_entropy(scores.flatten(0, 1), labels.flatten())

    return Network()


def _counts(tokens: int, experts: int, choose: random.Random) -> Sequence[int]:
    """How many tokens each expert gets: skewed, and another way each time."""
    weights = [choose.random() ** 2 + _SQUARE_SHARE for _ in range(experts)]
    counts = [int(tokens * weight / sum(weights)) for weight in weights]
    return [counts[0] + tokens - sum(counts), *counts[1:]]


def _attention(torch: Any) -> Any:
    """Scaled dot product attention; on the meta device, which has no fused kernel, what such a kernel keeps."""

    class Fused(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, query: Any, key: Any, value: Any) -> Any:
            result = torch.empty_like(query)
            sums = torch.empty(query.shape[:3], dtype=torch.float32, device=query.device)
            context.save_for_backward(query, key, value, result, sums)
            return result

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            del gradient
            query, key, value, _, sums = context.saved_tensors
            scratch = torch.empty_like(sums)
            found = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
            del scratch
            return found

    def attend(query: Any, key: Any, value: Any) -> Any:
        if query.device.type == "meta":
            return Fused.apply(query.contiguous(), key.contiguous(), value.contiguous())
        return torch.nn.functional.scaled_dot_product_attention(query, key, value)

    return attend
