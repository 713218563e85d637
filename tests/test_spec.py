"""Names, recipes and data descriptions: `pytest tests/test_spec.py`."""

from __future__ import annotations

import pytest

from analysis.errors import SpecError
from analysis.specs import KINDS, RECIPES, Compute, DataSpec, NetSpec, Recipe, recipe_for
from analysis.training.schedule import learning_rate

NAMES = [
    "plain-20", "resnet-20", "resnet-20-B", "resnet-20-C", "plain-34", "resnet-34",
    "resnet-34-w16", "plain-34-w16", "resnet-50", "resnet-50-cifar", "resnet-110", "resnet-1202",
    "resnet-34-B-imagenet", "resnet-50-imagenet-v1.5", "resnet-101-A",
    "resnet-20-after", "resnet-34-w16-after-imagenet", "preresnet-20", "preresnet-110",
    "preresnet-1202", "preresnet-20-after", "preresnet-20-B-raw", "preresnet-18-B-nofinal",
    "preresnet-50-imagenet-v1.5-raw-nofinal",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_parses_and_prints_the_same(name: str):
    """A name is what the net's spec prints."""
    assert NetSpec.parse(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_survives_its_dictionary(name: str):
    """What config.json holds gives the same net."""
    spec = NetSpec.parse(name, classes=100)

    assert NetSpec.from_dict(spec.to_dict()) == spec


def test_unknown_fields_are_ignored():
    """A file from a newer version still opens."""
    spec = NetSpec.parse("resnet-20")

    assert NetSpec.from_dict({**spec.to_dict(), "colour": "red"}) == spec


def test_a_net_of_an_older_file_has_the_defaults():
    """What zeros pad, what a projection is given and the last BN were not said before."""
    old = {"kind": "residual", "depth": 20, "family": "cifar", "width": 16, "shortcut": "A",
           "classes": 10, "stem": "cifar", "bottleneck_stride": "1x1"}  # fmt: skip

    assert NetSpec.from_dict(old) == NetSpec.parse("resnet-20")
    assert NetSpec.from_dict(old).zeros == "both"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("resnet-20-B-after", "only option A pads with zeros"),
        ("plain-20-after", "only option A pads with zeros"),
        (
            "resnet-20-B-raw",
            "only a pre-activation net with option B or C can project its raw input",
        ),
        (
            "preresnet-20-raw",
            "only a pre-activation net with option B or C can project its raw input",
        ),
        ("resnet-20-nofinal", "only a pre-activation net can lack a last BN"),
        ("plain-20-B", "a plain net has no shortcuts, so no shortcut option"),
    ],
)
def test_what_a_kind_does_not_have_is_refused(name: str, problem: str):
    """Each option belongs to the kinds that can have it."""
    with pytest.raises(SpecError) as caught:
        NetSpec.parse(name)

    assert problem in str(caught.value)


def test_every_kind_is_named_by_its_prefix():
    """The table of kinds is all that a name needs; twins are kinds of the table."""
    for kind, info in KINDS.items():
        net = NetSpec.parse(f"{info.prefix}-20")
        assert (net.kind, net.name) == (kind, f"{info.prefix}-20")
        assert net.counterpart().kind == info.twin
        assert (net.shortcut is not None) == info.has_shortcuts


def test_defaults_follow_the_paper():
    """Option A for two-layer blocks, option B for bottlenecks; none for plain nets."""
    options = [
        NetSpec.parse(n).shortcut for n in ("resnet-56", "resnet-34", "resnet-50", "plain-34")
    ]

    assert options == ["A", "A", "B", None]


def test_counterparts_have_the_same_layers():
    """plain-34 and resnet-34 are each other's counterpart; that of preresnet-34 is resnet-34."""
    assert NetSpec.parse("preresnet-34-C-raw").counterpart().name == "resnet-34-C"
    assert NetSpec.parse("preresnet-20-after").as_kind("plain") == NetSpec.parse("plain-20")
    assert NetSpec.parse("preresnet-20-after").counterpart().name == "resnet-20-after"
    assert NetSpec.parse("plain-34-w16").counterpart() == NetSpec.parse("resnet-34-w16")
    assert NetSpec.parse("resnet-34").counterpart().name == "plain-34"


def test_a_wrong_depth_teaches_the_right_ones():
    """The message lists the depths there are."""
    with pytest.raises(SpecError) as caught:
        NetSpec.parse("plain-21")

    assert str(caught.value) == (
        "'plain-21': no net has depth 21. Depths are 6n+2 (20, 32, 44, 56, 110, 1202) "
        "or 18, 34, 50, 101, 152."
    )


