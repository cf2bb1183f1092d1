"""Pickles, by a reader of our own that builds texts, bytes, whole numbers, lists, dicts, tuples and arrays of whole
numbers, and nothing else.

A pickle is a program: Python's own reader imports and calls whatever it names. Here nothing is imported and nothing is
called: the few names that numpy writes around an array are known as names, and any other is refused. Opcodes are read
by the standard library's ``pickletools``, which only describes them.
"""

import codecs
import pickletools
import re
from collections.abc import Callable
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.errors import DataError

MOST_STEPS = 5_000_000  # opcodes; CIFAR-100's training file has some 200,000
MOST_DIMENSIONS = 4
NEWEST_PROTOCOL = 5
ARRAY, DTYPE, RECONSTRUCT, FROM_BUFFER, SCALAR, ENCODE, BYTES = (
    "an array",
    "a dtype",
    "_reconstruct",
    "_frombuffer",
    "scalar",
    "encode",
    "bytes",
)
KNOWN = {  # what numpy 1 and 2 and Python 2 and 3 write around an array of numbers
    "numpy ndarray": ARRAY,
    "numpy dtype": DTYPE,
    "numpy.core.multiarray _reconstruct": RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": RECONSTRUCT,
    "numpy.core.numeric _frombuffer": FROM_BUFFER,
    "numpy._core.numeric _frombuffer": FROM_BUFFER,
    "numpy.core.multiarray scalar": SCALAR,
    "numpy._core.multiarray scalar": SCALAR,
    "_codecs encode": ENCODE,
    "__builtin__ bytes": BYTES,
    "builtins bytes": BYTES,
}


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}


class _Name(str):
    """What a pickle names, one of KNOWN: a word, with nothing behind it."""

    __slots__ = ()


class _Type:
    """An integer type of numpy; in which order its bytes are is said after it was named."""

    def __init__(self, code: str) -> None:
        if re.fullmatch("[|<>=]?[iu][1248]", code) is None:
            raise ValueError(f"an array of {flat(code, 40)}, where whole numbers are wanted")
        self.code = code

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(each is not None for each in state[2:5]):
            raise ValueError("an array of several fields")
        if (order := _text(state[1])) not in ("|", "<", ">", "="):
            raise ValueError("an array whose bytes are in no known order")
        self.code = order.replace("=", "<") + self.code.lstrip("|<>=")

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.code)


class _Array:
    """An array that is announced, and whose numbers come after it."""

    def __init__(self) -> None:
        self.numbers: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array in no known form")
        _, shape, dtype, is_fortran, content = state
        self.fill(content, dtype, shape, is_fortran=is_fortran)

    def fill(self, content: Any, dtype: Any, shape: Any, *, is_fortran: object) -> None:
        if not isinstance(dtype, _Type) or not isinstance(content, bytes):
            raise ValueError("an array of Python objects, where whole numbers are wanted")
        if not isinstance(shape, tuple) or len(shape) > MOST_DIMENSIONS or not all(map(_is_size, shape)):
            raise ValueError("an array without a sound shape")
        if prod(shape) * dtype.dtype.itemsize != len(content):
            raise ValueError(f"an array of shape {shape} in {len(content):,} bytes")
        numbers = np.frombuffer(content, dtype.dtype)
        self.numbers = numbers.reshape(shape, order="F" if is_fortran else "C")


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**40


