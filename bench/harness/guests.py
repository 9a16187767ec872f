"""Guest modules (ABI v1) made to measure: any number of different ones, of any size.

A module answers with its own number, so that a call proves which module ran. What fills it up to its size is real code
of distinct constants (it has to be compiled, verified and mapped, and hardly compresses) and, above CODE_LIMIT, random
data: 10 MB modules are mostly data in practice, and the compile, which no figure here counts, stays bearable.
"""

import random
import subprocess
import tempfile
from pathlib import Path

from harness.paths import ROOT

CLANG = [
    *("clang-19", "--target=wasm32", "-std=c17", "-O2", "-mbulk-memory", "-ffreestanding", "-nostdlib"),
    *("-Wl,--no-entry", "-Wl,--stack-first", "-Wl,-z,stack-size=8192", "-Wl,--strip-all"),
]
CODE_LIMIT = 2 << 20
FUNCTION_STEPS = 24
PAGE = 1 << 16
I32 = b"\x7f"


def unsigned(number):
    out = bytearray()
    while True:
        number, byte = number >> 7, number & 0x7F
        if not number:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def signed(number):
    out = bytearray()
    while True:
        number, byte = number >> 7, number & 0x7F
        if (number, byte & 0x40) in ((0, 0), (-1, 0x40)):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def vector(items):
    return unsigned(len(items)) + b"".join(items)


def section(number, content):
    return bytes([number]) + unsigned(len(content)) + content


def sized(content):
    return unsigned(len(content)) + content


def function(code):
    return sized(b"\x00" + code + b"\x0b")  # no locals


def filler(source):
    """A function of FUNCTION_STEPS additions and exclusive ors with constants of its own: about 180 bytes."""
    code = bytearray(b"\x20\x00")  # local.get 0
    for step in range(FUNCTION_STEPS):
        code += b"\x41" + signed(source.getrandbits(31))  # i32.const
        code += b"\x6a" if step % 2 else b"\x73"  # i32.add, i32.xor
    return function(bytes(code))


def module(number, size=0):
    """The module of that number, of about `size` bytes (at least about 200). Its answer's body is `body(number)`."""
    source = random.Random(number)
    fillers, code_size = [], 0
    while code_size < min(size - 256, CODE_LIMIT):
        fillers.append(filler(source))
        code_size += len(fillers[-1])
    answer = body(number)
    data = answer + source.randbytes(max(0, size - 256 - code_size))
    data_at = 1024
    heap_at = (data_at + len(data) + 15) & ~15
    pages = (heap_at + PAGE) // PAGE + 1

    def const(value):
        return b"\x41" + signed(value)

    store = b"\x36\x02"  # i32.store, aligned
    alloc = const(heap_at)  # one request per instance
    handler = (
        b"\x20\x02" + const(data_at) + store + b"\x00" + b"\x20\x02" + const(len(answer)) + store + b"\x04" + const(0)
    )
    unary, ternary = b"\x60" + vector([I32]) + vector([I32]), b"\x60" + vector([I32] * 3) + vector([I32])
    exports = [sized(b"memory") + b"\x02\x00", sized(b"alloc") + b"\x00\x00", sized(b"handler") + b"\x00\x01"]
    return (
        b"\x00asm\x01\x00\x00\x00"
        + section(1, vector([unary, ternary]))
        + section(3, vector([b"\x00", b"\x01", *[b"\x00"] * len(fillers)]))
        + section(5, vector([b"\x00" + unsigned(pages)]))
        + section(7, vector(exports))
        + section(10, vector([function(alloc), function(handler), *fillers]))
        + section(11, vector([b"\x00" + const(data_at) + b"\x0b" + sized(data)]))
    )


def body(number):
    return b"guest %d" % number


def compiled(name, macros):
    """The module of bench/guests/NAME.c with these macros."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "guest.wasm"
        defines = [f"-D{macro}={value}" for macro, value in macros.items()]
        subprocess.run([*CLANG, *defines, "-o", out, ROOT / "bench" / "guests" / f"{name}.c"], check=True)
        return out.read_bytes()
