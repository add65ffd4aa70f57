"""Colour profiles for the pictures of this folder, written from the numbers of their definitions (ICC.1:2010).

Called by make.py and tolerated_png.py. The profiles are computed, so that they are small and under no copyright.
"""

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
# Adobe RGB (1998): its primaries, adapted to D50 by Bradford's method, one row each for red, green and blue.
ADOBE = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]


def adobe_rgb():
    columns = {name: xyz(*value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE)}
    curves = {name: gamma(563 / 256) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return profile(b"mntr", b"RGB ", b"XYZ ", {**columns, **curves})


def gray_gamma(value):
    return profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(value)})


def press(black=(0, 0, 0), version=0x0210_0000):
    """A press with impure inks: the colour that remains of the light, as Lab, on a grid of five steps for each ink.

    `black` is the light that all inks together leave, in red, green and blue.
    """
    steps = np.linspace(0, 1, 5)
    c, m, y, k = np.meshgrid(steps, steps, steps, steps, indexing="ij")
    # The part of red, green and blue light that passes each ink.
    light = [
        (1 - 0.93 * c) * (1 - 0.12 * m) * (1 - 0.03 * y) * (1 - 0.94 * k),
        (1 - 0.35 * c) * (1 - 0.88 * m) * (1 - 0.08 * y) * (1 - 0.94 * k),
        (1 - 0.15 * c) * (1 - 0.45 * m) * (1 - 0.85 * y) * (1 - 0.94 * k),
    ]
    light = [channel * (1 - rest) + rest for channel, rest in zip(light, black)]
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table(light)}, version)


def screen(black):
    """A screen whose black has this light, as a table of nine steps for each channel."""
    steps = np.linspace(0, 1, 9)
    light = [channel**2.2 * (1 - rest) + rest for channel, rest in zip(np.meshgrid(steps, steps, steps, indexing="ij"), black)]
    return profile(b"mntr", b"RGB ", b"Lab ", {b"A2B0": table(light)})


def table(light):
    """A table from the device's values to Lab, from the light in red, green and blue at each point of its grid."""
    # sRGB's primaries at D50, the light taken as linear.
    primaries = np.array([(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7142)])
    ratio = np.tensordot(np.stack(light, -1), primaries, 1) / D50
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)
    grid = np.clip(np.round(lab * [2.55, 1, 1] + [0, 128, 128]), 0, 255).astype(np.uint8)
    same = bytes(range(256))
    unit = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    inputs, steps = light[0].ndim, len(light[0])
    return b"mft1\0\0\0\0" + bytes([inputs, 3, steps, 0]) + unit + same * inputs + grid.tobytes() + same * 3


def xyz(x, y, z):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def profile(kind, space, connection, tags, version=0x0210_0000):
    name = b"A test's"
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0CC0\0", b"wtpt": xyz(*D50), **tags}
    at, table, data = 132 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", at + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    size = at + len(data)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), version, kind, space, connection)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + xyz(*D50)[8:]
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data
