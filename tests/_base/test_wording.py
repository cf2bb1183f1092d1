"""What messages suggest means the same; numbers and nouns agree; nothing that is quoted makes a message long."""

import pickle
from itertools import chain

import pytest
from pydantic import BaseModel

from stepladder._base import foreign, registry
from stepladder._base.foreign import FIELD_WORDS
from stepladder._base.wording import (
    LONGEST_MESSAGE,
    at_the_command,
    cut,
    did_you_mean,
    n_of,
    option,
    plainly,
    shown,
    slip,
)
from stepladder.cli import main as cli
from stepladder.errors import GeometryError, LadderError
from stepladder.ladders.faults import _kinds, _places, place_of
from stepladder.ladders.ladder_toml import LadderEntry, RungEntry, VariantEntry
from stepladder.networks.ops import LAYERS, STEPS
from stepladder.networks.ops.convolution import options
from stepladder.networks.ops.words import WINDOW_OPTIONS
from stepladder.networks.text import parse
from stepladder.reporting.writing import FORMS
from stepladder.runs.run import DEVICES, ENGINES

KNOWN: dict[str, tuple[str, ...]] = {
    "layer": tuple(LAYERS),
    "conv": tuple(options("conv")),
    "pool": tuple(WINDOW_OPTIONS),
    "linear": ("nobias", "block"),
    "step": tuple(STEPS),
    "evaluate_on": ("dev", "test"),
    "engine": ("auto", *ENGINES),
    "tracker": tuple(registry.TRACKERS.built_in),
    "place to train": tuple(registry.EXECUTORS.built_in),
    "device": DEVICES,
    "format": tuple(FORMS),
    "command": tuple(cli.main.commands),
    "option": tuple({name for each in cli.main.commands.values() for param in each.params for name in param.opts}),
}
MODELS: list[type[BaseModel]] = [*_places(), LadderEntry, RungEntry, VariantEntry]
for model in MODELS:
    place = place_of(model)
    KNOWN[place] = (*KNOWN.get(place, ()), *model.model_fields)
    KNOWN[f"{place} kind"] = (*KNOWN.get(f"{place} kind", ()), *_kinds(model))

# Layers, optimizers, schedules and options of PyTorch and Keras, and what each of them is here, if it is anything.
ELSEWHERE = {
    "layer": "Conv1d Conv2d:conv Conv3d ConvTranspose2d MaxPool2d:maxpool MaxPooling2D:maxpool AvgPool2d:avgpool"
    " AdaptiveAvgPool2d AdaptiveMaxPool2d GlobalAveragePooling2D:gap GlobalMaxPooling2D FractionalMaxPool2d LPPool2d"
    " BatchNorm2d GroupNorm LayerNorm InstanceNorm2d LocalResponseNorm RMSNorm Linear:linear nn.Linear:linear"
    " torch.nn.Conv2d:conv Dense:linear Bilinear LazyLinear Dropout Dropout2d AlphaDropout ReLU ReLU6 LeakyReLU PReLU"
    " ELU SELU CELU GELU SiLU Mish Sigmoid Tanh Softmax Flatten Unflatten Identity ZeroPad2d Upsample PixelShuffle"
    " Embedding LSTM GRU Add Concatenate Multiply Average Input Rescaling DepthwiseConv2D:depthwise SeparableConv2D"
    " SpatialDropout2D gmp concat cat convolution:conv fc:linear",
    "conv": "nobias padding:pad same valid dilation groups shared strides:stride bias=False use_bias:bias relu norm",
    "linear": "bias relu bare bias=False:nobias softmax units activation",
    "pool": "padding:pad ceil_mode same dilation bare block relu count_include_pad",
    "step": "bn:norm BatchNorm2d:norm groupnorm layernorm instancenorm rmsnorm relu6 leakyrelu prelu elu selu gelu silu"
    " swish sigmoid tanh dropout2d droppath pool maxpool concat add residual linear",
    "recipe": "learning_rate:lr max_lr:lr batch:batch_size batchsize:batch_size bs:batch_size n_epochs:epochs"
    " drop_last normalize normalise wd:weight_decay l2:weight_decay l1 momentum betas scheduler:schedule"
    " optim:optimizer criterion:loss ema:average swa sam:sharpness_aware label_smoothing activation seed device engine"
    " workers shuffle patience grad_clip mixup amp num_classes image_size",
    "augment": "rotation:rotation_deg rotate:rotation_deg degrees:rotation_deg translate hflip:mirror vflip"
    " horizontal_flip:mirror flip:mirror shear:shear_deg zoom cutout:cutout_px elastic:elastic_px crop mixup hue",
    "optimizer": "betas eps:epsilon mom:momentum weight_decay lr amsgrad dampening rho centered",
    "schedule": "step_size:every_epochs gamma:factor T_max eta_min pct_start:rise div_factor final_div_factor max_lr"
    " milestones warmup cooldown min_lr last_epoch total_steps anneal_strategy",
    "schedule kind": "StepLR:step MultiStepLR ExponentialLR CosineAnnealingLR:cosine CosineAnnealingWarmRestarts"
    " OneCycleLR:one-cycle ReduceLROnPlateau:plateau LinearLR PolynomialLR CyclicLR LambdaLR none:constant",
    "optimizer kind": "RMSprop Adagrad Adadelta Adamax NAdam RAdam AdamP Lion LAMB LARS LBFGS SGDW SGD:sgd Adam:adam",
    "loss kind": "CrossEntropyLoss:cross-entropy nll:cross-entropy mse bce focal",
    "tracker": "tb:tensorboard weights-and-biases:wandb tensorboardX:tensorboard neptune aim",
    "engine": "pytorch:torch cuda cpu tensorflow jax numba:jit",
    "device": "gpu:cuda mps rocm tpu",
    "command": "train:climb fit:climb run:climb eval:show test:show plot:report list:ladders validate:check tune:search"
    " ablation serve delete export:report",
    "option": "seed:--seeds workers:--jobs gpu out:--output dir:--store pdf csv params batch rung",
}


