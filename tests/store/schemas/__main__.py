"""Run as a program."""

from tests.store.schemas import main

main()
