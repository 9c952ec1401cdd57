"""Ports to processes."""
