"""Every record kind, declared once."""

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

PROCESS = RecordKind(
    "process",
    "A process that owns a port, with the reason why it is listed.",
    (
        Field("ports", "list", "Its sockets: {port, proto, address}.", width=24, priority=1),
        Field("exe", "text", "Path of the executable.", width=28, untrusted=True, priority=4),
        Field("argv", "list", "Its arguments.", width=40, untrusted=True, priority=6),
        Field(
            "language", "text", "Language it is written in, as far as known.", width=8, priority=3
        ),
        Field("container_id", "text", "First 12 digits of the container id.", width=12, priority=5),
        Field("criterion", "text", "The condition that matched.", width=18, priority=2),
        Field("change", "text", "created, changed or deleted.", width=8, hidden=True),
        Field("attached", "bool", "Whether its traffic is captured.", width=3, priority=7),
        Field(
            "capture_error",
            "text",
            "Why its traffic is not captured, where that was asked for.",
            hidden=True,
        ),
        Field("user", "text", "Name of the effective user.", width=10, untrusted=True, priority=7),
        Field("ppid", "int", "Parent process id.", width=7, hidden=True),
        Field("start", "int", "Start time in clock ticks since boot.", hidden=True),
        Field("netns", "int", "Inode number of its network namespace.", width=10, hidden=True),
        Field(
            "verdict",
            "text",
            "selected, inherited (its parent is), surveyed, excluded or not selected.",
            width=12,
            hidden=True,
        ),
        Field("language_rule", "text", "What told the language.", hidden=True, untrusted=True),
        Field("go_version", "text", "Go it was built with.", hidden=True, untrusted=True),
        Field("container_name", "text", "Name of its container.", hidden=True, untrusted=True),
        Field("cgroup", "text", "Path of its control group.", hidden=True, untrusted=True),
        Field(
            "ancestry",
            "list",
            "Its parents as PID NAME, up to init or its container's first process.",
            hidden=True,
            untrusted=True,
        ),
    ),
)

CAPTURE_STATE = RecordKind(
    "capture_state",
    "A process whose traffic is captured, or was, and what that cost.",
    (
        Field(
            "state",
            "text",
            "waiting to be; attached; awaited: it ended, what takes its place will be; ended; "
            "detached.",
            width=8,
            priority=1,
        ),
        Field("cause", "text", "criterion, by hand, or in place of PID.", width=14, priority=3),
        Field("payloads", "int", "Messages captured.", width=9, priority=1),
        Field("payload_bytes", "int", "Their length.", unit="B", width=9, priority=2),
        Field("dropped", "int", "Its messages that were lost.", width=7, priority=2),
        Field(
            "us_per_payload",
            "float",
            "Time boxscope spends on one: reading, parsing, plugins.",
            unit="us",
            width=7,
            priority=3,
        ),
        Field("start", "int", "Start time in clock ticks since boot.", hidden=True),
    ),
)

KERNEL_EVENT = RecordKind(
    "kernel_event",
    "One subscribed kernel event.",
    (
        Field("cpu", "int", "Processor it happened on.", width=3, priority=6),
        Field("tid", "int", "Thread id.", width=7, priority=7),
        Field("category", "text", "Kindling category.", width=8, priority=3),
        Field("name", "text", "Event name without its prefix.", width=16, priority=1),
        Field("direction", "text", "enter, exit or - (neither).", width=5, priority=2),
        Field("result", "int", "What the call returned.", width=8, priority=3),
        Field("errno", "text", "Name of the error, if it failed.", width=12, priority=3),
        Field("latency_ns", "int", "From enter to exit.", unit="ns", width=10, priority=2),
        Field("fd", "int", "File descriptor it worked on.", width=4, priority=5),
        Field("fd_type", "text", "Kindling's type of the descriptor.", width=10, priority=8),
        Field(
            "fd_name",
            "text",
            "What the descriptor is: path, CLIENT -> SERVER, pipe:[INODE], ...",
            width=24,
            untrusted=True,
            priority=5,
        ),
        Field("attributes", "map", "Its other values.", width=48, untrusted=True, priority=4),
        Field("uid", "int", "User id.", width=6, hidden=True),
        Field("gid", "int", "Group id.", width=6, hidden=True),
        Field("event", "text", "Full subscription name.", width=28, hidden=True),
        Field("fd_protocol", "text", "tcp, udp, ... of a socket.", width=8, hidden=True),
        Field("fd_role", "text", "server, client or listener.", width=8, hidden=True),
        Field("fd_state", "text", "TCP state of the socket.", width=11, hidden=True),
        Field("fd_inode", "int", "Inode of the socket or pipe.", width=10, hidden=True),
        Field("container_id", "text", "First 12 digits of the container id.", hidden=True),
        Field("source", "text", "syscall_enter, syscall_exit or tracepoint.", hidden=True),
        Field("type_id", "int", "Kindling's type id.", width=4, hidden=True),
        Field("mono_ns", "int", "Monotonic time.", unit="ns", width=16, hidden=True),
        Field("module", "text", "Module it was caused by.", hidden=True, untrusted=True),
    ),
)

