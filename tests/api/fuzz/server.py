"""A real server over guests that are plain child processes, to be asked anything.

    python -m tests.api.fuzz.server

in an environment whose BERTH_VAR_DIR is its own. Prints a key and then what `manage.py serve` does.
"""

import os
from pathlib import Path

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
    django.setup()
    # Not before Django is set up.
    from django.conf import settings
    from django.core.management import call_command

    from sessions.runtime.archives import Archives
    from sessions.runtime.process import Runtime, SandboxConfig
    from sessions.runtime.sandboxes import Sandboxes
    from sessions.runtime.wiring import max_limits, use_runtime
    from sessions.sandbox.channel import open_channel
    from sessions.sandbox.limits import Limits
    from sessions.services import wrong_keys
    from tests.sandbox.child_backend import ChildBackend
    from tests.scripted_models import ScriptedModels

    # Whoever guesses keys is told to wait, which looks like a wrong answer to a wrong key.
    wrong_keys.FREE_GUESSES = 10**9
    call_command("migrate", verbosity=0)
    call_command("ensure_admin", verbosity=0)
    call_command("create_api_key", "admin", "fuzz")
    archives = Archives(Path(settings.VAR_DIR) / "archives")
    use_runtime(
        Runtime(
            sandboxes=Sandboxes(ChildBackend(), open_channel, archives=archives),
            models=ScriptedModels(),
            config=SandboxConfig("child", Limits(), max_limits()),
        )
    )
    call_command("serve", bind="127.0.0.1", port=0)


if __name__ == "__main__":
    main()
