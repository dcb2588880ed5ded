"""The real process under the worst that happens to it: killed, out of disk, locked out, with clocks that jump."""
