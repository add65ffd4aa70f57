"""libvips by pyvips: shrink-on-load to the largest size. Each size is made from the previous size."""

import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("VIPS_CONCURRENCY", "1")
import pyvips  # noqa: E402

pyvips.cache_set_max(0)
SIZES = [512, 256, 128, 64]


def work(data, form):
    image = pyvips.Image.thumbnail_buffer(data, 512, height=512, size="down").copy_memory()
    out = []
    for size in SIZES:
        if size != SIZES[0]:
            image = image.thumbnail_image(size, height=size, size="down").copy_memory()
        if form == "png":
            out.append(image.pngsave_buffer(compression=1, keep="none"))
        else:
            flat = image.flatten(background=255) if image.hasalpha() else image
            out.append(flat.jpegsave_buffer(Q=80, keep="none"))
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
