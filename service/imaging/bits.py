"""Reads numbers of any number of bits, from the highest bit on."""

from __future__ import annotations

_MOST_ZEROS = 32


class Bits:
    """A place in a string of bits.

    Args:
        data: The bits, eight a byte.
    """

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, n: int) -> int:
        """The next `n` bits as a number.

        Raises:
            ValueError: If there are fewer.
        """
        self._left -= n
        if self._left < 0:
            raise ValueError("a header cut short")
        return self._value >> self._left & (1 << n) - 1

    def flag(self) -> bool:
        """The next bit."""
        return self.take(1) == 1

    def exponential(self) -> int:
        """A number of Golomb's exponential code, as HEVC and AV1 write it.

        Raises:
            ValueError: If it has more than 32 bits.
        """
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > _MOST_ZEROS:
                raise ValueError("a number beyond all measure")
        return (1 << zeros) - 1 + self.take(zeros)
