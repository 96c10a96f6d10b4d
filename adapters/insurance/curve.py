"""The arithmetic under an SM2 signature, quick enough not to hold everybody else up.

``gmalg`` inverts at every step: 10 ms for a signature, 20 ms for a verification, and while it computes no other thread
of the process does. Here its curve gets a multiplication in Jacobian coordinates (wNAF, width 5); the rest, nonces and
equations included, stays the library's. Like the library's it is not constant in time.
"""

from typing import Any

from gmalg.ellipticcurve import ECDLP

P = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFF_00000000_FFFFFFFF_FFFFFFFF
A = P - 3
B = 0x28E9FA9E_9D9F5E34_4D5A9E4B_CF6509A7_F39789F5_15AB8F92_DDBCBD41_4D940E93
N = 0xFFFFFFFE_FFFFFFFF_FFFFFFFF_FFFFFFFF_7203DF6B_21C6052B_53BBF409_39D54123
G = (
    0x32C4AE2C_1F198119_5F990446_6A39C994_8FE30BBF_F2660BE1_715A4589_334C74C7,
    0xBC3736A2_F4F6779C_59BDCEE3_6B692153_D0A9877C_C62A4740_02DF32E5_2139F0A0,
)
_Jacobian = tuple[int, int, int]
_INFINITY: _Jacobian = (1, 1, 0)


def quick_curve() -> Any:
    """The SM2 curve of GB/T 32918.5 as ``gmalg`` wants it, with ``multiply`` inside."""
    made = ECDLP(P, A, B, G, N)
    made.ec.mul = multiply
    return made


def multiply(factor: int, point: Any) -> Any:
    """``factor`` times an affine point of the curve; the library's own infinity if that is what it makes."""
    base: _Jacobian = (*point, 1)
    twice = _double(base)
    odd = [base]
    for _ in range(7):
        odd.append(_add(odd[-1], twice))
    result = _INFINITY
    for digit in reversed(_wnaf(factor)):
        result = _double(result)
        if digit:
            x, y, z = odd[abs(digit) >> 1]
            result = _add(result, (x, y if digit > 0 else P - y, z))
    if not result[2]:
        return float("inf"), float("inf")
    inverse = pow(result[2], -1, P)
    square = inverse * inverse % P
    return result[0] * square % P, result[1] * square * inverse % P


def _wnaf(factor: int) -> list[int]:
    """Digits, lowest first: zero, or odd between -15 and 15."""
    digits = []
    while factor:
        digit = 0
        if factor & 1:
            digit = factor & 31
            digit -= 32 if digit > 15 else 0
            factor -= digit
        digits.append(digit)
        factor >>= 1
    return digits


def _double(point: _Jacobian) -> _Jacobian:
    """dbl-2001-b, for a = -3."""
    x, y, z = point
    delta, gamma = z * z % P, y * y % P
    beta = x * gamma % P
    alpha = 3 * (x - delta) * (x + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, ((y + z) ** 2 - gamma - delta) % P


def _add(one: _Jacobian, other: _Jacobian) -> _Jacobian:
    """add-1998-cmo-2."""
    x1, y1, z1 = one
    x2, y2, z2 = other
    if not z1:
        return other
    if not z2:
        return one
    z1z1, z2z2 = z1 * z1 % P, z2 * z2 % P
    u1, s1 = x1 * z2z2 % P, y1 * z2 * z2z2 % P
    h, r = (x2 * z1z1 - u1) % P, (y2 * z1 * z1z1 - s1) % P
    if not h:
        return _INFINITY if r else _double(one)
    hh = h * h % P
    v, hhh = u1 * hh % P, h * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, z1 * z2 * h % P
