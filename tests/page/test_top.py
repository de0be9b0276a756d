"""`observer top` in a real terminal."""

import subprocess
import uuid

import pytest
from support import observer_binary, until


@pytest.fixture
def terminal(observer):
    socket = f"observer-{uuid.uuid4().hex[:8]}"

    def tmux(*args):
        done = subprocess.run(["tmux", "-L", socket, *args], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    tmux("-f", "/dev/null", "new-session", "-d", "-x", "170", "-y", "45", "/bin/sh")
    tmux("send-keys", f"{observer_binary()} top --url {observer.url}", "Enter")
    yield tmux
    subprocess.run(["tmux", "-L", socket, "kill-server"], check=False)


def test_the_table_and_a_view_in_a_terminal(terminal, workload):
    program = workload()
    program.run("hold 1234")
    live = str(program.report()["goroutines"])

    def shows(*texts):
        def found():
            screen = terminal("capture-pane", "-p")
            return all(text in screen for text in texts)

        try:
            until(f"the terminal shows {texts}", found)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{terminal('capture-pane', '-p')}") from error

    # Most goroutines first: it is the row that Enter opens.
    shows(program.name, str(program.pid), live, "GOROUTINES")
    terminal("send-keys", "/", str(program.pid), "Enter")
    shows(f"[{program.pid}]")
    terminal("send-keys", "Enter")
    shows("Stops of the world", f"goroutines {live}")
    program.run("gc 1")
    shows("gc mark termination", "forced")
    terminal("send-keys", "g")
    shows("main.hold", "1234")
    program.run("hold 10")
    terminal("send-keys", "g")
    shows("+10")
    terminal("send-keys", "Escape")
    shows("GOROUTINES")
    terminal("send-keys", "q")
    # The terminal is given back; what is typed before is not the shell's.
    until("the end of it", lambda: "GOROUTINES" not in terminal("capture-pane", "-p"))
    terminal("send-keys", "echo still $((40 + 2))", "Enter")
    shows("still 42")
