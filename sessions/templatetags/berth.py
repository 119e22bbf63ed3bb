"""Figures and words as the pages show them."""

import datetime as dt

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from sessions.selectors import SessionRow

register = template.Library()

_AGES = ((86400, "d"), (3600, "h"), (60, "min"))
_PROVIDERS = {
    "openai_responses": "OpenAI",
    "openai_chat": "Endpoint",
    "local": "Local",
    "scripted": "Scripted",
}
_TOAST_LEVELS = {"success": "ok", "warning": "warn", "error": "danger"}


@register.filter
def compact_number(value: int) -> str:
    """1234 as 1.2k: three digits say enough in a list."""
    if value < 1000:
        return str(value)
    for unit in ("k", "M"):
        scaled = value / 1000
        if scaled < 999.5:
            return f"{scaled:.1f}{unit}" if scaled < 99.95 else f"{scaled:.0f}{unit}"
        value = round(scaled)
    return f"{value / 1000:.1f}G"


@register.filter
def code_spans(text: str) -> SafeString:
    """What stands between backticks as code."""
    parts = text.split("`")
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<code>{}</code>", part) if index % 2 else part,)
            for index, part in enumerate(parts)
        ),
    )


@register.filter
def without_fences(task: str) -> str:
    """What is asked for, without the lines that only mark it as code."""
    return "\n".join(line for line in task.splitlines() if not line.startswith(("```", "~~~")))


@register.filter
def tokens(row: SessionRow) -> str:
    return compact_number(row.input_tokens + row.output_tokens)


def age_words(seconds: float) -> str:
    for length, unit in _AGES:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"


@register.simple_tag
def age(value: dt.datetime) -> SafeString:
    """How long ago, kept current by static/js/dashboard.js in the same words."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(timespec="seconds"),
        f"{value:%Y-%m-%d %H:%M} UTC",
        age_words((timezone.now() - value).total_seconds()),
    )


@register.filter
def provider_label(value: str) -> str:
    return _PROVIDERS.get(value, value)


@register.filter
def toast_level(level_tag: str) -> str:
    return _TOAST_LEVELS.get(level_tag, "info")
