"""Requests made of the document: each is answered as it says, and none breaks the server."""

import pytest

from tests.api.fuzz.run import run


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_generated_requests_are_answered_as_the_document_says() -> None:
    code, found = run(examples=8, seed=20, phases="examples,fuzzing,stateful")
    assert code == 0, found[-20_000:]
    assert "ERROR" not in found
