"""DeepFlow-compatible Wasm plugin host."""
