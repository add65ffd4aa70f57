"""FastAPI + Celery: makes the sizes with Pillow-SIMD, from one decode at the smallest scale that is enough."""

import os
from contextlib import suppress
from pathlib import Path

import psycopg
from celery.signals import worker_process_init
from PIL import Image, ImageOps

from celery_queue import celery

SIZES = [512, 75, 25]
FOLDER = Path(os.environ["STACK_FOLDER"])


@worker_process_init.connect
def begin(**_):
    global records
    records = psycopg.connect(os.environ["STACK_POSTGRES"], autocommit=True)


@celery.task(name="process")
def process(number):
    staged = FOLDER / "staging" / number
    with Image.open(staged) as image:
        image.draft("RGB", (SIZES[0], SIZES[0]))
        # The picture is first made small and then turned upright. Each size is made from the previous one.
        made = ImageOps.fit(image, (SIZES[0], SIZES[0]), Image.Resampling.LANCZOS)
        made = ImageOps.exif_transpose(made.convert("RGB"))
    for size in SIZES:
        made = made.resize((size, size), Image.Resampling.LANCZOS)
        made.save(FOLDER / "blobs" / f"{number}.{size}.jpg", "JPEG", quality=80)
    with suppress(FileExistsError):  # delivered twice
        os.link(staged, FOLDER / "blobs" / number)
    records.execute("UPDATE uploads SET state = 'ready' WHERE id = %s", (number,))
    staged.unlink()
