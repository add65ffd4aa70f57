"""The picture that all files of `tolerated` show, and the list of what is expected of each file."""

from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent / "tolerated"
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
