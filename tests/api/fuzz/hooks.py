"""Lets most requests reach something that is there. Loaded by schemathesis."""

import json
import os
from typing import Any

import schemathesis

SEEDS: dict[str, str] = json.loads(os.environ.get("BERTH_FUZZ_SEEDS", "{}"))
"""Ids by the parameters of paths; those of files in containers as `container_file_id`."""


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """What is deleted is left to sequences of requests, which make it first; and what is wrong on
    purpose stays wrong."""
    meta = case.meta
    if meta is None or case.method == "DELETE" or not meta.generation.mode.is_positive:
        return case
    if "stateful" in str(meta.phase.name).lower():
        return case
    own = case.path_parameters or {}
    for name in own:
        known = f"container_{name}" if name == "file_id" and "container_id" in own else name
        if known in SEEDS:
            own[name] = SEEDS[known]
    return case
