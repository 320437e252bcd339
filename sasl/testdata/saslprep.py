"""Writes saslprep.txt: SASLprep (RFC 4013) of code points as another implementation has it.

For a number of blocks of 4096 code points, chosen so that each kind of character is in one, it holds the SHA-256 of the
lines "code point in hex, blank, result in hex of UTF-8"; the result is "refused" where it is prohibited or empty.
Unassigned code points are allowed and stay. Tables and normalisation are Python's own, of Unicode 3.2. With
range(0, 0x110) for BLOCKS it is all of Unicode, for which the test holds as well.
"""

import hashlib
import stringprep
import unicodedata

BLOCKS = [*range(0, 5), 0x9, 0xA, *range(0xD, 0x11), 0x1D, 0x1F, 0x20, 0x2A, 0x2F, 0x50, 0xE0, 0xF0, 0x10F]


def prepare(s):
    out = []
    for c in s:
        if stringprep.in_table_c12(c):
            out.append(" ")
        elif not stringprep.in_table_b1(c):
            out.append(c)
    s = unicodedata.ucd_3_2_0.normalize("NFKC", "".join(out))
    prohibited = (
        stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8, stringprep.in_table_c9,
    )
    if any(test(c) for c in s for test in prohibited):
        return None
    if any(map(stringprep.in_table_d1, s)):
        if any(map(stringprep.in_table_d2, s)):
            return None
        if not (stringprep.in_table_d1(s[0]) and stringprep.in_table_d1(s[-1])):
            return None
    return s or None


with open("saslprep.txt", "w") as f:
    for block in BLOCKS:
        block <<= 12
        h = hashlib.sha256()
        for c in range(block, block + 0x1000):
            if 0xD800 <= c < 0xE000:
                continue
            r = prepare(chr(c))
            h.update(f"{c:x} {r.encode().hex() if r is not None else 'refused'}\n".encode())
        f.write(f"{block:06x} {h.hexdigest()}\n")
