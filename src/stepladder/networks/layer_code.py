"""A layer as PyTorch or Keras has it, ``nn.Conv2d(1, 8, 3)``, and what it is here: ``conv 8 3x3``.

What is read is only for a message: code is taken apart, never run.
"""

import ast
import re
from dataclasses import dataclass
from typing import Any

from stepladder._base.foreign import remedy
from stepladder._base.wording import plainly
from stepladder.networks import sides
from stepladder.networks.sides import Sides

LONGEST = 300  # characters; nobody writes a layer that long

_CALL = re.compile(r"\s*(?:[A-Za-z_][\w.]*\.)?([A-Za-z_]\w*)\s*\((.*?)\)?[\s,;]*", re.DOTALL)
_KERNEL_IN_NAME = re.compile(r"conv-?([0-9]{1,2})x\1", re.IGNORECASE)
_OWN = ("conv", "depthwise", "maxpool", "avgpool", "gap", "linear")
_SEPARABLE = frozenset(["separable", "separableconv", "separableconv2d", "sepconv", "sepconv2d", "dsconv"])
_POINTWISE = frozenset(["pointwise", "pointwiseconv", "pointwiseconv2d", "conv1x1", "1x1"])

# Names of arguments, in the order in which they stand.
_TORCH = {
    "conv": ("in", "out", "kernel", "stride", "padding", "dilation", "groups", "bias"),
    "linear": ("in", "out", "bias"),
}
_KERAS = {
    "conv": ("out", "kernel", "stride", "padding"),
    "depthwise": ("kernel", "stride", "padding"),
    "linear": ("out", "activation", "bias"),
}
_POOL = ("kernel", "stride", "padding")
_CALLED = {
    "in": "in_channels in_features cin",
    "out": "out_channels out_features filters units cout channels",
    "kernel": "kernel_size pool_size kernel ks k size",
    "stride": "stride strides s",
    "padding": "padding pad p",
    "bias": "bias use_bias",
    "dilation": "dilation dilation_rate",
}
_PLAIN_NAMES = {each: name for name, words in _CALLED.items() for each in words.split()}
_NO_ACTIVATION = ("", "none", "linear", "softmax", "logsoftmax", "relu")


@dataclass(frozen=True)
class Meant:
    """What a layer of another library is here: the layers to write, in order, and a remark that may be empty."""

    layers: tuple[str, ...]
    remark: str = ""

    def __str__(self) -> str:
        written = ", ".join(f"'{each}'" for each in self.layers) + (", two layers" if len(self.layers) == 2 else "")
        return "; ".join(part for part in (f"write {written}" if written else "", self.remark) if part)


def meant_by(text: str) -> Meant | None:
    """What a layer is here that is written as elsewhere; None where that cannot be told.

    The numbers are as they were written: whether they make a layer is not looked at.
    """
    if len(text) > LONGEST:
        return None
    if found := _CALL.fullmatch(text):
        given = _arguments(found[2])
        return None if given is None else _of_call(found[1], *given)
    return _of_words(text.split())


def _of_words(words: list[str]) -> Meant | None:
    """``conv1x1 8``, ``separable 8``, ``conv2d 1 8 3``."""
    if len(words) < 2 or not words[1].isdecimal():
        return None
    plain, out, rest = plainly(words[0]), words[1], words[2:]
    if plain in _SEPARABLE:
        return Meant((" ".join(("depthwise", *rest, "bare")), f"conv {out} 1x1"))
    if plain in _POINTWISE:
        return Meant((" ".join(("conv", out, "1x1", *rest)),))
    if kernel := _KERNEL_IN_NAME.fullmatch(words[0]):
        return Meant((" ".join(("conv", out, f"{kernel[1]}x{kernel[1]}", *rest)),))
    if words[0] not in _OWN and len(words) > 2 and all(word.isdecimal() and len(word) < 9 for word in words[1:]):
        return _of_call(words[0], [int(word) for word in words[1:]], {})
    return None


