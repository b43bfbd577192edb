"""A bird or a dog in front of any scene."""

from explaindebug.data.synthetic.birds import bird
from explaindebug.data.synthetic.brushes import Rng, framed, mirrored, turned
from explaindebug.data.synthetic.canvas import Floats, coverage
from explaindebug.data.synthetic.coats import Part, dressed
from explaindebug.data.synthetic.dogs import dog
from explaindebug.data.synthetic.scenes import SHIPPED, scenery

ANIMALS = {"bird": bird, "dog": dog}
REACH = (0.6, 0.9)  # side of the animal's box, as a share of the picture's
CONTOUR = 0.02  # width of the line around it, likewise


def animal(rng: Rng, size: int, name: str) -> tuple[Floats, Floats, Floats]:
    """Picture (size, size, 3), coverage (size, size), and the scene alone; all in 0..1."""
    scene = scenery(SHIPPED[rng.integers(len(SHIPPED))], rng, size)
    drawing = ANIMALS[name](rng)
    drawing = mirrored(drawing) if rng.random() < 0.5 else drawing
    drawing = framed(turned(drawing, rng.normal(0, 0.1)), rng, REACH, margin=CONTOUR + 0.03)
    cover = coverage(drawing, size, len(Part), contour=CONTOUR)
    return dressed(rng, cover, scene), 1 - cover[..., 0], scene
