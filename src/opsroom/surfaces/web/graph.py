"""The job graph: columns by depth, rows that keep lines short, and the curves between, ready to be written as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NODE_WIDTH, NODE_HEIGHT = 188, 36
COMPACT_WIDTH, COMPACT_HEIGHT = 128, 46
"""Where there are more columns than fit a page, the name stands above the time."""
WIDE_COLUMNS = 4
COLUMN_GAP, COMPACT_GAP, ROW_GAP = 40, 30, 12
MARGIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphJob:
    """A job to draw. `needs` are ids; those of jobs that are not drawn are left out. `state` as `parts.state_of` reads it."""

    id: str
    name: str
    needs: tuple[str, ...] = ()
    state: str = "unknown"
    seconds: float | None = None
    href: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    job: GraphJob
    x: int
    y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A line from a needed job to the one that needs it: SVG path data, and whether the first is finished well."""

    path: str
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Nodes at their places, lines, the size of the whole and of one node. `compact`: nodes are narrow and have two lines."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    width: int
    height: int
    node_width: int = NODE_WIDTH
    node_height: int = NODE_HEIGHT
    compact: bool = False


def layout(jobs: Sequence[GraphJob]) -> Graph:
    """Each job stands one column right of the last it needs; within a column by the middle of what they need. A cycle, which
    no valid workflow has, is cut where it is met."""
    by_id = {job.id: job for job in jobs}
    depth = _depths(by_id)
    columns: list[list[GraphJob]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for job in jobs:
        columns[depth[job.id]].append(job)
    row: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda job: _middle(job, row))
        for index, job in enumerate(column):
            row[job.id] = index
    box = _Box() if len(columns) <= WIDE_COLUMNS else _Box(COMPACT_WIDTH, COMPACT_HEIGHT, COMPACT_GAP)
    nodes = {job.id: box.node(job, depth[job.id], index) for column in columns for index, job in enumerate(column)}
    edges = [
        Edge(path=box.curve(nodes[need], nodes[job.id]), done=by_id[need].state in {"ok", "success"})
        for job in jobs
        for need in dict.fromkeys(job.needs)
        if need in nodes and need != job.id
    ]
    tallest = max((len(column) for column in columns), default=0)
    return Graph(
        nodes=tuple(nodes.values()),
        edges=tuple(edges),
        width=2 * MARGIN + len(columns) * (box.width + box.gap) - (box.gap if columns else 0),
        height=2 * MARGIN + tallest * (box.height + ROW_GAP) - (ROW_GAP if tallest else 0),
        node_width=box.width,
        node_height=box.height,
        compact=box.width == COMPACT_WIDTH,
    )


@dataclass(frozen=True, slots=True)
class _Box:
    """The size of every node, and the room between columns."""

    width: int = NODE_WIDTH
    height: int = NODE_HEIGHT
    gap: int = COLUMN_GAP

    def node(self, job: GraphJob, column: int, row: int) -> Node:
        return Node(job=job, x=MARGIN + column * (self.width + self.gap), y=MARGIN + row * (self.height + ROW_GAP))

    def curve(self, start: Node, end: Node) -> str:
        x1, y1 = start.x + self.width, start.y + self.height // 2
        x2, y2 = end.x, end.y + self.height // 2
        bend = max(self.gap // 2, (x2 - x1) // 2) if x2 > x1 else self.gap
        return f"M{x1},{y1}C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"


def _depths(by_id: dict[str, GraphJob]) -> dict[str, int]:
    depth: dict[str, int] = {}
    for start in by_id:
        path: list[tuple[str, bool]] = [(start, False)]
        open_ones: set[str] = set()
        while path:
            id, visited = path.pop()
            needs = [need for need in by_id[id].needs if need in by_id]
            if visited:
                depth[id] = 1 + max((depth[need] for need in needs if need in depth), default=-1)
            elif id not in depth and id not in open_ones:
                open_ones.add(id)
                path.append((id, True))
                path.extend((need, False) for need in needs)
    return depth


def _middle(job: GraphJob, row: dict[str, float]) -> float:
    above = [row[need] for need in job.needs if need in row]
    return sum(above) / len(above) if above else 0.0
