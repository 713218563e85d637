"""`lesions`, `similarity`, `probe`: questions asked of finished nets; answers are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from analysis.cli.options import RunsFolder, folders
from analysis.cli.survey import is_over, kept_words, progress_bar

if TYPE_CHECKING:
    from analysis.runs import Run
    from analysis.specs import DataSpec

Data = Annotated[
    str,
    typer.Option(
        help="Images of the same classes, where the run's own are not on this machine: cifar10, "
        "cifar100, digits, folder:PATH. [default: the run's own]"
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Recompute existing results.")]


def register(app: typer.Typer) -> None:
    """Add this module's subcommands."""
    app.command()(lesions)
    app.command()(similarity)


def lesions(
    run: Annotated[
        list[str],
        typer.Argument(help="One or several runs: ids, paths, or nets.", metavar="RUN ..."),
    ],
    images: Annotated[
        int, typer.Option(help="Test images, class-balanced: 256, or 0 for all.")
    ] = 256,
    blocks: Annotated[
        str,
        typer.Option(
            help="Only this lesion: the blocks whose branches are weakened, with commas "
            "(stage1.block2,stage3.block4); over all test images."
        ),
    ] = "",
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="With --blocks: alpha of x + alpha F(x).")
    ] = 0.0,
    data: Data = "",
    again: Again = False,
    runs: RunsFolder = None,
) -> None:
    """Remove a net's blocks, one at a time and several at random, and swap two: the errors then.

    After Veit, Wilber and Belongie (NeurIPS 2016). Of a plain net the blocks are removed whose
    input and output have one shape. The result is kept in the run's folder lens/, and for bundled
    runs in the cache folder; the page Small refinements shows it.
    """
    from analysis.errors import SpecError
    from analysis.lens import lesions as lens
    from analysis.lens.own_images import images_of
    from analysis.runs import find_run, learned
    from analysis.specs import DataSpec
    from analysis.weights import load_net

    if images not in (0, learned.PROBE):
        raise SpecError("--images is 256 or 0 (all test images), not {images}", images=images)
    spec = DataSpec.parse(data) if data else None
    found = [find_run(name, folders(runs)) for name in run]
    if blocks:
        _one_lesion(found, blocks.split(","), strength, spec)
        return
    with progress_bar("lesions") as (bar, say):
        for one in found:
            there = learned.read_lesions(one, whole=not images)
            if not again and there is not None:
                say(f"{one.id}: lesions {kept_words(one, there.origin, spec)}")
                continue
            source = images_of(one, spec, bar(f"{one.net}: reading images"))
            made = lens.make_lesions(one, *load_net(one), bar(one.net), source, not images)
            say(f"{one.id}: {made.intact:.2f} % wrong over {made.n_images} images; without")
            for name, error in zip(made.names, made.single, strict=True):
                say(f"  {name:16} {'-' if error != error else f'{error:.2f} %'}")


def _one_lesion(
    runs: Sequence[Run], names: Sequence[str], strength: float, spec: DataSpec | None
) -> None:
    from analysis.errors import SpecError
    from analysis.figures.lesions import effect_words
    from analysis.lens import lesions as lens
    from analysis.lens.own_images import images_of
    from analysis.runs.learned import Lesion
    from analysis.weights import load_net

    lesion = Lesion(dict.fromkeys(names, strength))
    with progress_bar() as (bar, say):
        for one in runs:
            source = images_of(one, spec, bar(f"{one.net}: reading images"))
            try:
                found = lens.make_effect(one, *load_net(one), lesion, bar(one.net), source)
            except KeyError as error:
                raise SpecError(
                    "--blocks: {net} has no block {name}", net=one.net, name=error.args[0]
                ) from None
            except ValueError as error:
                raise SpecError("--blocks: {reason}", reason=error) from None
            say(f"{one.id}: {effect_words(found)}")


def similarity(
    run: Annotated[str, typer.Argument(help="A run: its id, its path, or its net.")],
    other: Annotated[str, typer.Argument(help="Another, or the same.")],
    data: Data = "",
    again: Again = False,
    runs: RunsFolder = None,
) -> None:
    """Compare all layers of two nets over test images: linear CKA, minibatch-unbiased.

    The result is kept with the first run, as lesions are; the page Small refinements shows it.
    """
    from analysis.errors import SpecError
    from analysis.figures.similarity import similarity_info, similarity_words
    from analysis.lens import similarity as lens
    from analysis.lens.own_images import images_of
    from analysis.runs import find_run, learned
    from analysis.specs import DataSpec
    from analysis.weights import load_net

    first, second = (find_run(name, folders(runs)) for name in (run, other))
    spec = DataSpec.parse(data) if data else None
    found = None if again else learned.read_similarity(first, second)
    if found is not None and not is_over(first, found.origin, spec):
        words = kept_words(first, found.origin, spec)
        raise SpecError("similarities of {run} {words}", run=first.id, words=words)
    if found is None:
        source = images_of(first, spec)
        one = load_net(first)
        nets = one, one if first.path == second.path else load_net(second)
        with progress_bar() as (bar, _say):
            found = lens.make_similarity(first, second, nets, bar("similarity"), source)
    print(similarity_words(similarity_info(found), first.net, second.net))