L7_MESSAGE = RecordKind(
    "l7_message",
    "One application message made out of the traffic.",
    (
        Field("protocol", "text", "Application protocol.", width=8, untrusted=True, priority=1),
        Field("src", "text", "Client, IP:PORT.", width=21, priority=3),
        Field("dst", "text", "Server, IP:PORT.", width=21, priority=2),
        Field(
            "request", "text", "Method and path, or question.", width=36, untrusted=True, priority=1
        ),
        Field("status", "text", "Status of the response.", width=8, untrusted=True, priority=1),
        Field("latency_ms", "float", "From request to response.", unit="ms", width=9, priority=2),
        Field(
            "parsed_by", "text", "Who made this of the bytes.", width=14, untrusted=True, priority=2
        ),
        Field(
            "attributes", "map", "What was added to it, mostly by Wasm.", width=30, untrusted=True
        ),
        Field("source", "text", "Capture or probe it came from.", width=16, hidden=True),
        Field(
            "session",
            "text",
            "answered, unanswered, or unmatched (a response without its request).",
            width=10,
            hidden=True,
        ),
        Field("client_pid", "int", "Process at the client's end, if known.", width=7, hidden=True),
        Field("client_comm", "text", "Its name.", width=12, hidden=True, untrusted=True),
        Field("server_pid", "int", "Process at the server's end, if known.", width=7, hidden=True),
        Field("server_comm", "text", "Its name.", width=12, hidden=True, untrusted=True),
        Field(
            "request_bytes",
            "int",
            "Length of the request, if known.",
            unit="B",
            width=8,
            hidden=True,
        ),
        Field(
            "response_bytes",
            "int",
            "Length of the response, if known.",
            unit="B",
            width=8,
            hidden=True,
        ),
        Field("flow", "int", "Number of its connection.", width=6, hidden=True),
        Field(
            "decision",
            "list",
            "How the protocol was found, payload by payload.",
            hidden=True,
            untrusted=True,
        ),
        Field(
            "merged",
            "list",
            "What plugins changed in it: {field, before, after, plugin, call}.",
            hidden=True,
            untrusted=True,
        ),
        Field("wasm_calls", "list", "Numbers of the Wasm calls it was offered in.", hidden=True),
        Field(
            "attributes_dropped",
            "int",
            "Attributes left out: more than 64, or a name given again.",
            width=6,
            hidden=True,
        ),
    ),
)

TRAFFIC_STATE = RecordKind(
    "traffic_state",
    "What was made of the traffic so far, and how it is read.",
    (
        Field("flows", "int", "Connections followed now.", width=6),
        Field(
            "messages",
            "int",
            "Messages given out: answered, unanswered, unmatched and single.",
            width=8,
        ),
        Field("answered", "int", "Requests with their response.", width=8),
        Field("unanswered", "int", "Requests without a response.", width=8),
        Field("unmatched", "int", "Responses without their request.", width=8),
        Field("single", "int", "Messages that are no session: named, unknown, one-way.", width=8),
        Field("protocols", "map", "Messages by protocol.", width=30, untrusted=True),
        Field("attributes_dropped", "int", "Attributes of messages left out.", width=8),
        Field("missing_bytes", "int", "Payload that was sent and not captured.", unit="B", width=8),
        Field("gap_bytes", "int", "Bytes that reassembly waited for in vain.", unit="B", width=8),
        Field("order", "text", "Order in which protocols are looked for.", width=10),
        Field("reassembled", "bool", "Whether TCP streams are put in order.", width=3),
        Field("truncation", "int", "Payload given to plugins.", unit="B", width=6),
    ),
)

