"""Elkeid-compatible plugin host."""
