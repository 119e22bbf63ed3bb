"""What people type, checked. Bounds come from the runtime, never from literals here."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from sessions.providers.registry import ModelChoice
from sessions.sandbox.limits import MIB, Limits
from sessions.services import NewUpload

MAX_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class LimitField:
    """One limit as the form shows it: `scale` units of `Limits` make one unit of the form."""

    name: str
    attribute: str
    label: str
    unit: str
    scale: float
    minimum: float
    is_whole: bool = True

    def shown(self, limits: Limits) -> float:
        value = round(getattr(limits, self.attribute) / self.scale, MAX_DECIMALS)
        return int(value) if value == int(value) else value

    def stored(self, value: float) -> Any:
        kind = type(getattr(Limits(), self.attribute))
        return kind(value * self.scale)

    def field(self, default: Limits, maximum: Limits) -> forms.Field:
        kind = forms.IntegerField if self.is_whole else forms.FloatField
        limits: dict[str, Any] = {
            "min_value": self.minimum,
            "max_value": max(self.shown(maximum), self.shown(default)),
        }
        return kind(
            required=False,
            label=self.label,
            initial=self.shown(default),
            help_text=self.unit,
            **limits,
        )


LIMIT_FIELDS = (
    LimitField("memory_mb", "memory_bytes", "Memory", "MiB", MIB, 64),
    LimitField("cpus", "cpus", "CPUs", "cores", 1, 0.1, is_whole=False),
    LimitField("pids", "pids", "Processes", "at once", 1, 16),
    LimitField("disk_mb", "disk_bytes", "Disk", "MiB", MIB, 64),
    LimitField("command_timeout_s", "command_timeout_s", "Command time", "seconds", 1, 1),
    LimitField("max_output_mb", "max_output_bytes", "Output per command", "MiB", MIB, 1),
    LimitField(
        "session_hours", "session_time_s", "Container life", "hours", 3600, 0.1, is_whole=False
    ),
)


EXPIRIES = (
    (5 * 60, "5 min"),
    (20 * 60, "20 min"),
    (3600, "1 h"),
    (4 * 3600, "4 h"),
    (24 * 3600, "1 day"),
    (0, "never"),
)
"""How long a session may go without use before it is suspended, in seconds."""


def expiry_choices(chosen_s: int) -> list[tuple[int, str]]:
    """Those to choose from, with the one that is in force."""
    if any(seconds == chosen_s for seconds, _ in EXPIRIES):
        return list(EXPIRIES)
    return [(chosen_s, f"{chosen_s / 60:g} min"), *EXPIRIES]


class NewSessionForm(forms.Form):
    """What a session starts from; of the images the first is the default.

    `files` are read from the request by `uploads`: Django's own field takes only one.
    """

    task = forms.CharField(
        strip=False, error_messages={"required": "Write what the agent should do."}
    )
    choice = forms.ChoiceField(
        error_messages={"invalid_choice": "This model is not offered here. Choose another."}
    )
    image = forms.ChoiceField(
        error_messages={"invalid_choice": "This image is not offered here. Choose another."}
    )

    skills = forms.MultipleChoiceField(
        required=False,
        label="Skills",
        error_messages={"invalid_choice": "One of the skills is no longer there."},
    )

    expires_after_s = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        label="Suspend when unused for",
        error_messages={"invalid_choice": "Choose one of the times offered."},
    )

    def __init__(
        self,
        data: Any = None,
        *,
        choices: Sequence[ModelChoice],
        default_choice: ModelChoice,
        images: Sequence[str],
        limits_default: Limits,
        limits_max: Limits,
        expires_after_s: int,
        skills: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`skills` are ids and names of those to choose from."""
        super().__init__(data, initial={"choice": choice_value(default_choice)})
        self.initial["expires_after_s"] = self.default_expiry_s = expires_after_s
        expiry = self.fields["expires_after_s"]
        assert isinstance(expiry, forms.TypedChoiceField)
        expiry.choices = expiry_choices(expires_after_s)
        wanted = self.fields["skills"]
        assert isinstance(wanted, forms.MultipleChoiceField)
        wanted.choices = skills
        self.models = list(choices)
        self.limits_default = limits_default
        self._offer("choice", [choice_value(choice) for choice in choices])
        self._offer("image", images)
        self.initial["image"] = images[0]
        for limit in LIMIT_FIELDS:
            self.fields[limit.name] = limit.field(limits_default, limits_max)

    def _offer(self, name: str, values: Sequence[str]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(value, value) for value in values]

    def limit_rows(self) -> list[forms.BoundField]:
        return [self[limit.name] for limit in LIMIT_FIELDS]

    def errors_by_field(self) -> list[tuple[str, list[str]]]:
        """Every place for an error, also the empty ones: what was mended must lose its message."""
        places = [(name, [str(e) for e in self[name].errors]) for name in self.fields]
        return [("form", [str(e) for e in self.non_field_errors()]), *places]

    def has_limit_errors(self) -> bool:
        names = [limit.name for limit in LIMIT_FIELDS]
        return any(name in self.errors for name in (*names, "expires_after_s"))

    def limits(self) -> Limits:
        """The limits asked for; a field left empty keeps its default."""
        asked = {
            limit.attribute: limit.stored(self.cleaned_data[limit.name])
            for limit in LIMIT_FIELDS
            if self.cleaned_data.get(limit.name) is not None
        }
        return dataclasses.replace(self.limits_default, **asked)

    def expiry_s(self) -> int:
        asked = self.cleaned_data.get("expires_after_s")
        return self.default_expiry_s if asked is None else int(asked)

    def model_choice(self) -> ModelChoice:
        value = self.cleaned_data["choice"]
        return next(model for model in self.models if choice_value(model) == value)


def choice_value(choice: ModelChoice) -> str:
    return f"{choice.provider}:{choice.model}"


def uploads(files: Sequence[UploadedFile]) -> list[NewUpload]:
    return [
        NewUpload(name=file.name or "", chunks=file.chunks(), size=file.size or 0)
        for file in files
    ]


class SignInForm(forms.Form):
    username = forms.CharField(max_length=150)
    password = forms.CharField(strip=False, max_length=4096)
