"""Networks written out independently in torch's own modules, in float64: what an engine's numbers are held against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from targets import require_in_engine
from torch import Tensor, nn

from stepladder.datasets import data
from stepladder.engines import Engine, Model
from stepladder.engines.training import initial_arrays
from stepladder.ladders.ladder_file import load
from stepladder.networks.ops import (
    AvgPool,
    BatchNorm,
    Conv,
    Depthwise,
    Dropout,
    GlobalAvgPool,
    Layer,
    LeakyRelu,
    Linear,
    MaxPool,
    Relu,
    Residual,
    SqueezeExcite,
    Step,
)
from stepladder.recipes.recipe import Recipe

NETWORKS = {
    "skeleton": list(map(str, load("mnist-8k").rungs[0].recipe.network)),
    "lighter": list(map(str, load("mnist-8k").rungs[1].recipe.network)),
    "receptive-field": list(map(str, load("mnist-8k").rungs[-1].recipe.network)),
    "all layers": [
        "conv 6 5x5 stride 2 pad 2 bias",
        "squeeze-excite 3",
        "depthwise 3x3 pad 1",
        "residual 1",
        "maxpool 3 stride 2 pad 1",
        "conv 8 1x1 block conv norm leaky 0.1 dropout",
        "avgpool 2 stride 1",
        "conv 5 4x4 bare",
        "linear 12 block linear relu norm",
        "linear 10 nobias",
    ],
    "windows of two numbers": [
        "conv 6 5x3 stride 2x1 pad 2x1",
        "maxpool 1x2",
        "depthwise 1x5 pad 0x2",
        "conv 6 3x1 pad 1x0",
        "residual 1",
        "maxpool 3x2 stride 2x1 pad 1x0",
        "squeeze-excite 3",
        "conv 8 2x3 stride 1x2 block conv norm leaky 0.1 dropout",
        "avgpool 3x2 stride 1x2 pad 1x0",
        "conv 5 4x2 bare",
        "linear 10",
    ],
}


def recipe_of(name: str, **fields: object) -> Recipe:
    return Recipe.model_validate({"network": NETWORKS[name], "epochs": 1} | fields)


CLEAR = 1e-6  # a ReLU's input closer to 0 than this part of its size may be decided otherwise in float32


class Oracle(nn.Module):
    """The network of a recipe in torch's own modules; shares nothing with Stepladder's engines.

    Dropout multiplies by ``masks``, (N, C, H, W) by layer index, where given. ``closest`` is the smallest distance of a
    ReLU's input from 0, in units of the inputs' size, since it was last set: float32 may decide those near 0 otherwise.
    ``flattest`` is the largest mean of a norm's input, in standard deviations: what is left of float32's digits.
    """

    def __init__(self, recipe: Recipe, images: Tensor) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        self.masks: dict[int, Tensor] = {}
        self.closest = float("inf")
        self.flattest = 0.0
        self.norm_scale = recipe.norm_scale
        self.layers = recipe.network
        x = images[:1].float()
        for index, layer in enumerate(recipe.network):
            steps = [operation_of(layer, x)]
            x = steps[0](x).detach()
            for module in steps[0].modules():
                if isinstance(module, nn.ReLU):
                    module.register_forward_pre_hook(self.look_at)
            if isinstance(layer, Conv | Depthwise | Linear):
                steps += [self.step_of(step, index, x.shape[1]) for step in layer.steps(recipe.block)]
            self.blocks.append(nn.Sequential(*steps))

    def step_of(self, step: Step, index: int, channels: int) -> nn.Module:
        match step:
            case Relu():
                relu = nn.ReLU()
                relu.register_forward_pre_hook(self.look_at)
                return relu
            case LeakyRelu():
                leaky = nn.LeakyReLU(step.slope)
                leaky.register_forward_pre_hook(self.look_at)
                return leaky
            case BatchNorm():
                norm = nn.BatchNorm2d(channels) if self.norm_scale else Shifted(channels)
                norm.register_forward_pre_hook(self.look_at_spread)
                return norm
            case Dropout():
                return Masked(self.masks, index)

    def look_at(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG002
        sizes = inputs[0].detach().abs()
        sizes = sizes[sizes > 0]  # an exact 0 is decided alike
        if sizes.numel():
            self.closest = min(self.closest, float(sizes.min() / sizes.square().mean().sqrt()))

    def look_at_spread(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # noqa: ARG002
        """A constant channel has an infinite ratio (a norm makes its rounding 300 times larger), a dead one none."""
        x = inputs[0].detach()
        mean, spread = x.mean((0, 2, 3)).abs(), x.std((0, 2, 3))
        ratios = (mean / spread)[mean > 0]
        self.flattest = max([self.flattest, *ratios.tolist()])

    def outputs(self, x: Tensor) -> list[Tensor]:
        """What each layer gives."""
        given: list[Tensor] = []
        for layer, block in zip(self.layers, self.blocks, strict=True):
            x = block(x)
            if isinstance(layer, Residual):
                x = x + given[-layer.back - 1]
            given.append(x)
        return given

    def forward(self, x: Tensor) -> Tensor:
        return self.outputs(x)[-1].flatten(1)


class Gated(nn.Module):
    """Each channel times what all channels' means decide."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        two = nn.Linear(channels, reduced), nn.ReLU(), nn.Linear(reduced, channels)
        self.decide = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *two, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.decide(x)
        return x * gate[:, :, None, None]


def hidden_matrices(oracle: Oracle) -> list[nn.Parameter]:
    """The weights that Muon takes: of all convolutions and linear layers but the last, without depthwise ones."""
    weights = [
        next(block.parameters())
        for layer, block in zip(oracle.layers, oracle.blocks, strict=True)
        if isinstance(layer, Conv | Linear)
    ]
    return weights[:-1]


