"""What a decoder answers when it does not answer with pixels (specification 5.3)."""


class LiifError(Exception):
    """Base of the tagged errors; `tag` is the name that the vectors expect."""

    tag = "LiifError"


class FormatError(LiifError):
    """The bytes break the specification. `section` names the rule, such as "1.3"."""

    tag = "FormatError"

    def __init__(self, section, message):
        super().__init__(f"{message} (specification {section})")
        self.section = section


class UnsupportedError(LiifError):
    """The bytes may be right, but this decoder cannot read them: another version, another model."""

    tag = "UnsupportedError"


class RequestError(LiifError):
    """What was asked for does not exist: an empty region, a level that the file does not have."""

    tag = "RequestError"


def check(condition, section, message):
    """Refuses the bytes unless the condition holds."""
    if not condition:
        raise FormatError(section, message)
