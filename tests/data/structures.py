"""Writes structures.txt: the entities that Python's email module sees in each message here, as `file depth type`."""

import email
import pathlib

here = pathlib.Path(__file__).parent
lines = []


def walk(file, part, depth):
    lines.append(f"{file} {depth} {part.get_content_type()}")
    if part.is_multipart():
        for child in part.get_payload():
            walk(file, child, depth + 1)


for path in sorted(here.glob("*.eml")):
    walk(path.name, email.message_from_bytes(path.read_bytes()), 0)
(here / "structures.txt").write_text("\n".join(lines) + "\n")
