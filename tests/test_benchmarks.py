"""The benchmarks: peers do the same work, and what is made from their results says what the results say."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn._core.kernels import engine_of

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import compare  # noqa: E402
import gemm  # noqa: E402
import results  # noqa: E402
import run  # noqa: E402
import rungs  # noqa: E402
import tables  # noqa: E402


def entry(one=None, two=None, **more):
    """A peer's results: seconds with one and with two threads."""
    times = {n: times for n, times in (("1", one), ("2", two)) if times}
    return {"times": times, "setting": dict.fromkeys(times, ""), **more}


@pytest.fixture
def found():
    return {
        "machine": {"cpu": "A CPU", "cores": 2, "memory_gib": 23.5},
        "date": "2026-01-31",
        "commit": "abc1234",
        "python": "3.11.7",
        "versions": {
            "fastnn": "1.0 (avx512)",
            "fastnn predictor()": "1.0 (avx512)",
            "fastnn high": "1.0 (avx512)",
            "pure Python": "3.11.7",
            "PyTorch eager": "2.13",
            "JAX": "0.10",
        },
        "missing": {"ONNX Runtime": "No module named 'onnx'"},
        "peak": {"1": 100e9, "2": 190e9},
        "train": {
            "64-32-10 [32]": {
                "fastnn": entry([10e-6, 10e-6, 12e-6], [11e-6, 11e-6, 30e-6], loss=2.5, steps=45),
                "pure Python": entry([50e-3, 60e-3, 55e-3], loss=2.5, steps=4),
                "PyTorch eager": entry([300e-6, 310e-6, 305e-6], [250e-6, 240e-6, 245e-6], loss=2.5000002, steps=45),
                "JAX": entry([30e-6, 31e-6, 32e-6], loss=2.4999998, steps=45),
            },
            "784-512-512-10 [128]": {
                "fastnn": entry([4e-3] * 3, [2e-3] * 3, loss=2.5, steps=20),
                "fastnn high": entry([1e-3] * 3, loss=2.5, steps=20),
                "JAX": entry([5e-3] * 3, [2.5e-3] * 3, loss=2.5, steps=20),
            },
        },
        "predict": {
            "2-2-1, one row": {
                "fastnn": entry([1e-6] * 3, error=1e-7),
                "fastnn predictor()": entry([0.5e-6] * 3, error=1e-7),
                "PyTorch eager": entry([10e-6] * 3, error=1e-7),
            },
            "64-32-10, 100000 rows": {
                "fastnn": entry([2e-3] * 3, [1e-3] * 3, error=1e-7),
                "JAX": entry([8e-3] * 3, [4e-3] * 3, error=1e-7),
            },
        },
        "gemm": {
            "1-1 [1] x @ W": {"fastnn": entry([0.02e-6] * 2), "PyTorch eager": entry([1e-6] * 2)},
            "64-32 [1] x @ W": {"fastnn": entry([0.1e-6] * 2), "PyTorch eager": entry([1.05e-6] * 2)},
            "64-32 [32] x @ W": {"fastnn": entry([2e-6] * 2), "PyTorch eager": entry([2.5e-6] * 2)},
            "512-512 [512] x @ W": {
                "fastnn": entry([3e-3] * 2, [1.5e-3] * 2),
                "PyTorch eager": entry([3.301e-3] * 2, [2.001e-3] * 2),
            },
        },
        "import": {"numpy": 0.08, "with fastnn": 0.09, "beyond": 0.01},
        "wheel": {"name": "fastnn-1.0.whl", "bytes": 2**20},
    }


# ---- the peers -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workers():
    names = [
        "fastnn",
        "fastnn predictor()",
        "pure Python",
        "NumPy",
        "scikit-learn",
        "PyTorch eager",
        "JAX",
        "JAX by epoch",
        "ONNX Runtime",
    ]
    ready, _, _ = run.start(names, [1])
    yield ready
    run.stop(ready)


@pytest.mark.parametrize("name", ["2-2-1 [4]", "64-32-10 [32]"])
def test_peers_do_the_same_training(workers, name):
    ladder = rungs.TASKS["train"]
    _, said = run.prepare(workers, "train", next(i for i, rung in enumerate(ladder) if rung.name == name), 0.001)
    losses = {peer: answers["1"]["loss"] for peer, answers in said.items()}
    assert {"fastnn", "NumPy"} <= set(losses)
    # a mean of five float32 losses; PyTorch and JAX return it in float32
    assert losses == pytest.approx(dict.fromkeys(losses, losses["fastnn"]), rel=1e-6)


