"""Presentation of results: wording, maps, figures, tables in a terminal, and an HTML page."""
