"""Tidemark: a streaming incremental aggregator worker.

The data goes through the modules in this order: source, decode, watermark, aggregate, store, marts, serve.
`pipeline.step` is that way in code. Each module imports only from those before it and from the plain ones:
events, tables, config, errors, metrics, log.
"""

import gc
from importlib.metadata import PackageNotFoundError, version

# Python's collector of cycles looks through the young objects each time that 700 more of them have come, and through all at times: a
# seventh of what importing takes, and of messages, hundreds of thousands at a time and without cycles, as much as fetching them does.
gc.set_threshold(500_000, *gc.get_threshold()[1:])

try:
    __version__ = version("tidemark")
except PackageNotFoundError:  # a source tree that was not installed
    __version__ = "0+source"
