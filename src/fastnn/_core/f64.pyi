# The same engine in double: the same declarations.
from .f32 import *  # noqa: F403
