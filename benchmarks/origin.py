"""An HTTP origin for benchmarks: `/photo-7.jpg` is `photo.jpg` of a folder, whatever the number."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

TYPES = {".jpg": "jpeg", ".svg": "svg+xml"}


def answers_of(folder: Path) -> dict[str, bytes]:
    answers = {}
    for path in folder.iterdir():
        body, kind = path.read_bytes(), TYPES.get(path.suffix, path.suffix[1:])
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        answers[path.name] = head.encode() + body
    return answers


async def main(answers: dict[str, bytes], port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                name = head.split()[1].decode().lstrip("/")
                stem, _, rest = name.rpartition("-")
                writer.write(answers[f"{stem}.{rest.rpartition('.')[2]}"])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(answers_of(Path(sys.argv[1])), int(sys.argv[2])))
