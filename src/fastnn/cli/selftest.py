"""`fastnn selftest`: whether the kernels compute on this machine what they should."""


def add(commands) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser("selftest", help="check the kernels of this machine's CPU target, in seconds")
    parser.set_defaults(run=_run)


def _run(parsed) -> int:
    from ..selftest import selftest

    failed = selftest()
    print(f"failed: {', '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0
