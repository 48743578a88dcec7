"""The key of a row as an address or a form names it, which anybody may have written."""

LONGEST = 18  # digits that a bigint surely holds; int() itself raises for more than 4,300


def key_of(text: str) -> int | None:
    """None for what is no row's key."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST else None


def keys_of(texts: list[str]) -> list[int]:
    """Without what is no row's key."""
    return [key for text in texts if (key := key_of(text)) is not None]
