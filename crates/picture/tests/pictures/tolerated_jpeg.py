"""JPEG files for `tolerated.py`."""

import io
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image
from tolerated_cases import COLOURS, HEIGHT, WIDTH, accept, fields, gray, picture, refuse


def jpeg(image=None, **options):
    file = io.BytesIO()
    (image or picture()).save(file, "JPEG", **{"quality": 90, "subsampling": 0, **options})
    return file.getvalue()


def with_scans(data, script):
    """`data` with the same coefficients in the scans that `script` lists."""
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
            # Before the first scan of the second component comes the table of that component. Before a later scan comes
            # a table that no component uses.
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
