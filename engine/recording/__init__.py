"""Recorded streams: written, read back, replayed."""
