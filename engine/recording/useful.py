"""Questions worth asking: the console offers them, the documentation lists them."""

from __future__ import annotations

from typing import NamedTuple


class Useful(NamedTuple):
    """A question in words, and in SQL."""

    title: str
    sql: str


USEFUL: tuple[Useful, ...] = (
    Useful(
        "Who makes the most calls, and how many fail?",
        "SELECT comm, count(*) AS calls, sum(errno IS NOT NULL) AS failed FROM events\n"
        "GROUP BY comm ORDER BY calls DESC LIMIT 20",
    ),
    Useful(
        "Which errors are there, and who has them?",
        "SELECT name, errno, comm, count(*) AS times FROM events\n"
        "WHERE errno IS NOT NULL GROUP BY name, errno, comm ORDER BY times DESC",
    ),
    Useful(
        "The slowest calls",
        "SELECT time, comm, name, round(latency_us / 1000, 3) AS ms, fd_name FROM events\n"
        "WHERE latency_us IS NOT NULL ORDER BY latency_us DESC LIMIT 20",
    ),
    Useful(
        "Which files were opened, by whom?",
        "SELECT json_extract(attributes, '$.name') AS file, comm, count(*) AS times FROM events\n"
        "WHERE name = 'openat' GROUP BY file, comm ORDER BY times DESC LIMIT 50",
    ),
    Useful(
        "Where did connections go?",
        "SELECT comm, json_extract(attributes, '$.dip') AS address,\n"
        "       json_extract(attributes, '$.dport') AS port, count(*) AS times\n"
        "FROM events WHERE json_extract(attributes, '$.dip') IS NOT NULL\n"
        "GROUP BY 1, 2, 3 ORDER BY times DESC",
    ),
    Useful(
        "Events second by second",
        "SELECT substr(time, 1, 19) AS second, category, count(*) AS events FROM events\n"
        "GROUP BY second, category ORDER BY second",
    ),
    Useful(
        "The slowest requests",
        "SELECT time, protocol, request, status, latency_ms, dst FROM requests\n"
        "WHERE latency_ms IS NOT NULL ORDER BY latency_ms DESC LIMIT 20",
    ),
    Useful(
        "How each path does",
        "SELECT protocol, request, count(*) AS times, round(avg(latency_ms), 3) AS mean_ms,\n"
        "       max(latency_ms) AS worst_ms, sum(status GLOB '[45]*') AS errors\n"
        "FROM requests GROUP BY protocol, request ORDER BY times DESC",
    ),
    Useful(
        "Which process owns which port?",
        "SELECT DISTINCT port, proto, address, pid, comm, exe FROM sockets ORDER BY port",
    ),
    Useful(
        "What did processes that own ports do?",
        "SELECT processes.comm, processes.exe, events.name, count(*) AS times\n"
        "FROM processes JOIN events USING (pid) GROUP BY 1, 2, 3 ORDER BY times DESC",
    ),
    Useful(
        "How much did plugins send?",
        "SELECT plugin, max(records_per_s) AS most_per_s, max(bytes) AS bytes,\n"
        "       max(dropped) AS dropped\n"
        "FROM plugin_throughput GROUP BY plugin",
    ),
    Useful(
        "Which records did plugins send?",
        "SELECT plugin, data_type, count(*) AS records, sum(size) AS bytes FROM plugin_record\n"
        "GROUP BY plugin, data_type ORDER BY records DESC",
    ),
    Useful(
        "How do Wasm plugins do?",
        "SELECT plugin, export, action, count(*) AS calls, round(avg(elapsed_us)) AS mean_us\n"
        "FROM wasm_calls GROUP BY plugin, export, action ORDER BY calls DESC",
    ),
    Useful(
        "Was anything lost, and when did it begin?",
        "SELECT source, max(seen) AS seen, max(kept) AS kept, max(dropped) AS dropped,\n"
        "       min(CASE WHEN dropped > 0 THEN time END) AS since\n"
        "FROM counters GROUP BY source",
    ),
    Useful(
        "What was subscribed, and what did each switch deliver?",
        "SELECT event, category, max(total) AS delivered FROM subscription\n"
        'GROUP BY event, category HAVING max("on") ORDER BY delivered DESC',
    ),
    Useful(
        "What was in force?",
        "SELECT name, value FROM context ORDER BY ts_ns",
    ),
    Useful(
        "What did boxscope say?",
        "SELECT time, source, level, text FROM logs",
    ),
)
"""In the order in which they are offered."""