class MuonByValues(torch.optim.Optimizer):
    """Muon from its definition: the polynomial of the iteration, taken of the singular values themselves."""

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, momentum: float, hidden: list[nn.Parameter]) -> None:
        super().__init__(groups, {"lr": lr})
        self.momentum = momentum
        self.hidden = {id(weight) for weight in hidden}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        for group in self.param_groups:
            for p in group["params"]:
                assert p.grad is not None
                velocity = self.state[p].setdefault("velocity", torch.zeros_like(p))
                velocity.mul_(self.momentum).add_(p.grad)
                move = p.grad + self.momentum * velocity
                if id(p) in self.hidden:
                    rows, columns = p.flatten(1).shape
                    move = by_values(move.flatten(1)).view_as(p) * max(1, rows / columns) ** 0.5
                p.sub_(group["lr"] * (group["weight_decay"] * p + move))


def by_values(matrix: Tensor, *, n_steps: int = 5) -> Tensor:
    """What Newton-Schulz makes of a matrix, by its singular values."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / (values.square().sum().sqrt() + 1e-7)
    for _ in range(n_steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    made: Tensor = left * values @ right
    return made


class Shifted(nn.BatchNorm2d):
    """Batch norm with a shift of its own and no scale."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.shift[:, None, None]


class Masked(nn.Module):
    """Dropout by a mask that is given."""

    def __init__(self, masks: dict[int, Tensor], index: int) -> None:
        super().__init__()
        self.masks = masks
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x * self.masks[self.index] if self.index in self.masks else x


def operation_of(layer: Layer, x: Tensor) -> nn.Module:
    channels = x.shape[1]
    match layer:
        case Conv() | Depthwise():
            n, groups = (layer.out_channels, 1) if isinstance(layer, Conv) else (channels, channels)
            return nn.Conv2d(channels, n, layer.kernel, layer.stride, layer.padding, groups=groups, bias=layer.bias)
        case Residual():
            return nn.Identity()
        case MaxPool() | AvgPool():
            pool = nn.MaxPool2d if isinstance(layer, MaxPool) else nn.AvgPool2d
            return pool(layer.kernel, layer.stride, layer.padding)
        case GlobalAvgPool():
            return nn.AdaptiveAvgPool2d(1)
        case SqueezeExcite():
            return Gated(channels, layer.reduced)
        case Linear():
            linear = nn.Linear(x[0].numel(), layer.out_features, bias=layer.bias)
            return nn.Sequential(nn.Flatten(), linear, nn.Unflatten(1, (layer.out_features, 1, 1)))


class Pair:
    """An engine's model and its float64 oracle, with the same random parameters. Skips what the engine lacks."""

    def __init__(self, engine: Engine, recipe: Recipe, splits: data.Splits) -> None:
        self.recipe = recipe
        self.splits = splits
        self.network = recipe.network_for(splits.image)
        require_in_engine(engine, self.network)
        self.model: Model = engine.model(self.network, recipe, splits=splits)
        pixels = splits.train.images.astype(np.float64) / 255
        mean, std = pixels.mean((0, 2, 3), keepdims=True), pixels.std((0, 2, 3), keepdims=True)
        self.images = torch.from_numpy((pixels - mean) / std)
        self.labels = torch.from_numpy(splits.train.labels)
        rng = np.random.default_rng(7)
        parameters = initial_arrays(self.network, 1)["parameters"]
        parameters += rng.normal(0, 0.05, parameters.shape).astype(np.float32)
        self.model.parameters[:] = self.model.to_array(parameters)
        self.model.set_statistics(
            {
                name: np.full(s, float(name.endswith("var")), np.float32)
                for name, s in self.network.statistic_shapes.items()
            }
        )
        self.oracle = Oracle(recipe, self.images).double()
        nn.utils.vector_to_parameters(torch.from_numpy(parameters).double(), self.oracle.parameters())

    def oracle_loss(self, indices: NDArray[np.int64]) -> Tensor:
        chosen = torch.from_numpy(indices)
        smoothing = self.recipe.loss.label_smoothing
        return F.cross_entropy(self.oracle(self.images[chosen]), self.labels[chosen], label_smoothing=smoothing)

    def clear_batch(self, n: int) -> NDArray[np.int64]:
        """Images (n,) on which no ReLU's input is at rounding distance from 0."""
        for seed in range(30):
            indices = np.random.default_rng(seed).permutation(len(self.splits.train))[:n]
            self.oracle.closest = float("inf")
            self.oracle_loss(indices)
            if self.oracle.closest > CLEAR:
                return indices
        raise AssertionError("no batch is clear")

    def compare(
        self,
        ours: NDArray[np.float32],
        theirs: list[Tensor],
        *,
        tolerance: float,
        floor: float = 1e-3,
        noise: Sequence[float] = (),
    ) -> None:
        """Relative to the norm of each tensor, or to this part of the norm of all: float32 against float64.

        A bias that a later batch norm cancels has a gradient of exactly 0: hence the floor. ``noise`` is what another
        float32 got for each: a tenfold of that is as good.
        """
        start, least = 0, floor * float(np.linalg.norm(ours))
        for number, (name, expected) in enumerate(zip(self.network.parameter_shapes, theirs, strict=True)):
            flat = expected.detach().numpy().ravel()
            error = float(np.linalg.norm(ours[start : start + flat.size] - flat))
            start += flat.size
            allowed = tolerance * max(float(np.linalg.norm(flat)), least)
            assert error <= max(allowed, 10 * noise[number] if noise else 0.0), name
        assert start == len(ours)
