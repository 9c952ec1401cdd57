"""Kernel events by stable tracepoints."""
