"""tidemark run: the worker itself."""

from typing import Annotated

import typer

from worker.commands import Sources
from worker.errors import ConfigError
from worker.service import run_worker
from worker.signals import Stop, signals_handled
from worker.source.losses import Acceptances

Topics = list[str] | None


def run(
    context: typer.Context,
    exit_at_end: Annotated[bool, typer.Option("--exit-at-end", help="Stop once every partition was read to its end.")] = False,
    accept_replaced_topic: Annotated[
        Topics, typer.Option(metavar="TOPIC", help="This topic was deleted and created again: read the new one from its beginning.")
    ] = None,
    accept_lost_offsets: Annotated[
        Topics, typer.Option(metavar="TOPIC", help="Offsets of this topic are gone: go on from where its log begins now.")
    ] = None,
    accept_replaced_cluster: Annotated[
        bool, typer.Option("--accept-replaced-cluster", help="This is another cluster: read all topics from their beginning.")
    ] = False,
) -> None:
    """Read the topics and keep the tables until SIGTERM or Ctrl-C: what was read is then committed. A second one aborts, losing nothing."""
    settings = context.ensure_object(Sources).read(check_files=True).settings
    unknown = sorted({*(accept_replaced_topic or ()), *(accept_lost_offsets or ())} - set(settings.kafka.topics.values()))
    if unknown:
        raise ConfigError(f"no stream is read from {', '.join(unknown)}", f"The topics are {', '.join(settings.kafka.topics.values())}.")
    accept = Acceptances(frozenset(accept_replaced_topic or ()), frozenset(accept_lost_offsets or ()), accept_replaced_cluster)
    stop = Stop()
    with signals_handled(stop):
        run_worker(settings, stop, accept=accept, exit_at_end=exit_at_end)
