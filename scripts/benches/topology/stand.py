"""A run: the shop in one process, and in two with a gateway, on the same databases, in turn."""

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scripts.benches import servers
from scripts.benches.cases import CONNECTIONS
from scripts.benches.databases import Databases, databases_on
from scripts.benches.measuring import Load, Sample
from scripts.benches.servers import Server, ask_inside, started
from scripts.benches.stage import Stage, lay_out

NEEDED: Final = 66
"""Connections, of three servers and what asks beside them."""
ASKED: Final = [(subject, case) for case in ("product", "place") for subject in ("together", "direct", "gateway")]
CALLS: Final = 5

type Progress = Callable[[str, int, int], None]
"""Called with what is done now, the steps that are done, and all there will be."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks for."""

    postgres: str
    orders: Path
    rounds: int
    load: Load


@dataclass(kw_only=True)
class Found:
    """What was found.

    Attributes:
        rounds: Of each round a sample by ``case on subject``: ``together``; apart, ``direct`` and by the ``gateway``.
        calls: Microseconds, see `scripts.benches.topology.inside`.
    """

    rounds: list[dict[str, Sample]] = field(default_factory=list)
    calls: dict[str, list[float]] = field(default_factory=dict)


def run(options: Options, progress: Progress) -> Found:
    """Measure everything.

    Raises:
        BenchError: Something that is needed is not there, or something answered what it should not.
    """
    found = Found()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shop-bench-")))
        progress("migrating, loading the demo shop", 0, options.rounds + 2)
        databases = stack.enter_context(databases_on(options.postgres, connections=NEEDED))
        everything = {**databases.environment(), "SHOP_HOME": str(folder), "RELAY_PAUSED": "1"}
        together = servers.shop("together", everything, folder / "together.log", workers=1)
        parts = _apart(everything, folder)
        stack.enter_context(started(together))
        stage = lay_out(together.port, options.orders, CONNECTIONS)
        databases.make_plenty()
        for part in parts.values():
            stack.enter_context(started(part))
        progress("calls", 1, options.rounds + 2)
        told = ask_inside(f"{__package__}.inside", str(CALLS), environment=_caller(everything, parts), given={})
        found.calls = json.loads(told.splitlines()[-1])
        for number in range(options.rounds):
            progress(f"round {number + 1}", 2 + number, options.rounds + 2)
            found.rounds.append(_round(options.load, databases, together, parts, stage, backwards=bool(number % 2)))
    return found


def _apart(everything: dict[str, str], folder: Path) -> dict[str, Server]:
    """Auth and ordering, catalog, and the gateway, each told where the others are."""
    hosted = {"ordering": ("auth", "ordering"), "catalog": ("catalog",), "gateway": ()}
    parts = {name: servers.shop(name, everything, folder / f"{name}.log", workers=1) for name in hosted}
    for name, contexts in hosted.items():
        urls = {
            f"{context.upper()}_URL": f"http://127.0.0.1:{parts[other].port}"
            for other, theirs in hosted.items()
            if other != name
            for context in theirs
        }
        parts[name].tell({"CONTEXTS": ",".join(contexts) or "none", **urls})
    return parts


def _caller(everything: dict[str, str], parts: dict[str, Server]) -> dict[str, str]:
    return {
        **everything,
        "CONTEXTS": "catalog,ordering",
        "AUTH_URL": f"http://127.0.0.1:{parts['ordering'].port}",
    }


def _round(
    load: Load, databases: Databases, together: Server, parts: dict[str, Server], stage: Stage, *, backwards: bool
) -> dict[str, Sample]:
    """Every case on every subject once; what comes first changes, as a machine warms up."""
    stage.sign_in(together.port)
    subjects = {"together": together, "gateway": parts["gateway"]}
    samples: dict[str, Sample] = {}
    for subject, case in reversed(ASKED) if backwards else ASKED:
        server = subjects.get(subject) or parts["catalog" if case == "product" else "ordering"]
        samples[f"{case} on {subject}"] = load.on(server, databases, case, stage.material())
    return samples
