#!/usr/bin/env python3
"""Makes the pictures in the folder `field`: files that break a rule of their format, and that the decoders of the field show.

    python3 crates/picture/tests/pictures/field.py

Every picture shows four fields of one colour each. `field/expected.txt` has a line for each file: the colours in the
middle of the four fields and the largest difference of a sample, or the error code and words of the message. The
colours are computed here, from the numbers that went into the file, and not by any decoder.

Needs Pillow, numpy, and jpegtran of libjpeg-turbo. Run once; what it made is kept in git.
"""

import io
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import profiles
from PIL import Image, ImageCms

HERE = Path(__file__).parent / "field"
COLOURS = np.array([(215, 45, 45), (40, 170, 70), (50, 75, 205), (230, 215, 120)], float)
WIDTH, HEIGHT = 48, 32
EXPECTED = []


def fields(colours=COLOURS, size=(WIDTH, HEIGHT)):
    """Four fields of these colours, as an array of rows."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    return np.asarray(colours)[(rows >= size[1] // 2) * 2 + (columns >= size[0] // 2)]


def picture(mode="RGB"):
    return Image.fromarray(fields().astype("uint8"), "RGB").convert(mode)


def accept(name, data, tolerance, colours=COLOURS):
    (HERE / name).write_bytes(data)
    points = " ".join(",".join(str(int(round(sample))) for sample in colour) for colour in np.clip(colours, 0, 255))
    EXPECTED.append(f"{name} accepted {tolerance} {points}")


def refuse(name, data, code, words):
    (HERE / name).write_bytes(data)
    EXPECTED.append(f"{name} {code} {words}")


def gray(colours=COLOURS):
    light = np.asarray(colours) @ (0.299, 0.587, 0.114)
    return np.stack([light] * 3, -1)


# JPEG


def jpeg(image=None, **options):
    file = io.BytesIO()
    (image or picture()).save(file, "JPEG", **{"quality": 90, "subsampling": 0, **options})
    return file.getvalue()


def with_scans(data, script):
    """The same coefficients in other scans."""
    Path("/tmp/scans.txt").write_text(script)
    return subprocess.run(["jpegtran", "-scans", "/tmp/scans.txt"], input=data, capture_output=True, check=True).stdout


def segments(data):
    """The segments of a file, each scan with its data."""
    found, at = [data[:2]], 2
    while at < len(data):
        end = at + 2 if data[at + 1] == 0xD9 else at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xDA:
            while not (data[end] == 0xFF and data[end + 1] not in (0, *range(0xD0, 0xD8))):
                end += 1
        found.append(data[at:end])
        at = end
    return found


def changed(data, marker, change):
    """`data` with every segment of `marker` changed by `change`, which gets and returns the whole segment."""
    return b"".join(change(bytearray(s)) if s[1] == marker else s for s in segments(data))


def put(at, *values):
    def change(segment):
        segment[at : at + len(values)] = bytes(values)
        return bytes(segment)

    return change


def jpegs():
    plain, chroma, light = jpeg(), jpeg(subsampling=2), jpeg(picture("L"))
    # A: the spectral and approximation parameters of a baseline scan.
    for name, data, components in (("444", plain, 3), ("420", chroma, 3), ("gray", light, 1)):
        colours = gray() if name == "gray" else COLOURS
        for band, numbers in (("63-0", (63, 0, 0)), ("0-0", (0, 0, 0)), ("1-99", (1, 99, 0x5E))):
            data_ = changed(data, 0xDA, put(5 + 2 * components, *numbers))
            accept(f"a-{name}-band-{band}.jpg", data_, 14, colours)
    apart = with_scans(plain, "0;1;2;")
    accept("a-three-scans-band-63-0.jpg", changed(apart, 0xDA, put(7, 63, 0, 0)), 14)
    refuse("a-progressive-band-63-0.jpg", changed(jpeg(progressive=True), 0xDA, put(11, 63, 0)), "broken_picture",
           "scan header")
    # D: a progressive file that was cut off.
    progressive = jpeg(progressive=True, subsampling=2)
    accept("d-no-end.jpg", progressive[:-2], 14)
    scans = [i for i, s in enumerate(segments(progressive)) if s[1] == 0xDA]
    parts = segments(progressive)
    upto = lambda scan, more: b"".join(parts[: scans[scan]]) + parts[scans[scan]][:more]
    # After one scan the blocks are smoothed, and their colours reach into one another.
    accept("d-one-scan.jpg", upto(1, 0), 20)
    accept("d-one-scan-and-end.jpg", upto(1, 0) + b"\xff\xd9", 20)
    for scan in (1, 3, 5, len(scans) - 1):
        tolerance = 20 if scan == 1 else 14
        accept(f"d-cut-in-scan-{scan}.jpg", upto(scan, len(parts[scans[scan]]) - 2), tolerance)
        accept(f"d-cut-in-header-{scan}.jpg", upto(scan, 5), tolerance)
    refuse("d-cut-in-scan-0.jpg", upto(0, len(parts[scans[0]]) - 4), "broken_picture", "it ends too early")
    restarts = jpeg(progressive=True, restart_marker_blocks=2)
    accept("d-restarts-no-end.jpg", restarts[:-2], 14)
    accept("d-restarts-cut.jpg", restarts[:-12], 14)
    # E: four components with an Adobe transform other than 0.
    c, m, y = (255 - band for band in np.moveaxis(fields(), -1, 0))
    luma = Image.fromarray(np.stack([c, m, y], -1).astype("uint8"), "RGB").convert("YCbCr").split()
    black = Image.new("L", (WIDTH, HEIGHT), 0)
    ycck = jpeg(Image.merge("CMYK", (*(Image.eval(band, lambda v: 255 - v) for band in luma), black)))
    for transform in (1, 2, 3, 255):
        at = ycck.index(b"Adobe") + 11
        accept(f"e-transform-{transform}.jpg", ycck[:at] + bytes([transform]) + ycck[at + 1 :], 18)
    # F: no Huffman tables.
    without = lambda data: changed(data, 0xC4, lambda segment: b"")
    accept("f-no-tables.jpg", without(plain), 14)
    accept("f-no-tables-420.jpg", without(chroma), 14)
    accept("f-no-tables-gray.jpg", without(light), 14, gray())
    accept("f-no-tables-restarts.jpg", without(jpeg(restart_marker_blocks=2)), 14)
    refuse("f-no-tables-progressive.jpg", without(jpeg(progressive=True)), "broken_picture", "a Huffman table is missing")
    # K: quantization tables that change between the scans of a progressive file.
    script = "0:0-0,0,0;1:0-0,0,0;2:0-0,0,0;0:1-63,0,0;1:1-63,0,0;2:1-63,0,0;"
    parts = segments(with_scans(plain, script))
    table = {s[4] & 15: s for s in parts if s[1] == 0xDB and len(s) == 69}
    slot_0 = lambda segment: segment[:4] + b"\0" + segment[5:]
    nonsense = b"\xff\xdb\0\x43\0" + bytes([99] * 64)
    out, scan = [], 0
    for segment in parts:
        if segment[1] == 0xDB and segment[4] & 15 == 1:
            continue
        if segment[1] == 0xC2:
            segment = bytearray(segment)
            segment[15] = segment[18] = 0
        if segment[1] == 0xDA:
            # Before the second component its own table, and later one that no component uses.
            out.append({1: slot_0(table[1]), 3: nonsense}.get(scan, b""))
            scan += 1
        out.append(bytes(segment))
    accept("k-table-between-scans.jpg", b"".join(out), 14)
    # N: component ids that are not unique.
    def same_ids(data, *ids):
        frame = lambda segment: put(10, *sum(([i, segment[11 + 3 * n], segment[12 + 3 * n]] for n, i in enumerate(ids)), []))(segment)
        scan = lambda segment: put(5, *sum(([i, segment[6 + 2 * n]] for n, i in enumerate(ids)), []))(segment)
        return changed(changed(data, 0xC0, frame), 0xDA, scan)
    accept("n-ids-0-0-0.jpg", same_ids(plain, 0, 0, 0), 14)
    accept("n-ids-1-1-2.jpg", same_ids(chroma, 1, 1, 2), 14)
    accept("n-ids-1-2-2.jpg", same_ids(chroma, 1, 2, 2), 14)
    # O: restart markers with other numbers.
    data = jpeg(restart_marker_blocks=4)
    accept("o-marker-behind.jpg", data[:-2] + b"\xff\xd3" + data[-2:], 14)
    accept("o-markers-behind.jpg", data[:-2] + b"\xff\xd7\xff\xd7\xff\xd0" + data[-2:], 14)
    scan = bytearray(data)
    for at in range(scan.index(b"\xff\xda"), len(scan) - 1):
        if scan[at] == 0xFF and scan[at + 1] in range(0xD0, 0xD8):
            scan[at + 1] = 0xD0
    accept("o-markers-all-0.jpg", bytes(scan), 14)


# PNG


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(image=None, *extra, **options):
    """A PNG with `extra` chunks before its pixels."""
    file = io.BytesIO()
    (image or picture()).save(file, "PNG", **options)
    data = file.getvalue()
    return data[:33] + b"".join(extra) + data[33:]


def srgb_of(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def light_of(colours):
    v = np.asarray(colours) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def xyz_matrix(white, *primaries):
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    x, y = white
    return columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y]))


D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))


def from_primaries(light, primaries):
    """Light of these primaries as sRGB. All have the same white."""
    matrix = np.linalg.inv(xyz_matrix(D65, *SRGB)) @ xyz_matrix(D65, *primaries)
    return srgb_of(light @ matrix.T)


def chrm(primaries):
    return chunk(b"cHRM", struct.pack(">8I", *(round(v * 100000) for v in (*D65, *sum(primaries, ())))))


def gama(exponent):
    return chunk(b"gAMA", struct.pack(">I", exponent))


def cicp(*codes):
    return chunk(b"cICP", bytes(codes))


def pngs():
    # M: no end chunk.
    interlaced = INTERLACED
    for name, data, colours in (("rgb", png(), COLOURS), ("gray", png(picture("L")), gray()),
                                ("palette", png(picture().quantize(4)), COLOURS), ("interlaced", interlaced, COLOURS)):
        accept(f"m-{name}-no-end.png", data[:-12], 3, colours)
        accept(f"m-{name}-cut-in-end.png", data[:-9], 3, colours)
        accept(f"m-{name}-cut-in-checksum.png", data[:-14], 3, colours)
        refuse(f"m-{name}-cut-in-pixels.png", data[: data.index(b"IDAT") + 14], "broken_picture", "it ends too early")
    # S: Apple's variety.
    rows = b"".join(b"\0" + row.tobytes() for row in fields().astype("uint8"))
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = body.compress(rows) + body.flush()
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"\x50\0\x20\x02")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
    refuse("s-cgbi.png", head + header + chunk(b"IDAT", body) + chunk(b"IEND"), "unsupported_type", "CgBI")
    # G: colours by numbers.
    linear, bright = srgb_of(COLOURS / 255), srgb_of((COLOURS / 255) ** 1.5)
    for name, image, colours in (("rgb", picture(), linear), ("palette", picture().quantize(4), linear),
                                 ("rgba", picture("RGBA"), linear)):
        accept(f"g-gamma-1-{name}.png", png(image, gama(100000)), 3, colours)
    accept("g-gamma-1-gray.png", png(picture("L"), gama(100000)), 3, srgb_of(gray() / 255))
    accept("g-gamma-0.667.png", png(None, gama(66667)), 3, bright)
    accept("g-gamma-0.455.png", png(None, gama(45455)), 3)
    accept("g-gamma-0.4545-with-srgb-primaries.png", png(None, gama(45450), chrm(SRGB)), 3)
    accept("g-gamma-1-but-srgb.png", png(None, gama(100000), chunk(b"sRGB", b"\0")), 3)
    accept("g-gamma-0.png", png(None, gama(0)), 3)
    p3 = from_primaries(light_of(COLOURS), P3)
    accept("g-primaries-p3.png", png(None, chrm(P3)), 4, p3)
    accept("g-primaries-p3-gamma-0.455.png", png(None, gama(45455), chrm(P3)), 4, p3)
    accept("g-primaries-p3-gamma-1.png", png(None, gama(100000), chrm(P3)), 4, from_primaries(COLOURS / 255, P3))
    accept("g-primaries-p3-gray.png", png(picture("L"), chrm(P3)), 3, gray())
    accept("g-primaries-nonsense.png", png(None, chunk(b"cHRM", bytes(32))), 3)
    accept("g-cicp-p3.png", png(None, cicp(12, 13, 0, 1)), 4, p3)
    accept("g-cicp-srgb.png", png(None, cicp(1, 13, 0, 1)), 3)
    accept("g-cicp-srgb-before-gamma.png", png(None, gama(100000), cicp(1, 13, 0, 1)), 3)
    accept("g-cicp-p3-before-srgb.png", png(None, chunk(b"sRGB", b"\0"), cicp(12, 13, 0, 1)), 4, p3)
    icc = profiles.adobe_rgb()
    iccp = chunk(b"iCCP", b"adobe\0\0" + zlib.compress(icc))
    accept("g-cicp-p3-before-profile.png", png(None, iccp, cicp(12, 13, 0, 1)), 4, p3)
    adobe = ImageCms.profileToProfile(picture(), ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB"))
    adobe = np.asarray(adobe)[[8, 8, 24, 24], [12, 36, 12, 36]]
    accept("g-profile-before-gamma.png", png(None, iccp, gama(100000)), 4, adobe)
    accept("g-cicp-unspecified-then-gamma.png", png(None, gama(100000), cicp(2, 2, 0, 1)), 3, linear)
    accept("g-cicp-linear-2020.png", png(None, cicp(9, 8, 0, 1)), 4, from_primaries(COLOURS / 255, BT2020))
    accept("g-cicp-narrow.png", png(None, cicp(1, 13, 0, 0)), 4, (COLOURS - 16) * 255 / 219)
    # High dynamic range: a white page of 203 cd/m2 becomes white.
    v = (COLOURS / 255) ** (1 / 78.84375)
    pq = (np.maximum(v - 0.8359375, 0) / (18.8515625 - 18.6875 * v)) ** (1 / 0.1593017578125) * 10000 / 203
    accept("g-cicp-pq.png", png(None, cicp(9, 16, 0, 1)), 5, from_primaries(np.clip(pq, 0, 1), BT2020))


# Profiles


def profiled():
    """T: the darkest colour of a profile becomes black, as LittleCMS does it for the perceptual intent."""
    inks = np.array([(255, 255, 255, 255), (0, 0, 0, 255), (200, 180, 190, 100), (60, 50, 40, 60)], "uint8")
    lights = np.array([(0, 0, 0), (20, 30, 25), (90, 100, 110), (200, 180, 160)], "uint8")

    def expect(name, image, icc, tolerance, **options):
        file = io.BytesIO()
        image.save(file, icc_profile=icc, **options)
        read = Image.open(file)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        read = ImageCms.profileToProfile(read, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        accept(name, file.getvalue(), tolerance, np.asarray(read)[[8, 8, 24, 24], [12, 36, 12, 36]])

    for name, black, version in (("0", (0, 0, 0), 0x0210_0000), ("gray", (0.03, 0.03, 0.03), 0x0210_0000),
                                 ("tinted", (0.016, 0.015, 0.026), 0x0210_0000), ("light", (0.1, 0.09, 0.08), 0x0210_0000),
                                 ("version-4", (0.016, 0.015, 0.026), 0x0420_0000)):
        image = Image.fromarray(fields(inks).astype("uint8"), "CMYK")
        expect(f"t-press-black-{name}.jpg", image, profiles.press(black, version), 4, format="JPEG", quality=95)
    for name, black in (("0", (0, 0, 0)), ("gray", (0.03, 0.03, 0.03)), ("tinted", (0.01, 0.02, 0.04))):
        image = Image.fromarray(fields(lights).astype("uint8"), "RGB")
        expect(f"t-screen-black-{name}.png", image, profiles.screen(black), 3, format="PNG")


# GIF


def lzw(indices, size, end=True, clear_every=0):
    """Codes of literals only. A clear code before the table would grow to longer codes keeps their length."""
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
    """A BMP. `pixels` are the stored bytes; without it, rows of `bits` bits."""
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
    """The rows of the four fields, padded to words."""
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
            colours = COLOURS
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


def interlaced_png():
    """An interlaced PNG, which Pillow does not write."""
    colours, data = fields().astype("uint8"), b""
    for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        data += b"".join(b"\0" + row.tobytes() for row in colours[y::dy, x::dx])
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND")


INTERLACED = interlaced_png()


def main():
    HERE.mkdir(exist_ok=True)
    for old in HERE.iterdir():
        old.unlink()
    for make in (jpegs, pngs, profiled, gifs, webps, bmps):
        make()
    (HERE / "expected.txt").write_text("\n".join(EXPECTED) + "\n")


if __name__ == "__main__":
    main()
