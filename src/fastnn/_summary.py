"""The table that `Network.summary` prints."""


def summary_table(graph) -> str:
    """Layers with their outputs' shapes, parameters and multiply-adds, and the totals."""
    rows = [("layer", "output", "parameters", "multiply-adds")]
    for row in graph.layers:
        name = f"{'  ' * row.depth}{row.path} ({type(row.layer).__name__})"
        rows.append((name, _shape(row.shape), f"{row.params:,}", f"{sum(op.multiply_adds() for op in row.ops):,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    rule = "-" * (sum(widths) + 6)
    inputs = ", ".join(_shape(value.shape) for value in graph.inputs)
    lines = [f"input {inputs}", rule]
    for i, row in enumerate(rows):
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]), row[3].rjust(widths[3])]
        lines.append("  ".join(cells).rstrip())
        if i == 0:
            lines.append(rule)
    lines += [rule, f"{graph.size:,} parameters, {graph.work:,} multiply-adds for each sample"]
    return "\n".join(lines)


def _shape(shape):
    return f"(n, {', '.join(map(str, shape))})"
