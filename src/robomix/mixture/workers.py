"""Loader workers leave nothing behind, however their training ends.

torch's workers look for their parent only between two batches, and each keeps the sockets by which it hands over
tensors in a temporary folder of its own, which stays where the worker is killed. So the folder here is the parent's,
which removes it when it exits; and each worker watches its parent all the time: where that was killed, it removes the
folder itself and ends at once.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.util import Finalize, get_temp_dir

_LOOKS_EVERY = 0.5
"""Seconds."""


@dataclass(frozen=True)
class EndsWithParent:
    """A `worker_init_fn`: the worker ends with the process in which this was made. To be made before workers start."""

    then: Callable[[int], None] | None = None
    """What else is done as a worker begins; called with its number."""
    parent: int = field(default_factory=os.getpid)
    temporary: str = field(default_factory=get_temp_dir)
    """Of the parent: processes started after this was asked for take it for theirs, too."""

    def __call__(self, number: int) -> None:
        # Python takes itself apart while batches nobody wants any more are still handed over in a thread of torch's,
        # which aborts then. So a worker that has done all else it does at its end is ended, and not taken apart.
        Finalize(None, os._exit, args=(0,), exitpriority=-1000)
        threading.Thread(target=self._watch, name="robomix-parent", daemon=True).start()
        if self.then is not None:
            self.then(number)

    def _watch(self) -> None:
        while os.getppid() == self.parent:
            time.sleep(_LOOKS_EVERY)
        shutil.rmtree(self.temporary, ignore_errors=True)
        os._exit(1)
