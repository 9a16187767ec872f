"""Bundles that no packer makes: tar archives entry by entry, compressed with the system's zstd library."""

import ctypes
import io
import json
import tarfile

MODULE = b"\0asm\1\0\0\0"


def zstd(data, level=3):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    out = ctypes.create_string_buffer(library.ZSTD_compressBound(len(data)))
    size = library.ZSTD_compress(out, len(out), data, len(data), level)
    return out.raw[:size]


def entry(name, content=b"", kind=tarfile.REGTYPE, target=""):
    """A pair for `tar`: the name is written as it is."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, target, len(content), 0o644
    return info, content


def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def bundle(manifest, *more, module=MODULE):
    """The bytes of an unsigned bundle: manifest (an object or the very bytes), module, and more entries."""
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    return zstd(tar(entry("manifest.json", text), entry("dist/main.wasm", module), *more))
