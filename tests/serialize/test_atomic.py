"""Saving that fails, or is killed, leaves the old file or the new one, whole, and nothing else."""

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import models
import pytest

import fastnn as fnn
from fastnn.serialize import atomic

KILLS = int(os.environ.get("FASTNN_TEST_KILLS", "30"))  # 1000 for the long version
STEPS = ("open", "fchmod", "write", "lseek", "fsync", "close", "replace")


@pytest.fixture
def old(tmp_path):
    """A folder with a model file, and its bytes."""
    models.sequence(seed=7).save(tmp_path / "model")
    return tmp_path, (tmp_path / "model").read_bytes()


class Failing:
    """Counts the calls of os functions that saving makes, and lets the k-th fail."""

    def __init__(self, monkeypatch, k, error):
        self.k, self.error, self.calls, self.failed = k, error, 0, None
        self.renamed = False
        for name in STEPS:
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, real):
        def call(*args, **kwargs):
            self.calls += 1
            if self.calls != self.k:
                self.renamed |= name == "replace"
                return real(*args, **kwargs)
            self.failed = name
            if name == "close":
                real(*args)
            if self.error == "short":
                half = (args[0], bytes(args[1][: len(args[1]) // 2])) if name == "write" else args
                return None if name == "close" else real(*half, **kwargs)
            raise self.error if isinstance(self.error, BaseException) else OSError(self.error, os.strerror(self.error))

        return call


def saved_with_failure(path, monkeypatch, k, error):
    """Saves a network with the k-th step failing; (the Failing, the exception or None)."""
    with monkeypatch.context() as patch:
        failing = Failing(patch, k, error)
        try:
            models.sequence(seed=8).save(path)
        except BaseException as caught:
            return failing, caught
    return failing, None


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EDQUOT, KeyboardInterrupt()], ids=str)
@pytest.mark.parametrize("fresh", [False, True])
def test_the_kth_step_fails(old, monkeypatch, error, fresh):
    folder, content = old
    path = folder / ("new" if fresh else "model")
    steps, caught = set(), None
    for k in range(1, 100):
        failing, caught = saved_with_failure(path, monkeypatch, k, error)
        if failing.failed is None:
            break
        steps.add(failing.failed)
        if isinstance(error, int):
            assert type(caught) is type(OSError(error, "")) and caught.errno == error and caught.filename == str(path)
            assert ("may still undo it" if failing.renamed else "what was there is unchanged") in str(caught)
        else:
            assert caught is error
        if failing.renamed:  # the sync of the folder failed: the new file is there, whole
            models.assert_same(models.sequence(seed=8), fnn.load(path))
            path.unlink()
            (folder / "model").write_bytes(content)
        assert (folder / "model").read_bytes() == content
        assert os.listdir(folder) == ["model"]
    assert caught is None and steps == set(STEPS) - ({"fchmod"} if fresh else set())
    models.assert_same(models.sequence(seed=8), fnn.load(path))


def test_short_writes_are_completed(old, monkeypatch):
    folder, _ = old
    for k in range(1, 12):
        failing, caught = saved_with_failure(folder / "model", monkeypatch, k, "short")
        assert caught is None
        models.assert_same(models.sequence(seed=8), fnn.load(folder / "model"))


def test_a_write_that_writes_nothing_is_an_error(old, monkeypatch):
    folder, content = old
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(OSError, match="nothing was written"):
        models.sequence().save(folder / "model")
    monkeypatch.undo()
    assert (folder / "model").read_bytes() == content and os.listdir(folder) == ["model"]


def test_a_disk_that_is_full(old):
    """A limit on the size of files stands for it: the kernel's own refusal in the middle of a write."""
    folder, content = old
    code = """
import resource, signal, sys, fastnn as fnn
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
fnn.Network([fnn.Dense(300)], input_shape=300).save(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", code, folder / "model"], capture_output=True, text=True)
    assert "OSError: [Errno 27] not saved, what was there is unchanged: File too large" in done.stderr
    assert (folder / "model").read_bytes() == content and os.listdir(folder) == ["model"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a megabyte, where the system allows to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_file_system_that_is_full(small_disk):
    models.sequence(seed=7).save(small_disk / "model")
    content = (small_disk / "model").read_bytes()
    for _ in range(3):  # nothing is left that would make the next one fail earlier
        with pytest.raises(OSError, match="what was there is unchanged") as caught:
            fnn.Network([fnn.Dense(400)], input_shape=400).save(small_disk / "model")
        assert caught.value.errno == errno.ENOSPC
        assert (small_disk / "model").read_bytes() == content and os.listdir(small_disk) == ["model"]
    fnn.Network([fnn.Dense(250)], input_shape=250).save(small_disk / "model")
    assert fnn.load(small_disk / "model").params.size == 250 * 251


def as_another_user(code, *arguments):
    """Runs code without root's power over modes; its last line of errors."""
    drop = "import os\nif os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    code = "import sys, fastnn as fnn, fastnn.serialize, json, hashlib, secrets, ctypes\n" + drop + code
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    return done.stderr.strip().split("\n")[-1]


@pytest.fixture
def open_folder(old):
    """The same, to be entered by every user."""
    folder, content = old
    for one in [folder, *folder.parents][:4]:
        if one.owner() != "root" or one == Path("/tmp"):
            continue
        one.chmod(0o755)
    return folder, content


SAVE = "fnn.Network([fnn.Dense(1)], input_shape=1).save(sys.argv[1])"


def test_a_folder_that_may_not_be_written(open_folder):
    folder, content = open_folder
    folder.chmod(0o555)
    error = as_another_user(SAVE, folder / "model")
    folder.chmod(0o755)
    assert error.startswith("PermissionError: [Errno 13] not saved, what was there is unchanged: ")
    assert (folder / "model").read_bytes() == content and os.listdir(folder) == ["model"]


def test_a_file_that_may_not_be_written(open_folder):
    """open() would refuse it too; a rename alone would not."""
    folder, content = open_folder
    folder.chmod(0o777)
    (folder / "model").chmod(0o444)
    error = as_another_user(SAVE, folder / "model")
    assert error.startswith("PermissionError: [Errno 13] not saved, what was there is unchanged: the file is read-only")
    assert (folder / "model").read_bytes() == content and os.listdir(folder) == ["model"]


def test_what_is_not_a_file_is_left_alone(tmp_path):
    net = models.sequence()
    with pytest.raises(IsADirectoryError, match="unchanged"):
        net.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="unchanged"):
        net.save(tmp_path / "no folder" / "model")
    with pytest.raises(OSError, match="what is there is not a file"):
        net.save("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="what is there is not a file"):
        net.save(tmp_path / "pipe")
    assert os.listdir(tmp_path) == ["pipe"] and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(TypeError):
        net.save(3)


@pytest.mark.parametrize("umask,mode", [(0o022, 0o644), (0o077, 0o600), (0o000, 0o666)])
def test_a_new_file_has_the_mode_that_open_would_give_it(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        models.sequence().save(tmp_path / "model")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "model").st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_replaced_file_keeps_its_mode(mode, old):
    folder, _ = old
    (folder / "model").chmod(mode)
    models.sequence().save(folder / "model")
    assert stat.S_IMODE(os.stat(folder / "model").st_mode) == mode


def test_a_link_is_followed(old, tmp_path):
    folder, content = old
    (folder / "link").symlink_to("model")
    (folder / "to nothing").symlink_to("other")
    models.sequence(seed=9).save(folder / "link")
    models.sequence(seed=9).save(folder / "to nothing")
    assert (folder / "link").is_symlink() and (folder / "to nothing").is_symlink()
    assert (folder / "model").read_bytes() == (folder / "other").read_bytes() != content


def test_everything_is_synced_before_and_after_the_rename(tmp_path, monkeypatch):
    """In the order without which a crash of the machine could show a name without its bytes."""
    steps = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def call(*args, name=name, real=real):
            kind = "folder" if name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode) else "file"
            steps.append((name, kind))
            return real(*args)

        monkeypatch.setattr(os, name, call)
    models.sequence().save(tmp_path / "model")
    assert steps == [("fsync", "file"), ("replace", "file"), ("fsync", "folder")]


