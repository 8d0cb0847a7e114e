"""The service that runs the consumers of all streams, and lets go of old records."""

import logging
import threading
from typing import TYPE_CHECKING, Any

from nextpick.store.stamp import Stamp
from nextpick.store.stream import Stream, StreamMissing, read_config
from nextpick.stream import consumers
from nextpick.stream.checkpoints import Checkpoints, position
from nextpick.stream.consumers import Consumer, Surroundings, TryAgain
from nextpick.stream.letters import DeadLetters
from nextpick.stream.registry import Streams

if TYPE_CHECKING:
    from nextpick.automation import Context

_LOOK_S = 0.05
_IDLE_S = 5.0
_TRIM_EVERY_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0

log = logging.getLogger(__name__)


def start(context: "Context") -> "StreamService":
    """Start the consumers of a home's streams."""
    return StreamService(context)


class StreamService:
    """Watches the stamps of streams: a microsecond each, no system call."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._streams = Streams(context.settings.home)
        self._running: dict[Stream, _Running] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="streams", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the consumers; each finishes the batch it is at."""
        self._ending.set()
        self._thread.join()
        for running in self._running.values():
            running.stop()
        self._streams.close()

    def _watch(self) -> None:
        listed, stamp = b"", Stamp(self._streams.root / "streams.stamp")
        trim_in = 0.0
        while not self._ending.wait(_LOOK_S):
            try:
                if stamp.value() != listed or not listed:
                    listed = stamp.value()
                    self._list()
                for running in self._running.values():
                    running.look()
                trim_in -= _LOOK_S
                if trim_in <= 0:
                    trim_in = _TRIM_EVERY_S
                    for running in self._running.values():
                        running.trim()
            except Exception:
                log.exception("streams could not be looked at; it is tried again")
        stamp.close()

    def _list(self) -> None:
        for stream, running in list(self._running.items()):
            if not stream.is_there():
                running.stop()
                del self._running[stream]
        for stream in self._streams.all():
            if stream not in self._running:
                self._running[stream] = _Running(stream, self._context)


class _Running:
    """The consumers of one stream, a thread for each shard of each."""

    def __init__(self, stream: Stream, context: "Context") -> None:
        self._stream, self._context = stream, context
        self._checkpoints = Checkpoints(stream.directory)
        home = context.settings.home
        self._around = Surroundings(home, stream, DeadLetters(stream), context.clock, context.client)
        self._loops: dict[str, list[_Loop]] = {}
        self._configs: dict[str, dict[str, Any]] = {}
        self._seen = b""

    def look(self) -> None:
        """Wake the consumers when something changed."""
        value = self._stream.stamp.value()
        if value == self._seen:
            return
        self._seen = value
        try:
            config = read_config(self._stream.directory)
        except StreamMissing:
            return
        wanted = {consumer["name"]: consumer for consumer in config.consumers}
        for name in [name for name, held in self._configs.items() if wanted.get(name) != held]:
            _end(self._loops.pop(name))
            del self._configs[name]
            if name not in wanted:
                self._checkpoints.forget(name)
        for name, held in wanted.items():
            if name not in self._configs:
                shards = range(config.shards)
                self._loops[name] = [_Loop(held, shard, self._around, self._checkpoints) for shard in shards]
                self._configs[name] = held
        for loops in self._loops.values():
            for loop in loops:
                loop.wake.set()

    def trim(self) -> None:
        """Remove records that are older than the stream keeps them and that every consumer is done with."""
        config = read_config(self._stream.directory)
        moment = self._context.clock.now() - config.retention_hours * 3600
        taken = {
            shard: min(position(self._checkpoints, consumer, shard) for consumer in config.consumers)
            for shard in range(config.shards)
            if config.consumers
        }
        self._stream.trim(moment, taken)

    def stop(self) -> None:
        for loops in self._loops.values():
            _end(loops)
        self._checkpoints.close()


class _Loop(threading.Thread):
    """One consumer at one shard."""

    def __init__(
        self, config: dict[str, Any], shard: int, around: Surroundings, checkpoints: Checkpoints
    ) -> None:
        super().__init__(name=f"{around.stream.config.name} {config['name']} {shard}", daemon=True)
        self._config, self._shard, self._around, self._checkpoints = config, shard, around, checkpoints
        self.wake, self.ending = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        pause = _FIRST_PAUSE_S
        consumer: Consumer | None = None
        while not self.ending.is_set():
            try:
                if consumer is None:
                    consumer = consumers.make(self._config, self._around)
                self._follow(consumer)
            except TryAgain as reason:
                log.warning("stream %s waits: %s", self.name, reason)
            except StreamMissing:
                break
            except Exception:
                log.exception("stream %s failed; it is tried again", self.name)
            else:
                pause = _FIRST_PAUSE_S
                continue
            self.ending.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        if consumer is not None:
            consumer.close()

    def _follow(self, consumer: Consumer) -> None:
        """Take one batch, or wait for one."""
        self.wake.clear()
        at = position(self._checkpoints, self._config, self._shard)
        records = self._around.stream.read(self._shard, at, consumer.batch, consumer.batch_bytes)
        taken = consumer.take(records) if records else 0
        if taken:
            self._checkpoints.set(self._config["name"], self._shard, records[taken - 1].number)
        elif consumer.pause_s is None:
            self.wake.wait(_IDLE_S)
        else:
            self.ending.wait(consumer.pause_s)

    def end(self) -> None:
        self.ending.set()
        self.wake.set()


def _end(loops: list[_Loop]) -> None:
    for loop in loops:
        loop.end()
    for loop in loops:
        loop.join()
