"""Result files: their names, and that none is overwritten."""

import json

from benchmarks.result_file import ResultFile, write_result

REPORT = {
    "hardware": {"cpu": "Intel(R) Xeon(R) @ 2GHz", "cores": 2, "gpu": None},
    "date": "2026-11-24T01:02:03+00:00",
    "commit": "0123456789",
}


def test_file_name_says_machine_date_and_commit(tmp_path):
    path = write_result("kernels", REPORT, tmp_path)
    assert path.name == "kernels_intel-r-xeon-r-2ghz-2-cores_2026-11-24_0123456.json"
    assert json.loads(path.read_text()) == REPORT


def test_a_second_run_of_one_day_and_commit_keeps_the_first(tmp_path):
    first = write_result("kernels", REPORT, tmp_path)
    second = write_result("kernels", REPORT | {"rows": [1]}, tmp_path)
    assert second.name == first.stem + "-2.json"
    assert json.loads(first.read_text()) == REPORT


def test_a_report_that_grows_stays_in_one_file(tmp_path):
    kept = ResultFile("kernels", tmp_path)
    kept.write(REPORT)
    kept.write(REPORT | {"rows": [1]})
    (path,) = tmp_path.iterdir()
    assert path == kept.path
    assert json.loads(path.read_text()) == REPORT | {"rows": [1]}
    nothing = ResultFile("kernels", None)
    nothing.write(REPORT)
    assert nothing.path is None
