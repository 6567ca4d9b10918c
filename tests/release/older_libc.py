#!/usr/bin/python3
"""Makes an older libc of a libc: older_libc.py LIBRARY FLOOR OUT NAME... The copy OUT of LIBRARY has no public symbol of a version
above GLIBC_FLOOR but for NAMEs, which its own kin need: a release file meets what it would meet on a host of that version, calls
that are not there."""

import struct
import sys


def sections(data, is_64):
    offset, = struct.unpack_from("<Q" if is_64 else "<I", data, 40 if is_64 else 32)
    size, count = struct.unpack_from("<HH", data, 58 if is_64 else 46)
    for at in range(offset, offset + size * count, size):
        if is_64:
            kind, = struct.unpack_from("<I", data, at + 4)
            where, length, link = struct.unpack_from("<QQI", data, at + 24)
        else:
            kind, = struct.unpack_from("<I", data, at + 4)
            where, length, link = struct.unpack_from("<III", data, at + 16)
        yield kind, where, length, link


def text(data, at):
    return data[at:data.index(0, at)].decode()


def number(version):
    return [int(part) for part in version.removeprefix("GLIBC_").split(".")]


def main(library, floor, out, *kept):
    data = bytearray(open(library, "rb").read())
    is_64 = data[4] == 2
    table = list(sections(data, is_64))
    by_kind = {kind: (where, length, link) for kind, where, length, link in table}
    symbols, symbols_length, strings = by_kind[11]  # SHT_DYNSYM
    versions = by_kind[0x6FFFFFFF][0]
    definitions, _, names = by_kind[0x6FFFFFFD]
    string_at, name_at = table[strings][1], table[names][1]
    too_new = {}
    at = definitions
    while True:
        _, _, index, _, _, first, following = struct.unpack_from("<HHHHIII", data, at)
        version = text(data, name_at + struct.unpack_from("<I", data, at + first)[0])
        if version.startswith("GLIBC_") and version[6].isdigit() and number(version) > number(floor):
            too_new[index] = version
        if not following:
            break
        at += following
    size = 24 if is_64 else 16
    hidden = 0
    for i in range(symbols_length // size):
        name, = struct.unpack_from("<I", data, symbols + i * size)
        section, = struct.unpack_from("<H", data, symbols + i * size + (6 if is_64 else 14))
        version, = struct.unpack_from("<H", data, versions + 2 * i)
        if section != 0 and version & 0x7FFF in too_new and text(data, string_at + name) not in kept:
            struct.pack_into("<I", data, symbols + i * size, 0)  # no name: the tables of hashes lead nowhere
            hidden += 1
    open(out, "wb").write(data)
    print(f"{hidden} symbols above {floor} hidden, of {symbols_length // size}")


main(*sys.argv[1:])
