"""Reads XML documents as the servers do, with expat, for TestExpat and FuzzExpat.

Input and output are records: four bytes of length, then the data. An answer begins with "+" and the tree in the form
that func dump in oracle_test.go writes, or with "-" and expat's error, or with "!" where the XML is well-formed but
restricted by RFC 6120 section 11.1.
"""
import struct
import sys
import xml.parsers.expat


class Restricted(Exception):
    pass


def split(name):
    space, _, local = name.rpartition("\x01")
    return space, local


def read(document):
    out = []
    text = []

    def flush():
        if text:
            out.append('"' + "".join(text) + "\x1d")
            text.clear()

    def start(name, attrs):
        flush()
        out.append("(" + "\x1f".join(split(name)))
        for (space, local), value in sorted((split(n), v) for n, v in attrs.items()):
            out.append("\x1e" + space + "\x1f" + local + "\x1f" + value)
        out.append("\x1d")

    def end(name):
        flush()
        out.append(")")

    def restricted(*args):
        raise Restricted()

    parser = xml.parsers.expat.ParserCreate("UTF-8", "\x01")
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.CommentHandler = restricted
    parser.ProcessingInstructionHandler = restricted
    parser.StartDoctypeDeclHandler = restricted
    try:
        parser.Parse(document, True)
    except Restricted:
        return "!"
    except xml.parsers.expat.ExpatError as error:
        return "-" + str(error)
    return "+" + "".join(out)


while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        break
    answer = read(sys.stdin.buffer.read(struct.unpack(">I", head)[0])).encode("utf-8", "surrogatepass")
    sys.stdout.buffer.write(struct.pack(">I", len(answer)) + answer)
    sys.stdout.buffer.flush()
