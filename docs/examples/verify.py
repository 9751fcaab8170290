#!/usr/bin/env python3
"""Verify what a Tunic ledger serves, trusting the network file alone.

    verify.py NETWORK proof FILE NODE        is NODE listed?
    verify.py NETWORK directory FILE         is FILE the list of its epoch?
    verify.py NETWORK delta FILE DIRECTORY   what does FILE make of DIRECTORY?

FILE holds the answer of GET /v1/directory/{node}/proof, /v1/directory or
/v1/directory/delta, for example of

    curl -H 'Accept: application/octet-stream' URL/v1/directory/NODE/proof -o FILE

Prints what holds and ends with 0, or says why nothing does and ends with 3. How
old that is says the epoch: (now - genesis_time_ms) // epoch_length_ms is today's.

Written from docs/spec (directory.md, light.md, chain.md, genesis.md,
encoding.md) with Python's standard library and nothing of Tunic's. Ed25519 is
that of RFC 8032, slow and only for verifying: it guards no secret.
"""
import hashlib
import json
import struct
import sys


class Invalid(Exception):
    """Checked, and the answer is no."""


def need(holds, why):
    if not holds:
        raise Invalid(why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# Encoding (encoding.md): big-endian integers, no padding, every bound checked.


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(n <= len(self.data) - self.at, "the input ends inside a value")
        self.at += n
        return self.data[self.at - n : self.at]

    def uint(self, size):
        return int.from_bytes(self.take(size), "big")

    def bounded(self, most):
        n = self.uint(4)
        need(n <= most, "a length or count is over its bound")
        return n

    def text(self, most):
        b = self.take(self.bounded(most))
        try:
            b.decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid("a text is not UTF-8")
        return b

    def rest(self):
        return self.take(len(self.data) - self.at)

    def done(self):
        need(self.at == len(self.data), "bytes follow")


# Trees (encoding.md, RFC 6962).


def leaf(data):
    return sha256(b"\x00", data)


def root_of(leaves):
    if not leaves:
        return sha256()
    while len(leaves) > 1:
        pairs = [sha256(b"\x01", a, b) for a, b in zip(leaves[::2], leaves[1::2])]
        leaves = pairs + leaves[len(leaves) & ~1 :]  # a last one without sibling is carried up
    return leaves[0]


def root_from(hash_, index, count, path):
    need(index < count, "an index is not below its count")
    path, last = list(path), count - 1
    while last > 0:
        if index % 2 or index != last:
            need(path, "a path is too short")
            sibling = path.pop(0)
            hash_ = sha256(b"\x01", sibling, hash_) if index % 2 else sha256(b"\x01", hash_, sibling)
        index, last = index // 2, last // 2
    need(not path, "a path is too long")
    return hash_


# Entries, lists, deltas, memberships (directory.md).

MAX_ENTRIES = 1 << 20


def strings(r):
    return [r.text(64) for _ in range(r.bounded(4))]


def nodes(r):
    return [r.take(32) for _ in range(r.bounded(16))]


def performance(r):
    v = r.uint(2)
    need(v <= 1000, "a performance is above 1000")
    return v


def onion(r):
    return (r.uint(8), r.take(32))


FIELDS = [  # of an entry after its node id and version, each with its bit in a delta
    (0, "vrf_key", lambda r: r.take(32)),
    (1, "operator", lambda r: r.take(20)),
    (2, "endpoints", strings),
    (3, "family", nodes),
    (4, "swarm", lambda r: r.uint(8)),
    (5, "previous_swarm", lambda r: r.uint(8)),
    (6, "version", lambda r: r.text(32)),
    (7, "stake", lambda r: r.uint(8)),
    (9, "onion", onion),
    (10, "onion_next", onion),
    (11, "performance", performance),
]
SHIFT = 8  # the bit that makes the next onion key the present one


def byte_string(b):
    return struct.pack(">I", len(b)) + b


def encode_entry(e):
    return b"".join([
        e["node"], b"\x01", e["vrf_key"], e["operator"],
        struct.pack(">I", len(e["endpoints"])), *map(byte_string, e["endpoints"]),
        struct.pack(">I", len(e["family"])), *e["family"],
        struct.pack(">QQ", e["swarm"], e["previous_swarm"]), byte_string(e["version"]), struct.pack(">Q", e["stake"]),
        struct.pack(">Q", e["onion"][0]), e["onion"][1], struct.pack(">Q", e["onion_next"][0]), e["onion_next"][1],
        struct.pack(">H", e["performance"]),
    ])


def read_entry(r):
    e = {"node": r.take(32)}
    need(r.uint(1) == 1, "an entry of another version")
    for _, name, read in FIELDS:
        e[name] = read(r)
    return e


def ascending(keys):
    return all(a < b for a, b in zip(keys, keys[1:]))


def read_list(b):
    """The epoch and the entries of a list."""
    r = Reader(b)
    need(r.uint(1) == 1, "a list of another version")
    epoch, count = r.uint(8), r.bounded(MAX_ENTRIES)
    entries = [read_entry(r) for _ in range(count)]
    r.done()
    need(ascending([e["node"] for e in entries]), "the entries do not ascend")
    return epoch, entries


def list_root(entries):
    return root_of([leaf(encode_entry(e)) for e in entries])


def check_list(epoch, entries, header):
    need(epoch == header["directory_epoch"], "the list is of another epoch than the header")
    need(len(entries) == header["directory_count"] and list_root(entries) == header["directory_root"], "the list is not the header's")


def check_membership(b, node, root, count):
    """The entry of node in the list with this root and count, or None where it is shown to be absent."""
    r = Reader(b)
    need(r.take(32) == node, "the proof is of another node")
    found = []
    for _ in range(r.bounded(2)):
        e = read_entry(r)
        index, of = r.uint(4), r.uint(4)
        path = [r.take(32) for _ in range(r.bounded(32))]
        found.append((index, of, e, path))
    r.done()
    for index, of, e, path in found:
        need(of == count and root_from(leaf(encode_entry(e)), index, of, path) == root, "an entry does not lead to the root")
    if len(found) == 1 and found[0][2]["node"] == node:
        return found[0][2]
    if not found:
        need(count == 0 and root == sha256(), "nothing shows absence in an empty list alone")
    elif len(found) == 1:
        index, _, e, _ = found[0]
        need(node < e["node"] and index == 0 or node > e["node"] and index == count - 1, "one neighbour shows absence at an edge alone")
    else:
        (i, _, a, _), (j, _, b_, _) = found
        need(a["node"] < node < b_["node"] and i + 1 == j, "these are not its neighbours")
    return None


def apply_delta(b, epoch, entries):
    """The epoch and entries of the second list, from those of the first."""
    r = Reader(b)
    need(r.uint(1) == 1, "a delta of another version")
    since, to, base, count = r.uint(8), r.uint(8), r.take(32), r.bounded(MAX_ENTRIES)
    need(since == epoch and base == list_root(entries), "the delta was made from another list")
    removed = [r.uint(4) for _ in range(r.bounded(MAX_ENTRIES))]
    changed = []
    for _ in range(r.bounded(MAX_ENTRIES)):
        index, bits = r.uint(4), r.uint(2)
        need(0 < bits < 1 << 12 and bits & 0x300 != 0x300, "a change of unknown fields")
        changed.append((index, bits, {name: read(r) for bit, name, read in FIELDS if bits >> bit & 1}))
    added = [read_entry(r) for _ in range(r.bounded(MAX_ENTRIES))]
    r.done()
    places = [index for index, _, _ in changed]
    need(ascending(removed) and ascending(places) and not set(removed) & set(places), "removals and changes overlap, or do not ascend")
    need(all(i < len(entries) for i in removed + places), "an index is out of the list")
    need(ascending([e["node"] for e in added]) and not {e["node"] for e in added} & {e["node"] for e in entries}, "an added node was there")
    out = [dict(e) for e in entries]
    for index, bits, new in changed:
        e, old = out[index], entries[index]
        if bits >> SHIFT & 1:
            e["onion"] = old["onion_next"]
        e.update(new)
        same = [bit for bit, name, _ in FIELDS if bits >> bit & 1 and e[name] == old[name]]
        wasteful = bits >> 9 & 1 and e["onion"] == old["onion_next"]
        idle = bits >> SHIFT & 1 and e["onion"] == old["onion"]
        need(not same and not wasteful and not idle, "a change carries what it need not")
    gone = set(removed)
    out = sorted([e for i, e in enumerate(out) if i not in gone] + added, key=lambda e: e["node"])
    need(len(out) == count, "the delta leads to another number of entries")
    return to, out


# Ed25519 (RFC 8032, section 5.1).

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def x_of(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P or x == 0 and sign:
        return None
    return P - x if x & 1 != sign else x


def point(b):
    """Extended coordinates (X, Y, Z, T) of a point's 32 bytes, None where they are none."""
    n = int.from_bytes(b, "little")
    y = n & ((1 << 255) - 1)
    x = x_of(y, n >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def mul(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, p)
        p, n = add(p, p), n >> 1
    return q


def equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER or equal(mul(8, a), (0, 1, 1, 0)):  # no key of small order
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return equal(mul(s, BASE), add(r, mul(k, a)))


# The network file (genesis.md, parameters.md).

PARAMS = """staking_requirement 8|max_contributors 2|operator_minimum_bps 2|min_fee 8|block_reward 8|block_interval_ms 8
epoch_length_ms 8|heartbeat_every_ms 8|heartbeat_valid_ms 8|unlock_delay_ms 8|deregister_lock_ms 8|credit_start_ms 8
credit_per_day_ms 8|credit_most_ms 8|credit_least_ms 8|receipt_horizon_ms 8|challenge_window_ms 8|evidence_age_ms 8
correlation_window_ms 8|quorum_size 2|quorum_votes 2|swarm_target 2|swarm_least 2|onion_key_epochs 2|mixing_mean_ms 8
cover 1|subnets 1|geometry 1|mailbox_ttl_ms 8|mailbox_most_ms 8|mailbox_quota 4|slash_double_descriptor_bps 2
slash_double_seal_bps 2|slash_double_vote_bps 2|slash_lost_message_bps 2|slash_key_disclosure_bps 2
slash_unauthorised_bps 2|reporter_share_bps 2|versions 0|probes_per_relay 2|probe_depth 1|score_window 2|score_forgiven 2
score_least_permille 2|version_grace_ms 8|params_delay_epochs 2"""


def genesis_hash(net):
    def integer(v, size):
        return int(v).to_bytes(size, "big")

    def text(s):
        return byte_string(s.encode())

    core = [b"\x02", integer(net["chain_id"], 8), text(net["profile"]), integer(net["dev"], 1), text(net["clock"]), text(net["engine"]),
            integer(net["genesis_time_ms"], 8), bytes.fromhex(net["nonce"])]
    for name in ("sealers", "council"):
        keys = net[name] or []
        core += [integer(len(keys), 4), *(bytes.fromhex(k.removeprefix("0x")) for k in keys)]
    core += [integer(net["council_min"], 2), integer(net["reward_pool"], 8)]
    for field in PARAMS.replace("\n", "|").split("|"):
        name, size = field.split()
        value = net["params"][name]
        if name == "versions":
            core += [integer(len(value or []), 4), *map(text, value or [])]
        else:
            core.append(integer(value, int(size)))
    return sha256(b"tunic genesis", *core, bytes.fromhex(net["allocations_root"]))


def read_network(b):
    net = json.loads(b)
    need(genesis_hash(net).hex() == net["genesis_hash"], "the network file hashes to another genesis hash than it names: it was changed")
    need(net["engine"] == "sealer", "headers of this engine are not sealed by the keys in genesis")
    return net


# Headers (chain.md, statements.md, light.md).


def read_header(b):
    r = Reader(b)
    need(r.uint(1) == 1, "a header of another version")
    h = {"genesis": r.take(32), "fork": r.uint(4), "height": r.uint(8), "time_ms": r.uint(8)}
    r.take(32 + 32 + 4 + 32 + 32)  # parent, transactions, results, state
    h["directory_root"], h["directory_count"], h["directory_epoch"] = r.take(32), r.uint(4), r.uint(8)
    h["removals"] = [r.take(32) for _ in range(r.bounded(1024))]
    need(ascending(h["removals"]), "the removals do not ascend")
    r.take(32)  # beacon
    h["proposer"], h["hash"] = r.take(32), sha256(r.data[: r.at])
    h["seal"] = r.take(64)
    r.done()
    return h


def check_header(h, net):
    need(h["genesis"].hex() == net["genesis_hash"], "the header is of another network")
    need(h["proposer"].hex() in net["sealers"], "the proposer is no sealer of this network")
    need(h["fork"] == 0 or net["dev"], "a fork, and only dev networks have any")
    since, length = h["time_ms"] - net["genesis_time_ms"], net["params"]["epoch_length_ms"]
    need(h["height"] > 0 and since >= 0 and h["directory_epoch"] == since // length, "the header contradicts itself")
    known = net.get("checkpoint")
    need(not known or h["height"] != known["height"] or h["hash"].hex() == known["hash"], "the header contradicts the checkpoint")
    message = byte_string(b"tunic header seal") + b"\x01" + h["genesis"] + struct.pack(">I", h["fork"]) + h["hash"]
    need(signed(h["proposer"], message, h["seal"]), "the seal is not the proposer's")


def split(served):
    """The header in front of what is served with it, unverified, and the rest."""
    r = Reader(served)
    return read_header(r.take(r.bounded(1 << 16))), r.rest()


# What is served.


def verify_proof(net, served, node):
    h, body = split(served)
    check_header(h, net)
    entry = check_membership(body, node, h["directory_root"], h["directory_count"])
    return {"epoch": h["directory_epoch"], "in_list": entry is not None, "removed": entry is not None and node in h["removals"], "entry": entry}


def verify_directory(net, served):
    h, body = split(served)
    check_header(h, net)
    epoch, entries = read_list(body)
    check_list(epoch, entries, h)
    return {"epoch": epoch, "entries": entries, "removals": h["removals"]}


def verify_delta(net, served, first):
    before = verify_directory(net, first)
    h, body = split(served)
    check_header(h, net)
    epoch, entries = apply_delta(body, before["epoch"], before["entries"])
    check_list(epoch, entries, h)
    return {"epoch": epoch, "entries": entries, "removals": h["removals"]}


def main(args):
    def content(name):
        with open(name, "rb") as f:
            return f.read()

    kind = args[1] if len(args) > 1 else ""
    if (kind, len(args)) not in (("proof", 4), ("directory", 3), ("delta", 4)):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        net, served = read_network(content(args[0])), content(args[2])
        if kind == "proof":
            v = verify_proof(net, served, bytes.fromhex(args[3]))
            print(args[3], "listed:", "true" if v["in_list"] and not v["removed"] else "false", "epoch:", v["epoch"])
            return 0
        v = verify_directory(net, served) if kind == "directory" else verify_delta(net, served, content(args[3]))
        print("epoch:", v["epoch"], "relays:", len(v["entries"]), "removed since:", len(v["removals"]))
        return 0
    except Invalid as why:
        print("does not verify:", why, file=sys.stderr)
        return 3
    except (OSError, ValueError, KeyError, TypeError) as why:  # no file, no JSON, no hex, no network file
        print("unusable:", why, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
