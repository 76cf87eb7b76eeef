"""A program of the terminal: it draws, we look for words in what it drew, and type."""

import os
import pty
import re
import select
import signal
import subprocess
import time

ESCAPES = re.compile(rb"\x1b(\[[0-9;?>]*[ -/]*[@-~]|[()][A-Z0-9]|[=>78MDEHc]|\][^\x07\x1b]*(\x07|\x1b\\))")


class Screen:
    def __init__(self, command, home, **environment):
        os.makedirs(home, exist_ok=True)
        leader, follower = pty.openpty()
        pty_size(leader)
        environment = dict(os.environ, HOME=home, TERM="xterm", LC_ALL="C.UTF-8", LINES="40", COLUMNS="120", **environment)
        self.child = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, env=environment, cwd=home,
            start_new_session=True, preexec_fn=lambda: take_terminal(follower))
        os.close(follower)
        self.leader = leader
        self.drawn = b""

    def read(self, seconds):
        ready, _, _ = select.select([self.leader], [], [], seconds)
        if ready:
            try:
                self.drawn += os.read(self.leader, 65536)
            except OSError:
                return False
        return bool(ready)

    def rest(self, quiet):
        """Until nothing has been drawn for so long; not without end, since some draw for ever."""
        end = time.monotonic() + 5
        while self.read(quiet) and time.monotonic() < end:
            pass

    def shown(self):
        return ESCAPES.sub(b" ", self.drawn).decode(errors="replace")

    def until(self, *words, seconds=30):
        """Waits until one of the words is drawn, in any case, and says which; what was drawn up to now counts no more afterwards."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for word in words:
                if word.lower() in self.shown().lower():
                    self.rest(0.3)
                    self.drawn = b""
                    return word
            self.read(0.2)
            if self.child.poll() is not None:
                break
        raise AssertionError(f"never drew {words}; it drew {self.shown()[-3000:]!r}")

    def type(self, keys):
        os.write(self.leader, keys.encode())

    def end(self, seconds=30):
        stop = time.monotonic() + seconds
        while self.child.poll() is None and time.monotonic() < stop:
            self.read(0.1)
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            raise AssertionError(f"it did not end; it drew {self.shown()[-3000:]!r}")
        return self.child.returncode


def pty_size(leader):
    import fcntl
    import struct
    import termios
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))


def take_terminal(follower):
    import fcntl
    import termios
    fcntl.ioctl(follower, termios.TIOCSCTTY, 0)
