"""The filter language; see `engine.core.filters.predicate`."""

from engine.core.filters.completion import Completion, complete
from engine.core.filters.errors import FilterError
from engine.core.filters.predicate import Filter

__all__ = ["Completion", "Filter", "FilterError", "complete"]
