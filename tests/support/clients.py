"""Kafka clients of the tests keep quiet: a client whose broker is gone would fill the screen."""

import logging

SILENT = logging.getLogger("tests.kafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
