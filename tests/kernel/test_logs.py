"""Log lines as they are written."""

import json
import logging

import pytest

from shop.observability.logs import dict_config

pytestmark = pytest.mark.once

QUOTING = 'duplicate key value violates unique constraint "c"\nDETAIL:  Key (email)=(ada@example.org) exists.'


def line_of(error):
    """The line of an error that broke out of another one."""
    config = dict_config("INFO")["formatters"]["json"]
    formatter = config.pop("()")(**config)
    try:
        try:
            raise LookupError(QUOTING)
        except LookupError as cause:
            raise error from cause
    except type(error) as caught:
        record = logging.LogRecord("tests", logging.ERROR, __file__, 1, "failed", None, (type(caught), caught, None))
    return json.loads(formatter.format(record))


def test_an_error_is_logged_with_what_it_says():
    errors = line_of(ValueError("no more memory"))["exception"]
    assert errors[0]["exc_value"] == "no more memory"


def test_what_postgresql_quotes_of_a_row_is_not_logged_of_no_error_in_the_chain():
    line = line_of(RuntimeError(QUOTING))
    assert [error["exc_type"] for error in line["exception"]] == ["RuntimeError", "LookupError"]
    assert "ada@example.org" not in json.dumps(line)
    assert "violates unique constraint" in json.dumps(line)
