"""Addresses below `/v1`."""

from django.urls import path, re_path

from sessions.api.endpoint import view
from sessions.api.views import (
    chat,
    compaction,
    container_exec,
    container_files,
    container_rest,
    containers,
    conversations,
    files,
    models,
    openapi,
    responses,
    skills,
    unknown,
    vector_store_files,
    vector_stores,
)

urlpatterns = [
    path("openapi.json", openapi.openapi, name="api-openapi"),
    path("models", view(GET=models.model_list)),
    path("models/<path:model>", view(GET=models.model_get)),
    path("chat/completions", view(GET=chat.chat_list, POST=chat.chat_create)),
    path(
        "chat/completions/<str:completion_id>",
        view(GET=chat.chat_get, POST=chat.chat_update, DELETE=chat.chat_delete),
    ),
    path("chat/completions/<str:completion_id>/messages", view(GET=chat.chat_messages)),
    path("containers", view(GET=containers.container_list, POST=containers.container_create)),
    path(
        "containers/<str:container_id>",
        view(GET=containers.container_get, DELETE=containers.container_delete),
    ),
    path(
        "containers/<str:container_id>/files",
        view(GET=container_files.file_list, POST=container_files.file_create),
    ),
    path(
        "containers/<str:container_id>/files/<str:file_id>",
        view(GET=container_files.file_get, DELETE=container_files.file_delete),
    ),
    path(
        "containers/<str:container_id>/files/<str:file_id>/content",
        view(GET=container_files.file_content),
    ),
    path("containers/<str:container_id>/exec", view(POST=container_exec.exec_run)),
    path(
        "containers/<str:container_id>/archive",
        view(GET=container_rest.archive_get, POST=container_rest.archive_put),
    ),
    path("containers/<str:container_id>/suspend", view(POST=container_rest.container_suspend)),
    path("containers/<str:container_id>/resume", view(POST=container_rest.container_resume)),
    path("files", view(GET=files.file_list, POST=files.file_create)),
    path("files/<str:file_id>", view(GET=files.file_get, DELETE=files.file_delete)),
    path("files/<str:file_id>/content", view(GET=files.file_content)),
    path("conversations", view(POST=conversations.conversation_create)),
    path(
        "conversations/<str:conversation_id>",
        view(
            GET=conversations.conversation_get,
            POST=conversations.conversation_update,
            DELETE=conversations.conversation_delete,
        ),
    ),
    path(
        "conversations/<str:conversation_id>/items",
        view(GET=conversations.items_list, POST=conversations.items_create),
    ),
    path(
        "conversations/<str:conversation_id>/items/<str:item_id>",
        view(GET=conversations.item_get, DELETE=conversations.item_delete),
    ),
    path("responses", view(POST=responses.response_create)),
    path("responses/compact", view(POST=compaction.response_compact)),
    path("responses/input_tokens", view(POST=compaction.tokens_count)),
    path(
        "responses/<str:response_id>",
        view(GET=responses.response_get, DELETE=responses.response_delete),
    ),
    path("responses/<str:response_id>/cancel", view(POST=responses.response_cancel)),
    path("responses/<str:response_id>/input_items", view(GET=responses.input_items)),
    path("skills", view(GET=skills.skill_list, POST=skills.skill_create)),
    path(
        "skills/<str:skill_id>",
        view(GET=skills.skill_get, POST=skills.skill_update, DELETE=skills.skill_delete),
    ),
    path("skills/<str:skill_id>/content", view(GET=skills.skill_content)),
    path(
        "skills/<str:skill_id>/versions", view(GET=skills.version_list, POST=skills.version_create)
    ),
    path(
        "skills/<str:skill_id>/versions/<str:version>",
        view(GET=skills.version_get, DELETE=skills.version_delete),
    ),
    path("skills/<str:skill_id>/versions/<str:version>/content", view(GET=skills.version_content)),
    path("vector_stores", view(GET=vector_stores.store_list, POST=vector_stores.store_create)),
    path(
        "vector_stores/<str:store_id>",
        view(
            GET=vector_stores.store_get,
            POST=vector_stores.store_update,
            DELETE=vector_stores.store_delete,
        ),
    ),
    path("vector_stores/<str:store_id>/search", view(POST=vector_stores.store_search)),
    path(
        "vector_stores/<str:store_id>/files",
        view(GET=vector_store_files.file_list, POST=vector_store_files.file_create),
    ),
    path(
        "vector_stores/<str:store_id>/files/<str:file_id>",
        view(
            GET=vector_store_files.file_get,
            POST=vector_store_files.file_update,
            DELETE=vector_store_files.file_delete,
        ),
    ),
    path(
        "vector_stores/<str:store_id>/files/<str:file_id>/content",
        view(GET=vector_store_files.file_content),
    ),
    path("vector_stores/<str:store_id>/file_batches", view(POST=vector_store_files.batch_create)),
    path(
        "vector_stores/<str:store_id>/file_batches/<str:batch_id>",
        view(GET=vector_store_files.batch_get),
    ),
    path(
        "vector_stores/<str:store_id>/file_batches/<str:batch_id>/cancel",
        view(POST=vector_store_files.batch_cancel),
    ),
    path(
        "vector_stores/<str:store_id>/file_batches/<str:batch_id>/files",
        view(GET=vector_store_files.batch_files),
    ),
    re_path(
        "^",
        view(
            **dict.fromkeys(
                ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"), unknown.unknown
            )
        ),
    ),
]
