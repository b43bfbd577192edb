"""From maps to numbers, and from numbers to a verdict; nothing is drawn here."""