WASM_RESULT = RecordKind(
    "wasm_result",
    "One call of a Wasm plugin's hook.",
    (
        Field("plugin", "text", "Name of the plugin.", width=14, untrusted=True, priority=1),
        Field("export", "text", "The function called.", width=15, priority=1),
        Field("action", "text", "next, abort, result, trap or error.", width=8, priority=1),
        Field("elapsed_us", "float", "Time of the call.", unit="us", width=8, priority=2),
        Field("infos", "list", "Decoded results.", width=48, untrusted=True, priority=3),
        Field("logs", "list", "What the plugin logged.", width=30, untrusted=True, priority=5),
        Field(
            "error",
            "text",
            "Trap or rejection, with its reason.",
            width=30,
            untrusted=True,
            priority=2,
        ),
        Field("returned", "int", "What the function returned.", hidden=True),
        Field(
            "context",
            "map",
            "The message it was called for, as the plugin could read it.",
            hidden=True,
            untrusted=True,
        ),
        Field("payload", "text", "The payload in hex; its first 4,096 bytes.", hidden=True),
        Field(
            "host_calls",
            "list",
            "Functions it called: name(pointer, length) = result.",
            hidden=True,
        ),
        Field("result_bytes", "text", "The result list it sent, in hex.", hidden=True),
        Field("dialect", "text", "Generation of the SDK the result is of.", hidden=True),
        Field(
            "merged",
            "list",
            "What the result changes in the message: {field, before, after}.",
            hidden=True,
            untrusted=True,
        ),
        Field("fuel", "int", "Instructions it took, where they are measured.", hidden=True),
        Field("memory", "int", "Linear memory after the call.", unit="B", hidden=True),
        Field(
            "remarks",
            "list",
            "What its author should know about the result.",
            hidden=True,
            untrusted=True,
        ),
        Field(
            "messages",
            "list",
            "Numbers of the l7_messages it was made for, once they are complete.",
            hidden=True,
        ),
        Field("rerun_of", "int", "Number of the call this one repeats.", hidden=True),
        Field(
            "differs",
            "list",
            "What came out differently than in that call: {field, before, after}.",
            hidden=True,
            untrusted=True,
        ),
    ),
)


WASM_PLUGIN = RecordKind(
    "wasm_plugin",
    "A loaded Wasm plugin as it is now.",
    (
        Field("plugin", "text", "Name of the plugin.", width=14, untrusted=True, priority=1),
        Field("path", "text", "File it was loaded from.", width=30, untrusted=True, priority=6),
        Field("state", "text", "loaded or failed.", width=8, priority=1),
        Field("hooks", "list", "Hooks it registered.", width=20, priority=4),
        Field("calls", "int", "Calls made.", width=8, priority=1),
        Field("p50_us", "float", "Median time of a call.", unit="us", width=7, priority=2),
        Field("p99_us", "float", "99th percentile of a call.", unit="us", width=7, priority=2),
        Field("traps", "int", "Calls that trapped.", width=5, priority=2),
        Field("memory", "int", "Linear memory.", unit="B", width=9, priority=3),
        Field("error", "text", "Why it is not loaded.", width=40, untrusted=True, priority=3),
        Field("rejected", "int", "Results that were refused.", width=5, hidden=True),
        Field("dialect", "text", "Generation of the SDK, as its results tell.", hidden=True),
        Field("custom_filter", "text", "Custom messages it wants.", hidden=True),
        Field(
            "exports",
            "list",
            "Calls, times, traps and refused results of each export.",
            hidden=True,
        ),
        Field(
            "refusals",
            "list",
            "Why an agent would not load it, where it was loaded here.",
            hidden=True,
            untrusted=True,
        ),
        Field("start_logs", "list", "What it logged as it started.", hidden=True, untrusted=True),
        Field("poisoned", "int", "Traps its instance has survived.", hidden=True),
        Field(
            "renewed", "int", "Times a fresh instance took the place of a trapped one.", hidden=True
        ),
        Field("deadline_ms", "float", "Longest time of one call.", unit="ms", width=8, hidden=True),
        Field("memory_limit", "int", "Most linear memory it may have.", unit="B", hidden=True),
        Field("traps_left", "int", "Traps it will bear before it fails for good.", hidden=True),
    ),
)

