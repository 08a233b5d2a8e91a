"""Serve the files of a directory over hq-interop (HTTP/0.9 on QUIC streams) with aioquic.

Prints `listening on IP:PORT` once it is ready, and one line for each connection that ends.
"""

import argparse
import asyncio
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent, StreamDataReceived


class HqServer(QuicConnectionProtocol):
    """One connection: every stream asks `GET /name` and is answered with the file's bytes."""

    def __init__(self, *args, root: Path, **kwargs):
        super().__init__(*args, **kwargs)
        self._root = root
        self._requests: dict[int, bytes] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            print(f"handshake complete alpn={event.alpn_protocol}", flush=True)
        elif isinstance(event, StreamDataReceived):
            request = self._requests.get(event.stream_id, b"") + event.data
            self._requests[event.stream_id] = request
            if event.end_stream:
                self._answer(event.stream_id, request)
        elif isinstance(event, ConnectionTerminated):
            print(f"terminated code={event.error_code} reason={event.reason_phrase!r}", flush=True)

    def _answer(self, stream_id: int, request: bytes) -> None:
        method, _, path = request.decode().strip().partition(" ")
        name = path.removeprefix("/")
        if method == "GET" and name in (entry.name for entry in self._root.iterdir()):
            self._quic.send_stream_data(stream_id, (self._root / name).read_bytes(), end_stream=True)
        else:
            self._quic.reset_stream(stream_id, error_code=1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--private-key", required=True)
    arguments = parser.parse_args()

    configuration = QuicConfiguration(is_client=False, alpn_protocols=["hq-interop"])
    configuration.load_cert_chain(arguments.certificate, arguments.private_key)
    server = await serve(
        "127.0.0.1",
        0,
        configuration=configuration,
        create_protocol=lambda *args, **kwargs: HqServer(*args, root=arguments.root, **kwargs),
    )
    # Where the operating system's choice of port can be read.
    host, port = server._transport.get_extra_info("sockname")
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
