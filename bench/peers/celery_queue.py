"""FastAPI + Celery: the queue between celery_api.py and celery_worker.py, with the settings that lose nothing."""

import os

from celery import Celery

celery = Celery(broker=os.environ["STACK_AMQP"])
celery.conf.update(
    task_default_queue="celery_stack",
    task_default_queue_type="quorum",
    # Celery makes 28 queues for delayed tasks, but this stack delays none. Classic queues cost less than quorum queues.
    broker_native_delayed_delivery_queue_type="classic",
    broker_transport_options={"confirm_publish": True},
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
)
