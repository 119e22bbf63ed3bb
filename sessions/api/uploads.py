"""Files of a form that keep the paths they were sent with.

Django keeps the last part of each name alone, and is right to for files that are written under it;
here a path says where in its folder a file belongs, and is checked by who takes it.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import load_handler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from typing_extensions import override

from sessions.api.errors import ApiError


@dataclass(frozen=True, slots=True)
class SentFile:
    path: str
    file: UploadedFile


class _PathKeeper(MultiPartParser):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.paths: list[str] = []

    @override
    def sanitize_file_name(self, file_name: str) -> str | None:
        # Each file gets a name of its own, by which its path is found again.
        self.paths.append(file_name)
        return str(len(self.paths) - 1)


def sent_files(request: HttpRequest, *fields: str) -> tuple[QueryDict, list[SentFile]]:
    """The form's other fields, and its files of the fields named, in their order.

    Blocks: to be called in a thread. Raises: ApiError.
    """
    handlers = [load_handler(name, request) for name in settings.FILE_UPLOAD_HANDLERS]
    try:
        parser = _PathKeeper(request.META, request, handlers, request.encoding)
        posted, files = parser.parse()
    except MultiPartParserError as error:
        raise ApiError(400, "The form could not be parsed.") from error
    sent = [
        SentFile(parser.paths[int(file.name or 0)], file)
        for field in fields
        for file in files.getlist(field)
        if isinstance(file, UploadedFile)
    ]
    return posted, sorted(sent, key=lambda one: int(one.file.name or 0))
