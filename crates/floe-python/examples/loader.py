"""A data loader over a list of dict samples, beside the trick of pickled lists.

Workers of a loader that index a list of dicts copy it page by page: reading counts references.
Data loaders therefore keep one pickle a sample in one run of bytes, and unpickle at each access. A
frozen list is indexed as it is. With torch installed its `DataLoader` is used, else a pool.
"""

from __future__ import annotations

import multiprocessing
import pickle
import random
import time
from typing import Any

import floe


def samples(number: int) -> list[dict[str, Any]]:
    """Make annotations as detection sets have them."""
    chance = random.Random(1)
    return [
        {
            "file_name": f"train2017/{place:012d}.jpg",
            "height": 480,
            "width": 640,
            "annotations": [
                {"bbox": [chance.uniform(0, 640) for _ in range(4)], "category_id": place % 80}
                for _ in range(3)
            ],
        }
        for place in range(number)
    ]


class Pickled:
    """One pickle a sample."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        encoded = [pickle.dumps(item, -1) for item in items]
        self.whole = b"".join(encoded)
        self.ends: list[int] = []
        for item in encoded:
            self.ends.append((self.ends[-1] if self.ends else 0) + len(item))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, place: int) -> Any:
        start = self.ends[place - 1] if place else 0
        return pickle.loads(memoryview(self.whole)[start : self.ends[place]])


class Boxes:
    """A dataset: the number of a sample to the area of its boxes."""

    def __init__(self, items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def samples(self) -> Any:
        """What is indexed: a handle stands for what it holds."""
        return self.items.value if isinstance(self.items, floe.Frozen) else self.items

    def __getitem__(self, place: int) -> float:
        boxes = (note["bbox"] for note in self.samples[place]["annotations"])
        return sum(box[2] * box[3] for box in boxes)


dataset: Boxes


def start(given: Boxes) -> None:
    """Keep the dataset, once in each worker."""
    global dataset  # noqa: PLW0603 - a worker's own
    dataset = given


def area(place: int) -> float:
    """Read one sample in a worker."""
    return dataset[place]


def epoch(given: Boxes) -> tuple[float, float]:
    """Read every sample in two workers; return the sum and the time."""
    begun = time.perf_counter()
    try:
        from torch.utils.data import DataLoader
    except ImportError:
        context = multiprocessing.get_context("spawn")
        with context.Pool(2, start, (given,)) as pool:
            total = sum(pool.imap(area, range(len(given)), chunksize=500))
    else:
        loader = DataLoader(given, batch_size=500, num_workers=2)  # type: ignore[arg-type]
        total = sum(float(batch.sum()) for batch in loader)
    return total, time.perf_counter() - begun


def main() -> None:
    """Compare both ways: what goes to each worker, and one pass over all samples."""
    items = samples(20_000)
    for name, given in (
        ("pickled list", Boxes(Pickled(items))),
        ("frozen", Boxes(floe.freeze(items, "samples"))),
    ):
        total, seconds = epoch(given)
        read = time.perf_counter()
        for place in range(0, len(given), 10):
            given[place]
        read = (time.perf_counter() - read) / (len(given) / 10)
        sent = len(pickle.dumps(given))
        print(
            f"{name}: {sent} bytes to each worker, {seconds:.1f} s, "
            f"{read * 1e6:.1f} us a sample, total {total:.0f}"
        )


if __name__ == "__main__":
    main()