def test_no_descriptor_stays_open(old, monkeypatch):
    folder, _ = old
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for k in range(1, 14):
        saved_with_failure(folder / "model", monkeypatch, k, errno.EIO)
    models.sequence().save(folder / "model")
    fnn.load(folder / "model")
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_an_error_of_the_writer_goes_through(old):
    folder, content = old

    def write(output):
        output.put(b"half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        atomic.replace(folder / "model", write)
    assert (folder / "model").read_bytes() == content and os.listdir(folder) == ["model"]


def forked_saver(path, nets):
    """A child that saves the networks in turns until it is killed, and a pipe that gets a byte after each."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            while True:
                for net in nets:
                    net.save(path)
                    os.write(writing, b".")
        finally:
            os._exit(1)
    os.close(writing)
    return child, reading


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
def test_a_child_that_saves_in_a_loop_is_killed(tmp_path):
    """At random moments; FASTNN_TEST_KILLS=1000 is the long version. A temporary file is all that a kill may leave."""
    path = tmp_path / "model"
    rng = random.Random(0)
    nets = [fnn.Network([fnn.Dense(200, "relu"), fnn.Dense(200)], input_shape=100, seed=seed) for seed in range(2)]
    whole = [models.bits(net) for net in nets]
    nets[0].save(path)
    seen = []
    for _ in range(KILLS):
        child, saved = forked_saver(path, nets)
        for _ in range(rng.randrange(4)):
            os.read(saved, 1)
        time.sleep(rng.uniform(0, 0.005))
        os.kill(child, signal.SIGKILL)
        os.close(saved)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        seen.append(whole.index(models.bits(fnn.load(path))))
        for litter in tmp_path.glob(".fastnn-*.tmp"):
            litter.unlink()
        assert os.listdir(tmp_path) == ["model"]
    assert set(seen) == {0, 1}
