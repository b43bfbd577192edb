"""Sources of candidates for an unknown shortcut: one file each."""

from explaindebug.audit.candidates.base import SOURCES, Candidate, Evidence

__all__ = ["SOURCES", "Candidate", "Evidence"]
