"""Traffic: from frames to messages."""
