"""Tests of flows: Kestra's unit-test files, run on the real engine with a clock and answers of their own."""
