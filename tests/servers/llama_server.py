"""llama.cpp's own HTTP server on a free port: llama_server.py MODEL; says where it listens in its first line."""
import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.port = 0
params.n_parallel = 4
params.n_ctx = 4096
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.use_jinja = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.pause()
