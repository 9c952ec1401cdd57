"""Export to an OpenTelemetry collector; its SDK is loaded only when something is exported."""
