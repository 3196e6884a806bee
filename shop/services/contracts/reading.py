"""Whether one side reads all that another one writes, by the JSON Schemas of both: of the words that contracts use."""

from collections.abc import Iterator, Mapping
from typing import Any

type Schema = Mapping[str, Any]


class Reading:
    """What readers would refuse, or pass over, of what writers write.

    Args:
        readers: Their types by name.
        writers: Theirs.
        reader_is_new: Whether readers know the new contract, and writers the old one; or the other way round.
        counts_removed: Whether what is passed over counts too, and not only what can't be read.
    """

    def __init__(
        self,
        *,
        readers: Mapping[str, Schema],
        writers: Mapping[str, Schema],
        reader_is_new: bool,
        counts_removed: bool = True,
    ) -> None:
        self._readers, self._writers = readers, writers
        self._reader_is_new, self._counts_removed = reader_is_new, counts_removed

    def refusals(
        self, reader: Schema, writer: Schema, place: str, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[str]:
        """A sentence for each, which begins with where. Types that contain themselves are walked once."""
        pair = (reader.get("$ref", ""), writer.get("$ref", ""))
        if all(pair):
            if pair in seen:
                return
            seen |= {pair}
        reader, writer = _found(reader, self._readers), _found(writer, self._writers)
        if "anyOf" in writer:
            for option in writer["anyOf"]:
                yield from self.refusals(reader, option, place, seen)
        elif "anyOf" in reader:
            if not any(not list(self.refusals(option, writer, place, seen)) for option in reader["anyOf"]):
                yield self._told(place, reader, writer)
        else:
            yield from self._of_one_type(reader, writer, place, seen)

    def _of_one_type(
        self, reader: Schema, writer: Schema, place: str, seen: frozenset[tuple[str, str]]
    ) -> Iterator[str]:
        if not _takes(reader, writer):
            yield self._told(place, reader, writer)
            return
        if (mine := _values(reader)) is not None:
            for value in sorted(set(_values(writer) or ()) - set(mine)):
                known = "no longer taken" if self._reader_is_new else "unknown to who reads it"
                yield f"{place}: {value!r} is {known}"
        if "properties" in reader and "properties" in writer:
            yield from self._fields(reader, writer, place, seen)
        for name, inner in (("items", "[]"), ("additionalProperties", "{}"), ("propertyNames", "{key}")):
            if name in reader and name in writer:
                yield from self.refusals(reader[name], writer[name], place + inner, seen)
        for number, (mine_, theirs) in enumerate(
            zip(reader.get("prefixItems", ()), writer.get("prefixItems", ()), strict=False)
        ):
            yield from self.refusals(mine_, theirs, f"{place}[{number}]", seen)

    def _fields(self, reader: Schema, writer: Schema, place: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        read, written = reader["properties"], writer["properties"]
        needed, always = reader.get("required", ()), writer.get("required", ())
        for name in read.keys() | written.keys():
            where = f"{place}.{name}"
            if name in read and name in written:
                yield from self.refusals(read[name], written[name], where, seen)
                if self._reader_is_new and name in needed and name not in always:
                    yield f"{where}: may be missing, and is needed"
            elif self._counts_removed and (name in written) is self._reader_is_new:
                yield f"{where}: removed"
            elif name in needed:
                yield f"{where}: new, and needed: give it a default"

    def _told(self, place: str, reader: Schema, writer: Schema) -> str:
        old, new = (writer, reader) if self._reader_is_new else (reader, writer)
        return f"{place}: was {_shown(old)}, is {_shown(new)}"


def _found(schema: Schema, types: Mapping[str, Schema]) -> Schema:
    """What a reference leads to, or the schema itself."""
    while "$ref" in schema:
        schema = types[schema["$ref"].rpartition("/")[2]]
    return schema


def _takes(reader: Schema, writer: Schema) -> bool:
    """Whether the kind of value is one the reader takes, whatever is inside."""
    if reader.get("type") != writer.get("type") and (reader.get("type"), writer.get("type")) != ("number", "integer"):
        return False
    if any(reader.get(each) != writer.get(each) for each in ("format", "pattern") if each in reader):
        return False
    if _values(reader) is not None and _values(writer) is None:
        return False
    shapes = ("properties", "additionalProperties", "propertyNames", "items", "prefixItems", "uniqueItems")
    same = all((each in reader) == (each in writer) for each in shapes)
    return same and len(reader.get("prefixItems", ())) == len(writer.get("prefixItems", ()))


def _values(schema: Schema) -> list[Any] | None:
    """The only values there are, or None."""
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _shown(schema: Schema) -> str:
    """A type in a word or two."""
    if "anyOf" in schema:
        return " or ".join(_shown(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "propertyNames" in schema:
        return f"object by {_shown(schema['propertyNames'])}"
    if (values := _values(schema)) is not None:
        return f"one of {', '.join(map(repr, values))}"
    return str(schema.get("format") or schema.get("type") or "anything")
