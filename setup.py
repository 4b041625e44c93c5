"""Where packages lie: conf/ stands beside the code in a checkout, and inside it once installed."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["singleimg*"]), "singleimg.conf"],
    package_dir={"singleimg.conf": "conf"},
    package_data={"singleimg.conf": ["**/*.yaml"]},
)
