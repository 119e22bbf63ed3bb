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
from sessions.services.container_files import (
    container_file_id,
    container_file_removed,
    container_file_uploaded,
    container_files_seen,
)
from sessions.services.conversations import (
    conversation_create,
    conversation_delete,
    conversation_item_delete,
    conversation_items_add,
    conversation_update,
)
from sessions.services.file_uploads import (
    file_upload_append,
    file_upload_create,
    file_upload_discard,
    file_uploads_expire,
)
from sessions.services.idleness import (
    MAX_EXPIRES_AFTER_S,
    MIN_EXPIRES_AFTER_S,
    session_keep,
    session_set_expiry,
    session_touch,
)
from sessions.services.shells import (
    MAX_OPEN_SHELLS,
    shell_create,
    shell_end,
    shell_is_held,
    shell_set_writer,
    shell_size,
    shell_take,
    viewer_name,
    viewer_token,
)
from sessions.services.stored_files import (
    stored_file_create,
    stored_file_delete,
    stored_file_path,
    stored_files_expire,
)
from sessions.services.uploads import (
    MAX_UPLOAD_BYTES,
    NewUpload,
    upload_check_size,
    upload_folder,
    upload_name,
)
from sessions.services.work import (
    MAX_QUEUED_TURNS,
    MAX_TEXT_BYTES,
    container_create,
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
    "MAX_EXPIRES_AFTER_S",
    "MAX_OPEN_SHELLS",
    "MAX_QUEUED_TURNS",
    "MAX_TEXT_BYTES",
    "MAX_UPLOAD_BYTES",
    "MIN_EXPIRES_AFTER_S",
    "NewUpload",
    "admin_ensure",
    "api_key_create",
    "api_key_revoke",
    "api_key_user",
    "container_create",
    "container_file_id",
    "container_file_removed",
    "container_file_uploaded",
    "container_files_seen",
    "conversation_create",
    "conversation_delete",
    "conversation_item_delete",
    "conversation_items_add",
    "conversation_update",
    "file_upload_append",
    "file_upload_create",
    "file_upload_discard",
    "file_uploads_expire",
    "session_create",
    "session_delete",
    "session_keep",
    "session_rename",
    "session_set_expiry",
    "session_touch",
    "shell_create",
    "shell_end",
    "shell_is_held",
    "shell_set_writer",
    "shell_size",
    "shell_take",
    "sign_in_link_create",
    "sign_in_link_is_fresh",
    "sign_in_link_use",
    "stored_file_create",
    "stored_file_delete",
    "stored_file_path",
    "stored_files_expire",
    "title_from",
    "turn_remove",
    "turn_set_status",
    "turn_stop",
    "turn_submit",
    "upload_check_size",
    "upload_folder",
    "upload_name",
    "viewer_name",
    "viewer_token",
]
