"""Who tells: the resource and the scope that stand above everything exported."""

from __future__ import annotations

import uuid
from functools import lru_cache

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv._incubating.attributes import (
    host_attributes,
    os_attributes,
    process_attributes,
)
from opentelemetry.semconv.attributes import service_attributes

from engine import __version__
from engine.core.snapshot import HostFacts

SCOPE = InstrumentationScope("boxscope", __version__)

_NAME = "boxscope"


class KnownResource(Resource):
    """A resource that works its hash out once; the SDK asks for it with every record."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)


class Origin:
    """The resources of one export.

    OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are heeded by the SDK.

    Args:
        host: The box.
    """

    def __init__(self, host: HostFacts) -> None:
        told = Resource.create(
            {
                host_attributes.HOST_NAME: host.hostname,
                os_attributes.OS_TYPE: "linux",
                os_attributes.OS_VERSION: host.kernel,
                service_attributes.SERVICE_VERSION: __version__,
                service_attributes.SERVICE_INSTANCE_ID: str(uuid.uuid4()),
            }
        )
        name = str(told.attributes.get(service_attributes.SERVICE_NAME, ""))
        if name.startswith("unknown_service"):
            told = told.merge(Resource({service_attributes.SERVICE_NAME: _NAME}))
        self.own = KnownResource(told)
        """boxscope on this box."""
        self.of_process = lru_cache(512)(self._of_process)
        """A process on this box, by pid and name, as a service."""

    def _of_process(self, pid: int, comm: str) -> KnownResource:
        attributes = dict(self.own.attributes)
        for name in (service_attributes.SERVICE_VERSION, service_attributes.SERVICE_INSTANCE_ID):
            attributes.pop(name, None)
        attributes |= {
            service_attributes.SERVICE_NAME: comm or f"pid {pid}",
            process_attributes.PROCESS_PID: pid,
            process_attributes.PROCESS_EXECUTABLE_NAME: comm,
        }
        return KnownResource(Resource(attributes, self.own.schema_url))
