"""A random stream on a broker, a worker process that reads it, and the judgement of what its file holds in the end."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zlib import crc32

import duckdb
import psutil

from tests.support.commands import ROOT, command
from tests.support.messages import WRITER_SCHEMAS, Produced
from tests.support.oracle_sql import selected
from tests.support.reference import Reference, differences
from tests.support.streams import STREAMS, random_options, random_stream, without_conflicts
from worker.tables import TABLES

PATIENCE = 120.0  # seconds; a busy machine must not fail a test
ROWS = ("order_item", "order_tombstone", "customer", "product", "product_stock", "daily_users_running", "daily_sales_total")


class LiveStream:
    """Messages as a broker will hold them. Their order within a partition is all that a reader may rely on, so touchpoints, of which
    the first stays, are partitioned by their ids. Where not even that order is kept, as between jobs and the stream, no two of one id may
    differ (`has_conflicts`).
    """

    def __init__(self, seed: int, messages: int, partitions: int, *, has_conflicts: bool = True) -> None:
        options = replace(random_options(seed, messages), partitions=partitions)
        self.time_zone = options.time_zone
        made: Iterable[Produced] = random_stream(seed, options)
        self.messages = list(_placed(made if has_conflicts else without_conflicts(made, self.time_zone), partitions))
        self.topics = {stream: f"{stream}-{uuid4().hex[:8]}" for stream in STREAMS}

    def sendable(self) -> list[Produced]:
        """The messages under the names of this stream's own topics."""
        return [replace(message, stream=self.topics[message.stream]) for message in self.messages]

    def faults(self, path: Path) -> list[str]:
        """What is not in the file as it should be, once all the messages were read."""
        reference = Reference(reporting_time_zone=self.time_zone, reporting_currency="USD", writer_schemas=WRITER_SCHEMAS)
        for message in self.messages:
            reference.process(message.topic(), message, datetime.now(UTC))
        with duckdb.connect(str(path), read_only=True) as connection:
            found = {name: selected(connection, f"from {name}") for name in (*TABLES, *ROWS)}
            books = {row["stream"]: row for row in selected(connection, "from accounting where origin = 'live'")}
        faults = differences(reference.tables(), found)
        read = Counter(message.topic() for message in self.messages)
        for stream, count in read.items():
            rejected = reference.accounting[stream, "rejected"]
            if (books[stream]["read"], books[stream]["rejected"]) != (count, rejected):
                faults.append(f"accounting {stream}: {count} messages, of which {rejected} rejected, are {books[stream]}")
        return faults


def _placed(messages: Iterable[Produced], partitions: int) -> Iterator[Produced]:
    """At the offsets that a broker gives. A tombstone without a moment is left out: the broker would give it one."""
    next_offset: Counter[tuple[str, int]] = Counter()
    for message in messages:
        if message.value() is None and not message.timestamp_ms:
            continue
        number = crc32(message.key() or b"") % partitions if message.topic() == "touchpoints" else message.partition()
        yield replace(message, partition_number=number, offset_number=next_offset[message.topic(), number])
        next_offset[message.topic(), number] += 1


class WorkerProcess:
    """`tidemark` on files in `directory`; settings are keys of the configuration, with __ for a dot."""

    def __init__(self, directory: Path, bootstrap: str, topics: Mapping[str, str], **settings: object) -> None:
        self.file = directory / "worker.duckdb"
        self._log = directory / "worker.log"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        config = directory / "tidemark.toml"
        config.write_text(_config(directory, bootstrap, topics))
        self._command = command(path=self.file, **settings)
        self._command += ["--config", str(config)]

    def start(self, *options: str) -> None:
        """tidemark run. Its log goes on where that of its predecessor ended."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*self._command, "run", *options], cwd=ROOT, stdout=log, stderr=log)

    def run(self, *options: str) -> int:
        """tidemark run, to its end; the exit code."""
        self.start(*options)
        return self.end()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def cpu_seconds(self) -> float:
        """What it has taken since its start."""
        assert self._process is not None
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def end(self) -> int:
        """Wait for the end; the exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        """All that was logged."""
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of that event."""
        lines = [json.loads(line) for line in self.said().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if line.get("event") == name]

    def wait_for(self, name: str, times: int = 1) -> dict[str, object]:
        """Until the event was logged so often, or the process has ended; the last of them."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.events(name)) < times:
            assert self._process is not None
            assert self._process.poll() is None, f"ended before {name}:\n{self.said()[-3000:]}"
            assert time.monotonic() < deadline, f"no {name}:\n{self.said()[-3000:]}"
            time.sleep(0.05)
        return found[-1]

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command on the same configuration."""
        return subprocess.run([*self._command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)


def _config(directory: Path, bootstrap: str, topics: Mapping[str, str]) -> str:
    schemas = {}
    for ref, schema in WRITER_SCHEMAS.items():
        schemas[ref] = directory / f"{ref}.avsc"
        schemas[ref].write_text(json.dumps(schema))
    names = "\n".join(f'{stream} = "{topic}"' for stream, topic in topics.items())
    files = "\n".join(f'"{ref}" = "{path}"' for ref, path in schemas.items())
    return f"""
[kafka]
bootstrap_servers = "{bootstrap}"
[kafka.topics]
{names}
[registry.files]
{files}
[serve]
port = 0
[log]
format = "json"
level = "debug"
"""
