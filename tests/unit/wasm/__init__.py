"""The Wasm plugin host."""