@pytest.mark.parametrize("name", ["resnet", "vgg-19", "resnet-20-D", "resnet20", "", "resnet--20"])
def test_a_name_that_is_none_teaches_what_names_look_like(name: str):
    """The message shows examples."""
    with pytest.raises(SpecError, match="Names look like plain-34"):
        NetSpec.parse(name)


def test_a_plain_net_has_no_shortcut_option():
    """plain-20-A contradicts itself."""
    with pytest.raises(SpecError) as caught:
        NetSpec.parse("plain-20-A")

    assert str(caught.value) == "plain-20: a plain net has no shortcuts, so no shortcut option"


def test_all_problems_come_at_once():
    """A recipe with two mistakes names both."""
    with pytest.raises(SpecError) as caught:
        Recipe.parse("short", lr=-1.0, momentum=2.0)

    assert str(caught.value) == (
        "recipe short: lr must be above 0 and at most 100, not -1.0; "
        "momentum must be from 0 to below 1, not 2.0"
    )


def test_recipe_labels_tell_what_was_changed():
    """The label of a changed recipe is never that of the preset."""
    labels = [
        Recipe.parse("paper").label,
        Recipe.parse("short", epochs=8).label,
        Recipe.parse("short", lr=0.2).label,
        Recipe.parse("short", epochs=8, lr=0.2).label,
        Recipe.parse("paper", iterations=500).label,
        Recipe.parse("short", weight_decay=1e-4).label,
        Recipe.parse("short", epochs=6, weight_decay=0.0, momentum=0.8).label,
    ]

    assert labels == [
        "paper", "short-e8", "short+", "short-e8+", "paper-i500",
        "short-wd0.0001", "short-e6-wd0+",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "decay", "exponent"),
    [("paper", 1e-4, 3.4), ("short", 5e-4, 2.9), ("short", 1e-4, 0.6)],
)
def test_weight_decay_has_its_time(recipe: str, decay: float, exponent: float):
    """How far decay alone pulls a weight down: sum of lr x decay / (1 - momentum) on CIFAR-10."""
    made = Recipe.parse(recipe, weight_decay=decay)
    length = made.length(50_000)
    total = sum(learning_rate(made, length, i) for i in range(length.iterations))

    assert total * decay / (1 - made.momentum) == pytest.approx(exponent, abs=0.06)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_survive_their_dictionary(name: str):
    """What config.json holds gives the same recipe."""
    assert Recipe.from_dict(RECIPES[name].to_dict()) == RECIPES[name]


def test_the_paper_recipe_is_section_4_2():
    """64k iterations, batch 128, 0.1 divided at 32k and 48k, momentum 0.9, decay 1e-4."""
    paper = RECIPES["paper"]

    assert (paper.iterations, paper.batch_size, paper.lr) == (64_000, 128, 0.1)
    assert (paper.milestones, paper.momentum, paper.weight_decay) == ((32_000, 48_000), 0.9, 1e-4)


def test_resnet_110_warms_up_and_digits_are_not_mirrored():
    """What the paper and the data ask for, without a change of the recipe's label."""
    cifar, digits = DataSpec("cifar10"), DataSpec("digits")
    deep = recipe_for("paper", NetSpec.parse("resnet-110"), cifar)
    shallow = recipe_for("paper", NetSpec.parse("resnet-56"), digits)

    assert (deep.warmup_until, shallow.warmup_until) == (80.0, None)
    assert (deep.flip, shallow.flip) == (True, False)
    assert (deep.label, shallow.label) == ("paper", "paper")


def test_data_descriptions():
    """A folder is called by its name unless told otherwise."""
    folder = DataSpec.parse("folder:/data/cifar10-jpeg")

    assert (folder.title, str(folder)) == ("cifar10-jpeg", "folder:/data/cifar10-jpeg")
    assert DataSpec.parse("folder:/x", "CIFAR-10 (JPEG)").title == "CIFAR-10 (JPEG)"
    assert DataSpec.parse("cifar10").title == "CIFAR-10"


@pytest.mark.parametrize("text", ["folder", "folder:", "cifar10:/x"])
def test_a_half_folder_is_explained(text: str):
    """folder needs a path, and nothing else has one."""
    with pytest.raises(SpecError, match="write folder:PATH"):
        DataSpec.parse(text)


def test_an_unknown_data_set_lists_those_there_are():
    """The message names what can be had."""
    with pytest.raises(SpecError) as caught:
        DataSpec.parse("imagenet")

    assert str(caught.value) == (
        "'imagenet' is not a data set; there are cifar10, cifar100, digits and folder:PATH"
    )


def test_precision_is_one_of_three():
    """A precision that torch has and we don't is refused."""
    with pytest.raises(SpecError, match="precision must be auto, float32 or bfloat16"):
        Compute(precision="float64")  # type: ignore[arg-type]
