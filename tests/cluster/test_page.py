"""The commands of docs/cluster.md that start a cluster, over 100 captures on a server: as they stand there, but for the scheduler's address."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.cluster.conftest import ROOT, Bucket, free_port, listens, until
from tests.workers.test_processes import busy

_COMMANDS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def test_the_commands_of_the_page_give_a_report_over_100_captures(bucket: Bucket, tmp_path: Path) -> None:
    blocks = _COMMANDS.findall((ROOT / "docs" / "cluster.md").read_text())
    assert len(blocks) == 3
    data = busy(tmp_path / "x.pcap", connections=3, exchanges=4).read_bytes()
    for i in range(100):
        bucket.put(f"day/{i:03}.pcap", data)
    port = free_port()
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def script(text: str) -> list[str]:
        commands = text.replace("tcp://scheduler:8786", f"tcp://127.0.0.1:{port}").replace(
            "--port 8786", f"--host 127.0.0.1 --port {port} --no-dashboard"
        )
        return ["bash", "-ec", commands.replace("dask worker", "dask worker --no-dashboard")]

    log = (tmp_path / "log").open("wb")
    cluster = subprocess.Popen(
        [*script(blocks[0])[:2], script(blocks[0])[2] + "\nwait"], env=env, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
    )
    try:
        until(lambda: listens(port))
        until(lambda: (tmp_path / "log").read_text().count("Registered to:") == 2)
        done = subprocess.run(script(blocks[1]), env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        summary = json.loads((tmp_path / "day.ndjson").read_text().splitlines()[-1])
        assert len(summary["captures"]) == 100
        assert summary["run"]["workers"] == 4
        done = subprocess.run(script(blocks[2]), env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert [line.split(":")[1][-7:] for line in done.stdout.splitlines()] == [f"{i:03}.pcap"[-7:] for i in range(100)]
        keys = [one["Key"] for one in bucket.client.list_objects_v2(Bucket=bucket.name, Prefix="reports/")["Contents"]]
        assert keys == [f"reports/{i:03}.pcap.ndjson" for i in range(100)]
    finally:
        os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait()
        log.close()
