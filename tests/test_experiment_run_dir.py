"""Run folders: who may write one, and where its results come from."""

import json
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest
import torch

from experiment import run_dir
from experiment.checkpoint import load_newest
from experiment.files import unused_folder, unused_path
from experiment.memory import peak_memory_bytes
from experiment.provenance import ROOT, program, provenance, source_hash
from experiment.run_dir import RunDir, read_config, read_status
from experiment.seeding import derive_seed

ARITHMETIC = {"device": "cpu", "encoder_precision": "float32", "core_kernel": None}


def test_a_command_is_recorded_as_it_can_be_typed(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", module := ModuleType("__main__"))
    monkeypatch.setattr(sys, "argv", [str(ROOT / "run_atari.py")])
    module.__spec__ = None
    assert program() == ["run_atari.py"]
    module.__spec__ = ModuleSpec("cProfile", None, origin="elsewhere/cProfile.py")
    assert program() == ["run_atari.py"]
    monkeypatch.setattr(sys, "argv", [str(ROOT / "benchmarks/startup.py")])
    module.__spec__ = ModuleSpec("benchmarks.startup", None, origin=sys.argv[0])
    assert program() == ["python", "-m", "benchmarks.startup"]
    del module.__spec__  # as under pdb
    assert program() == ["benchmarks/startup.py"]


def test_a_new_run_records_its_settings_and_origin(tmp_path):
    run = RunDir.create(tmp_path / "run", {"game": "tmaze"}, {})
    run.set_status("running")
    run.record_session("frames", 0, ARITHMETIC)
    assert read_config(run.path) == {"game": "tmaze"}
    assert read_status(run.path)["status"] == "running"
    origin = json.loads((run.path / "provenance.json").read_text())
    assert origin["source_hash"] == source_hash()
    assert not any(key.isupper() for key in origin)


def test_a_used_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already; continue it with --resume"):
        RunDir.create(tmp_path, {}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_a_run_has_its_first_checkpoint_before_it_has_settings(tmp_path, monkeypatch):
    def write(path, content):
        assert load_newest(tmp_path / "run/checkpoints")["seed"] == 3
        path.write_bytes(content)

    monkeypatch.setattr(run_dir, "write_atomically", write)
    run = RunDir.create(tmp_path / "run", {"game": "tmaze"}, {"seed": 3})
    assert read_config(run.path) == {"game": "tmaze"}


def test_a_folder_with_a_later_checkpoint_is_used(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/000000000001.safetensors").touch()
    with pytest.raises(ValueError, match="exists already"):
        RunDir.create(tmp_path, {}, {})


def test_a_first_checkpoint_is_not_written_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoints").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is a link out of"):
        RunDir.create(tmp_path / "run", {}, {})
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_lock_that_is_a_link_leaves_what_it_leads_to(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(ValueError, match="is a link out of"):
        RunDir.create(tmp_path / "run", {}, {})
    assert (tmp_path / "precious").read_text() == "kept"
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_folder_that_a_killed_process_had_only_begun_can_be_used(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".config.yaml.tmp").write_text("game: tm")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/.000000000000.safetensors.tmp").write_bytes(b"half")
    (tmp_path / "checkpoints/000000000000.safetensors").write_bytes(b"whole")
    RunDir.create(tmp_path, {"game": "tmaze"}, {}).close()
    assert read_config(tmp_path) == {"game": "tmaze"}


def test_each_session_says_where_it_comes_from(tmp_path):
    run = RunDir.create(tmp_path / "run", {}, {})
    for frames in (0, 100, 250):
        run.record_session("frames", frames, ARITHMETIC)
    origin = json.loads((run.path / "provenance.json").read_text())
    assert [session["frames"] for session in origin["resumed"]] == [100, 250]
    assert all(s["source_hash"] == origin["source_hash"] for s in origin["resumed"])
    assert all(s["arithmetic"] == ARITHMETIC for s in (origin, *origin["resumed"]))
    run.close()
    for damaged, cause in (("{", "is not JSON"), ("[]", "holds no provenance")):
        (run.path / "provenance.json").write_text(damaged)
        with pytest.raises(ValueError, match=rf"provenance\.json {cause}"):
            RunDir(run.path)


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    run = RunDir.create(tmp_path / "run", {}, {})
    with pytest.raises(ValueError, match="is being trained by another process"):
        RunDir(run.path)
    run.close()
    RunDir(run.path).close()


@pytest.mark.parametrize("content", [None, "- a\n- b\n", "a: [", "text"])
def test_a_folder_without_settings_is_no_run(tmp_path, content):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"config\.yaml"):
        read_config(tmp_path)


def test_seeds_are_stable_and_apart():
    assert derive_seed(1, "env", 0) == derive_seed(1, "env", 0)
    names = ("env", "policy")
    seeds = {derive_seed(r, name, i) for r in range(5) for name in names for i in range(5)}
    assert len(seeds) == 50
    assert derive_seed(1, "env", 0) == 553133800  # the same on every machine and version


def test_provenance_names_commit_versions_and_machine():
    origin = provenance()
    assert {"commit", "dirty", "source_hash", "versions", "hardware", "command"} <= origin.keys()
    assert origin["versions"]["torch"]


def test_all_cores_count_where_the_system_reserves_none(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert provenance()["hardware"]["cores"] == os.cpu_count()


@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_peak_memory_is_in_bytes(monkeypatch, platform, unit):
    cpu, counted = torch.device("cpu"), SimpleNamespace(ru_maxrss=7)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("resource.getrusage", lambda _: counted)
    assert peak_memory_bytes(cpu) == 7 * unit


def test_the_threads_that_ran_are_recorded(one_thread):
    assert provenance()["torch_threads"] == 1


def test_the_number_of_a_folder_stands_behind_its_whole_name(tmp_path):
    for name in ("cue.py-make-lstm-1", "cue.py-make-lstm-1-2"):
        assert unused_folder(tmp_path / "cue.py-make-lstm-1") == tmp_path / name
        (tmp_path / name).mkdir()
    assert unused_path(tmp_path / "film.mp4") == tmp_path / "film.mp4"
    (tmp_path / "film.mp4").touch()
    assert unused_path(tmp_path / "film.mp4") == tmp_path / "film-2.mp4"
