"""Echo streams and datagrams with aioquic, and tell as lines of JSON what each connection came to.

Prints `listening on IP:PORT` once it is ready.
"""

import argparse
import asyncio
import json

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    DatagramFrameReceived,
    HandshakeCompleted,
    QuicEvent,
    StreamDataReceived,
)


def report(**fields) -> None:
    print(json.dumps(fields), flush=True)


class EchoServer(QuicConnectionProtocol):
    """One connection: what comes on a stream goes back when it has ended, as each datagram does."""

    def __init__(self, *args, update_key: bool, **kwargs):
        super().__init__(*args, **kwargs)
        self._update_key = update_key
        self._streams: dict[int, bytes] = {}

    def datagram_received(self, data: bytes, addr) -> None:
        known = len(self._quic._network_paths)
        super().datagram_received(data, addr)
        path = self._quic._network_paths[0] if self._quic._network_paths else None
        if path is not None and known and (path.addr, path.is_validated) != getattr(self, "_path", None):
            self._path = (path.addr, path.is_validated)
            report(event="path", port=path.addr[1], validated=path.is_validated)

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            report(
                event="handshake",
                version=f"{self._quic._version:#010x}",
                early_data_accepted=event.early_data_accepted,
                resumed=event.session_resumed,
            )
        elif isinstance(event, StreamDataReceived):
            data = self._streams.get(event.stream_id, b"") + event.data
            self._streams[event.stream_id] = data
            if event.end_stream:
                report(event="stream", length=len(data))
                if self._update_key:
                    self._update_key = False
                    self._quic.request_key_update()
                self._quic.send_stream_data(event.stream_id, data, end_stream=True)
        elif isinstance(event, DatagramFrameReceived):
            report(event="datagram", length=len(event.data))
            self._quic.send_datagram_frame(event.data)
        elif isinstance(event, ConnectionTerminated):
            report(event="terminated", code=event.error_code, reason=event.reason_phrase)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--private-key", required=True)
    parser.add_argument("--retry", action="store_true", help="have every client prove its address")
    parser.add_argument("--early-data", action="store_true", help="keep sessions, and take early data")
    parser.add_argument("--update-key", action="store_true", help="update the keys at the first stream")
    arguments = parser.parse_args()

    configuration = QuicConfiguration(is_client=False, alpn_protocols=["test"], max_datagram_frame_size=1200)
    configuration.load_cert_chain(arguments.certificate, arguments.private_key)
    sessions = {}
    handlers = {}
    if arguments.early_data:
        handlers = {
            "session_ticket_fetcher": lambda label: sessions.pop(label, None),
            "session_ticket_handler": lambda ticket: sessions.update({ticket.ticket: ticket}),
        }
    server = await serve(
        "127.0.0.1",
        0,
        configuration=configuration,
        create_protocol=lambda *args, **kwargs: EchoServer(*args, update_key=arguments.update_key, **kwargs),
        retry=arguments.retry,
        **handlers,
    )
    # Where the operating system's choice of port can be read.
    host, port = server._transport.get_extra_info("sockname")
    print(f"listening on {host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
