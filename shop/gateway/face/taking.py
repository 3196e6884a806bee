"""Events that another process hands over by HTTP. An answer of 200 says that each has its fate in an inbox."""

import json

import structlog
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError

from shop.contract import UnavailableError
from shop.events.away import is_away
from shop.events.batches import hand_over
from shop.events.broker.parked import park
from shop.events.broker.sealing import NotBelieved, unseal
from shop.http.problems import problem
from shop.services import acting_as

log = structlog.get_logger(__name__)


def take_events(context: str, request: HttpRequest) -> HttpResponse:
    """Give a batch to the handlers of ``context``; who sends it is known by the batch's own seal. Safe to repeat."""
    structlog.contextvars.bind_contextvars(context=context)
    try:
        message = json.loads(request.body)
        envelopes = unseal(message)
    except NotBelieved as error:
        log.warning("events_not_believed", reason=error.reason)
        return problem(401, "not_believed", error.reason)
    except UnavailableError as error:
        return problem(503, error.code, error.detail)
    except (ValueError, RecursionError, SuspiciousOperation, UnreadablePostError):
        return problem(400, "malformed", "the body is no batch of events")
    try:
        with acting_as(context):
            for topic in hand_over(envelopes, context=context):
                park(message, topic=topic, reason="no handler here knows this topic", context=context)
    except Exception as error:
        if not is_away(error):
            log.exception("batch_failed")
        return problem(503, "unavailable", "an inbox can't be written; send it again")
    return JsonResponse({"taken": len(envelopes)})