def _arguments(text: str) -> tuple[list[Any], dict[str, Any]] | None:
    """The arguments of a call, by place and by name; what is no plain value as its code."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(call, ast.Call):
        return None
    named = {_PLAIN_NAMES.get(each.arg, each.arg): _value(each.value) for each in call.keywords if each.arg}
    return [_value(each) for each in call.args], named


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return ast.unparse(node)


def _of_call(name: str, places: list[Any], named: dict[str, Any]) -> Meant | None:
    """What ``name(*places, **named)`` is here; a layer of one dimension is for images of one row."""
    plain = plainly(name).removeprefix("lazy")
    line, plain = plain.endswith("1d"), re.sub("1d$", "2d", plain)
    operation = plain if plain in _OWN else "separable" if plain in _SEPARABLE else remedy("layer", plain)
    if plain in ("adaptiveavgpool2d", "adaptiveavgpool") and all(_sides(each) == 1 for each in places):
        operation = "gap"
    found: Meant | None = None
    match operation:
        case "conv":
            found = _conv(_given(_order_of_conv(name, places, named), places, named, line=line))
        case "separable":
            found = _separable(_given(_KERAS["conv"], places, named, line=line))
        case "depthwise":
            found = _depthwise(_given(_KERAS["depthwise"], places, named, line=line))
        case "maxpool" | "avgpool":
            found = _pool(operation, _given(_POOL, places, named, line=line))
        case "linear":
            found = _linear(places, named)
        case "gap":
            found = Meant(("gap",))
    if plain == "dropout" and places and isinstance(places[0], float):
        found = Meant((), f"it is a step of the block of every convolution; its rate: dropout = {places[0]:g}")
    return found


def _given(order: tuple[str, ...], places: list[Any], named: dict[str, Any], *, line: bool) -> dict[str, Any]:
    """Arguments by name; in a ``line``, numbers of windows are across, and down a window is one pixel."""
    given = dict(zip(order, places, strict=False)) | named
    if not line:
        return given
    across = {"kernel": given.get("kernel", 3), **given}
    down = {"kernel": 1, "stride": 1, "padding": 0}
    return given | {
        name: (down[name], value) for name, value in across.items() if name in down and _is_one_number(value)
    }


def _is_one_number(value: Any) -> bool:
    return type(value) is int


def _order_of_conv(name: str, places: list[Any], named: dict[str, Any]) -> tuple[str, ...]:
    """PyTorch gives the channels that come in first, Keras does not."""
    if name.endswith(("1D", "2D")) or name.startswith("Lazy") or "activation" in named or "filters" in named:
        return _KERAS["conv"]
    if len(places) > 1 and isinstance(places[1], tuple | list):
        return _KERAS["conv"]
    if len(places) == 1 and "out" not in named:
        return _KERAS["conv"]
    two_numbers = len(places) == 2 and all(type(each) is int for each in places)
    if two_numbers and "kernel" not in named and places[0] >= places[1]:
        return _KERAS["conv"]
    return _TORCH["conv"]


def _conv(given: dict[str, Any]) -> Meant | None:
    if refused := _none_here(given):
        return refused
    groups, out = given.get("groups", 1), given.get("out")
    if type(groups) is int and groups > 1:
        if groups == given.get("in") == out:
            return _depthwise(given)
        return Meant((), "there are no groups here but the 'depthwise' layer, of one channel each")
    window = _window(given, kernel=3)
    if type(out) is not int or window is None:
        return None
    bias = "bias" if given.get("bias") is True else ""
    return Meant((_joined(f"conv {out}", window, bias),), _about(given))


def _depthwise(given: dict[str, Any]) -> Meant | None:
    window = _window(given, kernel=3)
    return _none_here(given) or (Meant((_joined("depthwise", window),), _about(given)) if window else None)


def _separable(given: dict[str, Any]) -> Meant | None:
    window, out = _window(given, kernel=3), given.get("out")
    if type(out) is not int or window is None:
        return None
    return _none_here(given) or Meant((_joined("depthwise", window, "bare"), f"conv {out} 1x1"), _about(given))


def _pool(operation: str, given: dict[str, Any]) -> Meant | None:
    kernel = _sides(given.get("kernel", 2))
    stride = kernel if given.get("stride") is None else _sides(given["stride"])
    padding = _padding(given.get("padding", 0), kernel)
    if kernel is None or stride is None or padding is None:
        return None
    stride_text = f"stride {sides.text(stride)}" if stride != kernel else ""
    pad_text = f"pad {sides.text(padding)}" if padding else ""
    return Meant((_joined(f"{operation} {sides.text(kernel)}", stride_text, pad_text),))


def _linear(places: list[Any], named: dict[str, Any]) -> Meant | None:
    numbers = [each for each in places[:2] if type(each) is int]
    order = _TORCH["linear"] if len(numbers) == 2 else _KERAS["linear"]
    given = dict(zip(order, places, strict=False)) | named
    if type(given.get("out")) is not int:
        return None
    nobias = "nobias" if given.get("bias") is False else ""
    block = "block linear relu" if _activation(given) == "relu" else ""
    remark = "" if block else _about(given)
    return Meant((_joined(f"linear {given['out']}", nobias, block),), remark)


def _window(given: dict[str, Any], *, kernel: int) -> str | None:
    """``3x3 stride 2 pad 1``; None where no such window exists here."""
    size, stride = _sides(given.get("kernel", kernel)), _sides(given.get("stride", 1))
    padding = _padding(given.get("padding", 0), size)
    if size is None or stride is None or padding is None:
        return None
    stride_text = f"stride {sides.text(stride)}" if stride != 1 else ""
    return _joined(sides.full_text(size), stride_text, f"pad {sides.text(padding)}" if padding else "")


def _sides(value: Any) -> Sides | None:
    """3 of ``3``, ``(3, 3)`` and ``[3, 3]``; ``(3, 1)`` of two different ones."""
    if isinstance(value, tuple | list) and value and all(type(each) is int for each in value):
        value = sides.joined(*value) if len(value) == 2 else value[0] if len(set(value)) == 1 else None
    return value if type(value) is int or isinstance(value, tuple) else None


def _padding(value: Any, kernel: Sides | None) -> Sides | None:
    """``"same"`` keeps the size of a map where the kernel has a middle."""
    if isinstance(value, str):
        same = sides.each(lambda side: (side - 1) // 2, kernel or 1)
        return {"same": same, "valid": 0}.get(value.lower())
    return _sides(value)


def _none_here(given: dict[str, Any]) -> Meant | None:
    return Meant((), "there is no dilation here") if given.get("dilation", 1) not in (1, (1, 1), [1, 1]) else None


def _activation(given: dict[str, Any]) -> str:
    """``relu`` of ``"relu"``, ``tf.nn.relu`` and ``nn.ReLU()``."""
    return plainly(str(given.get("activation") or "").partition("(")[0].rpartition(".")[2])


def _about(given: dict[str, Any]) -> str:
    """What is to be said of an activation."""
    activation = _activation(given)
    if activation == "softmax":
        return "the loss takes the softmax of what the network gives"
    if activation == "relu":
        return "relu follows every convolution already, by the recipe's block"
    return "" if activation in _NO_ACTIVATION else "of activations 'relu' and 'leaky' are known, as steps of a block"


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
