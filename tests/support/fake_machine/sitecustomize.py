"""Python runs this before anything else in every process of a server under test."""

from tests.support.machine import join_machine

join_machine()