def test_peers_predict_the_same(workers):
    ready, said = run.prepare(workers, "predict", 1, 0.001)
    errors = {peer: answers["1"]["error"] for peer, answers in said.items()}
    assert {"fastnn", "fastnn predictor()", "NumPy"} <= set(errors)
    assert max(errors.values()) < 1e-6
    assert all(worker.ask(seconds=0.001)["time"] > 0 for worker in ready)


def test_checked_batches_are_the_first_of_the_rung():
    rung = rungs.TRAINING[2]
    short = rungs.beginning(rung)
    assert (short.rows, short.epochs, short.sizes) == (rungs.CHECKED_STEPS * rung.batch, 1, rung.sizes)
    for part, whole in zip(short.data, rung.data, strict=True):
        np.testing.assert_array_equal(part, whole[: short.rows])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", rungs.Product.KINDS)
def test_products_are_right(kind, dtype):
    product = rungs.Product(37, 19, 8, kind)
    a, b, out = (array.astype(dtype) for array in product.operands)
    expected = {"nn": lambda: a @ b, "tn": lambda: a.T @ b, "nt": lambda: a @ b.T}[product.orientation]()
    assert engine_of(dtype).gemm(product.orientation, a, b, out, threads=2, repeats=3) > 0
    np.testing.assert_allclose(out, expected, rtol=0, atol=200 * np.finfo(dtype).eps)


def test_product_refuses_shapes_that_do_not_fit():
    a = np.ones((2, 3), "float32")
    with pytest.raises(ValueError, match="2 x 3, 2 x 3 and 2 x 3"):
        engine_of("float32").gemm("nn", a, a, a)
    with pytest.raises(ValueError, match="0 threads"):
        engine_of("float32").gemm("nt", a, a, np.ones((2, 2), "float32"), threads=0)


# ---- the file --------------------------------------------------------------------------------------------------------


def test_results_come_back(found, tmp_path):
    path = tmp_path / "new" / "results.json"
    results.write(path, found)
    assert results.read(path) == found == json.loads(path.read_text())
    assert max(map(len, path.read_text().splitlines())) < 400  # a line for each peer, for comparing files by eye


def test_the_better_number_of_threads_counts(found):
    entries = found["train"]["64-32-10 [32]"]
    eager = results.figure(entries["PyTorch eager"])
    assert (eager.median, eager.threads) == (245e-6, 2)
    assert (eager.low, eager.high) == pytest.approx((242.5e-6, 247.5e-6))
    assert results.figure(entries["PyTorch eager"], 1).median == 305e-6
    assert results.figure(entries["JAX"], 2) is None
    assert results.best_peer(results.figures(entries))[0] == "JAX"


def test_rungs_by_number_or_name():
    def names(wanted):
        return [rung.name for _, rung in run.chosen(rungs.TRAINING, wanted)]

    assert names("0,2") == ["1-1 [50]", "64-32-10 [32]"]
    assert names("784-") == ["784-128-10 [64]", "784-512-512-10 [128]"]
    assert len(names(None)) == len(rungs.TRAINING)


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_training_table_names_the_best_float32_peer(found):
    lines = tables.train(found).splitlines()
    names = ["network [batch]", "fastnn", "fastnn high", "PyTorch", "JAX"]
    assert lines[0].strip("| ").split(" | ") == [*names, *(f"{n} against the best peer" for n in names[1:3])]
    assert lines[2] == "| 64-32-10 [32] | 10.0 us | - | 245 us | 31.0 us | 3.10x (JAX) | - |"
    assert lines[3] == "| 784-512-512-10 [128] | 2.00 ms | 1.00 ms | - | 2.50 ms | 1.25x (JAX) | 2.50x (JAX) |"


def test_training_table_shows_jax_by_epoch_beside_the_best_peer(found):
    found["versions"]["JAX by epoch"] = "0.10"
    found["train"]["1-1 [50]"] = {
        "fastnn": entry([1e-6] * 3),
        "JAX": entry([12e-6] * 3),
        "JAX by epoch": entry([22e-6] * 3),
    }
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables.train(found).splitlines()]
    assert lines[0][-1] == "fastnn against JAX by epoch"
    by_name = {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines}
    assert by_name["1-1 [50]"]["fastnn against the best peer"] == "12.0x (JAX)"
    assert [by_name[n][lines[0][-1]] for n in ("1-1 [50]", "64-32-10 [32]")] == ["22.0x", "-"]
    assert "JAX by epoch" not in tables.share(found)


def test_latency_and_rows(found):
    assert "| 2-2-1 | 1.00 us | 500 ns | 10.0 us | 10.0x (PyTorch) | 20.0x (PyTorch) |" in tables.latency(found)
    assert "| 64-32-10, 100,000 rows | 100 M | 25 M | 4.00x (JAX) |" in tables.rows(found)


