"""Tidemark: a streaming incremental aggregator worker.

The data goes through the modules in this order: source, decode, watermark, aggregate, store, marts, serve.
`pipeline.step` is that way in code. Each module imports only from those before it and from the plain ones:
events, tables, config, errors, metrics, log.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tidemark")
except PackageNotFoundError:  # a source tree that was not installed
    __version__ = "0+source"
