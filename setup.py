"""What pyproject.toml cannot say: the wheel carries folders that a checkout has beside the package."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("searchspaces", "clusters", "results/published")


class BuildWithFolders(build_py):
    """Copies the folders to ``harness/_shipped``, where ``harness.shipped`` looks."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # a checkout has them already
            return
        for folder in SHIPPED:
            for file in Path(folder).iterdir():
                if file.is_file():
                    target = Path(self.build_lib, "harness", "_shipped", folder)
                    self.mkpath(str(target))
                    self.copy_file(str(file), str(target / file.name))


setup(cmdclass={"build_py": BuildWithFolders})
