"""Approvals: who decides a pause, how it is asked, counted, carried through and followed up."""
