"""Maps as pictures: colours, strips and contact sheets."""
