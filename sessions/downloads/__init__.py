"""Bytes of a workspace as HTTP responses, for every door."""
