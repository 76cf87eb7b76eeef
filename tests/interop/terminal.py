"""The commands as a person and as a script meet them: every one answers in JSON when asked to, and on a terminal a
password is asked for without echo and long work shows how far it is."""

import json
import pty
import select
import subprocess
import termios

from common import *

ME = "ann@box.test"


def run(line, given="", code=0):
    words = [PROGRAM, *line.split(), "--db", DB, "--json"]
    done = subprocess.run(words, input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{line}: exit {done.returncode}, {done.stderr}"
    lines = done.stdout.splitlines()
    assert len(lines) == 1, f"{line}: {done.stdout!r}"
    told = json.loads(lines[0])
    if code:
        assert set(told) == {"error", "exit"} and told["exit"] == code and told["error"] in done.stderr, told
    return told


def every_command_answers_in_json():
    overview = run("--help")["help"]
    commands = {line.strip() for line in re.findall(r"^  pillarbox ((?:[a-z]+ ?)+)", overview, re.M)} - {""}
    copy = os.path.join(WORK, "copy.db")
    tried = [
        ("domain add other.test", ""),
        ("domain list", ""),
        (f"account add {ME} --password-stdin", 'qu"ote\\\n'),
        ("account list", ""),
        (f"account password {ME} --password-stdin", "pw\n"),
        (f"account quota {ME} 1000000", ""),
        (f"account app add {ME} phone", ""),
        (f"account app list {ME}", ""),
        (f"account app revoke {ME} phone", ""),
        (f"address add sales@box.test {ME}", ""),
        ("address list", ""),
        ("address remove sales@box.test", ""),
        ("config list", ""),
        ("config get hostname", ""),
        ("config set undelete-days 7", ""),
        ("status", ""),
        ("reload", ""),
        ("verify", ""),
        (f"backup {copy}", ""),
        (f"account remove {ME} --yes", ""),
        ("domain remove other.test", ""),
    ]
    for line, given in tried:
        run(line, given)
        run(" ".join(line.split()[: 3 if " app " in line else 2]) + " --help")
    # The server has the file: these say so. The two that serve have their own tests.
    for line in (f"restore {copy}", "rebuild", "serve"):
        run(line, code=5)
    named = {line.split(" --")[0] for line, _ in tried} | {"restore", "rebuild", "serve", "quickstart"}
    for command in commands:
        assert any(line.startswith(command) for line in named), f"`{command}` was not tried"
    for line, code in (("frobnicate", 2), ("domain add", 2), ("domain remove nowhere.test", 4), ("config get x", 2)):
        run(line, code=code)
    served = [PROGRAM, "quickstart", "--ports-from", "0", "--json", "--db", os.path.join(WORK, "quick.db")]
    with subprocess.Popen(served, stdout=subprocess.PIPE, text=True) as child:
        told = json.loads(child.stdout.readline())
        child.terminate()
        assert child.wait(30) == 0
    assert told["made"] and told["password"].isalnum() and len(told["listening"]) == 8, told
    missing = subprocess.run([PROGRAM, "status", "--json", "--db", copy + ".not"], capture_output=True, text=True)
    assert missing.returncode == 3 and json.loads(missing.stdout)["exit"] == 3


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, line):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execv(PROGRAM, [PROGRAM, *line.split(), "--db", DB])
        self.pid, self.shown = pid, ""

    def until(self, words):
        end = time.monotonic() + 30
        while words not in self.shown:
            assert self.more(end - time.monotonic()), f"no {words!r} in {self.shown!r}"

    def more(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], max(seconds, 0))
        try:
            piece = os.read(self.fd, 4096) if ready else b""
        except OSError:
            piece = b""
        self.shown += piece.decode()
        return piece

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.fd, text.encode() + b"\n")

    def end(self):
        while self.more(30):
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def asked_for_a_password(again):
    terminal = Terminal(f"account add {ME}")
    terminal.until(f"New password for {ME}: ")
    wait_for("a prompt that nobody can read over the shoulder", lambda: not terminal.echoes())
    terminal.type("hidden word")
    terminal.until("The same again: ")
    wait_for("the same for the second time", lambda: not terminal.echoes())
    terminal.type(again)
    code = terminal.end()
    assert "hidden word" not in terminal.shown and again not in terminal.shown, terminal.shown
    return code


def a_password_is_asked_for_without_echo():
    assert asked_for_a_password("another word") == 2
    assert ME not in json.dumps(run("account list")), "made with a password that nobody can know"
    assert asked_for_a_password("hidden word") == 0
    client = imaplib.IMAP4_SSL(HOST, port("IMAPS"), ssl_context=tls())
    client.login(ME, "hidden word")
    client.logout()


def removal_is_asked_about():
    for answer, code, left in (("no", 4, True), ("yes", 0, False)):
        terminal = Terminal(f"account remove {ME}")
        terminal.until("Type yes: ")
        terminal.type(answer)
        assert terminal.end() == code, terminal.shown
        assert (ME in json.dumps(run("account list"))) == left


def long_work_shows_a_bar():
    terminal = Terminal("verify")
    code = terminal.end()
    assert code == 0 and re.search(r"checking \[[#.]{30}\] +\d+ %", terminal.shown), terminal.shown
    assert terminal.shown.rindex("\x1b[K") > terminal.shown.rindex("%"), "it is gone at the end"
    piped = subprocess.run([PROGRAM, "verify", "--db", DB], capture_output=True, text=True, timeout=60)
    assert piped.returncode == 0 and piped.stderr == "", "only on a terminal"


every_command_answers_in_json()
a_password_is_asked_for_without_echo()
removal_is_asked_about()
client = imap("INBOX")
ok(client.append("INBOX", None, None, message("something to check")))
long_work_shows_a_bar()
print("terminal: ok")
