"""An engine and its readers in different processes, over a Unix socket; see docs/attach.md."""
