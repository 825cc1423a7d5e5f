"""The learning rate of every optimiser on every task, and how it was chosen.

On a surface: of 1, 1.5, 2, 3, 5 and 7 times powers of ten, the rate with which the optimiser came
soonest within 0.01 of a minimum to stay there, in the mean over 20 starts. These were scattered by
0.1 (at the saddle x by 0.1, and y by a factor of about 2). On digits: of 1, 2 and 5 times powers of
ten, the rate with the lowest validation loss over two other seeds. Quasi-Newton steps come with a
length of their own, and their rate is 1. For gradient descent on Rosenbrock's function that would
be 0.002, which is beyond 2 / λ_max = 0.0019968 at the minimum: it comes near and leaves again. So
it has 0.0019.
"""

from __future__ import annotations

RATES = {
    "sgd": {"rosenbrock": 0.0019, "beale": 0.02, "saddle": 0.15, "digits": 2.0},
    "momentum": {"rosenbrock": 0.0015, "beale": 0.003, "saddle": 0.1, "digits": 0.2},
    "nesterov": {"rosenbrock": 0.001, "beale": 0.003, "saddle": 0.1, "digits": 0.2},
    "adagrad": {"rosenbrock": 0.7, "beale": 2.0, "saddle": 1.0, "digits": 0.2},
    "adadelta": {"rosenbrock": 0.05, "beale": 0.1, "saddle": 0.5, "digits": 5.0},
    "rmsprop": {"rosenbrock": 0.003, "beale": 0.005, "saddle": 0.002, "digits": 0.02},
    "adam": {"rosenbrock": 0.007, "beale": 0.015, "saddle": 0.07, "digits": 0.01},
    "adamax": {"rosenbrock": 0.15, "beale": 0.15, "saddle": 1.0, "digits": 0.1},
    "adamw": {"rosenbrock": 0.01, "beale": 0.02, "saddle": 0.1, "digits": 0.01},
    "bfgs": {"rosenbrock": 1.0, "beale": 1.0, "saddle": 1.0, "digits": 1.0},
    "lbfgs": {"rosenbrock": 1.0, "beale": 1.0, "saddle": 1.0, "digits": 1.0},
}
