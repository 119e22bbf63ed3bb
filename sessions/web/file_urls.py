"""Routes of a session's files, below `/sessions/<uuid>/files/`."""

from django.urls import path

from sessions.web.views import file_bytes, file_uploads, files

urlpatterns = [
    path("list/", files.list_entries, name="files-list"),
    path("changes/", files.list_changes, name="files-changes"),
    path("view/", files.view_file, name="files-view"),
    path("raw/", file_bytes.download_file, name="files-raw"),
    path("image/", file_bytes.show_image, name="files-image"),
    path("archive/", file_bytes.download_archive, name="files-archive"),
    path("upload/", file_bytes.upload_file, name="files-upload"),
    path("uploads/", file_uploads.uploads, name="files-uploads"),
    path("uploads/<uuid:upload_id>/", file_uploads.upload, name="files-upload-piece"),
    path("uploads/<uuid:upload_id>/finish/", file_uploads.finish, name="files-upload-finish"),
    path("folder/", files.create_folder, name="files-folder"),
    path("rename/", files.rename_entry, name="files-rename"),
    path("delete/", files.delete_entry, name="files-delete"),
]
