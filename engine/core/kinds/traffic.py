"""Records of messages and of what Wasm plugins made of them."""

from __future__ import annotations

from engine.core.fields import Field, RecordKind

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
