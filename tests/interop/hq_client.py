"""Download one file over hq-interop (HTTP/0.9 on QUIC streams) with aioquic."""

import argparse
import asyncio
import sys
from pathlib import Path

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent


class HqClient(QuicConnectionProtocol):
    """Remembers how the connection ended: a stream of a lost connection ends like a complete one."""

    terminated: ConnectionTerminated | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            self.terminated = event
        super().quic_event_received(event)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()

    configuration = QuicConfiguration(
        alpn_protocols=["hq-interop"],
        max_data=8 << 20,
        max_stream_data=4 << 20,
    )
    configuration.load_verify_locations(arguments.ca)
    async with connect(
        arguments.host, arguments.port, configuration=configuration, create_protocol=HqClient
    ) as client:
        reader, writer = await client.create_stream()
        writer.write(f"GET {arguments.path}\r\n".encode())
        writer.write_eof()
        body = await reader.read()
        if client.terminated is not None:
            sys.exit(f"the connection was lost after {len(body)} bytes: {client.terminated}")
    arguments.output.write_bytes(body)
    print(f"received {len(body)} bytes", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
