"""`fastnn info`: this machine and versions, or what is in a model file."""

from ._report import say

_WIDEST = 40  # characters of the column of names; longer ones push what follows them aside


def add(commands) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser("info", help="print target, CPU features, threads and versions, or what a model is")
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a file that train or Network.save wrote")
    parser.set_defaults(run=_run)


def _run(parsed) -> int:
    if parsed.model is None:
        from .. import show_config

        show_config()
        return 0
    from ._model import load

    net, encoding = load(parsed.model)
    for line in _described(net, encoding):
        say(line)
    return 0


def _described(net, encoding):
    """Lines about a network, its table and its training."""
    if encoding is not None:
        yield f"predicts     {encoding.target.name}: {encoding.target.described()}"
        yield from _training(net.metadata.get("training"))
        yield "columns"
        width = min(max(len(feature.name) for feature in encoding.features), _WIDEST)
        yield from (f"  {feature.name:<{width}}  {feature.described()}" for feature in encoding.features)
    yield f"optimizer    {net.optimizer!r}"
    yield f"dtype        {net.dtype.name}"
    others = net.metadata.keys() - ({"table", "training"} if encoding is not None else set())
    if others:
        yield f"metadata     {', '.join(sorted(others))}"
    if net._state is None:
        yield "layers       not built yet: " + ", ".join(type(layer).__name__ for layer in net.layers)
    else:
        from .._summary import summary_table

        yield from summary_table(net._state.graph).splitlines()


def _training(training):
    """What a training left in the metadata, as far as it is what `train` writes."""
    if not isinstance(training, dict) or not isinstance(training.get("figures"), dict):
        return
    aside = training.get("validation_rows")
    where = f"{aside} rows set aside" if aside else "the same rows"
    yield f"trained on   {training.get('rows')} rows; on {where}:"
    for name, figure in training["figures"].items():
        if isinstance(figure, (int, float)):
            yield f"  {name:<11}{figure:.4g}"
