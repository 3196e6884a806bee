"""The API's document: OpenAPI 3.1, one for all hosted contexts and one for each. Pages and commands come in here.

The dialects' own generators describe bodies and answers; what the gateway does with a request is added from the route
table, which is the one place that says who may call what and with which refusals.
"""

from shop.gateway.openapi.document import as_json, document
from shop.gateway.openapi.merging import whole_document
from shop.gateway.openapi.problem_page import problem_page

__all__ = ["as_json", "document", "problem_page", "whole_document"]
