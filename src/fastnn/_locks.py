"""The lock that networks share for what they hold for a moment: lists of programs, vectors made when first asked for.

One for all, so that a fork can wait until nobody has it: a child in which a thread that is gone holds a lock would wait
forever.
"""

import os
from _thread import RLock  # what threading.RLock is; that module costs a start as much as ten of ours

brief = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=brief.acquire, after_in_parent=brief.release, after_in_child=brief.release)
