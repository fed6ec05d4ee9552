#!/usr/bin/env python3
"""Writes the tensors of all_types() in tests/test_safetensors.c with the reference implementation and prints the
SHA-256 that the test compares with.  Needs `pip install safetensors` (made with 0.8.0); numpy is not needed.
usage: safetensors_golden.py OUT.safetensors"""
import ctypes
import hashlib
import struct
import sys

from safetensors import TensorSpec, serialize

FLOATS = struct.pack("<4f", 1, -2.5, 2.0**-149, 3.25)
TENSORS = {
    "b.u8": ("uint8", [3], bytes([0, 1, 255])), "bool": ("bool", [3], bytes([0, 1, 1])),
    "i8": ("int8", [3], struct.pack("<3b", -128, 0, 127)), "i16": ("int16", [3], struct.pack("<3h", -32768, 7, 32767)),
    "u16": ("uint16", [3], struct.pack("<3H", 0, 7, 65535)),
    "f16": ("float16", [3], struct.pack("<3H", 0x3C00, 0xC000, 1)),
    "bf16": ("bfloat16", [3], struct.pack("<3H", 0x3F80, 0xC000, 1)),
    "i32": ("int32", [3], struct.pack("<3i", -2**31, 7, 2**31 - 1)),
    "u32": ("uint32", [3], struct.pack("<3I", 0, 7, 2**32 - 1)), "weight": ("float32", [2, 2], FLOATS),
    "f64": ("float64", [3], struct.pack("<3d", 1, -2.5, 2.0**-1074)),
    "i64": ("int64", [3], struct.pack("<3q", -2**63, 7, 2**63 - 1)),
    "u64": ("uint64", [3], struct.pack("<3Q", 0, 7, 2**63 - 1)), "a.u8": ("uint8", [3], bytes([0, 1, 255])),
    "empty": ("float32", [0], b""), "empty2": ("float64", [2, 0, 5], b""),
    'scalar "\u00e9\\': ("float32", [], FLOATS[:4]),
}
buffers = {k: ctypes.create_string_buffer(v, max(len(v), 1)) for k, (_, _, v) in TENSORS.items()}
specs = {k: TensorSpec(dtype=d, shape=s, data_ptr=ctypes.addressof(buffers[k]), data_len=len(v))
         for k, (d, s, v) in TENSORS.items()}
data = serialize(specs, {"format": "p\n\x01t"})
with open(sys.argv[1], "wb") as f:
    f.write(data)
print(len(data), hashlib.sha256(data).hexdigest())
