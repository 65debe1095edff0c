"""Replacing a file so that the old or the new one is there, whole, whatever happens and whenever it happens.

A new file in the same folder is written, synced and renamed over the old one, and the folder is synced, so that the
rename outlives a crash of the machine too. On an error the new file is removed. Only a kill can leave one behind,
as `.fastnn-....tmp`; it is of no use and may be deleted.
"""

import errno
import os
import secrets
import stat
from contextlib import suppress

_SYNCS_FOLDERS = hasattr(os, "O_DIRECTORY")  # not on Windows, where a rename is logged by the file system itself


class Output:
    """The new file: `put` appends, `put_at` overwrites."""

    def __init__(self, descriptor):
        self._descriptor = descriptor

    def put(self, data):
        view = memoryview(data)
        while len(view):
            count = os.write(self._descriptor, view)
            if not count:
                raise OSError(errno.EIO, "nothing was written")
            view = view[count:]

    def put_at(self, data, position):
        os.lseek(self._descriptor, position, os.SEEK_SET)
        self.put(data)
        os.lseek(self._descriptor, 0, os.SEEK_END)


def replace(path, write):
    """The file at `path` becomes what `write(output)` writes, as if at once.

    A link is followed, as open() does. The mode is that of the file that was there, else what the umask leaves of
    0o666.

    Raises OSError, with `path`, saying that what was there is unchanged; what `write` raises goes through, unchanged
    too.
    """
    path = os.fsdecode(path)
    try:
        target, mode = _checked(path)
        folder = os.path.dirname(target)
        temporary = os.path.join(folder, f".fastnn-{secrets.token_hex(8)}.tmp")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:
        raise _unchanged(path, error) from error
    try:
        _write_and_rename(descriptor, temporary, target, mode, write)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _unchanged(path, error) from error
        raise
    _sync_folder(folder, path)


def _checked(path):
    """The file to replace, links followed, and its mode, None where there is none."""
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.path.exists(target):
        return target, None
    status = os.stat(target)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "what is there is not a file")
    if not os.access(target, os.W_OK):  # open() would refuse, and a rename would not
        raise PermissionError(errno.EACCES, "the file is read-only")
    return target, stat.S_IMODE(status.st_mode)


def _write_and_rename(descriptor, temporary, target, mode, write):
    try:
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)
        write(Output(descriptor))
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.close(descriptor)
        raise
    os.close(descriptor)  # some file systems report only here that the disk is full
    os.replace(temporary, target)


def _sync_folder(folder, path):
    if not _SYNCS_FOLDERS:
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP):  # a file system without such a thing
            return
        message = (
            f"saved, but a crash of the machine may still undo it, for the folder was not synced: {error.strerror}"
        )
        raise OSError(error.errno, message, path) from error


def _unchanged(path, error):
    return OSError(error.errno, f"not saved, what was there is unchanged: {error.strerror or error}", path)
