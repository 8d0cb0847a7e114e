"""The compilation that the first training and answer of an installation need, ahead of them.

Numba keeps compiled code beside the modules, or where ``NUMBA_CACHE_DIR`` says. A server that finds none there has
``python -m nextpick.jobs.warm PARENT_FD`` train on a little made data and answer from it. So does the server of job
processes where it is compiled: then its forks need not load it.
"""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from nextpick import models
from nextpick.parent import end_with_parent

_NICE = 15
_RECIPE = "aws-user-personalization"
_N_USERS, _N_ITEMS, _LENGTH = 300, 200, 12


def start(parent_fd: int) -> subprocess.Popen | None:
    """Compile in a process that ends with this one, unless it is done; ``parent_fd``: the pipe it watches."""
    if is_compiled():
        return None
    return subprocess.Popen(
        [sys.executable, "-m", "nextpick.jobs.warm", str(parent_fd)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        pass_fds=(parent_fd,),
        start_new_session=True,
    )


def is_compiled() -> bool:
    """Tell whether the last function to be compiled has an index of its code with the digest of its source.

    An older Numba's index has the source's time instead: what is compiled is then loaded once more, for a second.
    """
    source = Path(models.__path__[0]) / "blend.py"
    kept = Path(os.environ.get("NUMBA_CACHE_DIR") or source.parent / "__pycache__")
    digest = sha256(source.read_bytes()).digest()
    return any(digest in index.read_bytes() for index in kept.rglob("blend.predict-*.nbi"))


def main(parent_fd: str) -> None:
    """Compile what is not compiled."""
    end_with_parent(int(parent_fd))
    os.nice(_NICE)
    run()


def run() -> None:
    """Train and answer once."""
    import numpy as np

    from nextpick.data.dataset import Data, Entities, Interactions
    from nextpick.data.run import Run
    from nextpick.data.vocabulary import Vocabulary
    from nextpick.models.rows import read_only
    from nextpick.recipes import catalogue
    from nextpick.serving.versions import warm

    info = catalogue.find(_RECIPE)
    assert info is not None
    module, rng, n = catalogue.load(info), np.random.default_rng(0), _N_USERS * _LENGTH
    when = np.tile(np.arange(_LENGTH, dtype=np.int64), _N_USERS)
    interactions = Interactions(
        np.arange(0, n + 1, _LENGTH), rng.integers(0, _N_ITEMS, n).astype(np.int32), when,
        np.full(n, -1, np.int16), np.full(n, np.nan, np.float32), (),
    )  # fmt: skip
    items, users = (
        Entities(Vocabulary.build([str(i) for i in range(k)]), (), np.zeros(k, np.int64))
        for k in (_N_ITEMS, _N_USERS)
    )
    once = Run(lambda done, stage: None, lambda: False, rng)
    state = module.fit(Data(interactions, items, users, _LENGTH), module.Params(), once)
    warm(info, module, {name: read_only(array) for name, array in state.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
