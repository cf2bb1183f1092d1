"""A small typed layer over LLVM IR for vector kernels: values with operators, loops with ``with``.

A Kernel is one function ``void name(ptr..., i64...)``. Vectors hold float32. A product and a sum may contract into
one fused multiply-add, but nothing is reordered: a kernel gives the same bits whenever it runs on the same machine.
Variables are stack slots that LLVM's mem2reg turns into registers.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Index:
    """An i64: a constant known when the kernel is written, or a register."""

    kernel: "Kernel"
    text: str

    @property
    def constant(self) -> int | None:
        return int(self.text) if self.text.lstrip("-").isdigit() else None

    def __add__(self, other: "Index | int") -> "Index":
        return self.kernel.integer("add", self, other)

    def __sub__(self, other: "Index | int") -> "Index":
        return self.kernel.integer("sub", self, other)

    def __mul__(self, other: "Index | int") -> "Index":
        return self.kernel.integer("mul", self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def as_float(self) -> "Vector":
        return Vector(self.kernel, self.kernel.name_of(f"sitofp i64 {self.text} to float"), 1)

    def at_least(self, other: int) -> "Index":
        return self.kernel.bound("sgt", self, other)

    def at_most(self, other: int) -> "Index":
        return self.kernel.bound("slt", self, other)


@dataclass(frozen=True)
class Vector:
    """``width`` float32 values; of width 1 it is a plain float."""

    kernel: "Kernel"
    text: str
    width: int

    def __add__(self, other: "Vector | float") -> "Vector":
        return self.kernel.arithmetic("fadd", self, other)

    def __sub__(self, other: "Vector | float") -> "Vector":
        return self.kernel.arithmetic("fsub", self, other)

    def __mul__(self, other: "Vector | float") -> "Vector":
        return self.kernel.arithmetic("fmul", self, other)

    def __truediv__(self, other: "Vector | float") -> "Vector":
        return self.kernel.arithmetic("fdiv", self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def relu(self) -> "Vector":
        """0 where this vector is below 0; NaN stays NaN, so that a diverged run shows."""
        return self.kernel.select("olt", (self, 0.0), 0.0, self)

    def square_root(self) -> "Vector":
        return self.kernel.intrinsic("sqrt", self)

    def total(self) -> "Vector":
        """The sum of all lanes, pairwise: a float."""
        if self.width == 1:
            return self
        kind, function = self.kernel.type_of(self.width), f"llvm.vector.reduce.fadd.v{self.width}f32"
        self.kernel.declarations.add(f"declare float @{function}(float, {kind})")
        text = self.kernel.name_of(f"call reassoc float @{function}(float -0.0, {kind} {self.text})")
        return Vector(self.kernel, text, 1)


class Variable:
    """A vector that changes."""

    def __init__(self, kernel: "Kernel", start: Vector) -> None:
        self._kernel = kernel
        self._width = start.width
        self._slot = kernel.slot(kernel.type_of(start.width))
        self.set(start)

    def get(self) -> Vector:
        text = self._kernel.name_of(f"load {self._kernel.type_of(self._width)}, ptr {self._slot}")
        return Vector(self._kernel, text, self._width)

    def set(self, value: Vector) -> None:
        self._kernel.line(f"store {self._kernel.type_of(self._width)} {value.text}, ptr {self._slot}")

    def add(self, value: Vector) -> None:
        self.set(self.get() + value)

    def add_product(self, a: Vector, b: Vector) -> None:
        self.set(self._kernel.multiply_add(a, b, self.get()))


class Kernel:
    """One function being written."""

    def __init__(self, name: str, pointers: Sequence[str], integers: Sequence[str] = (), *, width: int) -> None:
        self.name = name
        self.width = width
        self.pointers = tuple(pointers)
        self.integers = tuple(integers)
        self.declarations: set[str] = set()
        self._count = 0
        self._slots: list[str] = []
        self._lines: list[str] = []

    # --- text

    def text(self) -> str:
        """The function as LLVM IR."""
        arguments = [f"ptr noalias %{name}" for name in self.pointers] + [f"i64 %{name}" for name in self.integers]
        head = f"define void @{self.name}({', '.join(arguments)}) {{"
        return "\n".join([head, "entry:", *self._slots, *self._lines, "ret void", "}", ""])

    def line(self, text: str) -> None:
        self._lines.append(text)

    def name_of(self, expression: str) -> str:
        """Give an expression a register."""
        self._count += 1
        self._lines.append(f"%v{self._count} = {expression}")
        return f"%v{self._count}"

    def slot(self, kind: str) -> str:
        self._count += 1
        self._slots.append(f"%s{self._count} = alloca {kind}")
        return f"%s{self._count}"

    @staticmethod
    def type_of(width: int) -> str:
        return "float" if width == 1 else f"<{width} x float>"

    # --- integers

    def argument(self, name: str) -> Index:
        return Index(self, f"%{name}")

    def index(self, value: int) -> Index:
        return Index(self, str(value))

    def integer(self, operation: str, a: Index, b: Index | int) -> Index:
        b = b if isinstance(b, Index) else self.index(b)
        if a.constant is not None and b.constant is not None:
            return self.index(
                {"add": int.__add__, "sub": int.__sub__, "mul": int.__mul__}[operation](a.constant, b.constant)
            )
        if (operation in ("add", "sub") and b.constant == 0) or (operation == "mul" and b.constant == 1):
            return a
        if operation == "add" and a.constant == 0:
            return b
        return Index(self, self.name_of(f"{operation} nsw i64 {a.text}, {b.text}"))

    def bound(self, comparison: str, a: Index, limit: int) -> Index:
        if a.constant is not None:
            return self.index(max(a.constant, limit) if comparison == "sgt" else min(a.constant, limit))
        condition = self.name_of(f"icmp {comparison} i64 {a.text}, {limit}")
        return Index(self, self.name_of(f"select i1 {condition}, i64 {a.text}, i64 {limit}"))

    def larger(self, a: Index, b: Index) -> Index:
        condition = self.name_of(f"icmp sgt i64 {a.text}, {b.text}")
        return Index(self, self.name_of(f"select i1 {condition}, i64 {a.text}, i64 {b.text}"))

    def smaller(self, a: Index, b: Index) -> Index:
        condition = self.name_of(f"icmp slt i64 {a.text}, {b.text}")
        return Index(self, self.name_of(f"select i1 {condition}, i64 {a.text}, i64 {b.text}"))

    def divide(self, a: Index, divisor: int) -> Index:
        """a // divisor for a of at least 0."""
        return Index(self, self.name_of(f"udiv i64 {a.text}, {divisor}"))

    @contextmanager
    def loop(self, start: Index | int, stop: Index | int, step: int = 1) -> Iterator[Index]:
        """``for i in range(start, stop, step)``; a loop of one turn known now is no loop."""
        start, stop = (value if isinstance(value, Index) else self.index(value) for value in (start, stop))
        if start.constant is not None and stop.constant is not None and stop.constant - start.constant <= step:
            assert stop.constant > start.constant, "a loop without turns"
            yield start
            return
        self._count += 1
        label, counter = f"l{self._count}", self.slot("i64")
        self.line(f"store i64 {start.text}, ptr {counter}")
        self.line(f"br label %{label}.head")
        self.line(f"{label}.head:")
        here = Index(self, self.name_of(f"load i64, ptr {counter}"))
        more = self.name_of(f"icmp slt i64 {here.text}, {stop.text}")
        self.line(f"br i1 {more}, label %{label}.body, label %{label}.end")
        self.line(f"{label}.body:")
        yield here
        self.line(f"store i64 {(here + step).text}, ptr {counter}")
        self.line(f"br label %{label}.head")
        self.line(f"{label}.end:")

    # --- memory

    def address(self, pointer: str, index: Index | int, kind: str = "float") -> str:
        text = index.text if isinstance(index, Index) else str(index)
        return self.name_of(f"getelementptr {kind}, ptr %{pointer}, i64 {text}")

    def load(self, pointer: str, index: Index | int, *, width: int | None = None) -> Vector:
        """Consecutive float32 from ``pointer + index``; whole vectors are aligned."""
        width = self.width if width is None else width
        address = self.address(pointer, index)
        return Vector(self, self.name_of(f"load {self.type_of(width)}, ptr {address}, align {4 * width}"), width)

    def store(self, pointer: str, index: Index | int, value: Vector) -> None:
        address = self.address(pointer, index)
        self.line(f"store {self.type_of(value.width)} {value.text}, ptr {address}, align {4 * value.width}")

    def broadcast(self, pointer: str, index: Index | int) -> Vector:
        """One float32 in every lane."""
        return self.spread(self.load(pointer, index, width=1))

    def spread(self, value: Vector) -> Vector:
        kind = self.type_of(self.width)
        first = self.name_of(f"insertelement {kind} poison, float {value.text}, i32 0")
        text = self.name_of(f"shufflevector {kind} {first}, {kind} poison, <{self.width} x i32> zeroinitializer")
        return Vector(self, text, self.width)

    # --- arithmetic

    def constant(self, value: float, width: int | None = None) -> Vector:
        width = self.width if width is None else width
        bits = struct.unpack("<Q", struct.pack("<d", float(np.float32(value))))[0]
        one = f"float 0x{bits:016X}"
        return Vector(self, one[6:] if width == 1 else f"<{', '.join([one] * width)}>", width)

    def all_lanes(self, value: int) -> str:
        """An i32 constant in every lane."""
        return f"<{', '.join([f'i32 {value}'] * self.width)}>"

    def spread_integer(self, value: str) -> str:
        """An i32 register in every lane."""
        whole = f"<{self.width} x i32>"
        first = self.name_of(f"insertelement {whole} poison, i32 {value}, i32 0")
        return self.name_of(f"shufflevector {whole} {first}, {whole} poison, {whole} zeroinitializer")

    def zero(self) -> Vector:
        return self.constant(0.0)

    def variable(self, start: Vector | None = None) -> Variable:
        return Variable(self, self.zero() if start is None else start)

    def arithmetic(self, operation: str, a: Vector, b: Vector | float) -> Vector:
        b = b if isinstance(b, Vector) else self.constant(b, a.width)
        text = self.name_of(f"{operation} contract {self.type_of(a.width)} {a.text}, {b.text}")
        return Vector(self, text, a.width)

    def multiply_add(self, a: Vector, b: Vector, c: Vector) -> Vector:
        """a * b + c, fused where the CPU can."""
        return self.intrinsic("fmuladd", a, b, c)

    def intrinsic(self, name: str, *values: Vector) -> Vector:
        """One of LLVM's own functions, lane by lane."""
        width = values[0].width
        kind = self.type_of(width)
        function = f"llvm.{name}.{'f32' if width == 1 else f'v{width}f32'}"
        self.declarations.add(f"declare {kind} @{function}({', '.join([kind] * len(values))})")
        arguments = ", ".join(f"{kind} {value.text}" for value in values)
        return Vector(self, self.name_of(f"call {kind} @{function}({arguments})"), width)

    def select(
        self, comparison: str, pair: tuple[Vector, Vector | float], yes: Vector | float, no: Vector | float
    ) -> Vector:
        """``yes`` where the comparison of the pair holds, else ``no``, lane by lane."""
        left, width = pair[0], pair[0].width
        kind, bits = self.type_of(width), "i1" if width == 1 else f"<{width} x i1>"
        right, yes, no = (v if isinstance(v, Vector) else self.constant(v, width) for v in (pair[1], yes, no))
        condition = self.name_of(f"fcmp {comparison} {kind} {left.text}, {right.text}")
        return Vector(self, self.name_of(f"select {bits} {condition}, {kind} {yes.text}, {kind} {no.text}"), width)
