#!/usr/bin/env python3
"""Makes the pictures in the folder `tolerated`: files that break a rule of their format, and that the common decoders show.

    python3 crates/picture/tests/pictures/tolerated.py

The letter at the beginning of a file's name is the kind of its fault. Comments in the scripts name the kinds, such as "C:".

Every picture shows four fields of one colour each. `tolerated/expected.txt` has a line for each file: the colours in the
middle of the four fields and the largest difference of a sample, or the error code and words of the message. The
colours are computed from the numbers that went into the file. LittleCMS computes the colours of files with a profile.

It needs Pillow, numpy, and jpegtran of libjpeg-turbo. It was run once, and its output is kept in git.
"""

import io
import struct

import numpy as np
from tolerated_cases import COLOURS, EXPECTED, HEIGHT, HERE, WIDTH, accept, fields, picture, refuse
from tolerated_jpeg import jpegs
from tolerated_png import pngs, profiled


# GIF


def lzw(indices, size, end=True, clear_every=0):
    """Writes each index as a code of its own. A clear code comes before the table needs longer codes."""
    clear, width = 1 << size, size + 1
    codes, count = [clear], 0
    for index in indices:
        codes.append(int(index))
        count += 1
        if count == (1 << size) - 2 or size == 1:
            codes.append(clear)
            count = 0
    codes += [clear + 1] if end else []
    bits = "".join(format(code, f"0{width}b")[::-1] for code in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def gif(indices, size, screen=(WIDTH, HEIGHT), frame=(0, 0, WIDTH, HEIGHT), palette=COLOURS, end=True, flags=0):
    bits = max(1, int(np.ceil(np.log2(len(palette)))))
    table = np.zeros((1 << bits, 3), "uint8")
    table[: len(palette)] = palette
    out = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80 | (bits - 1), 0, 0) + table.tobytes()
    out += b"," + struct.pack("<HHHHB", *frame, flags) + bytes([size])
    data = lzw(indices, size, end)
    for at in range(0, len(data), 255):
        block = data[at : at + 255]
        out += bytes([len(block)]) + block
    return out + b"\0;"


