"""PNG files for `tolerated.py`, and colour profiles."""

import io
import struct
import zlib

import numpy as np
import profiles
from PIL import Image, ImageCms
from tolerated_cases import COLOURS, HEIGHT, WIDTH, accept, fields, gray, picture, refuse


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


def interlaced_png():
    """An interlaced PNG, which Pillow does not write."""
    colours, data = fields().astype("uint8"), b""
    for x, y, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        data += b"".join(b"\0" + row.tobytes() for row in colours[y::dy, x::dx])
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND")


INTERLACED = interlaced_png()


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
