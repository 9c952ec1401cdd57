"""The `boxscope` command; one module per verb."""
