"""Writes demo/decoder/tokenizer.model from the tokenizer of stories260K in the format of llama2.c.

    python scripts/demo_decoder.py tok512.bin

A file of llama2.c has the length of the longest piece, then for each piece its score, its length and its bytes. The
file that is written is a SentencePiece model (ModelProto) with the same pieces and scores. Needs Python alone.
"""

import struct
import sys
from pathlib import Path

UNKNOWN, CONTROL, BYTE, NORMAL = 2, 3, 6, 1


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(int(value))


def pieces(raw):
    at = 4
    while at < len(raw):
        score, n = struct.unpack_from("<fi", raw, at)
        yield raw[at + 8: at + 8 + n].decode(), score
        at += 8 + n


def main():
    model = b""
    for i, (text, score) in enumerate(pieces(Path(sys.argv[1]).read_bytes())):
        text = {0: "<unk>", 1: "<s>", 2: "</s>"}.get(i, text)
        kind = {0: UNKNOWN, 1: CONTROL, 2: CONTROL}.get(i, NORMAL)
        if i > 2 and len(text) == 6 and text.startswith("<0x"):
            kind = BYTE
        piece = field(1, text.replace(" ", "\u2581").encode()) + field(2, float(score)) + field(3, kind)
        model += field(1, piece)
    trainer = field(3, 2) + field(4, i + 1) + field(35, True) + field(40, 0) + field(41, 1) + field(42, 2)
    normalizer = field(1, b"identity") + field(3, True) + field(4, False) + field(5, True)
    out = Path(__file__).parent.parent / "demo" / "decoder" / "tokenizer.model"
    out.write_bytes(model + field(2, trainer) + field(3, normalizer))


if __name__ == "__main__":
    main()
