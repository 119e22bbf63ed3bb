"""Key-value pairs that programs hang on objects."""

from typing import Annotated

from pydantic import Field, StringConstraints

MAX_PAIRS = 16

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=MAX_PAIRS),
]
