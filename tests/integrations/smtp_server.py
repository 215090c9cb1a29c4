"""A mail server for tests: speaks enough SMTP to take a mail, and remembers what it was told."""

import socketserver
import threading
from dataclasses import dataclass, field


@dataclass
class Inbox:
    port: int = 0
    refuse: str = ""
    said: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)


class _Session(socketserver.StreamRequestHandler):
    inbox: Inbox

    def handle(self) -> None:
        self._say("220 test")
        while line := self.rfile.readline().decode().strip():
            self.inbox.said.append(line)
            verb = line.split(":")[0].split(" ")[0].upper()
            if self.inbox.refuse and verb == self.inbox.refuse:
                self._say("550 no such mailbox here: secret@example.com")
            elif verb == "EHLO":
                self._say("250-test\r\n250 AUTH PLAIN")
            elif verb == "AUTH":
                self._say("235 fine")
            elif verb == "DATA":
                self._say("354 go on")
                self.inbox.mails.append(self._mail())
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _mail(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def start(inbox: Inbox) -> socketserver.ThreadingTCPServer:
    handler = type("Session", (_Session,), {"inbox": inbox})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    inbox.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    return server
