"""The words every contract uses. Standard library only; every context's `contract.py` may come in, and everybody else.

Errors that may cross a context's border (HTTP status in brackets, mapped in `shop.http.problems` only)::

    ContextError
    ├── InvalidError      [422] · MalformedError [400]
    ├── UnauthenticatedError [401] · DeclinedError [402]
    ├── ForbiddenError    [403]
    ├── NotFoundError     [404]
    ├── ConflictError     [409] · PreconditionError [412]
    └── UnavailableError  [503]
        ├── ServiceUnavailable · DeadlineExceeded · CircuitOpen · ContractMismatch
        ├── OutcomeUnknown   a command was sent and no answer came: send the same key again
        └── RemoteFault      the callee failed with an error its contract does not declare
    NotAuthorized            a caller the contract does not name
"""

from shop.contract.errors import (
    CALL_ERRORS,
    CircuitOpen,
    CommandKeyReusedError,
    ConflictError,
    ContextError,
    ContractMismatch,
    DeadlineExceeded,
    DeclinedError,
    Fault,
    ForbiddenError,
    InvalidError,
    MalformedError,
    NotAuthorized,
    NotFoundError,
    OutcomeUnknown,
    PreconditionError,
    RemoteFault,
    ServiceUnavailable,
    UnauthenticatedError,
    UnavailableError,
)
from shop.contract.events import Event
from shop.contract.personal import Json, PersonalData
from shop.contract.service import Kind, Operation, Service, atomic, query, saga
from shop.contract.values import Money, Principal

__all__ = [
    "CALL_ERRORS",
    "CircuitOpen",
    "CommandKeyReusedError",
    "ConflictError",
    "ContextError",
    "ContractMismatch",
    "DeadlineExceeded",
    "DeclinedError",
    "Event",
    "Fault",
    "ForbiddenError",
    "InvalidError",
    "Json",
    "Kind",
    "MalformedError",
    "Money",
    "NotAuthorized",
    "NotFoundError",
    "Operation",
    "OutcomeUnknown",
    "PersonalData",
    "PreconditionError",
    "Principal",
    "RemoteFault",
    "Service",
    "ServiceUnavailable",
    "UnauthenticatedError",
    "UnavailableError",
    "atomic",
    "query",
    "saga",
]
