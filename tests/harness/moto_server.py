"""moto's server, whose queues do one thing at a time.

moto answers requests in threads, and a receive looks at a message and takes it in two
steps: where threads are changed in between, two receives in the same instant get the same
message, also of a FIFO queue, which SQS never does; and of two deletes one may be undone.
Here the methods of its queues hold a lock, and a receive waits for messages without it.
"""

import functools
import threading
import time

from moto.server import main
from moto.sqs.models import SQSBackend

LOCK = threading.RLock()
LOOK_S = 0.02


def alone(method):
    @functools.wraps(method)
    def locked(*args, **named):
        with LOCK:
            return method(*args, **named)

    return locked


def receive_message(self, queue_name, count, wait_seconds_timeout, *rest, **named):
    end = time.monotonic() + (wait_seconds_timeout or 0)
    while True:
        found = receive_at_once(self, queue_name, count, 0, *rest, **named)
        if found or time.monotonic() >= end:
            return found
        time.sleep(LOOK_S)


receive_at_once = alone(SQSBackend.receive_message)
SQSBackend.receive_message = receive_message
for name in [
    "send_message",
    "send_message_batch",
    "delete_message",
    "delete_message_batch",
    "change_message_visibility",
    "change_message_visibility_batch",
]:
    setattr(SQSBackend, name, alone(getattr(SQSBackend, name)))

if __name__ == "__main__":
    main()
