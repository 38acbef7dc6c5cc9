"""A web server whose workers share a large table: gunicorn with ``preload_app``.

    gunicorn --preload --workers 4 web:app

The table is frozen once, in the parent. Workers that read a dict there copy its pages, since
reading counts references; of this one they copy nothing, however long they run. `main` starts the
server, asks it, and shows what its processes cost.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import floe


def table() -> dict[str, Any]:
    """Make what a real server would load from a file or database."""
    return {
        f"sku-{number}": {
            "title": f"Article {number}",
            "price": number * 1.01,
            "tags": [f"tag-{number % 50}", "all"],
            "stock": {"berlin": number % 7, "lyon": number % 5},
        }
        for number in range(50_000)
    }


catalogue = floe.freeze(table(), "catalogue").value


def app(
    environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], Any]
) -> Iterable[bytes]:
    """Answer with an article; with all prices added up under ``/total``."""
    name = environ["PATH_INFO"].lstrip("/")
    answer: Any = {"pid": os.getpid()}
    if name == "total":
        answer["total"] = round(sum(item["price"] for item in catalogue.values()), 2)
    else:
        answer["article"] = catalogue.get(name)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer, default=floe.thaw).encode()]


def main() -> None:
    """Start the server, ask it many times, and show the memory of its processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "3", "--bind", address]
    command += ["--log-level", "error", "--no-control-socket", "web:app"]
    server = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        workers = set()
        for number in range(60):
            answer = ask(server, address, "total" if number % 2 else f"sku-{number}")
            workers.add(answer["pid"])
        print(ask(server, address, "sku-7")["article"])
        usage = floe.memory(server.pid, *workers)
        print(usage)
        copied = sum(region.anonymous for row in usage.rows for region in row.regions)
        print(f"{len(workers)} workers answered; {copied} bytes of the catalogue copied")
    finally:
        server.terminate()
        server.wait()


def ask(server: subprocess.Popen[bytes], address: str, path: str) -> Any:
    """Ask, and wait while the server starts."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/{path}", timeout=30) as answer:
                return json.load(answer)
        except OSError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
