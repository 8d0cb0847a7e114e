"""Something that is looked at again and again, in a thread of its own."""

import logging
import threading

log = logging.getLogger(__name__)


class Loop:
    """Calls ``tick`` until it is stopped; ``tick`` returns the seconds until it wants to be called again."""

    name = "loop"

    def __init__(self) -> None:
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"nextpick-{self.name}", daemon=True)

    def tick(self) -> float:
        """Do what is due."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the tick that runs."""
        self.ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _live(self) -> None:
        pause = 0.0
        while not self.ending.wait(pause):
            try:
                pause = self.tick()
            except Exception:
                log.exception("%s failed and is tried again", self.name)
                pause = 5.0
