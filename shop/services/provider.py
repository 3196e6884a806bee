"""The callee's side: runs the method, and for an atomic command opens its transaction and keeps its outcome."""

import hashlib
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import IntegrityError
from django.db.utils import InterfaceError, OperationalError

from shop.contract import CommandKeyReusedError, Kind, RemoteFault, Service, UnavailableError
from shop.services import codec
from shop.services.models import Outcome
from shop.services.transport import Call
from shop.sharding import Scope, new_id, shard_atomic
from shop.sharding.scope import savepoint

log = structlog.get_logger(__name__)


def run(provider: Service, call: Call) -> Any:
    """Run one call on its implementation.

    Raises:
        ContextError: As declared; anything undeclared becomes `RemoteFault`, its cause logged here.
    """
    try:
        if call.operation.kind is Kind.ATOMIC:
            return _run_once(provider, call)
        return getattr(provider, call.operation.name)(**call.arguments)
    except Exception as error:
        if type(error) in (*call.operation.errors, *codec.TRANSPORT_ERRORS):
            raise
        if isinstance(error, UnavailableError):  # of a class that the caller can't know
            raise UnavailableError(detail=error.detail) from error
        if isinstance(error, OperationalError | InterfaceError):
            log.warning("database_unavailable", operation=call.operation.name, error=type(error).__name__)
            raise UnavailableError(detail="a database is busy or does not answer") from error
        log.exception("service_fault", operation=f"{call.interface.context}.{call.operation.name}")
        raise RemoteFault(detail=f"{call.interface.context}.{call.operation.name} failed") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """What makes an atomic command the same one again, and where it belongs."""

    caller: str
    method: str
    key: str
    digest: str
    shard_key: int

    @classmethod
    def of(cls, call: Call) -> "_Command":
        operation, arguments = call.operation, call.arguments
        wire = codec.dump_arguments(operation, dict(sorted(arguments.items())))
        return cls(
            caller=call.caller,
            method=f"{call.interface.context}.{operation.name}",
            key=str(arguments[str(operation.key)]),
            digest=hashlib.sha256(wire).hexdigest(),
            shard_key=int(arguments[str(operation.shard_key)]),
        )


def _run_once(provider: Service, call: Call) -> Any:
    """Effect and outcome in one transaction; the same key again gives the stored outcome."""
    command = _Command.of(call)
    try:
        return _outcome(provider, call, command)
    except IntegrityError:
        return _outcome(provider, call, command)  # the same command was faster elsewhere: its outcome is there now


def _outcome(provider: Service, call: Call, command: _Command) -> Any:
    with shard_atomic(call.interface.context, command.shard_key) as scope:
        rows = Outcome.objects.using(scope.alias)
        known = rows.filter(caller=command.caller, method=command.method, key=command.key).first()
        row = known or _effect(provider, call, command, scope)
    return _answer(row, call, command.digest)


def _effect(provider: Service, call: Call, command: _Command, scope: Scope) -> Outcome:
    result, error = b"", b""
    try:
        with savepoint():
            answer = getattr(provider, call.operation.name)(**call.arguments)
        result = codec.dump_answer(call.operation, answer)
    except call.operation.errors as declared:
        if type(declared) not in call.operation.errors:
            raise  # a subclass that the contract does not name: the caller could not tell what it is
        error = codec.dump_error(declared)
    return Outcome.objects.using(scope.alias).create(
        id=new_id(call.interface.context, near=command.shard_key),
        caller=command.caller,
        method=command.method,
        key=command.key,
        arguments_hash=command.digest,
        result=result.decode(),
        error=error.decode(),
    )


def _answer(row: Outcome, call: Call, digest: str) -> Any:
    if row.arguments_hash != digest:
        raise CommandKeyReusedError(detail=f"{row.method} came under this key with other arguments before")
    if row.error:
        raise codec.load_error(call.operation, row.error.encode())
    return codec.load_answer(call.operation, row.result.encode())
