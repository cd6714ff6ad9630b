"""Edits that make one model file of another (specification 5.2)."""

import difflib
import re
import struct


def edits_between(old, new):
    """Edits that turn `old` into `new`. They need not be the shortest."""
    edits = []
    n = struct.unpack_from("<Q", old)[0]
    m = struct.unpack_from("<Q", new.ljust(8, b"\0"))[0]
    if len(new) < 8 or 8 + m > len(new):
        return [_edit(0, old, new)] if len(new) < 8 else [_edit(0, old[:8], new[:8])] + _tail(8, old[8:], new[8:])
    if old[:8] != new[:8]:
        edits.append(_edit(0, old[:8], new[:8]))
    a, b = (re.findall(rb"[^,{}]*[,{}]?", data) for data in (old[8 : 8 + n], new[8 : 8 + m]))
    # difflib is slow, so only what lies between the first and the last difference is given to it.
    first, last = _common(a, b), _common(a[::-1], b[::-1])
    last = min(last, len(a) - first, len(b) - first)
    a_middle, b_middle = a[first : len(a) - last], b[first : len(b) - last]
    offset = 8 + len(b"".join(a[:first]))
    for kind, i, j, k, l in difflib.SequenceMatcher(None, a_middle, b_middle, autojunk=False).get_opcodes():
        old_text, new_text = b"".join(a_middle[i:j]), b"".join(b_middle[k:l])
        if kind != "equal":
            edits.append(_edit(offset, old_text, new_text))
        offset += len(old_text)
    return edits + _tail(8 + n, old[8 + n :], new[8 + m :])


def _edit(offset, old, new):
    if len(new) >= 1024 and len(set(new)) == 1:
        return {"offset": offset, "remove": len(old), "insert": new[:1].hex(), "times": len(new)}
    return {"offset": offset, "remove": len(old), "insert": new.hex()}


def _tail(offset, old, new):
    """One edit between the bytes that both begin with and those that both end with."""
    if old == new:
        return []
    start, end = _common(old, new), _common(old[::-1], new[::-1])
    end = min(end, len(old) - start, len(new) - start)
    return [_edit(offset + start, old[start : len(old) - end], new[start : len(new) - end])]


def _common(a, b):
    """How many items both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
