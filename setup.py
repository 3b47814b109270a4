"""Lists what is installed: the folders of `models/`, as the package `fast_weights`."""

from setuptools import find_packages, setup

setup(packages=["fast_weights", *(f"fast_weights.{name}" for name in find_packages("models"))])
