"""Training the network: AdamW with warm-up and linear decay, an average of the weights, the best round kept.

Work is done in rounds of equal steps. A round's batches and dropout are drawn from (seed, round), and after each the
weights, their average (EMA, Polyak and Juditsky 1992; decay as in Morales-Brotons et al. 2024) and the moments of Adam
are written down, so that a process that follows a killed one makes the bytes that the killed one would have made. The
average is measured on held-out queries after each round; what is returned is the best, and rounds end early when
none of the last few was.
"""

import copy
import shutil
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from nextpick.data.run import Run
from nextpick.models import artifact, transformer_batches, transformer_loss
from nextpick.models.transformer import Content, Network, Shape
from nextpick.models.transformer_batches import Batch, Histories
from nextpick.models.transformer_graphs import Replayed

_RATE, _WARM_UP, _DECAY, _CLIP = 3e-3, 0.05, 0.01, 1.0
_BETAS = (0.9, 0.98)
_PATIENCE = 4
_HIDE_OWN = 0.1  # how often an item is known by its metadata alone
_AVERAGED = 10.0  # the average's reach: this part of the training
_NEVER = -1e4
_QUERIES_AT_ONCE = 128


class Plan(NamedTuple):
    """How much to train: ``rounds`` of ``steps`` steps of ``tokens`` tokens; ``draws``: items that a step's softmax is
    estimated from, 0 all."""

    rounds: int
    steps: int
    tokens: int
    draws: int


class Queries(NamedTuple):
    """Held-out queries: item [q, L] int64, padded at the end with 0; length [q]; codes [q, L, K]; target [q];
    ``repeats``: whether what is in a history may be taken again."""

    item: np.ndarray
    length: np.ndarray
    codes: np.ndarray
    target: np.ndarray
    repeats: bool


def train(
    shape: Shape,
    content: Content,
    histories: Histories,
    queries: Queries,
    plan: Plan,
    seed: int,
    device: torch.device,
    run: Run,
) -> tuple[Network, list[float]]:
    """Return the network with the best average of its weights, on the CPU, and the measure of each round.

    Goes on from what a training with the same arguments wrote down under ``run.scratch``, where that is given.
    Raises Stopped when ``run`` says so, RuntimeError where a GPU fails, torch.OutOfMemoryError for want of memory.
    """
    on_gpu = device.type == "cuda"
    arithmetic = (torch.cuda.get_device_name(device) if on_gpu else "cpu", torch.get_num_threads())
    directory = run.scratch and run.scratch / _key(shape, content, histories, queries, plan, seed, arithmetic)
    with torch.random.fork_rng([device] if on_gpu else []):
        torch.manual_seed(seed)
        count = np.bincount(histories.item, minlength=len(content.bias))
        training = _Training(Network(shape, content), plan, count, device)
        if directory:
            training.restore(directory)
        step = Replayed(training.step, directory and directory / "graph") if on_gpu else training.step
        batches = _steps(histories, shape.length, plan, seed, training.n_steps, few_shapes=on_gpu)
        for number in range(len(training.values), plan.rounds):
            if training.is_over():
                break
            torch.manual_seed(seed + 1 + number)
            for k in range(plan.steps):
                run.checkpoint((number + k / plan.steps) / plan.rounds, "training the network")
                training.set_rates()
                step(*_moved(next(batches), device))
            training.judge(queries)
            if directory:
                training.save(directory)
    return training.result(), training.values


