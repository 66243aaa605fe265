"""Whether a second loader, with other numbers of ranks and workers, gives the very same samples, to the last pixel."""

import hashlib
from contextlib import closing

import torch

from robomix.mixture.dataset import Batch
from robomix.tools.verify.result import Check
from robomix.tools.verify.subject import Subject

SAMPLES = 256
"""Samples that are compared, in whole batches."""


class FirstBatches:
    """Digests of the samples of the first global batches, as they were drawn."""

    def __init__(self, subject: Subject, batches: int) -> None:
        self._subject = subject
        self._batches = min(batches, -(-SAMPLES // subject.batch_size))
        self._drawn: list[list[list[bytes]]] = [[] for _ in range(self._batches)]  # by batch, rank and sample

    def add(self, batch: Batch, step: int) -> None:
        """Takes a rank's slice of global batch `step`."""
        if step < self._batches:
            self._drawn[step].append(digests(batch))

    def compared(self) -> Check:
        """Reads the same batches once more, on one rank, without workers or, if nothing else is other, with one."""
        subject, batches = self._subject, sum(len(of_ranks) == self._subject.ranks for of_ranks in self._drawn)
        workers = 0 if subject.workers or subject.ranks > 1 else 1
        how = f"{_count(subject.ranks, 'rank')} with {_count(subject.workers, 'worker')} each"
        other = f"1 rank with {_count(workers, 'worker')}"
        with closing(subject.loader(0, batches, ranks=1, workers=workers)) as loader:
            for step, batch in enumerate(loader):
                drawn = [digest for of_rank in self._drawn[step] for digest in of_rank]
                again = digests(batch)
                if differing := [i for i, (one, two) in enumerate(zip(drawn, again, strict=False)) if one != two]:
                    rank = differing[0] * subject.ranks // subject.batch_size
                    text = (
                        f"{len(differing)} of {len(again)} samples of batch {step} are others when drawn by {how} than "
                        f"when drawn by {other}; the first is number {differing[0]}, of rank {rank}"
                    )
                    return Check("equality", "off", text)
        text = f"the first {batches * subject.batch_size:,} samples are the same bits from {how} as from {other}"
        return Check("equality", "ok", text)


def digests(batch: Batch) -> list[bytes]:
    """(B,): a digest of each sample, of all its bytes and names."""
    arrays = {key: value.contiguous().numpy() for key, value in sorted(batch.items()) if torch.is_tensor(value)}
    made = []
    for i, task in enumerate(batch["task"]):
        digest = hashlib.blake2b(task.encode("utf-8", "surrogateescape"), digest_size=16)
        for key, values in arrays.items():
            digest.update(f"\0{key} {values.dtype} {values.shape[1:]}\0".encode())
            digest.update(values[i].tobytes())
        made.append(digest.digest())
    return made


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
