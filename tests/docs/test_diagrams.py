"""Diagrams are well formed as far as a few patterns can tell, and draw the states that the code has."""

import pytest

from contexts.ordering.domain import AttemptStatus, FulfilmentStatus, OrderStatus, PaymentStatus
from tests.docs.mermaid import mermaid_faults, states_of
from tests.docs.pages import blocks, pages, text_of

pytestmark = pytest.mark.once

DIAGRAMS = [block for page in pages() for block in blocks(page, text_of(page)) if block.language == "mermaid"]


@pytest.mark.parametrize("diagram", DIAGRAMS, ids=str)
def test_a_diagram_is_well_formed(diagram):
    assert list(mermaid_faults(diagram.text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "flow TB\na --> b",
        "flowchart TB\na -> b",
        'flowchart TB\nsubgraph one["a"]\na --> b',
        'flowchart TB\na["open --> b',
        "sequenceDiagram\nparticipant A as x\nA->>B: hello",
        "sequenceDiagram\nparticipant A as x\nA->>A: hello; bye",
        "sequenceDiagram\nparticipant A as x\nend",
        "stateDiagram-v2\na -> b",
        "stateDiagram-v2\na --> b : one : two",
    ],
)
def test_a_diagram_that_is_not_is_told(text):
    assert list(mermaid_faults(text)) != []


def test_the_states_that_are_drawn_are_those_of_the_code():
    machines = [states_of(d.text) for d in DIAGRAMS if d.text.startswith("stateDiagram")]
    assert machines == [set(OrderStatus), {*PaymentStatus, *FulfilmentStatus}, set(AttemptStatus)]
