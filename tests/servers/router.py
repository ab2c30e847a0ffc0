"""vllm-router before a model server: router.py ADDRESS; says where it listens in its first line, once it does."""
import os
import socket
import sys
import time
import urllib.request

from vllm_router_rs import PolicyType, Router


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def tell_when_up(address):
    while True:
        try:
            with urllib.request.urlopen(f"{address}/v1/models", timeout=5):
                return print(address, flush=True)
        except OSError:
            time.sleep(0.05)


port = free_port()
if os.fork() == 0:
    tell_when_up(f"http://127.0.0.1:{port}")
    os._exit(0)
os.dup2(2, 1)  # its log is no line for whoever started it
Router(
    worker_urls=[sys.argv[1]],
    policy=PolicyType.RoundRobin,
    host="127.0.0.1",
    port=port,
    prometheus_host="127.0.0.1",
    prometheus_port=free_port(),
).start()
