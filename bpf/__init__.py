"""C text for the kernel probe and the stub headers it is compiled against."""
