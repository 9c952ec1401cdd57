"""Protocols whose messages the agent parses itself and offers to `on_custom_message`.

Source: DeepFlow agent and, for SofaRPC, the Go SDK. NATS and ZMTP come with a protobuf message, the
others with the payload alone.
"""

from __future__ import annotations

from engine.wasm.abi import CustomMessage
from engine.wasm.protobuf import NatsMessage, ZmtpMessage

DUBBO, SOFARPC, NATS, ZMTP, ROCKETMQ = 40, 43, 104, 106, 107

PROTOCOL_NAMES = {
    DUBBO: "Dubbo",
    SOFARPC: "SofaRPC",
    NATS: "NATS",
    ZMTP: "ZMTP",
    ROCKETMQ: "RocketMQ",
}
"""The protocols a custom message can be of, by the agent's number."""


def nats_message(subject: str, reply_to: str = "", payload: bytes = b"") -> CustomMessage:
    """A NATS MSG, HMSG, PUB or HPUB; no other command is offered."""
    values = {"subject": subject, "reply_to": reply_to, "payload": payload}
    message = NatsMessage(**{name: value for name, value in values.items() if value})
    return CustomMessage(NATS, message.SerializeToString())


def zmtp_message(match_pattern: str | None, payload: bytes = b"") -> CustomMessage:
    """One ZMTP frame."""
    values = {"match_pattern": match_pattern, "payload": payload or None}
    message = ZmtpMessage(**{name: value for name, value in values.items() if value is not None})
    return CustomMessage(ZMTP, message.SerializeToString())
