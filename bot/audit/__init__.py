"""Audit: the record of deeds, what goes into it and how people read it."""
