"""What a program carries for us and must not read or make up: compacted conversations.

Sealed for one owner with a key of the installation: another user's is refused like a broken one.
Keys that were replaced still open what they sealed (`SECRET_KEY_FALLBACKS`).
"""

import base64
import json
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

from sessions.errors import InvalidInputError
from sessions.providers.base import Item, item_from_json, item_to_json

MAX_SEALED_CHARS = 20_971_520
"""As much as the API takes back."""
_PURPOSE = "berth compaction 1"


class SealBrokenError(InvalidInputError):
    """It was not sealed here, not for this owner, or was changed since."""

    code = "invalid_encrypted_content"


def seal(owner_id: int, items: Sequence[Item]) -> str:
    """Raises: InvalidInputError when it would be too long to be taken back."""
    content = json.dumps([item_to_json(item) for item in items], separators=(",", ":"))
    sealed = _box(owner_id).encrypt(content.encode()).decode()
    if len(sealed) > MAX_SEALED_CHARS:
        raise InvalidInputError("The latest message is too long for a compacted conversation.")
    return sealed


def unseal(owner_id: int, sealed: str) -> list[Item]:
    """Raises: SealBrokenError."""
    try:
        content = _box(owner_id).decrypt(sealed.encode())
        return [item_from_json(item) for item in json.loads(content)]
    except (InvalidToken, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SealBrokenError("The encrypted content could not be verified.") from error


def _box(owner_id: int) -> MultiFernet:
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(secret, owner_id)) for secret in secrets])


def _key(secret: str | bytes, owner_id: int) -> bytes:
    info = f"{_PURPOSE} for {owner_id}".encode()
    derived = HKDF(SHA256(), length=32, salt=None, info=info).derive(force_bytes(secret))
    return base64.urlsafe_b64encode(derived)
