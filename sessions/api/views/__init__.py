"""One module for each kind of object."""