def test_share_of_the_peak_counts_the_threads(found):
    # 2 * 128 * (3 * (784 * 512 + 512 * 512 + 512 * 10) - 784 * 512) = 411 M operations in 2 ms, of 190 G in a second
    assert "| 784-512-512-10 [128] | 411 M | 108.1% (2) | - | 86.5% (2) |" in tables.share(found)
    assert "| 64-32-10 [32] | 0.324 M | 32.4% (1) |" in tables.share(found)


def test_pure_python_says_how_much_was_measured(found):
    assert "| 64-32-10 [32] | 55.0 ms | 10.0 us | 5,500x | 9% of an epoch a round |" in tables.python(found)


def test_tables_go_to_their_marks_and_nowhere_else(found):
    made = tables.tables(found)
    train, other = (
        "<!-- benchmark:train -->\nold\n<!-- /benchmark -->",
        "<!-- benchmark:other -->\nkept\n<!-- /benchmark -->",
    )
    text = f"before\n{train}\nbetween\n{other}\n"
    filled, empty, unmarked = tables.fill(text, made)
    assert filled == text.replace("old", made["train"])
    assert tables.fill(filled, made)[0] == filled
    assert empty == ["other"]
    assert "train" not in unmarked and "latency" in unmarked


def test_a_part_that_was_not_measured_has_no_table(found):
    del found["gemm"], found["wheel"]
    made = tables.tables(found)
    assert "gemm" not in made and "products" not in made
    assert "10.0 ms" in made["package"] and "wheel" not in made["package"]


def test_all_figures_stand_in_the_document(found):
    text = tables.document(found)
    assert "| PyTorch eager | 2 | 245 us | 242 us to 248 us | - | 2.5 |" in text
    assert "ONNX Runtime (No module named 'onnx')" in text


# ---- products --------------------------------------------------------------------------------------------------------


def test_products_less_the_call(found):
    rows = {(row.product.name, row.threads): row for row in gemm.rows(found)}
    assert ("1-1 [1] x @ W", 1) not in rows
    tiny, small, large = rows["64-32 [1] x @ W", 1], rows["64-32 [32] x @ W", 1], rows["512-512 [512] x @ W", 1]
    assert tiny.called == (pytest.approx(10.5), "PyTorch eager")
    assert tiny.less_call is None  # a twentieth of a microsecond is noise beside a call of one
    assert small.called[0] == pytest.approx(1.25)
    assert small.less_call == (pytest.approx(0.75), "PyTorch eager")
    assert large.less_call[0] == pytest.approx(1.1)
    assert large.share == pytest.approx(2 * 512**3 / 3e-3 / 100e9)
    # nothing says what a call costs on two threads
    assert rows["512-512 [512] x @ W", 2].less_call is None
    lines = gemm.table(gemm.rows(found))
    assert lines[-2] == "as called: 0 of 4 slower than the best peer"
    assert lines[-1] == "less the call: 1 of 2 slower than the best peer"


# ---- comparison ------------------------------------------------------------------------------------------------------


def scaled(found, factor, peers):
    """The results with the training times of some peers multiplied."""
    copy = json.loads(json.dumps(found))
    for entries in copy["train"].values():
        for peer, one in entries.items():
            if peers(peer):
                one["times"] = {n: [t * factor for t in times] for n, times in one["times"].items()}
    return copy


def test_compare_sees_what_became_faster(found):
    lines = compare.report(found, scaled(found, 0.5, lambda peer: peer == "fastnn"))
    changed = [line for line in lines if " -> " in line]
    assert len(changed) == 2
    assert all("2.00x faster" in line for line in changed)
    assert lines[-1].startswith("2 of ")


def test_compare_takes_the_machine_out(found):
    del found["predict"], found["gemm"]
    slower = scaled(found, 1.3, lambda peer: True)
    lines = compare.report(found, slower)
    assert "0.769 times" in lines[2]
    assert not [line for line in lines if " -> " in line]
    worse = scaled(slower, 1.5, lambda peer: peer == "fastnn high")
    assert ["1.50x slower" in line for line in compare.report(found, worse) if " -> " in line] == [True]


def test_compare_ignores_what_lies_within_the_spread(found):
    new = scaled(found, 1.0, lambda peer: True)
    new["train"]["64-32-10 [32]"]["fastnn"]["times"] = {"1": [9e-6, 11e-6, 13e-6]}
    assert not [line for line in compare.report(found, new) if " -> " in line]
    assert [line for line in compare.report(found, new, show_all=True) if "(within the spread)" in line]
