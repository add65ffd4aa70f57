"""FastAPI + Celery: the api. A parser in C writes the picture into the staged file as the body arrives.
FastAPI's own UploadFile would write the picture into a temporary file first."""

import os
import uuid
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from streaming_form_data import StreamingFormDataParser
from streaming_form_data.targets import FileTarget

from celery_queue import celery


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["STACK_POSTGRES"], min_size=4, max_size=8) as app.state.records:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/pictures", status_code=202)
async def hand_in(request: Request):
    number = uuid.uuid4()
    parser = StreamingFormDataParser(request.headers)
    parser.register("Profile", FileTarget(f"{os.environ['STACK_FOLDER']}/staging/{number}"))
    async for chunk in request.stream():
        parser.data_received(chunk)
    await app.state.records.execute("INSERT INTO uploads (id, state) VALUES ($1, 'accepted')", number)
    # Celery blocks until the broker has confirmed.
    await run_in_threadpool(celery.send_task, "process", (str(number),))
    return {"id": number}
