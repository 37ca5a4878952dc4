#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes disk/**/tree.txt, which the golden disk test compares with, from the tree.json beside it.

    test/golden/tree_txt.py

One line per session and node, sorted by bytes, as test/support/disk_kit.c prints a tree.
"""
import glob
import json
import os

TOP = os.path.dirname(os.path.abspath(__file__))


def node_line(node):
    data = node["data_hex"]
    acl = ",".join(f'{a["perms"]}:{a["scheme"]}:{a["id"]}' for a in node["acl"])
    hexes = [f"{int(node[k], 16):x}" for k in ("czxid", "mzxid")]
    tail = [f"{int(node[k], 16):x}" for k in ("ephemeralOwner_persisted", "pzxid")]
    numbers = [str(node[k]) for k in ("ctime", "mtime", "version", "cversion_persisted", "aversion")]
    text = "null" if data is None else data or "empty"
    return " ".join(["node", node["path"], text, acl] + hexes + numbers + tail)


def main():
    for path in glob.glob(TOP + "/disk/**/tree.json", recursive=True):
        with open(path, encoding="utf-8") as file:
            tree = json.load(file)
        lines = [f'session {int(s["sessionId"], 16):x} {s["timeout"]}' for s in tree["sessions"]]
        lines += [node_line(n) for n in tree["nodes"]]
        lines.sort(key=lambda line: line.encode())
        head = f'zxid {int(tree["lastProcessedZxid"], 16):x} digest {tree["treeDigest"]}'
        with open(path[:-5] + ".txt", "w", encoding="utf-8") as file:
            file.write("\n".join([head] + lines) + "\n")


main()
