"""What people look at: words, maps, figures, tables in a terminal, and a page."""
