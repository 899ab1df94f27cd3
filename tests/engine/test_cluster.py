"""Two nodes on this machine: a node goes in mid-trial, the trial goes on elsewhere from its checkpoint."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store.results import ResultStore
from tests.tables import assert_whole

DRIVER = """
    import sys, threading, time
    from pathlib import Path
    from ray.cluster_utils import Cluster
    from harness.engine.pool import RayEngine
    from harness.studyfile.load import load_study
    from harness.studyfile.values import ClusterSpec
    from harness.store.results import ResultStore
    from harness.study import Study

    file, root = Path(sys.argv[1]), Path(sys.argv[2])
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "include_dashboard": False, "node_ip_address": "127.0.0.2"},
    )
    second = cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2")
    checkpoints = root / "checkpoints" / "toy"

    def remove_when_both_have_a_checkpoint() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if checkpoints.is_dir() and len(list(checkpoints.glob("*.pt"))) >= 2:
                cluster.remove_node(second, allow_graceful=False)
                print("removed", flush=True)
                return
            time.sleep(0.05)

    thread = threading.Thread(target=remove_when_both_have_a_checkpoint)
    with RayEngine(ClusterSpec(address=cluster.address)) as engine:
        print(len(engine.capacity().nodes), "nodes", flush=True)
        thread.start()
        Study(load_study(file), root).run(engine)
        thread.join()
    cluster.shutdown()
"""


@pytest.mark.kill
@pytest.mark.slow
def test_a_node_is_removed_in_mid_trial(study_text: Callable[..., str], tmp_path: Path) -> None:
    file, root, driver = tmp_path / "toy.yaml", tmp_path / "r", tmp_path / "driver.py"
    text = study_text(trials=1, epochs=12, pruner="none").replace(
        "batch_size: 8", "batch_size: 8, pause_s: 0.4"
    )
    text = text.replace("confirm: {top: 2, seeds: 1}", "confirm: {seeds: 0}")
    file.write_text(text.replace("final: {seeds: 2}", "final: {seeds: 0}"))
    driver.write_text(textwrap.dedent(DRIVER))
    done = subprocess.run(
        [sys.executable, str(driver), str(file), str(root)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = [line for line in done.stdout.splitlines() if re.fullmatch(r"removed|\d nodes", line)]
    assert said == ["2 nodes", "removed"]
    assert_whole(root, 2)
    rows = ResultStore(root).trials("toy")
    lost = rows[rows["state"] == "INTERRUPTED"]
    assert len(lost) == 1
    again = rows[(rows["trial_id"] == lost["trial_id"].iloc[0]) & (rows["state"] == "COMPLETE")].iloc[0]
    assert again["attempt"] == 2
    assert again["epochs"] == 12
    epochs = ResultStore(root).epochs("toy")
    curve = epochs[(epochs["trial_id"] == again["trial_id"]) & (epochs["attempt"] == 2)]
    assert sorted(curve.query("metric == 'accuracy'")["epoch"]) == list(range(1, 13))
    assert again["params"]["pause_s"] == 0.4
    mine = epochs[(epochs["trial_id"] == again["trial_id"]) & (epochs["metric"] == "accuracy")]
    clock = mine.pivot(index="epoch", columns="attempt", values="wall_s")
    assert clock.loc[2, 1] == clock.loc[2, 2], "the second attempt went on from the checkpoint"
