#!/usr/bin/env python3
"""Makes the pictures in this folder and, beside each, a reference picture: its expected look at 64 pixels.

    python3 crates/picture/tests/pictures/make.py SKIMAGE_DATA

The photographs are scikit-image's, in its folder `skimage/data`: `astronaut` (NASA, public domain), `chelsea` (Stéfan van
der Walt, CC0), `rocket` (SpaceX, CC0), `logo` (scikit-image). The pictures are written by Pillow and libvips. For the
references they are read back, converted by LittleCMS, turned and scaled by Pillow. None of these
programs shares code with the engine.

It needs Pillow and pyvips[binary]. It was run once, and its output is kept in git.
"""

import io
import struct
import sys
from pathlib import Path

import profiles
import pyvips
from PIL import Image, ImageChops, ImageCms, ImageOps

HERE = Path(__file__).parent
DATA = Path(sys.argv[1])
TURN = Image.Transpose
KEPT = (".py", ".md")


def load(name, size):
    return Image.open(DATA / name).convert("RGBA" if name == "logo.png" else "RGB").resize(size, Image.Resampling.LANCZOS)


ROCKET = load("rocket.jpg", (135, 90))
CAT = load("chelsea.png", (123, 82))
FACE = Image.open(DATA / "astronaut.png").convert("RGB").crop((120, 0, 330, 210)).resize((101, 101), Image.Resampling.LANCZOS)
LOGO = load("logo.png", (96, 96))
# Makes the logo round, with a soft edge. Its invisible pixels are black.
DISC = Image.radial_gradient("L").resize(LOGO.size).point(lambda v: max(0, min(255, 8 * (160 - v))))
LOGO = Image.composite(LOGO, Image.new("RGBA", LOGO.size), DISC)
LOGO.putalpha(DISC)
P3 = pyvips.Image.black(1, 1).bandjoin([0, 0]).copy(interpretation="srgb").icc_transform("p3").get("icc-profile-data")
SRGB = ImageCms.createProfile("sRGB")


def vips(image):
    return pyvips.Image.new_from_array(__import__("numpy").asarray(image))


