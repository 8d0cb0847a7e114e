"""What numba does not vectorise by itself: eight tables added or turned at once, maxima, fast logarithms."""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

_FLOATS, _INTS = ir.VectorType(ir.FloatType(), 8), ir.VectorType(ir.IntType(32), 8)


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _add8(typingctx: Any, total: Any, code: Any, factor: Any) -> Any:
    """``total[0:8] += factor[0:8] * code[0:8] * abs(code[0:8])``, by their addresses: float32, int8, float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, factor = (_at(builder, arg, _FLOATS) for arg in (args[0], args[2]))
        value = builder.load(_at(builder, args[1], ir.VectorType(ir.IntType(8), 8)), align=1)
        value = builder.sext(value, _INTS)
        size = builder.select(builder.icmp_signed("<", value, _INTS(None)), builder.neg(value), value)
        square = builder.sitofp(builder.mul(value, size), _FLOATS)
        term = builder.fmul(builder.load(factor, align=4), square)
        added = builder.fadd(builder.load(total, align=4), term)
        builder.store(added, total, align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


def _turn8(typingctx: Any, rows: Any, columns: Any, stride: Any) -> Any:
    """Write float32 [8, 8] at ``rows`` turned to ``columns``, whose rows are ``stride`` bytes apart."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, columns, stride = args
        address = rows.type
        held = [
            builder.load(_at(builder, builder.add(rows, address(32 * r)), _FLOATS), align=4) for r in range(8)
        ]
        for half in (4, 2, 1):  # of what is turned: blocks off the diagonal change places
            low, high = _halves(half)
            turned = list(held)
            for r in (r for r in range(8) if not r & half):
                turned[r] = builder.shuffle_vector(held[r], held[r + half], low)
                turned[r + half] = builder.shuffle_vector(held[r], held[r + half], high)
            held = turned
        for c in range(8):
            to = builder.add(columns, builder.mul(stride, address(c)))
            builder.store(held[c], _at(builder, to, _FLOATS), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


def _most(builder: Any, value: Any) -> Any:
    """Return the highest of a float32 [32]."""
    for half in (16, 8, 4, 2, 1):
        masks = (ir.VectorType(ir.IntType(32), half)(list(range(at, at + half))) for at in (0, half))
        low, high = (builder.shuffle_vector(value, value, mask) for mask in masks)
        value = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(value, ir.IntType(32)(0))


def _most32(typingctx: Any, values: Any, at: Any) -> Any:
    """Return the highest of 32 from place ``at`` on of ``values``, float32 in order."""
    _want(values, types.float32)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _most(builder, _load32(context, builder, signature, args, 0, ir.FloatType()))

    return types.float32(values, types.intp), codegen


def _most32_of(typingctx: Any, values: Any, at: Any, allowed: Any) -> Any:
    """As ``_most32``, of those that are ``allowed``, bool in order; -inf without any."""
    _want(values, types.float32)
    _want(allowed, types.boolean)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _load32(context, builder, signature, args, 0, ir.FloatType())
        held = _load32(context, builder, signature, args, 2, ir.IntType(8))
        none = ir.Constant(value.type, [float("-inf")] * 32)
        return _most(builder, builder.select(builder.icmp_unsigned("!=", held, held.type(None)), value, none))

    return types.float32(values, types.intp, allowed), codegen


def _want(array: Any, kind: Any) -> None:
    """Raise TypingError, at compilation, for an array of another kind, or one that is not contiguous."""
    if (array.dtype, array.layout) != (kind, "C"):
        raise TypingError(f"a contiguous array of {kind} is wanted, not {array}")


def _load32(context: Any, builder: Any, signature: Any, args: Any, number: int, kind: Any) -> Any:
    """Return 32 of an array among the arguments, of which the second is the place."""
    array = context.make_array(signature.args[number])(context, builder, args[number])
    first = builder.gep(array.data, [args[1]])
    return builder.load(builder.bitcast(first, ir.VectorType(kind, 32).as_pointer()), align=1)


def _halves(half: int) -> tuple[Any, Any]:
    """Return how two rows exchange their blocks of ``half`` columns: masks of the lower and of the upper row."""
    low = [c + 8 - half if c & half else c for c in range(8)]
    high = [c + 8 if c & half else c + half for c in range(8)]
    return _INTS(low), _INTS(high)


add8: Any = intrinsic(_add8)
turn8: Any = intrinsic(_turn8)
most32: Any = intrinsic(_most32)
most32_of: Any = intrinsic(_most32_of)


def _as(kind: Any, ir_kind: Any, given: Any) -> Any:
    """Return a function that reads the 32 bits of a ``given`` as a ``kind``."""

    def cast(typingctx: Any, x: Any) -> Any:
        return kind(given), lambda context, builder, signature, args: builder.bitcast(args[0], ir_kind)

    return intrinsic(cast)


_bits = _as(types.int32, ir.IntType(32), types.float32)
_float = _as(types.float32, ir.FloatType(), types.int32)


@numba.njit(cache=True)
def log(x):
    """Return the natural logarithm of a normal, positive float32, within 2e-6; of 1 it is exactly 0."""
    bits = _bits(np.float32(x))
    t = _float((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)) - np.float32(1.0)
    p = np.float32(0.01420282703062741)
    p = p * t - np.float32(0.06658805451646048)
    p = p * t + np.float32(0.1494345893513517)
    p = p * t - np.float32(0.23514864097675936)
    p = p * t + np.float32(0.331120520099758)
    p = p * t - np.float32(0.49987191606001913)
    p = p * t + np.float32(0.9999987635089174)
    return np.float32((bits >> np.int32(23)) - np.int32(127)) * np.float32(0.6931471805599453) + p * t


@numba.njit(cache=True)
def exp(x):
    """Return e to a float32 of at most 88, within a relative 1e-6; below -87 it is about 1e-38."""
    y = max(np.float32(x) * np.float32(1.4426950408889634), np.float32(-126.0))
    whole = np.floor(y)
    f = y - whole
    p = np.float32(0.0018951072910205668)
    p = p * f + np.float32(0.008946214666285103)
    p = p * f + np.float32(0.0558632826593008)
    p = p * f + np.float32(0.2401407700918237)
    p = p * f + np.float32(0.6931546200033014)
    p = p * f + np.float32(0.9999998957631351)
    return p * _float((np.int32(whole) + np.int32(127)) << np.int32(23))
