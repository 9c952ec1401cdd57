"""Payloads to flows to L7 messages."""