def upright(path):
    """The picture as it should be seen: first frame, sRGB, turned."""
    image = Image.open(path)
    icc = image.info.get("icc_profile")
    orientation = image.getexif().get(0x0112, 1)
    if image.mode == "I;16":
        image = image.point(lambda v: v / 257).convert("L")
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if icc and image.mode in ("L", "RGB", "CMYK"):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        image = ImageCms.profileToProfile(image, profile, SRGB, outputMode="RGB")
    elif image.mode == "CMYK":
        c, m, y, k = image.split()
        image = Image.merge("RGB", [ImageChops.multiply(*map(ImageChops.invert, (ink, k))) for ink in (c, m, y)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.info["exif"] = exif.tobytes()
    turns = {2: TURN.FLIP_LEFT_RIGHT, 3: TURN.ROTATE_180, 4: TURN.FLIP_TOP_BOTTOM, 5: TURN.TRANSPOSE,
             6: TURN.ROTATE_270, 7: TURN.TRANSVERSE, 8: TURN.ROTATE_90}
    return image.transpose(turns[orientation]) if orientation in turns else image


def expect(name):
    """Writes the reference picture of `name`, which fits into 64 x 64."""
    image = upright(HERE / name)
    alpha = image.mode in ("RGBA", "LA")
    image = image.convert("RGBA").convert("RGBa") if alpha else image.convert("RGB")
    scale = min(1, 64 / max(image.size))
    size = [max(1, round(side * scale)) for side in image.size]
    image = image.resize(size, Image.Resampling.LANCZOS).convert("RGBA" if alpha else "RGB")
    image.save(HERE / f"{name}.png", optimize=True)


def profiled():
    """Pictures in the colours of cameras and presses."""
    adobe, gray = profiles.adobe_rgb(), profiles.gray_gamma(1.8)
    wide = ImageCms.profileToProfile(FACE, SRGB, ImageCms.ImageCmsProfile(io.BytesIO(adobe)), outputMode="RGB")
    wide.save(HERE / "adobe-rgb.jpg", quality=90, subsampling=0, icc_profile=adobe)
    wide.save(HERE / "adobe-rgb.png", icc_profile=adobe)
    CAT.convert("L").save(HERE / "gray-gamma.jpg", quality=90, icc_profile=gray)
    CAT.convert("L").save(HERE / "gray-gamma.png", icc_profile=gray)
    # Four inks, with a part of the colour printed in black, as by a press.
    c, m, y = map(ImageChops.invert, CAT.split())
    k = ImageChops.darker(ImageChops.darker(c, m), y).point(lambda v: v * 3 // 4)
    c, m, y = (ImageChops.subtract(ink, k) for ink in (c, m, y))
    inked = Image.merge("CMYK", (c, m, y, k))
    inked.save(HERE / "cmyk-icc.jpg", quality=90, icc_profile=profiles.press())
    # Adobe's YCCK, which Pillow reads but does not write. Ink is treated as light and converted to luma and chroma, and
    # black is inverted. The file is written as four components without a meaning. Then Adobe's segment says YCCK.
    luma = Image.merge("RGB", (c, m, y)).convert("YCbCr").split()
    for name, icc in (("ycck", None), ("ycck-icc", profiles.press())):
        # Pillow inverts all four components when it writes them.
        parts = Image.merge("CMYK", (*map(ImageChops.invert, luma), k))
        file = io.BytesIO()
        parts.save(file, "JPEG", quality=90, icc_profile=icc)
        file = bytearray(file.getvalue())
        file[file.index(b"Adobe") + 11] = 2
        (HERE / f"{name}.jpg").write_bytes(file)


def icons():
    """Icons with PNG entries and with BMP entries, the largest not first, and an icon with transparency only in its mask."""
    sizes = [(16, 16), (96, 96), (48, 48)]
    LOGO.save(HERE / "icon.ico", sizes=sizes)
    LOGO.save(HERE / "icon-bmp.ico", sizes=sizes, bitmap_format="bmp")
    small = LOGO.resize((40, 40), Image.Resampling.LANCZOS)
    seen = small.getchannel("A").point(lambda v: 255 * (v > 127))
    flat = Image.composite(small.convert("RGB"), Image.new("RGB", small.size), seen).quantize(256)
    triples = zip(*[iter(flat.getpalette())] * 3)
    palette = b"".join(bytes([b, g, r, 0]) for r, g, b in triples).ljust(1024, b"\0")
    rows = [flat.tobytes()[40 * y : 40 * (y + 1)] for y in range(40)]
    mask = [seen.point(lambda v: 255 - v).convert("1").tobytes()[5 * y : 5 * (y + 1)] + bytes(3) for y in range(40)]
    info = struct.pack("<IiiHHIIiiII", 40, 40, 80, 1, 8, 0, 0, 0, 0, 0, 0)
    body = info + palette + b"".join(reversed(rows)) + b"".join(reversed(mask))
    entry = struct.pack("<BBBBHHII", 40, 40, 0, 0, 1, 8, len(body), 22)
    (HERE / "icon-mask.ico").write_bytes(struct.pack("<HHH", 0, 1, 1) + entry + body)


def main():
    for old in HERE.glob("*.*"):
        if old.suffix not in KEPT:
            old.unlink()
    # JPEG: sampling, order of scans, restarts, models, profiles.
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        ROCKET.save(HERE / f"{name}.jpg", quality=85, subsampling=sampling)
        ROCKET.save(HERE / f"{name}-progressive.jpg", quality=85, subsampling=sampling, progressive=True)
    CAT.convert("L").save(HERE / "gray.jpg", quality=85)
    CAT.convert("L").save(HERE / "gray-progressive.jpg", quality=85, progressive=True)
    CAT.save(HERE / "restarts.jpg", quality=85, restart_marker_blocks=3)
    CAT.save(HERE / "restarts-progressive.jpg", quality=85, restart_marker_blocks=5, progressive=True)
    CAT.save(HERE / "rgb.jpg", quality=85, keep_rgb=True)
    CAT.convert("CMYK").save(HERE / "cmyk.jpg", quality=85)
    wide = vips(FACE).copy(interpretation="srgb").icc_transform("p3")
    wide = Image.frombytes("RGB", FACE.size, wide.write_to_memory())
    wide.save(HERE / "p3.jpg", quality=90, subsampling=0, icc_profile=P3)
    wide.save(HERE / "p3.png", icc_profile=P3)
    profiled()
    # All eight orientations: turned upright, the eight pictures look alike.
    turns = {1: None, 2: TURN.FLIP_LEFT_RIGHT, 3: TURN.ROTATE_180, 4: TURN.FLIP_TOP_BOTTOM, 5: TURN.TRANSPOSE,
             6: TURN.ROTATE_90, 7: TURN.TRANSVERSE, 8: TURN.ROTATE_270}
    small = ROCKET.resize((75, 49), Image.Resampling.LANCZOS)
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = small.transpose(turn) if turn is not None else small
        stored.save(HERE / f"orientation-{orientation}.jpg", quality=85, exif=exif)
    # What phones put behind a picture: here another picture and a trailer.
    rocket = (HERE / "420.jpg").read_bytes()
    (HERE / "trailer.jpg").write_bytes(rocket + rocket[:2000] + b"\0\0SEFHk\0\0\0\1\0\0\0SEFT")

    CAT.save(HERE / "rgb.png", optimize=True)
    LOGO.save(HERE / "rgba.png", optimize=True)
    CAT.convert("L").save(HERE / "gray.png", optimize=True)
    LOGO.convert("LA").save(HERE / "gray-alpha.png", optimize=True)
    CAT.convert("1").save(HERE / "bits.png")
    CAT.quantize(31).save(HERE / "palette.png")
    LOGO.quantize(31).save(HERE / "palette-alpha.png")
    (vips(CAT).cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16").pngsave(str(HERE / "rgb-16.png"))
    vips(CAT).pngsave(str(HERE / "interlaced.png"), interlace=True)

    CAT.quantize(63).save(HERE / "plain.gif")
    LOGO.quantize(63).save(HERE / "transparent.gif")
    CAT.quantize(63).save(HERE / "animated.gif", save_all=True, duration=90,
                          append_images=[CAT.transpose(TURN.ROTATE_180).quantize(63)])
    CAT.save(HERE / "24.bmp")
    CAT.quantize(31).save(HERE / "palette.bmp")
    top = bytearray((HERE / "24.bmp").read_bytes())
    rows = 3 * CAT.width + (-3 * CAT.width) % 4
    pixels = [top[54 + rows * y : 54 + rows * (y + 1)] for y in range(CAT.height)]
    top[22:26] = struct.pack("<i", -CAT.height)
    (HERE / "top-down.bmp").write_bytes(top[:54] + b"".join(reversed(pixels)))
    CAT.save(HERE / "lossy.webp", quality=85)
    LOGO.save(HERE / "alpha.webp", quality=85)
    LOGO.save(HERE / "lossless.webp", lossless=True)
    CAT.save(HERE / "animated.webp", quality=85, save_all=True, append_images=[CAT.transpose(TURN.ROTATE_180)])
    icons()
    for path in sorted(HERE.glob("*.*")):
        if path.suffix not in KEPT:
            expect(path.name)
    # The output of libjpeg-turbo at an eighth, a quarter, a half and the full size, as raw bytes. The picture is gray,
    # because libjpeg-turbo would smooth chroma.
    plain = Image.open(DATA / "chelsea.png").convert("L").crop((60, 30, 317, 223))
    plain.save(HERE / "scaled.jpg", quality=90)
    for n in (1, 2, 4, 8):
        image = Image.open(HERE / "scaled.jpg")
        image.draft("L", (max(1, plain.width * n // 8), max(1, plain.height * n // 8)))
        (HERE / f"scaled-{n}.raw").write_bytes(image.tobytes())
        print(n, image.size)


if __name__ == "__main__":
    main()
