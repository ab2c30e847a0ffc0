"""vLLM's server on a free port, on the CPU: vllm_server.py MODEL; says where it listens in its first line, once it does."""
import os
import socket
import sys
import time
import urllib.request

with socket.socket() as listener:
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
address = f"http://127.0.0.1:{port}"
server = os.getpid()
if os.fork() == 0:
    while os.getppid() == server:
        try:
            with urllib.request.urlopen(f"{address}/v1/models", timeout=5):
                print(address, flush=True)
                break
        except OSError:
            time.sleep(0.5)
    os._exit(0)
os.dup2(2, 1)  # its log is no line for whoever started it
os.environ.update(
    VLLM_CPU_KVCACHE_SPACE="1", VLLM_TARGET_DEVICE="cpu", VLLM_NO_USAGE_STATS="1", HF_HUB_OFFLINE="1"
)
# Not bfloat16: a machine that names AMX among its features may refuse it, and then the worker dies.
os.execv(
    sys.executable,
    [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", sys.argv[1], "--host", "127.0.0.1"]
    + ["--port", str(port), "--served-model-name", "tiny", "small", "--load-format", "dummy", "--dtype", "float32"]
    + ["--max-model-len", "1024", "--enforce-eager"],
)
