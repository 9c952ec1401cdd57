"""What every part of the engine shares; it imports no other part."""
