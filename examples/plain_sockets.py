"""Byte streams without any object: an echo server and its client, where only the address chooses the transport."""

import asyncio
import tempfile

from everywire.transport import ByteStream, listen, open_stream


async def echo(stream: ByteStream) -> None:
    while data := await stream.read():
        await stream.write(data)


async def main(url: str) -> None:
    async with listen(url, echo) as listener, open_stream(listener.url) as stream:
        await stream.write(b"hello\n")
        answer = await stream.read_until(b"\n")
        print(f"{url.partition(':')[0]}: {answer!r} for uid {stream.peer.uid}, loopback {stream.peer.loopback}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        for address in ("memory:echo", f"local:{directory}/echo", "tcp://127.0.0.1:0"):
            asyncio.run(main(address))
