"""Recordings: written, replayed, asked."""
