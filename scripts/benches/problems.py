"""What a bench can't go on with. Every module here raises it; the command ends with exit code 2."""


class BenchError(Exception):
    """It can't be measured; the message says what is wrong and what to do."""
