"""Tables of classes and groups in the layouts of known data sets, and what can be wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from explaindebug.core.errors import ConfigError, DataError, DataWarning
from explaindebug.datamodules import Groups

SPLITS = ("train", "val", "test")


def tree(root: Path, header: str, line: str, *, folder: str = "", ending: str = ".png") -> Path:
    """A table of 48 pictures, two of each class and group in each of six parts; train has four."""
    rng, lines = np.random.default_rng(0), [header]
    (root / folder).mkdir(parents=True, exist_ok=True)
    for i in range(48):
        split = (0, 0, 0, 0, 1, 2)[i // 8]
        own = {"name": f"{i:03d}{ending}", "n": f"{i:03d}", "sy": 2 * (i % 2) - 1}
        names = {"i": i, "y": i % 2, "g": i // 2 % 2, "split": split, "word": SPLITS[split]}
        lines.append(line.format(**names, **own))
        pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / folder / f"{i:03d}{ending or '.jpg'}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def waterbirds(root: Path) -> Path:
    return tree(
        root,
        "img_id,img_filename,y,split,place,place_filename",
        "{i},{name},{y},{split},{g},/o/ocean.jpg",
    )


def counts(module: Groups) -> list[list[list[int]]]:
    """Pictures by split, class and group."""
    return [
        [[int(((s.labels == c) & (s.groups == g)).sum()) for g in (0, 1)] for c in (0, 1)]
        for s in module.clean
    ]


EVEN = [[[8, 8], [8, 8]], [[2, 2], [2, 2]], [[2, 2], [2, 2]]]


def test_waterbirds_has_its_names(tmp_path: Path) -> None:
    module = Groups(root=waterbirds(tmp_path), size=8)
    assert module.classes == ("landbird", "waterbird")
    assert module.clean.test.group_names == ("land", "water")
    assert counts(module) == EVEN
    assert module.clean.train.masks is None
    first = np.asarray(Image.open(tmp_path / "003.png").resize((8, 8), Image.Resampling.BICUBIC))
    row = module.clean.train.pixels[3]  # rows keep the table's order
    assert np.array_equal(row, first)
    assert (module.clean.train.labels[3], module.clean.train.groups[3]) == (1, 1)


@pytest.mark.parametrize(
    ("header", "line", "options"),
    [
        ("filename,y,a,split", "{name},{y},{g},{split}", {}),  # SubpopBench
        ("split,filename,y,location_remapped", "{word},{name},{y},{g}",
         {"columns": {"group": "location_remapped"}}),  # WILDS
        ("image_name;target;patches;set", "{n};{y};{g};{word}", {"ending": ""}),  # ISIC
        ("file\tlabel\tgroup\tsplit", "{name}\tl{y}\tg{g}\tva{split}",
         {"splits": {"train": ["va0"], "val": "va1", "test": ["va2"]}}),
    ],
)  # fmt: skip
def test_other_layouts_are_read(tmp_path: Path, header, line, options) -> None:
    ending = options.pop("ending", ".png")
    root = tree(tmp_path, header, line, folder="images", ending=ending)
    assert counts(Groups(root=root, size=8, **options)) == EVEN


@pytest.mark.parametrize("kind", ["csv", "txt"])
def test_celeba_s_two_files_are_joined(tmp_path: Path, kind: str) -> None:
    root = tree(tmp_path, "image_id,Blond_Hair,Male", "{name},{sy},{g}", folder="img_align_celeba")
    lines = (root / "metadata.csv").read_text().replace(",0\n", ",-1\n").splitlines()
    parts = [f"{i:03d}.png,{(0, 0, 0, 0, 1, 2)[i // 8]}" for i in range(48)]
    (root / "metadata.csv").unlink()
    if kind == "csv":
        parts = ["image_id,partition", *reversed(parts)]
        lines[0] = "image_id,Blond_Hair,Male"
    else:
        parts = [part.replace(",", " ") for part in parts]
        lines = ["48", "Blond_Hair Male", *(one.replace(",", "  ") for one in lines[1:])]
    (root / f"list_attr_celeba.{kind}").write_text("\n".join(lines))
    (root / f"list_eval_partition.{kind}").write_text("\n".join(parts))
    module = Groups(root=root, size=8)
    assert module.classes == ("not Blond_Hair", "Blond_Hair")
    assert module.clean.train.group_names == ("not Male", "Male")
    assert counts(module) == EVEN


def test_masks_and_names_are_taken(tmp_path: Path) -> None:
    root = tree(tmp_path, "file,y,group,split,mask", "{name},{y},{g},{split},m/{n}.png")
    (root / "m").mkdir()
    mask = np.zeros((12, 12), bool)
    mask[:, :6] = True
    for i in range(48):
        Image.fromarray(mask).save(root / "m" / f"{i:03d}.png")
    module = Groups(root=root, size=8, classes=["cat", "dog"], groups={1: "in", 0: "out"})
    assert module.clean.val.masks.mean() == 0.5
    assert (module.classes, module.clean.val.group_names) == (("cat", "dog"), ("out", "in"))
    bare = Groups(root=root, size=8, columns={"mask": None})
    assert bare.clean.val.masks is None
    assert bare.clean.val.classes == ("y 0", "y 1")


def test_without_splits_they_are_drawn_with_groups_in_proportion(tmp_path: Path) -> None:
    root = tree(tmp_path, "file,y,group", "{name},{y},{g}")
    module = Groups(root=root, size=8, train=32, val=8, test=8)
    with pytest.warns(DataWarning, match="no column of splits"):
        assert counts(module) == EVEN


def test_without_validation_pictures_they_come_from_the_training_pictures(tmp_path: Path) -> None:
    root = waterbirds(tmp_path)
    table = root / "metadata.csv"
    splits = {"train": [0, 1], "test": [2]}
    module = Groups(root=root, size=8, splits=splits, val=8)
    with pytest.warns(DataWarning, match="no validation pictures"):
        assert counts(module) == EVEN
    assert table.is_file()


def test_a_limit_keeps_groups_in_proportion(tmp_path: Path) -> None:
    module = Groups(root=waterbirds(tmp_path), size=8, limit=4)
    assert counts(module) == [[[2, 2], [2, 2]]] * 3


def test_groups_go_with_their_pictures(tmp_path: Path) -> None:
    train = Groups(root=waterbirds(tmp_path), size=8).clean.train
    rows = [5, 2, 2]
    assert train.subset(rows).groups.tolist() == train.groups[rows].tolist()


def changed(root: Path, old: str, new: str) -> Path:
    table = root / "metadata.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))
    return root


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "img_filename",
            "photo",
            r"hold each picture's file.*columns={file: NAME}.*photo",
        ),
        (",place,", ",nowhere,", r"known to hold each picture's group.*nowhere"),
        ("003.png,1,0", "003.png,1,7", r"'split' of .* has 7, which is no split"),
        ("/o/ocean.jpg\n", "/o/ocean.jpg,extra\n", r"row 1 of .* has 7 cells"),
        ("place_filename", "split", r"has the column 'split' twice"),
    ],
)
def test_a_table_that_can_not_be_read_is_refused(tmp_path: Path, old, new, said) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        Groups(root=changed(waterbirds(tmp_path), old, new), size=8).check()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("003.png", "300.png", r"1 of 48 files that .* lists are missing: .*300.png"),
        ("003.png", "004.png", r"lists 1 files more than once: 004.png"),
        ("003.png", "../003.png", r"'../003.png' leads out of"),
        ("003.png", "a/../../003.png", r"leads out of"),
        ("003.png", "/etc/passwd", r"'/etc/passwd' leads out of"),
        ("003.png,1", "003.png,", r"1 of 48 rows of .* have no y, the first is row 4"),
    ],
)
def test_files_that_are_not_there_once_below_the_root_are_refused(tmp_path, old, new, said) -> None:
    with pytest.raises(DataError, match=said):
        Groups(root=changed(waterbirds(tmp_path), old, new), size=8).check()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": {"label": "x"}}, r"no column 'x'.* It has: img_id, img_filename"),
        ({"columns": {"labl": "y"}}, r"unknown key 'labl'. Did you mean 'label'"),
        ({"columns": {"label": "img_id"}}, r"'img_id' .* has 48 values in 48 rows"),
        ({"columns": {"group": "place_filename"}}, r"has one value, /o/ocean.jpg"),
        ({"classes": ["a", "b", "c"]}, r"classes=.* has 2 values: 0, 1"),
        ({"groups": {0: "a", 2: "b"}}, r"groups=.* has 2 values: 0, 1"),
        ({"classes": "ab"}, r"classes='ab', but it must be a list"),
        ({"splits": {"train": 0, "dev": 1}}, r"'dev' is none of train, val, test"),
        ({"splits": {"train": 0, "test": 9}}, r"has 9 as its split; there are 0, 1, 2"),
        ({"table": "../metadata.csv"}, r"leads out of"),
        ({"table": "other.csv"}, r"there is no table .*other.csv"),
        ({"images": "elsewhere"}, r"48 of 48 files .* are missing"),
        ({"root": "/nowhere"}, r"there is no folder '/nowhere'"),
        ({"convention": "soft"}, r"unknown mask convention 'soft'"),
    ],
)
def test_options_that_fit_no_table_are_refused(tmp_path: Path, options, said) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        Groups(**{"root": waterbirds(tmp_path), "size": 8} | options).check()


def test_a_split_without_a_class_is_refused(tmp_path: Path) -> None:
    root = waterbirds(tmp_path)
    lines = (root / "metadata.csv").read_text().splitlines()
    kept = [one for one in lines if ",1,2," not in one]
    (root / "metadata.csv").write_text("\n".join(kept))
    with pytest.raises(DataError, match="the test split has no picture of class waterbird"):
        Groups(root=root, size=8).check()


def test_several_tables_are_named(tmp_path: Path) -> None:
    root = waterbirds(tmp_path)
    (root / "metadata.csv").rename(root / "a.csv")
    assert counts(Groups(root=root, size=8)) == EVEN  # the only one
    (root / "b.csv").write_text("x")
    with pytest.raises(DataError, match=r"has 2 tables and none of .*a.csv, b.csv. Set data.table"):
        Groups(root=root, size=8).check()
