"""In-place operators: whose value they change, and where that would go unseen."""

from __future__ import annotations

from loihic.frontends.torch_graph import Call, Ref, TorchGraph, refs
from loihic.frontends.torch_table import entry_of
from loihic.frontends.torch_values import UnsupportedError


class Aliases:
    """Which names of a graph may share memory, and where each is used last.

    The graph of an export is a list of calls. `x.relu_()` gives a new name for what x is from then on; later uses of
    the old name mean the new value. A view of x, however, would have to be computed again.
    """

    def __init__(self, graph: TorchGraph) -> None:
        self._owner: dict[str, str] = {}
        self._kin: dict[str, set[str]] = {}
        self._last: dict[str, int] = {}
        self._born: dict[str, int] = {}
        self._constants = frozenset(graph.constants)
        for place, call in enumerate(graph.calls):
            for argument in call.arguments.values():
                self._last.update(dict.fromkeys(refs(argument), place))
            entry = entry_of(call)
            first = next(iter(call.arguments.values()), None)
            shares = isinstance(first, Ref) and (_in_place(call) or (entry is not None and entry.view))
            for name in filter(None, call.outputs):
                owner = self._owner.get(first.name, first.name) if shares and isinstance(first, Ref) else name
                self._owner[name] = owner
                self._kin.setdefault(owner, {owner}).add(name)
                self._born[name] = place
        self._last.update(dict.fromkeys((name for _, name in graph.outputs), len(graph.calls)))

    def overwritten(self, call: Call) -> str | None:
        """The name whose value an in-place call changes."""
        first = next(iter(call.arguments.values()), None)
        return first.name if _in_place(call) and isinstance(first, Ref) else None

    def check(self, place: int, call: Call) -> None:
        """Refuse an in-place call that changes another name's value too.

        Raises:
            UnsupportedError: a later call takes a view of what is changed, or it is a parameter or buffer.
        """
        target = self.overwritten(call)
        if target is None:
            return
        known = {target, *filter(None, call.outputs)}
        owner = self._owner.get(target, target)
        if owner in self._constants:
            raise UnsupportedError("it writes to a parameter or buffer, a state that is kept from call to call",
                                   "call model.eval() before the export; networks with a state are read from NIR")
        views = {name for name in self._kin.get(owner, set()) - known if self._born.get(name, -1) < place}
        if any(self._last.get(name, -1) > place for name in views):
            raise UnsupportedError("it changes a tensor in place, and a view of it is used later",
                                   f"use {call.operator.removesuffix('_')} instead of {call.operator}")


def _in_place(call: Call) -> bool:
    return call.operator.endswith("_") and not call.operator.endswith("__")
