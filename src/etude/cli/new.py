"""Write a study of your own that runs as it is: one file, or a folder.

It fits a sine. Run it, then change its lesson, its data, its network and its claim to yours.
"""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path

from etude.catalogue import Catalogue
from etude.cli.output import echo
from etude.errors import UserError
from etude.results.files import create

TITLE = "A sine through one hidden layer"

LESSON = r"""The network $\hat y = w^\top \tanh(v x + a) + b$ sees noisy points of a sine.
It is fitted by least squares,

$$L = \frac{1}{n} \sum_{i=1}^n (\hat y_i - y_i)^2,$$

and judged by its distance from the sine itself, which it never saw.
"""

REFERENCE = "Cybenko, G. (1989). Approximation by superpositions of a sigmoidal function.\n"

CODE = '''
from __future__ import annotations

from dataclasses import dataclass

import torch
{figure}from torch import Tensor, nn

from etude import Amount, Claim, Control, Count, Positive, Run, Study, {faces}
from etude.networks.mlp import MLP
{leaf}

@dataclass
class {class_name}(Study):
    """Fit one period of a sine to points with noise on them."""

    width: Count = 32  # tanh units of the hidden layer
    noise: Amount = 0.1  # standard deviation of what is added to the sine
    steps: Count = 1_000  # updates by Adam
    learning_rate: Positive = 1e-2  # Adam's, the same in all steps

    claims = [
        Claim("test/rmse", at_most=0.08),
        Control("line/test/rmse", at_least=0.3, of="test/rmse", without="a hidden layer"),
    ]

    def __call__(self, run: Run) -> None:
        x = torch.linspace(-1, 1, 200)[:, None]  # (points, 1)
        y = torch.sin(torch.pi * x) + self.noise * torch.randn_like(x)
        x, y = run.place(x), run.place(y)

        net = run.place(self.network())
        optimizer = torch.optim.Adam(net.parameters(), self.learning_rate, fused=True)

        batches = training.Batches((x, y), 50)
        for inputs, target in run.steps(batches, self.steps, state=(net, optimizer)):
            loss = (net(inputs) - target).square().mean()
            run.minimise(loss, optimizer)
            run.log(loss=loss)

        fresh = run.place(torch.rand(1_000, 1) * 2 - 1)
        line = (x * y).mean() / x.square().mean() * fresh  # least squares
        guesses = {{"test/rmse": training.outputs(net, fresh), "line/test/rmse": line}}
        errors = {{name: y_hat - torch.sin(torch.pi * fresh) for name, y_hat in guesses.items()}}
        run.result({{k: e.square().mean().sqrt() for k, e in errors.items()}}, held_out=len(fresh))
        run.figure("fit", fit(net, x, y))
        run.keep(net)

    def network(self) -> nn.Module:
        """A new network with one input and one output."""
        return MLP(1, [self.width], 1, "tanh")

    def example(self) -> Tensor:
        """Two places on the axis."""
        return torch.tensor([[-0.5], [0.5]])
'''

FIGURE = '''

def fit(net: nn.Module, x: Tensor, y: Tensor) -> Figure:
    """The points, and the network's curve through them."""
    figure, (axes,) = figures.canvas(5, 3)
    axes.plot(x.cpu(), y.cpu(), ".", label="points")
    axes.plot(x.cpu(), training.outputs(net, x).cpu(), label="network")
    axes.legend()
    return figure
'''

FIGURES = '''"""Pictures of what the network learned."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor, nn

from etude import figures, training
'''


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``etude new``."""
    parser.add_argument("name", help="of the study: lower-case letters, digits and '_'")
    parser.add_argument(
        "--folder",
        action="store_true",
        help="a folder with the lesson in README.md and the figure in a file of its own",
    )


def main(options: argparse.Namespace) -> int:
    """Write the study and say what comes next."""
    name = options.name
    check(name)
    files = in_folder(name) if options.folder else {f"{name}.py": in_one_file(name)}
    for taken in (Path(name), Path(f"{name}.py")):
        if taken.exists():
            raise UserError(f"{taken} is there already; expected a name that is free here")
    create({Path(path): text for path, text in files.items()}, "expected a name that is free here")
    for path in files:
        echo(path)
    place = f"./{name}/" if options.folder else f"./{name}.py"
    echo(
        f"\nNow run it:        etude run {place}\n"
        f"read about it:     etude show {place}\n"
        f"check its claim:   etude check {place}\n"
        f"and make it yours: change {list(files)[-1]}",
        lines=True,
    )
    return 0


def check(name: str) -> None:
    """Whether a study may be called so.

    Raises:
        UserError: it may not.
    """
    plain = name.isidentifier() and name.isascii() and name == name.lower()
    if not plain or keyword.iskeyword(name) or name.startswith("_"):
        raise UserError(
            f"'{name}' can't be a study's name; expected lower-case letters, digits and '_', such"
            " as 'mine' or 'two_moons'"
        )
    if name in Catalogue().files:
        raise UserError(f"there is a study '{name}' already: 'etude show {name}'; expected another")


def in_one_file(name: str) -> str:
    """The study with its lesson as the docstring and its figure below."""
    lesson = f'r"""{TITLE}.\n\n{LESSON}\nReferences\n----------\n{REFERENCE}"""\n'
    return lesson + experiment(name, "figures, training", picture="") + FIGURE


def in_folder(name: str) -> dict[str, str]:
    """``{path: text}`` of the folder's files, the main one last."""
    docstring = f'"""{TITLE}."""\n'
    picture = "from ._figures import fit\n"
    return {
        f"{name}/README.md": f"# {TITLE}\n\n{LESSON}\n## References\n\n{REFERENCE}",
        f"{name}/_figures.py": FIGURES + FIGURE,
        f"{name}/{name}.py": docstring + experiment(name, "training", picture),
    }


def experiment(name: str, faces: str, picture: str) -> str:
    """The study's code; ``picture`` imports its figure, where it stands in another file."""
    return CODE.format(
        class_name="".join(word.capitalize() for word in name.split("_")),
        faces=faces,
        figure="" if picture else "from matplotlib.figure import Figure\n",
        leaf=f"\n{picture}" if picture else "",
    )
