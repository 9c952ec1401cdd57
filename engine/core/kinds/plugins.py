"""Records of plugins and modules."""

from __future__ import annotations

from engine.core.fields import Field, RecordKind

PLUGIN_RECORD = RecordKind(
    "plugin_record",
    "A record a plugin wrote to its pipe.",
    (
        Field("plugin", "text", "Name of the plugin.", width=14, untrusted=True, priority=1),
        Field("data_type", "int", "Elkeid data type number.", width=6, priority=1),
        Field("timestamp", "int", "The plugin's own stamp, Unix seconds.", unit="s", width=10),
        Field("fields", "map", "The record's key-value pairs.", width=60, untrusted=True),
        Field("faults", "list", "What a real agent would trip over in this frame.", width=20),
        Field(
            "agent_reading",
            "text",
            "What a real agent would have made of this frame, where it differs.",
            width=40,
            hidden=True,
            untrusted=True,
        ),
        Field("size", "int", "Length of the frame's body.", unit="B", width=7, hidden=True),
    ),
)

PLUGIN_FAULT = RecordKind(
    "plugin_fault",
    "A piece of a plugin's stream that is no record.",
    (
        Field("plugin", "text", "Name of the plugin.", width=14, untrusted=True, priority=1),
        Field("reason", "text", "zero_length, over_long, truncated, lost_sync.", width=12),
        Field("length", "int", "Length it announced.", unit="B", width=10),
        Field("bytes", "text", "Its first bytes, in hex.", width=40, priority=3),
        Field("agent_reading", "text", "What a real agent would have done.", width=40),
    ),
)

PLUGIN_STATE = RecordKind(
    "plugin_state",
    "A plugin process or module as it is now.",
    (
        Field("plugin", "text", "Name of the plugin.", width=14, untrusted=True, priority=1),
        Field("plugin_kind", "text", "`process` or `module`.", width=8, priority=6),
        Field("state", "text", "loading, running, stopping, exited, failed.", width=8, priority=1),
        Field("exit_code", "int", "Exit status; negative = signal number.", width=5, hidden=True),
        Field("tx_rate", "float", "Records per second it sends.", unit="/s", width=8, priority=1),
        Field("tx_speed", "float", "Bytes per second it sends.", unit="B/s", width=10, priority=2),
        Field("tx_count", "int", "Records it sent.", width=10, priority=5),
        Field(
            "tx_bytes", "int", "Bytes it sent, prefixes excluded.", unit="B", width=10, priority=8
        ),
        Field("rx_count", "int", "Tasks it was given.", width=5, priority=4),
        Field(
            "rx_bytes", "int", "Bytes of tasks, prefixes included.", unit="B", width=8, hidden=True
        ),
        Field("dropped", "int", "Its records that were lost here.", width=7, priority=3),
        Field("cpu", "float", "Share of one core.", unit="cores", width=6, priority=4),
        Field("rss", "int", "Resident memory.", unit="B", width=9, priority=5),
        Field("fds", "int", "Open file descriptors.", width=4, priority=7),
        Field(
            "last_task",
            "text",
            "The last task and what became of it.",
            width=28,
            untrusted=True,
            priority=6,
        ),
        Field(
            "last_stderr",
            "text",
            "Last line it wrote to stderr.",
            width=40,
            untrusted=True,
            priority=7,
        ),
        Field("error", "text", "Why it is not running.", width=40, untrusted=True, priority=2),
        Field("version", "text", "Version it was loaded with.", hidden=True, untrusted=True),
        Field("pgid", "int", "Process group id.", width=7, hidden=True),
        Field("started", "int", "Start time, Unix seconds.", unit="s", hidden=True),
        Field("restarts", "int", "Times it was started again.", width=4, hidden=True),
        Field("rx_rate", "float", "Tasks per second it was given.", unit="/s", hidden=True),
        Field("rx_speed", "float", "Bytes of tasks per second.", unit="B/s", hidden=True),
        Field(
            "read_speed", "float", "Bytes per second read from storage.", unit="B/s", hidden=True
        ),
        Field(
            "write_speed", "float", "Bytes per second written to storage.", unit="B/s", hidden=True
        ),
        Field("disk", "int", "Size of the files in its directory.", unit="B", hidden=True),
        Field(
            "agent_dropped", "int", "Records a real agent's buffer would have dropped.", hidden=True
        ),
        Field("tasks_waiting", "int", "Tasks queued and not yet written.", width=5, hidden=True),
        Field(
            "kill_in_s", "float", "Time until it is killed, while it stops.", unit="s", hidden=True
        ),
        Field("stderr", "list", "Its last stderr lines.", hidden=True, untrusted=True),
    ),
)

MODULE_EVENT = RecordKind(
    "module_event",
    "A step in the life of a module.",
    (
        Field("plugin", "text", "Name of the module.", width=14, untrusted=True, priority=1),
        Field(
            "event",
            "text",
            "started, contained, watched, opening, opened, initialised, already_open, refused, "
            "symbol_found, symbol_missing, interface_satisfied, interface_missing, called, "
            "returned, panicked, exited, killed, garbage, ready or ended.",
            width=19,
            priority=1,
        ),
        Field("symbol", "text", "What was looked up or called.", width=18, untrusted=True),
        Field(
            "text",
            "text",
            "What was returned, what is missing, why it was refused or ended.",
            width=48,
            untrusted=True,
            priority=1,
        ),
        Field(
            "frame",
            "text",
            "The module's own function in which it panicked.",
            width=24,
            untrusted=True,
            priority=3,
        ),
        Field("elapsed_us", "float", "Time it took.", unit="us", width=9, priority=2),
        Field("module_kind", "text", "python, c-abi or go.", width=8, hidden=True),
        Field("file", "text", "The module's file.", width=30, hidden=True, untrusted=True),
        Field("details", "map", "What else was told.", width=30, hidden=True, untrusted=True),
    ),
)
