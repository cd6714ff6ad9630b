"""What a decoder answers when it does not answer with pixels (specification 5.3).

Every check names the clause, the part of the file and an offset in it.
"""


class LiifError(Exception):
    """Base of the tagged errors; `tag` is the name that the vectors expect."""

    tag = "LiifError"


class FormatError(LiifError):
    """The bytes break the specification: `clause` names the rule, such as "1.3"; `part` and `offset` say where (5.3)."""

    tag = "FormatError"

    def __init__(self, clause, part, offset, message):
        super().__init__(f"{part} at byte {offset}: {message} (specification {clause})")
        self.clause = clause
        self.part = part
        self.offset = offset


class UnsupportedError(LiifError):
    """The bytes may be right, but this decoder cannot read them: another version, another model."""

    tag = "UnsupportedError"


class RequestError(LiifError):
    """What was asked for does not exist: an empty region, a level that the file does not have."""

    tag = "RequestError"


def check(condition, clause, part, offset, message):
    """Refuses the bytes unless the condition holds."""
    if not condition:
        raise FormatError(clause, part, offset, message)
