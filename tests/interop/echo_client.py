"""Have streams and datagrams echoed with aioquic, and tell as lines of JSON what the connections came to.

Ends with an error where anything does not come back.
"""

import argparse
import asyncio
import json
import socket
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, DatagramFrameReceived, HandshakeCompleted, QuicEvent
from aioquic.quic.packet import QuicProtocolVersion

DATA = b"what comes back " * 100


def report(**fields) -> None:
    print(json.dumps(fields), flush=True)


class EchoClient(QuicConnectionProtocol):
    """Tells of the handshake, and hands out the datagrams that come back."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.datagrams: asyncio.Queue[bytes] = asyncio.Queue()
        self.terminated: ConnectionTerminated | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            report(
                event="handshake",
                version=f"{self._quic._version:#010x}",
                early_data_accepted=event.early_data_accepted,
                resumed=event.session_resumed,
                retry=self._quic._retry_source_connection_id is not None,
            )
        elif isinstance(event, DatagramFrameReceived):
            self.datagrams.put_nowait(event.data)
        elif isinstance(event, ConnectionTerminated):
            self.terminated = event
        super().quic_event_received(event)

    async def echo(self) -> None:
        reader, writer = await self.create_stream()
        writer.write(DATA)
        writer.write_eof()
        body = await reader.read()
        if body != DATA:
            sys.exit(f"{len(body)} bytes came back of {len(DATA)}: {self.terminated}")
        report(event="echoed", port=self._quic._network_paths[0].addr[1])

    async def rebind(self) -> None:
        """Go on from another port."""
        old = self._transport
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(("::", 0, 0, 0))
        await self._loop.create_datagram_endpoint(lambda: self, sock=sock)
        old.abort()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--version", choices=["1", "2", "1-then-2"], default="1")
    parser.add_argument("--connections", type=int, default=1, help="one after the other, with what the last one gave")
    parser.add_argument("--early-data", action="store_true", help="send the first stream before the handshake")
    parser.add_argument("--update-key", action="store_true")
    parser.add_argument("--datagram", action="store_true")
    parser.add_argument("--migrate", action="store_true", help="another port and another connection ID")
    parser.add_argument("--rebind", action="store_true", help="another port alone, as behind a NAT")
    parser.add_argument("--echoes", type=int, default=1)
    arguments = parser.parse_args()

    first, second = QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2
    versions = {"1": [first], "2": [second], "1-then-2": [second, first]}[arguments.version]
    configuration = QuicConfiguration(
        alpn_protocols=["test"],
        max_datagram_frame_size=1200,
        original_version=first if arguments.version == "1-then-2" else versions[0],
        server_name="localhost",
        supported_versions=versions,
    )
    configuration.load_verify_locations(arguments.ca)

    def keep_session(ticket) -> None:
        configuration.session_ticket = ticket
        report(event="session", max_early_data_size=ticket.max_early_data_size)

    def keep_token(token: bytes) -> None:
        configuration.token = token
        report(event="token", length=len(token))

    for number in range(arguments.connections):
        early = arguments.early_data and number > 0
        async with connect(
            "127.0.0.1",
            arguments.port,
            configuration=configuration,
            create_protocol=EchoClient,
            session_ticket_handler=keep_session,
            token_handler=keep_token,
            wait_connected=not early,
        ) as client:
            for _ in range(arguments.echoes):
                await client.echo()
            if arguments.update_key:
                client.request_key_update()
                await client.echo()
            if arguments.datagram:
                client._quic.send_datagram_frame(DATA[:1000])
                client.transmit()
                if await client.datagrams.get() != DATA[:1000]:
                    sys.exit("another datagram came back")
                report(event="datagram")
            if arguments.migrate or arguments.rebind:
                await client.rebind()
                if arguments.migrate:
                    client.change_connection_id()
                await client.echo()
                await client.echo()


if __name__ == "__main__":
    asyncio.run(main())
