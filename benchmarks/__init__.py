"""Measurements of everywire beside its peers; no part of the package, nothing here is imported by it."""
