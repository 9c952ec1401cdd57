"""Kernel events: subscriptions, programs on raw tracepoints, the ring they write into."""
