"""The boxscope engine: sources, decoders and stores, with no screen in it."""

__version__ = "0.1.0"