def _text(value: object) -> str:
    """Python 2 wrote names as bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise ValueError("a number where a name is wanted")
    return value


class _RefusedError(Exception):
    """Something that no set of images needs."""


def read(content: bytes, name: str) -> dict[str, Any]:
    """The dict that a pickle is, its keys as texts, its arrays as numpy's; what is inside lists stays as it is.

    Raises DataError that names the file for what is damaged, and for what would do anything but build numbers.
    """
    try:
        found = _Machine(content).run()
        if not isinstance(found, dict):
            raise ValueError("it holds no dict")
        return {str(_text(key)): _plain(value) for key, value in found.items()}
    except _RefusedError as refused:
        raise DataError(
            f"{name}: refused: it {refused}; a pickle is a program, and of this one only numbers, texts, lists and"
            " arrays are built: get the file from where the set is published, or save its arrays as an .npz"
        ) from None
    except Exception as error:  # pickletools, codecs and numpy name damage in a dozen ways
        raise DataError(
            f"{name}: a damaged pickle, or none ({flat(error) or type(error).__name__}): get it again"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.numbers is None:
            raise ValueError("an array without numbers")
        return value.numbers
    return value


class _Machine:
    """Runs the opcodes of one pickle."""

    def __init__(self, content: bytes) -> None:
        self.stream = BytesIO(content)
        self.n_left = len(content)  # characters that may yet be encoded: none is there twice
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            code = self.stream.read(1).decode("latin-1")
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"byte {self.stream.tell():,} is no opcode" if code else "it ends too early")
            if opcode.name == "STOP":
                return self.stack.pop()
            argument = self.argument(opcode)
            if opcode.name in _PLAIN:
                self.stack.append(argument)
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, argument)
            else:
                raise _RefusedError(f"uses the opcode {opcode.name}")
        raise _RefusedError(f"has more than {MOST_STEPS:,} opcodes")

    def argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        """What follows an opcode. Python 2's texts are bytes, which is what they were."""
        if opcode.name == "STRING":
            return codecs.escape_decode(self.stream.readline().strip()[1:-1])[0]
        if opcode.name in ("BINSTRING", "SHORT_BINSTRING"):
            n = int.from_bytes(self.stream.read(4 if opcode.name == "BINSTRING" else 1), "little")
            found = self.stream.read(n)
            if len(found) != n:
                raise ValueError(f"it ends inside a text of {n:,} bytes")
            return found
        argument = None if opcode.arg is None else opcode.arg.reader(self.stream)
        return bytes(argument) if isinstance(argument, bytearray) else argument

    def push(self, value: object) -> None:
        self.stack.append(value)

    def nothing(self, _: object) -> None:
        pass

    def protocol(self, number: int) -> None:
        if number > NEWEST_PROTOCOL:
            raise _RefusedError(f"is of protocol {number}, which is not known")

    def mark(self, _: None) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        found, self.stack = self.stack, self.marks.pop()
        return found

    def tuple_of(self, n: int) -> None:
        if len(self.stack) < n:
            raise ValueError("a tuple of more than there is")
        found = tuple(self.stack[len(self.stack) - n :])
        del self.stack[len(self.stack) - n :]
        self.stack.append(found)

    def extend(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("values are added to what is no list")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise ValueError("keys and values that are no dict's")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | bytes | int):  # a tuple of tuples takes for ever to hash
                raise ValueError("a key that is no text")
            target[key] = value

    def new_dict(self, values: list[Any]) -> None:
        self.stack.append({})
        self.set_items(values)

    def remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise ValueError(f"memo {place} is used, and was not set")
        self.stack.append(self.memo[place])

    def name(self, said: str) -> None:
        known = KNOWN.get(said)
        if known is None:
            raise _RefusedError(f"would have Python import {flat(said.replace(' ', '.'), 80)}")
        self.stack.append(_Name(known))

    def name_of_stack(self, _: None) -> None:
        attribute, module = _text(self.stack.pop()), _text(self.stack.pop())
        self.name(f"{module} {attribute}")

    def reduce(self, _: None) -> None:
        given, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Name) or not isinstance(given, tuple):
            raise _RefusedError("would have Python call something")
        self.stack.append(self.made(function, given))

    def made(self, function: _Name, given: tuple[Any, ...]) -> Any:
        """What numpy or Python would make of it."""
        match str(function), given:
            case "a dtype", (code, *_):
                return _Type(_text(code))
            case "_reconstruct", (_Name() as kind, *_) if kind == ARRAY:
                return _Array()
            case "_frombuffer", (content, dtype, shape, order):
                array = _Array()
                array.fill(content, dtype, shape, is_fortran=order == "F")
                return array
            case "scalar", (_Type() as of, bytes() as content) if len(content) == of.dtype.itemsize:
                return int(np.frombuffer(content, of.dtype)[0])
            case "encode", (str() as text, "latin1" | "latin-1"):
                self.n_left -= len(text)
                if self.n_left < 0:
                    raise _RefusedError("makes more bytes than it has")
                return text.encode("latin-1")
            case "bytes", ():
                return b""
        raise _RefusedError(f"would have Python call {flat(function, 40)} with what nobody gives it")

    def build(self, _: None) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Type | _Array):
            raise _RefusedError("would have Python set the state of an object")
        target.build(state)


_PLAIN = {  # whose argument is a value
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": _Machine.protocol,
    "FRAME": _Machine.nothing,  # how far to read ahead
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": _Machine.mark,
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.since_mark(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "EMPTY_TUPLE": lambda machine, _: machine.tuple_of(0),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "LIST": lambda machine, _: machine.push(machine.since_mark()),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "DICT": lambda machine, _: machine.new_dict(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.stack.pop(-2), machine.stack.pop()]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "PUT": _Machine.remember,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_of_stack,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
}
