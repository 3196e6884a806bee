"""Good tokens that were damaged, cut, lengthened or written otherwise. `test_forged_tokens` comes in."""

import base64
from random import Random

from tests.security.forgeries import LETTERS, claims, good, part, parts, signed, word


def _flipped(random: Random, place: int) -> str:
    pieces = parts(random)
    content = bytearray(base64.urlsafe_b64decode(pieces[place] + "=="))
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    pieces[place] = part(bytes(content))
    return ".".join(pieces)


def bit_of_the_header(random: Random) -> str:
    return _flipped(random, 0)


def bit_of_the_claims(random: Random) -> str:
    return _flipped(random, 1)


def bit_of_the_signature(random: Random) -> str:
    return _flipped(random, 2)


def cut_short(random: Random) -> str:
    token = good(random)
    return token[: random.randrange(1, len(token))]


def more_parts(random: Random) -> str:
    token = good(random)
    return random.choice(
        [f"{token}.", f".{token}", f"{token}.{token}", f"{token}.{part({})}", token.replace(".", "..")]
    )


def written_otherwise(random: Random) -> str:
    """The same bits in letters that the standard does not write: two texts for one token."""
    first, second, last = parts(random)
    spare = LETTERS[LETTERS.index(last[-1]) + random.randrange(1, 16)]
    place = random.randrange(1, len(last))
    stray = random.choice(["=", "==", "!", "~", " ", "\t", "*", "%", "==A"])
    forms = [last[:-1] + spare, last + "=", last + "==", last[:place] + stray + last[place:], last + stray + "A"]
    return f"{first}.{second}.{random.choice(forms)}"


def too_long(random: Random) -> str:
    return signed(claims(jti=word(random, random.randrange(4_096, 9_000))))


def no_token(random: Random) -> str:
    return random.choice(
        [
            ".",
            "..",
            "...",
            word(random),
            f"{word(random)}.{word(random)}.{word(random)}",
            f"{part([])}.{part([])}.{word(random, 86)}",
            f"{part(b'[' * 1_500)}.{part(claims())}.{word(random, 86)}",
            f"{part(b'{"alg":1e999}')}.{part(claims())}.{word(random, 86)}",
            f"{part(b'9' * 2_000)}.{part(claims())}.{word(random, 86)}",
            f"{part(bytes(random.randbytes(40)))}.{part(random.randbytes(90))}.{part(random.randbytes(64))}",
            f"{good(random)}, {good(random)}",
            f"{good(random)} {word(random)}",
            f"{good(random)};{word(random)}",
            "fam_" + word(random) + "." + word(random, 43),
        ]
    )


def beyond_ascii(random: Random) -> str:
    token = good(random)
    place = random.choice([0, len(token), random.randrange(len(token))])
    stray = random.choice(["\u00e9", "\u0085", "\u00a0", "\u00b9", "\u00ad", "\u00ff", "\x7f", "\0", "\x1f"])
    return token[:place] + stray + token[place + random.randrange(2) :]
