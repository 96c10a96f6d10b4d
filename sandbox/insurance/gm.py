"""The three Chinese algorithms the payment centre speaks, written for the sandbox alone: two versions must agree.

SM2 signatures are plain integer arithmetic after GB/T 32918.2 (Jacobian coordinates; not constant in time, which a
sandbox may be); SM3 and SM4 come from OpenSSL.
"""

import hashlib
import secrets
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
A = P - 3
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
Point = tuple[int, int]
_Jacobian = tuple[int, int, int]


def new_key() -> int:
    """A private key."""
    return secrets.randbelow(N - 2) + 1


@lru_cache(maxsize=64)
def public_key(private: int) -> Point:
    """Its public half."""
    return _affine(_times(private, G))


def encode(point: Point) -> bytes:
    """``04‖x‖y``."""
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def decode(raw: bytes) -> Point:
    """The reverse.

    Raises:
        ValueError: no point of the curve.
    """
    point = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    x, y = point
    if len(raw) != 65 or raw[0] != 4 or max(point) >= P or (y * y - (x * x * x + A * x + B)) % P:
        raise ValueError("not a point of the SM2 curve")
    return point


def sign(private: int, public: Point, uid: bytes, message: bytes) -> bytes:
    """``r‖s``, 64 bytes."""
    e = _digest(public, uid, message)
    while True:
        k = new_key()
        r = (e + _affine(_times(k, G))[0]) % N
        s = pow(1 + private, -1, N) * (k - r * private) % N
        if r and s and r + k != N:
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(public: Point, uid: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is this key's over this message by this user id."""
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    t = (r + s) % N
    if len(signature) != 64 or not 0 < r < N or not 0 < s < N or not t:
        return False
    found = _add(_times(s, G), _times(t, public))
    return bool(found[2]) and (_digest(public, uid, message) + _affine(found)[0]) % N == r


def sm3(message: bytes) -> bytes:
    """SM3."""
    return hashlib.new("sm3", message).digest()


def sm4_encrypt(key: bytes, plain: bytes) -> bytes:
    """SM4-ECB, PKCS7."""
    short = 16 - len(plain) % 16
    cipher = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()  # noqa: S305
    return cipher.update(plain + bytes([short]) * short) + cipher.finalize()


def sm4_decrypt(key: bytes, sealed: bytes) -> bytes:
    """The reverse.

    Raises:
        ValueError: wrong length or padding.
    """
    cipher = Cipher(algorithms.SM4(key), modes.ECB()).decryptor()  # noqa: S305
    plain = cipher.update(sealed) + cipher.finalize()
    short = plain[-1] if plain else 0
    if not 1 <= short <= 16 or plain[-short:] != bytes([short]) * short:
        raise ValueError("padding")
    return plain[:-short]


def _digest(public: Point, uid: bytes, message: bytes) -> int:
    curve = b"".join(n.to_bytes(32, "big") for n in (A, B, *G, *public))
    z = sm3((len(uid) * 8).to_bytes(2, "big") + uid + curve)
    return int.from_bytes(sm3(z + message), "big")


def _times(factor: int, point: Point) -> _Jacobian:
    result: _Jacobian = (1, 1, 0)
    for place, row in enumerate(_multiples(point)):
        result = _add(result, row[factor >> 4 * place & 15])
    return result


@lru_cache(maxsize=16)
def _multiples(point: Point) -> list[list[_Jacobian]]:
    """Of 64 hexadecimal digits, what each is worth: the few keys of this world are used over and over."""
    base: _Jacobian = (*point, 1)
    rows = []
    for _ in range(64):
        row: list[_Jacobian] = [(1, 1, 0), base]
        for _ in range(14):
            row.append(_add(row[-1], base))
        rows.append(row)
        base = _add(row[-1], base)
    return rows


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if not z:
        return point
    yy, zz = y * y % P, z * z % P
    s = 4 * x * yy % P
    m = 3 * (x - zz) * (x + zz) % P  # a = -3
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(one: _Jacobian, two: _Jacobian) -> _Jacobian:
    if not one[2] or not two[2]:
        return two if not one[2] else one
    (x1, y1, z1), (x2, y2, z2) = one, two
    zz1, zz2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * zz2 % P, x2 * zz1 % P
    s1, s2 = y1 * z2 * zz2 % P, y2 * z1 * zz1 % P
    h, r = (u2 - u1) % P, (s2 - s1) % P
    if not h:
        return _double(one) if not r else (1, 1, 0)
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, h * z1 * z2 % P


def _affine(point: _Jacobian) -> Point:
    x, y, z = point
    inverse = pow(z, -1, P)
    return x * inverse * inverse % P, y * inverse**3 % P
