"""Views of a recording made for people: `SELECT * FROM requests ORDER BY latency_ms DESC`."""

from __future__ import annotations

_TIME = "strftime('%Y-%m-%d %H:%M:%f', ts_ns / 1e9, 'unixepoch') AS time"

VIEWS: dict[str, str] = {
    "events": f"""
        SELECT seq, {_TIME}, ts_ns, pid, tid, comm, category, name, direction, result, errno,
               latency_ns / 1000.0 AS latency_us, fd, fd_name, attributes
        FROM kernel_event""",
    "requests": f"""
        SELECT seq, {_TIME}, ts_ns, protocol, request, status, latency_ms, src, dst,
               client_pid, client_comm, server_pid, server_comm, parsed_by
        FROM l7_message""",
    "processes": """
        SELECT pid, start, comm, exe, argv, user, language, container_id, criterion, ports,
               min(ts_ns) AS first_seen_ns, max(ts_ns) AS last_change_ns,
               max(change = 'deleted') AS ended
        FROM process GROUP BY pid, start, netns""",
    "sockets": """
        SELECT json_extract(port.value, '$.port') AS port,
               json_extract(port.value, '$.proto') AS proto,
               json_extract(port.value, '$.address') AS address,
               process.pid, process.comm, process.exe, process.criterion, process.change,
               process.ts_ns
        FROM process, json_each(process.ports) AS port""",
    "plugin_throughput": f"""
        SELECT {_TIME}, ts_ns, plugin, pid, state, tx_rate AS records_per_s,
               tx_speed AS bytes_per_s, tx_count AS records, tx_bytes AS bytes, dropped, cpu, rss
        FROM plugin_state""",
    "wasm_calls": f"""
        SELECT seq, {_TIME}, ts_ns, plugin, export, action, elapsed_us, infos, logs, error
        FROM wasm_result""",
    "counters": f"""
        SELECT {_TIME}, stats.ts_ns, source.key AS source,
               json_extract(source.value, '$.seen') AS seen,
               json_extract(source.value, '$.kept') AS kept,
               json_extract(source.value, '$.seen') - json_extract(source.value, '$.kept')
                   AS dropped,
               json_extract(source.value, '$.dropped') AS reasons,
               json_extract(source.value, '$.lag_ms') AS lag_ms
        FROM stats, json_each(stats.sources) AS source""",
    "logs": f"SELECT {_TIME}, ts_ns, source, level, text FROM log",
}
"""By name, what each selects; `time` is UTC."""


HELP: dict[str, str] = {
    "events": "Kernel events.",
    "requests": "Application messages with status, latency and the processes at both ends.",
    "processes": "Each process once, with when it was first and last told of.",
    "sockets": "Ports that processes own, one a line.",
    "plugin_throughput": "What plugins sent, second by second.",
    "wasm_calls": "Calls of Wasm plugins.",
    "counters": "Seen, kept and dropped of every source, second by second.",
    "logs": "What the engine had to say.",
    "meta": "Facts of the file: host, bounds, when it began and ended.",
    "context": "What was subscribed, filtered and attached, from a moment on; values are JSON.",
    "marks": "Twice a second the last number of every kind, for seeking.",
    "losses": "Records that could not be written.",
    "pruned": "Records let go again for the bounds, by kind.",
}
"""What the views and the tables that are no record kind are for."""


def create_views() -> str:
    """The statements that add the views to a new file."""
    return "".join(f"CREATE VIEW {name} AS {select};\n" for name, select in VIEWS.items())
