"""What a story was answered, without what is different each time: IDs by the order in which they came, times."""

import json
import re
from typing import Any, Protocol

from tests.e2e.shopserver import Answer

ID = re.compile(r"\b(?:cus|stf|adr|cat|prd|var|ord|pay|ref|shp|ses|fam|evt|mov|adj)_[0-9A-Z]{10,16}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
SECRET = {"access", "refresh", "client_secret", "trace_id", "next_cursor", "number"}
HEADERS = ("content-type", "cache-control", "www-authenticate", "retry-after", "idempotent-replay", "allow", "location")


class Shop(Protocol):
    """Whoever answers."""

    def call(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> Answer: ...


class Recorder:
    """Passes requests on, and keeps what they were answered."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._known: dict[str, str] = {}
        self.record: list[str] = []

    def call(self, method: str, path: str, body: Any = None, token: str = "", key: str = "") -> Answer:
        """One request, whose answer is kept."""
        answer = self._shop.call(method, path, body, token, key)
        self.keep(f"{method} {path}", answer)
        return answer

    def keep(self, what: str, answer: Answer) -> None:
        """Keep an answer."""
        kept = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
        if answer.status != 405:
            kept.pop("allow", None)  # DRF puts it on answers of its own; one that was kept with its effect has none
        try:
            shown = _without_secrets(answer.json) if answer.body else ""
        except ValueError:
            shown = answer.body.decode(errors="replace")
        line = f"{what} -> {answer.status} {json.dumps(kept)} {json.dumps(shown, sort_keys=True)}"
        self.record.append(TIME.sub("TIME", ID.sub(self._named, line)))

    def _named(self, found: re.Match[str]) -> str:
        kind = found[0].partition("_")[0]
        return self._known.setdefault(found[0], f"{kind}#{sum(n.startswith(kind) for n in self._known.values()) + 1}")


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "SECRET" if k in SECRET and v is not None else _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value
