"""Lists in pages: `after` is the id of the last object seen."""

import datetime as dt
import uuid
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from sessions.api.errors import ApiError
from sessions.api.schema import PageQuery

Row = TypeVar("Row", bound=Model)


async def page_between(
    rows: QuerySet[Row],
    query: PageQuery,
    *,
    after: uuid.UUID | None,
    before: uuid.UUID | None,
) -> tuple[list[Row], bool]:
    """The same for lists that can be gone through backwards: with `query.before`, the rows that
    come right before that one, and whether more come before those."""
    given: str | None = getattr(query, "before", None)
    if given is None:
        return await page_of_rows(rows, query, after)
    if query.after is not None:
        message = "'after' and 'before' cannot be used together."
        raise ApiError(400, message, param="before", code="invalid_value")
    turned = query.model_copy(
        update={"after": given, "order": "asc" if query.order == "desc" else "desc"}
    )
    page, has_more = await page_of_rows(rows, turned, before)
    return page[::-1], has_more


async def page_of_rows(
    rows: QuerySet[Row], query: PageQuery, after: uuid.UUID | None
) -> tuple[list[Row], bool]:
    """The rows of the page, by `created_at` and `id`, and whether more follow.

    `after` is `query.after` as a key; None for what cannot be one. Raises: ApiError when it names
    no row of the list.
    """
    sign = "-" if query.order == "desc" else ""
    if query.after is not None:
        seen = await rows.filter(pk=after).afirst() if after else None
        if seen is None:
            raise unknown_after(query.after)
        rows = rows.filter(_behind(seen, is_descending=bool(sign)))
    page = [
        row async for row in rows.order_by(f"{sign}created_at", f"{sign}pk")[: query.limit + 1]
    ]
    return page[: query.limit], len(page) > query.limit


def _behind(seen: Model, *, is_descending: bool) -> Q:
    created_at: dt.datetime = seen.created_at  # type: ignore[attr-defined]
    if is_descending:
        return Q(created_at__lt=created_at) | Q(created_at=created_at, pk__lt=seen.pk)
    return Q(created_at__gt=created_at) | Q(created_at=created_at, pk__gt=seen.pk)


def unknown_after(given: str) -> ApiError:
    return ApiError(400, f"Nothing in this list has the id '{given}'.", param="after")
