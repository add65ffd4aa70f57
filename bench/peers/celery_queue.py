"""FastAPI + Celery: the queue between celery_api.py and celery_worker.py, set as one sets it who must lose nothing."""

import os

from celery import Celery

celery = Celery(broker=os.environ["STACK_AMQP"])
celery.conf.update(
    task_default_queue="celery_stack",
    task_default_queue_type="quorum",
    # What Celery makes for delayed tasks, of which there are none: 28 queues that should cost nobody anything.
    broker_native_delayed_delivery_queue_type="classic",
    broker_transport_options={"confirm_publish": True},
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
)
