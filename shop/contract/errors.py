"""The error tree. What is raised here keeps its class and its data through every transport."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One part of a request that is at fault.

    Attributes:
        field: Where, as a dotted path into the request: ``lines.0``, ``email``.
        code: Stable, for programs.
        detail: For people.
        available: Pieces left, where stock is short.
    """

    field: str
    code: str
    detail: str
    available: int | None = None


@dataclass(eq=False, kw_only=True)
class ContextError(Exception):
    """An expected failure that may cross a context's border. Subclasses add typed data as fields."""

    code: ClassVar[str] = "error"
    detail: str = ""
    faults: tuple[Fault, ...] = ()

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code


class InvalidError(ContextError):
    """The request can't be understood or breaks a rule of its own."""

    code = "invalid"


class MalformedError(ContextError):
    """The request is not what its sender sent, or can't be from the one it says it is from."""

    code = "malformed"


class UnauthenticatedError(ContextError):
    """Nobody is signed in, or the credentials are no good."""

    code = "not_authenticated"


class DeclinedError(ContextError):
    """The payment was refused by whoever should pay."""

    code = "payment_declined"


class ForbiddenError(ContextError):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotFoundError(ContextError):
    """There is no such thing, or it is somebody else's."""

    code = "not_found"


class ConflictError(ContextError):
    """The present state does not allow it."""

    code = "conflict"


class PreconditionError(ContextError):
    """The thing is no longer what the caller has seen of it."""

    code = "precondition_failed"


class CommandKeyReusedError(ConflictError):
    """An atomic command came again under its key, but with other arguments."""

    code = "command_key_reused"


class UnavailableError(ContextError):
    """Not now; the same request may succeed later."""

    code = "unavailable"


class ServiceUnavailable(UnavailableError):
    """The target can't be reached, or is switched off."""

    code = "service_unavailable"


class DeadlineExceeded(UnavailableError):
    """No time is left to start the call."""

    code = "deadline_exceeded"


class CircuitOpen(UnavailableError):
    """The target failed too often; it is given a rest."""

    code = "circuit_open"


class ContractMismatch(UnavailableError):
    """Caller and callee disagree about the contract."""

    code = "contract_mismatch"


class OutcomeUnknown(UnavailableError):
    """A command was sent and no answer came back. Send it again under the same key."""

    code = "outcome_unknown"


class RemoteFault(UnavailableError):
    """The callee failed with an error that its contract does not declare. The cause is in the callee's log."""

    code = "remote_fault"


class NotAuthorized(ForbiddenError):
    """The calling context is not among the callers that the contract names."""

    code = "caller_not_authorized"


CALL_ERRORS = (ServiceUnavailable, DeadlineExceeded, CircuitOpen, ContractMismatch, OutcomeUnknown)
"""What a call to another context may end with, beside the errors of its contract."""
