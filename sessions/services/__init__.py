"""Every write a front door can ask for, named `<entity>_<action>`.

All are async and keyword-only. Access is the caller's to check first (selectors.session_get).
"""

from sessions.services.access import (
    admin_ensure,
    api_key_create,
    api_key_revoke,
    api_key_user,
    sign_in_link_create,
    sign_in_link_is_fresh,
    sign_in_link_use,
)
from sessions.services.shells import (
    MAX_OPEN_SHELLS,
    shell_create,
    shell_end,
    shell_set_writer,
    shell_size,
)
from sessions.services.uploads import MAX_UPLOAD_BYTES, NewUpload, upload_folder, upload_name
from sessions.services.work import (
    MAX_QUEUED_TURNS,
    MAX_TEXT_BYTES,
    session_create,
    session_delete,
    session_rename,
    title_from,
    turn_remove,
    turn_set_status,
    turn_stop,
    turn_submit,
)

__all__ = [
    "MAX_OPEN_SHELLS",
    "MAX_QUEUED_TURNS",
    "MAX_TEXT_BYTES",
    "MAX_UPLOAD_BYTES",
    "NewUpload",
    "admin_ensure",
    "api_key_create",
    "api_key_revoke",
    "api_key_user",
    "session_create",
    "session_delete",
    "session_rename",
    "shell_create",
    "shell_end",
    "shell_set_writer",
    "shell_size",
    "sign_in_link_create",
    "sign_in_link_is_fresh",
    "sign_in_link_use",
    "title_from",
    "turn_remove",
    "turn_set_status",
    "turn_stop",
    "turn_submit",
    "upload_folder",
    "upload_name",
]
