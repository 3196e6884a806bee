"""Public IDs in requests: in a path a bad one is simply not found, elsewhere it is the request's fault."""

from typing import Any

from shop.contract import Fault, NotFoundError
from shop.http.problems import InvalidIdError
from shop.sharding.public_ids import ALPHABET, FIRST_VALUES, LENGTH, InvalidPublicId, number_of


def id_schema(prefix: str) -> dict[str, Any]:
    """JSON Schema of a public ID: its form, not whether there is such a thing."""
    first, others = ALPHABET[:FIRST_VALUES], ALPHABET
    return {"type": "string", "pattern": f"^{prefix}_[{first}][{others}]{{{LENGTH - 1}}}$"}


def from_path(prefix: str, text: str) -> int:
    """ID of a path segment.

    Raises:
        NotFoundError: Damaged, or of another type.
    """
    try:
        return number_of(prefix, text)
    except InvalidPublicId:
        raise NotFoundError(detail="there is no such thing") from None


def from_request(prefix: str, text: str, field: str) -> int:
    """ID in a query or a body.

    Raises:
        InvalidIdError: ``invalid_id`` at ``field``.
    """
    try:
        return number_of(prefix, text)
    except InvalidPublicId:
        fault = Fault(field=field, code="invalid_id", detail=f"not an ID of the form {prefix}_…")
        raise InvalidIdError(detail="an ID in the request is not valid", faults=(fault,)) from None
