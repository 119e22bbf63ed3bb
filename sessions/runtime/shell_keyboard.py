"""Who may type into a shell: one page at a time."""

import time

RETURN_S = 3.0
"""How long a keyboard is kept for the page that held it, as while that page reloads."""


class Keyboard:
    """A viewer is a page that looks at the shell, by the id that all may know."""

    def __init__(self, opener: str, *, last_user: str = "", last_viewer: str = "") -> None:
        self._opener = opener
        self.holder = ""
        """The viewer who may type now; empty while the keyboard is free."""
        self.user = last_user
        """Whose page holds it, or held it last."""
        self._last_viewer = last_viewer
        self._free_since = time.monotonic()

    def came(self, viewer: str, user: str, *, is_new: bool) -> bool:
        """Give a free keyboard to a page that came: back to the one that held it, else to a new
        one of the same person. True when that page has it now."""
        if self.holder:
            return self.holder == viewer
        if viewer == self._last_viewer:
            return self.take(viewer, user)
        if not self._last_viewer:
            return user == self._opener and self.take(viewer, user)
        is_left = time.monotonic() - self._free_since >= RETURN_S
        return is_new and is_left and user == self.user and self.take(viewer, user)

    def take(self, viewer: str, user: str) -> bool:
        self.holder = self._last_viewer = viewer
        self.user = user
        return True

    def left(self, viewer: str) -> bool:
        """The page is gone; True when the keyboard is free because of it."""
        if not viewer or self.holder != viewer:
            return False
        self.holder = ""
        self._free_since = time.monotonic()
        return True
