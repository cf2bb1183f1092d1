"""What a command says that refuses."""

import subprocess


def refused(done: "subprocess.CompletedProcess[str]", exit_code: int, *words: str) -> None:
    """The command ended with this code and one message that holds these words."""
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr
    messages = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(messages) == 1, done.stderr
    for word in words:
        assert word in messages[0]