def suggested(word: str, where: str) -> str:
    """The known word that a message suggests; nothing where it instructs or lists."""
    hint = did_you_mean(word, KNOWN[where], place=where)
    return hint.removeprefix("; did you mean '").removesuffix("'?") if "did you mean" in hint else ""


@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_suggestion_means_the_same(where: str) -> None:
    for pair in ELSEWHERE[where].split():
        word, _, meant = pair.partition(":")
        own = next((each for each in KNOWN[where] if plainly(each) == plainly(word)), "")
        assert suggested(word, where) == (own or meant), (where, word)


@pytest.mark.parametrize("where", foreign.REMEDIES)
def test_every_foreign_word_is_answered_with_a_known_word_or_an_instruction(where: str) -> None:
    known = KNOWN[where]
    for word, meant in foreign.REMEDIES[where].items():
        assert word == plainly(word)
        if where == "option" and word in ("params", "seed", "rung"):  # of search, of predict alone
            continue
        assert word not in map(plainly, known), f"{where}: {word} is a word of ours"
        assert meant in known or " " in meant, f"{where}: {word} -> {meant}"
        hint = did_you_mean(word, known, place=where)
        assert hint == (f"; did you mean {meant!r}?" if meant in known else f"; {meant}")


def test_no_word_of_the_field_is_a_slip_for_another() -> None:
    ours = set(map(plainly, chain(*KNOWN.values())))
    for where, known in KNOWN.items():
        assert not [word for word in FIELD_WORDS if slip(word, known)]
        near = {word: found for word in ours - FIELD_WORDS if (found := slip(word, known))}
        assert all(plainly(found).startswith(word[:3]) for word, found in near.items()), (where, near)


@pytest.mark.parametrize(
    ("word", "where", "meant"),
    [
        ("convv", "layer", "conv"),
        ("ocnv", "layer", "conv"),
        ("maxpol", "layer", "maxpool"),
        ("dephtwise", "layer", "depthwise"),
        ("stp", "schedule kind", "step"),
        ("consine", "schedule kind", "cosine"),
        ("droput", "recipe", "dropout"),
        ("wieght_decay", "recipe", "weight_decay"),
        ("epoch", "recipe", "epochs"),
        ("clmb", "command", "climb"),
        ("comapre", "command", "compare"),
        ("maxpool3", "layer", ""),
        ("x" * 100_000, "layer", ""),
        ("", "layer", ""),
        ("c", "layer", ""),
    ],
)
def test_slips_of_the_keyboard(word: str, where: str, meant: str) -> None:
    assert suggested(word, where) == meant


def test_numbers_and_nouns_agree() -> None:
    assert [n_of(n, "seed") for n in (0, 1, 2, 2000)] == ["0 seeds", "1 seed", "2 seeds", "2,000 seeds"]
    assert [n_of(n, "process", "processes") for n in (1, 3)] == ["1 process", "3 processes"]


@pytest.mark.parametrize("n", [0, 1, 119, 120, 121, 10_485_760])
def test_what_is_quoted_is_cut_in_the_middle(n: int) -> None:
    text = "a" * (n // 2) + "z" * (n - n // 2)
    quoted = shown(text)
    assert len(quoted) <= 122
    assert (quoted == repr(text)) == (n <= 120)
    assert n <= 120 or (quoted.startswith("'aa") and quoted.endswith("zz'") and f"({n:,} characters)" in quoted)


def test_any_value_can_be_quoted() -> None:
    values: list[object] = [16**5000, [[]] * 10**5, {"a": "b" * 10**6}, None, 1.5, b"x" * 10**6]
    for value in values:
        assert 0 < len(shown(value)) <= 122


def test_what_nests_too_deep_can_be_quoted() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "a list too large to show"


def test_no_error_is_longer_than_a_message_may_be() -> None:
    for error in (LadderError("file:3: " + "x" * 10**6 + ": remedy"), GeometryError("y" * 10**6, layer_index=3)):
        assert len(str(error)) == LONGEST_MESSAGE
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).startswith("yyy")
    with pytest.raises(LadderError, match=r"unknown layer .*10,000,000 characters.*; known are") as refused:
        parse("x" * 10**7)
    assert len(str(refused.value)) < 500
    assert cut("x" * 50, most=50) == "x" * 50


@pytest.mark.parametrize(
    ("name", "value", "argument", "words"),
    [
        ("store", None, "store=", "--store"),
        ("engine", "torch", 'engine="torch"', "--engine torch"),
        ("force", True, "force=True", "--force"),
        ("output", None, "path=", "--output"),
        ("o", None, "path=", "-o"),
    ],
)
def test_what_is_set_is_named_as_whoever_runs_it_sets_it(
    name: str, value: str | bool | None, argument: str, words: str
) -> None:
    assert option(name, value) == argument
    with at_the_command():
        assert option(name, value) == words
        with at_the_command():
            assert option(name, value) == words
        assert option(name, value) == words
    assert option(name, value) == argument
