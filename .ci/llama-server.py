"""Runs llama.cpp's HTTP server on a free port of this machine until it is ended.

llama-server.py MODEL.gguf THREADS  prints its URL once it answers.
"""

import signal
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.model_alias = {sys.argv[1].rsplit("/", 1)[-1].removesuffix(".gguf")}
params.hostnames = ["127.0.0.1"]
params.port = 0
params.n_ctx = 16384  # for all slots together
params.n_parallel = 2
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[2])
params.endpoint_metrics = True
params.use_jinja = True
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.sigwait({signal.SIGINT, signal.SIGTERM})