class _Training:
    """A network in training: its weights, their average, the optimizer, the best average so far."""

    def __init__(self, network: Network, plan: Plan, count: np.ndarray, device: torch.device) -> None:
        self.device = device
        self.plan, self.network = plan, network.to(self.device)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.weights, self.average = (dict(n.named_parameters()) for n in (self.network, self.averaged))
        self.best = {name: weight.clone() for name, weight in self.average.items()}
        self.values: list[float] = []  # of each round
        matrices = [weight for weight in self.weights.values() if weight.ndim > 1]
        others = [weight for weight in self.weights.values() if weight.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": _DECAY}, {"params": others, "weight_decay": 0.0}]
        # what changes from step to step is on the device, where graphs read it
        rate, self.share = (torch.zeros((), device=device) for _ in range(2))
        on_gpu = device.type == "cuda"
        self.optimizer = torch.optim.AdamW(groups, rate, _BETAS, fused=True, capturable=on_gpu)
        for weight in self.weights.values():  # Adam would make them at its first step, of what has a gradient
            moments = {"exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
            self.optimizer.state[weight] = {"step": torch.zeros((), device=self.device), **moments}
        self.n_steps, self.total = 0, plan.rounds * plan.steps
        counts = torch.from_numpy(count).to(self.device).double()
        # items nobody took have no place in the softmax: it would only teach their metadata to repel
        self.bias = self.network.content_bias.masked_fill(counts == 0, _NEVER)
        self.drawn_by = 0.5 * counts / counts.sum() + 0.5 * (counts > 0) / (counts > 0).sum()
        self.drawn_up_to = self.drawn_by.cumsum(0)
        self.loss_dtype = torch.bfloat16 if _bfloat16_pays(self.device) else torch.float32
        self.is_mixed = self.device.type == "cuda" and self.loss_dtype == torch.bfloat16

    def set_rates(self) -> None:
        """Set how fast the next step learns, and how much it counts in the average."""
        warm_up = max(int(_WARM_UP * self.total), 1)
        rate = min((self.n_steps + 1) / warm_up, (self.total - self.n_steps) / (self.total - warm_up + 1))
        self.n_steps += 1
        for group in self.optimizer.param_groups:
            group["lr"].fill_(_RATE * rate)
        self.share.fill_(max(1 / self.n_steps, _AVERAGED / self.total))

    def step(self, *batch: Tensor) -> None:
        """Learn from a batch, ``Batch`` on the device."""
        self.network.train()
        self._loss(*batch).backward()
        torch.nn.utils.clip_grad_norm_(self.weights.values(), _CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            for name, weight in self.weights.items():
                self.average[name].lerp_(weight, self.share)

    def _loss(
        self, item: Tensor, codes: Tensor, at: Tensor, contexts: Tensor, target: Tensor, weight: Tensor
    ) -> Tensor:
        """Return the loss of a batch: see ``Batch``."""
        network = self.network
        hidden = None
        if network.has_content:
            hidden = torch.rand(len(network.own.weight), device=self.device) < _HIDE_OWN  # [n_own + 1]
        mixed = torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_mixed)
        if not self.plan.draws:
            with mixed:
                table = network.items(None, hidden)  # [n, d]
                h = network.under(
                    network(F.embedding(item, table), codes).flatten(0, 1)[at], contexts
                )  # [T, d]
            return transformer_loss.full(h, table, self.bias, target, weight, self.loss_dtype)
        draws = self._draws()
        with mixed:
            e = network.items(item.flatten(), hidden).view(*item.shape, -1)  # [B, L, d]
            h = network.under(network(e, codes).flatten(0, 1)[at], contexts)  # [T, d]
            e_own, e = network.items(target, hidden), network.items(draws, hidden)  # [T, d], [S, d]
        log_q, hit = self.drawn_by[draws].log().float(), target[:, None] == draws  # [S], [T, S]
        return transformer_loss.sampled(h, e_own, e, self.bias[target], self.bias[draws], log_q, hit, weight)

    def _draws(self) -> Tensor:
        """Return items drawn by ``drawn_by``, int64 [S]; ``torch.multinomial`` takes 2^24 items at most."""
        u = torch.rand(self.plan.draws, dtype=torch.float64, device=self.device) * self.drawn_up_to[-1]
        return torch.searchsorted(self.drawn_up_to, u, right=True).clamp(max=len(self.drawn_up_to) - 1)

    @torch.no_grad()
    def judge(self, queries: Queries) -> None:
        """Measure the average: the mean of 1 / log2(1 + rank) of the targets."""
        table = self.averaged.items()  # [n, d]
        gain = 0.0
        for start in range(0, len(queries.length), _QUERIES_AT_ONCE):
            part = (array[start : start + _QUERIES_AT_ONCE] for array in queries[:4])
            item, length, codes, target = (torch.from_numpy(array).to(self.device) for array in part)
            at = torch.arange(len(length), device=self.device)
            h = self.averaged(table[item], codes)[at, length - 1]  # [q, d]
            scores = h @ table.T + self.bias  # [q, n]
            own = scores[at, target]
            if not queries.repeats:
                padded = torch.arange(item.shape[1], device=self.device) >= length[:, None]
                scores.scatter_(1, torch.where(padded, item[:, :1], item), -torch.inf)
            gain += float((1 / torch.log2(2.0 + (scores > own[:, None]).sum(1))).sum())
        self.values.append(gain / max(len(queries.length), 1))
        if self.values[-1] >= max(self.values):
            self.best = {name: weight.clone() for name, weight in self.average.items()}

    def is_over(self) -> bool:
        """Whether none of the last rounds was the best."""
        return bool(self.values) and len(self.values) - 1 - int(np.argmax(self.values)) >= _PATIENCE

    def result(self) -> Network:
        """Return the network with the best average, on the CPU."""
        self.averaged.load_state_dict(self.best)
        return self.averaged.cpu()

    def save(self, directory: Path) -> None:
        """Write down everything the next round begins with."""
        arrays = {"values": np.array(self.values)}
        for kind, tensors in self._parts().items():
            arrays |= {f"{kind}.{name}": tensor.cpu().numpy() for name, tensor in tensors.items()}
        artifact.save(directory / f"round-{len(self.values):04}", arrays, {"n_steps": self.n_steps})
        for older in sorted(directory.glob("round-*"))[:-1]:
            shutil.rmtree(older)

    def restore(self, directory: Path) -> None:
        """Go back to the newest round that was written down whole, if there is one."""
        for path in sorted(directory.glob("round-*"), reverse=True):
            try:
                arrays, manifest = artifact.load(path)
            except artifact.Damaged:
                continue
            for kind, tensors in self._parts().items():
                for name, tensor in tensors.items():
                    tensor.copy_(torch.tensor(arrays[f"{kind}.{name}"]).view_as(tensor))
            self.n_steps, self.values = manifest["n_steps"], arrays["values"].tolist()
            return

    def _parts(self) -> dict[str, Mapping[str, Tensor]]:
        state = self.optimizer.state
        moments = {
            kind: {name: state[weight][kind] for name, weight in self.weights.items()}
            for kind in ("step", "exp_avg", "exp_avg_sq")
        }
        plain = {name: weight.detach() for name, weight in self.weights.items()}
        return {"weight": plain, "average": self.average, "best": self.best, **moments}


def _moved(batch: Batch, device: torch.device) -> list[Tensor]:
    """Return a batch on the device; it is copied to a GPU when its turn comes, which nothing here waits for."""
    tensors = [torch.from_numpy(array) for array in batch]
    if device.type == "cpu":
        return tensors
    return [tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors]


def _steps(
    histories: Histories, length: int, plan: Plan, seed: int, skipped: int, few_shapes: bool
) -> Iterator[Batch]:
    """Yield the batches of the steps after the first ``skipped``, epoch after epoch."""
    number = 0
    while True:
        rng = np.random.default_rng((seed, number))
        batches = transformer_batches.Epoch(histories, length, plan.tokens, rng, few_shapes)
        yield from batches.after(min(skipped, len(batches)))
        skipped -= min(skipped, len(batches))
        number += 1


def _bfloat16_pays(device: torch.device) -> bool:
    """Whether products of bfloat16 are quicker than of float32: where there are instructions for them."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def _key(*parts: Any) -> str:
    """Return a name for a training with these arguments, by this version of torch."""
    digest = blake2b(repr(torch.__version__).encode(), digest_size=16)
    for part in parts:
        for one in part if isinstance(part, tuple) else (part,):
            is_array = isinstance(one, np.ndarray)
            digest.update(f"{one.dtype} {one.shape}".encode() if is_array else repr(one).encode())
            if is_array:
                digest.update(np.ascontiguousarray(one).data)
    return digest.hexdigest()
