"""The fuzzer of annotation files, on a few of them."""

import collections
import json

import pytest


@pytest.fixture
def fuzzer(load_tool, clean_ppdet):
    return load_tool("fuzz_annotations")


@pytest.fixture
def commands(fuzzer, tmp_path):
    return fuzzer.Commands(tmp_path)


def test_damaged_files_are_trained_on_or_refused_in_a_line(fuzzer, commands):
    count = collections.Counter()
    fuzzer.fuzz(commands, 40, first_seed=0, count=count)
    assert count["files"] == 40 and 0 < count["trained on"] < 40
    assert commands.try_file(json.dumps(commands.good).encode()) == ["used"] * 4


def test_a_file_that_fails_in_training_is_noticed(fuzzer, commands, monkeypatch):
    for name, content in [("has no place", {}), ("fails in PaddleDetection", {**commands.good, "annotations": [{}]})]:
        assert "used" not in commands.try_file(json.dumps(content).encode())[:2], name
    monkeypatch.setattr(fuzzer, "check_data", lambda *args: None)
    with pytest.raises(fuzzer.Wrong, match="_train: KeyError: "):
        commands.try_file(json.dumps(content).encode())