def gifs():
    indices = np.arange(4)[fields(np.arange(4))].ravel()
    flat = lambda w, h: fields(np.arange(4), (w, h)).ravel()
    # C: a first frame that is larger than the screen, or lies partly outside.
    accept("c-one-row-larger.gif", gif(flat(WIDTH, HEIGHT), 2, screen=(WIDTH, HEIGHT - 1)), 3)
    accept("c-one-column-larger.gif", gif(flat(WIDTH, HEIGHT), 2, screen=(WIDTH - 1, HEIGHT)), 3)
    accept("c-screen-0.gif", gif(flat(WIDTH, HEIGHT), 2, screen=(0, 0)), 3)
    accept("c-screen-1.gif", gif(flat(WIDTH, HEIGHT), 2, screen=(1, 1)), 3)
    off = gif(flat(WIDTH - 4, HEIGHT - 2), 2, screen=(WIDTH - 2, HEIGHT - 1), frame=(4, 2, WIDTH - 4, HEIGHT - 2))
    accept("c-off-the-screen.gif", off, 3)
    far = gif(flat(8, 8), 2, frame=(65000, 0, 8, 8))
    refuse("c-far-off.gif", far, "side_too_long", "65008 pixels")
    # I: indices of one bit.
    two = fields(np.array([0, 1, 0, 1])).ravel()
    sides = COLOURS[[0, 2, 0, 2]]
    accept("i-one-bit.gif", gif(two, 1, palette=COLOURS[[0, 2]]), 3, sides)
    accept("i-one-bit-interlaced.gif", gif(two, 1, palette=COLOURS[[0, 2]], flags=0x40), 3, sides)
    # L: fewer pixels than announced.
    for short in (1, 7, WIDTH, 2 * WIDTH + 1):
        accept(f"l-{short}-short.gif", gif(indices[:-short], 2), 3)
        accept(f"l-{short}-short-no-end-code.gif", gif(indices[:-short], 2, end=False), 3)
    whole = gif(indices, 2)
    refuse("l-cut.gif", whole[: len(whole) * 3 // 4], "broken_picture", "it ends too early")
    refuse("l-no-pixels.gif", gif([], 2), "broken_picture", "it ends too early")


# WebP


def webps():
    def saved(image, **options):
        file = io.BytesIO()
        image.save(file, "WEBP", **options)
        return file.getvalue()

    def extended(data, flags, *behind):
        """`data`, a file of one chunk, with an extended header that has these flags."""
        side = lambda length: struct.pack("<I", length - 1)[:3]
        body = b"VP8X" + struct.pack("<IB3x", 10, flags) + side(WIDTH) + side(HEIGHT) + data[12:] + b"".join(behind)
        return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body

    lossy, lossless = saved(picture(), quality=90), saved(picture(), lossless=True)
    # B: flags that promise chunks that are not there.
    for name, flag in (("icc", 0x20), ("alpha", 0x10), ("exif", 0x08), ("xmp", 0x04), ("animation", 0x02), ("all", 0x3E)):
        accept(f"b-{name}-lossy.webp", extended(lossy, flag), 10)
        accept(f"b-{name}-lossless.webp", extended(lossless, flag), 3)
    metadata = b"EXIF" + struct.pack("<I", 8) + b"II*\0\x08\0\0\0"
    accept("b-xmp-beside-exif.webp", extended(lossy, 0x0C, metadata), 10)
    accept("b-no-flags-but-exif.webp", extended(lossy, 0, metadata), 10)
    accept("b-behind-the-container.webp", lossy + b"JUNK\xff\xff\xff\x7fjunk", 10)


# BMP


def bmp(bits=24, header=40, compression=0, palette=None, pixels=None, masks=(), planes=1, reserved=0, top_down=False,
        offset=None, last_row=None, size=(WIDTH, HEIGHT), used=0):
    """A BMP. `pixels` are the stored bytes. If it is None, the four fields are stored with `bits` bits per pixel."""
    width, height = size
    if pixels is None:
        pixels = rows(bits, masks, top_down)
    if last_row is not None:
        pixels = pixels[:last_row]
    table = b""
    if palette is not None:
        entry = "<BBB" if header == 12 else "<BBBx"
        table = b"".join(struct.pack(entry, int(b), int(g), int(r)) for r, g, b in palette)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, planes, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if top_down else height, planes, bits, compression,
                           len(pixels), 2835, 2835, used, 0)
        if header > 40 and masks:
            info += struct.pack(f"<{len(masks)}I", *masks)
        info = info[:header] + bytes(max(0, header - len(info)))
        if header == 40 and masks:
            info += struct.pack(f"<{len(masks)}I", *masks)
    start = 14 + len(info) + len(table)
    start_ = start if offset is None else offset
    return b"BM" + struct.pack("<III", start + len(pixels), reserved, start_) + info + table + pixels


def rows(bits, masks=(), top_down=False, alpha=255):
    """The rows of the four fields, padded to words of 32 bits."""
    out = []
    numbers, colours = fields(np.arange(4)), fields()
    for y in range(HEIGHT):
        if bits == 24:
            row = colours[y][:, ::-1].astype("uint8").tobytes()
        elif bits in (16, 32):
            row = b""
            for colour in colours[y]:
                value = 0
                for mask, sample in zip(masks, (*colour, alpha)):
                    if mask:
                        low = (mask & -mask).bit_length() - 1
                        value |= round(sample / 255 * (mask >> low)) << low
                row += struct.pack("<H" if bits == 16 else "<I", value)
        else:
            line = "".join(format(n, f"0{bits}b") for n in numbers[y])
            line += "0" * (-len(line) % 8)
            row = bytes(int(line[i : i + 8], 2) for i in range(0, len(line), 8))
        out.append(row + bytes(-len(row) % 4))
    return b"".join(out if top_down else out[::-1])


RGB = (0xFF0000, 0xFF00, 0xFF)


def bmps():
    four = [*COLOURS]
    # Every depth and header.
    accept("p-rgb.bmp", bmp(), 3)
    accept("p-top-down.bmp", bmp(top_down=True), 3)
    for bits in (2, 4, 8):
        accept(f"p-{bits}-bits.bmp", bmp(bits, palette=four + [(0, 0, 0)] * ((1 << bits) - 4)), 3)
    accept("p-4-bits-four-colours.bmp", bmp(4, palette=four, used=4), 3)
    accept("p-1-bit.bmp", bmp(1, palette=COLOURS[[0, 3]], pixels=(b"\0\0\0\xff\xff\xff\0\0") * HEIGHT), 3,
           COLOURS[[0, 3, 0, 3]])
    accept("p-16-555.bmp", bmp(16, pixels=rows(16, (0x7C00, 0x3E0, 0x1F))), 5)
    accept("p-16-565.bmp", bmp(16, compression=3, masks=(0xF800, 0x7E0, 0x1F)), 5)
    accept("p-16-4444.bmp", bmp(16, 56, compression=3, masks=(0xF00, 0xF0, 0xF, 0xF000)), 9)
    accept("p-32.bmp", bmp(32, pixels=rows(32, RGB)), 3)
    accept("p-32-masks.bmp", bmp(32, compression=3, masks=(0xFF, 0xFF00, 0xFF0000)), 3)
    accept("p-32-ten-bits.bmp", bmp(32, compression=3, masks=(0x3FF00000, 0xFFC00, 0x3FF)), 3)
    accept("p-32-v3.bmp", bmp(32, 52, compression=3, masks=RGB), 3)
    accept("p-32-alpha-masks.bmp", bmp(32, compression=6, masks=(*RGB, 0xFF000000)), 3)
    # H: an alpha channel of zeros.
    for header in (56, 108, 124):
        data = bmp(32, header, compression=3, masks=(*RGB, 0xFF000000), pixels=rows(32, (*RGB, 0xFF000000), alpha=0))
        accept(f"h-{header}-alpha-0.bmp", data, 3)
    # J, R: reserved bytes and planes.
    accept("j-reserved-mark.bmp", bmp(reserved=0x4B52414D), 3)
    accept("r-planes-0.bmp", bmp(planes=0), 3)
    accept("r-planes-7-os2.bmp", bmp(header=12, planes=7), 3)
    # P: OS/2.
    for header in (16, 24, 36, 42, 48, 64):
        accept(f"p-os2-{header}.bmp", bmp(header=header), 3)
    accept("p-os2-64-palette.bmp", bmp(8, 64, palette=four + [(0, 0, 0)] * 252), 3)
    accept("p-os2-12.bmp", bmp(header=12), 3)
    accept("p-os2-12-four-colours.bmp", bmp(8, 12, palette=four), 3)
    refuse("p-os2-huffman.bmp", bmp(1, 64, compression=3, palette=four[:2], pixels=bytes(64)), "unsupported_type",
           "Huffman")
    half = WIDTH // 2
    runs = lambda code: b"".join((code(2) + code(3) if y < HEIGHT // 2 else code(0) + code(1)) + b"\0\0" for y in range(HEIGHT))
    of = lambda n: bytes(int(v) for v in COLOURS[n][::-1])
    accept("p-os2-rle24.bmp", bmp(24, 64, compression=4, pixels=runs(lambda n: bytes([half]) + of(n)) + b"\0\1"), 3)
    # Run lengths.
    filled = four + [(0, 0, 0)] * 252
    rle8 = runs(lambda n: bytes([half, n]))
    accept("p-rle8.bmp", bmp(8, compression=1, palette=filled, pixels=rle8 + b"\0\1"), 3)
    accept("p-rle8-no-end.bmp", bmp(8, compression=1, palette=filled, pixels=rle8[:-2]), 3)
    literal = runs(lambda n: bytes([0, 5] + [n] * 5 + [0]) + bytes([half - 5, n]))
    accept("p-rle8-literals.bmp", bmp(8, compression=1, palette=filled, pixels=literal + b"\0\1"), 3)
    accept("p-rle4.bmp", bmp(4, compression=2, palette=filled[:16], pixels=runs(lambda n: bytes([half, n * 17])) + b"\0\1"), 3)
    literal = runs(lambda n: bytes([0, 5] + [n * 17] * 3 + [0]) + bytes([half - 5, n * 17]))
    accept("p-rle4-literals.bmp", bmp(4, compression=2, palette=filled[:16], pixels=literal + b"\0\1"), 3)
    refuse("p-rle8-cut.bmp", bmp(8, compression=1, palette=filled, pixels=rle8[:40]), "broken_picture", "it ends too early")
    for compression, word in ((4, "JPEG"), (5, "PNG"), (11, "CMYK")):
        refuse(f"p-{word.lower()}-inside.bmp", bmp(compression=compression), "unsupported_type", word)
    # Q: the last row without padding.
    for bits, table, needed in ((24, None, 0), (4, filled[:16], 0), (2, four, 0)):
        for width in (33, 35):
            w = width
            numbers = fields(np.arange(4), (w, HEIGHT))
            if bits == 24:
                lines = [row[:, ::-1].astype("uint8").tobytes() for row in fields(size=(w, HEIGHT))]
            else:
                lines = []
                for row in numbers:
                    line = "".join(format(n, f"0{bits}b") for n in row)
                    line += "0" * (-len(line) % 8)
                    lines.append(bytes(int(line[i : i + 8], 2) for i in range(0, len(line), 8)))
            data = b"".join(line + bytes(-len(line) % 4) for line in lines[::-1][:-1]) + lines[0]
            accept(f"q-{bits}-bits-{width}.bmp", bmp(bits, palette=table, pixels=data, size=(w, HEIGHT)), 3)
            refuse(f"q-{bits}-bits-{width}-cut.bmp", bmp(bits, palette=table, pixels=data[:-1], size=(w, HEIGHT)),
                   "broken_picture", "it ends too early")
    # The position of the pixels is missing.
    accept("q-no-position.bmp", bmp(offset=0), 3)


def main():
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    for make in (jpegs, pngs, profiled, gifs, webps, bmps):
        make()
    (HERE / "expected.txt").write_text("\n".join(EXPECTED) + "\n")


if __name__ == "__main__":
    main()
