"""Factors of products that count as constants for relevance, found in the graph.

Each is marked on the `Op` of the product, by the place of the input.
"""

from collections.abc import Iterator

from explaindebug.attributions._autograd.graph import SHAPE, Graph, Node, kind, op_of
from explaindebug.attributions._autograd.ops import Op

MOVES = SHAPE - {"Cat", "Stack", "AccumulateGrad"}
SCALES = frozenset({"Rsqrt", "Reciprocal"})  # what a norm that is written out multiplies by
GATES = frozenset({"softmax", "sigmoid", "hardsigmoid"})
Edge = tuple[Node, int]  # a node, and which of its outputs


def mark_constants(graph: Graph) -> None:
    """Mark scales, gates that a signal makes for itself, and the weights of attention.

    * x / c: the divisor, and a factor that is the inverse of something, are the scale of a norm.
    * x g(x), element by element: QuickGELU, Mish and Hardswish as they are written out. The product
      is an activation, so that all relevance goes to x.
    * softmax(...) v, and x sigmoid(...): weights of attention, and gates as of squeeze and
      excitation. Rules say what they count.
    """
    for node in graph.nodes:
        op = op_of(node)
        if op is not None and op.kind == "product" and len(op.inputs) > 1:
            edges = list(node.next_functions)
            op.fixed = frozenset(_scales(op, edges) or _self_gates(op, edges))
            gates = frozenset(i for i, edge in enumerate(edges) if _is_gate(edge))
            op.gates = gates if len(gates | op.fixed) < len(edges) else frozenset()


def _scales(op: Op, edges: list[Edge]) -> list[int]:
    if op.function.__name__ == "div":
        return [1]
    return [i for i, edge in enumerate(edges) if kind(_moved(edge)[0]) in SCALES]


def _self_gates(op: Op, edges: list[Edge]) -> list[int]:
    if op.function.__name__ not in ("mul", "mul_") or len(edges) != 2:
        return []
    for signal, gate in ((0, 1), (1, 0)):
        if _unscaled(edges[signal]) in _elementwise(edges[gate]):
            return [gate]
    return []


def _elementwise(edge: Edge) -> Iterator[Edge]:
    """What an edge is a function of, element by element; at least one activation in between."""
    bent = False
    while (op := op_of(edge[0])) is not None and len(op.inputs) == 1:
        if op.kind not in ("relu", "activation", "scale", "add"):
            return
        bent |= op.kind in ("relu", "activation")
        (edge,) = edge[0].next_functions
        if bent:
            yield edge


def _unscaled(edge: Edge) -> Edge:
    """The edge before multiplications by constants: x for the x / 2 of GELU as it is written."""
    while (op := op_of(edge[0])) is not None and op.kind == "scale" and len(op.inputs) == 1:
        (edge,) = edge[0].next_functions
    return edge


def _is_gate(edge: Edge) -> bool:
    op = op_of(_moved(edge)[0])
    return op is not None and op.function.__name__.removesuffix("_") in GATES


def _moved(edge: Edge) -> Edge:
    """The edge before operations that only move values."""
    while op_of(edge[0]) is None and kind(edge[0]) in MOVES:
        edge = edge[0].next_functions[0]
    return edge
