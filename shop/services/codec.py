"""JSON for what crosses a context's border: arguments, answers, errors, events. pydantic reads the contract's types."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from shop import contract
from shop.contract import ContextError, ContractMismatch, Operation

_adapters: dict[Any, TypeAdapter[Any]] = {}


def adapter(hint: Any) -> TypeAdapter[Any]:
    """Pydantic's codec of a type, built once."""
    found = _adapters.get(hint)
    if found is None:
        found = _adapters[hint] = TypeAdapter(hint)
    return found


def dump_arguments(operation: Operation, arguments: Mapping[str, Any]) -> bytes:
    """Arguments as JSON."""
    return _dump({name: (operation.parameters[name], value) for name, value in arguments.items()})


def load_arguments(operation: Operation, wire: bytes) -> dict[str, Any]:
    """Arguments from JSON; fields that this side does not know are passed over.

    Raises:
        ContractMismatch: They are not what the contract says.
    """
    given = json.loads(wire)
    return {n: _load(adapter(t), given[n], operation.name) for n, t in operation.parameters.items() if n in given}


def dump_answer(operation: Operation, answer: Any) -> bytes:
    """A method's result as JSON."""
    return adapter(operation.returns).dump_json(answer)


def load_answer(operation: Operation, wire: bytes) -> Any:
    """A method's result from JSON.

    Raises:
        ContractMismatch: It is not what the contract says.
    """
    try:
        given = json.loads(wire)
    except ValueError:
        raise ContractMismatch(detail=f"{operation.name}: the answer is no JSON") from None
    return _load(adapter(operation.returns), given, operation.name)


def dump_error(error: ContextError) -> bytes:
    """An error's code and data as JSON."""
    data = adapter(type(error)).dump_python(error, mode="json")
    return json.dumps({"code": error.code, "data": data}).encode()


def load_error(operation: Operation, wire: bytes) -> ContextError:
    """The error as the class that the contract declares under its code, with its data."""
    return error_from(wire, [*operation.errors, *TRANSPORT_ERRORS])


def error_from(wire: bytes, classes: Iterable[type[ContextError]]) -> ContextError:
    """The error as the one of ``classes`` with its code.

    Raises:
        ContractMismatch: None has it.
    """
    given = json.loads(wire)
    for kind in classes:
        if kind.code == given["code"]:
            return cast(ContextError, adapter(kind).validate_python(given["data"]))
    raise ContractMismatch(detail=f"unknown error code {given['code']!r}")


TRANSPORT_ERRORS: tuple[type[ContextError], ...] = tuple(
    kind
    for kind in vars(contract).values()
    if isinstance(kind, type)
    and issubclass(kind, (contract.UnavailableError, contract.NotAuthorized, contract.CommandKeyReusedError))
)


def _dump(values: Mapping[str, tuple[Any, Any]]) -> bytes:
    parts = (json.dumps(n).encode() + b":" + adapter(hint).dump_json(v) for n, (hint, v) in values.items())
    return b"{" + b",".join(parts) + b"}"


def _load(codec: TypeAdapter[Any], value: Any, what: str) -> Any:
    try:
        return codec.validate_python(value, strict=False)
    except ValidationError as error:
        raise ContractMismatch(detail=f"{what}: {error.error_count()} values are not what the contract says") from None
