#!/usr/bin/env python3
"""An agency of the Lotería Nacional, written from docs/protocol.md alone.

    agency.py HOST:PORT NUMBER FILE.csv

FILE.csv has first name, last name, document, birthdate and number in each row. It prints the documents that have won.
"""
import csv, io, socket, struct, sys, time

BATCH, SUCCESS, ERROR, FINISHED, QUERY, WINNERS, RETRY, RESUME, POINT, PART = 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
MAX_PAYLOAD = 8192 - 6  # the whole frame, with length, type and delimiter, has 8192 bytes at most
WINDOW = 16             # batches that may be without an answer
MAX_BATCH = 100         # bets


class Again(Exception):
    """What was sent may be stored or not: connect again, and RESUME tells."""


def string(text):
    return struct.pack(">H", len(data := text.encode())) + data


def strings(data):
    while data:
        text, = struct.unpack_from(f"{int.from_bytes(data[:2], 'big')}s", data, 2)
        yield text.decode(errors="replace")
        data = data[2 + len(text):]


def xxh64(data):
    """XXH64 with seed 0 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md)."""
    p1, p2, p3, p4, p5 = (11400714785074694791, 14029467366897019727, 1609587929392839161,
                          9650029242287828579, 2870177450012600261)
    mask, end, h = 2**64 - 1, len(data) // 32 * 32, p5
    rotl = lambda x, r: (x << r | x >> 64 - r) & mask
    mix = lambda acc, lane: rotl(acc + lane * p2 & mask, 31) * p1 & mask
    if end:
        a, b, c, d = p1 + p2 & mask, p2, 0, -p1 & mask
        for w, x, y, z in struct.iter_unpack("<4Q", data[:end]):
            a, b, c, d = mix(a, w), mix(b, x), mix(c, y), mix(d, z)
        h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18) & mask
        for acc in (a, b, c, d):
            h = ((h ^ mix(0, acc)) * p1 + p4) & mask
    h, rest = h + len(data) & mask, data[end:]
    while len(rest) >= 8:
        h, rest = (rotl(h ^ mix(0, struct.unpack_from("<Q", rest)[0]), 27) * p1 + p4) & mask, rest[8:]
    if len(rest) >= 4:
        h, rest = (rotl(h ^ struct.unpack_from("<I", rest)[0] * p1 & mask, 23) * p2 + p3) & mask, rest[4:]
    for byte in rest:
        h = rotl(h ^ byte * p5 & mask, 11) * p1 & mask
    h = (h ^ h >> 33) * p2 & mask
    h = (h ^ h >> 29) * p3 & mask
    return h ^ h >> 32


class Agency:
    def __init__(self, address, number, path):
        host, port = address.rsplit(":", 1)
        self.address, self.number, self.bets, self.rows = (host.strip("[]"), int(port)), number, [], []
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for fields in filter(None, reader):  # empty lines are no bets
                if len(fields) != 5 or not fields[4].isdecimal() or max(map(len, fields)) > 255:
                    raise ValueError(f"{path}, line {reader.line_num}: not five fields of a bet")
                row = io.StringIO(newline="")
                csv.writer(row).writerow([number, *fields[:4], int(fields[4])])
                self.rows.append(row.getvalue().encode())
                self.bets.append(b"".join(map(string, (number, *fields))))

    def digest(self, count):
        return xxh64(b"".join(self.rows[:count]))

    def connect(self):
        self.socket = socket.create_connection(self.address)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.file = self.socket.makefile("rb")

    def send(self, kind, payload):
        self.socket.sendall(struct.pack(">IB", len(payload), kind) + payload + b"\xff")

    def read(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise Again("the connection has ended")
        return data

    def receive(self, *kinds):
        size, kind = struct.unpack(">IB", self.read(5))
        frame = self.read(size + 1) if size <= MAX_PAYLOAD else b""
        if not frame.endswith(b"\xff"):
            raise ValueError(f"an answer of {size} bytes is too long, or has no delimiter")
        payload = frame[:-1]
        if kind == RETRY:
            raise Again(" ".join(strings(payload)))
        if kind == ERROR:
            document, number, code = strings(payload)
            if code in ("fenced", "gap", "storage"):
                raise Again(code)
            sys.exit(f"agency {self.number}: the central refuses: {code} (document {document!r}, number {number!r})")
        if kind not in kinds:
            sys.exit(f"agency {self.number}: an answer of type {kind}, expected one of {kinds}")
        return kind, payload

    def resume(self):
        """Returns how many bets are stored, which are the first ones of this agency."""
        self.send(RESUME, string(self.number))
        count, digest = struct.unpack(">QQ", self.receive(POINT)[1])
        if count > len(self.bets) or digest != self.digest(count):
            sys.exit(f"agency {self.number}: {count} other bets are stored under this number")
        return count

    def batch(self, position):
        """Returns the payload of a BATCH from a position on, and how many bets it has."""
        size, bets = 4 + 8, []
        for bet in self.bets[position:position + MAX_BATCH]:
            size += 4 + len(bet)
            if size > MAX_PAYLOAD:
                break
            bets.append(struct.pack(">I", len(bet)) + bet)
        return struct.pack(">I", len(bets)) + b"".join(bets) + struct.pack(">Q", position), len(bets)

    def deliver(self):
        position, unanswered = self.resume(), 0
        while position < len(self.bets) or unanswered:
            if position < len(self.bets) and unanswered < WINDOW:
                payload, count = self.batch(position)
                self.send(BATCH, payload)
                position, unanswered = position + count, unanswered + 1
            else:
                self.receive(SUCCESS)
                unanswered -= 1
        self.send(FINISHED, string(self.number) + struct.pack(">QQ", position, self.digest(position)))
        self.receive(SUCCESS)

    def winners(self):
        self.send(QUERY, string(self.number))  # answered when the draw is made
        kind = PART
        while kind == PART:
            kind, payload = self.receive(WINNERS, PART)
            yield from strings(payload[4:])

    def run(self, tries=30):
        for pause in range(tries):
            try:
                self.connect()
                self.deliver()
                return list(self.winners())
            except (OSError, Again) as reason:
                print(f"agency {self.number}: {reason}; again in a moment", file=sys.stderr)
                time.sleep(min(5, 0.1 * 2**pause))
        sys.exit(f"agency {self.number}: gave up after {tries} tries")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        print(*Agency(*sys.argv[1:]).run(), sep="\n")
    except (OSError, ValueError, csv.Error, struct.error, KeyboardInterrupt) as reason:
        sys.exit(f"agency {sys.argv[2]}: {str(reason) or 'interrupted'}")