SUBSCRIPTION = RecordKind(
    "subscription",
    "One cell of the subscription matrix.",
    (
        Field("event", "text", "Subscription name.", width=28, priority=1),
        Field("category", "text", "Category of the cell.", width=8, priority=1),
        Field("on", "bool", "Whether it is subscribed.", width=3, priority=1),
        Field("rate", "float", "Events per second now.", unit="/s", width=8, priority=1),
        Field("total", "int", "Events delivered since the start.", width=10, priority=3),
        Field(
            "unavailable", "text", "Why this kernel cannot deliver it; empty if it can.", width=30
        ),
    ),
)

PROBE_STATE = RecordKind(
    "probe_state",
    "The kernel probe as it is now: nothing lost in silence, and what it costs.",
    (
        Field("produced", "int", "Events that passed the filters.", width=10, priority=1),
        Field("read", "int", "Of these, read from the ring.", width=10, priority=1),
        Field("dropped", "map", "Of these, lost, by reason.", width=20, priority=1),
        Field("ring_bytes", "int", "Size of the kernel's ring.", unit="B", hidden=True),
        Field("ring_fill", "float", "How full it was when last read.", unit="%", width=6),
        Field("ring_peak", "float", "The most in the last second.", unit="%", width=6),
        Field("oldest_ms", "float", "Age of the oldest event in it then.", unit="ms", width=8),
        Field("reader_cpu", "float", "What reading it takes.", unit="cores", width=6),
        Field(
            "programs_cpu",
            "float",
            "What the kernel programs take; unknown unless they are timed.",
            unit="cores",
            width=6,
        ),
        Field("incomplete", "int", "Events with an attribute that could not be read.", width=8),
        Field("unresolved", "int", "Events whose descriptor could not be judged.", width=8),
        Field("suppressed", "int", "Not produced: kept out by the rule on results.", width=8),
        Field("unowned", "int", "Not produced: in a scope, with no owner known.", width=8),
        Field(
            "unfollowed", "int", "Children of followed processes there was no room for.", width=8
        ),
        Field(
            "page_faults",
            "list",
            "While subscribed, all that happened: {pid, count, and counts by access}.",
            width=30,
        ),
    ),
)

LOG = RecordKind(
    "log",
    "Something the engine has to say.",
    (
        Field("source", "text", "Part of the engine.", width=10, priority=1),
        Field("level", "text", "info, warning or error.", width=7, priority=1),
        Field(
            "text", "text", "What happened and what to do.", width=80, untrusted=True, priority=1
        ),
    ),
)

STATS = RecordKind(
    "stats",
    "Counters of every source that ran.",
    (
        Field("elapsed_s", "float", "Time since the start.", unit="s"),
        Field("sources", "map", "By source: seen, kept, dropped by reason, lag_ms."),
    ),
)

KINDS: dict[str, RecordKind] = {
    kind.name: kind
    for kind in (
        PLUGIN_RECORD,
        PLUGIN_FAULT,
        PLUGIN_STATE,
        MODULE_EVENT,
        PROCESS,
        CAPTURE_STATE,
        KERNEL_EVENT,
        L7_MESSAGE,
        TRAFFIC_STATE,
        WASM_RESULT,
        WASM_PLUGIN,
        SUBSCRIPTION,
        PROBE_STATE,
        LOG,
        STATS,
    )
}
"""All record kinds by name."""

TABLE_KEYS: dict[str, tuple[str, ...]] = {
    "plugin_state": ("plugin",),
    "process": ("pid", "start", "netns"),
    "capture_state": ("pid", "start"),
    "subscription": ("event", "category"),
    "probe_state": (),
    "traffic_state": (),
    "wasm_plugin": ("plugin",),
}
"""Kinds that describe a state rather than an event, and the fields that identify a row."""
