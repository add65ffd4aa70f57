"""Pillow (or Pillow-SIMD, whichever is installed): one decode in draft mode. Each size comes from the previous one."""

import io
import json
import resource
import sys
import time
from pathlib import Path

from PIL import Image, ImageOps

SIZES = [512, 256, 128, 64]


def work(data, form):
    image = Image.open(io.BytesIO(data))
    # The decode covers 1.4 times the largest size, as Cloakroom's does. A smaller scale loses visible detail, a larger
    # one costs more.
    image.draft("RGB", (717, 717))
    image = ImageOps.exif_transpose(image)
    if form == "jpeg" and image.mode != "RGB":
        if image.mode in ("RGBA", "LA", "P"):
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    out = []
    for size in SIZES:
        if max(image.size) > size:
            scale = size / max(image.size)
            image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
        file = io.BytesIO()
        if form == "png":
            image.save(file, "PNG", compress_level=1)
        else:
            image.save(file, "JPEG", quality=80)
        out.append(file.getvalue())
    return out


for line in sys.stdin:
    task = json.loads(line)
    data = Path(task["path"]).read_bytes()
    best, made = float("inf"), []
    for _ in range(task["repeat"]):
        start = time.process_time()
        made = work(data, task["format"])
        best = min(best, (time.process_time() - start) * 1000)
    if task.get("out"):
        for size, file in zip(SIZES, made):
            Path(f"{task['out']}-{size}.{task['format']}").write_bytes(file)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"cpu": best, "bytes": [len(file) for file in made], "rss": rss}), flush=True)
