"""A mail server for tests: speaks enough SMTP to take a mail, and remembers what it was told."""

import socketserver
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Inbox:
    port: int = 0
    refuse: str = ""
    hang_up_after: str = ""
    leaves: str = "221 bye"
    certificate: Path | None = None
    implicit_tls: bool = False
    said: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)


class _Session(socketserver.StreamRequestHandler):
    inbox: Inbox

    def handle(self) -> None:
        try:
            if self.inbox.implicit_tls:
                self._encrypt()
            self._say("220 test")
            self._talk()
        except OSError:
            return  # the other side hung up, as it does on a certificate that it does not trust

    def _encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert self.inbox.certificate
        context.load_cert_chain(self.inbox.certificate)
        self.request = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def _talk(self) -> None:
        while line := self.rfile.readline().decode().strip():
            self.inbox.said.append(line)
            verb = line.split(":")[0].split(" ")[0].upper()
            if self.inbox.refuse and verb == self.inbox.refuse:
                self._say("550 no such mailbox here: secret@example.com")
            elif verb == "EHLO":
                offer = "250-STARTTLS\r\n" if self.inbox.certificate and not self._encrypted() else ""
                self._say(f"250-test\r\n{offer}250 AUTH PLAIN")
            elif verb == "STARTTLS":
                self._say("220 go on")
                self._encrypt()
                self.inbox.said.append("(encrypted)")
            elif verb == "AUTH":
                self._say("235 fine")
            elif verb == "DATA":
                self._say("354 go on")
                if self.inbox.hang_up_after == "DATA":
                    return
                self.inbox.mails.append(self._mail())
                if self.inbox.hang_up_after == "mail":
                    return
                self._say("250 taken")
            elif verb == "QUIT":
                self._say(self.inbox.leaves)
                return
            else:
                self._say("250 fine")

    def _encrypted(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)

    def _mail(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate with its key, for a server of this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def start(inbox: Inbox) -> socketserver.ThreadingTCPServer:
    handler = type("Session", (_Session,), {"inbox": inbox})
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    inbox.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    return server
