"""Responses that programs ask for: from what they send to a turn, and from its log to what they
get."""
