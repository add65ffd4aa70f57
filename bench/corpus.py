#!/usr/bin/env python3
"""Makes the corpus of the picture benchmark out of openly licensed photographs.

    python3 bench/corpus.py DIRECTORY

The photographs are those of the Debian packages mate-backgrounds, lomiri-wallpapers and ukui-wallpapers, fetched with
`apt-get download`; their licences are in /usr/share/doc of each. They are fitted to a phone's 4032 x 3024 and get noise
like that of its sensor, because a scaled-down wallpaper compresses far better than anything a phone makes.

Needs Pillow and NumPy. Always makes the same files.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

PACKAGES = ["mate-backgrounds", "lomiri-wallpapers", "ukui-wallpapers"]
PHONE = (4032, 3024)
ORIENTATIONS = [1, 6, 6, 3, 8, 1, 6, 2]
# How an upright picture is turned so that it needs its orientation tag.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def photographs(folder):
    """The eight largest photographs of the packages, largest first."""
    for package in PACKAGES:
        subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    for archive in Path(folder).glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
    found = []
    for path in sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")):
        if path.is_symlink():
            continue
        with Image.open(path) as image:
            if min(image.size) >= 1000:
                found.append((image.size[0] * image.size[1], path))
    # A photograph has much detail. Pictures with little detail, such as drawings and gradients, are left out.
    chosen = []
    for _, path in sorted(found, key=lambda f: (-f[0], f[1].name)):
        small = np.asarray(Image.open(path).convert("RGB").resize((256, 192)), dtype=np.float32)
        detail = np.abs(np.diff(small, axis=1)).mean()
        if detail > 4:
            chosen.append(path)
        if len(chosen) == 8:
            break
    return chosen


def with_noise(image, seed, strength):
    """Adds the noise of a sensor: stronger with more light, and mostly the same in all channels."""
    pixels = np.asarray(image, dtype=np.float32)
    dice = np.random.default_rng(seed)
    luma = dice.normal(0, 1, pixels.shape[:2]).astype(np.float32)[..., None]
    colour = dice.normal(0, 0.4, pixels.shape).astype(np.float32)
    noisy = pixels + (luma + colour) * strength * (0.6 + np.sqrt(pixels / 255))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def exif(orientation):
    """The metadata that a phone writes, with a GPS position."""
    data = Image.Exif()
    data[0x010F], data[0x0110], data[0x0112] = "Bench", "Phone", orientation
    gps = data.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (52.0, 31.0, 12.0), "E", (13.0, 24.0, 18.0)
    return data


def screenshot(seed):
    dice = random.Random(seed)
    image = Image.new("RGB", (1920, 1080), (250, 250, 252))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1920, 60), fill=(40, 44, 60))
    font = ImageFont.load_default(18)
    for line in range(38):
        words = " ".join("".join(dice.choices("abcdefghijklmnoprstuvw", k=dice.randint(2, 9))) for _ in range(18))
        draw.text((40, 80 + 26 * line), words, fill=(30, 30, 40), font=font)
    for _ in range(6):
        x, y = dice.randint(0, 1500), dice.randint(80, 900)
        draw.rounded_rectangle((x, y, x + 300, y + 120), 12, fill=tuple(dice.randint(60, 230) for _ in range(3)))
    return image


def logo(seed):
    dice = random.Random(seed)
    image = Image.new("RGBA", (2048, 2048))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, r = dice.randint(300, 1700), dice.randint(300, 1700), dice.randint(100, 600)
        colour = tuple(dice.randint(0, 255) for _ in range(3)) + (dice.choice([255, 255, 180]),)
        getattr(draw, dice.choice(["ellipse", "rectangle"]))((x - r, y - r, x + r, y + r), fill=colour)
    small = np.asarray(image.resize((1024, 1024), Image.Resampling.LANCZOS)).copy()
    # Shades the logo, so that it does not consist of flat colours.
    shade = np.linspace(0.8, 1.1, 1024, dtype=np.float32)[:, None, None]
    small[..., :3] = np.clip(small[..., :3] * shade, 0, 255)
    return Image.fromarray(small)


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "corpus")
    for name in ["phone", "progressive", "medium", "avatar", "logo", "screenshot", "webp", "gif"]:
        (out / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for i, path in enumerate(photographs(folder)):
            base = ImageOps.fit(Image.open(path).convert("RGB"), PHONE, Image.Resampling.LANCZOS)
            photo = with_noise(base, i, 2.0 + 0.5 * (i % 4))
            orientation = ORIENTATIONS[i]
            # The stored picture keeps the shape of the sensor, so it is not turned by 90 degrees.
            stored = photo.transpose(STORED[orientation]) if orientation in (2, 3) else photo
            options = {"quality": 90, "subsampling": 2, "exif": exif(orientation)}
            stored.save(out / "phone" / f"{i}.jpg", **options)
            if i < 4:
                stored.save(out / "progressive" / f"{i}.jpg", progressive=True, optimize=True, **options)
            medium = with_noise(base.resize((1632, 1224), Image.Resampling.LANCZOS), 100 + i, 1.5)
            medium.save(out / "medium" / f"{i}.jpg", quality=88, subsampling=2)
            face = ImageOps.fit(base, (512, 512), Image.Resampling.LANCZOS, centering=(0.4, 0.4))
            face.save(out / "avatar" / f"{i}.jpg", quality=88, subsampling=2)
            if i < 4:
                medium.save(out / "webp" / f"{i}.webp", quality=82, method=4)
            if i < 2:
                frames = [
                    base.crop((20 * f, 10 * f, 20 * f + 1920, 10 * f + 1080)).resize((480, 270)).quantize(200)
                    for f in range(40)
                ]
                frames[0].save(out / "gif" / f"{i}.gif", save_all=True, append_images=frames[1:], duration=60, loop=0)
    for i in range(4):
        logo(i).save(out / "logo" / f"{i}.png", optimize=True)
        screenshot(i).save(out / "screenshot" / f"{i}.png")
    for path in sorted(out.rglob("*.*")):
        print(f"{path.stat().st_size:>9}  {path}")


if __name__ == "__main__":
    main()
