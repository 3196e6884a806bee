"""As much of Mermaid as our pages speak: what is no line of it, what is not closed, who is not declared."""

import re
from collections.abc import Iterator

NODE = r'\w+(?:\["[^"\]]+"\])?'
ARROW = r"-{1,2}\.?->|-->"
LINES = {
    "flowchart": (
        r"direction (TB|LR)",
        r'subgraph \w+(\["[^"\]]+"\])?',
        r"end",
        NODE,
        rf'{NODE}(?: (?:{ARROW})(?:\|"[^"|]+"\|)? {NODE})+',
    ),
    "sequenceDiagram": (
        r"autonumber",
        r"participant \w+ as [^:;#]+",
        r"(loop|alt|opt) [^:;#]+",
        r"else [^:;#]+",
        r"end",
        r"Note (over|left of|right of) \w+(,\w+)?: [^;#]+",
        r"\w+--?>>\w+: [^;#]+",
    ),
    "stateDiagram-v2": (
        r'state "[^"]+" as \w+ \{',
        r"\}",
        r"(\[\*\]|\w+) --> (\[\*\]|\w+)( : [^:;#]+)?",
    ),
}
"""Patterns of whole lines, by kind of diagram."""
OPENS = re.compile(r"subgraph |loop |alt |opt |.*\{$")
CLOSES = re.compile(r"end$|\}$")


def mermaid_faults(text: str) -> Iterator[str]:
    head, *rest = text.strip().splitlines()
    kind = head.split()[0]
    if kind not in LINES:
        yield f"no diagram of ours begins with {head!r}"
        return
    depth = 0
    for line in (line.strip() for line in rest):
        if not any(re.fullmatch(pattern, line) for pattern in LINES[kind]):
            yield f"no line of a {kind}: {line!r}"
        depth += bool(OPENS.match(line)) - bool(CLOSES.match(line))
        if depth < 0:
            yield f"closes what is not open: {line!r}"
            depth = 0
    if depth:
        yield f"{depth} left open"
    if kind == "sequenceDiagram":
        yield from _strangers(rest)


def _strangers(lines: list[str]) -> Iterator[str]:
    text = "\n".join(lines)
    known = set(re.findall(r"participant (\w+)", text))
    used = {name for pair in re.findall(r"(\w+)--?>>(\w+):", text) for name in pair}
    used |= {name for names in re.findall(r"Note over ([\w,]+):", text) for name in names.split(",")}
    yield from (f"nobody declared {name}" for name in sorted(used - known))


def states_of(text: str) -> set[str]:
    """Every state that a state diagram draws an arrow from or to."""
    found = {name for pair in re.findall(r"(\[\*\]|\w+) --> (\[\*\]|\w+)", text) for name in pair}
    return found - {"[*]"}
