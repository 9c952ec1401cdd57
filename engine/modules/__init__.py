"""In-process plugins in a runner child."""
