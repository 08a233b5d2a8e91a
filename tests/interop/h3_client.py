"""Download one file over HTTP/3 with aioquic."""

import argparse
import asyncio
import sys
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, ErrorCode, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamReset


class H3Client(QuicConnectionProtocol):
    """One request; `done` is set to an error, or to None at the end of the response."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self.status = ""
        self.content_length: int | None = None
        self.body = bytearray()
        self.done: asyncio.Future[str | None] = self._loop.create_future()

    def request(self, authority: str, path: str) -> None:
        stream_id = self._quic.get_next_available_stream_id()
        headers = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", path)]
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        self._http.send_headers(stream_id, encoded, end_stream=True)
        self.transmit()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, (ConnectionTerminated, StreamReset)):
            self._end(str(event))
        for http_event in self._http.handle_event(event):
            self._http_event_received(http_event)

    def _http_event_received(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            headers = {name.decode(): value.decode() for name, value in event.headers}
            self.status = headers[":status"]
            self.content_length = int(headers["content-length"]) if "content-length" in headers else None
        elif isinstance(event, DataReceived):
            self.body += event.data
        else:
            return
        if event.stream_ended:
            self._end(None)

    def _end(self, error: str | None) -> None:
        if not self.done.done():
            self.done.set_result(error)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, max_data=8 << 20, max_stream_data=4 << 20)
    configuration.load_verify_locations(arguments.ca)
    async with connect(
        arguments.host, arguments.port, configuration=configuration, create_protocol=H3Client
    ) as client:
        client.request(f"{arguments.host}:{arguments.port}", arguments.path)
        error = await client.done
        if error is not None:
            sys.exit(f"the response was lost after {len(client.body)} bytes: {error}")
        client.close(error_code=ErrorCode.H3_NO_ERROR)
    if client.status != "200" or client.content_length != len(client.body):
        sys.exit(f"status {client.status}, {len(client.body)} of {client.content_length} bytes")
    arguments.output.write_bytes(client.body)
    print(f"received {len(client.body)} bytes", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
