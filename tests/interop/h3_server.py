"""Serve the files of a directory over HTTP/3 with aioquic.

Prints `listening on IP:PORT` once it is ready, and one line for each connection that ends.
"""

import argparse
import asyncio
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent


class H3Server(QuicConnectionProtocol):
    """One connection: a request for `/name` is answered with the file."""

    def __init__(self, *args, root: Path, **kwargs):
        super().__init__(*args, **kwargs)
        self._root = root
        self._http = H3Connection(self._quic)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            print(f"handshake complete alpn={event.alpn_protocol}", flush=True)
        elif isinstance(event, ConnectionTerminated):
            print(f"terminated code={event.error_code} reason={event.reason_phrase!r}", flush=True)
        for http_event in self._http.handle_event(event):
            if isinstance(http_event, HeadersReceived):
                self._answer(http_event.stream_id, dict(http_event.headers))

    def _answer(self, stream_id: int, headers: dict[bytes, bytes]) -> None:
        name = headers[b":path"].decode().removeprefix("/")
        found = headers[b":method"] == b"GET" and name in (entry.name for entry in self._root.iterdir())
        status, body = (b"200", (self._root / name).read_bytes()) if found else (b"404", b"no such file\n")
        length = str(len(body)).encode()
        self._http.send_headers(stream_id, [(b":status", status), (b"content-length", length)])
        self._http.send_data(stream_id, body, end_stream=True)
        self.transmit()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--private-key", required=True)
    arguments = parser.parse_args()

    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(arguments.certificate, arguments.private_key)
    server = await serve(
        "127.0.0.1",
        0,
        configuration=configuration,
        create_protocol=lambda *args, **kwargs: H3Server(*args, root=arguments.root, **kwargs),
    )
    # Where the operating system's choice of port can be read.
    host, port = server._transport.get_extra_info("sockname")
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
