"""A training run of BERT's shape: what the allocator checks run a GPU with."""

from __future__ import annotations

from typing import Any

_VOCABULARY, _LONGEST = 30522, 512


class Trainer:
    """A network, an optimizer and one fixed batch. Every step is the same, so that its memory must be, too.

    fp32 master weights, bf16 compute (fp16 below compute capability 8.0), no dropout, tied head, AdamW(foreach).
    """

    def __init__(self, device: str, *, large: bool) -> None:
        import torch

        self._torch = torch
        self.name = "bert-large" if large else "bert-base"
        layers, hidden = (24, 1024) if large else (12, 768)
        self._kind = torch.device(device).type
        old = self._kind == "cuda" and torch.cuda.get_device_capability(device) < (8, 0)
        self._compute = torch.float16 if old else torch.bfloat16
        torch.manual_seed(0)
        self._net = _network(torch, layers=layers, hidden=hidden).to(device)
        self._optimizer = torch.optim.AdamW(self._net.parameters(), lr=1e-4, foreach=True)
        self._words = torch.randint(_VOCABULARY, (4, 128), device=device)
        self._labels = torch.randint(_VOCABULARY, (4, 128), device=device)

    def step(self) -> None:
        """One whole step."""
        self._backward()
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def loss(self) -> float:
        """Forward and backward with the weights as they are, which stay so: two calls must agree."""
        value = self._backward()
        self._optimizer.zero_grad(set_to_none=True)
        return value

    def _backward(self) -> float:
        torch = self._torch
        with torch.autocast(self._kind, dtype=self._compute):
            scores = self._net(self._words)
        loss = torch.nn.functional.cross_entropy(scores.float().flatten(0, 1), self._labels.flatten())
        loss.backward()
        return float(loss.detach())


def _network(torch: Any, *, layers: int, hidden: int) -> Any:
    nn, functional = torch.nn, torch.nn.functional
    heads = hidden // 64

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
            self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)
            self.norm1, self.norm2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)

        def forward(self, x: Any) -> Any:
            batch, length, _ = x.shape
            query, key, value = self._split(self.qkv(x), batch, length)
            mixed = functional.scaled_dot_product_attention(query, key, value)
            x = self.norm1(x + self.out(mixed.transpose(1, 2).reshape(batch, length, hidden)))
            return self.norm2(x + self.down(functional.gelu(self.up(x))))

        def _split(self, x: Any, batch: int, length: int) -> tuple[Any, Any, Any]:
            return tuple(x.view(batch, length, 3, heads, 64).permute(2, 0, 3, 1, 4))

    class Network(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(_VOCABULARY, hidden), nn.Embedding(_LONGEST, hidden)
            self.layers = nn.ModuleList([Layer() for _ in range(layers)])

        def forward(self, words: Any) -> Any:
            x = self.words(words) + self.places(torch.arange(words.shape[1], device=words.device))
            for layer in self.layers:
                x = layer(x)
            return functional.linear(x, self.words.weight)

    return Network()
